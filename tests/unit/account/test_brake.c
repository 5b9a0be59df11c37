/*
 * The brake with a clock of its own: what is free, how delays grow and are forgotten, who is known, and who cannot shut whom out.
 */
#include "account/brake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const struct brake_settings settings = {.failures = 3, .delay = 1000, .longest = 8000, .forget = 60000};

static struct memory memory;
static struct brake *brake;
static uint64_t now;
static uint64_t next_what;

static int set_up(void **state)
{
	memory_init(&memory, 0);
	brake = brake_new(&memory);
	now = 5000000;
	assert_non_null(brake);
	return 0;
}

static int tear_down(void **state)
{
	brake_free(brake);
	assert_int_equal(atomic_load(&memory.used), 0);
	return 0;
}

static struct address at(const char *text)
{
	struct address address;

	assert_true(address_parse_ip(span_of(text), &address));
	return address;
}

enum try { TRY_GOOD, TRY_WRONG, TRY_HELD, TRY_REPEATED };

/* One login that is verified at once. */
static enum try attempt(const char *from, const char *user, uint64_t what, bool good)
{
	struct address address = at(from);
	struct brake_keys keys = brake_keys(brake, &address, span_of(user), what);
	uint64_t wait;

	switch (brake_look(brake, &settings, &keys, now, &wait)) {
	case BRAKE_HELD:
		assert_true(wait > 0);
		return TRY_HELD;
	case BRAKE_REPEATED:
		return TRY_REPEATED;
	case BRAKE_FREE:
		break;
	}
	assert_int_equal(brake_enter(brake, &settings, &keys, now), 0);
	brake_leave(brake, &settings, &keys, good ? BRAKE_GOOD : BRAKE_WRONG, now);
	return good ? TRY_GOOD : TRY_WRONG;
}

static enum try guess(const char *from, const char *user)
{
	return attempt(from, user, next_what += 2, false);
}

static enum try right(const char *from, const char *user)
{
	return attempt(from, user, UINT64_C(0x123456789), true);
}

/* ---- */

static void test_an_address_is_held(void **state)
{
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(guess("192.0.2.1", i ? "ann" : "bob"), TRY_WRONG);
	assert_int_equal(guess("192.0.2.1", "carl"), TRY_HELD);
	assert_int_equal(right("192.0.2.1", "dora"), TRY_HELD);
	/* another one is not */
	assert_int_equal(right("192.0.2.2", "dora"), TRY_GOOD);
	now += 999;
	assert_int_equal(guess("192.0.2.1", "carl"), TRY_HELD);
	now += 1;
	assert_int_equal(guess("192.0.2.1", "carl"), TRY_WRONG);
}

static void test_delays_double_up_to_the_longest(void **state)
{
	static const uint64_t holds[] = {1000, 2000, 4000, 8000, 8000, 8000};

	assert_int_equal(guess("192.0.2.1", "a"), TRY_WRONG);
	assert_int_equal(guess("192.0.2.1", "b"), TRY_WRONG);
	for (size_t i = 0; i < ARRAY_LENGTH(holds); i++) {
		char name[8];
		snprintf(name, sizeof(name), "c%zu", i);
		assert_int_equal(guess("192.0.2.1", name), TRY_WRONG);
		now += holds[i] - 1;
		assert_int_equal(guess("192.0.2.1", "x"), TRY_HELD);
		now += 1;
	}
}

static void test_what_is_held_does_not_count(void **state)
{
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(guess("192.0.2.1", "ann"), TRY_WRONG);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(guess("192.0.2.1", "ann"), TRY_HELD);
	now += 1000;
	assert_int_equal(right("192.0.2.1", "ann"), TRY_GOOD);
}

static void test_failures_are_forgotten(void **state)
{
	assert_int_equal(guess("192.0.2.1", "ann"), TRY_WRONG);
	assert_int_equal(guess("192.0.2.1", "ann"), TRY_WRONG);
	now += 60000;
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(guess("192.0.2.1", "ann"), TRY_WRONG);
	assert_int_equal(guess("192.0.2.1", "ann"), TRY_HELD);
	now += 60000;
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(guess("192.0.2.1", "ann"), TRY_WRONG);
}

/* From many addresses at one name. */
static void test_a_name_is_held(void **state)
{
	assert_int_equal(guess("192.0.2.1", "ann"), TRY_WRONG);
	assert_int_equal(guess("192.0.2.2", "ann"), TRY_WRONG);
	assert_int_equal(guess("192.0.2.3", "ann"), TRY_WRONG);
	assert_int_equal(guess("192.0.2.4", "ann"), TRY_HELD);
	assert_int_equal(right("192.0.2.4", "bob"), TRY_GOOD);
}

