/*
 * See explain.h; and the resource that answers with it.
 */
#include "admin/explain.h"

#include "admin/admin_internal.h"
#include "admin/explain_internal.h"
#include "http/target.h"
#include "route/judge.h"

enum {
	NEAR_MOST = 5,       /* routes that nearly matched, shown */
	NEAR_LOOK_MOST = 256 /* routes that are looked at for that */
};

struct writing {
	const struct admin *admin;
	const struct explain_asked *asked;
	struct explain *explain;
	struct json *json;
};

void explain_write_place(struct json *json, const struct admin *admin, const char *key,
			 struct setting_place place)
{
	if (place.line)
		json_put_format(json, key, "%s:%u:%u", admin->file ? admin->file : "guise", place.line,
				place.column);
	else
		json_put_null(json, key);
}

static void write_place(const struct writing *writing, const char *key, struct setting_place place)
{
	explain_write_place(writing->json, writing->admin, key, place);
}

/* ---- who listens ---- */

static void write_listener(const struct writing *writing)
{
	const struct explain_asked *asked = writing->asked;
	struct json *json = writing->json;

	json_open(json, "listener", '{');
	json_put_format(json, "name", "%s[%u]", asked->listener->face, asked->listener->index);
	json_put_text(json, "address", asked->listener->listener->text);
	write_place(writing, "place", asked->listener->place);
	json_put_text(json, "why", asked->why);
	json_open(json, "others", '[');
	for (size_t i = 0; i < writing->admin->listener_count; i++) {
		const struct admin_listener *other = &writing->admin->listeners[i];
		if (other != asked->listener && explain_listener_fits(asked, other))
			json_put_format(json, NULL, "%s[%u] on %.*s", other->face, other->index,
					SPAN_ARG(other->listener->text));
	}
	json_close(json, ']');
	json_close(json, '}');
}

/* ---- routes ---- */

static void write_conditions(struct json *json, const char *key, const struct judgement *judgements,
			     size_t count, bool failed_alone)
{
	json_open(json, key, '[');
	for (size_t i = 0; i < count; i++) {
		if (failed_alone && judgements[i].holds)
			continue;
		json_open(json, NULL, '{');
		json_put_text(json, "what", span_of(judgements[i].what));
		json_put_text(json, "text", judgements[i].text);
		json_put_bool(json, "holds", judgements[i].holds);
		json_close(json, '}');
	}
	json_close(json, ']');
}

static void write_route(const struct writing *writing, const struct route *route, struct span path)
{
	struct judgement judgements[JUDGE_MOST];
	struct json *json = writing->json;
	size_t count;

	if (!route_judge(route, &writing->explain->before, path, json->arena, judgements, JUDGE_MOST, &count))
		json->failed = true;
	json_open(json, "route", '{');
	json_put_number(json, "index", route->index);
	write_place(writing, "place", route->place);
	write_conditions(json, "conditions", judgements, json->failed ? 0 : count, false);
	json_close(json, '}');
}

/* One condition away. */
static bool write_near(const struct writing *writing, const struct route *route, struct span path)
{
	struct judgement judgements[JUDGE_MOST];
	struct json *json = writing->json;
	size_t count, failed = 0;

	if (!route_judge(route, &writing->explain->before, path, json->arena, judgements, JUDGE_MOST, &count)) {
		json->failed = true;
		return false;
	}
	for (size_t i = 0; i < count; i++)
		failed += !judgements[i].holds;
	if (failed != 1 || (count == 1 && writing->explain->match.route))
		return false; /* of a route with one condition that does not hold, nothing is near */
	json_open(json, NULL, '{');
	json_put_number(json, "index", route->index);
	write_place(writing, "place", route->place);
	write_conditions(json, "failed", judgements, count, true);
	json_close(json, '}');
	return true;
}

/* Of the routes before the one that matched, or of all. */
static void write_nearly(const struct writing *writing, struct span path)
{
	const struct router *router = writing->explain->listener->router;
	const struct route *match = writing->explain->match.route;
	size_t last = size_min(match ? match->index : router_count(router), NEAR_LOOK_MOST), shown = 0;

	json_open(writing->json, "nearly", '[');
	for (size_t i = 0; i < last && shown < NEAR_MOST && !writing->json->failed; i++)
		shown += write_near(writing, router_at(router, i), path);
	json_close(writing->json, ']');
}

