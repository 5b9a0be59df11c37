/* Whole exchanges of the reverse face, over socket pairs: what each side hears, whatever the other does, and when. */
#include "stage_fixture.h"

static void test_answers_and_keeps(void **state)
{
	struct stage_peer *client = client_of(1, REVERSE);

	say(client, GET("/one"));
	assert_int_equal(stage.server_count, 1);
	assert_has(server_at(0), "GET /one HTTP/1.1\r\nHost: a.test\r\n");
	say(server_at(0), OK("abc", "3"));
	assert_has(client, "\r\n\r\nabc");
	say(client, GET("/two"));
	say(server_at(0), OK("def", "3"));
	assert_has(client, "\r\n\r\ndef");
	assert_int_equal(stage.server_count, 1);
	assert_int_equal(times(client, "HTTP/1.1 200 OK\r\n"), 2);
	assert_int_equal(times(client, "\r\nDate: "), 2);
	assert_false(client->ended);
	everybody_leaves();
}

static const char post_chunked[] =
	"POST /c HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\nTE: trailers\r\n"
	"Connection: TE\r\n\r\n5;a=\"b;c\"\r\nhello\r\n3\r\n!!!\r\n0\r\nX-Sum: 1\r\n\r\n";
static const char get_after[] = "\r\nGET /next HTTP/1.1\r\nHost: a.test\r\n\r\n";

/* The payload of a chunked body that came in whatever pieces. */
static size_t dechunk(const char *at, char *out)
{
	size_t len = 0;

	for (;;) {
		char *end;
		unsigned long size = strtoul(at, &end, 16);
		if (size == 0)
			break;
		at = end + 2;
		memcpy(out + len, at, size);
		len += size;
		at += size + 2;
	}
	out[len] = 0;
	return len;
}

/* A request and the next one, cut at every place: the server hears the same. */
static void test_requests_in_pieces(void **state)
{
	char all[512], body[64];
	size_t len = (size_t)snprintf(all, sizeof(all), "%s%s", post_chunked, get_after);

	for (size_t cut = 1; cut < len; cut++) {
		struct stage_peer *client = client_of(1, REVERSE);
		assert_int_equal(stage_send(client, span_make((uint8_t *)all, cut)), cut);
		stage_turns(&stage, 2);
		stage_send(client, span_make((uint8_t *)all + cut, len - cut));
		stage_turns(&stage, 3);
		assert_int_equal(stage.server_count, 1);
		assert_has(server_at(0), "POST /c HTTP/1.1\r\n");
		assert_has(server_at(0), "\r\n0\r\nX-Sum: 1\r\n\r\n");
		dechunk(strstr((char *)server_at(0)->bytes, "\r\n\r\n") + 4, body);
		assert_string_equal(body, "hello!!!");
		say(server_at(0), OK("", "0"));
		assert_has(server_at(0), "GET /next HTTP/1.1\r\n");
		say(server_at(0), OK("", "0"));
		assert_int_equal(times(client, "HTTP/1.1 200 OK"), 2);
		assert_false(client->ended);
		stage_stop(&stage);
		stage_start(&stage);
	}
}

static const char *const responses[] = {
	"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhello!!!",
	"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhello!!!",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x\r\nhello\r\n3\r\n!!!\r\n0\r\nX-Sum: 1\r\n\r\n",
	"HTTP/1.1 204 No Content\r\n\r\n",
	"HTTP/1.1 304 Not Modified\r\nContent-Length: 8\r\n\r\n",
};

/* Responses cut at every place: the client hears the same, and the connection is used again. */
static void test_responses_in_pieces(void **state)
{
	for (unsigned i = 0; i < ARRAY_LENGTH(responses); i++) {
		struct span all = span_of(responses[i]);
		for (size_t cut = 1; cut < all.len; cut++) {
			struct stage_peer *client = client_of(1, REVERSE);
			say(client, GET("/"));
			stage_send(server_at(0), span_first(all, cut));
			stage_turns(&stage, 2);
			stage_send(server_at(0), span_from(all, cut));
			stage_turns(&stage, 2);
			assert_true(span_ends_with(stage_got(client), SPAN("\r\n\r\n")) || has(client, "!!!"));
			assert_int_equal(exchange_count(&stage.worker), 0);
			say(client, GET("/again"));
			assert_int_equal(stage.server_count, 1);
			assert_has(server_at(0), "GET /again");
			stage_stop(&stage);
			stage_start(&stage);
		}
	}
}

