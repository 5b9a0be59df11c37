/* Exchanges between streams that only note what they are told: who is told what, how often, and in which state. */
#include "exchange/exchange.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct fake {
	struct stream stream;
	unsigned heads, readable, credits, stops, aborts, detaches, raws;
	unsigned status; /* of the last head */
	bool no_raw;
	struct fake *raw;
	struct chunk_queue taken;
};

struct fixture {
	struct memory memory;
	struct worker worker;
	struct limits_settings limits;
	struct timeouts_settings timeouts;
	struct service service;
	struct client client;
	struct exchange *x;
	struct fake down, up, down_raw, up_raw;
	unsigned requests, responses, failures, refusals, ends;
	struct error error; /* of the last failure or refusal */
	bool reply_when_refused;
};

static struct fixture fixture;

static struct fake *fake_of(struct stream *stream)
{
	return CONTAINER_OF(stream, struct fake, stream);
}

static void on_head(struct stream *stream, const struct http_head *head)
{
	fake_of(stream)->heads++;
	fake_of(stream)->status = head->status;
}

static void on_readable(struct stream *stream)
{
	struct fake *fake = fake_of(stream);
	assert_int_equal(fake->aborts + fake->detaches, 0);
	fake->readable++;
	flow_take(stream->out, &fake->taken);
}

static void on_credit(struct stream *stream)
{
	fake_of(stream)->credits++;
}

static void on_stop(struct stream *stream)
{
	fake_of(stream)->stops++;
}

static void on_abort(struct stream *stream, const struct error *error)
{
	fake_of(stream)->aborts++;
}

static void on_detach(struct stream *stream)
{
	fake_of(stream)->detaches++;
}

static struct stream *become_raw(struct stream *stream)
{
	struct fake *fake = fake_of(stream);
	if (fake->no_raw)
		return NULL;
	fake->raws++;
	fake->raw->stream = fake->stream;
	return &fake->raw->stream;
}

static const struct stream_ops fake_ops = {
	.name = "fake",
	.on_head = on_head,
	.on_readable = on_readable,
	.on_credit = on_credit,
	.stop = on_stop,
	.abort = on_abort,
	.detach = on_detach,
	.become_raw = become_raw,
};

static void on_request(struct exchange *x)
{
	fixture.requests++;
}

static void on_response(struct exchange *x)
{
	fixture.responses++;
	exchange_send_head(x);
}

static void on_up_failed(struct exchange *x, const struct error *error)
{
	fixture.failures++;
	fixture.error = *error;
}

static void reply(struct exchange *x, unsigned status, struct span body)
{
	x->response = (struct http_head){.status = (uint16_t)status};
	http_fields_init(&x->response.fields, &x->arena);
	exchange_reply(x, body);
}

static void on_refused(struct exchange *x, const struct error *error)
{
	fixture.refusals++;
	fixture.error = *error;
	if (fixture.reply_when_refused)
		reply(x, error_status(error), SPAN("sorry"));
}

static void on_end(struct exchange *x)
{
	fixture.ends++;
}

static const struct exchange_ops ops = {
	.on_request = on_request,
	.on_response = on_response,
	.on_up_failed = on_up_failed,
	.on_refused = on_refused,
	.on_end = on_end,
};

static int set_up(void **state)
{
	struct fake *fakes[] = {&fixture.down, &fixture.up, &fixture.down_raw, &fixture.up_raw};

	memset(&fixture, 0, sizeof(fixture));
	memory_init(&fixture.memory, 0);
	assert_true(worker_init(&fixture.worker, 0, &fixture.memory, NULL));
	assert_true(exchange_room_init(&fixture.worker));
	fixture.limits = (struct limits_settings){.flow = 1000, .body = LIMIT_NONE};
	fixture.service =
		(struct service){.ops = &ops, .limits = &fixture.limits, .timeouts = &fixture.timeouts};
	for (unsigned i = 0; i < ARRAY_LENGTH(fakes); i++)
		fakes[i]->stream.ops = &fake_ops;
	fixture.down.raw = &fixture.down_raw;
	fixture.up.raw = &fixture.up_raw;
	fixture.reply_when_refused = true;
	fixture.x = exchange_new(&fixture.worker, &fixture.service, &fixture.client);
	assert_non_null(fixture.x);
	fixture.x->request.method = HTTP_METHOD_GET;
	exchange_attach_down(fixture.x, &fixture.down.stream);
	return 0;
}

static void turn(void)
{
	loop_turn(&fixture.worker.loop, 0);
}

static int tear_down(void **state)
{
	struct fake *fakes[] = {&fixture.down, &fixture.up, &fixture.down_raw, &fixture.up_raw};

	for (unsigned i = 0; i < ARRAY_LENGTH(fakes); i++)
		chunk_queue_clear(&fixture.worker.buffers, &fakes[i]->taken);
	if (exchange_count(&fixture.worker) > 0)
		exchange_abort(fixture.x, &(struct error){.code = ERROR_INTERNAL});
	turn();
	assert_int_equal(exchange_count(&fixture.worker), 0);
	exchange_room_fini(&fixture.worker);
	worker_fini(&fixture.worker);
	assert_int_equal(atomic_load(&fixture.memory.used), 0);
	return 0;
}

