/*
 * One connection to the first of several addresses that answers (RFC 8305, "Happy Eyeballs"). A dial owns its tries until one wins;
 * all on the worker of who asked.
 */
#include "net/dial.h"

#include "net/resolver.h"

enum { STAGGER_MS = 250 }; /* RFC 8305 8: Connection Attempt Delay */

struct dial {
	struct worker *worker;
	dial_fn *on_done;
	void *owner;
	struct timer stagger, deadline;
	struct loop_task ended; /* soon: all tries failed before dial_start returned */
	struct loop_task retire;
	struct net_way way;
	struct error error; /* of the last try that failed */
	bool done;
	uint8_t count, next, tried;                 /* addresses; the first not tried; conns in tries[] */
	struct conn *tries[RESOLVER_MAX_ADDRESSES]; /* NULL: failed */
	struct address addresses[RESOLVER_MAX_ADDRESSES];
};

/* Those that there is a way to, in their order; how many. */
static unsigned reachable(const struct net_way *way, const struct address *addresses, unsigned count,
			  struct address *out)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < count; i++)
		if (way_leads_to(way, (enum address_family)addresses[i].family))
			out[kept++] = addresses[i];
	return kept;
}

/* RFC 8305 4: the families take turns, the first address's family first; the order within each stays. */
static void interleave(struct dial *dial, const struct address *addresses, unsigned count)
{
	unsigned own = 0, other = 0; /* where to look for the next of the first's family, and of any other */
	bool want_own = true;

	for (unsigned put = 0; put < count; put++) {
		while (own < count && addresses[own].family != addresses[0].family)
			own++;
		while (other < count && addresses[other].family == addresses[0].family)
			other++;
		bool take_own = other == count || (want_own && own < count);
		dial->addresses[put] = addresses[take_own ? own++ : other++];
		want_own = !take_own;
	}
}

static void run_retire(struct loop_task *task)
{
	struct dial *dial = CONTAINER_OF(task, struct dial, retire);

	memory_free(dial->worker->memory, dial, sizeof(*dial));
}

/* No callback follows. Every try but the winner (may be NULL) is closed. */
static void end(struct dial *dial, const struct conn *winner)
{
	struct loop *loop = &dial->worker->loop;

	dial->done = true;
	loop_timer_stop(loop, &dial->stagger);
	loop_timer_stop(loop, &dial->deadline);
	for (unsigned i = 0; i < dial->tried; i++) {
		if (dial->tries[i] && dial->tries[i] != winner)
			conn_close(dial->tries[i]);
	}
	loop_retire(loop, &dial->retire);
}

static void fail(struct dial *dial)
{
	end(dial, NULL);
	dial->error.unprocessed = true;
	dial->on_done(dial->owner, NULL, &dial->error);
}

static bool any_open(const struct dial *dial)
{
	for (unsigned i = 0; i < dial->tried; i++) {
		if (dial->tries[i])
			return true;
	}
	return false;
}

static void on_connect(struct conn *conn)
{
	struct dial *dial = conn->owner;

	end(dial, conn);
	conn_adopt(conn, NULL, NULL);
	dial->on_done(dial->owner, conn, &ERROR_OK);
}

static void on_fail(struct conn *conn, const struct error *error);

static const struct conn_ops dial_ops = {
	.on_connect = on_connect,
	.on_fail = on_fail,
};

/* Starts the next address that can be tried. False: there is none, and no try is open. */
static bool try_next(struct dial *dial)
{
	struct loop *loop = &dial->worker->loop;

	while (dial->next < dial->count) {
		const struct address *to = &dial->addresses[dial->next++];
		struct conn *conn = conn_connect(dial->worker, to, &dial->way, &dial_ops, dial, &dial->error);
		if (!conn)
			continue;
		dial->tries[dial->tried++] = conn;
		if (dial->next < dial->count)
			loop_timer_start(loop, &dial->stagger, STAGGER_MS);
		return true;
	}
	loop_timer_stop(loop, &dial->stagger);
	return any_open(dial);
}

static void on_fail(struct conn *conn, const struct error *error)
{
	struct dial *dial = conn->owner;

	dial->error = *error;
	for (unsigned i = 0; i < dial->tried; i++) {
		if (dial->tries[i] == conn)
			dial->tries[i] = NULL;
	}
	conn_close(conn);
	if (!try_next(dial))
		fail(dial);
}

static void on_stagger(struct timer *timer)
{
	struct dial *dial = CONTAINER_OF(timer, struct dial, stagger);

	if (!try_next(dial))
		fail(dial);
}

static void on_deadline(struct timer *timer)
{
	struct dial *dial = CONTAINER_OF(timer, struct dial, deadline);

	dial->error = error_make(ERROR_CONNECT_TIMEOUT, NULL);
	fail(dial);
}

static void run_ended(struct loop_task *task)
{
	struct dial *dial = CONTAINER_OF(task, struct dial, ended);

	if (!dial->done)
		fail(dial);
}

struct dial *dial_start(struct worker *worker, const struct address *addresses, unsigned count,
			const struct net_way *way, uint64_t timeout_ms, dial_fn *on_done, void *owner)
{
	struct dial *dial = memory_alloc(worker->memory, sizeof(*dial));
	UNINITIALISED struct address targets[RESOLVER_MAX_ADDRESSES];

	if (!dial)
		return NULL;
	*dial = (struct dial){
		.worker = worker,
		.on_done = on_done,
		.owner = owner,
		.error = error_make(ERROR_UNREACHABLE, "there is no address to connect to"),
	};
	if (way)
		dial->way = *way;
	count = (unsigned)size_min(count, RESOLVER_MAX_ADDRESSES);
	dial->count = (uint8_t)count;
	if (way && way->bound) {
		dial->count = (uint8_t)reachable(way, addresses, count, targets);
		addresses = targets;
	}
	if (count > dial->count)
		dial->error = error_make(ERROR_NO_EXIT, "the exit has no address of the target's family");
	timer_init(&dial->stagger, on_stagger);
	timer_init(&dial->deadline, on_deadline);
	loop_task_init(&dial->ended, run_ended);
	loop_task_init(&dial->retire, run_retire);
	interleave(dial, addresses, dial->count);
	if (!try_next(dial))
		loop_soon(&worker->loop, &dial->ended);
	else
		loop_timer_start(&worker->loop, &dial->deadline, timeout_ms);
	return dial;
}

void dial_cancel(struct dial *dial)
{
	if (!dial->done)
		end(dial, NULL);
}
