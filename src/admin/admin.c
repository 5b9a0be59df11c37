/*
 * Requests of the operator: who may make them, which resource they are for, their bodies and answers. See admin.h; on the worker that accepted the
 * connection.
 *
 * Listening on loopback keeps other machines out, but not the web pages that somebody on this one looks at. A page may make the browser send
 * requests here, under a name of its own that resolves to 127.0.0.1 (DNS rebinding): the Host has to be one that no page can have. And it may
 * send a form without reading the answer: what changes anything takes JSON alone, and nothing that a browser says is from elsewhere.
 */
#include "admin/admin_internal.h"

#include "http/target.h"

#include <stdarg.h>

static admin_resource_fn admin_index_get;

static const struct admin_resource resources[] = {
	{"GET", "/", "what there is", admin_index_get},
	{"GET", "/explain", "what would become of a request: url, method, header, client, user, listener, via",
	 admin_explain_get},
	{"GET", "/upstreams", "all groups with their servers", admin_upstreams_get},
	{"GET", "/upstreams/{*}", "one group", admin_upstream_get},
	{"GET", "/upstreams/{*}/servers/{*}", "one server", admin_server_get},
	{"POST", "/upstreams/{*}/servers/{*}", "an order: state, weight", admin_server_post},
};

/* ---- answers ---- */

static bool admin_head(struct exchange *x, unsigned status)
{
	struct http_fields *fields = &x->response.fields;

	x->response = (struct http_head){.status = (uint16_t)status, .version = HTTP_VERSION_11};
	x->response.reason = span_of(http_status_reason(status));
	http_fields_init(fields, &x->arena);
	return http_fields_add_known(fields, HTTP_FIELD_CONTENT_TYPE, SPAN("application/json")) &&
	       http_fields_add_known(fields, HTTP_FIELD_CACHE_CONTROL, SPAN("no-store")) &&
	       http_fields_add(fields, HTTP_FIELD_OTHER, SPAN("X-Content-Type-Options"), SPAN("nosniff")) &&
	       http_fields_add(fields, HTTP_FIELD_OTHER, SPAN("Cross-Origin-Resource-Policy"),
			       SPAN("same-origin"));
}

static void admin_out_of_memory(struct exchange *x)
{
	exchange_abort(x, &(struct error){.code = ERROR_MEMORY});
}

void admin_reply(struct admin_call *call, struct json *json)
{
	struct span text = json_end(json);

	if (!text.at)
		admin_refuse(call, 503, NULL, "out of memory");
	else if (admin_head(call->x, 200))
		exchange_reply(call->x, text);
	else
		admin_out_of_memory(call->x);
}

/* RFC 9110 15.5.6: a 405 must say which methods there are. */
static bool admin_allow(struct admin_call *call)
{
	struct span path = call->x->request.path, query, found[ARGS_SEGMENTS], allow = {0};

	span_cut(path, '?', &path, &query);
	for (size_t i = 0; i < ARRAY_LENGTH(resources); i++) {
		bool get = strcmp(resources[i].method, "GET") == 0;
		if (!args_match(resources[i].path, path, &call->x->arena, found))
			continue;
		allow = arena_format(&call->x->arena, "%.*s%s%s%s", SPAN_ARG(allow), allow.len ? ", " : "",
				     resources[i].method, get ? ", HEAD" : "");
		if (!allow.at)
			return false;
	}
	return http_fields_add(&call->x->response.fields, HTTP_FIELD_OTHER, SPAN("Allow"), allow);
}

void admin_refuse(struct admin_call *call, unsigned status, const char *field, const char *format, ...)
{
	struct exchange *x = call->x;
	va_list arguments;
	struct json json;

	va_start(arguments, format);
	struct span why = arena_format_list(&x->arena, format, arguments);
	va_end(arguments);
	json_start(&json, &x->arena);
	json_open(&json, NULL, '{');
	json_put_number(&json, "status", status);
	json_put_text(&json, "error", why.at ? why : SPAN("out of memory"));
	if (field)
		json_put_text(&json, "field", span_of(field));
	json_close(&json, '}');
	struct span text = json_end(&json);
	if (text.at && admin_head(x, status) && (status != 405 || admin_allow(call)))
		exchange_reply(x, text);
	else
		admin_out_of_memory(x);
}

struct fleet_group *admin_group(struct admin_call *call, struct span name)
{
	struct fleet_group *group = fleet_group_find(call->admin->fleet, name);

	if (!group)
		admin_refuse(call, 404, NULL, "there is no upstream \"%.*s\"", SPAN_ARG(name));
	return group;
}

