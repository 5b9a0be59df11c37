/* Meters on flows: what passes when, turns between flows, ends that are held back, and what is given back. */
#include "exchange/meter.h"
#include "exchange/stream.h"

#include <setjmp.h>
#include <stdarg.h>
#include <time.h>
#include <unistd.h>
#include <sys/syscall.h>

#include <cmocka.h>

enum { WINDOW = 16384, PORTION = 1000, FLOWS = 5 };

static uint64_t clock_us = 1000 * 1000 * 1000;

int clock_gettime(clockid_t id, struct timespec *time)
{
	if (id != CLOCK_MONOTONIC)
		return (int)syscall(SYS_clock_gettime, id, time);
	time->tv_sec = (time_t)(clock_us / 1000000);
	time->tv_nsec = (long)(clock_us % 1000000) * 1000;
	return 0;
}

/* One byte for each µs, for all flows together; nothing in advance. */
struct supply {
	uint64_t next_us;
	uint64_t charged, refunded;
	bool dry;
};

struct end {
	struct stream stream;
	unsigned credits;
	size_t got;
	bool ended;
};

struct pipe {
	struct flow flow;
	struct flow_meter meter;
	struct end source, sink;
};

struct fixture {
	struct memory memory;
	struct worker worker;
	struct pipe pipes[FLOWS];
	struct supply supply;
};

static struct fixture fixture;

static uint64_t on_charge(struct flow_meter *meter, size_t bytes)
{
	struct supply *supply = &fixture.supply;

	if (supply->dry)
		return FLOW_METER_NEVER;
	if (supply->next_us < clock_us)
		supply->next_us = clock_us;
	supply->next_us += bytes;
	supply->charged += bytes;
	return supply->next_us - clock_us;
}

static void on_refund(struct flow_meter *meter, size_t bytes)
{
	fixture.supply.refunded += bytes;
}

static const struct flow_meter_ops meter_ops = {.charge = on_charge, .refund = on_refund};

static void on_readable(struct stream *stream)
{
	struct end *sink = CONTAINER_OF(stream, struct end, stream);
	struct pipe *pipe = CONTAINER_OF(sink, struct pipe, sink);
	struct chunk_queue taken = {0};

	flow_take(&pipe->flow, &taken);
	sink->got += taken.bytes;
	chunk_queue_clear(&fixture.worker.buffers, &taken);
	sink->ended = pipe->flow.fin;
	flow_settle(&pipe->flow, 0);
}

static void on_credit(struct stream *stream)
{
	CONTAINER_OF(stream, struct end, stream)->credits++;
}

static const struct stream_ops ops = {.on_readable = on_readable, .on_credit = on_credit};

static int set_up(void **state)
{
	memset(&fixture, 0, sizeof(fixture));
	clock_us = (clock_us / 1000 + 1) * 1000;
	memory_init(&fixture.memory, 0);
	assert_true(worker_init(&fixture.worker, 0, &fixture.memory, NULL));
	for (unsigned i = 0; i < FLOWS; i++) {
		struct pipe *pipe = &fixture.pipes[i];
		pipe->source.stream.ops = pipe->sink.stream.ops = &ops;
		flow_init(&pipe->flow, &fixture.worker, WINDOW);
		flow_set_source(&pipe->flow, &pipe->source.stream);
		flow_set_sink(&pipe->flow, &pipe->sink.stream);
		flow_meter_start(&pipe->flow, &pipe->meter, &meter_ops, PORTION);
	}
	return 0;
}

static int tear_down(void **state)
{
	for (unsigned i = 0; i < FLOWS; i++)
		flow_fini(&fixture.pipes[i].flow);
	worker_fini(&fixture.worker);
	assert_int_equal(atomic_load(&fixture.memory.used), 0);
	return 0;
}

static enum flow_room push(struct pipe *pipe, size_t len)
{
	static uint8_t bytes[100000];
	return flow_push(&pipe->flow, NULL, span_make(bytes, len));
}

static void pass(uint64_t us)
{
	clock_us += us;
	loop_turn(&fixture.worker.loop, 0);
}

static void test_bytes_pass_when_they_are_due(void **state)
{
	struct pipe *pipe = &fixture.pipes[0];

	assert_int_equal(push(pipe, 2500), FLOW_FULL);
	assert_false(flow_idle(&pipe->flow));
	pass(0);
	assert_int_equal(pipe->sink.got, 0);
	pass(1000);
	assert_int_equal(pipe->sink.got, 1000);
	assert_int_equal(pipe->flow.total, 1000);
	assert_int_equal(pipe->source.credits, 0); /* more is held back */
	pass(1000);
	assert_int_equal(pipe->sink.got, 2000);
	pass(500);
	assert_int_equal(pipe->sink.got, 2000); /* of the last ms only a half has passed: the timer has ms */
	pass(500);
	assert_int_equal(pipe->sink.got, 2500);
	assert_int_equal(pipe->source.credits, 1);
	assert_true(flow_idle(&pipe->flow));
}

/* Never before the µs that it is due, wherever within a ms it was pushed. */
static void test_never_early(void **state)
{
	struct pipe *pipe = &fixture.pipes[0];

	for (unsigned phase = 0; phase < 3000; phase += 7) {
		clock_us = clock_us / 1000 * 1000 + 1000 * 1000 + phase;
		pass(0);
		size_t before = pipe->sink.got;
		uint64_t due = clock_us + 700;
		assert_int_equal(push(pipe, 700), FLOW_FULL);
		for (unsigned i = 0; i < 30 && pipe->sink.got == before; i++) {
			pass(100);
			if (clock_us < due)
				assert_int_equal(pipe->sink.got, before);
		}
		assert_int_equal(pipe->sink.got, before + 700);
		assert_true(clock_us <= due + 1100);
	}
}

