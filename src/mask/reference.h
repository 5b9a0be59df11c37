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

/* One reader for one kind of value. */
typedef enum reference_fate reference_reader(const struct reference_map *map, struct span *value);

/* ---- rewritten ---- */

reference_reader reference_location; /* a URI reference, and no more (RFC 9110 10.2.2, 8.7) */
reference_reader reference_refresh;  /* seconds, and a URI behind "url=" (WHATWG HTML 4.2.5.3) */
reference_reader reference_link;     /* RFC 8288 3: the targets, and the anchors */
reference_reader reference_cookie;   /* Set-Cookie: Domain and Path (RFC 6265 5.2) */

/* ---- taken out, never rewritten: that could give somebody more than the server did ---- */

reference_reader reference_whole; /* all of it goes, if any of it names a server */
reference_reader reference_list;  /* members of a list (RFC 9110 5.6.1) */
reference_reader reference_policy; /* sources of directives (CSP level 3, 2.2); the last one leaves 'none' behind */
reference_reader reference_permissions; /* origins of a structured dictionary (Permissions Policy 5.1) */
reference_reader reference_frame;       /* X-Frame-Options (RFC 7034 2.1): DENY, if it names a server */

#endif
