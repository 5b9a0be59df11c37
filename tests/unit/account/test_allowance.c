/* Allowances: who has one, requests, connections, quotas over the ends of periods, what is remembered, and many threads. */
#include "account/allowance.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>
#include <pthread.h>

enum { SECOND = 1000 * 1000, THREADS = 8 };

#define NOON (INT64_C(1709208000) * 1000) /* 2024-02-29T12:00:00Z */
#define HOUR (INT64_C(3600) * 1000)

static struct memory memory;
static struct allowance_time now;
static struct allowances *allowances;

static struct allowance *make(struct allowance_settings settings)
{
	settings.name = (struct setting_string){.text = "one", .len = 3};
	if (!settings.per)
		settings.per = 1000;
	struct setting_list list = {.items = &settings, .count = 1};
	struct allowances *before = allowances;
	allowances = allowances_new(&memory, &list, before);
	allowances_free(before);
	assert_non_null(allowances);
	return allowances_at(allowances, 0);
}

static int set_up(void **state)
{
	memory_init(&memory, 0);
	now = (struct allowance_time){.now_us = 5 * SECOND, .wall_ms = NOON};
	allowances = NULL;
	return 0;
}

static int tear_down(void **state)
{
	allowances_free(allowances);
	assert_int_equal(atomic_load(&memory.used), 0);
	return 0;
}

static struct address v4(uint8_t last)
{
	return (struct address){.family = ADDRESS_V4, .ip = {10, 0, 0, last}, .port = 1000};
}

static enum allowance_answer enter_as(struct allowance *allowance, const char *user, struct address client,
				      struct allowance_use *use, uint64_t *wait)
{
	struct allowance_asker asker = {.user = span_of(user), .client = &client};
	return allowance_enter(allowance, &asker, true, &now, use, wait);
}

/* And leaves at once. */
static enum allowance_answer ask(struct allowance *allowance, const char *user, struct address client)
{
	struct allowance_use use = {0};
	uint64_t wait;
	enum allowance_answer answer = enter_as(allowance, user, client, &use, &wait);

	allowance_leave(&use);
	return answer;
}

static void pass(uint64_t us)
{
	now.now_us += us;
	now.wall_ms += (int64_t)us / 1000;
}

static void test_requests(void **state)
{
	struct allowance *allowance = make((struct allowance_settings){.requests = 10, .burst = 3});
	struct allowance_use use = {0};
	uint64_t wait;

	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(ask(allowance, "ann", v4(1)), ALLOWANCE_GRANTED);
	assert_int_equal(enter_as(allowance, "ann", v4(1), &use, &wait), ALLOWANCE_REQUESTS);
	assert_int_equal(wait, SECOND / 10);
	assert_null(use.allowance);
	assert_int_equal(ask(allowance, "bob", v4(1)), ALLOWANCE_GRANTED);  /* another user, same place */
	assert_int_equal(ask(allowance, "ann", v4(2)), ALLOWANCE_REQUESTS); /* the same, elsewhere */
	pass(SECOND / 10 - 1);
	assert_int_equal(ask(allowance, "ann", v4(1)), ALLOWANCE_REQUESTS);
	pass(1);
	assert_int_equal(ask(allowance, "ann", v4(1)), ALLOWANCE_GRANTED);
	assert_int_equal(ask(allowance, "ann", v4(1)), ALLOWANCE_REQUESTS);
	struct allowance_counts counts = allowance_counts(allowance);
	assert_int_equal(counts.granted, 5);
	assert_int_equal(counts.refused[ALLOWANCE_REQUESTS], 4);
	assert_int_equal(counts.entries, 2);
}

