/* The fleet: who the servers of a group are, what of them survives a reload, orders, limits, and who is told. */
#include "limits_fixture.h"

static const char yaml[] = "reverse: [{listen: 127.0.0.1:1, routes: [{to: web}]}]\n"
			   "upstreams:\n"
			   "  web:\n"
			   "    servers:\n"
			   "      - {address: \"10.9.0.1:80\", priority: 2}\n"
			   "      - {address: \"10.9.0.2:80\", backup: true}\n"
			   "      - {address: \"10.9.0.3:80\", weight: 5}\n"
			   "      - {address: \"10.9.0.4:80\", max_connections: 7}\n"
			   "      - {address: \"one.test:80\", resolve: one, priority: 1}\n"
			   "    slow_start: 10s\n"
			   "    limits: {connections: 2, requests: 3, pending: 0, retries: 1}\n"
			   "  other: {servers: [\"10.9.0.1:80\", \"unix:/tmp/guise-test\"]}\n";

enum { WEB, OTHER };

static int group_set_up(void **state)
{
	stage_configure(&stage, yaml);
	return 0;
}

static struct fleet_server *find(unsigned group, const char *text)
{
	struct fleet_server *server = fleet_server_find(fleet_at(group), span_of(text));

	assert_non_null(server);
	fleet_server_release(server); /* the roster holds it */
	return server;
}

static void test_rosters_are_in_order(void **state)
{
	static const char *const texts[] = {"10.9.0.3:80", "10.9.0.4:80", "one.test:80", "10.9.0.1:80",
					    "10.9.0.2:80"};
	struct roster *roster = fleet_roster(fleet_at(WEB));

	assert_int_equal(roster->count, ARRAY_LENGTH(texts));
	for (unsigned i = 0; i < roster->count; i++)
		assert_true(span_equal(roster->members[i].server->text, span_of(texts[i])));
	assert_int_equal(roster->members[0].weight, 5);
	assert_int_equal(roster->members[1].server->most, 7);
	assert_true(span_equal(roster->members[2].server->host, SPAN("one.test")));
	assert_int_equal(roster->members[2].server->address.family, ADDRESS_NONE);
	roster_release(roster);
}

static void test_finding(void **state)
{
	assert_ptr_equal(fleet_group_find(stage.fleet, SPAN("other")), fleet_at(OTHER));
	assert_null(fleet_group_find(stage.fleet, SPAN("othe")));
	assert_null(fleet_server_find(fleet_at(WEB), SPAN("10.9.0.1:8")));
	/* The same place in two groups is two servers. */
	assert_ptr_not_equal(find(WEB, "10.9.0.1:80"), find(OTHER, "10.9.0.1:80"));
	assert_int_equal(find(WEB, "10.9.0.1:80")->id, find(OTHER, "10.9.0.1:80")->id);
	find(OTHER, "unix:/tmp/guise-test");
}

static void test_orders(void **state)
{
	struct fleet_server *server = find(WEB, "10.9.0.3:80");
	uint64_t now = stage.worker.loop.now, version = fleet_version(fleet_at(WEB));
	enum fleet_order order;

	assert_false(fleet_order_set(fleet_at(WEB), server, FLEET_READY, &stage.worker));
	assert_int_equal(fleet_version(fleet_at(WEB)), version);
	assert_true(fleet_order_set(fleet_at(WEB), server, FLEET_DRAIN, &stage.worker));
	assert_false(fleet_server_is_well(server, now));
	assert_true(fleet_version(fleet_at(WEB)) > version);
	assert_true(fleet_order_set(fleet_at(WEB), server, FLEET_READY, &stage.worker));
	assert_true(fleet_server_is_well(server, now));
	assert_int_equal(atomic_load(&server->well_since), 0); /* it had work all the time */
	assert_true(fleet_order_set(fleet_at(WEB), server, FLEET_MAINTENANCE, &stage.worker));
	assert_false(fleet_server_is_well(server, now));
	assert_true(fleet_order_set(fleet_at(WEB), server, FLEET_READY, &stage.worker));
	assert_int_equal(atomic_load(&server->well_since), now);
	assert_true(fleet_weight_set(fleet_at(WEB), server, 256, &stage.worker));
	assert_false(fleet_weight_set(fleet_at(WEB), server, 256, &stage.worker));
	assert_true(fleet_weight_set(fleet_at(WEB), server, 0, &stage.worker));
	for (unsigned i = FLEET_READY; i <= FLEET_MAINTENANCE; i++) {
		assert_true(fleet_order_parse(span_of(fleet_order_name((enum fleet_order)i)), &order));
		assert_int_equal(order, i);
	}
	assert_false(fleet_order_parse(SPAN("read"), &order));
	assert_false(fleet_order_parse(SPAN(""), &order));
}

