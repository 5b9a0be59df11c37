/*
 * Tunnels (CONNECT, upgrades): how long they may be silent. The bytes themselves are the raw streams', or, between two bare sockets, a
 * relay's.
 */
#include "exchange/raw.h"
#include "proxy/detached.h"
#include "proxy/proxy_internal.h"

/* How often within the timeout a tunnel is looked at: it ends between one timeout and a quarter more after its last byte. */
enum { LOOKS = 4 };

struct tunnel {
	struct exchange *exchange;
	struct timer timer;
	uint64_t seen;    /* bytes of both directions at the last look that found new ones */
	uint64_t seen_at; /* loop clock, ms */
};

static uint64_t tunnel_bytes(const struct exchange *x)
{
	return x->request_body.total + x->response_body.total;
}

static void tunnel_look(struct timer *timer)
{
	struct tunnel *tunnel = CONTAINER_OF(timer, struct tunnel, timer);
	struct exchange *x = tunnel->exchange;
	struct loop *loop = &x->worker->loop;
	uint64_t timeout = x->service->timeouts->tunnel;

	if (tunnel->seen != tunnel_bytes(x)) {
		tunnel->seen = tunnel_bytes(x);
		tunnel->seen_at = loop->now;
	} else if (loop->now - tunnel->seen_at >= timeout) {
		exchange_abort(x, &(struct error){.code = ERROR_TUNNEL_IDLE});
		return;
	}
	loop_timer_start(loop, timer, size_max(timeout / LOOKS, 1));
}

void tunnel_start(struct exchange *x, struct proxy_exchange *p)
{
	struct tunnel *tunnel = arena_zalloc(&x->arena, 1, sizeof(*tunnel));

	if (!tunnel) {
		exchange_abort(x, &(struct error){.code = ERROR_MEMORY});
		return;
	}
	tunnel->exchange = x;
	tunnel->seen_at = x->worker->loop.now;
	timer_init(&tunnel->timer, tunnel_look);
	p->tunnel = tunnel;
	if (x->service->timeouts->tunnel)
		loop_timer_start(&x->worker->loop, &tunnel->timer,
				 size_max(x->service->timeouts->tunnel / LOOKS, 1));
}

void tunnel_on_flushed(struct exchange *x, struct proxy_exchange *p)
{
	if (p->tunnel && !detached_begin(x, p))
		(void)raw_relay(x); /* where it cannot be, everything goes on as it is */
}

void tunnel_stop(struct exchange *x, struct proxy_exchange *p)
{
	if (p->tunnel)
		loop_timer_stop(&x->worker->loop, &p->tunnel->timer);
}
