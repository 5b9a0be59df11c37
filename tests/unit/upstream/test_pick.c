/* Which server is picked: tiers, backups, panic, slow start, orders, stickiness, servers that come and go while exchanges run. */
#include "limits_fixture.h"

#include "upstream/pick.h"

static const char yaml[] =
	"timeouts: {response: 60s, pool: 60s}\n"
	"reverse: [{listen: 127.0.0.1:1, routes: [{path: /plain, to: plain}, {to: tiers}]}]\n"
	"upstreams:\n"
	"  tiers:\n"
	"    servers:\n"
	"      - \"10.9.0.1:80\"\n"
	"      - \"10.9.0.2:80\"\n"
	"      - {address: \"10.9.0.3:80\", priority: 1}\n"
	"      - {address: \"10.9.0.4:80\", backup: true}\n"
	"  panic:\n"
	"    servers: [\"10.9.0.1:80\", \"10.9.0.2:80\", \"10.9.0.3:80\", \"10.9.0.4:80\"]\n"
	"    panic: 50\n"
	"  slow: {servers: [\"10.9.0.1:80\", \"10.9.0.2:80\"], slow_start: 10s, balance: round_robin}\n"
	"  plain: {servers: [\"10.9.0.1:80\", \"10.9.0.2:80\"], balance: round_robin}\n"
	"  full: {servers: [{address: \"10.9.0.1:80\", max_connections: 2}, {address: \"10.9.0.2:80\", backup: true}]}\n";

enum { TIERS, PANIC, SLOW, PLAIN, FULL, GROUPS };

static int group_set_up(void **state)
{
	stage_configure(&stage, yaml);
	return 0;
}

static struct upstream_group *view_of(unsigned group)
{
	return upstream_group(&stage.worker, group);
}

/* Of so many picks, those of each server: by the last number of its address. */
static unsigned counts[10];

static void pick_many(unsigned group, unsigned times)
{
	struct upstream_query any = {0};

	memset(counts, 0, sizeof(counts));
	for (unsigned i = 0; i < times; i++) {
		struct upstream_ticket ticket = {0};
		if (upstream_pick(view_of(group), &any, &ticket) == UPSTREAM_PICKED) {
			counts[ticket.server->fleet->address.ip[3]]++;
			upstream_release(&ticket);
		} else {
			counts[0]++;
		}
	}
}

static void set_health(unsigned group, unsigned number, enum fleet_health health)
{
	struct roster *roster = fleet_roster(fleet_at(group));

	for (unsigned i = 0; i < roster->count; i++)
		if (roster->members[i].server->address.ip[3] == number)
			atomic_store(&roster->members[i].server->health, health);
	roster_release(roster);
	fleet_touch(fleet_at(group));
}

static void test_tiers(void **state)
{
	pick_many(TIERS, 100);
	assert_int_equal(counts[1] + counts[2], 100);
	assert_true(counts[1] > 10 && counts[2] > 10);
	set_health(TIERS, 1, FLEET_DOWN);
	pick_many(TIERS, 100);
	assert_int_equal(counts[2], 100);
	set_health(TIERS, 2, FLEET_DOWN);
	pick_many(TIERS, 100);
	assert_int_equal(counts[3], 100);
	set_health(TIERS, 3, FLEET_DOWN);
	pick_many(TIERS, 100);
	assert_int_equal(counts[4], 100);
	set_health(TIERS, 4, FLEET_DOWN);
	pick_many(TIERS, 100);
	assert_int_equal(counts[0], 100); /* no panic: nobody */
	set_health(TIERS, 2, FLEET_UP);
	pick_many(TIERS, 100);
	assert_int_equal(counts[2], 100);
}

/* What was tried is not picked; then the next tier is. */
static void test_tried(void **state)
{
	struct upstream_group *group = view_of(TIERS);
	struct upstream_server *tried[4];
	struct upstream_query query = {.tried = tried};
	struct upstream_ticket ticket = {0};

	while (upstream_pick(group, &query, &ticket) == UPSTREAM_PICKED) {
		assert_in_range(query.tried_count, 0, 3);
		tried[query.tried_count++] = ticket.server;
		upstream_release(&ticket);
	}
	assert_int_equal(query.tried_count, 4);
	for (unsigned i = 0; i < 4; i++)
		for (unsigned j = 0; j < i; j++)
			assert_ptr_not_equal(tried[i], tried[j]);
	assert_int_equal(tried[2]->fleet->address.ip[3], 3);
	assert_int_equal(tried[3]->fleet->address.ip[3], 4);
	query.tried_count = 2;
	assert_true(upstream_has_another(group, &query, tried[2])); /* the backup */
	query.tried_count = 3;
	assert_false(upstream_has_another(group, &query, tried[3]));
}