/* One brings much at once, others little and often: as long as all have some, each gets a portion a turn. */
static void test_flows_take_turns(void **state)
{
	static const size_t sizes[FLOWS] = {60000, 1500, 1000, 20000, 4000};
	size_t least = SIZE_MAX, most = 0, sum = 0;

	for (unsigned ms = 0; ms < 200; ms++) {
		for (unsigned i = 0; i < FLOWS; i++)
			if (!fixture.pipes[i].flow.held)
				(void)push(&fixture.pipes[i], sizes[i]);
		pass(1000);
	}
	for (unsigned i = 0; i < FLOWS; i++) {
		sum += fixture.pipes[i].sink.got;
		least = size_min(least, fixture.pipes[i].sink.got);
		most = size_max(most, fixture.pipes[i].sink.got);
	}
	assert_true(sum <= 200 * 1000);
	assert_true(sum >= 200 * 1000 - FLOWS * PORTION);
	/* who pushes 1500 bytes has a second portion of 500 */
	assert_true(least * 4 >= most * 3 - 4 * PORTION);
	for (unsigned i = 2; i < FLOWS; i++) {
		size_t one = fixture.pipes[i].sink.got, other = fixture.pipes[2].sink.got;
		assert_true(one + PORTION >= other && other + PORTION >= one);
	}
}

static void test_the_end_comes_last(void **state)
{
	struct pipe *pipe = &fixture.pipes[0];
	struct http_fields *trailers = (struct http_fields *)(void *)&fixture; /* only handed on */

	(void)push(pipe, 1700);
	flow_finish(&pipe->flow, trailers);
	flow_finish(&pipe->flow, NULL); /* told twice */
	assert_false(pipe->flow.fin);
	pass(1000);
	assert_false(pipe->sink.ended);
	pass(1000);
	assert_int_equal(pipe->sink.got, 1700);
	assert_true(pipe->sink.ended);
	assert_ptr_equal(pipe->flow.trailers, trailers);
}

static void test_an_end_alone_waits_for_nobody(void **state)
{
	struct pipe *pipe = &fixture.pipes[0];

	flow_finish(&pipe->flow, NULL);
	assert_true(pipe->flow.fin);
	pass(0);
	assert_true(pipe->sink.ended);
	assert_int_equal(fixture.supply.charged, 0);
}

static void test_what_is_queued_is_paid_for_too(void **state)
{
	struct pipe *pipe = &fixture.pipes[0];

	flow_meter_stop(&pipe->flow);
	flow_set_sink(&pipe->flow, NULL);
	(void)push(pipe, 900);
	flow_finish(&pipe->flow, NULL);
	assert_int_equal(pipe->flow.total, 900);
	flow_meter_start(&pipe->flow, &pipe->meter, &meter_ops, PORTION);
	assert_int_equal(pipe->flow.total, 0);
	flow_set_sink(&pipe->flow, &pipe->sink.stream);
	pass(0);
	assert_int_equal(pipe->sink.got, 0);
	assert_false(pipe->sink.ended);
	pass(1000);
	assert_int_equal(pipe->sink.got, 900);
	assert_true(pipe->sink.ended);
}

static void test_taken_off(void **state)
{
	struct pipe *pipe = &fixture.pipes[0];

	(void)push(pipe, 5000);
	flow_finish(&pipe->flow, NULL);
	flow_meter_stop(&pipe->flow);
	flow_meter_stop(&pipe->flow);
	pass(5000);
	assert_int_equal(pipe->sink.got, 0);
	assert_int_equal(pipe->flow.total, 0);
	assert_int_equal(fixture.supply.refunded, PORTION);
	assert_false(pipe->sink.ended);
	assert_true(flow_idle(&pipe->flow));
	assert_int_equal(push(pipe, 10), FLOW_ROOM);
	pass(0);
	assert_int_equal(pipe->sink.got, 10);
}

static void test_begun_anew(void **state)
{
	struct pipe *pipe = &fixture.pipes[0];

	(void)push(pipe, 5000);
	flow_reset(&pipe->flow);
	assert_int_equal(fixture.supply.refunded, PORTION); /* was paid for, and is dropped */
	assert_true(flow_idle(&pipe->flow));
	flow_set_sink(&pipe->flow, &pipe->sink.stream);
	pass(2000);
	assert_int_equal(pipe->sink.got, 0);
	(void)push(pipe, 10);
	assert_int_equal(fixture.supply.charged, PORTION + 10); /* the meter is still there */
}

static void test_nothing_more(void **state)
{
	struct pipe *pipe = &fixture.pipes[0];

	fixture.supply.dry = true;
	assert_int_equal(push(pipe, 5000), FLOW_FULL);
	for (unsigned i = 0; i < 10; i++)
		pass(100 * 1000);
	assert_int_equal(pipe->sink.got, 0);
	assert_int_equal(pipe->source.credits, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_bytes_pass_when_they_are_due),
		TEST(test_never_early),
		TEST(test_flows_take_turns),
		TEST(test_the_end_comes_last),
		TEST(test_an_end_alone_waits_for_nobody),
		TEST(test_what_is_queued_is_paid_for_too),
		TEST(test_taken_off),
		TEST(test_begun_anew),
		TEST(test_nothing_more),
	};
	return cmocka_run_group_tests_name("meter", tests, NULL, NULL);
}
