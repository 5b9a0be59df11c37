/*
 * Tunnels (CONNECT, upgrades): how long they may be silent, and when the kernel is asked to move their bytes. The bytes themselves
 * are the raw streams'.
 */
#include "exchange/raw.h"
#include "proxy/proxy_internal.h"

/* A tunnel that has moved this much is worth two pipes. */
enum { SPLICE_AFTER = 256 * 1024 };

/* How often within the timeout a tunnel is looked at: it ends between one timeout and a quarter more after its last byte. */
enum { LOOKS = 4 };

struct tunnel {
	struct exchange *exchange;
	struct timer timer;
	uint64_t seen;        /* bytes of both directions at the last look that found new ones */
	uint64_t seen_at;     /* loop clock, ms */
	uint64_t next_splice; /* bytes after which splice is tried (again) */
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
	tunnel->next_splice = SPLICE_AFTER;
	timer_init(&tunnel->timer, tunnel_look);
	p->tunnel = tunnel;
	if (x->service->timeouts->tunnel)
		loop_timer_start(&x->worker->loop, &tunnel->timer,
				 size_max(x->service->timeouts->tunnel / LOOKS, 1));
}

void tunnel_on_flushed(struct exchange *x, struct proxy_exchange *p)
{
	struct tunnel *tunnel = p->tunnel;

	if (!tunnel || tunnel_bytes(x) < tunnel->next_splice)
		return;
	if (!raw_splice(x))
		tunnel->next_splice = tunnel_bytes(x) + SPLICE_AFTER;
	else
		tunnel->next_splice = UINT64_MAX;
}

void tunnel_stop(struct exchange *x, struct proxy_exchange *p)
{
	if (p->tunnel)
		loop_timer_stop(&x->worker->loop, &p->tunnel->timer);
}