/* A request that an up stream has. */
static void running(void)
{
	exchange_begin(fixture.x);
	exchange_set_up(fixture.x, &fixture.up.stream);
	assert_int_equal(fixture.requests, 1);
	assert_int_equal(fixture.up.heads, 1);
}

static void respond(unsigned status)
{
	fixture.x->response = (struct http_head){.status = (uint16_t)status, .body = HTTP_BODY_STREAMED};
	exchange_on_response(fixture.x);
}

static void test_good_end(void **state)
{
	struct exchange *x = fixture.x;

	running();
	flow_finish(&x->request_body, NULL);
	respond(103);
	assert_int_equal(x->state, EXCHANGE_RUNNING);
	respond(200);
	assert_int_equal(x->state, EXCHANGE_ANSWERED);
	assert_int_equal(fixture.down.heads, 2);
	assert_int_equal(flow_push_static(&x->response_body, SPAN("abc")), FLOW_ROOM);
	flow_finish(&x->response_body, NULL);
	exchange_on_up_done(x);
	turn();
	assert_int_equal(fixture.down.taken.bytes, 3);
	exchange_finish(x);
	exchange_finish(x); /* twice is once */
	exchange_abort(x, &(struct error){.code = ERROR_INTERNAL});
	assert_int_equal(fixture.ends, 1);
	assert_int_equal(fixture.down.detaches, 1);
	assert_int_equal(fixture.down.aborts + fixture.up.aborts + fixture.up.detaches, 0);
	assert_false(error_is(&x->error));
	turn();
	assert_int_equal(exchange_count(&fixture.worker), 0);
}

static void test_abort_is_idempotent_and_the_first_error_is_kept(void **state)
{
	struct exchange *x = fixture.x;

	running();
	exchange_abort(x, &(struct error){.code = ERROR_CLIENT_GONE});
	exchange_abort(x, &(struct error){.code = ERROR_MEMORY});
	exchange_fail(x, &(struct error){.code = ERROR_MEMORY});
	exchange_on_up_error(x, &(struct error){.code = ERROR_UPSTREAM_RESET});
	assert_int_equal(x->error.code, ERROR_CLIENT_GONE);
	assert_int_equal(fixture.ends, 1);
	assert_int_equal(fixture.down.aborts, 1);
	assert_int_equal(fixture.up.aborts, 1);
	assert_int_equal(fixture.refusals + fixture.failures, 0);
}

/* What was announced in the turn of the end reaches no stream any more (on_readable would see to that). */
static void test_nobody_is_told_after_the_end(void **state)
{
	struct exchange *x = fixture.x;

	running();
	respond(200);
	assert_int_equal(flow_push_static(&x->response_body, SPAN("abc")), FLOW_ROOM);
	assert_int_equal(flow_push_static(&x->request_body, SPAN("abc")), FLOW_ROOM);
	exchange_abort(x, &(struct error){.code = ERROR_UPSTREAM_TRUNCATED});
	turn();
	assert_int_equal(fixture.down.readable + fixture.up.readable, 0);
}

static void test_failure_before_the_head_is_told(void **state)
{
	struct exchange *x = fixture.x;

	running();
	exchange_fail(x, &(struct error){.code = ERROR_BODY_TOO_LARGE});
	assert_int_equal(fixture.refusals, 1);
	assert_int_equal(fixture.up.aborts, 1);
	assert_int_equal(fixture.down.status, 413);
	assert_int_equal(fixture.down.stops, 1); /* the request's body is not wanted any more */
	turn();
	assert_int_equal(fixture.down.taken.bytes, 5);
	assert_int_equal(x->error.code, ERROR_BODY_TOO_LARGE);
	assert_int_equal(fixture.ends, 0); /* when the down stream has sent it */
	exchange_finish(x);
	assert_int_equal(fixture.ends, 1);
}

static void test_failure_after_the_head_ends_it(void **state)
{
	running();
	respond(200);
	exchange_fail(fixture.x, &(struct error){.code = ERROR_TOTAL_TIMEOUT});
	assert_int_equal(fixture.refusals, 0);
	assert_int_equal(fixture.down.aborts, 1);
	assert_int_equal(fixture.up.aborts, 1);
}

static void test_failure_of_the_up_stream(void **state)
{
	struct exchange *x = fixture.x;

	running();
	respond(103);
	exchange_on_up_error(x, &(struct error){.code = ERROR_UPSTREAM_CLOSED});
	assert_int_equal(fixture.failures, 1);
	assert_null(x->up);
	/* another try */
	fixture.up = (struct fake){.stream = {.ops = &fake_ops}};
	exchange_set_up(x, &fixture.up.stream);
	respond(200);
	exchange_on_up_error(x, &(struct error){.code = ERROR_UPSTREAM_TRUNCATED});
	assert_int_equal(fixture.failures, 1);
	assert_int_equal(fixture.down.aborts, 1);
	assert_int_equal(x->error.code, ERROR_UPSTREAM_TRUNCATED);
}

