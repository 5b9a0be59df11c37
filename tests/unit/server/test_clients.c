/* Counting clients: the limits, what counts as one client, and many threads at once. */
#include "server/clients.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct address client(const char *text)
{
	struct address address;
	assert_true(address_parse(span_of(text), &address));
	return address;
}

static void test_limits(void **state)
{
	struct memory memory;
	struct clients clients;
	struct address a = client("192.0.2.1:1000"), b = client("192.0.2.2:1000");

	memory_init(&memory, 0);
	clients_init(&clients, &memory, 3, 2);
	assert_int_equal(clients_enter(&clients, &a), CLIENTS_ADMITTED);
	a.port = 2000; /* the same client */
	assert_int_equal(clients_enter(&clients, &a), CLIENTS_ADMITTED);
	assert_int_equal(clients_enter(&clients, &a), CLIENTS_TOO_MANY);
	assert_true(clients_have_room(&clients));
	assert_int_equal(clients_enter(&clients, &b), CLIENTS_ADMITTED);
	assert_false(clients_have_room(&clients));
	assert_int_equal(clients_enter(&clients, &b), CLIENTS_FULL);
	clients_leave(&clients, &a);
	assert_true(clients_have_room(&clients));
	assert_int_equal(clients_enter(&clients, &a), CLIENTS_ADMITTED);
	clients_leave(&clients, &a);
	clients_leave(&clients, &a);
	clients_leave(&clients, &b);
	assert_int_equal(atomic_load(&clients.open), 0);
	for (unsigned i = 0; i < CLIENT_SHARDS; i++)
		assert_int_equal(clients.shards[i].counts.count, 0);
	clients_fini(&clients);
	assert_int_equal(atomic_load(&memory.used), 0);
}

static void test_who_is_one_client(void **state)
{
	struct memory memory;
	struct clients clients;
	struct address plain = client("192.0.2.1:1"), mapped = client("[::ffff:192.0.2.1]:1");
	struct address here = client("[2001:db8:1:2::1]:1"), there = client("[2001:db8:1:2:ffff::9]:1");
	struct address other = client("[2001:db8:1:3::1]:1"), unix_peer = {.family = ADDRESS_UNIX};

	memory_init(&memory, 0);
	clients_init(&clients, &memory, 100, 1);
	assert_int_equal(clients_enter(&clients, &plain), CLIENTS_ADMITTED);
	assert_int_equal(clients_enter(&clients, &mapped), CLIENTS_TOO_MANY);
	assert_int_equal(clients_enter(&clients, &here), CLIENTS_ADMITTED);
	assert_int_equal(clients_enter(&clients, &there), CLIENTS_TOO_MANY);
	assert_int_equal(clients_enter(&clients, &other), CLIENTS_ADMITTED);
	assert_int_equal(clients_enter(&clients, &unix_peer), CLIENTS_ADMITTED);
	assert_int_equal(clients_enter(&clients, &unix_peer), CLIENTS_ADMITTED); /* no address to count by */
	assert_int_equal(atomic_load(&clients.open), 5);
	clients_fini(&clients); /* what is still counted goes with it */
	assert_int_equal(atomic_load(&memory.used), 0);
}

static void test_no_memory(void **state)
{
	struct memory memory;
	struct clients clients;
	struct address a = client("192.0.2.1:1000");

	memory_init(&memory, 0);
	clients_init(&clients, &memory, 3, 2);
	for (unsigned every = 1; every < 3; every++) {
		memory_fail_every(&memory, every);
		assert_int_equal(clients_enter(&clients, &a), CLIENTS_TOO_MANY);
		memory_fail_every(&memory, 0);
		assert_int_equal(atomic_load(&clients.open), 0);
	}
	assert_int_equal(clients_enter(&clients, &a), CLIENTS_ADMITTED);
	clients_fini(&clients);
	assert_int_equal(atomic_load(&memory.used), 0);
}

enum { THREADS = 4, ROUNDS = 20000, MOST = 50, MOST_PER_ADDRESS = 5 };

static struct clients shared;
static atomic_uint inside[8];
static atomic_uint all_inside, broken;

static void *come_and_go(void *argument)
{
	unsigned number = (unsigned)(uintptr_t)argument;

	for (unsigned i = 0; i < ROUNDS; i++) {
		unsigned who = (i * 7 + number) % 8;
		struct address address = {.family = ADDRESS_V4, .ip = {10, 0, 0, (uint8_t)who}};
		if (clients_enter(&shared, &address) != CLIENTS_ADMITTED)
			continue;
		if (atomic_fetch_add(&inside[who], 1) >= MOST_PER_ADDRESS ||
		    atomic_fetch_add(&all_inside, 1) >= MOST)
			atomic_fetch_add(&broken, 1);
		atomic_fetch_sub(&inside[who], 1);
		atomic_fetch_sub(&all_inside, 1);
		clients_leave(&shared, &address);
	}
	return NULL;
}

static void test_many_threads(void **state)
{
	struct memory memory;
	pthread_t threads[THREADS];

	memory_init(&memory, 0);
	clients_init(&shared, &memory, MOST, MOST_PER_ADDRESS);
	for (uintptr_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, come_and_go, (void *)i), 0);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(atomic_load(&broken), 0);
	assert_int_equal(atomic_load(&shared.open), 0);
	for (unsigned i = 0; i < CLIENT_SHARDS; i++)
		assert_int_equal(shared.shards[i].counts.count, 0);
	clients_fini(&shared);
	assert_int_equal(atomic_load(&memory.used), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_who_is_one_client),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_many_threads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
