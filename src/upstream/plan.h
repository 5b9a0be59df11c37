/*
 * A group as the configuration describes it, with what was read for it. Immutable, shared by threads, borrowed by them.
 */
#ifndef GUISE_UPSTREAM_PLAN_H
#define GUISE_UPSTREAM_PLAN_H

#include "exchange/settings.h"
#include "http/request_key.h"
#include "http/status_set.h"
#include "upstream/settings.h"

struct tls_trust;

struct upstream_plan {
	const struct upstream_settings *settings;
	const struct limits_settings *limits;
	struct upstream_timeouts timeouts; /* ms, all set but try_ */
	struct tls_trust *trust;           /* of `tls`; NULL: servers are not verified */
	struct span certificate, key;      /* of `tls`, PEM: our own; may be empty */
	struct request_key hash;           /* for keyed algorithms */
	struct status_set retry_on, well;  /* `well`: of checks */
	const char *base;                  /* the directory that `file` starts from; NULL: no files */
	struct setting_list file_servers; /* struct upstream_server_settings: what `file` said when it was first read */
	uint64_t file_signature; /* of the file, then */
};

#endif
