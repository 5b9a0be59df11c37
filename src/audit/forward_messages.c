/*
 * Methods, versions, what lies between two hops, trailers, and the way back: what a page could read in a response. See forward.h. The audit's thread.
 */
#include "audit/forward_internal.h"

#include "audit/ask.h"

#include <stdio.h>

static const char response_advice[] =
	"scripts of the page can read it: let the proxy add nothing to responses (Guise: \"mask: elite\"; Squid: \"via off\" and \"reply_header_access NAME deny all\")";

/* ---- the way back ---- */

static bool one_of(struct span name, const char *const *names)
{
	for (; *names; names++)
		if (span_equal_nocase(name, span_of(*names)))
			return true;
	return false;
}

/* What the observer says, and what every sender has of its own (see forward.c). */
static const char *const response_usual[] = {
	"Date",          "Server",     "Content-Type", "ETag",           "Cache-Control",     "Set-Cookie",
	"X-Audit-Own",   "Connection", "Keep-Alive",   "Content-Length", "Transfer-Encoding", "Content-Range",
	"Accept-Ranges", NULL,
};

/* Where a field of a response belongs among the channels. */
static const char *response_channel(struct span name)
{
	static const char *const caches[] = {"Age",          "Warning",
					     "X-Cache",      "X-Cache-Lookup",
					     "X-Cache-Hits", "X-Proxy-Cache",
					     "Cache-Status", NULL};

	if (span_equal_nocase(name, SPAN("Via")))
		return "response.via";
	if (span_equal_nocase(name, SPAN("Proxy-Status")))
		return "response.proxy-status";
	return one_of(name, caches) ? "response.cache" : "response.added";
}

static const char *response_title(const char *channel)
{
	if (strcmp(channel, "response.via") == 0)
		return "Via";
	if (strcmp(channel, "response.proxy-status") == 0)
		return "Proxy-Status";
	return strcmp(channel, "response.cache") == 0 ? "Fields of caches" :
							"Other fields, not of the server's";
}

static void inspect_server(struct forward_audit *audit, const struct forward_probe *probe)
{
	struct span server = wire_field_find(&probe->response, "Server");
	bool own = server.at && span_equal(server, SPAN("audit-origin/1"));

	forward_add(audit, "response.server", "Server",
		    own       ? AUDIT_UNSEEN :
		    server.at ? AUDIT_SEEN :
				AUDIT_ALTERED,
		    server.at ? GRADE_ELITE : AUDIT_NO_GRADE,
		    own       ? forward_nothing :
		    server.at ? server :
				SPAN("dropped"),
		    response_advice);
}

void forward_inspect_response(struct forward_audit *audit, const struct forward_probe *probe)
{
	const struct wire_message *response = &probe->response;

	for (unsigned i = 0; i < response->count; i++) {
		const struct wire_field *field = &response->fields[i];
		struct span line = arena_format(audit->arena, "%.*s: %.*s", SPAN_ARG(field->name),
						SPAN_ARG(field->value));
		const char *channel = response_channel(field->name);
		if (forward_names_client(audit, probe->client, field->value))
			forward_add(audit, "response.client-address", "The client's address, in any field",
				    AUDIT_SEEN, GRADE_ANONYMOUS, line, response_advice);
		if (!one_of(field->name, response_usual) && !span_equal_nocase(field->name, SPAN("X-Audit-Hop")))
			forward_add(audit, channel, response_title(channel), AUDIT_SEEN, GRADE_ELITE, line,
				    response_advice);
	}
	inspect_server(audit, probe);
}

