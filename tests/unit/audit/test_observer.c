/*
 * The observer: what it notes of HTTP, TLS, anything else, and questions for names; how it ends.
 */
#include "audit/ja4.h"
#include "audit/observer.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "tls/authority.h"

static const struct address loopback = {.family = ADDRESS_V4, .ip = {127, 0, 0, 1}};

struct desk {
	struct memory memory;
	struct arena arena;
	struct tls_authority *authority;
	struct observer *observer;
	struct address place;
	struct wire wire;
	struct wire_message response;
};

static uint64_t soon(void)
{
	return deadline_now() + 5000;
}

static int set_up(void **state)
{
	struct desk *desk = calloc(1, sizeof(*desk));
	const char *why;

	assert_non_null(desk);
	memory_init(&desk->memory, 0);
	arena_init(&desk->arena, &desk->memory, NULL, NULL, 0);
	desk->authority = tls_authority_new(&why);
	assert_non_null(desk->authority);
	desk->observer = observer_new(&(struct observer_options){.authority = desk->authority}, &why);
	assert_non_null(desk->observer);
	assert_true(observer_listen(desk->observer, &loopback, &desk->place));
	wire_init(&desk->wire);
	assert_true(wire_open(&desk->wire, &desk->place, NULL, soon()));
	*state = desk;
	return 0;
}

static int tear_down(void **state)
{
	struct desk *desk = *state;

	wire_close(&desk->wire);
	observer_free(desk->observer);
	tls_authority_free(desk->authority);
	arena_fini(&desk->arena);
	free(desk);
	return 0;
}

static void ask(struct desk *desk, const char *request, const char *method)
{
	assert_true(wire_send(&desk->wire, span_of(request), soon()));
	assert_true(wire_read(&desk->wire, span_of(method), false, &desk->arena, &desk->response, soon()));
	assert_int_equal(desk->response.status, 200);
}

static void test_requests(void **state)
{
	struct desk *desk = *state;
	struct address own = wire_local(&desk->wire);

	ask(desk, "GET /one HTTP/1.1\r\nhOST: x\r\nX-A : b\r\n\r\n", "GET");
	ask(desk, "POST /two HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-T: 1\r\n\r\n",
	    "POST");
	const struct observer_message *one = observer_wait(desk->observer, SPAN("/one"), 0, soon());
	const struct observer_message *two = observer_wait(desk->observer, SPAN("/two"), 0, soon());
	assert_non_null(one);
	assert_non_null(two);
	assert_true(span_equal(one->http.head, SPAN("GET /one HTTP/1.1\r\nhOST: x\r\nX-A : b\r\n\r\n")));
	assert_true(span_equal(two->http.body, SPAN("hi")));
	assert_true(span_equal(two->http.trailers, SPAN("X-T: 1\r\n\r\n")));
	assert_ptr_equal(one->connection, two->connection);
	assert_int_equal(two->nth, 2);
	assert_true(address_equal(&one->connection->peer, &own));
	assert_true(address_equal(&one->connection->local, &desk->place));
	assert_false(one->connection->tls);
}

/* A second connection has another number; the same path is found once more. */
static void test_numbers(void **state)
{
	struct desk *desk = *state;

	ask(desk, "GET /same HTTP/1.1\r\n\r\n", "GET");
	assert_true(wire_open(&desk->wire, &desk->place, NULL, soon()));
	ask(desk, "GET /same HTTP/1.1\r\n\r\n", "GET");
	assert_int_equal(observer_count(desk->observer, SPAN("/same")), 2);
	const struct observer_message *first = observer_wait(desk->observer, SPAN("/same"), 0, soon());
	const struct observer_message *second = observer_wait(desk->observer, SPAN("/same"), 1, soon());
	assert_non_null(first);
	assert_non_null(second);
	assert_true(first->connection->number != second->connection->number);
	assert_null(observer_wait(desk->observer, SPAN("/same"), 2, deadline_now() + 20));
}

static void test_trace_and_head(void **state)
{
	struct desk *desk = *state;

	ask(desk, "TRACE /t HTTP/1.1\r\nX-Seen: here\r\n\r\n", "TRACE");
	assert_true(span_search(desk->response.body, SPAN("X-Seen: here")) > 0);
	ask(desk, "HEAD /h HTTP/1.1\r\n\r\n", "HEAD");
	ask(desk, "GET /after HTTP/1.1\r\n\r\n", "GET");
	assert_true(span_equal(desk->response.body, SPAN("seen\n")));
}

