/*
 * The masks of reverse listeners: what clients learn of the servers. Compiled with the snapshot, immutable; applied on workers.
 */
#ifndef GUISE_MASK_REVERSE_MASK_H
#define GUISE_MASK_REVERSE_MASK_H

#include "core/diagnostic.h"
#include "core/log.h"
#include "http/head.h"
#include "mask/inside.h"
#include "mask/settings.h"
#include "mask/told_names.h"

struct leak_guard;
struct reverse_mask;
struct sameness;

/* False after diagnostics. *mask is NULL where the settings switch it off. `settings` and `inside` live as long as the mask. */
WARN_UNUSED bool reverse_mask_compile(const struct reverse_mask_settings *settings,
				      const struct inside *inside, struct arena *arena,
				      struct diagnostics *diagnostics, const struct reverse_mask **mask);

void reverse_mask_free(const struct reverse_mask *mask); /* what is not the arena's. NULL is fine */

/* Between whom a response goes. All borrowed for the call. */
struct reverse_mask_view {
	struct span server;            /* the host that the server is configured by: a name or an address */
	const struct address *address; /* where it is; NULL: not known */
	struct inside_now others;      /* of its group */
	uint16_t server_port;
	bool server_secure;                 /* it is spoken to over TLS */
	struct span said;                   /* what Host said to it */
	const struct http_authority *asked; /* what the client asked for */
	struct span authority;              /* the same as it was spelt */
	bool checked;                       /* it is one that the configuration serves, the port too */
	struct span scheme;                 /* that the client spoke */
	struct span from, to; /* a prefix of the path, and what the route has put in its place; empty: nothing */

	/* for the log: what is dropped, once for each name */
	struct log_ring *log;
	struct told_names *told; /* NULL: nothing is said */
	uint64_t now_ms;
	struct span listener, server_text;
};

/*
 * A final head of a server: fields are dropped or rewritten, the reason phrase is the status's, Server says what the configuration has. New values
 * are in the fields' arena. False: out of memory.
 */
WARN_UNUSED bool reverse_mask_head(const struct reverse_mask *mask, const struct reverse_mask_view *view,
				   struct http_head *response);
/* The same of an interim head: nothing is added. */
WARN_UNUSED bool reverse_mask_interim(const struct reverse_mask *mask, const struct reverse_mask_view *view,
				      struct http_head *response);
/* The same of trailers. */
WARN_UNUSED bool reverse_mask_trailers(const struct reverse_mask *mask, const struct reverse_mask_view *view,
				       struct http_fields *trailers);
/* An answer of Guise's own looks like a server's: Server. False: out of memory. */
WARN_UNUSED bool reverse_mask_own(const struct reverse_mask *mask, struct http_fields *fields);

/* The site as clients know it; *authority is empty where the configuration does not tell. */
void reverse_mask_public(const struct reverse_mask *mask, const struct reverse_mask_view *view,
			 struct span *scheme, struct span *authority);

/* Of a mask; NULL: it has none, or `mask` itself is NULL. */
const struct leak_guard *reverse_mask_leaks(const struct reverse_mask *mask);
const struct sameness *reverse_mask_same(const struct reverse_mask *mask);

#endif