/* The whole response is there, the request is not: its source is told to stop. */
static void test_response_before_the_request(void **state)
{
	struct exchange *x = fixture.x;

	running();
	respond(200);
	flow_finish(&x->response_body, NULL);
	exchange_on_up_done(x);
	assert_int_equal(fixture.down.stops, 1);
	assert_int_equal(fixture.down.aborts, 0);
	assert_int_equal(flow_push_static(&x->request_body, SPAN("late")), FLOW_ROOM);
	turn();
	assert_int_equal(fixture.up.readable, 0);
	exchange_finish(x);
	assert_int_equal(fixture.down.detaches, 1);
}

static void test_reply(void **state)
{
	static const struct {
		enum http_method method;
		unsigned status;
		size_t bytes;
		enum http_body body;
	} cases[] = {
		{HTTP_METHOD_GET, 200, 3, HTTP_BODY_LENGTH},
		{HTTP_METHOD_HEAD, 200, 0, HTTP_BODY_NONE},
		{HTTP_METHOD_GET, 204, 0, HTTP_BODY_NONE},
		{HTTP_METHOD_GET, 304, 0, HTTP_BODY_NONE},
	};

	for (unsigned i = 0; i < ARRAY_LENGTH(cases); i++) {
		struct exchange *x = fixture.x;
		x->request.method = (uint8_t)cases[i].method;
		flow_finish(&x->request_body, NULL);
		exchange_begin(x);
		reply(x, cases[i].status, SPAN("abc"));
		assert_int_equal(x->response.body, cases[i].body);
		assert_int_equal(x->response.length, 3);
		assert_int_equal(x->response.length_known, cases[i].status != 204);
		turn();
		assert_int_equal(fixture.down.taken.bytes, cases[i].bytes);
		assert_true(x->response_body.fin);
		assert_int_equal(fixture.down.stops, 0);
		exchange_finish(x);
		chunk_queue_clear(&fixture.worker.buffers, &fixture.down.taken);
		turn();
		fixture.down = (struct fake){.stream = {.ops = &fake_ops}};
		fixture.x = exchange_new(&fixture.worker, &fixture.service, &fixture.client);
		exchange_attach_down(fixture.x, &fixture.down.stream);
	}
}

static void test_refusal_of_a_head(void **state)
{
	struct exchange *x = fixture.x;

	exchange_refuse(x, &(struct error){.code = ERROR_MALFORMED_REQUEST});
	assert_int_equal(fixture.requests, 0);
	assert_int_equal(fixture.down.status, 400);
	assert_true(x->close_after);
	exchange_finish(x);
	assert_int_equal(x->error.code, ERROR_MALFORMED_REQUEST);
}

static void test_deadline(void **state)
{
	fixture.timeouts.total = 1;
	exchange_begin(fixture.x);
	for (unsigned i = 0; i < 1000 && !fixture.refusals; i++)
		loop_turn(&fixture.worker.loop, 5);
	assert_int_equal(fixture.refusals, 1);
	assert_int_equal(fixture.error.code, ERROR_TOTAL_TIMEOUT);
}

static void test_tunnel(void **state)
{
	struct exchange *x = fixture.x;

	running();
	assert_int_equal(flow_push_static(&x->request_body, SPAN("old")), FLOW_ROOM);
	assert_true(exchange_become_tunnel(x));
	assert_true(x->tunnel);
	assert_ptr_equal(x->down, &fixture.down_raw.stream);
	assert_ptr_equal(x->up, &fixture.up_raw.stream);
	assert_int_equal(flow_push_static(&x->request_body, SPAN("there")), FLOW_ROOM);
	assert_int_equal(flow_push_static(&x->response_body, SPAN("back")), FLOW_ROOM);
	turn();
	assert_int_equal(fixture.up_raw.taken.bytes, 5);
	assert_int_equal(fixture.down_raw.taken.bytes, 4);
	assert_int_equal(fixture.up.readable + fixture.down.readable, 0);
	exchange_finish(x);
	assert_int_equal(fixture.up_raw.detaches, 1);
	assert_int_equal(fixture.down_raw.detaches, 1);
}

/* One end becomes raw, the other cannot: both are aborted, each as what it is by now. */
static void test_tunnel_without_memory(void **state)
{
	running();
	fixture.up.no_raw = true;
	assert_false(exchange_become_tunnel(fixture.x));
	assert_int_equal(fixture.down_raw.aborts, 1);
	assert_int_equal(fixture.down.aborts, 0);
	assert_int_equal(fixture.up.aborts, 1);
	assert_int_equal(fixture.ends, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_good_end),
		TEST(test_abort_is_idempotent_and_the_first_error_is_kept),
		TEST(test_nobody_is_told_after_the_end),
		TEST(test_failure_before_the_head_is_told),
		TEST(test_failure_after_the_head_ends_it),
		TEST(test_failure_of_the_up_stream),
		TEST(test_response_before_the_request),
		TEST(test_reply),
		TEST(test_refusal_of_a_head),
		TEST(test_deadline),
		TEST(test_tunnel),
		TEST(test_tunnel_without_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
