/*
 * The router: compiles the routes of a listener, and finds the first that a request meets. Immutable once compiled.
 */
#include "route/router_internal.h"

#include "http/target.h"
#include "route/split.h"

struct router {
	struct route *routes;
	size_t count;
	struct route_index index;
	struct pattern_list patterns;
	const struct reverse_mask *mask; /* of routes that have none of their own; NULL: none */
};

/* More routes than this are not compared with each other: the work grows with the square. */
enum { COVER_MAX = 4096 };

bool route_group_find(const char *const *groups, const char *name, struct setting_place place,
		      struct diagnostics *diagnostics, uint32_t *index)
{
	const char *near;

	for (uint32_t i = 0; groups && groups[i]; i++) {
		if (strcmp(groups[i], name) == 0) {
			*index = i;
			return true;
		}
	}
	near = groups ? diagnostics_suggest(name, groups) : NULL;
	if (near)
		diagnostics_error(diagnostics, place, "unknown upstream \"%s\", did you mean \"%s\"?", name,
				  near);
	else
		diagnostics_error(diagnostics, place,
				  "unknown upstream \"%s\": it has to be a key of \"upstreams\"", name);
	return false;
}

static bool compile_to(const struct route_settings *settings, const struct router_context *context,
		       struct route *route)
{
	route->action = ROUTE_TO;
	return split_compile(&settings->destination, context->groups, context->arena, context->diagnostics,
			     &route->group, &route->split);
}

static bool compile_mirror(const struct route_settings *settings, const struct router_context *context,
			   struct route *route)
{
	const struct mirror_settings *mirror = &settings->mirror;

	if (!mirror->to) /* there is none, or it was said that it is missing */
		return true;
	if (route->action != ROUTE_TO) {
		diagnostics_error(context->diagnostics, mirror->place,
				  "only a route with \"to\" has a \"mirror\"");
		return false;
	}
	route->mirror_percent = mirror->percent ? (uint32_t)mirror->percent : 100;
	return route_group_find(context->groups, mirror->to, mirror->to_place, context->diagnostics,
				&route->mirror_group);
}

/* Fields that say how a message is framed, or that Guise writes itself. */
static bool respond_may_carry(enum http_field_id id)
{
	switch (id) {
	case HTTP_FIELD_CONNECTION:
	case HTTP_FIELD_CONTENT_LENGTH:
	case HTTP_FIELD_CONTENT_TYPE:
	case HTTP_FIELD_DATE:
	case HTTP_FIELD_KEEP_ALIVE:
	case HTTP_FIELD_PROXY_CONNECTION:
	case HTTP_FIELD_TE:
	case HTTP_FIELD_TRAILER:
	case HTTP_FIELD_TRANSFER_ENCODING:
	case HTTP_FIELD_UPGRADE:
		return false;
	default:
		return true;
	}
}

static bool compile_respond_field(const struct setting_pair *pair, const struct router_context *context,
				  struct http_field *field)
{
	field->name = span_make(pair->name.text, pair->name.len);
	field->value = span_make(pair->value.text, pair->value.len);
	field->id = http_field_identify(field->name);
	if (!http_is_token(field->name)) {
		diagnostics_error(context->diagnostics, pair->name.place, "\"%s\" is not a field name",
				  pair->name.text);
		return false;
	}
	if (!respond_may_carry(field->id)) {
		diagnostics_error(
			context->diagnostics, pair->name.place, "%s cannot be set here: %s", pair->name.text,
			field->id == HTTP_FIELD_CONTENT_TYPE ? "use \"type\"" : "Guise writes it itself");
		return false;
	}
	if (!http_is_field_value(field->value)) {
		diagnostics_error(context->diagnostics, pair->value.place,
				  "the value of %s has a control byte", pair->name.text);
		return false;
	}
	return true;
}

static bool compile_respond(const struct route_settings *settings, const struct router_context *context,
			    struct route *route)
{
	const struct respond_settings *given = &settings->respond;
	struct route_respond *respond = &route->respond;
	bool good = true;

