/*
 * Heads as lists of HTTP/2 fields: what HTTP/1 spells in another way, and what HTTP/2 does not have.
 */
#include "http/h2/h2_support.h"
#include "http/h2/message_internal.h"

static void add(struct h2_bench *bench, const char *name, const char *value)
{
	struct span text = span_of(name);
	assert_true(http_fields_add(&bench->head.fields, http_field_identify(text), text, span_of(value)));
}

static void request_init(struct h2_bench *bench, enum http_method method, const char *text)
{
	h2_bench_init(bench);
	bench->head = (struct http_head){
		.method = (uint8_t)method,
		.method_text = span_of(text),
		.scheme = SPAN("https"),
		.authority = SPAN("a.test"),
		.path = SPAN("/x"),
		.version = HTTP_VERSION_11,
	};
	http_fields_init(&bench->head.fields, bench->arena);
}

static struct span request_text(struct h2_bench *bench, bool extended)
{
	struct h2_fields list;
	assert_true(h2_request_list(&bench->head, extended, bench->arena, &list));
	return list_text(bench, &list);
}

static void response_init(struct h2_bench *bench, unsigned status)
{
	h2_bench_init(bench);
	bench->head = (struct http_head){.status = (uint16_t)status, .version = HTTP_VERSION_11};
	http_fields_init(&bench->head.fields, bench->arena);
}

static struct span response_text(struct h2_bench *bench)
{
	struct h2_fields list;
	assert_true(h2_response_list(&bench->head, SPAN("now"), bench->arena, &list));
	return list_text(bench, &list);
}

static void test_names(void **state)
{
	for (unsigned id = HTTP_FIELD_OTHER + 1; id < HTTP_FIELD_IDS; id++) {
		struct span name = http_field_name(id), lower = h2_field_names[id];
		assert_true(span_equal_nocase(name, lower));
		for (size_t i = 0; i < lower.len; i++)
			assert_int_equal(lower.at[i], ascii_lower(lower.at[i]));
	}
}

static void test_request(void **state)
{
	struct h2_bench bench;
	request_init(&bench, HTTP_METHOD_POST, "POST");
	bench.head.body = HTTP_BODY_LENGTH;
	bench.head.length = 1234567890123;
	bench.head.te_trailers = bench.head.expect_continue = true;
	add(&bench, "User-Agent", "x");
	add(&bench, "X-Mixed-CASE", "Value Stays");
	add(&bench, "x-lower", " trimmed\t");
	add(&bench, "Authorization", "Basic abc");
	add(&bench, "Proxy-Authorization", "Basic abc");
	add(&bench, "Cookie", "short=1");
	add(&bench, "Cookie", "long=12345678901234567890");
	add(&bench, "X-Gone", "x");
	bench.head.fields.items[bench.head.fields.count - 1].dropped = true;
	assert_span(request_text(&bench, false),
		    SPAN(":method: POST\n:scheme: https\n:path: /x\n:authority: a.test\nuser-agent: x\n"
			 "x-mixed-case: Value Stays\nx-lower: trimmed\n!authorization: Basic abc\n"
			 "!proxy-authorization: Basic abc\n!cookie: short=1\ncookie: long=12345678901234567890\n"
			 "te: trailers\nexpect: 100-continue\ncontent-length: 1234567890123\n"));
	h2_bench_fini(&bench);
}

/* RFC 9113 8.2.2: whoever put them there. */
static void test_what_belongs_to_a_connection_never_leaves(void **state)
{
	static const char *const names[] = {
		"Connection", "Keep-Alive", "Proxy-Connection", "Transfer-Encoding",
		"Upgrade",    "TE",         "HTTP2-Settings",   "Content-Length",
		"Host",       "Expect"};
	struct h2_bench bench;
	request_init(&bench, HTTP_METHOD_GET, "GET");
	bench.head.protocol = SPAN("foo");
	for (unsigned i = 0; i < ARRAY_LENGTH(names); i++)
		add(&bench, names[i], "x");
	assert_span(request_text(&bench, false),
		    SPAN(":method: GET\n:scheme: https\n:path: /x\n:authority: a.test\n"));
	struct h2_fields list;
	assert_true(h2_trailers_list(&bench.head.fields, bench.arena, &list));
	assert_span(list_text(&bench, &list), SPAN("host: x\nexpect: x\n"));
	h2_bench_fini(&bench);
}

