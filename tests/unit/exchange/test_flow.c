/* Flows: windows, what is announced to whom and when, growth, and beginning anew. */
#include "exchange/flow.h"
#include "exchange/stream.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { WINDOW = 1000 };

struct end {
	struct stream stream;
	unsigned readable, credits;
};

struct fixture {
	struct memory memory;
	struct worker worker;
	struct flow flow;
	struct end source, sink;
	struct chunk_queue taken;
};

static void on_readable(struct stream *stream)
{
	CONTAINER_OF(stream, struct end, stream)->readable++;
}

static void on_credit(struct stream *stream)
{
	CONTAINER_OF(stream, struct end, stream)->credits++;
}

static const struct stream_ops ops = {.on_readable = on_readable, .on_credit = on_credit};

static int set_up(void **state)
{
	static struct fixture fixture;

	memset(&fixture, 0, sizeof(fixture));
	memory_init(&fixture.memory, 0);
	assert_true(worker_init(&fixture.worker, 0, &fixture.memory, NULL));
	fixture.source.stream.ops = fixture.sink.stream.ops = &ops;
	flow_init(&fixture.flow, &fixture.worker, WINDOW);
	flow_set_source(&fixture.flow, &fixture.source.stream);
	*state = &fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	chunk_queue_clear(&fixture->worker.buffers, &fixture->taken);
	flow_fini(&fixture->flow);
	worker_fini(&fixture->worker);
	assert_int_equal(atomic_load(&fixture->memory.used), 0);
	return 0;
}

static enum flow_room push(struct fixture *fixture, size_t len)
{
	static uint8_t bytes[10000];
	return flow_push(&fixture->flow, NULL, span_make(bytes, len));
}

static void turn(struct fixture *fixture)
{
	loop_turn(&fixture->worker.loop, 0);
}

static void test_a_push_calls_nobody(void **state)
{
	struct fixture *fixture = *state;

	flow_set_sink(&fixture->flow, &fixture->sink.stream);
	assert_int_equal(push(fixture, 10), FLOW_ROOM);
	assert_int_equal(push(fixture, 10), FLOW_ROOM);
	assert_int_equal(fixture->sink.readable, 0);
	turn(fixture);
	assert_int_equal(fixture->sink.readable, 1); /* once for both */
	flow_finish(&fixture->flow, NULL);
	flow_finish(&fixture->flow, NULL);
	turn(fixture);
	assert_int_equal(fixture->sink.readable, 2);
}

static void test_a_sink_that_comes_late_is_told(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(push(fixture, 10), FLOW_ROOM);
	turn(fixture);
	flow_set_sink(&fixture->flow, &fixture->sink.stream);
	turn(fixture);
	assert_int_equal(fixture->sink.readable, 1);
	flow_set_sink(&fixture->flow, NULL);
	flow_take(&fixture->flow, &fixture->taken);
	flow_finish(&fixture->flow, NULL);
	turn(fixture);
	flow_set_sink(&fixture->flow, &fixture->sink.stream); /* of the end alone, too */
	turn(fixture);
	assert_int_equal(fixture->sink.readable, 2);
}

static void test_window(void **state)
{
	struct fixture *fixture = *state;
	struct flow *flow = &fixture->flow;

	flow_set_sink(flow, &fixture->sink.stream);
	assert_int_equal(push(fixture, WINDOW / 2), FLOW_ROOM);
	assert_int_equal(flow_room(flow), WINDOW / 2);
	assert_int_equal(push(fixture, WINDOW / 2), FLOW_FULL);
	assert_int_equal(push(fixture, 500), FLOW_FULL); /* what one receive brings over it is taken */
	flow_take(flow, &fixture->taken);
	assert_int_equal(fixture->taken.bytes, WINDOW + 500);
	assert_int_equal(flow_room(flow), 0); /* taken is not gone */
	flow_settle(flow, WINDOW);
	assert_int_equal(fixture->source.credits, 0);
	flow_settle(flow, 1); /* a half-sent block is held whole */
	assert_int_equal(fixture->source.credits, 0);
	flow_settle(flow, 0);
	assert_int_equal(fixture->source.credits, 1);
	flow_settle(flow, 0);
	assert_int_equal(fixture->source.credits, 1);
	assert_true(flow_idle(flow));
	assert_int_equal(flow->total, WINDOW + 500);
}