static void test_delayed_requests_wait_in_line(void **state)
{
	struct allowance *allowance =
		make((struct allowance_settings){.requests = 10, .burst = 1, .delay = 250});
	struct allowance_use uses[5] = {0};
	uint64_t wait;

	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(enter_as(allowance, "ann", v4(1), &uses[i], &wait), ALLOWANCE_GRANTED);
		assert_int_equal(wait, i * SECOND / 10);
	}
	assert_int_equal(enter_as(allowance, "ann", v4(1), &uses[3], &wait), ALLOWANCE_REQUESTS);
	assert_int_equal(wait, 3 * SECOND / 10);
	/* who cannot wait is refused */
	struct address client = v4(1);
	struct allowance_asker asker = {.user = SPAN("ann"), .client = &client};
	assert_int_equal(allowance_enter(allowance, &asker, false, &now, &uses[4], &wait), ALLOWANCE_REQUESTS);
	for (unsigned i = 0; i < 3; i++)
		allowance_leave(&uses[i]);
	assert_int_equal(allowance_counts(allowance).delayed, 2);
}

static void test_connections(void **state)
{
	struct allowance *allowance = make((struct allowance_settings){.connections = 2});
	struct allowance_use uses[3] = {0};
	uint64_t wait;

	assert_int_equal(enter_as(allowance, "ann", v4(1), &uses[0], &wait), ALLOWANCE_GRANTED);
	assert_int_equal(enter_as(allowance, "ann", v4(2), &uses[1], &wait), ALLOWANCE_GRANTED);
	assert_int_equal(enter_as(allowance, "ann", v4(3), &uses[2], &wait), ALLOWANCE_CONNECTIONS);
	assert_int_equal(ask(allowance, "bob", v4(1)), ALLOWANCE_GRANTED);
	allowance_leave(&uses[0]);
	allowance_leave(&uses[0]); /* once more does nothing */
	assert_int_equal(enter_as(allowance, "ann", v4(3), &uses[2], &wait), ALLOWANCE_GRANTED);
	assert_int_equal(ask(allowance, "ann", v4(3)), ALLOWANCE_CONNECTIONS);
	allowance_leave(&uses[1]);
	allowance_leave(&uses[2]);
}

/* A request that is refused for another reason takes nothing of the rate. */
static void test_refused_costs_nothing(void **state)
{
	struct allowance *allowance =
		make((struct allowance_settings){.connections = 1, .requests = 1, .burst = 2});
	struct allowance_use use = {0};
	uint64_t wait;

	assert_int_equal(enter_as(allowance, "ann", v4(1), &use, &wait), ALLOWANCE_GRANTED);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(ask(allowance, "ann", v4(1)), ALLOWANCE_CONNECTIONS);
	allowance_leave(&use);
	assert_int_equal(ask(allowance, "ann", v4(1)), ALLOWANCE_GRANTED);
	assert_int_equal(ask(allowance, "ann", v4(1)), ALLOWANCE_REQUESTS);
}

