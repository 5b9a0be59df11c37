/*
 * Certificates, keys and what belongs to them, from files. See tls.h.
 */
#include "config/tls.h"

#include "config/files.h"
#include "tls/client.h"

#include <errno.h>
#include <sys/stat.h>

enum { SECOND = 1000, YEAR_SECONDS = 365 * 24 * 3600 };

/* ---- reading ---- */

/* One reading of all files, and who is told what is wrong with them. */
struct reading {
	const struct listener_tls *tls;
	struct arena arena; /* what was read; wiped at the end */
	struct tls_material *items;
	bool good;
	void (*say)(struct reading *reading, struct setting_place place, bool fault, const char *text);
	struct diagnostics *diagnostics; /* while the configuration is read */
	listener_tls_say_fn *say_plain;  /* later */
	void *owner;
};

static void reading_say(struct reading *reading, struct setting_place place, bool fault, const char *text)
{
	if (fault)
		reading->good = false;
	reading->say(reading, place, fault, text);
}

static void read_one(struct reading *reading, const char *what, const char *path, struct setting_place place,
		     struct span *content)
{
	const char *why = files_read(&reading->arena, "", path, content);
	struct span text;

	if (!why && content->len)
		return;
	text = arena_format(&reading->arena, "cannot read %s %s: %s", what, path, why ? why : "it is empty");
	reading_say(reading, place, true, text.at ? (const char *)text.at : "out of memory");
	*content = (struct span){0};
}

static void read_item(struct reading *reading, const struct listener_certificate *from,
		      struct tls_material *item)
{
	*item = (struct tls_material){from->certificate, from->key, from->ocsp, {0}, {0}, {0}, false};
	read_one(reading, "the certificate", from->certificate, from->certificate_place, &item->certificate);
	if (from->key == from->certificate)
		item->key = item->certificate;
	else
		read_one(reading, "the private key", from->key, from->key_place, &item->key);
	if (from->ocsp)
		read_one(reading, "the OCSP response", from->ocsp, from->ocsp_place, &item->ocsp);
}

static void on_complaint(void *owner, size_t index, bool fault, const char *text)
{
	struct reading *reading = owner;

	reading_say(reading, reading->tls->certificates[index].certificate_place, fault, text);
}

static struct tls_store *read_all(struct reading *reading, struct memory *memory)
{
	static const struct setting_place nowhere = {0, 0};
	const struct listener_tls *tls = reading->tls;
	struct tls_store *store = NULL;

	arena_init(&reading->arena, memory, NULL, NULL, 0);
	reading->good = true;
	reading->items = arena_zalloc(&reading->arena, tls->count + 1, sizeof(*reading->items));
	for (size_t i = 0; reading->items && i < tls->count; i++)
		read_item(reading, &tls->certificates[i], &reading->items[i]);
	if (reading->items && reading->good)
		store = tls_store_new(reading->items, tls->count, on_complaint, reading);
	if (!store && reading->good)
		reading_say(reading, nowhere, true, "out of memory");
	for (size_t i = 0; reading->items && i < tls->count; i++) {
		span_wipe(reading->items[i].key);
		span_wipe(reading->items[i].certificate);
	}
	arena_fini(&reading->arena);
	return store;
}

static void say_plainly(struct reading *reading, struct setting_place place, bool fault, const char *text)
{
	reading->say_plain(reading->owner, fault, text);
}

struct tls_store *listener_tls_read(const struct listener_tls *tls, struct memory *memory,
				    listener_tls_say_fn *say, void *owner)
{
	struct reading reading = {.tls = tls, .say = say_plainly, .say_plain = say, .owner = owner};

	return read_all(&reading, memory);
}

/* ---- what has changed ---- */

static uint64_t sign(const char *path, uint64_t seed)
{
	uint64_t facts[5] = {0};
	struct stat status;

	if (stat(path, &status) < 0) {
		facts[0] = (uint64_t)errno;
	} else if (S_ISREG(status.st_mode)) { /* a pipe is read once */
		facts[0] = status.st_dev;
		facts[1] = status.st_ino;
		facts[2] = (uint64_t)status.st_size;
		facts[3] = (uint64_t)status.st_mtim.tv_sec;
		facts[4] = (uint64_t)status.st_mtim.tv_nsec;
	}
	return span_hash(span_make(facts, sizeof(facts)), seed);
}

uint64_t listener_tls_signature(const struct listener_tls *tls)
{
	uint64_t signature = 1;

	for (size_t i = 0; i < tls->count; i++) {
		const struct listener_certificate *one = &tls->certificates[i];
		signature = sign(one->certificate, signature);
		if (one->key != one->certificate)
			signature = sign(one->key, signature);
		if (one->ocsp)
			signature = sign(one->ocsp, signature);
	}
	return signature;
}

/* ---- what the configuration says ---- */

static void say_in_place(struct reading *reading, struct setting_place place, bool fault, const char *text)
{
	if (fault)
		diagnostics_error(reading->diagnostics, place, "%s", text);
	else
		diagnostics_warning(reading->diagnostics, place, "%s", text);
}

