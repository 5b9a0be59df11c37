/*
 * Several workers at one fleet, each on a thread of its own, while a control thread changes rosters, health and orders: limits are never passed, every
 * place that becomes free comes to somebody, and no more servers are left out than may be. For ThreadSanitizer, too.
 */
#include "limits_fixture.h"

#include "upstream/outlier.h"
#include "upstream/pick.h"

#include <pthread.h>

static const char yaml[] =
	"reverse: [{listen: 127.0.0.1:1, routes: [{to: places}]}]\n"
	"upstreams:\n"
	"  places:\n"
	"    servers: [{address: \"10.9.0.1:80\", max_connections: 2}, {address: \"10.9.0.2:80\", max_connections: 1}]\n"
	"    balance: least_conn\n"
	"    limits: {pending: 1000, requests: 5}\n"
	"    timeouts: {queue: 1d}\n"
	"  changing: {servers: [\"10.9.0.1:80\"], outliers: {connects: 1}}\n"
	"  failing:\n"
	"    servers: [\"10.9.0.1:80\", \"10.9.0.2:80\", \"10.9.0.3:80\", \"10.9.0.4:80\", \"10.9.0.5:80\"]\n"
	"    outliers: {connects: 2, eject: 1ms, eject_most: 1ms, share: 40}\n";

enum { PLACES, CHANGING, FAILING };
enum { WORKERS = 4, WAITERS = 3, BURST = 6, BURSTS = 4000, PATIENCE_S = 100 };

struct waiter {
	struct upstream_wait wait;
	struct upstream_ticket ticket;
	struct hand *hand;
	unsigned turns; /* that it keeps the place for */
	bool waits;
};

struct hand {
	struct worker worker;
	struct waiter waiters[WAITERS];
	pthread_t thread;
	uint32_t seed;
	unsigned served;
};

static struct fleet *fleet;
static struct memory memory;
static struct hand hands[WORKERS];
static atomic_uint held[2]; /* places, as the test counts them */
static atomic_uint entered, working, met, wrong;
static time_t late;

static uint32_t below(struct hand *hand, uint32_t bound)
{
	hand->seed = hand->seed * 1664525 + 1013904223;
	return (hand->seed >> 8) % bound;
}

static void expect(bool good)
{
	if (!good)
		atomic_fetch_add(&wrong, 1);
}

/* ---- places ---- */

static void waiter_got_it(struct waiter *waiter)
{
	const struct fleet_server *server = waiter->ticket.server->fleet;
	unsigned at = server->address.ip[3] - 1U;

	expect(atomic_fetch_add(&held[at], 1) < server->most);
	expect(atomic_load(&server->in_flight) <= server->most);
	waiter->turns = below(waiter->hand, 4);
	waiter->hand->served++;
}

static bool waiter_on_room(struct upstream_wait *wait)
{
	struct waiter *waiter = CONTAINER_OF(wait, struct waiter, wait);
	const struct upstream_query any = {0};

	if (upstream_pick(wait->group, &any, &waiter->ticket) != UPSTREAM_PICKED)
		return false;
	waiter->waits = false;
	upstream_wait_cancel(wait);
	waiter_got_it(waiter);
	return true;
}

/* timeouts.queue is a day, and the clock does not go that far. */
static void waiter_on_late(struct upstream_wait *wait)
{
	expect(false);
}

static const struct upstream_wait_ops waiter_ops = {.on_room = waiter_on_room, .on_late = waiter_on_late};

static void waiter_act(struct waiter *waiter, bool may_begin)
{
	struct upstream_group *group = upstream_group(&waiter->hand->worker, PLACES);
	const struct upstream_query any = {0};

	if (waiter->waits) {
		/* Some give up, with a word of a place on its way to them. */
		if (below(waiter->hand, 50) == 0) {
			waiter->waits = false;
			upstream_wait_cancel(&waiter->wait);
		}
	} else if (waiter->ticket.server) {
		if (waiter->turns-- > 0)
			return;
		atomic_fetch_sub(&held[waiter->ticket.server->fleet->address.ip[3] - 1U], 1);
		upstream_release(&waiter->ticket);
	} else if (may_begin) {
		if (upstream_pick(group, &any, &waiter->ticket) == UPSTREAM_PICKED)
			waiter_got_it(waiter);
		else
			waiter->waits = upstream_wait_start(&waiter->wait, group, &waiter_ops, false);
	}
}