static void test_who_is_who(void **state)
{
	struct address a = {.family = ADDRESS_V6, .ip = {0x20, 1, 0xd, 0xb8, 0, 0, 0, 1, 1}}, b = a, c = a;
	struct address mapped = {.family = ADDRESS_V6,
				 .ip = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 1}};
	struct address local = {.family = ADDRESS_UNIX};
	char one[400], other[400];

	b.ip[15] = 9; /* the same /64 */
	c.ip[7] = 2;  /* another one */
	struct allowance *allowance =
		make((struct allowance_settings){.by = ALLOWANCE_BY_ADDRESS, .requests = 1, .per = 86400000});
	assert_int_equal(ask(allowance, "ann", a), ALLOWANCE_GRANTED);
	assert_int_equal(ask(allowance, "bob", b), ALLOWANCE_REQUESTS);
	assert_int_equal(ask(allowance, "ann", c), ALLOWANCE_GRANTED);
	assert_int_equal(ask(allowance, "ann", v4(1)), ALLOWANCE_GRANTED);
	assert_int_equal(ask(allowance, "bob", mapped), ALLOWANCE_REQUESTS);
	assert_int_equal(ask(allowance, "ann", local), ALLOWANCE_GRANTED);
	assert_int_equal(ask(allowance, "bob", local), ALLOWANCE_REQUESTS);
	/* by user; nobody counts by address, and is not the user whose name looks like one */
	allowance = make((struct allowance_settings){.by = ALLOWANCE_BY_USER, .requests = 1, .per = 86400000});
	assert_int_equal(ask(allowance, "", v4(1)), ALLOWANCE_GRANTED);
	assert_int_equal(ask(allowance, "", v4(1)), ALLOWANCE_REQUESTS);
	assert_int_equal(ask(allowance, "", v4(2)), ALLOWANCE_GRANTED);
	assert_int_equal(ask(allowance, "\n", v4(2)), ALLOWANCE_GRANTED);
	memset(one, 'x', sizeof(one));
	memset(other, 'x', sizeof(other));
	one[399] = other[399] = 0;
	one[398] = 'y';
	assert_int_equal(ask(allowance, one, v4(1)), ALLOWANCE_GRANTED);
	assert_int_equal(ask(allowance, other, v4(1)), ALLOWANCE_GRANTED);
	assert_int_equal(ask(allowance, one, v4(1)), ALLOWANCE_REQUESTS);
	/* all together */
	allowance =
		make((struct allowance_settings){.by = ALLOWANCE_BY_NOBODY, .requests = 2, .per = 86400000});
	assert_int_equal(ask(allowance, "ann", v4(1)), ALLOWANCE_GRANTED);
	assert_int_equal(ask(allowance, "bob", a), ALLOWANCE_GRANTED);
	assert_int_equal(ask(allowance, "", v4(3)), ALLOWANCE_REQUESTS);
}

/* ---- bytes ---- */

static void test_bandwidth_of_both_and_one_direction(void **state)
{
	struct allowance *allowance =
		make((struct allowance_settings){.bandwidth = 100 * 1024, .upload = 50 * 1024});
	struct allowance_use use = {0};
	uint64_t wait, up = 0, down = 0, at = now.now_us;

	assert_int_equal(enter_as(allowance, "ann", v4(1), &use, &wait), ALLOWANCE_GRANTED);
	size_t portion = allowance_portion(&use, ALLOWANCE_UP);
	assert_true(portion <= 50 * 1024 / 10);
	assert_true(allowance_meters(&use, ALLOWANCE_DOWN));
	/* up alone: half of it */
	for (unsigned i = 0; i < 1000; i++) {
		now.now_us += allowance_charge(&use, ALLOWANCE_UP, portion, &now);
		up += portion;
	}
	uint64_t earned = (now.now_us - at) * 50 * 1024 / SECOND;
	assert_true(up >= earned && up <= earned + 3 * portion + 50 * 1024 / 8);
	/* down takes the rest, as the sum of both is bounded */
	at = now.now_us;
	up = 0;
	uint64_t up_at = at, down_at = at;
	for (unsigned i = 0; i < 2000; i++) {
		bool turn = up_at <= down_at;
		now.now_us = turn ? up_at : down_at;
		uint64_t due = now.now_us +
			       allowance_charge(&use, turn ? ALLOWANCE_UP : ALLOWANCE_DOWN, portion, &now);
		*(turn ? &up_at : &down_at) = due;
		*(turn ? &up : &down) += portion;
	}
	earned = (now.now_us - at) * 100 * 1024 / SECOND;
	assert_true(up + down >= earned && up + down <= earned + 3 * portion + 100 * 1024 / 8);
	assert_true(up <= (now.now_us - at) * 50 * 1024 / SECOND + 3 * portion + 50 * 1024 / 8);
	assert_true(allowance_counts(allowance).throttled > 2000);
	allowance_leave(&use);
}

