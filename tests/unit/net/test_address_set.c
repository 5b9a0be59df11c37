/* Addresses that some threads keep and others ask for. */
#include "net/address_set.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

enum { MANY = 5000, READERS = 3, ROUNDS = 200 };

static struct memory memory;

static struct address number(unsigned value, uint16_t port)
{
	return (struct address){
		.family = ADDRESS_V4,
		.ip = {10, (uint8_t)(value >> 16), (uint8_t)(value >> 8), (uint8_t)value},
		.port = port,
	};
}

static void test_what_is_added_is_there_until_it_is_removed(void **state)
{
	struct address_set *set = address_set_new(&memory);
	struct address_entry *entries = calloc(MANY, sizeof(*entries));

	for (unsigned i = 0; i < MANY; i++)
		address_set_add(set, &entries[i], &(struct address){0});
	assert_null(entries[0].link.next); /* no IP address */
	for (unsigned i = 0; i < MANY; i++) {
		struct address address = number(i, 80);
		address_set_add(set, &entries[i], &address);
	}
	for (unsigned i = 0; i < MANY; i++) {
		struct address there = number(i, 80), other = number(i, 81), beyond = number(i + MANY, 80);
		assert_ptr_equal(address_set_find(set, &there), &entries[i]);
		assert_false(address_set_has(set, &other));
		assert_false(address_set_has(set, &beyond));
	}
	for (unsigned i = 0; i < MANY; i += 2)
		address_set_remove(set, &entries[i]);
	for (unsigned i = 0; i < MANY; i++) {
		struct address address = number(i, 80);
		assert_int_equal(address_set_has(set, &address), i % 2);
		address_set_remove(set, &entries[i]); /* twice is harmless */
		assert_false(address_set_has(set, &address));
	}
	free(entries);
	address_set_free(set);
}

static void test_the_same_address_by_many(void **state)
{
	struct address_set *set = address_set_new(&memory);
	struct address_entry one = {0}, two = {0};
	struct address plain = number(1, 443);
	struct address mapped = {.family = ADDRESS_V6, .ip = {[10] = 0xff, 0xff, 10, 0, 0, 1}, .port = 443};

	address_set_add(set, &one, &plain);
	address_set_add(set, &two, &mapped);
	address_set_remove(set, &one);
	assert_true(address_set_has(set, &plain));
	assert_true(address_set_has(set, &mapped));
	address_set_remove(set, &two);
	assert_false(address_set_has(set, &plain));
	address_set_free(set);
}

/* What stays is always seen, whatever comes and goes beside it. */
static void *reader(void *owner)
{
	struct address stays = number(MANY, 80);
	size_t missed = 0;

	for (unsigned i = 0; i < ROUNDS * 50; i++)
		missed += !address_set_has(owner, &stays);
	return (void *)missed;
}

static void test_readers_beside_a_writer(void **state)
{
	struct address_set *set = address_set_new(&memory);
	struct address_entry stays = {0}, *entries = calloc(MANY, sizeof(*entries));
	struct address address = number(MANY, 80);
	pthread_t threads[READERS];

	address_set_add(set, &stays, &address);
	for (unsigned i = 0; i < READERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, reader, set), 0);
	for (unsigned round = 0; round < 4; round++)
		for (unsigned i = 0; i < MANY; i++) {
			address = number(i, 80);
			if (round % 2)
				address_set_remove(set, &entries[i]);
			else
				address_set_add(set, &entries[i], &address);
		}
	for (unsigned i = 0; i < READERS; i++) {
		void *missed;
		pthread_join(threads[i], &missed);
		assert_null(missed);
	}
	address_set_remove(set, &stays);
	free(entries);
	address_set_free(set);
	assert_int_equal(atomic_load(&memory.used), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_added_is_there_until_it_is_removed),
		cmocka_unit_test(test_the_same_address_by_many),
		cmocka_unit_test(test_readers_beside_a_writer),
	};

	memory_init(&memory, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
