/*
 * Exchanges over HTTP/2, on both sides, while memory fails: each n-th allocation, for every n up to 120. Nothing crashes, nothing is left, and when
 * memory is back so is service.
 */
#include "h2_fixture.h"

enum { EVERY_MOST = 120 };

/* A client, if Guise will have it. */
static struct h2_peer *try_client(unsigned listener)
{
	if (!stage_connect(&stage, 1, listener))
		return NULL;
	peer_open(&h2_clients[1], &stage.clients[1], true);
	nghttp2_submit_settings(h2_clients[1].session, 0, NULL, 0);
	go();
	return &h2_clients[1];
}

/* Asks, when there is one to ask; 0: it cannot. */
static int32_t try_ask(struct h2_peer *client, const char *head, const struct h2_body *body)
{
	return client && nghttp2_session_check_request_allowed(client->session) ? ask(client, head, body) : 0;
}

static void try_more(struct h2_peer *client, int32_t id, size_t len, bool open)
{
	if (id && !seen_of(client, id)->closed)
		more(client, id, NULL, len, open);
}

/* The newest server of HTTP/2, which greets, and answers all that it has been asked. */
static void try_answer(const char *head, const struct h2_body *body)
{
	unsigned index = stage.server_count - 1;

	if (stage.server_count == 0 || stage.servers[index].address.ip[3] < 3)
		return;
	if (!h2_servers[index].session)
		(void)h2_server(index);
	for (int32_t id = 1; id < 8; id += 2) {
		const struct h2_seen *seen = seen_of(&h2_servers[index], id);
		if (seen->heads && !seen->closed)
			answer(&h2_servers[index], id, head, body);
	}
}

static void try_tell(const char *text)
{
	if (stage.server_count)
		tell(&stage.servers[stage.server_count - 1], text);
}

static void run_to_http1(void)
{
	for (unsigned i = 0; i < 2; i++) {
		struct h2_peer *client = try_client(REVERSE_CLEAR);
		int32_t id = try_ask(client, HEAD_OF("POST", "/") "te trailers\n", &open_body);
		(void)try_ask(client, HEAD_OF("GET", "/hello") "priority u=1\n", NULL);
		try_more(client, id, 5000, true);
		try_tell("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
		try_tell("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
		try_more(client, id, 0, false);
		try_tell("0\r\nX-Trailer: 1\r\n\r\n");
	}
}

static void run_to_http2(void)
{
	const struct h2_body body = {.len = 5000, .trailers = true};

	for (unsigned i = 0; i < 2; i++) {
		struct h2_peer *client = try_client(REVERSE_CLEAR);
		int32_t id = try_ask(client, HEAD_OF("POST", "/two"), &open_body);
		int32_t get = try_ask(client, HEAD_OF("GET", "/two"), NULL);
		try_answer(":status 200\n", &body);
		try_more(client, id, 3000, i == 0);
		if (get && !seen_of(client, get)->closed)
			reset(client, get, NGHTTP2_CANCEL);
		try_answer(":status 200\n", &body);
	}
}

static void run_tunnels(void)
{
	for (unsigned i = 0; i < 2; i++) {
		struct h2_peer *client = try_client(FORWARD_CLEAR);
		int32_t id = try_ask(client, ":method CONNECT\n:authority 10.2.0.2:443\n", &open_body);
		try_more(client, id, 3000, true);
		try_tell("some bytes");
		try_more(client, id, 9, false);
		client = try_client(REVERSE_CLEAR);
		id = try_ask(client,
			     HEAD_OF("CONNECT", "/two") ":protocol websocket\nsec-websocket-version 13\n",
			     &open_body);
		try_more(client, id, 100, true);
		try_answer(":status 200\n", &open_body);
		try_more(client, id, 3000, i == 0);
	}
}

static void run_refusals(void)
{
	struct h2_peer *client = try_client(REVERSE_CLEAR);

	(void)try_ask(client, HEAD_OF("POST", "/") "content-length 70000\n", &open_body);
	(void)try_ask(client, HEAD_OF("GET", "/") "connection close\n", NULL);
	(void)try_ask(client, HEAD_OF("GET", "/") "expect other\n", NULL);
	(void)try_ask(client, HEAD_OF("POST", "/two"), &open_body);
	pass_slowly(8000);
	if (client)
		goaway(client, 0);
}

static void all_allocations(void (*run)(void))
{
	for (unsigned every = 1; every <= EVERY_MOST; every++) {
		h2_set_up(NULL);
		memory_fail_every(&stage.memory, every);
		run();
		memory_fail_every(&stage.memory, 0);
		h2_forget_peers();
		everybody_leaves();
		struct h2_peer *client = h2_client(2, REVERSE_CLEAR);
		assert_whole(client, ask(client, HEAD_OF("GET", "/hello"), NULL), ":status: 200\n", 6);
		h2_tear_down(NULL);
	}
}

static void test_to_http1(void **state)
{
	all_allocations(run_to_http1);
}

static void test_to_http2(void **state)
{
	all_allocations(run_to_http2);
}

static void test_tunnels(void **state)
{
	all_allocations(run_tunnels);
}

static void test_refusals(void **state)
{
	all_allocations(run_refusals);
}

/* What nghttp2 needs for what is under way it gets beyond the limit as well, and gives back. */
static void test_limit(void **state)
{
	h2_set_up(NULL);
	struct h2_peer *client = h2_client(1, REVERSE_CLEAR);
	int32_t old = ask(client, HEAD_OF("GET", "/"), NULL);
	size_t most = stage.memory.limit - atomic_load(&stage.memory.used);

	assert_true(memory_take(&stage.memory, most));
	for (unsigned i = 0; i < 8; i++)
		(void)ask(client, HEAD_OF("GET", "/"), NULL);
	assert_false(client->at->ended);
	memory_give(&stage.memory, most);
	tell(server_at(0), OK("abc", "3"));
	assert_whole(client, old, ":status: 200\n", 3);
	h2_tear_down(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_to_http1), cmocka_unit_test(test_to_http2),
		cmocka_unit_test(test_tunnels),  cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_limit),
	};
	return cmocka_run_group_tests(tests, h2_group_set_up, group_tear_down);
}
