/*
 * Messages of HTTP/1 as they are on the wire, cut anywhere; deadlines; what is broken ends in a reason.
 */
#include "audit/wire.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* A wire whose other end is the test's. Packets keep their borders: what is sent in two pieces is received in two. */
struct desk {
	struct memory memory;
	struct arena arena;
	struct wire wire;
	int other;
	struct wire_message message;
};

static int set_up(void **state)
{
	struct desk *desk = calloc(1, sizeof(*desk));
	int fds[2];

	assert_non_null(desk);
	memory_init(&desk->memory, 0);
	arena_init(&desk->arena, &desk->memory, NULL, NULL, 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	wire_adopt(&desk->wire, fds[0], NULL);
	desk->other = fds[1];
	*state = desk;
	return 0;
}

static void hang_up(struct desk *desk)
{
	if (desk->other >= 0)
		close(desk->other);
	desk->other = -1;
}

static int tear_down(void **state)
{
	struct desk *desk = *state;

	hang_up(desk);
	wire_close(&desk->wire);
	arena_fini(&desk->arena);
	free(desk);
	return 0;
}

static void say(struct desk *desk, struct span bytes)
{
	if (bytes.len)
		assert_int_equal(send(desk->other, bytes.at, bytes.len, MSG_NOSIGNAL), bytes.len);
}

static bool hear(struct desk *desk, const char *method)
{
	return wire_read(&desk->wire, span_of(method), false, &desk->arena, &desk->message,
			 deadline_now() + 5000);
}

static void assert_span(struct span span, const char *text)
{
	assert_int_equal(span.len, strlen(text));
	assert_memory_equal(span.at, text, span.len);
}

/* ---- the view ---- */

/* Nothing is normalised: case, order, repetition, odd blanks, folded lines, lines without a colon. */
static void test_view(void **state)
{
	struct wire_message message;

	wire_message_parse(
		SPAN("GET  /a b HTTP/1.1\r\nHost: x\r\nX-a : 1 \r\nx-A:2\r\nX-Folded: one\r\n\t two\r\nnonsense\r\n: empty\r\n\r\nrest"),
		&message);
	assert_span(message.start, "GET  /a b HTTP/1.1");
	assert_span(message.method, "GET");
	assert_int_equal(message.status, 0);
	assert_int_equal(message.count, 6);
	assert_span(message.fields[1].name, "X-a ");
	assert_span(message.fields[1].value, "1");
	assert_span(message.fields[2].name, "x-A");
	assert_span(message.fields[3].value, "one\r\n\t two");
	assert_span(message.fields[4].name, "nonsense");
	assert_int_equal(message.fields[4].value.len, 0);
	assert_span(message.fields[5].value, "empty");
	assert_span(wire_field_find(&message, "HOST"), "x");
	assert_null(wire_field_find(&message, "y").at);
}

static void test_response(void **state)
{
	struct wire_message message;

	wire_message_parse(SPAN("HTTP/1.1 404 Not Found\r\nServer: x\r\n\r\n"), &message);
	assert_int_equal(message.status, 404);
	assert_span(message.version, "HTTP/1.1");
	assert_null(message.method.at);
	wire_message_parse(SPAN("HTTP/1.1 99999999999999999999 x\r\n\r\n"), &message);
	assert_int_equal(message.status, 0);
	wire_message_parse(SPAN(""), &message);
	assert_int_equal(message.count, 0);
}

static void test_many_fields(void **state)
{
	static char text[16 * 1024];
	struct wire_message message;
	size_t len = (size_t)snprintf(text, sizeof(text), "GET / HTTP/1.1\r\n");

	for (unsigned i = 0; i < WIRE_FIELDS_MOST + 50; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "X-%u: y\r\n", i);
	len += (size_t)snprintf(text + len, sizeof(text) - len, "\r\n");
	wire_message_parse(span_make(text, len), &message);
	assert_int_equal(message.count, WIRE_FIELDS_MOST);
}

/* ---- reading ---- */

struct row {
	struct span bytes;
	const char *method;
	unsigned status;
	const char *body, *trailers;
	bool complete, keep_alive, ends; /* ends: the other side closes behind it */
};

static const struct row rows[] = {
	{SPAN("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"), "GET", 200, "abc", "", true, true, false},
	{SPAN("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"), "HEAD", 200, "", "", true, true, false},
	{SPAN("HTTP/1.1 204 No\r\n\r\n"), "GET", 204, "", "", true, true, false},
	{SPAN("HTTP/1.1 304 No\r\nContent-Length: 9\r\n\r\n"), "GET", 304, "", "", true, true, false},
	{SPAN("HTTP/1.1 200 Open\r\n\r\n"), "CONNECT", 200, "", "", true, true, false},
	{SPAN("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx"), "GET", 200, "x", "", true, false, false},
	{SPAN("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx"), "GET", 200, "x", "",
	 true, false, false},
	{SPAN("HTTP/1.1 200 OK\r\n\r\nuntil the end"), "GET", 200, "until the end", "", true, false, true},
	{SPAN("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\nX-T: 1\r\n\r\n"),
	 "GET", 200, "abc0123456789", "X-T: 1\r\n\r\n", true, true, false},
	{SPAN("HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"), "GET",
	 200, "x", "", true, true, false},
	{SPAN("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc"), "GET", 200, "abc", "", false, false, true},
	{SPAN("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nz\r\n"), "GET", 200, "", "", false, false,
	 false},
	{SPAN("POST /p HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi"), "", 0, "hi", "", true, true, false},
	{SPAN("\r\n\r\nGET / HTTP/1.1\r\n\r\n"), "", 0, "", "", true, true, false},
	{SPAN("GET / HTTP/1.1\nHost: x\n\n"), "", 0, "", "", true, true, false},
};

static void check(const struct row *row, size_t cut)
{
	void *state = NULL;

	assert_int_equal(set_up(&state), 0);
	struct desk *desk = state;
	say(desk, span_first(row->bytes, cut));
	say(desk, span_from(row->bytes, cut));
	if (row->ends)
		hang_up(desk);
	assert_true(hear(desk, row->method));
	assert_int_equal(desk->message.status, row->status);
	assert_span(desk->message.body, row->body);
	assert_span(desk->message.trailers, row->trailers);
	assert_int_equal(desk->message.complete, row->complete);
	assert_int_equal(desk->message.keep_alive, row->keep_alive);
	if (row->complete)
		assert_int_equal(wire_waiting(&desk->wire).len, 0);
	tear_down(&state);
}

static void test_messages(void **state)
{
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
		for (size_t cut = 0; cut <= rows[i].bytes.len; cut++)
			check(&rows[i], cut);
}

/* One behind the other: what belongs to the next is left for it. */
static void test_two(void **state)
{
	struct desk *desk = *state;

	say(desk,
	    SPAN("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\naHTTP/1.1 404 No\r\nContent-Length: 1\r\n\r\nb"));
	assert_true(hear(desk, "GET"));
	assert_span(desk->message.body, "a");
	assert_true(hear(desk, "GET"));
	assert_int_equal(desk->message.status, 404);
	assert_span(desk->message.body, "b");
}

static void test_no_http(void **state)
{
	struct desk *desk = *state;

	say(desk, SPAN("SSH-2.0-x\r\n\r\n"));
	assert_false(hear(desk, "GET"));
	assert_string_equal(desk->wire.why, "what came is no response of HTTP/1");
}

static void test_silence(void **state)
{
	struct desk *desk = *state;
	uint64_t began = deadline_now();

	say(desk, SPAN("HTTP/1.1 200 OK\r\n"));
	assert_false(wire_read(&desk->wire, SPAN("GET"), false, &desk->arena, &desk->message, began + 30));
	assert_true(deadline_now() - began >= 30);
	assert_string_equal(desk->wire.why, "receive: nothing came in time");
	hang_up(desk);
	assert_false(hear(desk, "GET"));
	assert_string_equal(desk->wire.why, "the connection was closed");
}

/* A head without an end is not kept without an end. */
/* There is always one more byte: the deadline counts all the same. */
static void test_no_silence(void **state)
{
	struct desk *desk = *state;
	uint64_t began = deadline_now();
	unsigned come = 0;

	say(desk, SPAN("x"));
	while (wire_receive(&desk->wire, began) && deadline_now() - began < 5000) {
		say(desk, SPAN("x"));
		come++;
	}
	assert_true(come > 0 && deadline_now() - began < 5000);
	assert_string_equal(desk->wire.why, "receive: no end came in time");
}

static void test_endless_head(void **state)
{
	struct desk *desk = *state;
	static uint8_t line[4096];
	unsigned count = 0;

	memset(line, 'x', sizeof(line));
	for (;;) {
		say(desk, span_make(line, sizeof(line)));
		assert_true(++count < 64);
		if (!wire_read(&desk->wire, SPAN("GET"), false, &desk->arena, &desk->message, deadline_now()) &&
		    strcmp(desk->wire.why, "the head is too long") == 0)
			return;
	}
}

/* A long body is read to its end, and kept in part. */
static void test_long_body(void **state)
{
	struct desk *desk = *state;
	static uint8_t piece[1024];

	memset(piece, 'x', sizeof(piece));
	say(desk, SPAN("HTTP/1.1 200 OK\r\nContent-Length: 307200\r\n\r\n"));
	assert_true(300 * sizeof(piece) > WIRE_BODY_MOST);
	assert_int_equal(setsockopt(desk->other, SOL_SOCKET, SO_SNDBUF, &(int){4 << 20}, sizeof(int)), 0);
	for (unsigned i = 0; i < 90; i++)
		say(desk, span_make(piece, sizeof(piece)));
	hang_up(desk);
	assert_true(hear(desk, "GET"));
	assert_false(desk->message.complete);
	assert_int_equal(desk->message.body.len, 90 * sizeof(piece));
}

/* ---- connections ---- */

static void test_refused(void **state)
{
	struct address to = {.family = ADDRESS_V4, .ip = {127, 0, 0, 1}, .port = 1};
	struct wire wire;

	wire_init(&wire);
	assert_false(wire_open(&wire, &to, NULL, deadline_now() + 1000));
	assert_string_equal(wire.why, "cannot connect to 127.0.0.1:1: Connection refused");
	assert_false(wire_send(&wire, SPAN("x"), deadline_now() + 1000));
	assert_false(wire_receive(&wire, deadline_now() + 1000));
	wire_close(&wire);
	wire_close(&wire);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_view),
		cmocka_unit_test(test_response),
		cmocka_unit_test(test_many_fields),
		cmocka_unit_test(test_messages),
		cmocka_unit_test_setup_teardown(test_two, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_http, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_silence, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_silence, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_endless_head, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_long_body, set_up, tear_down),
		cmocka_unit_test(test_refused),
	};

	signal(SIGPIPE, SIG_IGN); /* TLS may write to who has gone; the program does so too */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
