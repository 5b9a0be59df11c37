/*
 * What is asked: the URL and the fields taken apart, the listener found, the request written as a client would send it. Pure.
 */
#include "admin/explain_internal.h"
#include "http/target.h"

#include <stdarg.h>

static bool wrong_because(struct explain_asked *asked, struct explain_wrong *wrong, unsigned status,
			  const char *field, const char *format, ...) PRINTF_LIKE(5, 6);

static bool wrong_because(struct explain_asked *asked, struct explain_wrong *wrong, unsigned status,
			  const char *field, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	struct span text = arena_format_list(asked->arena, format, arguments);
	va_end(arguments);
	*wrong = (struct explain_wrong){status, field, text.at ? text : SPAN("out of memory")};
	return false;
}

/* ---- the URL ---- */

/* As it can stand in a message. */
static struct span shown(struct span text)
{
	return span_first(text, size_min(text.len, 200));
}

static bool read_url(struct explain_asked *asked, struct explain_wrong *wrong)
{
	struct error error = ERROR_OK;
	struct span url, fragment;

	span_cut(asked->ask->url, '#', &url, &fragment); /* never leaves a browser (RFC 9110 7.1) */
	if (span_search(url, SPAN("://")) < 0)
		return wrong_because(asked, wrong, 400, "url",
				     "\"%.*s\" is no absolute URL; did you mean http://%.*s?",
				     SPAN_ARG(shown(url)), SPAN_ARG(shown(url)));
	asked->url.method = HTTP_METHOD_GET;
	if (!http_target_parse(url, asked->arena, &asked->url, &error))
		return wrong_because(asked, wrong, 400, "url", "\"%.*s\": %s", SPAN_ARG(shown(url)),
				     error_text(&error));
	return true;
}

static uint16_t url_port(const struct explain_asked *asked)
{
	return asked->url.host.port ? asked->url.host.port : http_scheme_port(asked->url.scheme);
}

static bool read_client(struct explain_asked *asked, struct explain_wrong *wrong)
{
	struct span client = asked->ask->client.len ? asked->ask->client : SPAN("127.0.0.1");

	if (address_parse_ip(client, &asked->client))
		return true;
	return wrong_because(asked, wrong, 400, "client", "\"%.*s\" is no IP address", SPAN_ARG(shown(client)));
}

/* ---- the listener ---- */

struct span explain_listener_name(const struct admin_listener *listener, struct arena *arena)
{
	return arena_format(arena, "%s[%u]", listener->face, listener->index);
}

static bool is_any(const struct address *address)
{
	static const uint8_t zero[16];

	return memcmp(address->ip, zero, address->family == ADDRESS_V4 ? 4 : 16) == 0;
}

/* Where the URL's host is an address, the listener has to be there. A name may stand for any. */
static bool is_at(const struct explain_asked *asked, const struct address *local)
{
	struct address wanted = {.family = asked->url.host.ip_family};

	if (wanted.family == ADDRESS_NONE)
		return true;
	memcpy(wanted.ip, asked->url.host.ip, sizeof(wanted.ip));
	if (is_any(local))
		return local->family == ADDRESS_V6 || wanted.family == ADDRESS_V4;
	return address_equal_ip(local, &wanted);
}

bool explain_listener_fits(const struct explain_asked *asked, const struct admin_listener *listener)
{
	const struct proxy_listener *proxy = listener->listener;
	const struct address *local = &proxy->service.local;

	if (asked->forward || proxy->face == PROXY_FORWARD)
		return asked->forward && proxy->face == PROXY_FORWARD;
	if (local->family == ADDRESS_UNIX || (local->port && local->port != url_port(asked)))
		return false;
	if (proxy->face == PROXY_REVERSE && !span_equal(proxy->service.scheme, asked->url.scheme))
		return false;
	return is_at(asked, local);
}

static bool is_named(const struct explain_asked *asked, const struct admin_listener *listener)
{
	struct span name = explain_listener_name(listener, asked->arena);

	return span_equal(asked->ask->listener, listener->listener->text) ||
	       (name.at && span_equal(asked->ask->listener, name));
}

/* "reverse[0] (http on 127.0.0.1:8080), ..." */
static struct span all_listeners(const struct admin *admin, struct arena *arena)
{
	struct span text = SPAN("");

	for (size_t i = 0; i < admin->listener_count && text.at && i < 10; i++) {
		const struct admin_listener *listener = &admin->listeners[i];
		const struct proxy_listener *proxy = listener->listener;
		text = arena_format(arena, "%.*s%s%s[%u] (%.*s%s%.*s)", SPAN_ARG(text), i ? ", " : "",
				    listener->face, listener->index,
				    proxy->face == PROXY_TCP ? 0 : (int)proxy->service.scheme.len,
				    (const char *)proxy->service.scheme.at,
				    proxy->face == PROXY_TCP ? "" : " on ", SPAN_ARG(proxy->text));
	}
	return text.at ? text : SPAN("out of memory");
}

static bool find_named(const struct admin *admin, struct explain_asked *asked, struct explain_wrong *wrong)
{
	struct span all = all_listeners(admin, asked->arena);

	for (size_t i = 0; i < admin->listener_count; i++)
		if (is_named(asked, &admin->listeners[i])) {
			asked->listener = &admin->listeners[i];
			asked->why = SPAN("it was asked for");
			return true;
		}
	return wrong_because(asked, wrong, 404, "listener", "there is no listener \"%.*s\"; there are: %.*s",
			     SPAN_ARG(shown(asked->ask->listener)), SPAN_ARG(all));
}

