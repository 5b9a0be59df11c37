/* Requests of our own: who asked is told once of the head, of content as it comes, and of the end, and of nothing after it was cancelled. */
#include "exchange/subrequest.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum cancel_in { CANCEL_NEVER, CANCEL_IN_HEAD, CANCEL_IN_BYTES };

struct fixture {
	struct memory memory;
	struct worker worker;
	struct limits_settings limits;
	struct timeouts_settings timeouts;
	struct service service;
	struct client client;
	struct subrequest *sub;
	struct exchange *x;
	/* the up stream */
	struct stream up;
	unsigned asked, credits, aborts, detaches;
	struct chunk_queue sent;
	/* what was told */
	unsigned heads, bytes, ends, status;
	struct error error; /* of the end */
	struct chunk_queue got;
	bool hold; /* keeps what it takes */
	enum cancel_in cancel;
};

static struct fixture fixture;

/* ---- an up stream that notes what it is told ---- */

static void up_on_head(struct stream *stream, const struct http_head *head)
{
	fixture.asked++;
}

static void up_on_readable(struct stream *stream)
{
	flow_take(stream->out, &fixture.sent);
	flow_settle(stream->out, 0);
}

static void up_on_credit(struct stream *stream)
{
	fixture.credits++;
}

static void up_stop(struct stream *stream)
{
}

static void up_abort(struct stream *stream, const struct error *error)
{
	fixture.aborts++;
}

static void up_detach(struct stream *stream)
{
	fixture.detaches++;
}

static const struct stream_ops up_ops = {
	.name = "fake",
	.on_head = up_on_head,
	.on_readable = up_on_readable,
	.on_credit = up_on_credit,
	.stop = up_stop,
	.abort = up_abort,
	.detach = up_detach,
};

/* ---- who asks ---- */

static void on_head(struct subrequest *sub)
{
	fixture.heads++;
	fixture.status = sub->x->response.status;
	if (fixture.cancel == CANCEL_IN_HEAD)
		subrequest_cancel(sub);
}

static void on_bytes(struct subrequest *sub)
{
	fixture.bytes++;
	assert_true(sub->answered);
	flow_take(&sub->x->response_body, &fixture.got);
	if (fixture.cancel == CANCEL_IN_BYTES)
		subrequest_cancel(sub);
	else
		subrequest_settle(sub, fixture.hold ? fixture.got.bytes : 0);
}

static void on_end(struct subrequest *sub, const struct error *error)
{
	fixture.ends++;
	fixture.error = error ? *error : ERROR_OK;
}

static const struct subrequest_ops ops = {.on_head = on_head, .on_bytes = on_bytes, .on_end = on_end};
static const struct subrequest_ops careless_ops = {.on_head = on_head, .on_end = on_end};

/* ---- setting up ---- */

static void begin(const struct subrequest_ops *told)
{
	fixture.sub = subrequest_new(&fixture.worker, &fixture.service, &fixture.client, told, &fixture);
	assert_non_null(fixture.sub);
	fixture.x = fixture.sub->x;
	fixture.x->request.method = HTTP_METHOD_GET;
	flow_finish(&fixture.x->request_body, NULL);
	exchange_begin(fixture.x);
	exchange_set_up(fixture.x, &fixture.up);
	assert_int_equal(fixture.asked, 1);
}

static int set_up(void **state)
{
	memset(&fixture, 0, sizeof(fixture));
	memory_init(&fixture.memory, 0);
	assert_true(worker_init(&fixture.worker, 0, &fixture.memory, NULL));
	assert_true(exchange_room_init(&fixture.worker));
	fixture.limits = (struct limits_settings){.flow = 1000, .body = LIMIT_NONE};
	fixture.service = (struct service){
		.ops = &subrequest_plain_ops, .limits = &fixture.limits, .timeouts = &fixture.timeouts};
	fixture.up.ops = &up_ops;
	return 0;
}

static void turn(void)
{
	loop_turn(&fixture.worker.loop, 0);
}

static int tear_down(void **state)
{
	chunk_queue_clear(&fixture.worker.buffers, &fixture.sent);
	chunk_queue_clear(&fixture.worker.buffers, &fixture.got);
	if (exchange_count(&fixture.worker) > 0)
		subrequest_cancel(fixture.sub);
	turn();
	assert_int_equal(exchange_count(&fixture.worker), 0);
	exchange_room_fini(&fixture.worker);
	worker_fini(&fixture.worker);
	assert_int_equal(atomic_load(&fixture.memory.used), 0);
	return 0;
}

static void respond(unsigned status)
{
	fixture.x->response = (struct http_head){.status = (uint16_t)status, .body = HTTP_BODY_STREAMED};
	exchange_on_response(fixture.x);
}

static void push(const char *text, enum flow_room room)
{
	assert_int_equal(flow_push_static(&fixture.x->response_body, span_of(text)), room);
}

static void received(void)
{
	flow_finish(&fixture.x->response_body, NULL);
	exchange_on_up_done(fixture.x);
}

/* ---- tests ---- */

static void test_answer(void **state)
{
	begin(&ops);
	respond(103);
	assert_int_equal(fixture.heads, 0);
	respond(200);
	assert_int_equal(fixture.heads, 1);
	assert_int_equal(fixture.status, 200);
	push("abc", FLOW_ROOM);
	turn();
	assert_int_equal(fixture.got.bytes, 3);
	assert_int_equal(fixture.ends, 0);
	push("de", FLOW_ROOM);
	received();
	turn();
	assert_int_equal(fixture.got.bytes, 5);
	assert_int_equal(fixture.ends, 1);
	assert_false(error_is(&fixture.error));
	assert_int_equal(exchange_count(&fixture.worker), 0);
	assert_int_equal(fixture.aborts + fixture.detaches, 0);
}