static void test_v6_is_held_by_64(void **state)
{
	assert_int_equal(guess("2001:db8:0:1::1", "a"), TRY_WRONG);
	assert_int_equal(guess("2001:db8:0:1::2", "b"), TRY_WRONG);
	assert_int_equal(guess("2001:db8:0:1:ffff::3", "c"), TRY_WRONG);
	assert_int_equal(guess("2001:db8:0:1::4", "d"), TRY_HELD);
	assert_int_equal(guess("2001:db8:0:2::4", "d"), TRY_WRONG);
	/* a mapped address is the one in it */
	assert_int_equal(guess("::ffff:192.0.2.9", "e"), TRY_WRONG);
	assert_int_equal(guess("192.0.2.9", "f"), TRY_WRONG);
	assert_int_equal(guess("::ffff:192.0.2.9", "g"), TRY_WRONG);
	assert_int_equal(guess("192.0.2.9", "h"), TRY_HELD);
}

/* ann has been here before: neither her name elsewhere nor other names here shut her out. */
static void test_who_is_known_is_not_shut_out(void **state)
{
	assert_int_equal(right("192.0.2.1", "ann"), TRY_GOOD);
	for (unsigned i = 0; i < 20; i++) {
		char from[32];
		snprintf(from, sizeof(from), "198.51.100.%u", i);
		(void)guess(from, "ann");
		(void)guess("192.0.2.1", "bob");
	}
	assert_int_equal(guess("198.51.100.200", "ann"), TRY_HELD);
	assert_int_equal(right("192.0.2.1", "bob"), TRY_HELD);
	assert_int_equal(right("192.0.2.1", "ann"), TRY_GOOD);
	/* but she is held by what is done wrong there with her own name */
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(guess("192.0.2.1", "ann"), TRY_WRONG);
	assert_int_equal(right("192.0.2.1", "ann"), TRY_HELD);
	now += 1000;
	assert_int_equal(right("192.0.2.1", "ann"), TRY_GOOD);
	assert_int_equal(guess("192.0.2.1", "ann"), TRY_WRONG); /* from the beginning */
	assert_int_equal(guess("192.0.2.1", "ann"), TRY_WRONG);
	assert_int_equal(right("192.0.2.1", "ann"), TRY_GOOD);
}

/* A program with an old password asks again and again. */
static void test_the_same_again_counts_once(void **state)
{
	assert_int_equal(attempt("192.0.2.1", "ann", 77, false), TRY_WRONG);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(attempt("192.0.2.1", "ann", 77, false), TRY_REPEATED);
	assert_int_equal(right("192.0.2.1", "ann"), TRY_GOOD);
	/* also where she is known */
	assert_int_equal(attempt("192.0.2.1", "ann", 77, false), TRY_WRONG);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(attempt("192.0.2.1", "ann", 77, false), TRY_REPEATED);
	assert_int_equal(right("192.0.2.1", "ann"), TRY_GOOD);
}

/* Also when all of them were on their way before the first one was found to be wrong. */
static void test_the_same_at_once_counts_once(void **state)
{
	struct brake_keys keys[3];
	uint64_t wait;

	for (unsigned i = 0; i < 3; i++) {
		char from[32];
		snprintf(from, sizeof(from), "192.0.2.%u", i);
		struct address address = at(from);
		keys[i] = brake_keys(brake, &address, SPAN("ann"), 77);
		assert_int_equal(brake_look(brake, &settings, &keys[i], now, &wait), BRAKE_FREE);
		assert_int_equal(brake_enter(brake, &settings, &keys[i], now), 0);
	}
	for (unsigned i = 0; i < 3; i++)
		brake_leave(brake, &settings, &keys[i], BRAKE_WRONG, now);
	assert_int_equal(right("192.0.2.9", "ann"), TRY_GOOD);
}

/* Not more are looked at at a time than may be wrong, or all of them would be free. */
static void test_many_at_a_time(void **state)
{
	struct brake_keys keys[4];
	uint64_t wait;

	for (unsigned i = 0; i < 4; i++) {
		char from[32];
		snprintf(from, sizeof(from), "192.0.2.%u", i);
		struct address address = at(from);
		keys[i] = brake_keys(brake, &address, SPAN("ann"), 2 * i);
		if (i < 3) {
			assert_int_equal(brake_look(brake, &settings, &keys[i], now, &wait), BRAKE_FREE);
			assert_int_equal(brake_enter(brake, &settings, &keys[i], now), 0);
		}
	}
	assert_int_equal(brake_look(brake, &settings, &keys[3], now, &wait), BRAKE_HELD);
	assert_true(brake_enter(brake, &settings, &keys[3], now) > 0);
	brake_leave(brake, &settings, &keys[0], BRAKE_UNSEEN, now);
	assert_int_equal(brake_look(brake, &settings, &keys[3], now, &wait), BRAKE_FREE);
	assert_int_equal(brake_enter(brake, &settings, &keys[3], now), 0);
	for (unsigned i = 1; i < 4; i++)
		brake_leave(brake, &settings, &keys[i], BRAKE_UNSEEN, now);
	assert_int_equal(right("192.0.2.9", "ann"), TRY_GOOD);
}

