/* Passive detection: what counts against a server, when it is left out, for how long, and how many may be. */
#include "limits_fixture.h"

#include "upstream/outlier.h"
#include "upstream/pick.h"

static const char yaml[] =
	"reverse: [{listen: 127.0.0.1:1, routes: [{to: many}]}]\n"
	"upstreams:\n"
	"  many:\n"
	"    servers: [\"10.9.0.1:80\", \"10.9.0.2:80\", \"10.9.0.3:80\", \"10.9.0.4:80\"]\n"
	"    outliers: {connects: 2, failures: 3, errors: 4, eject: 10s, eject_most: 25s, share: 50}\n"
	"  alone: {servers: [\"10.9.0.1:80\"], outliers: {connects: 1, share: 100}}\n"
	"  pair: {servers: [\"10.9.0.1:80\", \"10.9.0.2:80\"], outliers: {connects: 1, share: 100}}\n"
	"  off: {servers: [\"10.9.0.1:80\", \"10.9.0.2:80\"], outliers: {connects: off, failures: off}}\n"
	"  rates:\n"
	"    servers: [\"10.9.0.1:80\", \"10.9.0.2:80\", \"10.9.0.3:80\", \"10.9.0.4:80\"]\n"
	"    outliers: {failures: off, error_rate: 30, latency: 400, requests: 10, interval: 1s, eject: 10s}\n"
	"  slow:\n"
	"    servers: [\"10.9.0.1:80\", \"10.9.0.2:80\"]\n"
	"    slow_start: 8s\n"
	"    outliers: {connects: 1, eject: 2s}\n"
	"  tried: {servers: [\"10.9.0.1:80\", \"10.9.0.2:80\"], retry_on: [429, 503], outliers: {failures: 3}}\n";

enum { MANY, ALONE, PAIR, OFF, RATES, SLOW, TRIED };

static const struct error unreachable = {.code = ERROR_CONNECT_REFUSED, .unprocessed = true};
static const struct error broken = {.code = ERROR_UPSTREAM_RESET};

static int group_set_up(void **state)
{
	stage_configure(&stage, yaml);
	return 0;
}

static void fail_with(unsigned group, unsigned server, const struct error *error, unsigned count)
{
	while (count-- > 0)
		outlier_on_failure(fleet_at(group), fleet_server_at(group, server), error, &stage.worker);
}

static void succeed(unsigned group, unsigned server, unsigned status)
{
	outlier_on_answer(fleet_at(group), fleet_server_at(group, server), status, &stage.worker);
}

static bool is_out(unsigned group, unsigned server)
{
	return !fleet_server_is_well(fleet_server_at(group, server), stage.worker.loop.now);
}

static void test_connects_in_a_row(void **state)
{
	fail_with(MANY, 0, &unreachable, 1);
	succeed(MANY, 0, 200);
	fail_with(MANY, 0, &unreachable, 1);
	assert_false(is_out(MANY, 0));
	fail_with(MANY, 0, &broken, 1); /* it was reached */
	fail_with(MANY, 0, &unreachable, 1);
	assert_true(is_out(MANY, 0)); /* by three failures of any kind */
	fail_with(MANY, 1, &unreachable, 2);
	assert_true(is_out(MANY, 1));
}

static void test_errors_in_a_row(void **state)
{
	for (unsigned i = 0; i < 3; i++)
		succeed(MANY, 0, 503);
	succeed(MANY, 0, 404);
	for (unsigned i = 0; i < 3; i++)
		succeed(MANY, 0, 500);
	assert_false(is_out(MANY, 0));
	succeed(MANY, 0, 599);
	assert_true(is_out(MANY, 0));
}

/* What another server is asked for instead is no answer. */
static void test_statuses_of_retry_on(void **state)
{
	succeed(TRIED, 0, 503);
	fail_with(TRIED, 0, &broken, 1);
	succeed(TRIED, 0, 500); /* this one is */
	succeed(TRIED, 0, 503);
	succeed(TRIED, 0, 429);
	assert_false(is_out(TRIED, 0));
	fail_with(TRIED, 0, &broken, 1);
	assert_true(is_out(TRIED, 0));
	for (unsigned i = 0; i < 10; i++)
		succeed(MANY, 0, 429);
	assert_false(is_out(MANY, 0));
}

static void test_off_is_off(void **state)
{
	fail_with(OFF, 0, &unreachable, 100);
	fail_with(OFF, 0, &broken, 100);
	assert_false(is_out(OFF, 0));
	assert_int_equal(atomic_load(&fleet_server_at(OFF, 0)->failures), 0);
}

