/*
 * References in fields of responses (RFC 3986): what leads to a server is made to lead to the public name, or taken out. Read as leniently as browsers
 * do; what cannot be read and names a server goes. Pure but for the arena; on the exchange's worker.
 */
#ifndef GUISE_MASK_REFERENCE_H
#define GUISE_MASK_REFERENCE_H

#include "http/head.h"
#include "mask/inside.h"

/* What of a name of servers a response may hold, and what stands for it outside. All borrowed. */
struct reference_map {
	const struct inside *inside; /* all servers; NULL: none are known */
	struct span server, said; /* names of the one that answers: its own, and what Host said; empty: none */
	const struct address *address; /* its address; NULL: not known */
	struct inside_now others;      /* of its group */
	uint16_t server_port;          /* 0: not known */
	bool server_secure;            /* it is spoken to over TLS */
	struct span asked;     /* the host that the client asked for, as http_authority has it; empty: none */
	uint16_t asked_port;   /* with the default of its scheme */
	struct span scheme;    /* of new references */
	struct span authority; /* of new references: host[:port]; empty: they become relative */
	struct span host;      /* of `authority`, without port and brackets */
	struct span from, to;  /* the route has replaced the prefix `from` by `to`; empty: it has not */
	struct arena *arena;   /* for new values */
};

enum reference_fate {
	REFERENCE_STAYS,
	REFERENCE_CHANGED, /* *value is the new one */
	REFERENCE_GOES,    /* nothing is left that may be seen */
	REFERENCE_MEMORY,
};

/*
 * One reader for each kind of value. These are rewritten: a URI reference, and no more (RFC 9110 10.2.2, 8.7); Refresh, with seconds before it (WHATWG
 * HTML 4.2.5.3); the targets and anchors of Link (RFC 8288 3); Domain and Path of Set-Cookie (RFC 6265 5.2).
 */
enum reference_fate reference_location(const struct reference_map *map, struct span *value);
enum reference_fate reference_refresh(const struct reference_map *map, struct span *value);
enum reference_fate reference_link(const struct reference_map *map, struct span *value);
enum reference_fate reference_cookie(const struct reference_map *map, struct span *value);

/*
 * From these is taken out what names a server; rewritten, it could give somebody more than the server did. _whole: all of it goes. _list: members (RFC 9110
 * 5.6.1). _policy: sources of directives (CSP level 3, 2.2), of which the last one leaves 'none' behind. _permissions: origins (Permissions Policy
 * 5.1). _frame: X-Frame-Options (RFC 7034 2.1) becomes DENY.
 */
enum reference_fate reference_whole(const struct reference_map *map, struct span *value);
enum reference_fate reference_list(const struct reference_map *map, struct span *value);
enum reference_fate reference_policy(const struct reference_map *map, struct span *value);
enum reference_fate reference_permissions(const struct reference_map *map, struct span *value);
enum reference_fate reference_frame(const struct reference_map *map, struct span *value);

#endif
