/* Filters on flows: bytes that are changed, left out, added and held back; flow control, ends, what breaks, and what lies behind: meters, taps. */
#include "exchange/filter.h"

#include "exchange/meter.h"
#include "exchange/stream.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { WINDOW = 16384 };

/* Each byte becomes `times` of it; `hold` bytes are held back until the end, which adds a '!'; a '#' breaks it. */
struct multiplier {
	struct flow_filter filter;
	unsigned times, hold;
	struct chunk_queue held;
	unsigned broken, off, runs;
	bool ended;
};

struct end {
	struct stream stream;
	unsigned credits;
	size_t taken_at_a_time; /* 0: all */
	char got[200000];
	size_t len;
	bool ended;
	const struct http_fields *trailers;
};

static struct {
	struct memory memory;
	struct worker worker;
	struct flow flow;
	struct end source, sink;
	struct multiplier multiplier;
} fixture;

static enum filter_result give(struct multiplier *multiplier, uint8_t byte, struct chunk_queue *out)
{
	for (unsigned i = 0; i < multiplier->times; i++)
		if (!chunk_queue_copy(&fixture.worker.buffers, out, span_make(&byte, 1)))
			return FILTER_BROKEN;
	return FILTER_EMPTY;
}

static enum filter_result run(struct flow_filter *filter, struct chunk_queue *in, struct chunk_queue *out,
			      size_t room, bool end)
{
	struct multiplier *multiplier = CONTAINER_OF(filter, struct multiplier, filter);
	struct buffers *buffers = &fixture.worker.buffers;

	assert_true(room > 0);
	multiplier->runs++;
	while (in->bytes > 0 || (end && multiplier->held.bytes > 0)) {
		if (out->bytes >= room)
			return FILTER_MORE;
		if (in->bytes > 0)
			assert_true(chunk_queue_move(buffers, &multiplier->held, in, 1));
		if (multiplier->held.bytes <= multiplier->hold && !end)
			continue;
		uint8_t byte;
		chunk_queue_peek(&multiplier->held, &byte, 1);
		chunk_queue_consume(buffers, &multiplier->held, 1);
		if (byte == '#' || give(multiplier, byte, out) == FILTER_BROKEN)
			return FILTER_BROKEN;
	}
	if (end && !multiplier->ended) {
		multiplier->ended = true;
		assert_true(chunk_queue_static(buffers, out, SPAN("!")));
	}
	return FILTER_EMPTY;
}

static void on_broken(struct flow_filter *filter)
{
	CONTAINER_OF(filter, struct multiplier, filter)->broken++;
}

static void on_off(struct flow_filter *filter)
{
	struct multiplier *multiplier = CONTAINER_OF(filter, struct multiplier, filter);

	multiplier->off++;
	chunk_queue_clear(&fixture.worker.buffers, &multiplier->held);
}

static const struct flow_filter_ops filter_ops = {.run = run, .on_broken = on_broken, .on_off = on_off};

static void on_readable(struct stream *stream)
{
	struct end *sink = CONTAINER_OF(stream, struct end, stream);
	struct flow *flow = &fixture.flow;
	struct chunk_queue taken = {0};

	if (sink->taken_at_a_time && sink->taken_at_a_time < flow->queue.bytes)
		return; /* it takes what it can later: see take */
	flow_take(flow, &taken);
	chunk_queue_peek(&taken, (uint8_t *)sink->got + sink->len, taken.bytes);
	sink->len += taken.bytes;
	chunk_queue_clear(&fixture.worker.buffers, &taken);
	sink->ended = flow->fin;
	sink->trailers = flow->trailers;
	flow_settle(flow, 0);
}

static void on_credit(struct stream *stream)
{
	CONTAINER_OF(stream, struct end, stream)->credits++;
}

static const struct stream_ops stream_ops = {.on_readable = on_readable, .on_credit = on_credit};

static int set_up(void **state)
{
	memset(&fixture, 0, sizeof(fixture));
	memory_init(&fixture.memory, 0);
	assert_true(worker_init(&fixture.worker, 0, &fixture.memory, NULL));
	fixture.source.stream.ops = fixture.sink.stream.ops = &stream_ops;
	flow_init(&fixture.flow, &fixture.worker, WINDOW);
	flow_set_source(&fixture.flow, &fixture.source.stream);
	flow_set_sink(&fixture.flow, &fixture.sink.stream);
	fixture.multiplier.times = 1;
	return 0;
}

static int tear_down(void **state)
{
	flow_fini(&fixture.flow);
	assert_int_equal(fixture.multiplier.off, fixture.multiplier.filter.ops ? 1 : 0);
	worker_fini(&fixture.worker);
	assert_int_equal(atomic_load(&fixture.memory.used), 0);
	return 0;
}

