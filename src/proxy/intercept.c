/*
 * See intercept.h.
 */
#include "proxy/intercept.h"

#include "exchange/raw.h"
#include "http/target.h"
#include "net/listener.h"
#include "proxy/proxy_internal.h"
#include "proxy/raw_client.h"

enum {
	METHOD_MOST = 24,
	SERVER_FIRST_MS = 1000, /* so long is nothing heard of a client whose server is to speak first */
};

/* ---- where to ---- */

struct address intercept_original(const struct proxy_listener *listener, int fd, const struct address *peer)
{
	struct address original;
	bool known = listener->intercept == INTERCEPT_REDIRECT ? listener_redirected(fd, peer, &original) :
								 listener_came_to(fd, &original);

	return known ? address_unmap(&original) : (struct address){0};
}

/* Why a connection that came here cannot be served as an intercepted one. */
static struct error intercept_fault(const struct proxy_listener *listener, const struct address *original)
{
	if (original->family == ADDRESS_NONE)
		return error_make(
			ERROR_WRONG_FACE,
			"the system did not send this connection here: where it was on the way to is not known");
	if (guard_is_own(listener->own, original))
		return error_make(
			ERROR_WRONG_FACE,
			"this port is for connections that the system sends here, and this one was made to it: it leads nowhere");
	return ERROR_OK;
}

/* ---- first bytes ---- */

/* Behind the method and its space: '/' or '*' (RFC 9112 3.2.1, 3.2.4), or an http URL, which servers take as well (3.2.2). */
static enum intercept_guess guess_target(struct span target)
{
	static const char scheme[] = "http://";
	size_t len = size_min(target.len, sizeof(scheme) - 1);

	if (target.len == 0)
		return INTERCEPT_IS_UNCLEAR;
	if (target.at[0] == '/' || target.at[0] == '*')
		return INTERCEPT_IS_HTTP;
	if (!span_equal_nocase(span_first(target, len), span_make(scheme, len)))
		return INTERCEPT_IS_OTHER;
	return len == sizeof(scheme) - 1 ? INTERCEPT_IS_HTTP : INTERCEPT_IS_UNCLEAR;
}

enum intercept_guess intercept_guess(struct span bytes)
{
	size_t len = 0;

	/* A record of the handshake begins with its type, 22 (RFC 8446 5.1); a request line with a method and a space (RFC 9112 3). */
	if (bytes.at[0] == 0x16)
		return INTERCEPT_IS_TLS;
	while (len < bytes.len && len < METHOD_MOST && ascii_is_alpha(bytes.at[len]))
		len++;
	if (len == bytes.len)
		return len < METHOD_MOST ? INTERCEPT_IS_UNCLEAR : INTERCEPT_IS_OTHER;
	if (len == 0 || bytes.at[len] != ' ' || span_equal(span_first(bytes, len), SPAN("PRI")))
		return INTERCEPT_IS_OTHER; /* RFC 9113 3.4: "PRI * HTTP/2.0" */
	return guess_target(span_from(bytes, len + 1));
}

/* Clients speak first there: who says nothing has connected ahead of its need. */
static bool client_speaks_first(const struct raw_client *client)
{
	return client->client.local.port == 80 || client->client.local.port == 443;
}

static enum raw_client_look intercept_look(struct raw_client *client, struct span bytes,
					   struct tls_client_hello *hello)
{
	switch (intercept_guess(bytes)) {
	case INTERCEPT_IS_TLS:
		break;
	case INTERCEPT_IS_HTTP:
		return RAW_CLIENT_HTTP;
	case INTERCEPT_IS_UNCLEAR:
		return RAW_CLIENT_MORE;
	case INTERCEPT_IS_OTHER:
	default:
		return RAW_CLIENT_GO;
	}
	enum tls_peek peek = tls_client_hello_peek(bytes, hello);
	client->tls = peek != TLS_PEEK_OTHER;
	return peek == TLS_PEEK_MORE ? RAW_CLIENT_MORE : RAW_CLIENT_GO;
}

/* What CONNECT would have asked for. */
static struct error intercept_describe(struct raw_client *client, struct exchange *x,
				       const struct tls_client_hello *hello)
{
	const struct address *original = &client->client.local;
	struct http_head *request = &x->request;
	struct error error = intercept_fault(client->listener, original);
	char literal[ADDRESS_TEXT];

	request->method = HTTP_METHOD_CONNECT;
	request->method_text = SPAN("CONNECT");
	request->target_form = HTTP_TARGET_AUTHORITY;
	request->scheme = client->tls ? SPAN("https") : SPAN("");
	struct span text = span_make(literal, address_format(original, literal));
	if (hello->name_len)
		text = arena_format(&x->arena, "%.*s:%u", hello->name_len, (const char *)hello->name,
				    original->port);
	text = arena_copy(&x->arena, text);
	request->authority = text;
	if (error_is(&error))
		return error;
	if (!text.at)
		return error_make(ERROR_MEMORY, NULL);
	return http_authority_read(text, &x->arena, request, &error) ? ERROR_OK : error;
}

static uint64_t intercept_patience(const struct raw_client *client, bool begun)
{
	const struct timeouts_settings *timeouts = client->listener->service.timeouts;

	if (begun)
		return timeouts->handshake;
	return client_speaks_first(client) ? timeouts->idle : SERVER_FIRST_MS;
}

static struct error intercept_on_late(const struct raw_client *client, bool begun)
{
	if (begun && client->tls)
		return error_make(ERROR_HANDSHAKE, "what began as a ClientHello did not end in time");
	if (client_speaks_first(client))
		return error_make(ERROR_REQUEST_TIMEOUT, NULL);
	return ERROR_OK;
}

