/* What is left of one client's messages in the memory that the next one is given, on a stage: nothing. */
#include "h2_fixture.h"

#include "../../support/traces.h"
#include "http/h2/h2_internal.h"

#define MARK "oPeN-sEsAmE-4711"
#define LINE "X-Mark: " MARK "\r\n"

enum { LARGE = 40 * 1024 };

static bool left(void)
{
	struct h2_allocator *allocator = &h2_room(&stage.worker)->allocator;
	bool found = traces_in_worker(&stage.worker, MARK);

	for (unsigned i = 0; i < H2_ALLOCATOR_CLASSES; i++)
		found |= traces_in_pool(&allocator->classes[i], MARK);
	return found;
}

/* So many bytes of it. */
static void say_much(struct stage_peer *peer, size_t bytes)
{
	static const char text[] = MARK MARK MARK MARK;

	for (size_t said = 0; said < bytes;) {
		size_t len = size_min(bytes - said, sizeof(text) - 1);
		said += stage_send(peer, span_make((const uint8_t *)text, len));
		if (said % 1024 < sizeof(text))
			stage_turns(&stage, 1);
	}
	go();
}

/* The search itself: it finds what a running exchange holds once that is free, if nobody wipes it. */
static void test_search(void **state)
{
	struct block *block = block_new(&stage.worker.buffers, 100);

	assert_false(left());
	memcpy(block->bytes + 50, MARK, sizeof(MARK)); /* not said to be used */
	block_release(&stage.worker.buffers, block);
	assert_true(left());
	block = block_new(&stage.worker.buffers, 100);
	memset(block->bytes, 0, block->capacity);
	block_release(&stage.worker.buffers, block);
	assert_false(left());
}

static void messages_on(unsigned face)
{
	struct stage_peer *client = client_of(1, face);
	const char *target = face == FORWARD_CLEAR ? "http://10.2.0.1/" MARK : "/" MARK;
	char text[512];

	snprintf(text, sizeof(text), "POST %s HTTP/1.1\r\nHost: 10.2.0.1\r\n" LINE "Content-Length: %d\r\n",
		 target, LARGE);
	for (const char *at = text; *at; at++) /* a byte at a time: it waits in blocks that grow */
		tell(client, (char[]){*at, 0});
	tell(client, "\r\n");
	say_much(client, LARGE);
	assert_has(server_at(0), LINE);
	snprintf(text, sizeof(text),
		 "HTTP/1.1 200 " MARK "\r\n" LINE "Set-Cookie: " MARK "\r\nContent-Length: %d\r\n\r\n", LARGE);
	tell(server_at(0), text);
	say_much(server_at(0), LARGE);
	assert_has(client, "200");
	assert_int_equal(exchange_count(&stage.worker), 0);
	assert_false(left());
	/* A request that is refused, and one that never becomes whole. */
	tell(client, "GET /" MARK " HTTP/1.1\r\n" LINE "Host: a\r\nHost: b\r\n\r\n");
	assert_has(client, "400");
	assert_false(left());
	client = client_of(2, face);
	tell(client, "GET /" MARK " HTTP/1.1\r\n" LINE);
	stage_peer_close(client);
	go();
	assert_false(left());
}

static void test_forward(void **state)
{
	messages_on(FORWARD_CLEAR);
}

static void test_reverse(void **state)
{
	messages_on(REVERSE_CLEAR);
}

/* The bytes of a tunnel, those too that its other end did not take at once. */
static void test_tunnel(void **state)
{
	struct stage_peer *client = client_of(1, FORWARD_CLEAR);

	tell(client, "CONNECT 10.2.0.1:443 HTTP/1.1\r\nHost: 10.2.0.1\r\n\r\n" MARK);
	assert_has(client, "200");
	assert_has(server_at(0), MARK);
	tell(client, MARK MARK);
	tell(server_at(0), MARK);
	assert_false(left());
	server_at(0)->paused = true;
	say_much(client, LARGE);
	stage_peer_close(client);
	server_at(0)->paused = false;
	go();
	stage_peer_close(server_at(0));
	go();
	assert_false(left());
}

/* HTTP/2 at both ends: header blocks, what is remembered of them, content. */
static void test_h2(void **state)
{
	static char content[2000];
	struct h2_body body = {.bytes = content, .len = sizeof(content) - 1};
	struct h2_peer *client = h2_client(1, REVERSE_CLEAR);

	for (size_t i = 0; i + sizeof(MARK) < sizeof(content); i += sizeof(MARK) - 1)
		memcpy(content + i, MARK, sizeof(MARK) - 1);
	int32_t id = ask(client, HEAD_OF("POST", "/two") "x-mark " MARK "\nauthorization " MARK "\n", &body);
	struct h2_peer *server = h2_server(0);
	assert_seen(server, 1, "x-mark: " MARK);
	answer(server, 1, ":status 200\nx-mark " MARK "\n", &body);
	assert_seen(client, id, ":status: 200");
	assert_int_equal(exchange_count(&stage.worker), 0);
	assert_false(traces_in_worker(&stage.worker, MARK));
	/* Tables of fields live as long as their connections. */
	stage_peer_close(&stage.clients[1]);
	stage_peer_close(server_at(0));
	go();
	assert_false(left());
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, h2_set_up, h2_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_search), TEST(test_forward), TEST(test_reverse), TEST(test_tunnel), TEST(test_h2),
	};

	return cmocka_run_group_tests(tests, h2_group_set_up, group_tear_down);
}
