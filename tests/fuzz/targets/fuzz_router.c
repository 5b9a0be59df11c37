/*
 * Routes and rewrites: for any path, the index finds a route only by its own conditions, and no rewritten path climbs out of the
 * place that the rewrite gives, as the server would resolve it. The input is a path.
 */
#include "http/target.h"
#include "mask/edit.h"
#include "mask/template.h"
#include "route/judge.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct {
	const char *path, *from, *to;
} table[] = {
	{"/api/", "/api/", "/inside/"},
	{"/files*", "/files", "/inside/"},
	{"~^/p([^/]*)/(.*)$", "~^/p([^/]*)/(.*)$", "/inside/$2$1"},
	{"/", "/", "/inside/"},
};

static struct router *compile(struct arena *arena, struct diagnostics *diagnostics)
{
	static const char *const groups[] = {"web", NULL};
	static struct share_settings web = {.group = {.text = "web", .len = 3}, .weight = 1};
	struct router_context context = {.arena = arena, .diagnostics = diagnostics, .groups = groups};
	struct route_settings *items = arena_zalloc(arena, ARRAY_LENGTH(table), sizeof(*items));
	struct setting_string *paths = arena_zalloc(arena, ARRAY_LENGTH(table), sizeof(*paths));
	struct reverse_settings settings = {.routes = {.items = items, .count = ARRAY_LENGTH(table)}};

	ENSURE(items && paths);
	for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
		paths[i] = (struct setting_string){.text = table[i].path, .len = strlen(table[i].path)};
		items[i].path = (struct setting_strings){.items = &paths[i], .count = 1};
		items[i].rewrite = (struct rewrite_settings){.from = table[i].from, .to = table[i].to};
		items[i].destination.to = (struct setting_list){.items = &web, .count = 1};
	}
	return router_compile(&settings, &context);
}

static bool holds(const struct route *route, const struct http_head *head, struct span path, struct arena *arena)
{
	struct judgement judgements[JUDGE_MOST];
	size_t count;

	ENSURE(route_judge(route, head, path, arena, judgements, JUDGE_MOST, &count));
	for (size_t i = 0; i < count; i++)
		if (!judgements[i].holds)
			return false;
	return true;
}

/* The route that matched is the first of which all conditions hold, each by itself. */
static void judge(const struct router *router, const struct http_head *head, const struct route_match *match,
		  struct arena *arena)
{
	for (size_t i = 0; i < match->route->index; i++)
		ENSURE(!holds(router_at(router, i), head, match->path, arena));
	ENSURE(holds(match->route, head, match->path, arena));
}

static void look(const struct router *router, struct http_head *head, struct arena *arena)
{
	struct error error = ERROR_OK;
	struct route_match match;
	struct span sent, normal;

	if (!router_match(router, head, arena, &match, &error)) {
		ENSURE(error_is(&error));
		return;
	}
	if (!route_rewrite(&match, head, arena, &sent, &error)) {
		ENSURE(error_is(&error));
		return;
	}
	judge(router, head, &match, arena);
	ENSURE(http_path_normalise(http_path_only(sent), arena, &normal));
	ENSURE(span_starts_with(normal, SPAN("/inside/")));
	ENSURE(span_equal(http_query_only(sent), http_query_only(head->path)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct diagnostics diagnostics;
	struct memory memory;
	struct arena arena;
	struct router *router;
	struct http_head head = {.method_text = SPAN("GET"), .scheme = SPAN("http"), .version = HTTP_VERSION_11};
	struct error error;

	memory_init(&memory, 0);
	arena_init(&arena, &memory, NULL, NULL, 0);
	diagnostics_init(&diagnostics, &arena, "fuzz");
	http_fields_init(&head.fields, &arena);
	router = compile(&arena, &diagnostics);
	ENSURE(router);
	head.method = HTTP_METHOD_GET;
	if (http_target_parse(span_make(data, size), &arena, &head, &error) &&
	    head.target_form == HTTP_TARGET_ORIGIN)
		look(router, &head, &arena);
	router_free(router);
	arena_fini(&arena);
	ENSURE(atomic_load(&memory.used) == 0);
	return 0;
}
