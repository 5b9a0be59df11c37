/*
 * The routes of a tcp listener. One map holds all names, each with the first route that takes the name itself and the first that takes what is
 * below it. Built with a snapshot, then only read.
 */
#include "route/tcp_route.h"

#include "route/domain.h"
#include "route/router_internal.h"
#include "route/split.h"

static const uint32_t none = UINT32_MAX;

/* Indices of routes; `none` where there is none. */
struct tcp_name {
	uint32_t exact, below;
};

struct tcp_router {
	struct tcp_route *routes;
	size_t count;
	bool by_name;
	uint32_t any; /* the first route for any name, or `none` */
	struct map names;
	struct arena *arena;
};

/* The first route that takes the name, those that take any name among them. */
static uint32_t find(const struct tcp_router *router, struct span name)
{
	uint32_t best = router->any;
	const struct tcp_name *entry = name.len ? map_get(&router->names, name) : NULL;

	if (entry && entry->exact < best)
		best = entry->exact;
	for (name = domain_parent(name); name.len; name = domain_parent(name)) {
		entry = map_get(&router->names, name);
		if (entry && entry->below < best)
			best = entry->below;
	}
	return best;
}

/* Whether earlier routes take all that the pattern stands for. */
static bool covered(const struct tcp_router *router, const struct domain_pattern *pattern)
{
	const struct tcp_name *entry = map_get(&router->names, pattern->name);
	bool exact = !(pattern->reach & DOMAIN_EXACT) || find(router, pattern->name) != none;
	/* What takes all that is below the parent takes all that is below the name. */
	bool below = !(pattern->reach & DOMAIN_BELOW) || (entry && entry->below != none) || router->any != none;

	for (struct span up = domain_parent(pattern->name); up.len && !below; up = domain_parent(up)) {
		entry = map_get(&router->names, up);
		below = entry && entry->below != none;
	}
	return exact && below;
}

/* False: out of memory. */
static bool add_name(struct tcp_router *router, const struct domain_pattern *pattern, uint32_t index)
{
	struct tcp_name *entry = map_get(&router->names, pattern->name);

	if (!entry) {
		entry = arena_alloc(router->arena, sizeof(*entry));
		if (!entry || !map_put(&router->names, pattern->name, entry))
			return false;
		*entry = (struct tcp_name){none, none};
	}
	if ((pattern->reach & DOMAIN_EXACT) && entry->exact == none)
		entry->exact = index;
	if ((pattern->reach & DOMAIN_BELOW) && entry->below == none)
		entry->below = index;
	return true;
}

static void warn_of_covered(const struct tcp_router *router, const struct tcp_route *route,
			    struct diagnostics *diagnostics)
{
	if (router->any == none)
		diagnostics_warning(diagnostics, route->place,
				    "this route is never reached: the routes before it take all its names");
	else
		diagnostics_warning(
			diagnostics, route->place,
			"this route is never reached: route %u (line %u) takes everything that it would",
			router->any, router->routes[router->any].place.line);
}

/* NULL, or why it is none (static text). */
static const char *parse_name(struct span text, struct arena *arena, struct domain_pattern *pattern)
{
	if (span_equal(text, SPAN("*")))
		return "a route for any name has no \"sni\"";
	const char *why = domain_pattern_parse(text, arena, pattern);
	if (!why && pattern->literal)
		why = "an address is no name: clients do not send addresses (RFC 6066 3)";
	return why;
}