static void audit_response(struct forward_audit *audit)
{
	static const char *const kept[] = {"ETag", "Set-Cookie", "X-Audit-Own", "Content-Type", NULL};
	static const char *const channels[] = {"response.via", "response.proxy-status", "response.cache",
					       "response.added", NULL};
	struct forward_probe probe = {.fields = SPAN("Accept: */*\r\n")};

	if (!forward_ask(audit, &probe) || probe.response.status != 200) {
		forward_add(audit, "response.fields", "Fields of responses", AUDIT_UNTESTED, GRADE_ELITE,
			    forward_outcome(audit, &probe), NULL);
		return;
	}
	forward_inspect(audit, &probe);
	forward_inspect_response(audit, &probe);
	for (const char *const *channel = channels; *channel; channel++)
		forward_add(audit, *channel, response_title(*channel), AUDIT_UNSEEN, GRADE_ELITE,
			    (struct span){0}, NULL);
	forward_add(audit, "response.client-address", "The client's address, in any field", AUDIT_UNSEEN,
		    GRADE_ANONYMOUS, (struct span){0}, NULL);
	for (const char *const *name = kept; *name; name++)
		if (!wire_field_find(&probe.response, *name).at)
			forward_add(audit, "own.response", "The server's own fields", AUDIT_ALTERED,
				    AUDIT_NO_GRADE, arena_format(audit->arena, "%s was dropped", *name), NULL);
	forward_add(audit, "own.response", "The server's own fields", AUDIT_UNSEEN, AUDIT_NO_GRADE,
		    (struct span){0}, NULL);
	if (wire_field_find(&probe.response, "X-Audit-Hop").at)
		forward_add(audit, "hop.response", "What is for the proxy alone", AUDIT_ALTERED,
			    AUDIT_NO_GRADE, SPAN("a field that Connection names got to the client"), NULL);
}

/* ---- methods ---- */

static void audit_method(struct forward_audit *audit, const char *method, bool body)
{
	static const struct span content = SPAN("audit-body");
	struct forward_probe probe = {
		.method = method,
		.fields = body ? SPAN("Content-Type: text/plain\r\nContent-Length: 10\r\n") : (struct span){0},
		.body = body ? content : (struct span){0},
	};
	enum audit_sight sight = AUDIT_UNSEEN;
	struct span saw = {0};
	char id[32];
	int len = snprintf(id, sizeof(id), "method.%s", method);

	for (int i = 0; i < len; i++)
		id[i] = (char)ascii_lower((uint8_t)id[i]);
	if (!forward_ask(audit, &probe)) {
		sight = AUDIT_ALTERED;
		saw = forward_outcome(audit, &probe);
	} else {
		const struct wire_message *seen = &probe.seen->http;
		forward_inspect(audit, &probe);
		if (!span_equal(seen->method, span_of(method)) || (body && !span_equal(seen->body, content))) {
			sight = AUDIT_ALTERED;
			saw = arena_format(audit->arena, "%.*s, %zu bytes of content", SPAN_ARG(seen->start),
					   seen->body.len);
		}
	}
	const struct audit_finding finding = {.id = id,
					      .title = span_of(method),
					      .sight = sight,
					      .needs = AUDIT_NO_GRADE,
					      .saw = saw,
					      .minor = true};
	audit_report_add(audit->report, &finding);
}

/* RFC 9110 9.3.8: a TRACE that gets through shows all that was added on the way to whoever asks. */
static void audit_trace(struct forward_audit *audit)
{
	struct forward_probe probe = {.method = "TRACE"};
	bool seen = forward_ask(audit, &probe);

	if (seen)
		forward_inspect(audit, &probe);
	forward_add(audit, "method.trace", "TRACE", seen ? AUDIT_SEEN : AUDIT_UNSEEN, AUDIT_NO_GRADE,
		    seen ? SPAN("gets to the server, which echoes what it got") :
			   forward_outcome(audit, &probe),
		    NULL);
}