/* ---- the rest ---- */

static void enter_and_leave(void)
{
	struct fleet_group *group = fleet_group_at(fleet, PLACES);

	if (!fleet_enter(group, FLEET_REQUESTS))
		return;
	expect(atomic_fetch_add(&entered, 1) < 5);
	atomic_fetch_sub(&entered, 1);
	fleet_leave(group, FLEET_REQUESTS);
}

static void fail_somewhere(struct hand *hand)
{
	static const struct error unreachable = {.code = ERROR_CONNECT_REFUSED, .unprocessed = true};
	struct fleet_group *group = fleet_group_at(fleet, FAILING);
	struct roster *roster = fleet_roster(group);
	struct fleet_server *server = roster->members[below(hand, roster->count)].server;
	unsigned out = 0;

	if (below(hand, 3))
		outlier_on_failure(group, server, &unreachable, &hand->worker);
	else
		outlier_on_answer(group, server, 200, &hand->worker);
	pthread_mutex_lock(&group->lock);
	uint64_t now = stage_clock_ms; /* workers' clocks are behind it by up to a turn */
	for (unsigned i = 0; i < roster->count; i++)
		out += atomic_load(&roster->members[i].server->ejected_until) > now;
	pthread_mutex_unlock(&group->lock);
	expect(out <= 2);
	roster_release(roster);
}

/* Picks of a group whose servers come and go. */
static void pick_changing(struct hand *hand)
{
	const struct upstream_query any = {0};
	struct upstream_ticket ticket = {0};

	if (upstream_pick(upstream_group(&hand->worker, CHANGING), &any, &ticket) != UPSTREAM_PICKED)
		return;
	if (below(hand, 2))
		upstream_on_answer(&ticket, 200);
	else
		upstream_on_failure(&ticket, &(struct error){.code = ERROR_UPSTREAM_RESET});
	upstream_release(&ticket);
}

static bool is_busy(const struct hand *hand)
{
	for (unsigned i = 0; i < WAITERS; i++)
		if (hand->waiters[i].waits || hand->waiters[i].ticket.server)
			return true;
	return false;
}

/* A few begin to want a place, and all that want one get it: no other comes whose place would help them. */
static void hand_burst(struct hand *hand)
{
	for (unsigned round = 0; round < BURST || is_busy(hand); round++) {
		for (unsigned i = 0; i < WAITERS; i++)
			waiter_act(&hand->waiters[i], round < BURST);
		if (below(hand, 8) == 0) {
			enter_and_leave();
			fail_somewhere(hand);
			pick_changing(hand);
		}
		loop_turn(&hand->worker.loop, 0);
		if (time(NULL) > late) {
			expect(false); /* somebody waits for ever */
			return;
		}
	}
}

/* Until all have come so far; letters still come. */
static void hand_meet(struct hand *hand, unsigned burst)
{
	atomic_fetch_add(&met, 1);
	while (atomic_load(&met) < (burst + 1) * WORKERS && time(NULL) <= late) {
		loop_turn(&hand->worker.loop, 0);
		sched_yield();
	}
}

static void *hand_main(void *argument)
{
	struct hand *hand = argument;

	for (unsigned burst = 0; burst < BURSTS && time(NULL) <= late; burst++) {
		hand_burst(hand);
		hand_meet(hand, burst);
	}
	atomic_fetch_sub(&working, 1);
	return NULL;
}

