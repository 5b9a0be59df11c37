/*
 * What a client of HTTP/2 may do that brings nothing: it is sent away, and others do not feel it.
 */
#include "h2_fixture.h"

#define GET_ONE HEAD_OF("GET", "/")
#define POST_ONE HEAD_OF("POST", "/")

enum abuse { RESETS, MALFORMED, LENGTHS, PINGS, SETTINGS, EMPTY, PADDED, UPDATES };

static void abuse_once(struct h2_peer *client, enum abuse kind, int32_t open)
{
	static const char empty[] = "\0\0\0\0\0\0\0\0\1", padded[] = "\0\0\3\0\x08\0\0\0\1\2\0\0";
	int32_t id;

	switch (kind) {
	case RESETS:
		id = ask(client, GET_ONE, NULL);
		reset(client, id, NGHTTP2_CANCEL);
		seen_of(client, id)->closed = false;
		break;
	case MALFORMED:
		(void)ask(client, GET_ONE "te gzip\n", NULL);
		break;
	case LENGTHS:
		(void)ask(client, POST_ONE "content-length 1\n", &(struct h2_body){.len = 2});
		break;
	case PINGS:
		nghttp2_submit_ping(client->session, 0, NULL);
		break;
	case SETTINGS:
		nghttp2_submit_settings(client->session, 0, NULL, 0);
		break;
	case EMPTY:
		stage_send(client->at, span_make((const uint8_t *)empty, 9));
		break;
	case PADDED:
		stage_send(client->at, span_make((const uint8_t *)padded, 12));
		break;
	case UPDATES:
		nghttp2_submit_window_update(client->session, 0, open, 1);
		break;
	}
	(void)peer_pump(client);
}

static void test_abuse(void **state)
{
	/* STREAMS_SEEN and requests_per_connection bound what may be asked here: those spend most of their points before. */
	for (unsigned kind = PINGS; kind <= UPDATES; kind++) {
		struct h2_peer *client = h2_client(1, REVERSE_CLEAR), *other = h2_client(2, REVERSE_CLEAR);
		int32_t open = ask(client, POST_ONE, &open_body), good = ask(other, GET_ONE, NULL);
		for (unsigned i = 0; i < 1100 && !client->at->ended; i++) {
			abuse_once(client, (enum abuse)kind, open);
			if (i % 20 == 0)
				go();
		}
		go();
		if (!client->at->ended || client->goaway_code != NGHTTP2_ENHANCE_YOUR_CALM)
			fail_msg("abuse %u: %u", kind, client->goaway_code);
		tell(&stage.servers[stage.server_count - 1], OK("abc", "3"));
		assert_whole(other, good, ":status: 200\n", 3);
		assert_int_equal(exchange_count(&stage.worker), 0);
	}
}

/* What makes Guise reset costs as much as resets do (CVE-2025-8671). */
static void test_faults_cost(void **state)
{
	for (unsigned kind = RESETS; kind <= LENGTHS; kind++) {
		struct h2_peer *client = h2_client(1, REVERSE_CLEAR);
		for (unsigned i = 0; i < 400; i++) /* of 1000 points so many are left */
			nghttp2_submit_ping(client->session, 0, NULL);
		go();
		assert_false(client->at->ended);
		for (unsigned i = 0; i < 11; i++)
			abuse_once(client, (enum abuse)kind, 0);
		for (unsigned i = 0; i < 80; i++)
			nghttp2_submit_ping(client->session, 0, NULL);
		go();
		if (!client->at->ended || client->goaway_code != NGHTTP2_ENHANCE_YOUR_CALM)
			fail_msg("abuse %u: %u", kind, client->goaway_code);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, h2_set_up, h2_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_abuse),
		TEST(test_faults_cost),
	};
	return cmocka_run_group_tests(tests, h2_group_set_up, group_tear_down);
}