	route->action = ROUTE_RESPOND;
	respond->status = given->status ? (uint16_t)given->status : 200;
	respond->body = span_make(given->body.text, given->body.len);
	respond->type = span_of(given->type);
	if (respond->body.len > 0 &&
	    (respond->status == 204 || respond->status == 205 || respond->status == 304)) {
		diagnostics_error(context->diagnostics, given->body.place,
				  "a response with status %u has no body", respond->status);
		good = false;
	}
	if (!http_is_field_value(respond->type)) {
		diagnostics_error(context->diagnostics, given->type_place, "the type has a control byte");
		good = false;
	}
	if (respond->body.len > 0 && respond->type.len == 0)
		respond->type = SPAN("text/plain; charset=utf-8");
	respond->fields = arena_zalloc(context->arena, given->fields.count, sizeof(*respond->fields));
	if (!respond->fields) {
		diagnostics_error(context->diagnostics, given->place, "out of memory");
		return false;
	}
	for (size_t i = 0; i < given->fields.count; i++) {
		if (!compile_respond_field(&given->fields.items[i], context,
					   &respond->fields[respond->field_count++]))
			good = false;
	}
	return good;
}

static bool compile_redirect(const struct route_settings *settings, const struct router_context *context,
			     struct route *route)
{
	route->action = ROUTE_REDIRECT;
	route->redirect_status = settings->redirect_status ? (uint16_t)settings->redirect_status : 308;
	route->redirect = template_compile_location(span_of(settings->redirect), settings->redirect_place,
						    context->arena, context->diagnostics);
	return route->redirect != NULL;
}

static bool compile_action(const struct route_settings *settings, const struct router_context *context,
			   struct route *route)
{
	bool respond = settings->respond.place.line != 0;
	bool to = settings->destination.to.items != NULL;
	int given = to + respond + (settings->redirect != NULL);

	if (given != 1) {
		diagnostics_error(
			context->diagnostics, settings->place,
			"a route has exactly one of \"to\", \"respond\" and \"redirect\"; this one has %s",
			given ? "more" : "none");
		return false;
	}
	if (to)
		return compile_to(settings, context, route);
	return respond ? compile_respond(settings, context, route) : compile_redirect(settings, context, route);
}

static bool compile_set_host(const struct route_settings *settings, const struct router_context *context,
			     struct route *route)
{
	struct span text = span_of(settings->set_host ? settings->set_host : "preserve");
	struct http_authority authority;
	struct error error = ERROR_OK;

	if (span_equal(text, SPAN("preserve"))) {
		route->set_host = ROUTE_HOST_PRESERVE;
		return true;
	}
	if (span_equal(text, SPAN("server"))) {
		route->set_host = ROUTE_HOST_SERVER;
		return true;
	}
	route->set_host = ROUTE_HOST_FIXED;
	route->host = text;
	if (http_authority_parse(text, context->arena, &authority, &error))
		return true;
	diagnostics_error(context->diagnostics, settings->set_host_place,
			  "set_host \"%s\" is neither \"preserve\" nor \"server\" nor a host: %s",
			  settings->set_host, error_text(&error));
	return false;
}

static bool compile_edits(const struct edit_settings *settings, const struct router_context *context,
			  const struct edits **edits)
{
	return edits_compile(&settings->set, &settings->add, &settings->remove, context->arena,
			     context->diagnostics, edits);
}

static bool compile_route(struct router *router, const struct route_settings *settings,
			  const struct router_context *context, struct route *route)
{
	struct conditions *conditions = arena_zalloc(context->arena, 1, sizeof(*conditions));
	bool good;

	if (!conditions) {
		diagnostics_error(context->diagnostics, settings->place, "out of memory");
		return false;
	}
	route->place = settings->place;
	route->body_limit = settings->limits.body;
	route->conditions = conditions;
	good = conditions_compile(settings, context, &router->patterns, conditions);
	route->declares_host = settings->host.count > 0;
	good = compile_action(settings, context, route) && good;
	good = compile_mirror(settings, context, route) && good;
	good = compile_set_host(settings, context, route) && good;
	good = compile_edits(&settings->request, context, &route->request) && good;
	good = compile_edits(&settings->response, context, &route->response) && good;
	if (settings->mask.place.line)
		good = reverse_mask_compile(&settings->mask, context->inside, context->arena,
					    context->diagnostics, &route->mask) &&
		       good;
	else
		route->mask = router->mask;
	if (settings->rewrite.from || settings->rewrite.to) {
		route->rewrite = rewrite_compile(&settings->rewrite, context, &router->patterns);
		good = route->rewrite && good;
	}
	return good;
}