static void test_content_is_dropped(void **state)
{
	static char text[1500];

	begin(&careless_ops);
	memset(text, 'x', sizeof(text) - 1);
	respond(200);
	for (unsigned i = 0; i < 4; i++) {
		push(text, FLOW_FULL);
		turn();
		assert_int_equal(fixture.credits, i + 1);
	}
	received();
	turn();
	assert_int_equal(fixture.ends, 1);
}

/* What is held stops the server, and delays the end. */
static void test_held_content(void **state)
{
	static char text[1500];

	begin(&ops);
	fixture.hold = true;
	memset(text, 'x', sizeof(text) - 1);
	respond(200);
	push(text, FLOW_FULL);
	turn();
	assert_int_equal(fixture.credits, 0);
	subrequest_settle(fixture.sub, 0);
	assert_int_equal(fixture.credits, 1);
	push("rest", FLOW_ROOM);
	received();
	turn();
	assert_int_equal(fixture.ends, 0);
	subrequest_settle(fixture.sub, 2);
	assert_int_equal(fixture.ends, 0);
	subrequest_settle(fixture.sub, 0);
	assert_int_equal(fixture.ends, 1);
	subrequest_settle(fixture.sub, 0); /* harmless */
	subrequest_cancel(fixture.sub);
	assert_int_equal(fixture.ends, 1);
}

static void test_failures(void **state)
{
	for (unsigned answered = 0; answered < 2; answered++) {
		fixture.asked = fixture.ends = 0;
		begin(&ops);
		if (answered)
			respond(200);
		exchange_on_up_error(fixture.x, &(struct error){.code = ERROR_UPSTREAM_RESET});
		assert_int_equal(fixture.ends, 1);
		assert_int_equal(fixture.error.code, ERROR_UPSTREAM_RESET);
		turn();
		assert_int_equal(exchange_count(&fixture.worker), 0);
	}
	assert_int_equal(fixture.heads, 1);
}

static void test_total_time(void **state)
{
	fixture.timeouts.total = 1;
	begin(&ops);
	for (unsigned i = 0; i < 1000 && !fixture.ends; i++)
		loop_turn(&fixture.worker.loop, 5);
	assert_int_equal(fixture.ends, 1);
	assert_int_equal(fixture.error.code, ERROR_TOTAL_TIMEOUT);
	assert_int_equal(fixture.aborts, 1);
}

static void test_cancel(void **state)
{
	begin(&ops);
	subrequest_cancel(fixture.sub);
	subrequest_cancel(fixture.sub);
	assert_int_equal(fixture.aborts, 1);
	turn();
	assert_int_equal(fixture.ends, 0);
	assert_int_equal(exchange_count(&fixture.worker), 0);
}

/* Bytes that were announced in the turn of the end reach nobody. */
static void test_cancel_with_bytes_on_their_way(void **state)
{
	begin(&ops);
	respond(200);
	push("abc", FLOW_ROOM);
	subrequest_cancel(fixture.sub);
	turn();
	assert_int_equal(fixture.bytes + fixture.ends, 0);
}

static void test_cancel_inside(void **state)
{
	static const enum cancel_in places[] = {CANCEL_IN_HEAD, CANCEL_IN_BYTES};

	for (unsigned i = 0; i < ARRAY_LENGTH(places); i++) {
		fixture.asked = fixture.aborts = 0;
		fixture.cancel = places[i];
		begin(&ops);
		respond(200);
		if (places[i] == CANCEL_IN_BYTES) {
			push("abc", FLOW_ROOM);
			turn();
		}
		assert_int_equal(fixture.aborts, 1);
		turn();
		assert_int_equal(exchange_count(&fixture.worker), 0);
	}
	assert_int_equal(fixture.ends, 0);
}

/* Its service and its client may end before it does. */
static void test_copies(void **state)
{
	begin(&ops);
	memset(&fixture.service, 0xee, sizeof(fixture.service));
	memset(&fixture.client, 0xee, sizeof(fixture.client));
	respond(200);
	received();
	turn();
	assert_int_equal(fixture.ends, 1);
}

static void test_content_goes_up(void **state)
{
	fixture.sub = subrequest_new(&fixture.worker, &fixture.service, &fixture.client, &ops, NULL);
	assert_non_null(fixture.sub);
	fixture.x = fixture.sub->x;
	exchange_begin(fixture.x);
	assert_int_equal(flow_push_static(&fixture.x->request_body, SPAN("before ")), FLOW_ROOM);
	exchange_set_up(fixture.x, &fixture.up);
	assert_int_equal(flow_push_static(&fixture.x->request_body, SPAN("and after")), FLOW_ROOM);
	turn();
	assert_int_equal(fixture.sent.bytes, 16);
	/* The server takes no more of it. */
	respond(200);
	received();
	turn();
	assert_int_equal(fixture.ends, 1);
	assert_false(error_is(&fixture.error));
}

static void test_without_memory(void **state)
{
	memory_fail_every(&fixture.memory, 1);
	assert_null(subrequest_new(&fixture.worker, &fixture.service, &fixture.client, &ops, NULL));
	memory_fail_every(&fixture.memory, 0);
	assert_int_equal(exchange_count(&fixture.worker), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_answer),
		TEST(test_content_is_dropped),
		TEST(test_held_content),
		TEST(test_failures),
		TEST(test_total_time),
		TEST(test_cancel),
		TEST(test_cancel_with_bytes_on_their_way),
		TEST(test_cancel_inside),
		TEST(test_copies),
		TEST(test_content_goes_up),
		TEST(test_without_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