static void test_panic(void **state)
{
	set_health(PANIC, 1, FLEET_DOWN);
	set_health(PANIC, 2, FLEET_DOWN);
	pick_many(PANIC, 400);
	assert_int_equal(counts[3] + counts[4], 400); /* half of them is enough */
	set_health(PANIC, 3, FLEET_DOWN);
	pick_many(PANIC, 400); /* one of four is not: checks are not believed */
	for (unsigned i = 1; i <= 4; i++)
		assert_in_range(counts[i], 50, 200);
	fleet_order_set(fleet_at(PANIC), fleet_server_at(PANIC, 0), FLEET_MAINTENANCE, &stage.worker);
	fleet_order_set(fleet_at(PANIC), fleet_server_at(PANIC, 1), FLEET_DRAIN, &stage.worker);
	pick_many(PANIC, 400); /* orders are; one of the two that are left is half */
	assert_int_equal(counts[4], 400);
	set_health(PANIC, 4, FLEET_DOWN);
	pick_many(PANIC, 400);
	assert_int_equal(counts[0] + counts[1] + counts[2], 0);
	assert_int_equal(counts[3] + counts[4], 400);
}

static void test_slow_start(void **state)
{
	struct fleet_server *server = fleet_server_at(SLOW, 0);

	atomic_store(&server->well_since, stage.worker.loop.now);
	fleet_touch(fleet_at(SLOW));
	pick_many(SLOW, 100);
	assert_in_range(counts[1], 0, 1);
	stage_pass(&stage, 5000); /* nobody tells it: it looks by itself */
	pick_many(SLOW, 300);
	assert_in_range(counts[1], 97, 103); /* a half to one */
	stage_pass(&stage, 5000);
	pick_many(SLOW, 300);
	assert_in_range(counts[1], 149, 151);
}

static void test_weight_by_order(void **state)
{
	fleet_weight_set(fleet_at(PLAIN), fleet_server_at(PLAIN, 0), 3, &stage.worker);
	pick_many(PLAIN, 400);
	assert_in_range(counts[1], 299, 301);
	fleet_weight_set(fleet_at(PLAIN), fleet_server_at(PLAIN, 0), 0, &stage.worker);
	pick_many(PLAIN, 400);
	assert_in_range(counts[1], 199, 201);
}

/* One that drains takes those that stick to it and nobody else; one in maintenance, or down, or left out, nobody. */
static void test_sticky(void **state)
{
	struct fleet_server *server = fleet_server_at(PLAIN, 0);
	struct upstream_query query = {.sticky = server->id};
	struct upstream_ticket ticket = {0};
	static const struct {
		enum fleet_order order;
		enum fleet_health health;
		bool ejected, sticks;
	} cases[] = {
		{FLEET_READY, FLEET_UP, false, true},        {FLEET_DRAIN, FLEET_UP, false, true},
		{FLEET_MAINTENANCE, FLEET_UP, false, false}, {FLEET_READY, FLEET_DOWN, false, false},
		{FLEET_DRAIN, FLEET_DOWN, false, false},     {FLEET_READY, FLEET_UP, true, false},
	};

	for (unsigned i = 0; i < ARRAY_LENGTH(cases); i++) {
		atomic_store(&server->health, cases[i].health);
		atomic_store(&server->ejected_until, cases[i].ejected ? stage.worker.loop.now + 10 : 0);
		fleet_order_set(fleet_at(PLAIN), server, cases[i].order, &stage.worker);
		fleet_touch(fleet_at(PLAIN));
		for (unsigned j = 0; j < 20; j++) {
			assert_int_equal(upstream_pick(view_of(PLAIN), &query, &ticket), UPSTREAM_PICKED);
			assert_int_equal(ticket.server->fleet == server, cases[i].sticks);
			upstream_release(&ticket);
		}
		if (cases[i].order == FLEET_DRAIN) {
			pick_many(PLAIN, 20);
			assert_int_equal(counts[1], 0);
		}
	}
}

/* Backups are for when the others are down, not for when they are busy. */
static void test_full(void **state)
{
	struct upstream_ticket tickets[3] = {0};
	struct upstream_query any = {0};

	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(upstream_pick(view_of(FULL), &any, &tickets[i]), UPSTREAM_PICKED);
	assert_int_equal(upstream_pick(view_of(FULL), &any, &tickets[2]), UPSTREAM_FULL);
	assert_null(tickets[2].server);
	assert_int_equal(atomic_load(&fleet_server_at(FULL, 0)->in_flight), 2);
	set_health(FULL, 1, FLEET_DOWN);
	assert_int_equal(upstream_pick(view_of(FULL), &any, &tickets[2]), UPSTREAM_PICKED);
	assert_int_equal(tickets[2].server->fleet->address.ip[3], 2);
	for (unsigned i = 0; i < 3; i++)
		upstream_release(&tickets[i]);
	upstream_release(&tickets[0]);
	expect_nothing_left(GROUPS, true);
}