static void test_pipelining(void **state)
{
	struct stage_peer *client = client_of(1, REVERSE);

	say(client, GET("/1") GET("/hello") GET("/3"));
	assert_int_equal(times(server_at(0), "GET /"), 1); /* one after the other */
	say(server_at(0), OK("first", "5"));
	assert_has(client, "first");
	assert_has(client, "hello\n");
	assert_has(server_at(0), "GET /3");
	say(server_at(0), OK("third", "5"));
	const char *text = (const char *)client->bytes;
	assert_true(strstr(text, "first") < strstr(text, "hello\n"));
	assert_true(strstr(text, "hello\n") < strstr(text, "third"));
}

static void test_requests_of_a_connection_are_limited(void **state)
{
	struct stage_peer *client = client_of(1, REVERSE);

	for (unsigned i = 0; i < 5; i++)
		say(client, GET("/hello"));
	assert_int_equal(times(client, "Connection: close"), 1);
	assert_true(client->ended);
}

static void test_http_10(void **state)
{
	struct stage_peer *client = client_of(1, REVERSE);

	say(client, "GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
	say(server_at(0), OK("abc", "3"));
	assert_has(client, "Connection: keep-alive");
	assert_false(client->ended);
	say(client, "GET /b HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
	say(server_at(0), "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
			  "3\r\nxyz\r\n0\r\n\r\n");
	assert_false(has(client, "103"));
	assert_false(has(client, "chunked"));
	assert_has(client, "Connection: close\r\n\r\nxyz");
	assert_true(client->ended);
}

/* ---- refusals ---- */

static void test_refusals(void **state)
{
	static const struct {
		const char *request, *status;
	} cases[] = {
		{"GET / HTTP/1.1\r\nHost : a\r\n\r\n", "HTTP/1.1 400 "},
		{"\x16\x03\x01", "HTTP/1.1 400 "},
		{"GET / HTTP/2.0\r\nHost: a\r\n\r\n", "HTTP/1.1 505 "},
		{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "HTTP/1.1 501 "},
		{"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n", "HTTP/1.1 413 "},
		{"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", "HTTP/1.1 405 "},
	};

	for (unsigned i = 0; i < ARRAY_LENGTH(cases); i++) {
		struct stage_peer *client = client_of(1, REVERSE);
		say(client, cases[i].request);
		assert_has(client, cases[i].status);
		assert_int_equal(stage.server_count, 0);
		if (i < 5) {
			assert_has(client, "Connection: close");
			assert_true(client->ended);
		}
	}
}

static void fill_request(char *out, size_t path, size_t field)
{
	int len = sprintf(out, "GET /");
	memset(out + len, 'p', path);
	len += (int)path;
	len += sprintf(out + len, " HTTP/1.1\r\nHost: a\r\nX-Long: ");
	memset(out + len, 'v', field);
	strcpy(out + len + field, "\r\n\r\n");
}

static void test_limits_of_heads(void **state)
{
	char request[8192];
	struct stage_peer *client = client_of(1, REVERSE);

	fill_request(request, 600, 1);
	say(client, request);
	assert_has(client, "HTTP/1.1 414 ");
	fill_request(request, 1, 600);
	client = client_of(1, REVERSE);
	say(client, request);
	assert_has(client, "HTTP/1.1 431 ");
	/* without an end: not waited for */
	request[560] = 0;
	client = client_of(1, REVERSE);
	say(client, request);
	assert_has(client, "HTTP/1.1 431 ");
	assert_int_equal(stage.server_count, 0);
}

static void test_head_timeout(void **state)
{
	struct stage_peer *client = client_of(1, REVERSE);

	say(client, "GET / HT");
	stage_pass(&stage, 4000);
	say(client, "T");
	assert_int_equal(client->len, 0);
	stage_pass(&stage, 1001); /* bytes do not move it */
	stage_turns(&stage, 3);
	assert_has(client, "HTTP/1.1 408 ");
	assert_true(client->ended);
}

static void test_idle_timeout_is_silent(void **state)
{
	struct stage_peer *client = client_of(1, REVERSE);

	say(client, GET("/hello"));
	size_t len = client->len;
	stage_pass(&stage, 9900);
	assert_false(client->ended);
	stage_pass(&stage, 200);
	stage_turn(&stage);
	assert_true(client->ended);
	assert_int_equal(client->len, len);
	assert_int_equal(stage.gone, 1);
}

static void test_body_timeout(void **state)
{
	struct stage_peer *client = client_of(1, REVERSE);

	say(client, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345");
	stage_pass(&stage, 6100);
	stage_turns(&stage, 3);
	assert_has(client, "HTTP/1.1 408 ");
	assert_true(server_at(0)->ended);
	assert_true(client->ended);
}

static void test_end_inside_a_head(void **state)
{
	struct stage_peer *client = client_of(1, REVERSE);

	stage_say(client, "GET / HTTP/1.1\r\nHo");
	shutdown(client->fd, SHUT_WR);
	stage_turns(&stage, 3);
	assert_has(client, "HTTP/1.1 400 ");
	assert_true(client->ended);
}

static void test_end_of_an_idle_client(void **state)
{
	struct stage_peer *client = client_of(1, REVERSE);

	shutdown(client->fd, SHUT_WR);
	stage_turns(&stage, 3);
	assert_true(client->ended);
	assert_int_equal(client->len, 0);
}

static void test_half_closed_client_gets_its_answer(void **state)
{
	struct stage_peer *client = client_of(1, REVERSE);

	stage_say(client, GET("/1") GET("/2"));
	shutdown(client->fd, SHUT_WR);
	stage_turns(&stage, 3);
	say(server_at(0), OK("one", "3"));
	say(server_at(0), OK("two", "3"));
	assert_has(client, "one");
	assert_has(client, "two");
	assert_true(client->ended);
}

static void test_body_that_ends_too_early(void **state)
{
	struct stage_peer *client = client_of(1, REVERSE);

	say(client, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345");
	stage_peer_close(client);
	stage_turns(&stage, 3);
	assert_true(server_at(0)->ended);
	assert_int_equal(exchange_count(&stage.worker), 0);
}

/* An empty line before a request, its CR and LF apart. */
static void test_empty_lines_in_pieces(void **state)
{
	struct stage_peer *client = client_of(1, REVERSE);

	say(client, "\r");
	say(client, "\n");
	say(client, "\r\n\r");
	say(client, "\nGET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_has(client, "HTTP/1.1 200 OK");
	assert_has(client, "hello\n");
}

/* ---- bodies that nobody wants ---- */

/* The answer to a malformed body gets out whole, however much comes behind it. */
static void test_malformed_body(void **state)
{
	char junk[64 * 1024];
	struct stage_peer *client = client_of(1, REVERSE);

	memset(junk, 'x', sizeof(junk) - 1);
	junk[sizeof(junk) - 1] = 0;
	stage_say(client, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
	stage_turns(&stage, 2);
	say(client, junk);
	assert_has(client, "HTTP/1.1 400 ");
	assert_has(client, "\"status\":400");
	assert_has(client, "}\n"); /* its body, to the end */
	assert_true(server_at(0)->ended);
	assert_true(client->ended);
	assert_false(client->reset);
}

static void test_chunked_body_over_the_limit(void **state)
{
	struct stage_peer *client = client_of(1, REVERSE);

	stage_say(client,
		  "POST /small HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n12345678\r\n");
	stage_turns(&stage, 2);
	say(client, "8\r\n12345678\r\n0\r\n\r\n");
	assert_has(client, "HTTP/1.1 413 ");
	assert_has(client, "}\n");
	assert_true(server_at(0)->ended);
	assert_false(has(server_at(0), "0\r\n\r\n"));
}

/* The server answers before it has read all: the rest is read and dropped, and the connection goes on. */
static void test_early_answer_and_a_small_rest(void **state)
{
	struct stage_peer *client = client_of(1, REVERSE);

	say(client, "POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345");
	say(server_at(0), OK("done", "4"));
	assert_has(client, "done");
	assert_false(client->ended);
	say(client, "67890" GET("/hello"));
	assert_has(client, "hello\n");
	assert_false(has(server_at(0), "hello"));
}

static void test_early_answer_and_a_large_rest(void **state)
{
	struct stage_peer *client = client_of(1, REVERSE);

	say(client, "POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 65000\r\n\r\n12345");
	say(server_at(0), "HTTP/1.1 413 No\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
	assert_has(client, "413 Content Too Large");
	/* the rest never comes */
	stage_pass(&stage, 6100);
	stage_turns(&stage, 2);
	assert_int_equal(exchange_count(&stage.worker), 0);
	assert_true(client->ended);
}

/* A whole response stays whole, and its client's connection in order, when the server then will not have the rest of the request. */
static void test_early_answer_and_a_server_that_goes(void **state)
{
	struct stage_peer *client = client_of(1, REVERSE);

	say(client, "POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n");
	server_at(0)->paused = true;
	stage_say(client, "12345");
	stage_turns(&stage, 2);
	stage_say(server_at(0), OK("done", "4"));
	stage_peer_close(server_at(0)); /* with bytes unread: a reset */
	stage_turns(&stage, 3);
	assert_has(client, "done");
	assert_false(client->ended);
	say(client, "67890" GET("/hello"));
	assert_has(client, "hello\n");
}

static void test_expect_continue(void **state)
{
	struct stage_peer *client = client_of(1, REVERSE);

	say(client, "PUT /1 HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
	assert_has(server_at(0), "Expect: 100-continue");
	assert_int_equal(client->len, 0);
	say(server_at(0), "HTTP/1.1 100 Continue\r\n\r\n");
	assert_has(client, "HTTP/1.1 100 Continue\r\n\r\n");
	say(client, "abc");
	assert_has(server_at(0), "\r\n\r\nabc");
	say(server_at(0), OK("", "0"));
	assert_has(client, "200 OK");
	assert_false(client->ended);
}

/* Refused instead of continued: the body may come, or may not, so that the connection ends and says so. */
static void test_expect_refused(void **state)
{
	struct stage_peer *client = client_of(1, REVERSE);

	say(client, "PUT /1 HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
	say(server_at(0), "HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n");
	assert_has(client, "HTTP/1.1 403 Forbidden\r\n");
	assert_has(client, "Connection: close");
	assert_true(client->ended);
}

static void test_upgrade_required_says_to_what(void **state)
{
	struct stage_peer *client = client_of(1, REVERSE);

	say(client, GET("/"));
	say(server_at(0),
	    "HTTP/1.1 426 Upgrade Required\r\nConnection: upgrade\r\nUpgrade: foo\r\nContent-Length: 0\r\n\r\n");
	assert_has(client, "Upgrade: foo\r\n");
	assert_has(client, "Connection: upgrade\r\n");
}

/* ---- what servers do ---- */

static void test_nobody_asked(void **state)
{
	static const char *const surplus[] = {
		OK("one", "3") OK("two", "3"),
		"HTTP/1.1 204 No Content\r\n\r\n" OK("two", "3"),
		"HTTP/1.1 304 Not Modified\r\n\r\n" OK("two", "3"),
		"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" OK("two", "3"),
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nHTTP/1.1 200",
	};

	for (unsigned i = 0; i < ARRAY_LENGTH(surplus); i++) {
		struct stage_peer *client = client_of(1, REVERSE);
		say(client, GET("/"));
		say(server_at(0), surplus[i]);
		assert_true(server_at(0)->ended);
		say(client, GET("/again"));
		assert_int_equal(stage.server_count, 2);
		say(server_at(1), OK("new", "3"));
		assert_has(client, "new");
		assert_false(has(client, "two"));
		stage_stop(&stage);
		stage_start(&stage);
	}
}

/* Unasked bytes that arrive in the turn in which the connection is taken again are no answer, whichever is seen first. */
static void test_nobody_asked_yet(void **state)
{
	for (unsigned server_first = 0; server_first < 2; server_first++) {
		struct stage_peer *client = client_of(1, REVERSE);
		say(client, GET("/"));
		say(server_at(0), OK("one", "3"));
		if (server_first)
			stage_say(server_at(0), OK("two", "3"));
		stage_say(client, GET("/again"));
		if (!server_first)
			stage_say(server_at(0), OK("two", "3"));
		stage_turns(&stage, 3);
		assert_false(has(client, "two"));
		assert_int_equal(stage.server_count, 2);
		say(server_at(1), OK("new", "3"));
		assert_has(client, "new");
		stage_stop(&stage);
		stage_start(&stage);
	}
}

/* The response filled the flow and ended in the same piece: the connection is read all the same while it is idle. */
static void test_nobody_asked_after_a_full_flow(void **state)
{
	char response[8192];
	struct stage_peer *client = client_of(1, REVERSE);
	int len = sprintf(response, "HTTP/1.1 200 OK\r\nContent-Length: 6000\r\n\r\n");

	memset(response + len, 'x', 6000);
	response[len + 6000] = 0;
	say(client, GET("/"));
	say(server_at(0), response);
	assert_int_equal(times(client, "x") >= 6000, 1);
	say(server_at(0), OK("two", "3"));
	assert_true(server_at(0)->ended);
	say(client, GET("/again"));
	assert_false(has(client, "two"));
	assert_int_equal(stage.server_count, 2);
}

static void test_stale_connection_is_replaced(void **state)
{
	struct stage_peer *client = client_of(1, REVERSE);

	say(client, GET("/"));
	say(server_at(0), OK("one", "3"));
	stage_peer_close(server_at(0));
	stage_say(client, GET("/again"));
	stage_turns(&stage, 3);
	assert_int_equal(stage.server_count, 2);
	say(server_at(1), OK("new", "3"));
	assert_has(client, "new");
	assert_false(has(client, "502"));
}

static void test_refused_connection_tries_the_other_server(void **state)
{
	struct stage_peer *client = client_of(1, REVERSE);

	stage.refuse_next = ECONNREFUSED;
	say(client, "POST /pair HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc");
	assert_int_equal(stage.server_count, 1);
	assert_has(server_at(0), "\r\n\r\nabc"); /* the body had not begun to leave */
	say(server_at(0), OK("", "0"));
	assert_has(client, "200 OK");
}

/* Once something may have been processed there is no other try. */
static void test_post_is_not_repeated(void **state)
{
	struct stage_peer *client = client_of(1, REVERSE);

	say(client, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc");
	stage_peer_close(server_at(0));
	stage_turns(&stage, 3);
	assert_int_equal(stage.server_count, 1);
	assert_has(client, "HTTP/1.1 502 ");
	assert_has(client, "Proxy-Status: guise; error=connection_terminated");
	assert_false(client->ended);
}

/* An idempotent request on a connection that was stale is repeated, with its content. */
static void test_idempotent_is_repeated(void **state)
{
	struct stage_peer *client = client_of(1, REVERSE);

	say(client, GET("/"));
	say(server_at(0), OK("", "0"));
	say(client, "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc");
	assert_has(server_at(0), "\r\n\r\nabc");
	stage_peer_close(server_at(0));
	stage_turns(&stage, 3);
	assert_int_equal(stage.server_count, 2);
	assert_has(server_at(1), "PUT / ");
	assert_has(server_at(1), "\r\n\r\nabc");
	say(server_at(1), OK("", "0"));
	say(client, "DELETE / HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_has(server_at(1), "DELETE /");
	stage_peer_close(server_at(1));
	stage_turns(&stage, 3);
	assert_int_equal(stage.server_count, 3);
	assert_has(server_at(2), "DELETE /");
}

static void test_broken_responses(void **state)
{
	static const struct {
		const char *response, *status;
	} cases[] = {
		{"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "HTTP/1.1 502 "},
		{"SSH-2.0-x\r\n", "HTTP/1.1 502 "},
		{"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
		 "HTTP/1.1 502 "},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "HTTP/1.1 502 "},
	};

	for (unsigned i = 0; i < ARRAY_LENGTH(cases); i++) {
		struct stage_peer *client = client_of(1, REVERSE);
		say(client, GET("/"));
		unsigned last = stage.server_count - 1;
		say(server_at(last), cases[i].response);
		assert_has(client, cases[i].status);
		assert_true(server_at(last)->ended);
	}
}

static void test_truncated_responses(void **state)
{
	static const char *const cases[] = {
		"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\nabc",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
	};

	for (unsigned i = 0; i < ARRAY_LENGTH(cases); i++) {
		struct stage_peer *client = client_of(1, REVERSE);
		say(client, GET("/"));
		unsigned last = stage.server_count - 1;
		stage_say(server_at(last), cases[i]);
		stage_peer_close(server_at(last)); /* in the same turn */
		stage_turns(&stage, 3);
		assert_true(client->ended);
		assert_false(has(client, "\r\n0\r\n\r\n"));
		assert_int_equal(exchange_count(&stage.worker), 0);
	}
}

static void test_response_until_the_close(void **state)
{
	struct stage_peer *client = client_of(1, REVERSE);

	say(client, GET("/"));
	say(server_at(0), "HTTP/1.1 200 OK\r\n\r\nabc");
	assert_has(client, "Transfer-Encoding: chunked");
	assert_has(client, "3\r\nabc\r\n");
	stage_peer_close(server_at(0));
	stage_turns(&stage, 3);
	assert_has(client, "0\r\n\r\n");
	assert_false(client->ended);
}

static void test_response_timeout(void **state)
{
	struct stage_peer *client = client_of(1, REVERSE);

	say(client, GET("/"));
	stage_pass(&stage, 6900);
	assert_int_equal(client->len, 0);
	stage_pass(&stage, 200);
	stage_turns(&stage, 3);
	assert_has(client, "HTTP/1.1 504 ");
	assert_false(client->ended);
}

static void test_interim_responses_are_bounded(void **state)
{
	struct stage_peer *client = client_of(1, REVERSE);

	say(client, GET("/"));
	for (unsigned i = 0; i < 40 && server_at(0)->fd >= 0 && !server_at(0)->ended; i++)
		say(server_at(0), "HTTP/1.1 103 Early Hints\r\n\r\n");
	assert_int_equal(times(client, "HTTP/1.1 103"), 32);
	assert_has(client, "HTTP/1.1 502 ");
}

static void test_idle_connections_end(void **state)
{
	struct stage_peer *client = client_of(1, REVERSE);

	say(client, GET("/"));
	say(server_at(0), OK("", "0"));
	stage_pass(&stage, 11900);
	assert_false(server_at(0)->ended);
	stage_pass(&stage, 200);
	stage_turn(&stage);
	assert_true(server_at(0)->ended);
}

/* ---- speeds ---- */

/* A client that takes nothing stops the server, and is let go in the end. */
static void test_stalled_client(void **state)
{
	char piece[8192];
	struct stage_peer *client = client_of(1, REVERSE);
	size_t total = 0;

	memset(piece, 'x', sizeof(piece));
	say(client, GET("/"));
	client->paused = true;
	say(server_at(0), "HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n");
	for (unsigned i = 0; i < 400; i++) {
		total += stage_send(server_at(0), span_make((uint8_t *)piece, sizeof(piece)));
		stage_turn(&stage);
	}
	assert_true(total < 1024 * 1024); /* the kernel's buffers, and little more */
	size_t used = atomic_load(&stage.memory.used);
	assert_true(used < 512 * 1024);
	stage_pass(&stage, 6100);
	stage_turns(&stage, 3);
	assert_int_equal(exchange_count(&stage.worker), 0);
	assert_true(server_at(0)->ended);
}

/* A server that takes nothing stops the client; the response timeout ends it. */
static void test_stalled_server(void **state)
{
	char piece[8192];
	struct stage_peer *client = client_of(1, REVERSE);
	size_t total = 0;

	memset(piece, 'x', sizeof(piece));
	say(client, "POST /large HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nffffff\r\n");
	server_at(0)->paused = true;
	for (unsigned i = 0; i < 400; i++) {
		total += stage_send(client, span_make((uint8_t *)piece, sizeof(piece)));
		stage_turn(&stage);
	}
	assert_true(total < 1024 * 1024);
	stage_pass(&stage, 7100);
	stage_turns(&stage, 3);
	assert_has(client, "HTTP/1.1 504 ");
	assert_int_equal(exchange_count(&stage.worker), 0);
}

static void test_large_bodies_through_small_windows(void **state)
{
	enum { TOTAL = 3 * 1000 * 1000 };
	static uint8_t piece[10000];
	struct stage_peer *client = client_of(1, REVERSE);
	size_t sent = 0;

	memset(piece, 'x', sizeof(piece));
	say(client, GET("/"));
	say(server_at(0), "HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n");
	for (unsigned i = 0; i < 100000 && sent < TOTAL; i++) {
		sent += stage_send(server_at(0), span_make(piece, size_min(sizeof(piece), TOTAL - sent)));
		stage_turn(&stage);
	}
	stage_turns(&stage, 50);
	assert_int_equal(sent, TOTAL);
	assert_true(client->len > TOTAL && client->len < TOTAL + 300);
	assert_int_equal(exchange_count(&stage.worker), 0);
}

/* ---- upgrades ---- */

static const char upgrade[] =
	"GET /ws HTTP/1.1\r\nHost: a.test\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
static const char switched[] =
	"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";

static void test_upgrade(void **state)
{
	char together[256];
	struct stage_peer *client = client_of(1, REVERSE);

	snprintf(together, sizeof(together), "%searly", upgrade);
	say(client, together);
	assert_has(server_at(0), "Upgrade: websocket");
	assert_false(has(server_at(0), "early")); /* held until the server has switched */
	snprintf(together, sizeof(together), "%swelcome", switched);
	say(server_at(0), together);
	assert_has(client, "101 Switching Protocols");
	assert_has(client, "\r\n\r\nwelcome");
	assert_has(server_at(0), "\r\n\r\nearly");
	say(client, "ping");
	assert_has(server_at(0), "earlyping");
	say(server_at(0), "pong");
	assert_has(client, "welcomepong");
	shutdown(client->fd, SHUT_WR); /* half-close goes through */
	stage_turns(&stage, 3);
	assert_true(server_at(0)->ended);
	assert_false(client->ended);
	say(server_at(0), "last");
	assert_has(client, "last");
	stage_peer_close(server_at(0));
	stage_turns(&stage, 3);
	assert_true(client->ended);
	assert_int_equal(stage.gone, 1);
	assert_int_equal(exchange_count(&stage.worker), 0);
}

static void test_upgrade_ignored(void **state)
{
	struct stage_peer *client = client_of(1, REVERSE);

	say(client, upgrade);
	say(server_at(0), OK("no", "2"));
	say(client, GET("/hello"));
	assert_has(client, "hello\n");
}

/* ---- ends ---- */

static void test_drain(void **state)
{
	struct stage_peer *idle = client_of(1, REVERSE), *busy = client_of(2, REVERSE);

	say(busy, GET("/"));
	stage.worker.draining = true;
	h1_server_drain(&stage.worker);
	upstream_drain(&stage.worker);
	stage_turns(&stage, 2);
	assert_true(idle->ended);
	assert_false(busy->ended);
	say(server_at(0), OK("abc", "3"));
	assert_has(busy, "Connection: close");
	assert_has(busy, "abc");
	assert_true(busy->ended);
	assert_true(server_at(0)->ended); /* not kept */
	stage.worker.draining = false;
}

static void test_cut(void **state)
{
	struct stage_peer *client = client_of(1, REVERSE), *tunnel = client_of(2, REVERSE);

	say(client, GET("/"));
	say(tunnel, upgrade);
	say(server_at(1), switched);
	h1_server_cut(&stage.worker);
	stage_turns(&stage, 2);
	assert_true(client->ended && tunnel->ended);
	assert_true(server_at(0)->ended && server_at(1)->ended);
	assert_int_equal(stage.gone, 2);
}

static void test_clients_that_go(void **state)
{
	struct stage_peer *client = client_of(1, REVERSE);

	say(client, GET("/"));
	shutdown(client->fd, SHUT_RDWR);
	stage_peer_close(client);
	stage_turns(&stage, 2);
	say(server_at(0), OK("abc", "3")); /* fails to be delivered, and nothing more */
	stage_turns(&stage, 2);
	assert_int_equal(exchange_count(&stage.worker), 0);
	everybody_leaves();
}

static void test_total_time(void **state)
{
	struct stage_peer *client = client_of(1, REVERSE);

	say(client, GET("/"));
	for (unsigned i = 0; i < 30; i++) {
		stage_pass(&stage, 4000);
		if (!server_at(0)->ended)
			stage_say(server_at(0), "HTTP/1.1 103 Early Hints\r\n\r\n");
	}
	stage_turns(&stage, 2);
	assert_has(client, "HTTP/1.1 504 ");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_answers_and_keeps),
		TEST(test_requests_in_pieces),
		TEST(test_responses_in_pieces),
		TEST(test_pipelining),
		TEST(test_requests_of_a_connection_are_limited),
		TEST(test_http_10),
		TEST(test_refusals),
		TEST(test_limits_of_heads),
		TEST(test_head_timeout),
		TEST(test_idle_timeout_is_silent),
		TEST(test_body_timeout),
		TEST(test_end_inside_a_head),
		TEST(test_end_of_an_idle_client),
		TEST(test_half_closed_client_gets_its_answer),
		TEST(test_body_that_ends_too_early),
		TEST(test_empty_lines_in_pieces),
		TEST(test_malformed_body),
		TEST(test_chunked_body_over_the_limit),
		TEST(test_early_answer_and_a_small_rest),
		TEST(test_early_answer_and_a_large_rest),
		TEST(test_early_answer_and_a_server_that_goes),
		TEST(test_expect_continue),
		TEST(test_expect_refused),
		TEST(test_upgrade_required_says_to_what),
		TEST(test_nobody_asked),
		TEST(test_nobody_asked_yet),
		TEST(test_nobody_asked_after_a_full_flow),
		TEST(test_stale_connection_is_replaced),
		TEST(test_refused_connection_tries_the_other_server),
		TEST(test_post_is_not_repeated),
		TEST(test_idempotent_is_repeated),
		TEST(test_broken_responses),
		TEST(test_truncated_responses),
		TEST(test_response_until_the_close),
		TEST(test_response_timeout),
		TEST(test_interim_responses_are_bounded),
		TEST(test_idle_connections_end),
		TEST(test_stalled_client),
		TEST(test_stalled_server),
		TEST(test_large_bodies_through_small_windows),
		TEST(test_upgrade),
		TEST(test_upgrade_ignored),
		TEST(test_drain),
		TEST(test_cut),
		TEST(test_clients_that_go),
		TEST(test_total_time),
	};
	return cmocka_run_group_tests(tests, group_set_up, group_tear_down);
}