static void test_whose_fault_it_is(void **state)
{
	static const uint8_t faults[] = {ERROR_CONNECT_REFUSED,    ERROR_UNREACHABLE,
					 ERROR_CONNECT_TIMEOUT,    ERROR_UPSTREAM_CLOSED,
					 ERROR_UPSTREAM_RESET,     ERROR_UPSTREAM_TIMEOUT,
					 ERROR_UPSTREAM_MALFORMED, ERROR_TLS_CERTIFICATE,
					 ERROR_DNS_FAILED};
	static const uint8_t others[] = {ERROR_CLIENT_GONE,      ERROR_REQUEST_TIMEOUT, ERROR_MEMORY,
					 ERROR_OVERLOADED,       ERROR_DNS_TIMEOUT,     ERROR_BODY_TOO_LARGE,
					 ERROR_UPSTREAM_REFUSED, ERROR_DRAINING,        ERROR_SERVER_DOWN};

	for (unsigned i = 0; i < ARRAY_LENGTH(faults); i++)
		assert_true(outlier_is_failure(&(struct error){.code = faults[i]}));
	for (unsigned i = 0; i < ARRAY_LENGTH(others); i++)
		assert_false(outlier_is_failure(&(struct error){.code = others[i]}));
}

/* 10 s, 20 s, 25 s, 25 s; and 10 s again after it was well for longer than it had been out. */
static void test_ejection_grows(void **state)
{
	static const uint64_t lengths[] = {10000, 20000, 25000, 25000};

	for (unsigned i = 0; i < ARRAY_LENGTH(lengths); i++) {
		fail_with(MANY, 0, &unreachable, 2);
		assert_true(is_out(MANY, 0));
		stage_pass(&stage, lengths[i] - 1);
		assert_true(is_out(MANY, 0));
		stage_pass(&stage, 1);
		assert_false(is_out(MANY, 0));
	}
	stage_pass(&stage, 25001);
	fail_with(MANY, 0, &unreachable, 2);
	stage_pass(&stage, 9999);
	assert_true(is_out(MANY, 0));
	stage_pass(&stage, 1);
	assert_false(is_out(MANY, 0));
}

/* What was under way when it was left out goes on failing: that makes nothing longer. */
static void test_no_longer_while_out(void **state)
{
	fail_with(MANY, 0, &unreachable, 2);
	fail_with(MANY, 0, &unreachable, 50);
	assert_int_equal(atomic_load(&fleet_server_at(MANY, 0)->ejections), 1);
	stage_pass(&stage, 10000);
	assert_false(is_out(MANY, 0));
}

static void test_share(void **state)
{
	for (unsigned i = 0; i < 4; i++)
		fail_with(MANY, i, &unreachable, 2);
	assert_true(is_out(MANY, 0) && is_out(MANY, 1));
	assert_false(is_out(MANY, 2) || is_out(MANY, 3));
	stage_pass(&stage, 10000);
	fail_with(MANY, 2, &unreachable, 2); /* there is room for it now */
	assert_true(is_out(MANY, 2));
}

/* Whatever the share: one is left. */
static void test_the_last_one_stays(void **state)
{
	fail_with(ALONE, 0, &unreachable, 10);
	assert_false(is_out(ALONE, 0));
	fail_with(PAIR, 1, &unreachable, 10);
	fail_with(PAIR, 0, &unreachable, 10);
	assert_true(is_out(PAIR, 1));
	assert_false(is_out(PAIR, 0));
}

/* Half of two is one. */
static void test_half_of_two(void **state)
{
	fail_with(SLOW, 0, &unreachable, 1);
	fail_with(SLOW, 1, &unreachable, 1);
	assert_true(is_out(SLOW, 0));
	assert_false(is_out(SLOW, 1));
}

static uint32_t weight_of(unsigned group, unsigned server)
{
	upstream_group_refresh(upstream_group(&stage.worker, group));
	return upstream_group(&stage.worker, group)->view->entries[server].weight;
}

/* It comes back slowly. */
static void test_slow_start_after_ejection(void **state)
{
	fail_with(SLOW, 0, &unreachable, 1);
	stage_pass(&stage, 2000);
	assert_false(is_out(SLOW, 0));
	assert_in_range(weight_of(SLOW, 0), 1, 8);
	stage_pass(&stage, 4000);
	assert_in_range(weight_of(SLOW, 0), 120, 132);
	stage_pass(&stage, 4000);
	assert_int_equal(weight_of(SLOW, 0), 256);
	assert_int_equal(weight_of(SLOW, 1), 256);
}

/* ---- rates and latencies ---- */

/* So many requests to a server, of which some failed, some were answered with 500; the time of each answer. */
static void work(unsigned server, unsigned count, unsigned failed, unsigned errors, uint64_t us)
{
	struct fleet_counters *counters = &fleet_server_at(RATES, server)->counters[server % 2];

	atomic_fetch_add(&counters->requests, count);
	atomic_fetch_add(&counters->failures, failed);
	atomic_fetch_add(&counters->errors, errors);
	atomic_fetch_add(&counters->answers, count - failed);
	atomic_fetch_add(&counters->latency_us, (count - failed) * us);
}

static struct outliers *outliers;

static int rates_set_up(void **state)
{
	stage_start(&stage);
	outliers = outliers_start(&stage.worker);
	return outliers == NULL;
}

static int rates_tear_down(void **state)
{
	outliers_stop(outliers);
	stage_stop(&stage);
	return 0;
}