static void start(void)
{
	flow_filter_start(&fixture.flow, &fixture.multiplier.filter, &filter_ops);
}

static enum flow_room push(const char *text)
{
	return flow_push(&fixture.flow, NULL, span_of(text));
}

static enum flow_room push_many(size_t len)
{
	static uint8_t bytes[100000];

	memset(bytes, 'a', sizeof(bytes));
	return flow_push(&fixture.flow, NULL, span_make(bytes, len));
}

static void turn(void)
{
	loop_turn(&fixture.worker.loop, 0);
}

static void assert_got(const char *text)
{
	turn();
	fixture.sink.got[fixture.sink.len] = '\0';
	assert_string_equal(fixture.sink.got, text);
}

static void test_bytes_are_changed(void **state)
{
	struct http_fields trailers = {0};

	fixture.multiplier.times = 2;
	start();
	assert_int_equal(push("ab"), FLOW_ROOM);
	assert_got("aabb");
	assert_int_equal(flow_push_static(&fixture.flow, SPAN("c")), FLOW_ROOM);
	flow_finish(&fixture.flow, &trailers);
	assert_false(fixture.flow.fin && fixture.sink.ended);
	assert_got("aabbcc!");
	assert_true(fixture.sink.ended);
	assert_ptr_equal(fixture.sink.trailers, &trailers);
	assert_int_equal(fixture.flow.total, 7);
	flow_finish(&fixture.flow, NULL);
	assert_ptr_equal(fixture.flow.trailers, &trailers);
}

/* What is held back inside needs more input: the source is not told to wait. */
static void test_bytes_are_held_back(void **state)
{
	fixture.multiplier.hold = 3;
	start();
	assert_int_equal(push("ab"), FLOW_ROOM);
	assert_got("");
	assert_true(flow_idle(&fixture.flow));
	assert_int_equal(push("cd"), FLOW_ROOM);
	assert_got("a");
	flow_finish(&fixture.flow, NULL);
	assert_got("abcd!");
	assert_true(fixture.sink.ended);
}

static void test_what_is_queued_passes_first(void **state)
{
	fixture.multiplier.times = 2;
	assert_int_equal(push("ab"), FLOW_ROOM);
	flow_finish(&fixture.flow, NULL);
	start();
	assert_int_equal(fixture.flow.total, 5);
	assert_got("aabb!");
	assert_true(fixture.sink.ended);
}

/* Little that becomes much comes in portions, and the source waits for the last of them. */
static void test_much_comes_in_portions(void **state)
{
	fixture.multiplier.times = 40;
	fixture.sink.taken_at_a_time = 1; /* the sink does not take */
	start();
	assert_int_equal(push_many(3000), FLOW_FULL);
	turn();
	assert_true(fixture.flow.queue.bytes >= WINDOW && fixture.flow.queue.bytes < WINDOW + 64);
	assert_true(fixture.multiplier.filter.in.bytes > 2000);
	assert_int_equal(push_many(10), FLOW_FULL);
	flow_finish(&fixture.flow, NULL);
	fixture.sink.taken_at_a_time = 0;
	for (unsigned i = 0; i < 20 && !fixture.sink.ended; i++) {
		assert_true(fixture.flow.queue.bytes < WINDOW + 64);
		on_readable(&fixture.sink.stream);
	}
	assert_true(fixture.sink.ended);
	assert_int_equal(fixture.sink.len, 3010 * 40 + 1);
}

static void test_the_source_goes_on_when_all_is_used(void **state)
{
	fixture.multiplier.times = 40;
	start();
	assert_int_equal(push_many(1000), FLOW_FULL);
	for (unsigned i = 0; i < 10; i++)
		turn();
	assert_int_equal(fixture.sink.len, 40000);
	assert_int_equal(fixture.source.credits, 1);
	assert_int_equal(push("b"), FLOW_ROOM);
	turn();
	assert_int_equal(fixture.sink.len, 40040);
}

/* All of it is left out: nobody would ever settle for it, so the source must not wait. */
static void test_nothing_is_given(void **state)
{
	fixture.multiplier.times = 0;
	start();
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(push_many(50000), FLOW_ROOM);
	flow_finish(&fixture.flow, NULL);
	assert_got("!");
}