/* Routes were looked for. */
static void write_routes(const struct writing *writing)
{
	const struct explain *explain = writing->explain;
	struct span path = http_path_only(explain->before.path);

	if (explain->match.route) {
		write_route(writing, explain->match.route, explain->match.path);
		write_nearly(writing, explain->match.path);
		return;
	}
	json_put_null(writing->json, "route");
	if (explain->error.code == ERROR_NO_ROUTE && http_path_normalise(path, writing->json->arena, &path))
		write_nearly(writing, path);
}

static void write_tcp_route(const struct writing *writing)
{
	const struct tcp_route *route = writing->explain->tcp_route;
	struct json *json = writing->json;

	if (!route) {
		json_put_null(json, "route");
		return;
	}
	json_open(json, "route", '{');
	json_put_number(json, "index", route->index);
	write_place(writing, "place", route->place);
	json_open(json, "conditions", '[');
	json_close(json, ']');
	json_close(json, '}');
}

/* ---- the request ---- */

static void write_field(struct json *json, const struct http_field *field)
{
	json_open(json, NULL, '[');
	json_put_text(json, NULL, field->name);
	json_put_text(json, NULL, field->value);
	json_close(json, ']');
}

static void write_fields(struct json *json, const char *key, const struct http_fields *fields)
{
	const struct http_field *field;
	uint32_t at = 0;

	json_open(json, key, '[');
	while ((field = http_fields_next(fields, &at)))
		write_field(json, field);
	json_close(json, ']');
}

static bool has_field(const struct http_fields *fields, const struct http_field *wanted)
{
	const struct http_field *field;
	uint32_t at = 0;

	while ((field = http_fields_next(fields, &at)))
		if (span_equal_nocase(field->name, wanted->name) && span_equal(field->value, wanted->value))
			return true;
	return false;
}

/* Those of one that the other does not have. */
static void write_missing(struct json *json, const char *key, const struct http_fields *fields,
			  const struct http_fields *other)
{
	const struct http_field *field;
	uint32_t at = 0;

	json_open(json, key, '[');
	while ((field = http_fields_next(fields, &at)))
		if (!has_field(other, field))
			write_field(json, field);
	json_close(json, ']');
}

static void write_head(struct json *json, const char *key, const struct http_head *head, struct span host)
{
	json_open(json, key, '{');
	json_put_text(json, "method", head->method_text);
	json_put_text(json, "path", head->path);
	if (host.len)
		json_put_text(json, "host", host);
	else
		json_put_null(json, "host");
	write_fields(json, "fields", &head->fields);
	json_close(json, '}');
}

/* What all servers that may be picked are told; empty: they are told different things. */
static struct span host_sent(const struct explain *explain)
{
	const struct upstream_view *view = explain->group ? explain->group->view : NULL;
	struct span host = {0};

	if (!view)
		return explain->x->request.authority;
	if (explain->server)
		return explain_host(explain, explain->server->fleet);
	for (unsigned i = 0; i < view->count; i++) {
		struct span one = explain_host(explain, view->servers[i]->fleet);
		if (host.len && !span_equal(host, one))
			return (struct span){0};
		host = one;
	}
	return host;
}

static void write_request(const struct writing *writing)
{
	const struct explain *explain = writing->explain;
	const struct http_head *before = &explain->before, *after = &explain->x->request;
	struct json *json = writing->json;

	write_head(json, "received", before, before->authority);
	if (explain->end != EXPLAIN_GOES_ON)
		return;
	if (before->method == HTTP_METHOD_CONNECT) {
		json_put_null(json, "sent"); /* a tunnel: what goes through it is not seen */
		return;
	}
	write_head(json, "sent", after, host_sent(explain));
	write_missing(json, "removed", &before->fields, &after->fields);
	write_missing(json, "added", &after->fields, &before->fields);
}

/* ---- how it ends ---- */

static void write_end(const struct writing *writing)
{
	static const char *const ends[] = {
		[EXPLAIN_REFUSED] = "refused", [EXPLAIN_ANSWERED] = "answered", [EXPLAIN_GOES_ON] = "goes_on"};
	const struct explain *explain = writing->explain;
	struct json *json = writing->json;

	json_put_text(json, "outcome", span_of(ends[explain->end]));
	json_put_text(json, "phase", span_of(explain->phase));
	if (explain->end == EXPLAIN_REFUSED) {
		json_open(json, "error", '{');
		json_put_text(json, "name", span_of(error_name((enum error_code)explain->error.code)));
		json_put_number(json, "status", error_status(&explain->error));
		json_put_text(json, "text", span_of(error_text(&explain->error)));
		if (explain->detail.len)
			json_put_text(json, "detail", explain->detail);
		json_close(json, '}');
	}
	if (explain->end == EXPLAIN_ANSWERED) {
		json_open(json, "answer", '{');
		json_put_number(json, "status", explain->x->response.status);
		write_fields(json, "fields", &explain->x->response.fields);
		json_put_number(json, "body_bytes", explain->body.len);
		json_close(json, '}');
	}
}