/* The first that fits; those of the reverse face first, as a request is more than a connection. */
static const struct admin_listener *first_fitting(const struct admin *admin,
						  const struct explain_asked *asked, bool raw)
{
	for (size_t i = 0; i < admin->listener_count; i++)
		if ((admin->listeners[i].listener->face == PROXY_TCP) == raw &&
		    explain_listener_fits(asked, &admin->listeners[i]))
			return &admin->listeners[i];
	return NULL;
}

static struct span why_it(const struct explain_asked *asked)
{
	const struct proxy_listener *proxy = asked->listener->listener;

	if (proxy->face == PROXY_FORWARD)
		return SPAN("a listener of the forward face takes any URL");
	return arena_format(asked->arena, "%s%.*s, port %u%s",
			    proxy->face == PROXY_TCP ? "takes connections as they come, " : "",
			    SPAN_ARG(asked->url.scheme), url_port(asked),
			    proxy->service.local.port ? "" : " (the listener's is found at start: any)");
}

/* Where there are no others, nobody has to say that. */
static bool is_forward_alone(const struct admin *admin)
{
	for (size_t i = 0; i < admin->listener_count; i++)
		if (admin->listeners[i].listener->face != PROXY_FORWARD)
			return false;
	return admin->listener_count > 0;
}

static bool find_listener(const struct admin *admin, struct explain_asked *asked, struct explain_wrong *wrong)
{
	struct span all;

	asked->forward = asked->ask->forward || is_forward_alone(admin);
	if (asked->ask->listener.len)
		return find_named(admin, asked, wrong);
	asked->listener = first_fitting(admin, asked, false);
	if (!asked->listener)
		asked->listener = first_fitting(admin, asked, true);
	if (asked->listener) {
		asked->why = why_it(asked);
		return true;
	}
	all = all_listeners(admin, asked->arena);
	if (asked->forward)
		return wrong_because(asked, wrong, 404, "via",
				     "there is no forward listener; there are: %.*s", SPAN_ARG(all));
	return wrong_because(asked, wrong, 404, "url",
			     "no listener takes %.*s on port %u there; there are: %.*s. \"listener\" chooses one",
			     SPAN_ARG(asked->url.scheme), url_port(asked), SPAN_ARG(all));
}

/* ---- the request ---- */

static bool read_header(struct explain_asked *asked, struct span header, struct span *name,
			struct explain_wrong *wrong)
{
	struct span value;

	if (!span_cut(header, ':', name, &value) || !http_is_token(*name) || !http_is_field_value(value))
		return wrong_because(asked, wrong, 400, "header",
				     "\"%.*s\" is no field, as in \"Name: value\"", SPAN_ARG(shown(header)));
	return true;
}

/* Each with its end of line; *host: Host is among them. */
static bool write_headers(struct explain_asked *asked, struct span *fields, bool *host,
			  struct explain_wrong *wrong)
{
	const struct explain_ask *ask = asked->ask;
	struct span parts[2 * EXPLAIN_HEADERS_MOST], name;
	unsigned count = 0;

	*host = false;
	for (size_t i = 0; i < ask->header_count; i++) {
		if (!read_header(asked, ask->headers[i], &name, wrong))
			return false;
		*host = *host || span_equal_nocase(name, SPAN("Host"));
		parts[count++] = ask->headers[i];
		parts[count++] = SPAN("\r\n");
	}
	*fields = arena_join(asked->arena, parts, count);
	return fields->at || wrong_because(asked, wrong, 503, NULL, "out of memory");
}

/* RFC 9112 3.2: origin-form for a server, absolute-form for a proxy, which opens a tunnel for https. */
static struct span request_line(struct explain_asked *asked, struct span method)
{
	const struct http_head *url = &asked->url;

	if (asked->listener->listener->face == PROXY_REVERSE)
		return arena_format(asked->arena, "%.*s %.*s", SPAN_ARG(method), SPAN_ARG(url->path));
	if (span_equal(url->scheme, SPAN("https")) || span_equal(method, SPAN("CONNECT")))
		return arena_format(asked->arena, "CONNECT %.*s%s", SPAN_ARG(url->authority),
				    url->host.port                         ? "" :
				    span_equal(url->scheme, SPAN("https")) ? ":443" :
									     ":80");
	return arena_format(asked->arena, "%.*s %.*s://%.*s%.*s", SPAN_ARG(method), SPAN_ARG(url->scheme),
			    SPAN_ARG(url->authority), SPAN_ARG(url->path));
}

static bool write_head(struct explain_asked *asked, struct explain_wrong *wrong)
{
	struct span method = asked->ask->method.len ? asked->ask->method : SPAN("GET"), fields, line;
	bool secured = span_equal(asked->url.scheme, SPAN("https")), host;

	if (!http_is_token(method))
		return wrong_because(asked, wrong, 400, "method", "\"%.*s\" is no method",
				     SPAN_ARG(shown(method)));
	if (asked->listener->listener->face == PROXY_TCP) {
		asked->head = secured && asked->url.host.ip_family == ADDRESS_NONE ? asked->url.host.host :
										     (struct span){0};
		return true;
	}
	if (!write_headers(asked, &fields, &host, wrong))
		return false;
	line = request_line(asked, method);
	if (line.at)
		asked->head = arena_format(asked->arena, "%.*s HTTP/1.1\r\n%s%.*s%s%.*s\r\n", SPAN_ARG(line),
					   host ? "" : "Host: ", host ? 0 : (int)asked->url.authority.len,
					   (const char *)asked->url.authority.at, host ? "" : "\r\n",
					   SPAN_ARG(fields));
	return asked->head.at || wrong_because(asked, wrong, 503, NULL, "out of memory");
}

bool explain_ask_read(const struct admin *admin, struct explain_asked *asked, struct explain_wrong *wrong)
{
	return read_url(asked, wrong) && read_client(asked, wrong) && find_listener(admin, asked, wrong) &&
	       write_head(asked, wrong);
}
