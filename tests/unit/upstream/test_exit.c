/* Exits: who leaves by which address, what stays when addresses come and go, and what becomes of those that do not work. */
#include "config/snapshot.h"
#include "net/dial.h"
#include "upstream/exit.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

enum { USERS = 1000 };

struct world {
	struct memory memory;
	struct arena arena;
	struct diagnostics diagnostics;
	struct worker worker;
	struct snapshot *snapshot;
	struct exits *exits;
};

/* `exit`: what the one exit says. */
static void open_world(struct world *world, const char *exit)
{
	char text[512];

	snprintf(text, sizeof(text), "exits: {out: {%s}}\nforward: [{listen: 127.0.0.1:1, exit: out}]\n", exit);
	memory_init(&world->memory, 0);
	arena_init(&world->arena, &world->memory, NULL, NULL, 0);
	diagnostics_init(&world->diagnostics, &world->arena, "c");
	assert_true(worker_init(&world->worker, 0, &world->memory, NULL));
	world->worker.loop.now = 1000;
	world->worker.loop.wall_ms = INT64_C(1700000000000);
	world->snapshot = snapshot_from_yaml(span_of(text), "", &world->memory, &world->diagnostics);
	assert_non_null(world->snapshot);
	world->exits = exits_new(&world->arena, world->snapshot->exits, 1);
	assert_non_null(world->exits);
}

static void close_world(struct world *world)
{
	worker_fini(&world->worker);
	snapshot_release(world->snapshot);
	arena_fini(&world->arena);
	assert_int_equal(atomic_load(&world->memory.used), 0);
}

static struct address ip(const char *text)
{
	struct address address;

	assert_true(address_parse_ip(span_of(text), &address));
	return address;
}

static struct net_way way_of(struct world *world, const char *user, const char *client)
{
	struct address address = ip(client);
	struct net_way way;

	exit_choose(world->exits, 0, &world->worker, span_of(user), &address, &way);
	return way;
}

static struct net_way way_of_number(struct world *world, unsigned number)
{
	char user[16];

	snprintf(user, sizeof(user), "user-%u", number);
	return way_of(world, user, "10.0.0.1");
}

#define FOUR "addresses: [192.0.2.1, 192.0.2.2, 192.0.2.3, 192.0.2.4]"

static void without_an_exit_the_system_chooses(void **state)
{
	struct world world;
	struct address client = ip("10.0.0.1");
	struct net_way way = {.bound = true};

	open_world(&world, FOUR);
	exit_choose(world.exits, EXIT_NONE, &world.worker, SPAN("ann"), &client, &way);
	assert_false(way.bound);
	assert_null(way.interface);
	assert_int_equal(way.source_v4.family, ADDRESS_NONE);
	assert_null(exit_name(world.exits, EXIT_NONE));
	assert_string_equal(exit_name(world.exits, 0), "out");
	close_world(&world);
}

static void users_keep_theirs_and_are_spread(void **state)
{
	struct world one, other;
	unsigned each[4] = {0};

	open_world(&one, FOUR);
	open_world(&other, FOUR);
	for (unsigned i = 0; i < USERS; i++) {
		struct net_way way = way_of_number(&one, i);
		struct net_way again = way_of_number(&one, i), elsewhere = way_of_number(&other, i);
		assert_true(way.bound);
		assert_true(address_equal(&way.source_v4, &again.source_v4));
		assert_true(address_equal(&way.source_v4, &elsewhere.source_v4));
		each[way.source_v4.ip[3] - 1]++;
	}
	for (unsigned i = 0; i < 4; i++)
		assert_in_range(each[i], USERS / 4 - 80, USERS / 4 + 80);
	close_world(&one);
	close_world(&other);
}

static void an_address_that_goes_moves_only_its_own(void **state)
{
	struct world before, after;

	open_world(&before, FOUR);
	open_world(&after, "addresses: [192.0.2.4, 192.0.2.1, 192.0.2.3]");
	for (unsigned i = 0; i < USERS; i++) {
		struct net_way was = way_of_number(&before, i), is = way_of_number(&after, i);
		if (was.source_v4.ip[3] == 2)
			assert_int_not_equal(is.source_v4.ip[3], 2);
		else
			assert_int_equal(is.source_v4.ip[3], was.source_v4.ip[3]);
	}
	close_world(&before);
	close_world(&after);
}

