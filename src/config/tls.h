/*
 * What `tls` of a listener names: its files are read and checked when the configuration is, and read again when they change while Guise
 * runs. Start-up and control thread.
 */
#ifndef GUISE_CONFIG_TLS_H
#define GUISE_CONFIG_TLS_H

#include "core/diagnostic.h"
#include "tls/settings.h"
#include "tls/store.h"

/* The files of one certificate, as they are opened. */
struct listener_certificate {
	const char *certificate, *key, *ocsp; /* key: may be the certificate's; ocsp NULL: none */
	struct setting_place certificate_place, key_place, ocsp_place;
};

/* Part of a snapshot; immutable. */
struct listener_tls {
	const struct tls_listener_settings *settings;
	struct listener_certificate *certificates;
	size_t count;
	struct tls_store *store; /* of what was read first */
	uint64_t signature;      /* of the files, just before they were read */
	struct span clients_ca;  /* PEM; empty: none */
	struct span hsts;        /* the field's value; empty: none */
};

/*
 * Reads and checks; `base` is the directory that relative paths start from (NULL: files are refused). What is wrong becomes diagnostics. All but the
 * store is in `arena`; private keys are wiped from memory as soon as the store has them.
 */
void listener_tls_load(struct listener_tls *tls, const struct tls_listener_settings *settings, bool reverse,
		       const char *base, struct arena *arena, struct diagnostics *diagnostics);
void listener_tls_unload(struct listener_tls *tls);

/* Changes when one of the certificates' files does: which file it is, how large, when it was written. Symbolic links are followed. */
uint64_t listener_tls_signature(const struct listener_tls *tls);

typedef void listener_tls_say_fn(void *owner, bool fault, const char *text);

/* A store of what the files hold now. `say` gets what is wrong. NULL: it was said, or out of memory. */
WARN_UNUSED struct tls_store *listener_tls_read(const struct listener_tls *tls, struct memory *memory,
						listener_tls_say_fn *say, void *owner);

#endif
