/* How logs name clients: all workers alike within a period, and unlike any other period. */
#include "exchange/client_log.h"

/* cmocka wants these before it */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

enum { PERIOD = 60 * 1000 };

static struct memory memory;

static struct address parsed(const char *text)
{
	struct address address;

	assert_true(address_parse_ip(span_of(text), &address));
	return address;
}

struct name {
	char text[ADDRESS_TEXT + 1];
};

static struct name name_of(const struct worker *worker, enum log_addresses how, const char *client)
{
	struct address address = parsed(client);
	struct name name = {0};

	name.text[client_log_text(worker, how, &address, name.text)] = '\0';
	return name;
}

static void begin(struct worker *worker, unsigned index, const struct client_log_start *start)
{
	assert_true(worker_init(worker, index, &memory, NULL));
	assert_true(client_log_init(worker, start));
}

static void end(struct worker *worker)
{
	client_log_fini(worker);
	client_log_fini(worker); /* none is fine */
	worker_fini(worker);
}

/* Lets the worker's clock be `ms` after it was. */
static void pass(struct worker *worker, uint64_t ms)
{
	worker->loop.now += ms;
	timer_wheel_advance(&worker->loop.timers, worker->loop.now);
}

static struct client_log_start start_at(const struct worker *worker)
{
	struct client_log_start start = {.began_ms = worker->loop.now, .period_ms = PERIOD};

	memset(start.key, 7, sizeof(start.key));
	return start;
}

static void test_plain(void **state)
{
	struct worker worker;
	struct client_log_start start;

	assert_true(worker_init(&worker, 0, &memory, NULL));
	start = start_at(&worker);
	worker_fini(&worker);
	begin(&worker, 0, &start);
	assert_string_equal(name_of(&worker, LOG_ADDRESSES_FULL, "192.0.2.77").text, "192.0.2.77");
	assert_string_equal(name_of(&worker, LOG_ADDRESSES_TRUNCATED, "192.0.2.77").text, "192.0.2.0");
	assert_string_equal(name_of(&worker, LOG_ADDRESSES_TRUNCATED, "2001:db8:1:2::3").text, "2001:db8:1::");
	assert_string_equal(name_of(&worker, LOG_ADDRESSES_TRUNCATED, "::ffff:192.0.2.77").text, "192.0.2.0");
	assert_string_equal(name_of(&worker, LOG_ADDRESSES_NONE, "192.0.2.77").text, "-");
	end(&worker);
}

static void test_hashes(void **state)
{
	struct worker worker;
	struct client_log_start start;

	assert_true(worker_init(&worker, 0, &memory, NULL));
	start = start_at(&worker);
	assert_string_equal(name_of(&worker, LOG_ADDRESSES_HASH, "192.0.2.77").text, "-"); /* no key yet */
	assert_true(client_log_init(&worker, &start));
	struct name name = name_of(&worker, LOG_ADDRESSES_HASH, "192.0.2.77");
	assert_int_equal(strlen(name.text), CLIENT_LOG_HASH);
	assert_int_equal(strspn(name.text, "0123456789abcdef"), CLIENT_LOG_HASH);
	assert_string_equal(name_of(&worker, LOG_ADDRESSES_HASH, "192.0.2.77").text, name.text);
	assert_string_equal(name_of(&worker, LOG_ADDRESSES_HASH, "::ffff:192.0.2.77").text, name.text);
	assert_string_not_equal(name_of(&worker, LOG_ADDRESSES_HASH, "192.0.2.78").text, name.text);
	/* One subscriber's addresses are one client. */
	name = name_of(&worker, LOG_ADDRESSES_HASH, "2001:db8:1:2::3");
	assert_string_equal(name_of(&worker, LOG_ADDRESSES_HASH, "2001:db8:1:2:ffff::9").text, name.text);
	assert_string_not_equal(name_of(&worker, LOG_ADDRESSES_HASH, "2001:db8:1:3::3").text, name.text);
	end(&worker);
}

/* The second worker sleeps through a period that the first one sees the end of. */
static void test_periods(void **state)
{
	enum { PERIODS = 5 };
	struct worker workers[2];
	struct client_log_start start;
	struct name names[PERIODS];

	assert_true(worker_init(&workers[0], 0, &memory, NULL));
	start = start_at(&workers[0]);
	assert_true(client_log_init(&workers[0], &start));
	begin(&workers[1], 1, &start);
	workers[1].loop.now = workers[0].loop.now;
	timer_wheel_advance(&workers[1].loop.timers, workers[1].loop.now);
	for (unsigned i = 0; i < PERIODS; i++) {
		names[i] = name_of(&workers[0], LOG_ADDRESSES_HASH, "192.0.2.77");
		pass(&workers[0], PERIOD - 1);
		assert_string_equal(name_of(&workers[0], LOG_ADDRESSES_HASH, "192.0.2.77").text, names[i].text);
		pass(&workers[0], 1);
		for (unsigned j = 0; j <= i; j++)
			assert_string_not_equal(name_of(&workers[0], LOG_ADDRESSES_HASH, "192.0.2.77").text,
						names[j].text);
		if (i % 2) {
			pass(&workers[1], 2 * PERIOD);
			assert_string_equal(name_of(&workers[1], LOG_ADDRESSES_HASH, "192.0.2.77").text,
					    name_of(&workers[0], LOG_ADDRESSES_HASH, "192.0.2.77").text);
		}
	}
	end(&workers[1]);
	end(&workers[0]);
}

static void test_key_is_this_process_alone(void **state)
{
	struct worker workers[2];
	struct client_log_start start, other;

	assert_true(worker_init(&workers[0], 0, &memory, NULL));
	start = other = start_at(&workers[0]);
	other.key[0] ^= 1;
	assert_true(client_log_init(&workers[0], &start));
	begin(&workers[1], 1, &other);
	assert_string_not_equal(name_of(&workers[0], LOG_ADDRESSES_HASH, "192.0.2.77").text,
				name_of(&workers[1], LOG_ADDRESSES_HASH, "192.0.2.77").text);
	end(&workers[1]);
	end(&workers[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_hashes),
		cmocka_unit_test(test_periods),
		cmocka_unit_test(test_key_is_this_process_alone),
	};

	memory_init(&memory, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