static void test_gauges(void **state)
{
	unsigned now, most;

	for (unsigned i = 0; i < 3; i++)
		assert_true(fleet_enter(fleet_at(WEB), FLEET_REQUESTS));
	assert_false(fleet_enter(fleet_at(WEB), FLEET_REQUESTS));
	assert_true(fleet_gauge_read(fleet_at(WEB), FLEET_REQUESTS, &now, &most));
	assert_int_equal(now, 3);
	assert_int_equal(most, 3);
	fleet_leave(fleet_at(WEB), FLEET_REQUESTS);
	assert_true(fleet_enter(fleet_at(WEB), FLEET_REQUESTS));
	assert_false(fleet_enter(fleet_at(WEB), FLEET_PENDING)); /* 0: none waits */
	assert_true(fleet_enter(fleet_at(WEB), FLEET_RETRIES));
	assert_false(fleet_enter(fleet_at(WEB), FLEET_RETRIES));
	for (unsigned i = 0; i < 1000; i++)
		assert_true(fleet_enter(fleet_at(OTHER), FLEET_REQUESTS));
	assert_false(fleet_gauge_read(fleet_at(OTHER), FLEET_REQUESTS, &now, &most));
	for (unsigned i = 0; i < 1000; i++)
		fleet_leave(fleet_at(OTHER), FLEET_REQUESTS);
	assert_int_equal(gauge(OTHER, FLEET_REQUESTS), 0);
}

/* Checks are made whatever the limit: the control thread's connections are not counted. */
static void test_connections_of_checks(void **state)
{
	struct worker control = {.index = fleet_workers(stage.fleet)};

	for (unsigned i = 0; i < 10; i++)
		assert_true(fleet_connection_enter(fleet_at(WEB), &control));
	assert_int_equal(gauge(WEB, FLEET_CONNECTIONS), 0);
	for (unsigned i = 0; i < 2; i++)
		assert_true(fleet_connection_enter(fleet_at(WEB), &stage.worker));
	assert_false(fleet_connection_enter(fleet_at(WEB), &stage.worker));
	assert_true(fleet_connection_enter(fleet_at(WEB), &control));
	for (unsigned i = 0; i < 2; i++)
		fleet_connection_leave(fleet_at(WEB), &stage.worker);
	fleet_connection_leave(fleet_at(WEB), &control);
	assert_int_equal(gauge(WEB, FLEET_CONNECTIONS), 0);
}

/* A server that is listed twice is one server. */
static void test_listed_twice(void **state)
{
	struct roster *roster = roster_new(&stage.memory, 3);
	struct fleet_server *server = find(WEB, "10.9.0.3:80"), *other = find(WEB, "10.9.0.1:80");
	unsigned held = atomic_load(&server->references);

	assert_non_null(roster);
	roster_add(roster, server, 200, 1);
	roster_add(roster, server, 100, 1);
	assert_int_equal(roster->count, 1);
	assert_int_equal(roster->members[0].weight, 256);
	roster_add(roster, other, 1, 1);
	roster_add(roster, server, 3, 0);
	roster_add(roster, server, 9, 2);
	roster_sort(roster);
	assert_int_equal(roster->count, 2);
	assert_ptr_equal(roster->members[0].server, server);
	assert_int_equal(roster->members[0].weight, 3);
	roster_release(roster);
	assert_int_equal(atomic_load(&server->references), held);
}