static unsigned count_out(void)
{
	unsigned count = 0;

	for (unsigned i = 0; i < 4; i++)
		count += is_out(RATES, i);
	return count;
}

static void test_error_rate(void **state)
{
	work(0, 20, 3, 4, 1000); /* 35 % */
	work(1, 50, 2, 0, 1000); /* others: 2 % */
	work(2, 50, 0, 1, 1000);
	stage_pass(&stage, 999);
	assert_int_equal(count_out(), 0);
	stage_pass(&stage, 1);
	assert_true(is_out(RATES, 0));
	assert_int_equal(count_out(), 1);
}

static void test_error_rate_below(void **state)
{
	work(0, 100, 20, 12, 1000); /* 32 % and 3 %: 29 points */
	work(1, 100, 3, 0, 1000);
	stage_pass(&stage, 1000);
	assert_int_equal(count_out(), 0);
}

/* When all are as bad it is nobody's fault. */
static void test_all_are_bad(void **state)
{
	for (unsigned i = 0; i < 4; i++)
		work(i, 100, 80 + i, 0, 1000);
	stage_pass(&stage, 1000);
	assert_int_equal(count_out(), 0);
}

static void test_too_few_say_nothing(void **state)
{
	work(0, 9, 9, 0, 1000);
	work(1, 100, 0, 0, 1000);
	stage_pass(&stage, 1000);
	assert_int_equal(count_out(), 0);
	work(0, 9, 9, 0, 1000); /* each interval is for itself */
	work(1, 100, 0, 0, 1000);
	stage_pass(&stage, 1000);
	assert_int_equal(count_out(), 0);
	work(0, 20, 20, 0, 1000); /* and there is nobody to compare with */
	work(1, 9, 0, 0, 1000);
	stage_pass(&stage, 1000);
	assert_int_equal(count_out(), 0);
}

static void test_the_worst_first(void **state)
{
	work(0, 100, 0, 0, 1000);
	work(1, 100, 60, 0, 1000);
	work(2, 100, 0, 95, 1000);
	work(3, 100, 90, 0, 1000);
	stage_pass(&stage, 1000);
	assert_true(is_out(RATES, 2) && is_out(RATES, 3));
	assert_int_equal(count_out(), 2); /* half of four */
}

static void test_latency(void **state)
{
	work(0, 50, 0, 0, 4100);
	work(1, 50, 0, 0, 1000);
	work(2, 50, 0, 0, 1010);
	work(3, 9, 0, 0, 900000); /* too few */
	stage_pass(&stage, 1000);
	assert_int_equal(count_out(), 0); /* beside one whose few answers took so long */
	work(0, 50, 0, 0, 4100);
	work(1, 50, 0, 0, 1000);
	work(2, 50, 0, 0, 1010);
	stage_pass(&stage, 1000);
	assert_true(is_out(RATES, 0));
	assert_int_equal(count_out(), 1);
}

/* Servers that come and go are followed, and what a new one had done before is not held against it. */
static void test_follows_the_roster(void **state)
{
	struct fleet_server *kept = fleet_server_at(RATES, 0), *gone = fleet_server_at(RATES, 1);
	struct roster *roster = roster_new(&stage.memory, 4);

	assert_non_null(roster);
	roster_add(roster, kept, 1, 0);
	fleet_server_retain(gone);
	fleet_publish(fleet_at(RATES), roster);
	stage_turns(&stage, 2);
	stage_pass(&stage, 1000);
	atomic_fetch_add(&gone->counters[0].failures, 1000);
	roster = roster_new(&stage.memory, 4);
	assert_non_null(roster);
	roster_add(roster, gone, 1, 0);
	roster_add(roster, kept, 1, 0);
	fleet_server_release(gone);
	fleet_publish(fleet_at(RATES), roster);
	stage_turns(&stage, 2);
	work(1, 100, 0, 0, 1000);
	stage_pass(&stage, 1000);
	assert_int_equal(atomic_load(&gone->ejections), 0);
	work(1, 100, 0, 0, 1000);
	atomic_fetch_add(&gone->counters[0].failures, 1000);
	stage_pass(&stage, 1000);
	assert_int_equal(atomic_load(&gone->ejections), 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define RATE(name) cmocka_unit_test_setup_teardown(name, rates_set_up, rates_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_connects_in_a_row),
		TEST(test_errors_in_a_row),
		TEST(test_statuses_of_retry_on),
		TEST(test_off_is_off),
		TEST(test_whose_fault_it_is),
		TEST(test_ejection_grows),
		TEST(test_no_longer_while_out),
		TEST(test_share),
		TEST(test_the_last_one_stays),
		TEST(test_half_of_two),
		TEST(test_slow_start_after_ejection),
		RATE(test_error_rate),
		RATE(test_error_rate_below),
		RATE(test_all_are_bad),
		RATE(test_too_few_say_nothing),
		RATE(test_the_worst_first),
		RATE(test_latency),
		RATE(test_follows_the_roster),
	};

	return cmocka_run_group_tests(tests, group_set_up, group_tear_down);
}
