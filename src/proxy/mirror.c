/*
 * See mirror.h. On the exchange's worker; a mirror lies in the arena of its own exchange, and may outlive the one whose request it has.
 *
 * Mirrors have no line in the access log, which is for what clients asked; one that fails is told in the error log, for who looks for it (level
 * debug).
 */
#include "proxy/mirror.h"

#include "exchange/pin.h"
#include "exchange/subrequest.h"
#include "http/connection_auth.h"
#include "http/target.h"
#include "proxy/proxy_internal.h"

enum {
	MIRRORS_MOST = 512,        /* at a time, of one worker to one group */
	ANSWER_MOST = 1024 * 1024, /* bytes of an answer that are read, so that its connection can go on */
};

struct mirror {
	struct subrequest *sub;
	struct proxy_exchange own;
	struct proxy_exchange *first; /* whose request it is; NULL: all of that has come */
	struct upstream_group *group;
	struct flow_tap tap; /* of the first one's content */
	struct timer timer;  /* for the answer */
};

/* ---- ends ---- */

/* The first exchange has nothing more for it. */
static void mirror_untie(struct mirror *mirror)
{
	if (!mirror->first)
		return;
	mirror->first->exchange->request_body.tap = NULL;
	mirror->first->mirror = NULL;
	mirror->first = NULL;
}

static void mirror_over(struct mirror *mirror, const char *why)
{
	struct worker *worker = mirror->group->worker;
	struct span path = http_path_only(mirror->own.path); /* its query is the client's own */

	mirror_untie(mirror);
	loop_timer_stop(&worker->loop, &mirror->timer);
	mirror->group->mirrors--;
	if (why && log_wants(worker->log, LOG_DEBUG))
		log_say(worker->log, LOG_DEBUG, "mirror of \"%.*s\": %s",
			SPAN_ARG(span_first(path, size_min(path.len, 200))), why);
}

static void mirror_give_up(struct mirror *mirror, const char *why)
{
	subrequest_cancel(mirror->sub);
	mirror_over(mirror, why);
}

static void mirror_on_late(struct timer *timer)
{
	mirror_give_up(CONTAINER_OF(timer, struct mirror, timer), "no answer in time");
}

void mirror_on_end(struct proxy_exchange *p)
{
	if (p->mirror)
		mirror_give_up(p->mirror, "the request was not complete");
}

/* ---- content ---- */

static struct mirror *mirror_of(struct flow_tap *tap)
{
	return CONTAINER_OF(tap, struct mirror, tap);
}

static void mirror_on_bytes(struct flow_tap *tap, struct block *block, struct span bytes)
{
	struct mirror *mirror = mirror_of(tap);
	struct flow *content = &mirror->sub->x->request_body;

	if (flow_room(content) == 0)
		mirror_give_up(mirror, "it has fallen behind");
	else if (memory_pressure(content->worker->memory) != MEMORY_EASY ||
		 flow_push(content, block, bytes) == FLOW_NO_MEMORY)
		mirror_give_up(mirror, "too little memory");
}

/* From here on it stands alone. */
static void mirror_complete(struct mirror *mirror, struct http_fields *trailers)
{
	mirror_untie(mirror);
	flow_finish(&mirror->sub->x->request_body, trailers);
	loop_timer_start(&mirror->group->worker->loop, &mirror->timer, mirror->group->plan->timeouts.response);
}

static void mirror_on_finish(struct flow_tap *tap, const struct http_fields *trailers)
{
	struct mirror *mirror = mirror_of(tap);
	struct arena *arena = &mirror->sub->x->arena;
	struct http_fields *copy = trailers ? arena_zalloc(arena, 1, sizeof(*copy)) : NULL;

	if (trailers && (!copy || !http_fields_copy(copy, trailers, arena)))
		mirror_give_up(mirror, "too little memory");
	else
		mirror_complete(mirror, copy);
}

static const struct flow_tap_ops mirror_tap_ops = {
	.on_bytes = mirror_on_bytes,
	.on_finish = mirror_on_finish,
};

/* ---- its exchange: as that of a client, but that nobody is told ---- */

static void mirror_on_request(struct exchange *x)
{
	struct proxy_exchange *own = proxy_exchange(x);
	struct mirror *mirror = CONTAINER_OF(own, struct mirror, own);

	if (hand_over_choose(x, own, mirror->group))
		hand_over_begin(x, own, mirror->group);
	else
		exchange_fail(x, &(struct error){.code = ERROR_MEMORY});
}