static void test_bodies_of_requests(void **state)
{
	struct h2_bench bench;
	request_init(&bench, HTTP_METHOD_PUT, "PUT");
	bench.head.body = HTTP_BODY_STREAMED;
	assert_span(request_text(&bench, false),
		    SPAN(":method: PUT\n:scheme: https\n:path: /x\n:authority: a.test\n"));
	bench.head.body = HTTP_BODY_LENGTH;
	bench.head.expect_continue = true; /* with nothing to wait for */
	assert_span(request_text(&bench, false),
		    SPAN(":method: PUT\n:scheme: https\n:path: /x\n:authority: a.test\ncontent-length: 0\n"));
	bench.head.length = UINT64_MAX;
	bench.head.expect_continue = false;
	assert_span(request_text(&bench, false),
		    SPAN(":method: PUT\n:scheme: https\n:path: /x\n"
			 ":authority: a.test\ncontent-length: 18446744073709551615\n"));
	h2_bench_fini(&bench);
}

static void test_special_targets(void **state)
{
	struct h2_bench bench;
	request_init(&bench, HTTP_METHOD_CONNECT, "CONNECT");
	bench.head.authority = SPAN("a.test:443");
	bench.head.path = SPAN("");
	add(&bench, "User-Agent", "x");
	assert_span(request_text(&bench, false),
		    SPAN(":method: CONNECT\n:authority: a.test:443\nuser-agent: x\n"));
	h2_bench_fini(&bench);

	request_init(&bench, HTTP_METHOD_OPTIONS, "OPTIONS");
	bench.head.path = SPAN("*");
	bench.head.authority = SPAN(""); /* HTTP/1.0 */
	assert_span(request_text(&bench, false), SPAN(":method: OPTIONS\n:scheme: https\n:path: *\n"));
	h2_bench_fini(&bench);
}