static void admin_index_get(struct admin_call *call)
{
	struct json json;

	json_start(&json, &call->x->arena);
	json_open(&json, NULL, '{');
	json_put_text(&json, "guise", SPAN(GUISE_VERSION));
	json_open(&json, "resources", '[');
	for (size_t i = 0; i < ARRAY_LENGTH(resources); i++) {
		json_open(&json, NULL, '{');
		json_put_text(&json, "method", span_of(resources[i].method));
		json_put_text(&json, "path", span_of(resources[i].path));
		json_put_text(&json, "summary", span_of(resources[i].summary));
		json_close(&json, '}');
	}
	json_close(&json, ']');
	json_close(&json, '}');
	admin_reply(call, &json);
}

/* ---- who may ask ---- */

/* Not a name that somebody else's name server answers for. Through a unix socket no browser comes. */
static bool is_asked_by_own_name(const struct exchange *x)
{
	const struct http_authority *host = &x->request.host;
	static const uint8_t loopback[16] = {[15] = 1};

	if (x->service->local.family == ADDRESS_UNIX || x->request.authority.len == 0)
		return true;
	switch (host->ip_family) {
	case ADDRESS_V4:
		return host->ip[0] == 127;
	case ADDRESS_V6:
		return memcmp(host->ip, loopback, sizeof(loopback)) == 0;
	default:
		return span_equal(host->host, SPAN("localhost"));
	}
}

/* "http://" and what Host says: a page that this interface itself has served. */
static bool is_own_origin(const struct exchange *x, struct span origin)
{
	struct span scheme = SPAN("http://");

	return span_starts_with(origin, scheme) &&
	       span_equal_nocase(span_from(origin, scheme.len), x->request.authority);
}

/* What a browser says of where a request comes from (Fetch Metadata; RFC 6454 7). Programs say nothing. */
static bool is_from_elsewhere(const struct exchange *x)
{
	const struct http_fields *fields = &x->request.fields;
	const struct http_field *site = http_fields_find_name(fields, SPAN("Sec-Fetch-Site"));
	const struct http_field *origin = http_fields_find_name(fields, SPAN("Origin"));

	if (site && !span_equal(site->value, SPAN("same-origin")) && !span_equal(site->value, SPAN("none")))
		return true;
	return origin && !is_own_origin(x, origin->value);
}

/* A form cannot have this type, and a script only after a question that is not answered (CORS preflight). */
static bool is_json(const struct exchange *x)
{
	const struct http_field *field = http_fields_find(&x->request.fields, HTTP_FIELD_CONTENT_TYPE);
	struct span type, rest;

	if (!field)
		return !http_head_has_body(&x->request);
	span_cut(field->value, ';', &type, &rest);
	return span_equal_nocase(span_trim(type), SPAN("application/json"));
}

/* ---- which resource ---- */

static bool has_method(const struct admin_resource *resource, struct span method)
{
	return span_equal(method, span_of(resource->method)) ||
	       (span_equal(method, SPAN("HEAD")) && strcmp(resource->method, "GET") == 0);
}

/* NULL after an answer. */
static const struct admin_resource *admin_find(struct admin_call *call)
{
	const struct http_head *request = &call->x->request;
	bool there = false;
	struct span path;

	span_cut(request->path, '?', &path, &call->query);
	for (size_t i = 0; i < ARRAY_LENGTH(resources); i++) {
		if (!args_match(resources[i].path, path, &call->x->arena, call->part))
			continue;
		if (has_method(&resources[i], request->method_text))
			return &resources[i];
		there = true;
	}
	if (there)
		admin_refuse(call, 405, NULL, "%.*s does not go with this", SPAN_ARG(request->method_text));
	else
		admin_refuse(call, 404, NULL, "there is nothing by that name; GET / lists what there is");
	return NULL;
}

/* ---- bodies ---- */

static struct admin_call *sink_call(struct stream *stream)
{
	return CONTAINER_OF(stream, struct admin_call, sink);
}

static void sink_on_head(struct stream *stream, const struct http_head *head)
{
	/* It was looked at before this stream was there. */
}

/* False: too much, or no memory; it was answered. */
static bool sink_take(struct admin_call *call)
{
	struct exchange *x = call->x;
	struct chunk_queue bytes = {0};
	size_t len;

	flow_take(call->sink.out, &bytes);
	len = bytes.bytes;
	if (!call->room)
		call->room = arena_alloc(&x->arena, ADMIN_BODY_MOST);
	bool fits = call->room && len <= ADMIN_BODY_MOST - call->body.len;
	for (const struct chunk *chunk = bytes.first; fits && chunk; chunk = chunk->next) {
		memcpy(call->room + call->body.len, chunk->at, chunk->len);
		call->body = span_make(call->room, call->body.len + chunk->len);
	}
	chunk_queue_clear(&x->worker->buffers, &bytes);
	if (fits) {
		flow_settle(call->sink.out, 0);
		return true;
	}
	exchange_fail(x, &(struct error){.code = call->room ? ERROR_BODY_TOO_LARGE : ERROR_MEMORY});
	return false;
}