/* The control thread's part, on the main one. */
static void change_something(uint32_t what)
{
	struct fleet_group *group = fleet_group_at(fleet, CHANGING);
	struct roster *roster = roster_new(&memory, 3);

	assert_non_null(roster);
	for (unsigned i = 0; i < what % 4; i++) {
		char text[32];
		(void)snprintf(text, sizeof(text), "10.9.0.%u:80", 1 + (what + i * 7) % 5);
		struct fleet_server *server =
			fleet_server_get(group, &(struct fleet_identity){.written = span_of(text)});
		assert_non_null(server);
		atomic_store(&server->health, what / 4 % 3);
		roster_add(roster, server, 1, 0);
		fleet_server_release(server);
	}
	fleet_publish(group, roster);
	if (what < 100) /* not later: who is told of a change would not miss the word of a place */
		fleet_touch(fleet_group_at(fleet, PLACES));
}

static bool hand_start(struct hand *hand, unsigned index)
{
	struct worker *worker = &hand->worker;

	*hand = (struct hand){.seed = index + 1};
	for (unsigned i = 0; i < WAITERS; i++)
		hand->waiters[i].hand = hand;
	return worker_init(worker, index, &memory, NULL) && conn_room_init(worker) &&
	       resolver_init(worker, &stage.names) && tls_room_init(worker, 1) && exchange_room_init(worker) &&
	       h1_room_init(worker) && h2_room_init(worker) && upstream_room_init(worker, fleet);
}

static void hand_end(struct hand *hand)
{
	struct worker *worker = &hand->worker;

	loop_turn(&worker->loop, 0);
	upstream_room_fini(worker);
	resolver_fini(worker);
	loop_turn(&worker->loop, 0);
	h2_room_fini(worker);
	h1_room_fini(worker);
	exchange_room_fini(worker);
	conn_room_fini(worker);
	loop_settle(&worker->loop);
	tls_room_fini(worker);
	worker_fini(worker);
}

static int hands_set_up(void **state)
{
	memory_init(&memory, 0);
	fleet = fleet_new(&memory, stage.snapshot->plans, stage.snapshot->upstream_count, WORKERS, NULL);
	assert_non_null(fleet);
	for (unsigned i = 0; i < WORKERS; i++)
		assert_true(hand_start(&hands[i], i));
	memset(held, 0, sizeof(held));
	late = time(NULL) + PATIENCE_S;
	return 0;
}

static int hands_tear_down(void **state)
{
	for (unsigned i = 0; i < WORKERS; i++)
		hand_end(&hands[i]);
	fleet_free(fleet);
	assert_int_equal(atomic_load(&memory.used), 0);
	return 0;
}

static void test_many_hands(void **state)
{
	atomic_store(&working, WORKERS);
	for (unsigned i = 0; i < WORKERS; i++)
		assert_int_equal(pthread_create(&hands[i].thread, NULL, hand_main, &hands[i]), 0);
	for (uint32_t what = 0; atomic_load(&working) > 0; what++) {
		change_something(what);
		if (what < 1000 * 1000)
			stage_clock_ms += what % 2;
		sched_yield();
	}
	for (unsigned i = 0; i < WORKERS; i++)
		pthread_join(hands[i].thread, NULL);
	assert_int_equal(atomic_load(&wrong), 0);
	struct fleet_group *places = fleet_group_at(fleet, PLACES);
	for (unsigned i = 0; i < WORKERS; i++) {
		assert_true(hands[i].served > 0);
		assert_int_equal(atomic_load(&places->seats[i].waiting[FLEET_FOR_PLACE]), 0);
	}
	for (unsigned i = 0; i < FLEET_GAUGES; i++)
		assert_int_equal(atomic_load(&places->gauges[i].count), 0);
	for (unsigned i = 0; i < 2; i++) {
		const struct fleet_server *server = places->roster->members[i].server;
		assert_int_equal(atomic_load(&server->in_flight), 0);
	}
}

/* ---- one after the other ---- */

static void all_turn(void)
{
	for (unsigned i = 0; i < 3 * WORKERS; i++)
		loop_turn(&hands[i % WORKERS].worker.loop, 0);
}

/* The first worker has all three places. */
static void take_all(void)
{
	for (unsigned i = 0; i < 3; i++) {
		waiter_act(&hands[0].waiters[i], true);
		assert_non_null(hands[0].waiters[i].ticket.server);
	}
}