/* What a sink holds of other things (heads, framing) does not count against the flow. */
static void test_settling_with_more_than_was_lent(void **state)
{
	struct fixture *fixture = *state;
	struct flow *flow = &fixture->flow;

	flow_set_sink(flow, &fixture->sink.stream);
	assert_int_equal(push(fixture, WINDOW), FLOW_FULL);
	flow_take(flow, &fixture->taken);
	flow_settle(flow, WINDOW * 5);
	assert_int_equal(flow->lent, WINDOW);
	assert_int_equal(fixture->source.credits, 0);
	flow_settle(flow, 0);
	assert_int_equal(fixture->source.credits, 1);
}

/* A window emptied at once. */
static void empty_window(struct fixture *fixture)
{
	struct flow *flow = &fixture->flow;

	while (push(fixture, WINDOW) == FLOW_ROOM)
		;
	flow_take(flow, &fixture->taken);
	chunk_queue_clear(&fixture->worker.buffers, &fixture->taken);
	flow_settle(flow, 0);
}

static void test_growth(void **state)
{
	struct fixture *fixture = *state;
	struct flow *flow = &fixture->flow;
	unsigned windows = 0;

	flow_set_sink(flow, &fixture->sink.stream);
	while (flow->high == WINDOW && windows++ < 10000)
		empty_window(fixture);
	assert_int_equal(flow->high, 2 * WINDOW);
	assert_true(windows > 8); /* not at once */
	for (unsigned i = 0; i < 100000 && flow->high < FLOW_WINDOW_MOST; i++)
		empty_window(fixture);
	assert_int_equal(flow->high, FLOW_WINDOW_MOST);
	for (unsigned i = 0; i < 1000; i++)
		empty_window(fixture);
	assert_int_equal(flow->high, FLOW_WINDOW_MOST);
	/* a sink that holds something back cannot keep up */
	assert_int_equal(push(fixture, 10), FLOW_ROOM);
	flow_take(flow, &fixture->taken);
	flow_settle(flow, 1);
	assert_int_equal(flow->high, WINDOW);
}

static void test_no_growth_under_pressure(void **state)
{
	struct fixture *fixture = *state;
	size_t used = atomic_load(&fixture->memory.used);

	flow_set_sink(&fixture->flow, &fixture->sink.stream);
	fixture->memory.limit = used + used / 10 + 64 * 1024;
	assert_true(memory_take(&fixture->memory, fixture->memory.limit - used - fixture->memory.limit / 10));
	for (unsigned i = 0; i < 2000; i++)
		empty_window(fixture);
	assert_int_equal(fixture->flow.high, WINDOW);
	memory_give(&fixture->memory, fixture->memory.limit - used - fixture->memory.limit / 10);
	fixture->memory.limit = 0;
}

static void test_trailers_ride_last(void **state)
{
	struct fixture *fixture = *state;
	struct http_fields trailers = {0};

	flow_set_sink(&fixture->flow, &fixture->sink.stream);
	assert_int_equal(push(fixture, 10), FLOW_ROOM);
	flow_finish(&fixture->flow, &trailers);
	turn(fixture);
	assert_int_equal(fixture->sink.readable, 1);
	assert_true(fixture->flow.fin);
	assert_ptr_equal(fixture->flow.trailers, &trailers);
}

/* Beginning anew in the turn in which something was announced: the task stays what it is, and finds the new sink. */
static void test_reset_while_announced(void **state)
{
	struct fixture *fixture = *state;
	struct flow *flow = &fixture->flow;
	struct end other = {.stream = {.ops = &ops}};

	flow_set_sink(flow, &fixture->sink.stream);
	assert_int_equal(push(fixture, WINDOW), FLOW_FULL);
	flow_finish(flow, NULL);
	flow_reset(flow);
	assert_true(flow_idle(flow));
	assert_false(flow->fin || flow->full);
	assert_int_equal(flow->total, 0);
	assert_int_equal(flow_room(flow), WINDOW);
	flow_set_sink(flow, &other.stream);
	assert_int_equal(push(fixture, 5), FLOW_ROOM);
	turn(fixture);
	assert_int_equal(fixture->sink.readable, 0);
	assert_int_equal(other.readable, 1);
	flow_reset(flow);
	turn(fixture);
	assert_int_equal(other.readable, 1);
}

static void test_nobody_is_told_after_the_end(void **state)
{
	struct fixture *fixture = *state;

	flow_set_sink(&fixture->flow, &fixture->sink.stream);
	assert_int_equal(push(fixture, WINDOW), FLOW_FULL);
	flow_fini(&fixture->flow);
	turn(fixture);
	flow_settle(&fixture->flow, 0);
	assert_int_equal(fixture->sink.readable, 0);
	assert_int_equal(fixture->source.credits, 0);
}