/* ---- a reload ---- */

static const char changed[] =
	"reverse: [{listen: 127.0.0.1:1, routes: [{to: web}]}]\n"
	"upstreams:\n"
	"  web:\n"
	"    servers:\n"
	"      - {address: \"10.9.0.3:80\", weight: 9, priority: 4}\n" /* elsewhere, but the same */
	"      - {address: \"10.9.0.4:80\", max_connections: 8}\n"     /* another limit: another server */
	"      - {address: \"10.9.0.9:80\"}\n"
	"  third: {servers: [\"10.9.0.1:80\"]}\n";

static void test_what_survives_a_reload(void **state)
{
	static struct stage after;
	struct fleet_server *kept = find(WEB, "10.9.0.3:80"), *limited = find(WEB, "10.9.0.4:80");

	stage_configure(&after, changed);
	atomic_store(&kept->health, FLEET_DOWN);
	atomic_store(&kept->ejected_until, 12345);
	atomic_store(&kept->ejections, 3);
	atomic_store(&kept->in_flight, 2);
	fleet_order_set(fleet_at(WEB), kept, FLEET_DRAIN, &stage.worker);
	fleet_weight_set(fleet_at(WEB), kept, 77, &stage.worker);
	struct fleet *fleet = fleet_new(&stage.memory, after.snapshot->plans, after.snapshot->upstream_count,
					1, stage.fleet);
	assert_non_null(fleet);
	struct fleet_group *web = fleet_group_find(fleet, SPAN("web"));
	struct roster *roster = fleet_roster(web);
	assert_int_equal(roster->count, 3);
	assert_ptr_not_equal(roster->members[0].server, limited);
	assert_int_equal(roster->members[0].server->most, 8);
	assert_ptr_equal(roster->members[2].server, kept);
	assert_int_equal(roster->members[2].weight, 9);
	assert_int_equal(atomic_load(&kept->health), FLEET_DOWN);
	assert_int_equal(atomic_load(&kept->order), FLEET_DRAIN);
	assert_int_equal(atomic_load(&kept->weight), 77);
	assert_int_equal(atomic_load(&kept->ejected_until), 12345);
	assert_int_equal(atomic_load(&kept->ejections), 3);
	assert_int_equal(atomic_load(&kept->in_flight), 2);
	assert_true(fleet_has_before(web));
	assert_false(fleet_has_before(fleet_group_find(fleet, SPAN("third"))));
	/* Another number of workers has other counters: nothing is taken over. */
	struct fleet *more = fleet_new(&stage.memory, after.snapshot->plans, after.snapshot->upstream_count,
				       2, stage.fleet);
	assert_non_null(more);
	assert_false(fleet_has_before(fleet_group_find(more, SPAN("web"))));
	fleet_free(more);
	roster_release(roster);
	fleet_free(fleet);
	atomic_store(&kept->in_flight, 0);
	stage_discard(&after);
}

/* No memory: nothing is left of what was begun. */
static void test_without_memory(void **state)
{
	for (unsigned every = 1; every < 20; every++) {
		size_t used = atomic_load(&stage.memory.used);
		memory_fail_every(&stage.memory, every);
		struct fleet *fleet = fleet_new(&stage.memory, stage.snapshot->plans,
						stage.snapshot->upstream_count, 1, stage.fleet);
		fleet_free(fleet);
		memory_fail_every(&stage.memory, 0);
		assert_int_equal(atomic_load(&stage.memory.used), used);
	}
}

/* ---- lines ---- */

static unsigned looks[3];

static void on_look(struct worker *worker, size_t group)
{
	assert_int_equal(group, OTHER);
	looks[worker->index]++;
}

