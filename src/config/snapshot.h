/*
 * One parsed configuration, checked and compiled: immutable and reference-counted. Made at start or on the control thread;
 * read by all threads; the last release frees it, on whatever thread that is.
 */
#ifndef GUISE_CONFIG_SNAPSHOT_H
#define GUISE_CONFIG_SNAPSHOT_H

#include "account/accounts.h"
#include "config/settings.h"
#include "config/tls.h"
#include "core/diagnostic.h"
#include "mask/forward_mask.h"
#include "mask/forwarded.h"
#include "net/address.h"
#include "net/peers.h"
#include "route/lists.h"
#include "proxy/pac.h"
#include "proxy/secrets.h"
#include "route/router.h"
#include "route/rule.h"
#include "route/tcp_route.h"
#include "upstream/group.h"

#include <stdatomic.h>

enum snapshot_face { SNAPSHOT_FORWARD, SNAPSHOT_REVERSE, SNAPSHOT_TCP, SNAPSHOT_ADMIN };

struct snapshot_address {
	struct address address; /* port 0: any that is free */
	bool dual;              /* ":PORT": IPv4 too */
	const char *text;       /* as it was written */
	struct setting_place place;
};

struct snapshot_listener {
	enum snapshot_face face;
	unsigned index; /* in the list `forward`, `reverse` or `tcp`, from 0; of `admin`: 0 */
	struct setting_place place;
	struct snapshot_address *addresses;
	size_t address_count;        /* at least 1 */
	struct peers proxy_protocol; /* who sends a PROXY header */

	struct listener_tls *tls; /* NULL: in clear */
	enum listener_http2 http2;

	bool socks;                      /* forward */
	const struct forward_mask *mask; /* forward; NULL after diagnostics */
	struct tls_trust *trust; /* forward: by whom certificates of origins are signed; NULL: nobody is believed */
	struct accounts_plan *users;       /* forward: NULL: nobody has to log in */
	struct rules *rules;               /* forward: `sources` and `rules` */
	const struct pac *pac;             /* forward: NULL: none is served */
	uint32_t allowance;                /* forward: an index in settings.allowances, or RULE_NONE */
	uint32_t exit;                     /* forward: an index in the snapshot's exits, or RULE_NONE */
	enum listener_intercept intercept; /* forward */
	enum intercept_destination intercept_destination; /* forward */

	struct router *router;             /* reverse */
	struct forwarded_policy forwarded; /* reverse */

	struct tcp_router *tcp; /* tcp */
};

struct snapshot {
	atomic_uint references;
	struct arena arena;
	const char *file;         /* as the user named it; NULL: made by the command line */
	struct settings settings; /* as written, with defaults */
	struct snapshot_listener *listeners; /* forward, then reverse, then tcp, each in the order of the file; then admin */
	size_t listener_count;
	const struct upstream_settings *upstreams; /* a route's group is an index here */
	struct upstream_plan *plans;               /* one for each of them */
	size_t upstream_count;
	struct inside *inside;       /* names and addresses of servers, for masks */
	struct lists lists;          /* of settings.lists */
	struct parent_plans parents; /* what a rule's `proxy` names: indexes here */
	struct secret_plan *secrets; /* what a rule's `secrets` names: indexes here */
	size_t secret_count;
	struct tls_trust *system_trust; /* the system's certificates, if anything needs them; else NULL */
	struct tls_trust *later_trust;  /* the same, of forward listeners: read when they are wanted */
	const struct exit_plan *exits;  /* one for each of settings.exits */
};

/*
 * Reads, checks and compiles a configuration file ("-": standard input). NULL: diagnostics->errors is not 0; mistakes are all there.
 * `memory` counts what the snapshot takes and must outlive it. diagnostics->file is set.
 */
WARN_UNUSED struct snapshot *snapshot_load(const char *path, struct memory *memory,
					   struct diagnostics *diagnostics);

/* The same from text: for the command line and for tests. `base`: the directory that `file:` starts from, NULL: no files. */
WARN_UNUSED struct snapshot *snapshot_from_yaml(struct span text, const char *base, struct memory *memory,
						struct diagnostics *diagnostics);

void snapshot_retain(struct snapshot *snapshot);
void snapshot_release(struct snapshot *snapshot); /* NULL is fine */

#endif
