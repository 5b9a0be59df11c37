/*
 * The tcp face. A connection is an exchange whose both ends are raw from the beginning; where routes go by name, the ClientHello is read before that,
 * and handed on as it came. On the worker that accepted.
 */
#include "proxy/tcp.h"

#include "exchange/raw.h"
#include "proxy/proxy_internal.h"
#include "proxy/raw_client.h"
#include "route/split.h"

/* ---- the client's end ---- */

static enum raw_client_look tcp_look(struct raw_client *client, struct span bytes,
				     struct tls_client_hello *hello)
{
	/* What is no ClientHello has no name either. */
	return tls_client_hello_peek(bytes, hello) == TLS_PEEK_MORE ? RAW_CLIENT_MORE : RAW_CLIENT_GO;
}

static struct error tcp_describe(struct raw_client *client, struct exchange *x,
				 const struct tls_client_hello *hello)
{
	x->request.authority = arena_copy(&x->arena, span_make(hello->name, hello->name_len));
	return x->request.authority.at ? ERROR_OK : error_make(ERROR_MEMORY, NULL);
}

/* The whole hello in the time of a handshake. */
static uint64_t tcp_patience(const struct raw_client *client, bool begun)
{
	if (begun || !tcp_router_by_name(client->listener->tcp))
		return 0;
	return client->listener->service.timeouts->handshake;
}

static struct error tcp_on_late(const struct raw_client *client, bool begun)
{
	return error_make(ERROR_HANDSHAKE, "no ClientHello came in time");
}

static const struct raw_client_ops tcp_client_ops = {
	.look = tcp_look,
	.describe = tcp_describe,
	.patience = tcp_patience,
	.on_late = tcp_on_late,
	.cut_short = "the connection ended inside a ClientHello",
	.silence_is_told = true,
};

bool tcp_open(struct conn *conn, const struct client *client, const struct service *service,
	      client_gone_fn *on_gone, void *owner)
{
	return raw_client_open(&tcp_client_ops, service->owner, conn, client, on_gone, owner);
}

/* ---- phases ---- */

static enum phase_result tcp_route(struct exchange *x, struct proxy_exchange *p)
{
	p->tcp_route = tcp_router_match(p->listener->tcp, p->authority);
	if (p->tcp_route)
		return PHASE_NEXT;
	return phase_fail(x, ERROR_NO_ROUTE,
			  p->authority.len ? "no route takes this name" :
					     "no route takes a connection without a name");
}

static struct proxy_exchange *tcp_owner(struct acquire *acquire)
{
	return CONTAINER_OF(acquire, struct proxy_exchange, hand_over.acquire);
}

static void tcp_on_conn(struct acquire *acquire, struct conn *conn)
{
	struct proxy_exchange *p = tcp_owner(acquire);
	struct exchange *x = p->exchange;
	struct stream *up =
		raw_stream_new(x, conn, &x->response_body, &x->request_body, NULL, false, NULL, NULL);
	if (!up) {
		conn_close(conn);
		exchange_fail(x, &(struct error){.code = ERROR_MEMORY});
		return;
	}
	hand_over_on_connected(p);
	exchange_set_up(x, up);
	exchange_open_tunnel(x);
	tunnel_start(x, p);
}

static void tcp_on_no_conn(struct acquire *acquire, const struct error *error)
{
	struct proxy_exchange *p = tcp_owner(acquire);

	hand_over_on_failed(p->exchange, p, error);
}

static const struct acquire_ops tcp_acquire_ops = {
	.on_conn = tcp_on_conn,
	.on_failed = tcp_on_no_conn,
};

/* Nothing has left for a server before one is connected: another one is always a good try. */
void tcp_try(struct exchange *x, struct proxy_exchange *p)
{
	struct hand_over *hand = &p->hand_over;
	struct acquire_wish wish = {
		.kind = ACQUIRE_CONN,
		.source = &x->client->address,
		.destination = &x->client->local,
		.began_us = &hand->ticket.began_us,
	};

	if (!acquire_start(&hand->acquire, &tcp_acquire_ops, hand->group, hand->ticket.server, &wish))
		exchange_fail(x, &(struct error){.code = ERROR_MEMORY});
}

static enum phase_result tcp_choose(struct exchange *x, struct proxy_exchange *p)
{
	const struct tcp_route *route = p->tcp_route;

	p->group = route->split ? split_choose(route->split, NULL, &p->origin.client, &x->worker->random) :
				  route->group;
	if (!hand_over_choose(x, p, upstream_group(x->worker, p->group)))
		return phase_fail(x, ERROR_MEMORY, NULL);
	return PHASE_NEXT;
}

static enum phase_result tcp_hand_over(struct exchange *x, struct proxy_exchange *p)
{
	hand_over_begin(x, p, upstream_group(x->worker, p->group));
	return PHASE_DONE;
}

const struct phase tcp_phases[] = {
	{"route", tcp_route},
	{"choose", tcp_choose},
	{"hand over", tcp_hand_over},
	{0},
};
