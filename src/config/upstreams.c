/*
 * From the settings of upstream groups to plans. See upstreams.h.
 */
#include "config/upstreams.h"

#include "config/files.h"
#include "config/servers.h"
#include "net/proxy_protocol.h"
#include "tls/store.h"

/* Reading the files of one group. */
struct reading {
	struct upstream_plan *plan;
	const char *base;
	struct arena *arena;
	struct diagnostics *diagnostics;
};

/* ---- whom to believe ---- */

static void read_trust(struct reading *reading)
{
	const struct setting_string *ca = &reading->plan->settings->tls.ca;
	struct tls_trust *trust = NULL;
	struct span pem = {0};
	const char *why = files_read_named(reading->arena, reading->base, ca->text, &pem);

	if (!why)
		trust = tls_trust_new(pem, &why);
	if (!trust)
		diagnostics_error(reading->diagnostics, ca->place, "cannot read the certificates of %s: %s",
				  ca->text, why);
	reading->plan->trust = trust;
}

/* The system's certificates are read once, for all groups that need them. */
static void share_trust(struct reading *reading, struct tls_trust **system)
{
	const char *why = "files are not read here";

	if (!*system && reading->base)
		*system = tls_trust_system(&why);
	if (*system)
		reading->plan->trust = tls_trust_retain(*system);
	else
		diagnostics_error(reading->diagnostics, reading->plan->settings->tls.place,
				  "cannot read the system's certificates (\"ca\" would name a file): %s", why);
}

/* ---- our own certificate ---- */

static bool read_own(struct reading *reading, const struct setting_string *file, const char *what,
		     struct span *content)
{
	const char *why = files_read_named(reading->arena, reading->base, file->text, content);

	if (!why && content->len == 0)
		why = "it is empty";
	if (why)
		diagnostics_error(reading->diagnostics, file->place, "cannot read %s %s: %s", what,
				  file->text, why);
	return !why;
}

static void on_complaint(void *owner, size_t index, bool fault, const char *text)
{
	struct reading *reading = owner;
	struct setting_place place = reading->plan->settings->tls.certificate.place;

	if (fault)
		diagnostics_error(reading->diagnostics, place, "%s", text);
	else
		diagnostics_warning(reading->diagnostics, place, "%s", text);
}

/* Both are kept as they came: each worker makes its own of them. */
static void read_certificate(struct reading *reading)
{
	const struct tls_upstream_settings *tls = &reading->plan->settings->tls;
	struct upstream_plan *plan = reading->plan;
	const struct setting_string *key = tls->key.len ? &tls->key : &tls->certificate;
	unsigned before = reading->diagnostics->errors;

	if (tls->certificate.len == 0) {
		if (tls->key.len)
			diagnostics_error(reading->diagnostics, tls->key.place,
					  "\"key\" needs \"certificate\": what it is the key of");
		return;
	}
	if (!read_own(reading, &tls->certificate, "the certificate", &plan->certificate))
		return;
	plan->key = plan->certificate;
	if (tls->key.len && !read_own(reading, &tls->key, "the private key", &plan->key))
		return;
	struct tls_material item = {
		.certificate_path = tls->certificate.text,
		.key_path = key->text,
		.certificate = plan->certificate,
		.key = plan->key,
		.client = true,
	};
	struct tls_store *store = tls_store_new(&item, 1, on_complaint, reading);
	if (!store && reading->diagnostics->errors == before)
		diagnostics_error(reading->diagnostics, tls->certificate.place, "out of memory");
	tls_store_release(store);
}

/* ---- a group ---- */

static void plan_tls(struct reading *reading, struct tls_trust **system)
{
	const struct tls_upstream_settings *tls = &reading->plan->settings->tls;

	if (tls->place.line == 0)
		return;
	read_certificate(reading);
	if (!tls->verify) {
		if (tls->ca.len)
			diagnostics_warning(reading->diagnostics, tls->ca.place,
					    "\"ca\" does nothing while \"verify\" is false");
		return;
	}
	if (tls->ca.len)
		read_trust(reading);
	else
		share_trust(reading, system);
}