/* Many people behind one address log in at a time, and none is held. */
static void test_many_people_at_a_time(void **state)
{
	struct brake_keys keys[64];
	uint64_t wait;
	struct address address = at("192.0.2.1");

	for (unsigned i = 0; i < ARRAY_LENGTH(keys); i++) {
		char name[16];
		snprintf(name, sizeof(name), "user%u", i);
		keys[i] = brake_keys(brake, &address, span_of(name), 2 * i);
		assert_int_equal(brake_look(brake, &settings, &keys[i], now, &wait), BRAKE_FREE);
		assert_int_equal(brake_enter(brake, &settings, &keys[i], now), 0);
	}
	for (unsigned i = 0; i < ARRAY_LENGTH(keys); i++)
		brake_leave(brake, &settings, &keys[i], BRAKE_GOOD, now);
}

/* After the free ones, one at a time. */
static void test_one_at_a_time_after_the_hold(void **state)
{
	struct address address = at("192.0.2.1");
	struct brake_keys one = brake_keys(brake, &address, SPAN("x"), 2),
			  two = brake_keys(brake, &address, SPAN("y"), 4);
	uint64_t wait;

	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(guess("192.0.2.1", "ann"), TRY_WRONG);
	now += 1000;
	assert_int_equal(brake_look(brake, &settings, &one, now, &wait), BRAKE_FREE);
	assert_int_equal(brake_enter(brake, &settings, &one, now), 0);
	assert_int_equal(brake_look(brake, &settings, &two, now, &wait), BRAKE_HELD);
	brake_leave(brake, &settings, &one, BRAKE_WRONG, now);
	assert_int_equal(brake_look(brake, &settings, &two, now, &wait), BRAKE_HELD);
	assert_int_equal(wait, 2000);
}

/* However many fail, memory stays as it is, and who is known stays known. */
static void test_floods_are_bounded(void **state)
{
	size_t before = atomic_load(&memory.used);

	assert_int_equal(right("192.0.2.1", "ann"), TRY_GOOD);
	for (unsigned i = 0; i < 200000; i++) {
		struct address address = {.family = ADDRESS_V4,
					  .ip = {10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i}};
		char name[16];
		snprintf(name, sizeof(name), "n%u", i);
		struct brake_keys keys = brake_keys(brake, &address, span_of(name), i);
		uint64_t wait;
		if (brake_look(brake, &settings, &keys, now, &wait) == BRAKE_FREE &&
		    brake_enter(brake, &settings, &keys, now) == 0)
			brake_leave(brake, &settings, &keys, BRAKE_WRONG, now);
	}
	assert_int_equal(atomic_load(&memory.used), before);
	for (unsigned i = 0; i < 4; i++)
		(void)guess("198.51.100.1", "ann");
	assert_int_equal(right("198.51.100.1", "ann"), TRY_HELD);
	assert_int_equal(right("192.0.2.1", "ann"), TRY_GOOD);
}

static void test_without_a_brake(void **state)
{
	static const struct brake_settings off = {.failures = 0};
	struct address address = at("192.0.2.1");
	uint64_t wait;

	for (unsigned i = 0; i < 1000; i++) {
		struct brake_keys keys = brake_keys(brake, &address, SPAN("ann"), i);
		assert_int_equal(brake_look(brake, &off, &keys, now, &wait), BRAKE_FREE);
		assert_int_equal(brake_enter(brake, &off, &keys, now), 0);
		brake_leave(brake, &off, &keys, BRAKE_WRONG, now);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_an_address_is_held, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_delays_double_up_to_the_longest, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_is_held_does_not_count, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_failures_are_forgotten, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_name_is_held, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_v6_is_held_by_64, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_who_is_known_is_not_shut_out, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_the_same_again_counts_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_the_same_at_once_counts_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_many_at_a_time, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_many_people_at_a_time, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_one_at_a_time_after_the_hold, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_floods_are_bounded, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_without_a_brake, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
