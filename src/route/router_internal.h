/*
 * What the files of the router share: the conditions of a route, the index by which routes are found, the rewrite.
 */
#ifndef GUISE_ROUTE_ROUTER_INTERNAL_H
#define GUISE_ROUTE_ROUTER_INTERNAL_H

#include "route/domain.h"
#include "route/pattern.h"
#include "route/router.h"

/* The index of the group of that name, in names that end with NULL (which may be NULL itself). False after diagnostics. */
WARN_UNUSED bool route_group_find(const char *const *groups, const char *name, struct setting_place place,
				  struct diagnostics *diagnostics, uint32_t *index);

enum path_kind { PATH_EXACT, PATH_PREFIX, PATH_PATTERN };

struct path_condition {
	enum path_kind kind;
	struct span text; /* normalised; of a pattern as it was written */
	const struct pattern *pattern;
};

enum field_kind { FIELD_EXACT, FIELD_PATTERN, FIELD_PRESENT, FIELD_ABSENT };

struct field_condition {
	enum field_kind kind;
	enum http_field_id id;
	struct span name, value;
	const struct pattern *pattern;
};

struct conditions {
	struct domain_pattern *hosts; /* none: any host */
	size_t host_count;
	struct path_condition *paths; /* none: any path */
	size_t path_count;
	bool path_patterns;   /* some are patterns */
	struct span *methods; /* none: any method */
	size_t method_count;
	struct field_condition *fields; /* all must hold */
	size_t field_count;
	struct field_condition *cookies; /* the same */
	size_t cookie_count;
};

/* False after diagnostics. All in context->arena but the patterns, which go to the list. */
WARN_UNUSED bool conditions_compile(const struct route_settings *settings, const struct router_context *context,
				    struct pattern_list *patterns, struct conditions *conditions);
/* Method, fields and cookies; with `open`, also the path's patterns, of which one must hold if the route has any path. Host and other paths
 * are what the index found the route by. */
enum pattern_result conditions_match(const struct conditions *conditions, const struct http_head *head,
				     struct span path, bool open, struct pattern_scratch *scratch);
/* One condition by itself. */
bool conditions_method_holds(const struct conditions *conditions, struct span method);
enum pattern_result conditions_field_holds(const struct field_condition *condition,
					   const struct http_fields *fields, struct pattern_scratch *scratch);
enum pattern_result conditions_cookie_holds(const struct field_condition *condition,
					    const struct http_fields *fields, struct pattern_scratch *scratch);
/* Whether every request that meets `narrow` meets `wide` too (as far as that can be told). */
bool conditions_cover(const struct conditions *wide, const struct conditions *narrow);

/* NULL after diagnostics. */
WARN_UNUSED const struct rewrite *rewrite_compile(const struct rewrite_settings *settings,
						  const struct router_context *context,
						  struct pattern_list *patterns);

/* Positions of routes, ascending. */
struct position_list {
	uint32_t *items;
	size_t count, capacity;
};

struct prefix_length {
	size_t length;
	bool slash; /* every prefix of this length ends in "/" */
};

/* The routes of one host pattern, by path. */
struct host_group {
	struct host_group *next;    /* all of an index, to be given back */
	struct map exact, prefixes; /* path -> struct position_list */
	struct prefix_length *lengths;
	size_t length_count, length_capacity;
	struct position_list open; /* any path, or patterns */
};

struct route_index {
	struct arena *arena;
	struct map exact, below; /* host -> struct host_group */
	struct host_group any;
	struct host_group *groups;
};

void route_index_init(struct route_index *index, struct arena *arena);
void route_index_fini(struct route_index *index);
/* Routes are added in their order. False: out of memory. */
WARN_UNUSED bool route_index_add(struct route_index *index, const struct conditions *conditions,
				 uint32_t position);

/* What a host is found by; `buffer` has room for ADDRESS_TEXT bytes. */
struct span route_host_key(const struct http_authority *host, char *buffer);
/* A run of candidates; `open`: the patterns of the path are still to be looked at. */
typedef bool route_candidates(void *context, const struct position_list *list, bool open);
/* Calls back for each list of routes that host and path may meet. Stops, and answers false, when a call does. */
bool route_index_find(const struct route_index *index, const struct http_authority *host, struct span path,
		      route_candidates *candidates, void *context);

#endif