/* The file is looked at before it is read, so that a change in between is seen as one. */
static void plan_servers(struct reading *reading)
{
	struct upstream_plan *plan = reading->plan;
	uint64_t node;

	servers_check(plan->settings, &plan->settings->servers, reading->diagnostics);
	if (plan->settings->file.len == 0)
		return;
	plan->file_signature = servers_signature(plan, &node);
	if (!servers_read(plan, reading->arena, reading->diagnostics, &plan->file_servers))
		plan->file_servers.count = 0;
}

static void check_protocols(const struct upstream_settings *settings, struct diagnostics *diagnostics)
{
	if (settings->http == UPSTREAM_HTTP_2 && settings->proxy_protocol != PROXY_PROTOCOL_OFF)
		diagnostics_error(
			diagnostics, settings->proxy_protocol_place,
			"\"proxy_protocol\" does not go with \"http: 2\": a connection of HTTP/2 is for many "
			"clients, and the header names one");
}

/* The group's timeouts with the global ones where it has none of its own. */
static struct upstream_timeouts plan_timeouts(const struct timeouts_settings *global,
					      const struct upstream_timeouts *own)
{
	return (struct upstream_timeouts){
		.connect = own->connect ? own->connect : global->connect,
		.handshake = own->handshake ? own->handshake : global->handshake,
		.response = own->response ? own->response : global->response,
		.pool = own->pool ? own->pool : global->pool,
		.try_ = own->try_,
		.queue = own->queue,
	};
}

static void check_sticky(const struct sticky_settings *sticky, struct diagnostics *diagnostics)
{
	if (sticky->cookie.len && !sticky->secret.len)
		diagnostics_warning(
			diagnostics, sticky->cookie.place,
			"after a restart clients may go to other servers: cookies are sealed with a secret made at start "
			"(\"secret\" gives one that stays)");
}

/* What was checked when it was read. */
static void plan_hand_over(struct upstream_plan *plan)
{
	const struct upstream_settings *settings = plan->settings;

	if (!request_key_parse(span_make(settings->hash.text, settings->hash.len), &plan->hash))
		plan->hash = (struct request_key){.kind = REQUEST_KEY_CLIENT};
	status_set_from(&plan->retry_on, &settings->retry_on);
	status_set_from(&plan->well, &settings->health.status);
	if (settings->health.status.count == 0)
		status_set_add(&plan->well, SPAN("200-399"));
}

bool upstreams_plan(struct snapshot *snapshot, const char *base, struct diagnostics *diagnostics)
{
	const struct settings *settings = &snapshot->settings;
	size_t count = settings->upstreams.count;
	struct upstream_plan *plans = arena_zalloc(&snapshot->arena, count + 1, sizeof(*plans));
	struct tls_trust *system = NULL;

	if (!plans)
		return false;
	if (base) { /* files are looked at again while the snapshot lives */
		base = (const char *)arena_format(&snapshot->arena, "%s", base).at;
		if (!base)
			return false;
	}
	snapshot->upstreams = settings->upstreams.items;
	snapshot->upstream_count = count;
	snapshot->plans = plans;
	for (size_t i = 0; i < count; i++) {
		struct reading reading = {&plans[i], base, &snapshot->arena, diagnostics};
		plans[i] = (struct upstream_plan){
			.settings = &snapshot->upstreams[i],
			.limits = &settings->limits,
			.timeouts = plan_timeouts(&settings->timeouts, &snapshot->upstreams[i].timeouts),
			.base = base,
		};
		plan_hand_over(&plans[i]);
		plan_tls(&reading, &system);
		plan_servers(&reading);
		check_protocols(&snapshot->upstreams[i], diagnostics);
		check_sticky(&snapshot->upstreams[i].sticky, diagnostics);
	}
	tls_trust_release(system);
	return true;
}

static void wipe(struct span bytes)
{
	if (bytes.len)
		explicit_bzero((void *)(uintptr_t)bytes.at, bytes.len);
}

void upstreams_release(struct snapshot *snapshot)
{
	for (size_t i = 0; snapshot->plans && i < snapshot->upstream_count; i++) {
		tls_trust_release(snapshot->plans[i].trust);
		wipe(snapshot->plans[i].certificate); /* the key may be in it */
		wipe(snapshot->plans[i].key);
	}
}