static void give_back(struct waiter *waiter)
{
	atomic_fetch_sub(&held[waiter->ticket.server->fleet->address.ip[3] - 1U], 1);
	upstream_release(&waiter->ticket);
}

static void leave_the_line(struct waiter *waiter)
{
	upstream_wait_cancel(&waiter->wait);
	waiter->waits = false;
}

/* Whoever was told of a place and is gone when it looks passes the word on. */
static void test_the_word_goes_on(void **state)
{
	take_all();
	for (unsigned turn = 0; turn < 4; turn++) {
		struct waiter *first = &hands[1].waiters[0], *second = &hands[2].waiters[0];
		waiter_act(first, true);
		waiter_act(second, true);
		all_turn();
		assert_true(first->waits && second->waits);
		give_back(&hands[0].waiters[0]);
		bool told_first = atomic_load(&fleet_group_at(fleet, PLACES)->seats[1].posted);
		leave_the_line(told_first ? first : second);
		all_turn();
		struct waiter *other = told_first ? second : first;
		assert_false(other->waits);
		assert_non_null(other->ticket.server);
		give_back(other);
		waiter_act(&hands[0].waiters[0], true);
		assert_non_null(hands[0].waiters[0].ticket.server);
	}
	for (unsigned i = 0; i < 3; i++)
		give_back(&hands[0].waiters[i]);
}

/* A place that becomes free after one has looked, and before it is in line, is told to nobody. */
static void test_who_gets_in_line_looks_again(void **state)
{
	struct waiter *waiter = &hands[1].waiters[0];
	const struct upstream_query any = {0};

	take_all();
	struct upstream_group *group = upstream_group(&hands[1].worker, PLACES);
	assert_int_equal(upstream_pick(group, &any, &waiter->ticket), UPSTREAM_FULL);
	give_back(&hands[0].waiters[0]);
	waiter->waits = upstream_wait_start(&waiter->wait, group, &waiter_ops, false);
	all_turn();
	assert_false(waiter->waits);
	give_back(waiter);
	give_back(&hands[0].waiters[1]);
	give_back(&hands[0].waiters[2]);
}

/* Places are given in turn to the workers whose exchanges wait, and not first to those of the worker that has them. */
static void test_nobody_keeps_the_places(void **state)
{
	unsigned got[WORKERS] = {0};

	take_all();
	for (unsigned j = 0; j < WAITERS; j++)
		waiter_act(&hands[1].waiters[j], true);
	static struct waiter own[WAITERS];
	for (unsigned j = 0; j < WAITERS; j++) {
		own[j] = (struct waiter){.hand = &hands[0]};
		waiter_act(&own[j], true);
		assert_true(own[j].waits);
	}
	for (unsigned i = 0; i < 2; i++) {
		give_back(&hands[0].waiters[i]);
		all_turn();
	}
	for (unsigned j = 0; j < WAITERS; j++) {
		got[0] += own[j].ticket.server != NULL;
		got[1] += hands[1].waiters[j].ticket.server != NULL;
	}
	assert_int_equal(got[0], 1);
	assert_int_equal(got[1], 1);
	for (unsigned j = 0; j < WAITERS; j++) {
		if (own[j].ticket.server)
			give_back(&own[j]);
		else
			leave_the_line(&own[j]);
		if (hands[1].waiters[j].ticket.server)
			give_back(&hands[1].waiters[j]);
		else if (hands[1].waiters[j].waits)
			leave_the_line(&hands[1].waiters[j]);
	}
	give_back(&hands[0].waiters[2]);
	all_turn();
}

static int group_set_up(void **state)
{
	stage_configure(&stage, yaml);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_the_word_goes_on, hands_set_up, hands_tear_down),
		cmocka_unit_test_setup_teardown(test_who_gets_in_line_looks_again, hands_set_up,
						hands_tear_down),
		cmocka_unit_test_setup_teardown(test_nobody_keeps_the_places, hands_set_up, hands_tear_down),
		cmocka_unit_test_setup_teardown(test_many_hands, hands_set_up, hands_tear_down),
	};

	return cmocka_run_group_tests(tests, group_set_up, group_tear_down);
}
