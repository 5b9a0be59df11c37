/*
 * Reading the files of `tls` towards servers. See servers_tls.h.
 */
#include "config/servers_tls.h"

#include "config/files.h"
#include "tls/store.h"

/* ---- whom to believe ---- */

struct tls_trust *servers_trust_read(const struct tls_files *files, const struct setting_string *ca)
{
	struct tls_trust *trust = NULL;
	struct span pem = {0};
	const char *why = files_read_named(&files->snapshot->arena, files->base, ca->text, &pem);

	if (!why)
		trust = tls_trust_new(pem, &why);
	if (!trust)
		diagnostics_error(files->diagnostics, ca->place, "cannot read the certificates of %s: %s",
				  ca->text, why);
	return trust;
}

struct tls_trust *servers_trust_system(const struct tls_files *files, const char **why)
{
	struct snapshot *snapshot = files->snapshot;

	*why = "files are not read here";
	if (!snapshot->system_trust && files->base)
		snapshot->system_trust = tls_trust_system(why);
	return snapshot->system_trust ? tls_trust_retain(snapshot->system_trust) : NULL;
}

/* ---- our own certificate ---- */

static bool read_own(const struct tls_files *files, const struct setting_string *file, const char *what,
		     struct span *content)
{
	const char *why = files_read_named(&files->snapshot->arena, files->base, file->text, content);

	if (!why && content->len == 0)
		why = "it is empty";
	if (why)
		diagnostics_error(files->diagnostics, file->place, "cannot read %s %s: %s", what, file->text,
				  why);
	return !why;
}

struct complaint {
	struct diagnostics *diagnostics;
	struct setting_place place;
};

static void on_complaint(void *owner, size_t index, bool fault, const char *text)
{
	struct complaint *complaint = owner;

	if (fault)
		diagnostics_error(complaint->diagnostics, complaint->place, "%s", text);
	else
		diagnostics_warning(complaint->diagnostics, complaint->place, "%s", text);
}

/* Both are kept as they came: each worker makes its own of them. */
static void read_certificate(const struct tls_files *files, const struct tls_upstream_settings *tls,
			     struct span *certificate, struct span *key)
{
	const struct setting_string *key_file = tls->key.len ? &tls->key : &tls->certificate;
	struct complaint complaint = {files->diagnostics, tls->certificate.place};
	unsigned before = files->diagnostics->errors;

	if (tls->certificate.len == 0) {
		if (tls->key.len)
			diagnostics_error(files->diagnostics, tls->key.place,
					  "\"key\" needs \"certificate\": what it is the key of");
		return;
	}
	if (!read_own(files, &tls->certificate, "the certificate", certificate))
		return;
	*key = *certificate;
	if (tls->key.len && !read_own(files, &tls->key, "the private key", key))
		return;
	struct tls_material item = {
		.certificate_path = tls->certificate.text,
		.key_path = key_file->text,
		.certificate = *certificate,
		.key = *key,
		.client = true,
	};
	struct tls_store *store = tls_store_new(&item, 1, on_complaint, &complaint);
	if (!store && files->diagnostics->errors == before)
		diagnostics_error(files->diagnostics, tls->certificate.place, "out of memory");
	tls_store_release(store);
}

/* ---- all of it ---- */

void servers_tls_read(const struct tls_files *files, const struct tls_upstream_settings *tls,
		      struct tls_trust **trust, struct span *certificate, struct span *key)
{
	const char *why;

	read_certificate(files, tls, certificate, key);
	if (!tls->verify) {
		if (tls->ca.len)
			diagnostics_warning(files->diagnostics, tls->ca.place,
					    "\"ca\" does nothing while \"verify\" is false");
		return;
	}
	if (tls->ca.len) {
		*trust = servers_trust_read(files, &tls->ca);
		return;
	}
	*trust = servers_trust_system(files, &why);
	if (!*trust)
		diagnostics_error(files->diagnostics, tls->place,
				  "cannot read the system's certificates (\"ca\" would name a file): %s", why);
}

void servers_tls_release(struct tls_trust *trust, struct span certificate, struct span key)
{
	tls_trust_release(trust);
	span_wipe(certificate); /* the key may be in it */
	span_wipe(key);
}

void trust_bind(struct snapshot *snapshot, struct snapshot_listener *listener,
		const struct setting_string *ca, const char *base, struct diagnostics *diagnostics)
{
	struct tls_files files = {snapshot, base, diagnostics};
	const char *why;

	if (ca->len) {
		listener->trust = servers_trust_read(&files, ca);
		return;
	}
	/* Few requests to a forward proxy are for https and not for a tunnel: most processes never need them. */
	if (!snapshot->later_trust && base)
		snapshot->later_trust = tls_trust_system_later(&why);
	listener->trust = snapshot->later_trust ? tls_trust_retain(snapshot->later_trust) : NULL;
}