/* RFC 9110 7.6.2 */
static void audit_max_forwards(struct forward_audit *audit)
{
	struct forward_probe probe = {.method = "OPTIONS", .fields = SPAN("Max-Forwards: 7\r\n")};
	struct span value = {0}, saw;
	bool kept;

	if (forward_ask(audit, &probe))
		value = wire_field_find(&probe.seen->http, "Max-Forwards");
	kept = value.at && span_equal(value, SPAN("7"));
	saw = value.at   ? arena_format(audit->arena, "7 becomes %.*s", SPAN_ARG(value)) :
	      probe.seen ? SPAN("dropped") :
			   forward_outcome(audit, &probe);
	forward_add(audit, "method.max-forwards", "Max-Forwards", value.at && !kept ? AUDIT_SEEN : AUDIT_UNSEEN,
		    AUDIT_NO_GRADE, kept ? forward_nothing : saw, NULL);
}

/* ---- between two hops (RFC 9110 7.6.1) ---- */

static void audit_hop(struct forward_audit *audit, const char *id, const char *title, const char *lines,
		      const char *name)
{
	struct forward_probe probe = {.fields = span_of(lines)};

	if (!forward_ask(audit, &probe)) {
		forward_add(audit, id, title, AUDIT_UNTESTED, GRADE_ELITE, forward_outcome(audit, &probe),
			    NULL);
		return;
	}
	struct span value = wire_field_find(&probe.seen->http, name);
	forward_add(audit, id, title, value.at ? AUDIT_SEEN : AUDIT_UNSEEN, GRADE_ELITE,
		    value.at ? arena_format(audit->arena, "%s: %.*s", name, SPAN_ARG(value)) : value,
		    "what is between client and proxy ends at the proxy (RFC 9110 7.6.1)");
}

static void audit_trailers(struct forward_audit *audit)
{
	struct forward_probe probe = {
		.method = "POST",
		.fields = SPAN("Transfer-Encoding: chunked\r\nTrailer: X-Real-IP\r\n"),
		.body = SPAN("5\r\naudit\r\n0\r\nX-Real-IP: 198.51.100.83\r\n\r\n"),
		.soon = true,
	};
	static const char id[] = "field.trailers", title[] = "Known names behind the content";

	if (!forward_ask(audit, &probe)) {
		forward_add(audit, id, title, AUDIT_UNTESTED, GRADE_ANONYMOUS, forward_outcome(audit, &probe),
			    NULL);
		return;
	}
	const struct wire_message *seen = &probe.seen->http;
	bool there = span_search(seen->trailers, SPAN("198.51.100.83")) >= 0 ||
		     span_search(seen->head, SPAN("198.51.100.83")) >= 0;
	forward_add(audit, id, title, there ? AUDIT_SEEN : AUDIT_UNSEEN, GRADE_ELITE,
		    there ? seen->trailers : (struct span){0},
		    "drop from trailers what is dropped from heads, or drop them all");
}

/* ---- versions ---- */

static void audit_version(struct forward_audit *audit, const char *version, const char *id)
{
	struct forward_probe probe = {.version = version};

	if (!forward_ask(audit, &probe)) {
		forward_add(audit, id, version, AUDIT_UNTESTED, GRADE_ELITE, forward_outcome(audit, &probe),
			    NULL);
		return;
	}
	forward_inspect(audit, &probe);
	struct span seen = probe.seen->http.version;
	/* A browser of these days that asks with 1.0 does so through a proxy. */
	bool older = strcmp(version, "HTTP/1.1") == 0 && span_equal(seen, SPAN("HTTP/1.0"));
	forward_add(audit, id, version, older ? AUDIT_SEEN : AUDIT_UNSEEN, GRADE_ELITE,
		    span_equal(seen, span_of(version)) ?
			    forward_nothing :
			    arena_format(audit->arena, "asked with %.*s", SPAN_ARG(seen)),
		    "the proxy speaks an older version to servers than its clients do");
}