static void warn_of_covered(const struct router *router, struct diagnostics *diagnostics)
{
	for (size_t i = 1; i < router->count && i < COVER_MAX; i++) {
		const struct route *route = &router->routes[i];

		for (size_t j = 0; j < i; j++) {
			const struct route *earlier = &router->routes[j];

			if (!conditions_cover(earlier->conditions, route->conditions))
				continue;
			diagnostics_warning(
				diagnostics, route->place,
				"this route is never reached: route %zu (line %u) takes everything that it would",
				j, earlier->place.line);
			break;
		}
	}
}

struct router *router_compile(const struct reverse_settings *settings, const struct router_context *context)
{
	const struct route_settings *items = settings->routes.items;
	struct router *router = arena_zalloc(context->arena, 1, sizeof(*router));
	bool good = true;

	if (!router)
		goto memory;
	route_index_init(&router->index, context->arena);
	good = reverse_mask_compile(&settings->mask, context->inside, context->arena, context->diagnostics,
				    &router->mask);
	router->routes = arena_zalloc(context->arena, settings->routes.count, sizeof(*router->routes));
	if (!router->routes)
		goto memory;
	router->count = settings->routes.count;
	for (size_t i = 0; i < settings->routes.count; i++) {
		router->routes[i].index = (uint32_t)i;
		good = compile_route(router, &items[i], context, &router->routes[i]) && good;
	}
	if (!good)
		goto fail;
	for (size_t i = 0; i < router->count; i++) {
		if (!route_index_add(&router->index, router->routes[i].conditions, (uint32_t)i))
			goto memory;
	}
	warn_of_covered(router, context->diagnostics);
	return router;

memory:
	diagnostics_error(context->diagnostics, settings->place, "out of memory");
fail:
	router_free(router);
	return NULL;
}

void router_free(struct router *router)
{
	if (!router)
		return;
	for (size_t i = 0; i < router->count; i++)
		if (router->routes[i].mask != router->mask)
			reverse_mask_free(router->routes[i].mask);
	reverse_mask_free(router->mask);
	route_index_fini(&router->index);
	pattern_list_free(&router->patterns);
}

const struct reverse_mask *router_mask(const struct router *router)
{
	return router->mask;
}

size_t router_count(const struct router *router)
{
	return router->count;
}

const struct route *router_at(const struct router *router, size_t index)
{
	ENSURE(index < router->count);
	return &router->routes[index];
}

struct search {
	const struct router *router;
	const struct http_head *head;
	struct span path;
	struct pattern_scratch scratch;
	uint32_t best; /* the earliest so far that holds, or that cannot be judged */
	enum pattern_result result;
};

static bool try_list(void *context, const struct position_list *list, bool open)
{
	struct search *search = context;

	for (size_t i = 0; i < list->count && list->items[i] < search->best; i++) {
		const struct route *route = &search->router->routes[list->items[i]];
		enum pattern_result result = conditions_match(route->conditions, search->head, search->path,
							      open, &search->scratch);

		if (result == PATTERN_NO)
			continue;
		search->best = route->index;
		search->result = result;
		break;
	}
	return search->result != PATTERN_MEMORY;
}

bool router_match(const struct router *router, const struct http_head *head, struct arena *scratch,
		  struct route_match *match, struct error *error)
{
	struct search search = {
		.router = router,
		.head = head,
		.path = http_path_only(head->path),
		.scratch = {.arena = scratch},
		.best = UINT32_MAX,
		.result = PATTERN_NO,
	};

	*match = (struct route_match){.route = NULL};
	if (head->target_form != HTTP_TARGET_ASTERISK &&
	    !http_path_normalise(search.path, scratch, &search.path)) {
		*error = error_make(ERROR_BAD_TARGET, "the path cannot be normalised");
		return false;
	}
	(void)route_index_find(&router->index, &head->host, search.path, try_list, &search);
	switch (search.result) {
	case PATTERN_YES:
		match->route = &router->routes[search.best];
		match->path = search.path;
		return true;
	case PATTERN_NO:
		*error = error_make(ERROR_NO_ROUTE, NULL);
		return false;
	case PATTERN_LIMIT:
		*error = error_make(ERROR_INTERNAL, "the pattern of a route took too many steps");
		return false;
	case PATTERN_MEMORY:
		*error = error_make(ERROR_MEMORY, NULL);
		return false;
	}
	return false;
}