/* Where nobody has a name, the address counts; with `choose: client` it does always. */
static void who_has_no_name_counts_by_address(void **state)
{
	struct world user, client;
	bool moved = false, apart = false;

	open_world(&user, FOUR ", choose: user");
	open_world(&client, FOUR ", choose: client");
	for (unsigned i = 1; i < 100; i++) {
		char text[32];
		snprintf(text, sizeof(text), "10.0.0.%u", i);
		struct net_way by_user = way_of(&user, "", text), by_client = way_of(&client, "ann", text);
		assert_true(address_equal(&by_user.source_v4, &by_client.source_v4));
		struct net_way ann = way_of(&user, "ann", text), first = way_of(&user, "ann", "10.9.9.9");
		assert_true(address_equal(&ann.source_v4, &first.source_v4));
		struct net_way next = way_of(&client, "", "10.0.0.1");
		moved = moved || !address_equal(&by_client.source_v4, &next.source_v4);
	}
	assert_true(moved);
	struct net_way low = way_of(&client, "", "2001:db8:1:2::1");
	for (unsigned i = 0; i < 50; i++) {
		char text[64];
		snprintf(text, sizeof(text), "2001:db8:1:2:%x::9", i + 1);
		struct net_way same = way_of(&client, "", text);
		assert_true(address_equal(&low.source_v4, &same.source_v4));
		snprintf(text, sizeof(text), "2001:db8:1:%x::1", i + 100);
		struct net_way other = way_of(&client, "", text);
		apart = apart || !address_equal(&low.source_v4, &other.source_v4);
	}
	assert_true(apart);
	struct net_way plain = way_of(&client, "", "10.1.2.3"), mapped = way_of(&client, "", "::ffff:10.1.2.3");
	assert_true(address_equal(&plain.source_v4, &mapped.source_v4));
	close_world(&user);
	close_world(&client);
}

static void rotation_takes_turns(void **state)
{
	struct world world;

	open_world(&world, FOUR ", choose: rotate");
	unsigned first = way_of(&world, "ann", "10.0.0.1").source_v4.ip[3];
	for (unsigned i = 1; i < 9; i++)
		assert_int_equal(way_of(&world, "ann", "10.0.0.1").source_v4.ip[3], (first - 1 + i) % 4 + 1);
	close_world(&world);
}

static void random_takes_all(void **state)
{
	struct world world;
	unsigned each[4] = {0};

	open_world(&world, FOUR ", choose: random");
	for (unsigned i = 0; i < USERS; i++)
		each[way_of(&world, "ann", "10.0.0.1").source_v4.ip[3] - 1]++;
	for (unsigned i = 0; i < 4; i++)
		assert_in_range(each[i], USERS / 4 - 100, USERS / 4 + 100);
	close_world(&world);
}

/* Within 10 minutes there is at most one change, the next 10 minutes bring another address, and all workers agree. */
static void sticky(const char *choose, bool rotates)
{
	struct world one, other;
	unsigned all_changes = 0;
	char text[128];

	snprintf(text, sizeof(text), FOUR ", choose: %s, sticky: 10m", choose);
	open_world(&one, text);
	open_world(&other, text);
	for (unsigned user = 0; user < 50; user++) {
		unsigned last = 0, changes = 0;
		int64_t begin = one.worker.loop.wall_ms;
		for (unsigned minute = 0; minute < 10; minute++) {
			one.worker.loop.wall_ms = other.worker.loop.wall_ms = begin + minute * 60000;
			unsigned now = way_of_number(&one, user).source_v4.ip[3];
			assert_int_equal(way_of_number(&one, user).source_v4.ip[3], now);
			assert_int_equal(way_of_number(&other, user).source_v4.ip[3], now);
			changes += last && now != last;
			last = now;
		}
		assert_in_range(changes, 0, 1);
		one.worker.loop.wall_ms = begin + 9 * 60000 + 600000;
		unsigned then = way_of_number(&one, user).source_v4.ip[3];
		all_changes += then != last;
		if (rotates)
			assert_int_equal(then, last % 4 + 1);
	}
	assert_in_range(all_changes, 20, 50);
	close_world(&one);
	close_world(&other);
}

static void rotation_is_sticky(void **state)
{
	sticky("rotate", true);
}

static void chance_is_sticky(void **state)
{
	sticky("random", false);
}