/* The same request over HTTP/2: to a TLS listener by ALPN, to a plain one with prior knowledge. */
static bool ask_h2(struct forward_audit *audit, struct wire *wire, struct span token, struct ask_answer *answer)
{
	const struct parent_server *proxy = &audit->clients[0].proxy;
	struct ask request = {
		.method = SPAN("GET"),
		.target = token,
		.host = audit->place,
		.fields = {{SPAN("user-agent"), SPAN("audit/2")},
			   {SPAN("accept"), SPAN("*/*")},
			   {SPAN("x-forwarded-for"), SPAN("198.51.100.84")},
			   {SPAN("via"), SPAN("2 audit-hop")}},
		.count = 4,
	};

	if (proxy->authorization.len)
		request.fields[request.count++] =
			(struct wire_field){SPAN("proxy-authorization"), proxy->authorization};
	if (!wire_open_proxy(wire, proxy, &audit->clients[0].from, TLS_BLOCKING_HTTP2, forward_deadline(audit)))
		return false;
	return ask_http2(wire, &request, SPAN("http"), audit->arena, answer, forward_soon(audit));
}

static void audit_h2(struct forward_audit *audit)
{
	static const char id[] = "version.h2", title[] = "HTTP/2 to the proxy";
	struct span token = forward_token(audit);
	struct ask_answer answer = {0};
	struct forward_probe probe = {
		.fields = SPAN(
			"User-Agent: audit/2\r\nAccept: */*\r\nX-Forwarded-For: 198.51.100.84\r\nVia: 2 audit-hop\r\n")};
	struct wire wire;

	if (!token.at)
		return;
	wire_init(&wire);
	if (!ask_h2(audit, &wire, token, &answer))
		forward_add(audit, id, title, AUDIT_UNTESTED, GRADE_ELITE, SPAN("not spoken"), NULL);
	probe.seen = observer_wait(audit->observer, token, 0, deadline_now());
	if (probe.seen) {
		struct span head =
			arena_format(audit->arena, "GET / HTTP/1.1\r\n%.*s\r\n", SPAN_ARG(probe.fields));
		if (head.at)
			wire_message_parse(head, &probe.sent);
		bool there = span_search(probe.seen->http.head, SPAN("198.51.100.84")) >= 0;
		forward_inspect(audit, &probe);
		forward_add(audit, id, title, there ? AUDIT_SEEN : AUDIT_UNSEEN, GRADE_ELITE,
			    there ? SPAN("X-Forwarded-For: 198.51.100.84") :
				    arena_format(audit->arena, "the server was asked with %.*s",
						 SPAN_ARG(probe.seen->http.version)),
			    "what is dropped from requests of HTTP/1 is to be dropped from those of HTTP/2");
	} else if (answer.final.status) {
		forward_add(audit, id, title, AUDIT_UNTESTED, GRADE_ELITE,
			    arena_format(audit->arena, "the proxy answered %u", answer.final.status), NULL);
	}
	wire_close(&wire);
}

void forward_audit_messages(struct forward_audit *audit)
{
	static const char *const methods[] = {"GET", "HEAD", "OPTIONS", "DELETE"};
	static const char *const with_content[] = {"POST", "PUT", "PATCH"};

	for (size_t i = 0; i < ARRAY_LENGTH(methods); i++)
		audit_method(audit, methods[i], false);
	for (size_t i = 0; i < ARRAY_LENGTH(with_content); i++)
		audit_method(audit, with_content[i], true);
	audit_trace(audit);
	audit_max_forwards(audit);
	audit_version(audit, "HTTP/1.0", "version.1-0");
	audit_version(audit, "HTTP/1.1", "version.1-1");
	if (parent_speaks_http(&audit->clients[0].proxy))
		audit_h2(audit);
	audit_hop(audit, "hop.nominated", "Fields that Connection names",
		  "Connection: X-Audit-Nominated\r\nX-Audit-Nominated: between us\r\n", "X-Audit-Nominated");
	audit_hop(audit, "hop.keep-alive", "Keep-Alive",
		  "Connection: keep-alive\r\nKeep-Alive: timeout=77\r\n", "Keep-Alive");
	audit_trailers(audit);
	audit_response(audit);
}