static void sink_on_readable(struct stream *stream)
{
	struct admin_call *call = sink_call(stream);

	if (sink_take(call) && stream->out->fin)
		call->resource->run(call);
}

static void sink_on_credit(struct stream *stream)
{
	/* Brings nothing. */
}

static void sink_stop(struct stream *stream)
{
	/* Brings nothing. */
}

static void sink_abort(struct stream *stream, const struct error *error)
{
	/* In the exchange's arena, and holds nothing else. */
}

static void sink_detach(struct stream *stream)
{
	/* The same. */
}

static struct stream *sink_become_raw(struct stream *stream)
{
	return NULL;
}

static struct conn *sink_plain_conn(struct stream *stream)
{
	return NULL;
}

static const struct stream_ops sink_ops = {
	.name = "admin",
	.on_head = sink_on_head,
	.on_readable = sink_on_readable,
	.on_credit = sink_on_credit,
	.stop = sink_stop,
	.abort = sink_abort,
	.detach = sink_detach,
	.become_raw = sink_become_raw,
	.plain_conn = sink_plain_conn,
};

/* ---- the exchange ---- */

/* NULL: out of memory, and the exchange is over. */
static struct admin_call *admin_attach(struct exchange *x)
{
	if (x->proxy)
		return x->proxy;
	struct admin_call *call = arena_zalloc(&x->arena, 1, sizeof(*call));
	if (!call) {
		admin_out_of_memory(x);
		return NULL;
	}
	call->x = x;
	call->admin = x->service->owner;
	call->sink.ops = &sink_ops;
	x->proxy = call;
	return call;
}

/* What changes something: false after an answer. */
static bool admin_may_change(struct admin_call *call)
{
	struct exchange *x = call->x;

	if (is_from_elsewhere(x)) {
		admin_refuse(call, 403, NULL, "web pages from elsewhere give no orders here");
		return false;
	}
	if (!is_json(x)) {
		admin_refuse(call, 415, NULL, "an order is JSON: Content-Type: application/json");
		return false;
	}
	return true;
}

static void admin_on_request(struct exchange *x)
{
	struct admin_call *call = admin_attach(x);

	if (!call)
		return;
	if (!is_asked_by_own_name(x)) {
		admin_refuse(call, 403, NULL,
			     "ask for 127.0.0.1, [::1] or localhost: other names are not answered");
		return;
	}
	const struct admin_resource *resource = admin_find(call);
	if (!resource)
		return;
	call->resource = resource;
	if (strcmp(resource->method, "GET") == 0) {
		resource->run(call);
		return;
	}
	if (!admin_may_change(call))
		return;
	x->body_limit = ADMIN_BODY_MOST;
	if (x->request.body == HTTP_BODY_LENGTH && x->request.length > x->body_limit)
		exchange_fail(x, &(struct error){.code = ERROR_BODY_TOO_LARGE});
	else if (http_head_has_body(&x->request))
		exchange_set_up(x, &call->sink);
	else
		resource->run(call);
}

static void admin_on_refused(struct exchange *x, const struct error *error)
{
	struct admin_call *call = admin_attach(x);

	if (!call)
		return;
	if (error->code == ERROR_BODY_TOO_LARGE)
		x->close_after = true; /* RFC 9110 15.5.14 */
	admin_refuse(call, error_status(error), NULL, "%s", error_text(error));
}

/* The sink answers nothing, and does not fail. */
static void admin_on_response(struct exchange *x)
{
	exchange_abort(x, &(struct error){.code = ERROR_INTERNAL});
}

static void admin_on_up_failed(struct exchange *x, const struct error *error)
{
	exchange_abort(x, error);
}

static void admin_on_end(struct exchange *x)
{
	char text[ADDRESS_TEXT];

	if (!log_wants(x->worker->log, LOG_INFO))
		return;
	size_t len = client_log_text(x->worker, x->service->log_addresses, &x->client->address, text);
	log_say(x->worker->log, LOG_INFO, "admin: %.*s %.*s from %.*s: %u", SPAN_ARG(x->request.method_text),
		SPAN_ARG(http_path_only(x->request.path)), (int)len, text, x->response.status);
}

const struct exchange_ops admin_exchange_ops = {
	.on_request = admin_on_request,
	.on_response = admin_on_response,
	.on_up_failed = admin_on_up_failed,
	.on_refused = admin_on_refused,
	.on_end = admin_on_end,
};