static void test_websocket_request(void **state)
{
	struct h2_bench bench;
	request_init(&bench, HTTP_METHOD_GET, "GET");
	assert_false(h2_request_is_websocket(&bench.head));
	bench.head.protocol = SPAN("foo, WebSocket");
	assert_true(h2_request_is_websocket(&bench.head));
	add(&bench, "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
	add(&bench, "Sec-WebSocket-Version", "13");
	assert_span(request_text(&bench, true),
		    SPAN(":method: CONNECT\n:scheme: https\n:path: /x\n:authority: a.test\n"
			 ":protocol: websocket\nsec-websocket-version: 13\n"));
	bench.head.method = HTTP_METHOD_POST;
	assert_false(h2_request_is_websocket(&bench.head));
	bench.head.method = HTTP_METHOD_GET;
	bench.head.body = HTTP_BODY_STREAMED;
	assert_false(h2_request_is_websocket(&bench.head));
	bench.head.body = HTTP_BODY_NONE;
	bench.head.protocol = SPAN("foo");
	assert_false(h2_request_is_websocket(&bench.head));
	h2_bench_fini(&bench);
}

static void test_websocket_response(void **state)
{
	struct h2_bench bench;
	struct http_head request = {0};
	response_init(&bench, 200);
	http_fields_init(&request.fields, bench.arena);
	/* From HTTP/2 to HTTP/2: no keys on either side. */
	add(&bench, "sec-websocket-protocol", "chat");
	add(&bench, "sec-websocket-accept", "nonsense");
	assert_true(h2_response_switch(&bench.head, &request, bench.arena));
	assert_int_equal(bench.head.status, 101);
	assert_span(bench.head.protocol, SPAN("websocket"));
	assert_span(fields_text(&bench, &bench.head.fields), SPAN("sec-websocket-protocol: chat\n"));
	/* For a client of HTTP/1: RFC 6455 1.3 has the numbers. */
	assert_true(http_fields_add(&request.fields, HTTP_FIELD_OTHER, SPAN("Sec-WebSocket-Key"),
				    SPAN("dGhlIHNhbXBsZSBub25jZQ==")));
	bench.head.status = 200;
	assert_true(h2_response_switch(&bench.head, &request, bench.arena));
	assert_span(fields_text(&bench, &bench.head.fields),
		    SPAN("sec-websocket-protocol: chat\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\n"));
	/* And a server of HTTP/1 has answered a client of HTTP/2. */
	assert_span(response_text(&bench), SPAN(":status: 200\ndate: now\nsec-websocket-protocol: chat\n"));
	h2_bench_fini(&bench);
}

struct framed {
	unsigned status;
	uint8_t body;
	uint64_t length;
	bool known;
	const char *text;
};

static const struct framed framed[] = {
	{200, HTTP_BODY_LENGTH, 0, true, ":status: 200\ndate: now\ncontent-length: 0\n"},
	{200, HTTP_BODY_LENGTH, 105, true, ":status: 200\ndate: now\ncontent-length: 105\n"},
	{404, HTTP_BODY_STREAMED, 0, false, ":status: 404\ndate: now\n"},
	{599, HTTP_BODY_CLOSE, 0, false, ":status: 599\ndate: now\n"},
	{200, HTTP_BODY_NONE, 7, true, ":status: 200\ndate: now\ncontent-length: 7\n"},
	{200, HTTP_BODY_NONE, 0, false, ":status: 200\ndate: now\n"},
	{304, HTTP_BODY_NONE, 7, true, ":status: 304\ndate: now\ncontent-length: 7\n"},
	{204, HTTP_BODY_NONE, 0, true, ":status: 204\ndate: now\n"},
	{100, HTTP_BODY_NONE, 0, false, ":status: 100\n"},
	{103, HTTP_BODY_NONE, 0, true, ":status: 103\n"},
};

static void test_bodies_of_responses(void **state)
{
	for (unsigned i = 0; i < ARRAY_LENGTH(framed); i++) {
		struct h2_bench bench;
		response_init(&bench, framed[i].status);
		bench.head.body = framed[i].body;
		bench.head.length = framed[i].length;
		bench.head.length_known = framed[i].known;
		bench.head.reason = SPAN("Whatever");
		assert_span(response_text(&bench), span_of(framed[i].text));
		h2_bench_fini(&bench);
	}
}

static void test_response_fields(void **state)
{
	struct h2_bench bench;
	response_init(&bench, 426);
	bench.head.protocol = SPAN("websocket");
	add(&bench, "Date", "then");
	add(&bench, "Set-Cookie", "a=b");
	add(&bench, "Set-Cookie", "c=d");
	add(&bench, "Connection", "upgrade");
	add(&bench, "Sec-WebSocket-Accept", "x");
	assert_span(response_text(&bench), SPAN(":status: 426\ndate: then\nset-cookie: a=b\nset-cookie: c=d\n"
						"sec-websocket-accept: x\n"));
	h2_bench_fini(&bench);
}

static void test_trailers(void **state)
{
	struct h2_bench bench;
	struct h2_fields list;
	response_init(&bench, 200);
	assert_true(h2_trailers_list(&bench.head.fields, bench.arena, &list));
	assert_int_equal(list.count, 0);
	add(&bench, "Grpc-Status", "0");
	add(&bench, "x-a", "");
	assert_true(h2_trailers_list(&bench.head.fields, bench.arena, &list));
	assert_span(list_text(&bench, &list), SPAN("grpc-status: 0\nx-a: \n"));
	h2_bench_fini(&bench);
}

/* Only what must change is copied. */
static void test_nothing_is_copied_in_vain(void **state)
{
	static const char name[] = "x-lower", value[] = "value";
	struct h2_bench bench;
	struct h2_fields list;
	request_init(&bench, HTTP_METHOD_GET, "GET");
	add(&bench, name, value);
	assert_true(h2_request_list(&bench.head, false, bench.arena, &list));
	assert_ptr_equal(list.items[4].name.at, name);
	assert_ptr_equal(list.items[4].value.at, value);
	h2_bench_fini(&bench);
}

/* Wherever memory ends, the answer is false. */
static void test_out_of_memory(void **state)
{
	static uint64_t lent[512];
	struct h2_bench bench;
	bool good = false;
	response_init(&bench, 200);
	bench.head.body = HTTP_BODY_LENGTH;
	add(&bench, "X-Upper", "y");
	for (unsigned room = 0; room < sizeof(lent) && !good; room += 8) {
		struct memory memory;
		struct arena arena;
		struct h2_fields list;
		memory_init(&memory, 1);
		arena_init(&arena, &memory, NULL, lent, room);
		good = h2_response_list(&bench.head, SPAN("now"), &arena, &list);
		assert_true(good || room < 600);
		arena_fini(&arena);
	}
	assert_true(good);
	h2_bench_fini(&bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_request),
		cmocka_unit_test(test_what_belongs_to_a_connection_never_leaves),
		cmocka_unit_test(test_bodies_of_requests),
		cmocka_unit_test(test_special_targets),
		cmocka_unit_test(test_websocket_request),
		cmocka_unit_test(test_websocket_response),
		cmocka_unit_test(test_bodies_of_responses),
		cmocka_unit_test(test_response_fields),
		cmocka_unit_test(test_trailers),
		cmocka_unit_test(test_nothing_is_copied_in_vain),
		cmocka_unit_test(test_out_of_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
