/*
 * The files of `tls` towards servers, of upstream groups and of parents alike: whom to believe, and our own certificate. Start-up and control thread.
 */
#ifndef GUISE_CONFIG_SERVERS_TLS_H
#define GUISE_CONFIG_SERVERS_TLS_H

#include "config/snapshot.h"

struct tls_files {
	struct snapshot *snapshot;
	const char *base; /* what relative paths start from; NULL: files are not read */
	struct diagnostics *diagnostics;
};

/*
 * Reads what the settings name. *trust stays NULL where servers are not verified, and after mistakes; spans are in the snapshot's arena. What was given
 * ends with servers_tls_release.
 */
void servers_tls_read(const struct tls_files *files, const struct tls_upstream_settings *tls,
		      struct tls_trust **trust, struct span *certificate, struct span *key);
void servers_tls_release(struct tls_trust *trust, struct span certificate, struct span key); /* wipes */

/* From a file. NULL: it was complained. */
struct tls_trust *servers_trust_read(const struct tls_files *files, const struct setting_string *ca);
/* The system's, read once for the snapshot, and counted once more. NULL: *why tells. */
struct tls_trust *servers_trust_system(const struct tls_files *files, const char **why);

/* Of a forward listener: by whom certificates of origins are to be signed. Without the system's store it has none, which is no mistake. */
void trust_bind(struct snapshot *snapshot, struct snapshot_listener *listener,
		const struct setting_string *ca, const char *base, struct diagnostics *diagnostics);

#endif