static void test_datagrams_do_not_wait(void **state)
{
	struct allowance *allowance = make((struct allowance_settings){.download = 64 * 1024});
	struct allowance_use use = {0};
	uint64_t wait, passed = 0;

	assert_int_equal(enter_as(allowance, "ann", v4(1), &use, &wait), ALLOWANCE_GRANTED);
	assert_false(allowance_meters(&use, ALLOWANCE_UP));
	for (unsigned ms = 0; ms < 10000; ms++) {
		pass(1000);
		for (unsigned i = 0; i < 3; i++)
			passed += allowance_pass(&use, ALLOWANCE_DOWN, 1200, &now) ? 1200 : 0;
		assert_true(allowance_pass(&use, ALLOWANCE_UP, 1200, &now));
	}
	assert_true(passed >= 640 * 1024 && passed <= 640 * 1024 + 64 * 1024 / 8 + 1200);
	assert_true(allowance_counts(allowance).dropped > 0);
	/* one that is larger than what may come at once passes after a pause */
	pass(SECOND);
	assert_true(allowance_pass(&use, ALLOWANCE_DOWN, 60000, &now));
	assert_false(allowance_pass(&use, ALLOWANCE_DOWN, 1, &now));
	allowance_leave(&use);
}

/* ---- quotas ---- */

static void use_up(struct allowance *allowance, size_t bytes)
{
	struct allowance_use use = {0};
	uint64_t wait;

	assert_int_equal(enter_as(allowance, "ann", v4(1), &use, &wait), ALLOWANCE_GRANTED);
	assert_int_equal(allowance_charge(&use, ALLOWANCE_DOWN, bytes, &now), 0);
	allowance_leave(&use);
}

static void test_quota_of_each_period(void **state)
{
	static const struct {
		int period;
		int64_t until_ms; /* from NOON of the 29th of February on */
	} cases[] = {
		{ALLOWANCE_HOUR, HOUR},
		{ALLOWANCE_DAY, 12 * HOUR},
		{ALLOWANCE_MONTH, 12 * HOUR},
	};

	for (unsigned i = 0; i < ARRAY_LENGTH(cases); i++) {
		struct allowance *allowance =
			make((struct allowance_settings){.quota = 1000, .period = cases[i].period});
		struct allowance_use use = {0};
		uint64_t wait;
		now.wall_ms = NOON;
		use_up(allowance, 600);
		use_up(allowance, 600); /* the last may be over it */
		assert_int_equal(enter_as(allowance, "ann", v4(1), &use, &wait), ALLOWANCE_QUOTA);
		assert_int_equal(wait, cases[i].until_ms * 1000);
		assert_int_equal(ask(allowance, "bob", v4(1)), ALLOWANCE_GRANTED);
		now.wall_ms += cases[i].until_ms - 1;
		assert_int_equal(ask(allowance, "ann", v4(1)), ALLOWANCE_QUOTA);
		now.wall_ms++;
		use_up(allowance, 1000);
		assert_int_equal(ask(allowance, "ann", v4(1)), ALLOWANCE_QUOTA);
		/* the next March is 31 days, and a year later it is a March as well */
		now.wall_ms = NOON + 366 * 24 * HOUR;
		assert_int_equal(ask(allowance, "ann", v4(1)), ALLOWANCE_GRANTED);
	}
}

static void test_quota_ends_what_goes_on(void **state)
{
	struct allowance *allowance = make((struct allowance_settings){.quota = 1000, .period = ALLOWANCE_DAY});
	struct allowance_use use = {0};
	uint64_t wait;

	assert_int_equal(enter_as(allowance, "ann", v4(1), &use, &wait), ALLOWANCE_GRANTED);
	assert_int_equal(allowance_charge(&use, ALLOWANCE_UP, 999, &now), 0);
	assert_false(allowance_is_spent(&use, &now));
	assert_int_equal(allowance_charge(&use, ALLOWANCE_DOWN, 500, &now), 0);
	assert_true(allowance_is_spent(&use, &now));
	assert_true(allowance_charge(&use, ALLOWANCE_UP, 1, &now) == ALLOWANCE_NEVER);
	assert_false(allowance_pass(&use, ALLOWANCE_UP, 1, &now));
	assert_int_equal(allowance_renewal_us(&use, &now), 12 * HOUR * 1000);
	allowance_refund(&use, ALLOWANCE_DOWN, 500);
	assert_false(allowance_is_spent(&use, &now));
	/* given back in the next period: not less than nothing */
	now.wall_ms += 12 * HOUR;
	assert_false(allowance_is_spent(&use, &now));
	allowance_refund(&use, ALLOWANCE_UP, 999);
	assert_false(allowance_is_spent(&use, &now));
	allowance_leave(&use);
}