static const struct raw_client_ops intercept_client_ops = {
	.look = intercept_look,
	.describe = intercept_describe,
	.patience = intercept_patience,
	.on_late = intercept_on_late,
	.cut_short = "the connection ended before it was known what it is",
};

bool intercept_open(struct conn *conn, const struct client *client, const struct service *service,
		    client_gone_fn *on_gone, void *owner)
{
	return raw_client_open(&intercept_client_ops, service->owner, conn, client, on_gone, owner);
}

/* ---- phases ---- */

/* Requests of HTTP/1 go to whom they name, and to the port that they were on the way to. */
static enum phase_result intercept_http_target(struct exchange *x, struct proxy_exchange *p)
{
	struct http_head *request = &x->request;
	const struct address *original = &x->client->local;
	struct error error = intercept_fault(p->listener, original);
	char literal[ADDRESS_TEXT];

	if (error_is(&error)) {
		exchange_fail(x, &error);
		return PHASE_DONE;
	}
	if (request->target_form == HTTP_TARGET_AUTHORITY)
		return phase_fail(x, ERROR_WRONG_FACE,
				  "CONNECT is for a proxy, and this connection was on the way to a server");
	if (request->target_form == HTTP_TARGET_ABSOLUTE && !span_equal(request->scheme, SPAN("http")))
		return phase_fail(x, ERROR_BAD_TARGET, "a connection in clear is not for https");
	if (request->authority.len == 0) { /* HTTP/1.0: whoever is there */
		struct span text = arena_copy(&x->arena, span_make(literal, address_format(original, literal)));
		if (!text.at || !http_authority_read(text, &x->arena, request, &error))
			return phase_fail(x, ERROR_MEMORY, NULL);
		p->authority = request->authority;
	}
	if (request->host.port && request->host.port != original->port)
		return phase_fail(x, ERROR_BAD_TARGET,
				  "Host names another port than the one that the connection was on the way to");
	request->host.port = original->port;
	request->scheme = SPAN("http");
	if (request->target_form == HTTP_TARGET_ORIGIN)
		request->target_form =
			HTTP_TARGET_ABSOLUTE; /* what it would have been, had the client known of us */
	p->forward.scheme = RULE_HTTP;
	return PHASE_NEXT;
}

enum phase_result intercept_target(struct exchange *x, struct proxy_exchange *p)
{
	bool raw = raw_stream_is(x->down);

	if (!raw && !p->explained)
		return intercept_http_target(x, p);
	/* A question of the operator has no connection; it asks for a tunnel by CONNECT. */
	bool tls = raw ? span_equal(x->request.scheme, SPAN("https")) :
			 x->request.target_form == HTTP_TARGET_AUTHORITY;
	p->forward.scheme = tls ? RULE_HTTPS : raw ? RULE_TUNNEL : RULE_HTTP;
	x->close_after = true;
	return PHASE_NEXT;
}

/* Only the address that the client was on the way to will do. */
static bool by_address(const struct proxy_exchange *p)
{
	return p->listener->intercept != INTERCEPT_OFF &&
	       p->listener->intercept_destination == INTERCEPT_ORIGINAL;
}

bool intercept_may_reuse(const struct proxy_exchange *p, const struct address *peer)
{
	return !by_address(p) || address_equal_ip(peer, &p->exchange->client->local);
}

unsigned intercept_filter(struct proxy_exchange *p, struct address *addresses, unsigned count,
			  struct error *error)
{
	struct exchange *x = p->exchange;
	const struct address *original = &x->client->local;
	char text[ADDRESS_TEXT];

	if (!by_address(p) || count == 0)
		return count;
	for (unsigned i = 0; i < count; i++)
		if (address_equal_ip(&addresses[i], original)) {
			addresses[0] = addresses[i];
			return 1;
		}
	p->detail = arena_format(&x->arena, "%.*s is not %.*s", SPAN_ARG(x->request.host.host),
				 (int)address_format_ip(original, text), text);
	*error = error_make(ERROR_MISDIRECTED, "the name does not stand for the address that was connected to");
	return 0;
}

/* ---- refusing ---- */

/* RFC 8446 6: an alert in clear, which a client takes as long as it has seen no answer; 2: fatal. */
enum { TLS_ALERT = 21, TLS_FATAL = 2, TLS_ACCESS_DENIED = 49, TLS_INTERNAL_ERROR = 80 };

static void send_alert(struct exchange *x, bool denied)
{
	static const uint8_t refused[] = {TLS_ALERT, 3, 3, 0, 2, TLS_FATAL, TLS_ACCESS_DENIED};
	static const uint8_t failed[] = {TLS_ALERT, 3, 3, 0, 2, TLS_FATAL, TLS_INTERNAL_ERROR};
	struct stream *down = x->down;

	exchange_open_tunnel(x);
	flow_reset(&x->request_body);
	flow_reset(&x->response_body);
	down->ops->stop(down);
	flow_set_source(&x->request_body, down);
	flow_set_sink(&x->response_body, down);
	flow_finish(&x->request_body, NULL);
	if (flow_push_static(&x->response_body, denied ? span_make(refused, sizeof(refused)) :
							 span_make(failed, sizeof(failed))) == FLOW_NO_MEMORY)
		exchange_abort(x, &(struct error){.code = ERROR_MEMORY});
	else
		flow_finish(&x->response_body, NULL);
}

void intercept_refuse(struct exchange *x, const struct error *error)
{
	unsigned status = error_status(error);

	if (span_equal(x->request.scheme, SPAN("https")) && status != 0) {
		x->response.status =
			(uint16_t)status; /* as a tunnel that was asked for would have had it, for the log */
		send_alert(x, status == 403);
	} else {
		exchange_abort(x, error);
	}
}