/* Neither TLS nor HTTP: noted from its first byte on, and sent back. */
static void test_raw(void **state)
{
	static const char *const starts[] = {"\x01\xff bytes\r\n",
					     "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nGET /x",
					     "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "\n\n"};
	struct desk *desk = *state;

	for (size_t i = 0; i < ARRAY_LENGTH(starts); i++) {
		struct span bytes = span_of(starts[i]);
		assert_true(wire_open(&desk->wire, &desk->place, NULL, soon()));
		assert_true(wire_send(&desk->wire, bytes, soon()));
		assert_true(wire_need(&desk->wire, bytes.len, soon()));
		assert_true(span_equal(wire_waiting(&desk->wire), bytes));
		const struct observer_message *seen = observer_wait(desk->observer, bytes, 0, soon());
		assert_non_null(seen);
		assert_int_equal(seen->kind, OBSERVER_RAW);
		assert_true(span_equal(seen->raw, bytes));
	}
}

static void test_tls(void **state)
{
	struct desk *desk = *state;
	const struct tls_blocking_client options = {.name = SPAN("app.invalid"),
						    .alpn = TLS_BLOCKING_BOTH,
						    .ca = tls_authority_pem(desk->authority)};
	char sent[JA4_TEXT], seen[JA4_TEXT];

	assert_true(wire_tls(&desk->wire, &options, soon()));
	ask(desk, "GET /secure HTTP/1.1\r\n\r\n", "GET");
	const struct observer_message *message = observer_wait(desk->observer, SPAN("/secure"), 0, soon());
	assert_non_null(message);
	assert_true(message->connection->tls);
	assert_true(span_equal(message->connection->name, SPAN("app.invalid")));
	assert_true(span_equal(message->connection->alpn, SPAN("http/1.1")));
	assert_true(span_equal(message->connection->hello, tls_blocking_hello(desk->wire.tls)));
	assert_true(ja4_of(message->connection->hello, seen));
	assert_true(ja4_of(tls_blocking_hello(desk->wire.tls), sent));
	assert_string_equal(seen, sent);
}

/* A question for a name with a client's subnet, and its answer. */
static void test_question(void **state)
{
	static const uint8_t question[] = {
		0x12, 0x34, 0x01, 0x00, 0,   1,   0, 0, 0, 0, 0, 1,  5, 'T', 'o', 'k',  'e',
		'n',  4,    't',  'e',  's', 't', 0, 0, 1, 0, 1, 0,  0, 41,  4,   0xd0, 0,
		0,    0,    0,    0,    12,  0,   8, 0, 8, 0, 1, 24, 0, 192, 0,   2,    0,
	};
	const struct address answer = {.family = ADDRESS_V4, .ip = {192, 0, 2, 9}};
	struct desk *desk = *state;
	struct address bound;
	union socket_address raw;
	uint8_t got[512];

	assert_true(observer_listen_dns(desk->observer, &loopback, &answer, &bound));
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	socklen_t len = address_to_socket(&bound, &raw);
	assert_int_equal(connect(fd, &raw.any, len), 0);
	assert_int_equal(send(fd, "nonsense", 8, 0), 8);
	assert_int_equal(send(fd, question, sizeof(question) - 1, 0), sizeof(question) - 1);
	ssize_t count = recv(fd, got, sizeof(got), 0);
	close(fd);
	assert_true(count > 16);
	assert_memory_equal(got, "\x12\x34", 2);
	assert_true(span_search(span_make(got, (size_t)count), SPAN("\xc0\x00\x02\x09")) > 0);
	const struct observer_message *seen = observer_wait(desk->observer, SPAN("token.test"), 0, soon());
	assert_non_null(seen);
	assert_int_equal(seen->kind, OBSERVER_QUESTION);
	assert_int_equal(seen->type, 1);
}

/* More at a time than are served: the others are closed, and it ends all the same. */
static void test_too_many(void **state)
{
	struct desk *desk = *state;
	struct wire wires[OBSERVER_AT_A_TIME + 8];
	unsigned closed = 0;

	for (size_t i = 0; i < ARRAY_LENGTH(wires); i++) {
		wire_init(&wires[i]);
		assert_true(wire_open(&wires[i], &desk->place, NULL, soon()));
	}
	for (size_t i = 0; i < ARRAY_LENGTH(wires); i++) {
		if (!wire_send(&wires[i], SPAN("GET /many HTTP/1.1\r\n\r\n"), soon()) ||
		    !wire_read(&wires[i], SPAN("GET"), false, &desk->arena, &desk->response, soon()))
			closed++;
	}
	assert_true(closed >= 8);
	assert_true(closed < 20);
	for (size_t i = 0; i < ARRAY_LENGTH(wires); i++)
		wire_close(&wires[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_requests, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_numbers, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_trace_and_head, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_raw, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_tls, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_question, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_too_many, set_up, tear_down),
	};

	signal(SIGPIPE, SIG_IGN); /* TLS may write to who has gone; the program does so too */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