static void test_a_clock_that_is_set(void **state)
{
	struct allowance *allowance = make((struct allowance_settings){.quota = 10, .period = ALLOWANCE_HOUR});

	now.wall_ms = NOON + 1;
	use_up(allowance, 10);
	now.wall_ms = NOON - 5000; /* back by a little: no fresh quota */
	assert_int_equal(ask(allowance, "ann", v4(1)), ALLOWANCE_QUOTA);
	now.wall_ms = NOON + 2;
	assert_int_equal(ask(allowance, "ann", v4(1)), ALLOWANCE_QUOTA);
	now.wall_ms = NOON + 1000 * 24 * HOUR; /* far ahead, by mistake ... */
	use_up(allowance, 10);
	now.wall_ms = NOON + 3; /* ... and right again: nobody waits for years */
	assert_int_equal(ask(allowance, "ann", v4(1)), ALLOWANCE_GRANTED);
}

/* ---- what is remembered ---- */

static void test_a_flood_of_addresses(void **state)
{
	struct allowance *allowance =
		make((struct allowance_settings){.by = ALLOWANCE_BY_ADDRESS, .requests = 1, .per = 86400000});
	struct address client = v4(0);
	struct allowance_use kept = {0};
	uint64_t wait;

	assert_int_equal(enter_as(allowance, "", v4(7), &kept, &wait), ALLOWANCE_GRANTED);
	for (uint32_t i = 0; i < 4 * ALLOWANCE_REMEMBERED; i++) {
		uint32_t bits = i * 2654435761u;
		memcpy(client.ip, &bits, 4);
		client.ip[0] = 77;
		client.ip[1] = (uint8_t)(i >> 16);
		client.ip[2] = (uint8_t)(i >> 8);
		client.ip[3] = (uint8_t)i;
		assert_int_equal(ask(allowance, "", client), ALLOWANCE_GRANTED);
	}
	assert_true(allowance_counts(allowance).entries <= ALLOWANCE_REMEMBERED + 1);
	assert_true(atomic_load(&memory.used) <= ALLOWANCE_REMEMBERED * 320);
	/* the latest are known; so is whoever is here all the time */
	assert_int_equal(ask(allowance, "", client), ALLOWANCE_REQUESTS);
	assert_int_equal(ask(allowance, "", v4(7)), ALLOWANCE_REQUESTS);
	allowance_leave(&kept);
}

static void test_no_memory(void **state)
{
	struct allowance *allowance = make((struct allowance_settings){.requests = 1});

	memory_fail_every(&memory, 1);
	assert_int_equal(ask(allowance, "ann", v4(1)), ALLOWANCE_MEMORY);
	memory_fail_every(&memory, 0);
	assert_int_equal(ask(allowance, "ann", v4(1)), ALLOWANCE_GRANTED);
}