static void a_prefix_gives_fresh_addresses(void **state)
{
	struct network network;
	static struct address seen[USERS];
	struct world world;

	assert_true(network_parse(SPAN("2001:db8:1::/64"), &network));
	open_world(&world, "prefix: \"2001:db8:1::/64\"");
	for (unsigned i = 0; i < USERS; i++) {
		struct net_way way = way_of(&world, "ann", "10.0.0.1");
		static const uint8_t zero[8];
		assert_true(way.bound && way.freebind);
		assert_true(network_contains(&network, &way.source_v6));
		assert_memory_not_equal(way.source_v6.ip + 8, zero, 8);
		assert_int_equal(way.source_v4.family, ADDRESS_NONE);
		seen[i] = way.source_v6;
		for (unsigned j = 0; j < i; j++)
			assert_false(address_equal(&seen[j], &way.source_v6));
	}
	close_world(&world);
}

/* All 255 of the last 8 bits, but for zero, before one comes again; odd lengths stay inside. */
static void a_small_prefix_is_used_up_first(void **state)
{
	struct world world;
	bool seen[256] = {false};
	struct network network;

	open_world(&world, "prefix: \"2001:db8:1::ab00/120\"");
	for (unsigned i = 0; i < 255; i++) {
		struct net_way way = way_of(&world, "ann", "10.0.0.1");
		assert_int_equal(way.source_v6.ip[14], 0xab);
		assert_int_not_equal(way.source_v6.ip[15], 0);
		assert_false(seen[way.source_v6.ip[15]]);
		seen[way.source_v6.ip[15]] = true;
	}
	close_world(&world);
	assert_true(network_parse(SPAN("2001:db8:8000::/35"), &network));
	open_world(&world, "prefix: \"2001:db8:8000::/35\"");
	for (unsigned i = 0; i < USERS; i++) {
		struct net_way way = way_of(&world, "ann", "10.0.0.1");
		assert_true(network_contains(&network, &way.source_v6));
	}
	close_world(&world);
}

static void a_prefix_is_sticky_by_user(void **state)
{
	struct world world;

	open_world(&world, "prefix: \"2001:db8:1::/64\", sticky: 10m");
	struct net_way ann = way_of(&world, "ann", "10.0.0.1"), again = way_of(&world, "ann", "10.0.0.2");
	struct net_way bob = way_of(&world, "bob", "10.0.0.1");
	assert_true(address_equal(&ann.source_v6, &again.source_v6));
	assert_false(address_equal(&ann.source_v6, &bob.source_v6));
	world.worker.loop.wall_ms += 600000;
	struct net_way later = way_of(&world, "ann", "10.0.0.1");
	assert_false(address_equal(&ann.source_v6, &later.source_v6));
	close_world(&world);
}

static void families_without_an_address_are_no_way(void **state)
{
	static const struct {
		const char *exit;
		bool v4, v6;
	} cases[] = {
		{"addresses: [192.0.2.1]", true, false},
		{"addresses: [\"2001:db8::1\"]", false, true},
		{"addresses: [192.0.2.1, \"2001:db8::1\"]", true, true},
		{"addresses: [192.0.2.1], prefix: \"2001:db8::/64\"", true, true},
		{"prefix: \"2001:db8::/64\"", false, true},
		{"interface: lo", true, true},
		{"interface: lo, family: ipv4", true, false},
		{"family: ipv6", false, true},
	};

	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		struct world world;
		open_world(&world, cases[i].exit);
		struct net_way way = way_of(&world, "ann", "10.0.0.1");
		assert_int_equal(way_leads_to(&way, ADDRESS_V4), cases[i].v4);
		assert_int_equal(way_leads_to(&way, ADDRESS_V6), cases[i].v6);
		close_world(&world);
	}
	assert_true(way_leads_to(NULL, ADDRESS_V6));
}

/* ---- sockets: every address of 127.0.0.0/8 is this machine's, 203.0.113.0/24 is not ---- */

static struct address bound_to(const struct net_way *way)
{
	union socket_address raw;
	socklen_t len = sizeof(raw);
	int fd = way_socket(way, ADDRESS_V4, SOCK_STREAM);

	if (fd < 0)
		return (struct address){0};
	assert_int_equal(getsockname(fd, &raw.any, &len), 0);
	close(fd);
	return address_from_socket(&raw, len);
}