/* Workers whose exchanges wait are told in turn, one for each place; the others are not. */
static void test_lines_are_fair(void **state)
{
	struct fleet *fleet =
		fleet_new(&stage.memory, stage.snapshot->plans, stage.snapshot->upstream_count, 3, NULL);
	struct fleet_group *group = fleet_group_at(fleet, OTHER);
	struct worker workers[3];

	for (unsigned i = 0; i < 3; i++) {
		assert_true(worker_init(&workers[i], i, &stage.memory, NULL));
		fleet_attach(fleet, &workers[i], on_look);
	}
	assert_false(fleet_on_place(group, FLEET_FOR_PLACE, &workers[0]));
	fleet_wait(group, &workers[0], FLEET_FOR_PLACE, 100);
	fleet_wait(group, &workers[2], FLEET_FOR_PLACE, 1);
	fleet_wait(group, &workers[1], FLEET_FOR_CONNECTION, 1);
	unsigned own = 0;
	for (unsigned i = 0; i < 30; i++) {
		own += fleet_on_place(group, FLEET_FOR_PLACE, &workers[0]);
		for (unsigned j = 0; j < 3; j++)
			loop_turn(&workers[j].loop, 0);
	}
	assert_int_equal(own, 15);
	assert_int_equal(own + looks[2], 30);
	assert_int_equal(looks[0], 0);
	assert_int_equal(looks[1], 0);
	fleet_on_place(group, FLEET_FOR_CONNECTION, NULL);
	loop_turn(&workers[1].loop, 0);
	assert_int_equal(looks[1], 1);
	for (unsigned i = 0; i < 3; i++) {
		worker_fini(&workers[i]);
	}
	fleet_free(fleet);
}

/* A connection that is left while others wait is theirs in turn, and not for who comes by first. */
static void test_connections_are_granted(void **state)
{
	struct fleet *fleet =
		fleet_new(&stage.memory, stage.snapshot->plans, stage.snapshot->upstream_count, 3, NULL);
	struct fleet_group *group = fleet_group_at(fleet, WEB);
	struct worker workers[3] = {{.index = 0}, {.index = 1}, {.index = 2}};
	unsigned now, most;

	for (unsigned i = 0; i < 2; i++)
		assert_true(fleet_connection_enter(group, &workers[0]));
	assert_true(fleet_connections_unfair(group, &workers[0]));
	fleet_wait(group, &workers[1], FLEET_FOR_CONNECTION, 1);
	fleet_wait(group, &workers[2], FLEET_FOR_CONNECTION, 1);
	fleet_connection_leave(group, &workers[0]);
	fleet_connection_leave(group, &workers[0]);
	assert_false(fleet_connection_enter(group, &workers[0]));
	assert_true(fleet_gauge_read(group, FLEET_CONNECTIONS, &now, &most));
	assert_int_equal(now, 2);
	assert_true(fleet_connection_enter(group, &workers[1]));
	assert_false(fleet_connection_enter(group, &workers[1]));
	/* The third has gone away: its own goes on to the second, and then back to all. */
	fleet_wait(group, &workers[2], FLEET_FOR_CONNECTION, -1);
	fleet_connection_pass_on(group, &workers[2]);
	assert_true(fleet_connection_enter(group, &workers[1]));
	fleet_wait(group, &workers[1], FLEET_FOR_CONNECTION, -1);
	fleet_connection_leave(group, &workers[1]);
	fleet_connection_leave(group, &workers[1]);
	assert_true(fleet_gauge_read(group, FLEET_CONNECTIONS, &now, &most));
	assert_int_equal(now, 0);
	assert_true(fleet_connection_enter(group, &workers[0]));
	fleet_connection_leave(group, &workers[0]);
	fleet_free(fleet);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_rosters_are_in_order),
		TEST(test_finding),
		TEST(test_orders),
		TEST(test_gauges),
		TEST(test_connections_of_checks),
		TEST(test_listed_twice),
		TEST(test_what_survives_a_reload),
		TEST(test_without_memory),
		TEST(test_lines_are_fair),
		TEST(test_connections_are_granted),
	};

	return cmocka_run_group_tests(tests, group_set_up, group_tear_down);
}