static void test_by_portions_of_the_sink(void **state)
{
	struct chunk_queue taken = {0};

	fixture.multiplier.times = 40;
	fixture.sink.taken_at_a_time = 1;
	start();
	assert_int_equal(push_many(1000), FLOW_FULL);
	flow_finish(&fixture.flow, NULL);
	for (unsigned i = 0; i < 1000 && !(fixture.flow.fin && fixture.flow.queue.bytes == 0); i++)
		assert_true(flow_take_part(&fixture.flow, &taken, size_min(100, fixture.flow.queue.bytes)));
	assert_true(fixture.flow.fin);
	assert_int_equal(taken.bytes, 40001);
	chunk_queue_clear(&fixture.worker.buffers, &taken);
}

static void test_it_breaks(void **state)
{
	start();
	assert_int_equal(push("a#b"), FLOW_ROOM);
	assert_int_equal(fixture.multiplier.broken, 0); /* later, not from within the push */
	assert_got("a");
	assert_int_equal(fixture.multiplier.broken, 1);
	assert_int_equal(push("c"), FLOW_ROOM);
	flow_finish(&fixture.flow, NULL);
	assert_got("a");
	assert_false(fixture.flow.fin);
	assert_int_equal(fixture.multiplier.broken, 1);
}

/* Nothing is told any more when the flow has ended in the same turn. */
static void test_it_breaks_too_late(void **state)
{
	start();
	assert_int_equal(push("#"), FLOW_ROOM);
	flow_reset(&fixture.flow);
	assert_int_equal(fixture.multiplier.off, 1);
	assert_null(fixture.flow.filter);
	turn();
	assert_int_equal(fixture.multiplier.broken, 0);
	flow_set_sink(&fixture.flow, &fixture.sink.stream);
	assert_int_equal(push("as it is"), FLOW_ROOM);
	assert_got("as it is");
}

/* For another sink, what was taken is there again, as it was made. */
static void test_a_flow_is_rewound(void **state)
{
	static struct flow_kept kept;

	fixture.multiplier.times = 2;
	start();
	flow_keep(&fixture.flow, &kept, 1000);
	assert_int_equal(push("ab"), FLOW_ROOM);
	assert_got("aabb");
	assert_true(flow_can_rewind(&fixture.flow));
	flow_set_sink(&fixture.flow, NULL);
	flow_rewind(&fixture.flow);
	flow_set_sink(&fixture.flow, &fixture.sink.stream);
	flow_finish(&fixture.flow, NULL);
	assert_got("aabbaabb!");
}

static uint64_t on_charge(struct flow_meter *meter, size_t bytes)
{
	return bytes == 1 ? FLOW_METER_NEVER : 0;
}

static void on_refund(struct flow_meter *meter, size_t bytes)
{
}

/* What passes is paid for, as it was made. */
static void test_a_meter_comes_behind(void **state)
{
	static const struct flow_meter_ops meter_ops = {.charge = on_charge, .refund = on_refund};
	struct flow_meter meter;

	fixture.multiplier.times = 3;
	flow_meter_start(&fixture.flow, &meter, &meter_ops, 100);
	start();
	assert_int_equal(push("ab"), FLOW_ROOM);
	assert_got("aaabbb");
	flow_finish(&fixture.flow, NULL);
	assert_got("aaabbb"); /* the one byte of its end is not paid for */
	assert_false(fixture.sink.ended);
	flow_meter_stop(&fixture.flow);
}

struct tap {
	struct flow_tap tap;
	size_t bytes;
	unsigned ends;
};

static void tap_on_bytes(struct flow_tap *tap, struct block *block, struct span bytes)
{
	CONTAINER_OF(tap, struct tap, tap)->bytes += bytes.len;
}

static void tap_on_finish(struct flow_tap *tap, const struct http_fields *trailers)
{
	CONTAINER_OF(tap, struct tap, tap)->ends++;
}

/* A tap sees what is pushed, before the filter. */
static void test_a_tap_sees_what_comes(void **state)
{
	static const struct flow_tap_ops tap_ops = {.on_bytes = tap_on_bytes, .on_finish = tap_on_finish};
	struct tap tap = {.tap = {.ops = &tap_ops}};

	fixture.multiplier.times = 5;
	start();
	fixture.flow.tap = &tap.tap;
	assert_int_equal(push("abc"), FLOW_ROOM);
	flow_finish(&fixture.flow, NULL);
	flow_finish(&fixture.flow, NULL);
	turn();
	assert_int_equal(tap.bytes, 3);
	assert_int_equal(tap.ends, 1);
	assert_int_equal(fixture.sink.len, 16);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_bytes_are_changed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_bytes_are_held_back, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_is_queued_passes_first, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_much_comes_in_portions, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_the_source_goes_on_when_all_is_used, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_nothing_is_given, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_by_portions_of_the_sink, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_it_breaks, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_it_breaks_too_late, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_flow_is_rewound, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_meter_comes_behind, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_tap_sees_what_comes, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