static void expect_queue(struct fixture *fixture, const char *text)
{
	uint8_t bytes[64];

	assert_int_equal(fixture->flow.queue.bytes, strlen(text));
	chunk_queue_peek(&fixture->flow.queue, bytes, strlen(text));
	assert_memory_equal(bytes, text, strlen(text));
}

/* A sink that took a part is gone: the next one is given all. */
static void test_rewind(void **state)
{
	struct fixture *fixture = *state;
	struct flow *flow = &fixture->flow;
	struct flow_kept kept, other;

	assert_true(flow_can_rewind(flow));
	flow_rewind(flow);
	flow_keep(flow, &kept, 12);
	assert_int_equal(flow_push_static(flow, SPAN("hello ")), FLOW_ROOM);
	assert_int_equal(flow_push_static(flow, SPAN("world")), FLOW_ROOM);
	for (unsigned times = 0; times < 3; times++) {
		flow_set_sink(flow, &fixture->sink.stream);
		assert_true(flow_take_part(flow, &fixture->taken, 2));
		assert_true(flow_take_part(flow, &fixture->taken, 6));
		expect_queue(fixture, "rld");
		assert_true(flow_can_rewind(flow));
		flow_set_sink(flow, NULL);
		flow_rewind(flow);
		expect_queue(fixture, "hello world");
		assert_int_equal(flow->total, 11);
		flow_keep(flow, &other, 5); /* it keeps already */
	}
	assert_true(flow_take_part(flow, &fixture->taken, 11));
	assert_true(flow_can_rewind(flow));
	assert_int_equal(flow_push_static(flow, SPAN("!?")), FLOW_ROOM);
	assert_true(flow_take_part(flow, &fixture->taken, 2)); /* more than is kept */
	assert_false(flow_can_rewind(flow));
	assert_null(flow->kept);
	assert_int_equal(fixture->taken.bytes, 3 * 8 + 13);
}

static void test_what_is_not_kept(void **state)
{
	struct fixture *fixture = *state;
	struct flow *flow = &fixture->flow;
	struct flow_kept kept;

	assert_int_equal(push(fixture, 10), FLOW_ROOM);
	assert_true(flow_take_part(flow, &fixture->taken, 5));
	assert_false(flow_can_rewind(flow));
	flow_keep(flow, &kept, 100); /* too late */
	assert_null(flow->kept);
	flow_reset(flow);
	flow_keep(flow, &kept, 100);
	assert_int_equal(push(fixture, 10), FLOW_ROOM);
	assert_true(flow_take_part(flow, &fixture->taken, 5));
	flow_forget(flow);
	assert_false(flow_can_rewind(flow));
	flow_reset(flow);
	flow_keep(flow, &kept, 100);
	assert_int_equal(push(fixture, 10), FLOW_ROOM);
	assert_true(flow_take_part(flow, &fixture->taken, 5));
	flow_reset(flow); /* lets go of it */
	assert_null(flow->kept);
}

static void test_no_memory(void **state)
{
	struct fixture *fixture = *state;
	struct chunk_queue queue = {0};

	memory_fail_every(&fixture->memory, 1);
	assert_int_equal(push(fixture, 10), FLOW_NO_MEMORY);
	assert_int_equal(flow_push_static(&fixture->flow, SPAN("abc")), FLOW_NO_MEMORY);
	memory_fail_every(&fixture->memory, 0);
	assert_true(flow_idle(&fixture->flow));
	assert_int_equal(fixture->flow.total, 0);
	assert_true(chunk_queue_static(&fixture->worker.buffers, &queue, SPAN("abc")));
	assert_int_equal(flow_push_queue(&fixture->flow, &queue), FLOW_ROOM);
	assert_int_equal(queue.bytes, 0);
	assert_int_equal(fixture->flow.total, 3);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_push_calls_nobody),
		TEST(test_a_sink_that_comes_late_is_told),
		TEST(test_window),
		TEST(test_settling_with_more_than_was_lent),
		TEST(test_growth),
		TEST(test_no_growth_under_pressure),
		TEST(test_trailers_ride_last),
		TEST(test_reset_while_announced),
		TEST(test_nobody_is_told_after_the_end),
		TEST(test_rewind),
		TEST(test_what_is_not_kept),
		TEST(test_no_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
