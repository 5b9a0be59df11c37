/*
 * Good logins that are remembered: these alone, for their time, in so much memory.
 */
#include "account/cache.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

enum { LIFETIME = 1000 };

static struct memory memory;
static struct login_cache *cache;

static int set_up(void **state)
{
	memory_init(&memory, 0);
	cache = login_cache_new(&memory, LIFETIME);
	assert_non_null(cache);
	return 0;
}

static int tear_down(void **state)
{
	login_cache_free(cache);
	assert_int_equal(atomic_load(&memory.used), 0);
	return 0;
}

static struct login_mac mac_of(const char *hash, const char *name, const char *password)
{
	struct login_mac mac;

	assert_true(login_cache_mac(cache, span_of(hash), span_of(name), span_of(password), &mac));
	return mac;
}

static void test_for_its_time(void **state)
{
	struct login_mac mac = mac_of("$h", "ann", "secret");

	assert_false(login_cache_has(cache, &mac, 5000));
	login_cache_add(cache, &mac, 5000);
	assert_true(login_cache_has(cache, &mac, 5000));
	assert_true(login_cache_has(cache, &mac, 5999));
	assert_false(login_cache_has(cache, &mac, 6000));
	login_cache_add(cache, &mac, 6000);
	assert_true(login_cache_has(cache, &mac, 6500));
}

/* Whatever differs, and wherever one part ends and the next begins. */
static void test_nothing_else(void **state)
{
	struct login_mac mac = mac_of("$h", "ann", "secret");
	static const char *const others[][3] = {
		{"$h", "ann", "secreT"}, {"$h", "Ann", "secret"}, {"$i", "ann", "secret"},
		{"$h", "anns", "ecret"}, {"$h", "an", "nsecret"}, {"$ha", "nn", "secret"},
		{"$h", "ann", ""},       {"", "", "$hannsecret"},
	};

	login_cache_add(cache, &mac, 5000);
	for (size_t i = 0; i < ARRAY_LENGTH(others); i++) {
		struct login_mac other = mac_of(others[i][0], others[i][1], others[i][2]);
		assert_false(login_cache_has(cache, &other, 5000));
	}
}

static void test_bounded(void **state)
{
	size_t before = atomic_load(&memory.used);
	struct login_mac mac;
	unsigned there = 0;

	for (unsigned i = 0; i < 40000; i++) {
		char name[16];
		snprintf(name, sizeof(name), "user%u", i);
		mac = mac_of("$h", name, "x");
		login_cache_add(cache, &mac, 5000 + i / 1000);
		assert_true(login_cache_has(cache, &mac, 5000 + i / 1000));
	}
	assert_int_equal(atomic_load(&memory.used), before);
	for (unsigned i = 0; i < 40000; i++) {
		char name[16];
		snprintf(name, sizeof(name), "user%u", i);
		mac = mac_of("$h", name, "x");
		there += login_cache_has(cache, &mac, 5040);
	}
	assert_true(there > 4000 && there <= 8192);
}

static void test_without_one(void **state)
{
	struct login_cache *none = login_cache_new(&memory, 0);
	struct login_mac mac;

	assert_true(login_cache_mac(none, SPAN("$h"), SPAN("ann"), SPAN("secret"), &mac));
	login_cache_add(none, &mac, 5000);
	assert_false(login_cache_has(none, &mac, 5000));
	login_cache_free(none);
}

/* What is kept shows nothing, and each process has a key of its own. */
static void test_nothing_shows(void **state)
{
	struct login_mac mac = mac_of("$h", "ann", "correct horse"), again;
	struct login_cache *other = login_cache_new(&memory, LIFETIME);

	assert_true(login_cache_mac(other, SPAN("$h"), SPAN("ann"), SPAN("correct horse"), &again));
	assert_memory_not_equal(&mac, &again, sizeof(mac));
	login_cache_free(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_for_its_time, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_nothing_else, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_bounded, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_without_one, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_nothing_shows, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