/* ---- rosters ---- */

static void publish(unsigned group, const char *const *texts, unsigned count)
{
	struct roster *roster = roster_new(&stage.memory, count);

	assert_non_null(roster);
	for (unsigned i = 0; i < count; i++) {
		struct fleet_server *server = fleet_server_get(
			fleet_at(group), &(struct fleet_identity){.written = span_of(texts[i])});
		assert_non_null(server);
		roster_add(roster, server, 1, 0);
		fleet_server_release(server);
	}
	fleet_publish(fleet_at(group), roster);
	stage_turns(&stage, 2);
}

/* A server leaves: what runs there ends well, what rests is closed, and then it is gone. */
static void test_a_server_leaves(void **state)
{
	static const char *const first[] = {"10.9.0.1:80"};
	static const char *const both[] = {"10.9.0.2:80", "10.9.0.1:80"};

	for (unsigned i = 0; i < 3; i++)
		ask(i, "/plain"); /* 1, 2, 1, or the other way round */
	unsigned leaving = 0, rests = 0;
	for (unsigned i = 0; i < 3; i++)
		if (stage.servers[i].address.ip[3] == 2)
			leaving = i;
	ask(3, "/plain");
	for (unsigned i = 0; i < 4; i++)
		if (stage.servers[i].address.ip[3] == 2 && i != leaving)
			rests = i;
	answer(rests);
	assert_false(stage.servers[rests].ended);
	publish(PLAIN, first, 1);
	assert_true(stage.servers[rests].ended);
	assert_false(stage.servers[leaving].ended);
	assert_false(list_empty(&view_of(PLAIN)->leaving));
	pick_many(PLAIN, 10);
	assert_int_equal(counts[1], 10);
	answer(leaving);
	assert_heard(leaving, "200 OK");
	assert_true(stage.servers[leaving].ended);
	assert_true(list_empty(&view_of(PLAIN)->leaving));
	struct upstream_server *kept = view_of(PLAIN)->view->servers[0];
	publish(PLAIN, both, 2);
	assert_ptr_equal(view_of(PLAIN)->view->servers[1], kept); /* with its connections */
	pick_many(PLAIN, 10);
	assert_int_equal(counts[2], 5);
}

static void test_nobody_is_left(void **state)
{
	static const char *const back[] = {"10.9.0.5:80"};

	ask(0, "/plain");
	publish(PLAIN, NULL, 0);
	pick_many(PLAIN, 3);
	assert_int_equal(counts[0], 3);
	ask(1, "/plain");
	assert_heard(1, "503 ");
	assert_heard(1, "Retry-After: ");
	answer(0);
	assert_heard(0, "200 OK");
	publish(PLAIN, back, 1);
	ask(2, "/plain");
	assert_int_equal(stage.servers[stage.server_count - 1].address.ip[3], 5);
}

/* No memory for a new view: the old one goes on, and it is tried again. */
static void test_no_memory_for_a_view(void **state)
{
	static const char *const texts[] = {"10.9.0.7:80", "10.9.0.8:80"};
	struct upstream_view *old = view_of(PLAIN)->view;
	struct roster *roster = roster_new(&stage.memory, 2);

	assert_non_null(roster);
	for (unsigned i = 0; i < 2; i++) {
		struct fleet_server *server = fleet_server_get(
			fleet_at(PLAIN), &(struct fleet_identity){.written = span_of(texts[i])});
		assert_non_null(server);
		roster_add(roster, server, 1, 0);
		fleet_server_release(server);
	}
	memory_fail_every(&stage.memory, 1);
	fleet_publish(fleet_at(PLAIN), roster);
	stage_turns(&stage, 2);
	assert_ptr_equal(view_of(PLAIN)->view, old);
	memory_fail_every(&stage.memory, 2); /* some of it works */
	stage_pass(&stage, 1000);
	pick_many(PLAIN, 4);
	memory_fail_every(&stage.memory, 0);
	stage_pass(&stage, 1000);
	pick_many(PLAIN, 4);
	assert_int_equal(counts[7] + counts[8], 4);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_tiers),
		TEST(test_tried),
		TEST(test_panic),
		TEST(test_slow_start),
		TEST(test_weight_by_order),
		TEST(test_sticky),
		TEST(test_full),
		TEST(test_a_server_leaves),
		TEST(test_nobody_is_left),
		TEST(test_no_memory_for_a_view),
	};

	return cmocka_run_group_tests(tests, group_set_up, group_tear_down);
}