static void mirror_on_response(struct exchange *x)
{
	pinning_on_response(x, proxy_exchange(x));
	if (!http_status_is_interim(x->response.status) && hand_over_on_answer(x, proxy_exchange(x)))
		return;
	exchange_send_head(x);
}

static void mirror_on_up_failed(struct exchange *x, const struct error *error)
{
	hand_over_on_failed(x, proxy_exchange(x), error);
}

static void mirror_on_up_done(struct exchange *x)
{
	hand_over_on_done(proxy_exchange(x));
}

static void mirror_on_refused(struct exchange *x, const struct error *error)
{
	exchange_abort(x, error);
}

static void mirror_on_x_end(struct exchange *x)
{
	if (x->proxy)
		hand_over_end(proxy_exchange(x));
}

static const struct exchange_ops mirror_exchange_ops = {
	.on_request = mirror_on_request,
	.on_response = mirror_on_response,
	.on_up_failed = mirror_on_up_failed,
	.on_up_done = mirror_on_up_done,
	.on_refused = mirror_on_refused,
	.on_end = mirror_on_x_end,
};

static void mirror_on_head(struct subrequest *sub)
{
}

static void mirror_on_content(struct subrequest *sub)
{
	if (sub->x->response_body.total > ANSWER_MOST)
		mirror_give_up(sub->owner, "its answer is too long");
	else
		subrequest_drop_content(sub);
}

static void mirror_on_sub_end(struct subrequest *sub, const struct error *error)
{
	mirror_over(sub->owner, error ? error_text(error) : NULL);
}

static const struct subrequest_ops mirror_sub_ops = {
	.on_head = mirror_on_head,
	.on_bytes = mirror_on_content,
	.on_end = mirror_on_sub_end,
};

/* ---- the beginning ---- */

/* Upgrades make tunnels, and those have one other end; so has what authenticates a connection. */
static bool mirror_may(const struct exchange *x, const struct upstream_group *group)
{
	const struct pins *pins = x->client->pins;

	return (!pins || !pins->first) && !http_credentials_bind(&x->request.fields) &&
	       x->request.method != HTTP_METHOD_CONNECT && x->request.protocol.len == 0 &&
	       x->request_body.total == 0 && group->mirrors < MIRRORS_MOST &&
	       memory_pressure(x->worker->memory) == MEMORY_EASY;
}

static bool mirror_fill(struct mirror *mirror, const struct exchange *x, const struct proxy_exchange *p)
{
	struct exchange *copy = mirror->sub->x;
	struct proxy_exchange *own = &mirror->own;

	own->exchange = copy;
	own->listener = p->listener;
	own->match.route = p->match.route;
	own->origin.client = p->origin.client;
	own->is_mirror = true;
	own->authority = arena_copy(&copy->arena, p->authority);
	if (!own->authority.at || !http_head_copy(&copy->request, &x->request, &copy->arena))
		return false;
	own->path = copy->request.path;
	copy->request.expect_continue = false; /* what comes of the content comes without being asked for */
	copy->proxy = own;
	return true;
}

/* NULL: out of memory. */
static struct mirror *mirror_new(struct exchange *x, struct proxy_exchange *p, struct upstream_group *group)
{
	struct subrequest *sub = subrequest_new(x->worker, x->service, x->client, &mirror_sub_ops, NULL);

	if (!sub)
		return NULL;
	sub->service.ops = &mirror_exchange_ops;
	struct mirror *mirror = arena_zalloc(&sub->x->arena, 1, sizeof(*mirror));
	if (!mirror)
		goto fail;
	sub->owner = mirror;
	mirror->sub = sub;
	mirror->group = group;
	mirror->tap.ops = &mirror_tap_ops;
	timer_init(&mirror->timer, mirror_on_late);
	if (mirror_fill(mirror, x, p))
		return mirror;
fail:
	subrequest_cancel(sub);
	return NULL;
}

void mirror_begin(struct exchange *x, struct proxy_exchange *p)
{
	const struct route *route = p->match.route;

	if (!route->mirror_percent || random_next(&x->worker->random) % 100 >= route->mirror_percent)
		return;
	struct upstream_group *group = upstream_group(x->worker, route->mirror_group);
	struct mirror *mirror = mirror_may(x, group) ? mirror_new(x, p, group) : NULL;
	if (!mirror)
		return;
	group->mirrors++;
	mirror->first = p;
	p->mirror = mirror;
	x->request_body.tap = &mirror->tap;
	exchange_begin(mirror->sub->x);
	if (p->mirror && (!http_head_has_body(&x->request) || x->request_body.fin))
		mirror_on_finish(&mirror->tap, x->request_body.trailers);
}