static void one_that_is_not_there_is_passed_over(const char *choose)
{
	struct world world;
	char text[128];
	unsigned wanted_other = 0;

	snprintf(text, sizeof(text), "addresses: [203.0.113.1, 127.0.0.2], choose: %s", choose);
	open_world(&world, text);
	for (unsigned i = 0; i < 32; i++) {
		struct net_way way = way_of_number(&world, i);
		struct address bound = bound_to(&way);
		wanted_other += way.source_v4.ip[0] == 203;
		assert_int_equal(bound.ip[0], 127);
		assert_int_equal(bound.ip[3], 2);
	}
	assert_int_equal(wanted_other, 1); /* then it was known */
	world.worker.loop.now += 60000;
	for (unsigned i = 0; i < 32; i++)
		wanted_other += way_of_number(&world, i).source_v4.ip[0] == 203;
	assert_in_range(wanted_other, 6, 27); /* and was tried again */
	close_world(&world);
}

static void users_of_a_dead_address_get_another(void **state)
{
	one_that_is_not_there_is_passed_over("user");
}

static void rotation_leaves_dead_addresses_out(void **state)
{
	one_that_is_not_there_is_passed_over("rotate");
}

static void nothing_leaves_by_another_way(void **state)
{
	struct world world;

	open_world(&world, "addresses: [203.0.113.1, 203.0.113.2]");
	for (unsigned i = 0; i < 5; i++) {
		struct net_way way = way_of_number(&world, i);
		assert_int_equal(way_socket(&way, ADDRESS_V4, SOCK_STREAM), -1);
		assert_int_equal(errno, EADDRNOTAVAIL);
		struct error error = way_error(&way, errno);
		assert_int_equal(error.code, ERROR_NO_EXIT);
		assert_true(error.unprocessed);
		assert_int_equal(way_socket(&way, ADDRESS_V6, SOCK_STREAM), -1);
		assert_int_equal(errno, EADDRNOTAVAIL);
	}
	close_world(&world);
	open_world(&world, "interface: notthere0");
	struct net_way way = way_of(&world, "ann", "10.0.0.1");
	assert_int_equal(way_socket(&way, ADDRESS_V4, SOCK_STREAM), -1);
	assert_int_equal(errno, ENODEV);
	struct error error = way_error(&way, errno);
	assert_int_equal(error.code, ERROR_NO_EXIT);
	assert_string_equal(error_text(&error), "the interface of the exit is not there");
	error = way_error(&way, EMFILE); /* that is not the exit's fault */
	assert_false(error_is(&error));
	error = way_error(NULL, EADDRNOTAVAIL);
	assert_false(error_is(&error));
	close_world(&world);
}

struct said {
	unsigned count;
	char texts[4][256];
};

static void say(void *owner, const char *text)
{
	struct said *said = owner;

	assert_in_range(said->count, 0, 3);
	snprintf(said->texts[said->count++], sizeof(said->texts[0]), "%s", text);
}

static void what_does_not_work_is_said_at_start(void **state)
{
	struct world world;
	struct said said = {0};

	open_world(&world, "addresses: [127.0.0.3, 203.0.113.1, 127.0.0.2]");
	exits_probe(world.exits, say, &said);
	assert_int_equal(said.count, 1);
	assert_string_equal(said.texts[0], "exit \"out\": nothing can leave by 203.0.113.1 now: "
					   "this machine does not have the address");
	close_world(&world);
	open_world(&world, "interface: notthere0");
	exits_probe(world.exits, say, &said);
	assert_int_equal(said.count, 2);
	assert_string_equal(said.texts[1], "exit \"out\": nothing can leave by interface notthere0 now: "
					   "the interface of the exit is not there");
	close_world(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_an_exit_the_system_chooses),
		cmocka_unit_test(users_keep_theirs_and_are_spread),
		cmocka_unit_test(an_address_that_goes_moves_only_its_own),
		cmocka_unit_test(who_has_no_name_counts_by_address),
		cmocka_unit_test(rotation_takes_turns),
		cmocka_unit_test(random_takes_all),
		cmocka_unit_test(rotation_is_sticky),
		cmocka_unit_test(chance_is_sticky),
		cmocka_unit_test(a_prefix_gives_fresh_addresses),
		cmocka_unit_test(a_small_prefix_is_used_up_first),
		cmocka_unit_test(a_prefix_is_sticky_by_user),
		cmocka_unit_test(families_without_an_address_are_no_way),
		cmocka_unit_test(users_of_a_dead_address_get_another),
		cmocka_unit_test(rotation_leaves_dead_addresses_out),
		cmocka_unit_test(nothing_leaves_by_another_way),
		cmocka_unit_test(what_does_not_work_is_said_at_start),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