static bool compile_names(struct tcp_router *router, const struct tcp_route_settings *settings,
			  uint32_t index, struct diagnostics *diagnostics)
{
	bool good = true, reached = false;

	for (size_t i = 0; i < settings->sni.count; i++) {
		const struct setting_string *text = &settings->sni.items[i];
		struct domain_pattern pattern;
		const char *why = parse_name(span_make(text->text, text->len), router->arena, &pattern);
		if (why) {
			diagnostics_error(diagnostics, text->place, "\"sni\" cannot be \"%s\": %s",
					  text->text, why);
			good = false;
			continue;
		}
		reached |= !covered(router, &pattern);
		if (!add_name(router, &pattern, index)) {
			diagnostics_error(diagnostics, text->place, "out of memory");
			return false;
		}
	}
	if (settings->sni.count == 0) {
		reached = router->any == none;
		if (reached)
			router->any = index;
	}
	if (good && !reached)
		warn_of_covered(router, &router->routes[index], diagnostics);
	return good;
}

static bool compile_route(struct tcp_router *router, const struct tcp_route_settings *settings,
			  uint32_t index, const char *const *groups, struct diagnostics *diagnostics)
{
	struct tcp_route *route = &router->routes[index];
	bool good = true;

	*route = (struct tcp_route){.index = index, .place = settings->place};
	if (settings->sni.place.line && settings->sni.count == 0) {
		diagnostics_error(diagnostics, settings->sni.place,
				  "\"sni\" has no name: a route for any name has no \"sni\"");
		return false;
	}
	if (settings->destination.to.items) /* else it was said that it is missing */
		good = split_compile(&settings->destination, groups, router->arena, diagnostics,
				     &route->group, &route->split);
	return compile_names(router, settings, index, diagnostics) && good;
}

/* `to` of the listener: one route, for everything. */
static bool compile_single(struct tcp_router *router, const struct tcp_settings *settings,
			   const char *const *groups, struct diagnostics *diagnostics)
{
	router->routes[0] = (struct tcp_route){.place = settings->place};
	router->any = 0;
	return split_compile(&settings->destination, groups, router->arena, diagnostics,
			     &router->routes[0].group, &router->routes[0].split);
}

static bool compile_all(struct tcp_router *router, const struct tcp_settings *settings,
			const char *const *groups, struct diagnostics *diagnostics)
{
	const struct tcp_route_settings *items = settings->routes.items;
	bool good = true;

	if (!router->by_name)
		return compile_single(router, settings, groups, diagnostics);
	for (uint32_t i = 0; i < router->count; i++)
		good = compile_route(router, &items[i], i, groups, diagnostics) && good;
	return good;
}

struct tcp_router *tcp_router_compile(const struct tcp_settings *settings, struct arena *arena,
				      const char *const *groups, struct diagnostics *diagnostics)
{
	bool by_name = settings->routes.count > 0;

	if ((settings->destination.to.items != NULL) + by_name != 1) {
		diagnostics_error(diagnostics, settings->place,
				  "a tcp listener has either \"to\" or \"routes\"; this one has %s",
				  by_name ? "both" : "none");
		return NULL;
	}
	struct tcp_router *router = arena_zalloc(arena, 1, sizeof(*router));
	size_t count = by_name ? settings->routes.count : 1;
	struct tcp_route *routes = arena_zalloc(arena, count, sizeof(*routes));
	if (!router || !routes) {
		diagnostics_error(diagnostics, settings->place, "out of memory");
		return NULL;
	}
	*router = (struct tcp_router){
		.routes = routes, .count = count, .by_name = by_name, .any = none, .arena = arena};
	map_init(&router->names, arena->memory);
	if (compile_all(router, settings, groups, diagnostics))
		return router;
	tcp_router_free(router);
	return NULL;
}

void tcp_router_free(struct tcp_router *router)
{
	if (router)
		map_fini(&router->names);
}

bool tcp_router_by_name(const struct tcp_router *router)
{
	return router->by_name;
}

const struct tcp_route *tcp_router_match(const struct tcp_router *router, struct span name)
{
	uint32_t index = find(router, name);

	return index == none ? NULL : &router->routes[index];
}

size_t tcp_router_count(const struct tcp_router *router)
{
	return router->count;
}

const struct tcp_route *tcp_router_at(const struct tcp_router *router, size_t index)
{
	ENSURE(index < router->count);
	return &router->routes[index];
}
