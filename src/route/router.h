/*
 * The routes of one reverse listener, compiled: an immutable matcher that finds the first route whose conditions
 * hold. Built with the snapshot on the control thread; matched on all workers at once.
 *
 * Cost of a match does not grow with the number of routes whose exact host, wildcard host, exact path or path prefix
 * differs from the request's: those are found by hash. Only routes that share them, and those with patterns, are
 * tried one by one.
 */
#ifndef GUISE_ROUTE_ROUTER_H
#define GUISE_ROUTE_ROUTER_H

#include "core/diagnostic.h"
#include "core/error.h"
#include "http/head.h"
#include "mask/edit.h"
#include "mask/reverse_mask.h"
#include "route/settings.h"

struct rewrite;
struct split; /* route/split.h */
struct conditions;
struct router;

enum route_action { ROUTE_TO, ROUTE_RESPOND, ROUTE_REDIRECT };
enum route_host { ROUTE_HOST_PRESERVE, ROUTE_HOST_SERVER, ROUTE_HOST_FIXED };

struct route_respond {
	uint16_t status;
	struct span body, type; /* type empty: none was given */
	struct http_field *fields;
	size_t field_count;
};

struct route {
	uint32_t index; /* from 0, in file order */
	struct setting_place place;
	enum route_action action;

	uint32_t group;            /* ROUTE_TO: index in router_context.groups; of a split the first one's */
	const struct split *split; /* ROUTE_TO: which group it is, is for split_choose; NULL: `group` */
	uint32_t mirror_group;     /* the same, of `mirror` */
	uint32_t mirror_percent;   /* of its requests; 0: it has no mirror */
	struct route_respond respond;    /* ROUTE_RESPOND */
	const struct template *redirect; /* ROUTE_REDIRECT */
	uint16_t redirect_status;

	enum route_host set_host;
	struct span host;                       /* ROUTE_HOST_FIXED: what Host says */
	const struct edits *request, *response; /* NULL: nothing to edit */
	const struct reverse_mask *mask;        /* its own, or the listener's; NULL: none */
	bool declares_host; /* it has `host`: what the client asked for is a name that the configuration knows */
	uint64_t body_limit;                 /* bytes; 0 = the process's limit; UINT64_MAX = none */
	const struct rewrite *rewrite;       /* NULL: the path goes as it came */
	const struct conditions *conditions; /* the matcher's own */
};

/* What compiling needs from elsewhere. */
struct router_context {
	struct arena *arena; /* the snapshot's */
	struct diagnostics *diagnostics;
	const char *const *groups; /* names of the upstream groups, NULL-terminated; a route's group is an index in it */
	const struct inside *inside; /* what masks hide; NULL: nothing */
};

/*
 * NULL when there were errors (all of them are in the diagnostics) or memory ran out (then an error says so too).
 * Routes that can never match because an earlier one takes everything they would are warned of. `settings` must live
 * as long as the router.
 */
WARN_UNUSED struct router *router_compile(const struct reverse_settings *settings,
					  const struct router_context *context);
/* Gives back maps and patterns; the rest is the arena's. NULL is fine. */
void router_free(struct router *router);

struct route_match {
	const struct route *route;
	struct span path; /* normalised, without query: for route_rewrite; in the scratch arena or the head */
};

/*
 * Finds the first route for a request. False with the error: NO_ROUTE (404), BAD_TARGET (a path that cannot be
 * normalised), MEMORY, INTERNAL (a pattern gave up: then no later route is tried, as it might be the wrong one). Host
 * is compared without case and port; the path with case, percent-decoded and without dot segments.
 */
WARN_UNUSED bool router_match(const struct router *router, const struct http_head *head,
			      struct arena *scratch, struct route_match *match, struct error *error);

/*
 * The path with query to send to the server. *path is head->path where the route rewrites nothing or its `from` does
 * not match; else in the arena. What is sent never climbs out of `to`: dot segments are resolved first, and where
 * replacing makes new ones the request is refused (BAD_TARGET). Else False: MEMORY, INTERNAL (a pattern gave up).
 */
WARN_UNUSED bool route_rewrite(const struct route_match *match, const struct http_head *head,
			       struct arena *scratch, struct span *path, struct error *error);

/*
 * Whether the path of this request has a plain prefix replaced on its way to the server: `from` by `to`, both beginning with "/". For references
 * in the answer.
 */
bool route_replaces_prefix(const struct route_match *match, struct span *from, struct span *to);

/* The listener's mask, for answers to what no route takes; NULL: none. */
const struct reverse_mask *router_mask(const struct router *router);

size_t router_count(const struct router *router);
const struct route *router_at(const struct router *router, size_t index); /* index < router_count */

#endif