static void test_taken_over(void **state)
{
	struct allowance_settings settings = {
		.requests = 1, .per = 1000, .quota = 1000, .period = ALLOWANCE_MONTH};
	struct allowance *allowance = make(settings), *same;
	struct allowance_use use = {0};
	uint64_t wait;

	use_up(allowance, 700);
	same = make(settings);
	assert_ptr_equal(same, allowance);
	assert_int_equal(ask(same, "ann", v4(1)), ALLOWANCE_REQUESTS);
	pass(SECOND);
	assert_int_equal(enter_as(same, "ann", v4(1), &use, &wait), ALLOWANCE_GRANTED);
	/* other settings: buckets begin anew, what was used of the month stays */
	settings.requests = 5;
	allowance = make(settings);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(ask(allowance, "ann", v4(1)), ALLOWANCE_GRANTED);
	pass(SECOND);
	use_up(allowance, 300);
	assert_int_equal(ask(allowance, "ann", v4(1)), ALLOWANCE_QUOTA);
	/* whoever came under the old ones goes on under them */
	assert_int_equal(allowance_charge(&use, ALLOWANCE_UP, 10, &now), 0);
	allowance_leave(&use);
	settings.period = ALLOWANCE_DAY; /* another thing */
	assert_int_equal(ask(make(settings), "ann", v4(1)), ALLOWANCE_GRANTED);
}

/* ---- many threads ---- */

struct team {
	struct allowance *allowance;
	atomic_uint_fast64_t granted, bytes, now_us;
	atomic_uint inside, most;
};

static void *work(void *argument)
{
	struct team *team = argument;
	uint64_t seed = (uint64_t)(uintptr_t)&seed;

	for (unsigned i = 0; i < 3000; i++) {
		seed = seed * 6364136223846793005u + 1;
		struct allowance_time time = {.now_us = atomic_fetch_add(&team->now_us, 20), .wall_ms = NOON};
		struct address client = v4((uint8_t)(seed >> 60));
		struct allowance_asker asker = {.user = SPAN("ann"), .client = &client};
		struct allowance_use use = {0};
		uint64_t wait;

		if (allowance_enter(team->allowance, &asker, false, &time, &use, &wait) != ALLOWANCE_GRANTED)
			continue;
		unsigned inside = atomic_fetch_add(&team->inside, 1) + 1, most = atomic_load(&team->most);
		while (inside > most && !atomic_compare_exchange_weak(&team->most, &most, inside))
			;
		atomic_fetch_add(&team->granted, 1);
		for (unsigned j = 0; j < 4; j++)
			if (allowance_charge(&use, ALLOWANCE_DOWN, 100, &time) != ALLOWANCE_NEVER)
				atomic_fetch_add(&team->bytes, 100);
		atomic_fetch_sub(&team->inside, 1);
		allowance_leave(&use);
	}
	return NULL;
}

static void run_team(struct team *team)
{
	pthread_t threads[THREADS];

	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, work, team), 0);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
}

static void test_threads_never_get_more(void **state)
{
	struct team team = {
		.allowance = make((struct allowance_settings){
			.requests = 1000, .burst = 5, .connections = 3, .quota = 100000, .bandwidth = 1 << 20}),
		.now_us = 5 * SECOND,
	};

	run_team(&team);
	uint64_t passed_us = atomic_load(&team.now_us) - 5 * SECOND;
	assert_true(atomic_load(&team.granted) <= 5 + passed_us / 1000);
	assert_true(atomic_load(&team.granted) > 5);
	assert_true(atomic_load(&team.most) <= 3);
	/* each thread may have one charge on its way when the quota ends */
	assert_true(atomic_load(&team.bytes) <= 100000 + THREADS * 100);
	assert_int_equal(atomic_load(&team.inside), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_requests),
		TEST(test_delayed_requests_wait_in_line),
		TEST(test_connections),
		TEST(test_refused_costs_nothing),
		TEST(test_who_is_who),
		TEST(test_bandwidth_of_both_and_one_direction),
		TEST(test_datagrams_do_not_wait),
		TEST(test_quota_of_each_period),
		TEST(test_quota_ends_what_goes_on),
		TEST(test_a_clock_that_is_set),
		TEST(test_a_flood_of_addresses),
		TEST(test_no_memory),
		TEST(test_taken_over),
		TEST(test_threads_never_get_more),
	};
	return cmocka_run_group_tests_name("allowance", tests, NULL, NULL);
}