/* A path from the configuration's directory. NULL: out of memory. */
static const char *path_of(const struct setting_string *written, const char *base, struct arena *arena)
{
	return files_path(arena, base, written->text);
}

/* False: out of memory. */
static bool find_files(struct listener_tls *tls, const char *base, struct arena *arena)
{
	const struct setting_list *list = &tls->settings->certificates;
	const struct tls_certificate_settings *items = list->items;

	tls->certificates = arena_zalloc(arena, list->count + 1, sizeof(*tls->certificates));
	if (!tls->certificates)
		return false;
	for (size_t i = 0; i < list->count; i++) {
		struct listener_certificate *one = &tls->certificates[tls->count];
		if (items[i].certificate.len == 0)
			continue; /* it was said that it is missing */
		one->certificate = path_of(&items[i].certificate, base, arena);
		one->key = items[i].key.len ? path_of(&items[i].key, base, arena) : one->certificate;
		one->ocsp = items[i].ocsp.len ? path_of(&items[i].ocsp, base, arena) : NULL;
		one->certificate_place = items[i].certificate.place;
		one->key_place = items[i].key.place;
		one->ocsp_place = items[i].ocsp.place;
		if (!one->certificate || !one->key || (items[i].ocsp.len && !one->ocsp))
			return false;
		tls->count++;
	}
	return true;
}

static void load_certificates(struct listener_tls *tls, const char *base, struct arena *arena,
			      struct diagnostics *diagnostics)
{
	const struct setting_list *list = &tls->settings->certificates;
	struct reading reading = {.tls = tls, .say = say_in_place, .diagnostics = diagnostics};

	if (!base) {
		diagnostics_error(diagnostics, list->place, "\"tls\" names files, and files are not read here");
		return;
	}
	if (!find_files(tls, base, arena)) {
		diagnostics_error(diagnostics, tls->settings->place, "out of memory");
		return;
	}
	if (tls->count > 0) {
		tls->signature = listener_tls_signature(tls);
		tls->store = read_all(&reading, arena->memory);
	} else if (list->count == 0 && list->place.line != 0) {
		diagnostics_error(diagnostics, list->place, "\"tls\" has no certificate");
	}
}

static void load_clients(struct listener_tls *tls, bool reverse, const char *base, struct arena *arena,
			 struct diagnostics *diagnostics)
{
	const struct tls_clients_settings *clients = &tls->settings->clients;
	struct tls_trust *trust;
	const char *why;

	if (clients->pass && !reverse)
		diagnostics_error(
			diagnostics, clients->place,
			"\"pass\" is for reverse listeners: a forward proxy tells nobody who its clients are");
	if (clients->verify == TLS_CLIENT_NONE) {
		if (clients->ca.len || clients->pass)
			diagnostics_warning(diagnostics, clients->place,
					    "\"clients\" does nothing while \"verify\" is none");
		return;
	}
	if (clients->ca.len == 0) {
		diagnostics_error(
			diagnostics, clients->place,
			"\"verify\" needs \"ca\": the certificates of who may sign clients' certificates");
		return;
	}
	why = files_read_named(arena, base, clients->ca.text, &tls->clients_ca);
	if (!why) {
		trust = tls_trust_new(tls->clients_ca, &why);
		if (trust)
			why = NULL;
		tls_trust_release(trust);
	}
	if (why)
		diagnostics_error(diagnostics, clients->ca.place, "cannot read the certificates of %s: %s",
				  clients->ca.text, why);
}

/* RFC 6797 6.1; `preload` is not in it, but what the lists of browsers ask for. */
static void load_hsts(struct listener_tls *tls, bool reverse, struct arena *arena,
		      struct diagnostics *diagnostics)
{
	const struct tls_hsts_settings *hsts = &tls->settings->hsts;

	if (hsts->place.line == 0)
		return;
	if (!reverse)
		diagnostics_error(diagnostics, hsts->place,
				  "\"hsts\" is for reverse listeners: a forward proxy speaks for nobody's host");
	if (hsts->max_age == 0)
		return;
	if (hsts->preload && (!hsts->subdomains || hsts->max_age / SECOND < YEAR_SECONDS))
		diagnostics_warning(diagnostics, hsts->place,
				    "\"preload\": the lists of browsers take only hosts with \"subdomains\" and "
				    "a \"max_age\" of 365d at least");
	tls->hsts = arena_format(arena, "max-age=%llu%s%s", (unsigned long long)(hsts->max_age / SECOND),
				 hsts->subdomains ? "; includeSubDomains" : "",
				 hsts->preload ? "; preload" : "");
	if (!tls->hsts.at)
		diagnostics_error(diagnostics, hsts->place, "out of memory");
}

void listener_tls_load(struct listener_tls *tls, const struct tls_listener_settings *settings, bool reverse,
		       const char *base, struct arena *arena, struct diagnostics *diagnostics)
{
	*tls = (struct listener_tls){.settings = settings};
	load_certificates(tls, base, arena, diagnostics);
	load_clients(tls, reverse, base, arena, diagnostics);
	load_hsts(tls, reverse, arena, diagnostics);
}

void listener_tls_unload(struct listener_tls *tls)
{
	tls_store_release(tls->store);
	tls->store = NULL;
}