static void write_all(const struct writing *writing)
{
	const struct explain *explain = writing->explain;
	struct json *json = writing->json;

	json_open(json, NULL, '{');
	json_put_text(json, "url", writing->asked->ask->url);
	write_listener(writing);
	write_end(writing);
	if (explain->client_text.len)
		json_put_text(json, "client", explain->client_text);
	if (explain->user.len)
		json_put_text(json, "user", explain->user);
	if (explain->listener->face == PROXY_TCP)
		write_tcp_route(writing);
	else if (explain->listener->face == PROXY_REVERSE)
		write_routes(writing);
	if (explain->judged)
		explain_write_rules(json, writing->admin, explain);
	if (explain->listener->face != PROXY_TCP)
		write_request(writing);
	if (explain->group)
		explain_write_servers(json, writing->admin, explain);
	json_close(json, '}');
}

bool explain_write(const struct admin *admin, struct worker *worker, const struct explain_ask *ask,
		   struct json *json, struct explain_wrong *wrong)
{
	struct explain_asked asked = {.ask = ask, .arena = json->arena};
	struct explain *explain = arena_zalloc(json->arena, 1, sizeof(*explain));
	struct writing writing = {admin, &asked, explain, json};

	if (!explain_ask_read(admin, &asked, wrong))
		return false;
	*wrong = (struct explain_wrong){503, NULL, SPAN("out of memory")};
	if (!explain)
		return false;
	explain->worker = worker;
	explain->listener = asked.listener->listener;
	explain->client = (struct client){
		.address = asked.client,
		.local = explain->listener->service.local,
		.user = ask->user,
	};
	explain->head = asked.head;
	if (!explain_begin(explain))
		return false;
	write_all(&writing);
	explain_end(explain);
	return !json->failed;
}

/* ---- the resource ---- */

/* False: an answer has been given. */
static bool take_argument(struct admin_call *call, struct explain_ask *ask, struct span name, struct span value)
{
	const struct {
		struct span name, *to;
	} texts[] = {
		{SPAN("url"), &ask->url},           {SPAN("method"), &ask->method},
		{SPAN("client"), &ask->client},     {SPAN("user"), &ask->user},
		{SPAN("listener"), &ask->listener},
	};

	for (size_t i = 0; i < ARRAY_LENGTH(texts); i++)
		if (span_equal(name, texts[i].name)) {
			*texts[i].to = value;
			return true;
		}
	if (span_equal(name, SPAN("header")) && ask->header_count < EXPLAIN_HEADERS_MOST) {
		ask->headers[ask->header_count++] = value;
		return true;
	}
	if (span_equal(name, SPAN("via")) && span_equal(value, SPAN("forward"))) {
		ask->forward = true;
		return true;
	}
	if (span_equal(name, SPAN("header")) || span_equal(name, SPAN("via")))
		admin_refuse(call, 400, name.at[0] == 'v' ? "via" : "header",
			     name.at[0] == 'v' ? "\"via\" can be \"forward\"" :
						 "more than 64 fields are not explained");
	else
		admin_refuse(
			call, 400, NULL,
			"there is no \"%.*s\" to be said: there are url, method, header, client, user, listener, via",
			SPAN_ARG(span_first(name, size_min(name.len, 40))));
	return false;
}

void admin_explain_get(struct admin_call *call)
{
	struct explain_ask ask = {0};
	struct explain_wrong trouble;
	struct span name, value;
	struct json json;
	bool wrong;

	while (args_next(&call->query, &call->x->arena, &name, &value, &wrong))
		if (!take_argument(call, &ask, name, value))
			return;
	if (wrong) {
		admin_refuse(call, 400, NULL, "the query is not percent-encoded as it should be");
		return;
	}
	if (ask.url.len == 0) {
		admin_refuse(call, 400, "url", "which URL? as in /explain?url=http://example.com/");
		return;
	}
	json_start(&json, &call->x->arena);
	if (explain_write(call->admin, call->x->worker, &ask, &json, &trouble))
		admin_reply(call, &json);
	else
		admin_refuse(call, trouble.status, trouble.field, "%.*s", SPAN_ARG(trouble.text));
}
