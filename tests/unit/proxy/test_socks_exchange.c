/*
 * Whole exchanges that begin with SOCKS, over socket pairs: every version, on every kind of listener, cut at every byte; every way to ask wrongly, to
 * stall and to go away.
 */
#include "stage_fixture.h"

#include <unistd.h>

#define GREETING "\x05\x01\x00"
#define CHOSEN "\x05\x00"
#define ASK_V4 "\x05\x01\x00\x01\x0a\x02\x00\x01\x01\xbb" /* 10.2.0.1:443 */
#define DONE "\x05\x00\x00\x01\0\0\0\0\0\0"
#define ASK_4                                                                                                \
	"\x04\x01\x01\xbb\x0a\x02\x00\x01"                                                                   \
	"ann\0"
#define DONE_4 "\x00\x5a\0\0\0\0\0\0"

/* Says it and lets Guise act. */
#define tell(peer, literal) tell_bytes((peer), SPAN(literal))
static void tell_bytes(struct stage_peer *peer, struct span bytes)
{
	assert_int_equal(stage_send(peer, bytes), bytes.len);
	stage_turns(&stage, 3);
}

/* Exactly that has come since the last time. */
#define assert_told(peer, literal) assert_told_bytes((peer), SPAN(literal), __LINE__)
static void assert_told_bytes(struct stage_peer *peer, struct span bytes, int line)
{
	struct span got = span_from(stage_got(peer), peer->seen);

	if (!span_equal(got, bytes)) {
		for (size_t i = 0; i < got.len; i++)
			fprintf(stderr, "%02x ", got.at[i]);
		fail_msg("line %d: %zu bytes instead of %zu", line, got.len, bytes.len);
	}
	peer->seen = peer->len;
}

static void assert_all_gone(void)
{
	stage_turns(&stage, 3);
	assert_int_equal(exchange_count(&stage.worker), 0);
	assert_int_equal(conn_count(&stage.worker), 0);
}

/* ---- what works ---- */

static void assert_tunnel(struct stage_peer *client, unsigned server)
{
	tell(client, "ping");
	assert_told(server_at(server), "ping");
	tell(server_at(server), "pong");
	assert_told(client, "pong");
	/* half-closes travel */
	shutdown(server_at(server)->fd, SHUT_WR);
	stage_turns(&stage, 3);
	assert_true(client->ended && !client->reset);
	tell(client, "last");
	assert_told(server_at(server), "last");
	stage_peer_close(client);
	stage_turns(&stage, 3);
	assert_true(server_at(server)->ended);
	assert_all_gone();
}

static void test_version_5(void **state)
{
	struct stage_peer *client = client_of(1, FORWARD);

	tell(client, GREETING);
	assert_told(client, CHOSEN);
	assert_int_equal(stage.server_count, 0);
	tell(client, ASK_V4);
	assert_told(client, DONE);
	assert_memory_equal(server_at(0)->address.ip, ((uint8_t[]){10, 2, 0, 1}), 4);
	assert_int_equal(server_at(0)->address.port, 443);
	assert_tunnel(client, 0);
	assert_int_equal(stage.gone, 1);
}

static void test_version_4(void **state)
{
	struct stage_peer *client = client_of(1, FORWARD);

	tell(client, ASK_4);
	assert_told(client, DONE_4);
	assert_int_equal(server_at(0)->address.port, 443);
	assert_tunnel(client, 0);
	assert_int_equal(stage.gone, 1);
}

/* Names are looked up here. */
static void test_names_of_both_versions(void **state)
{
	struct stage_peer *client = client_of(1, FORWARD);

	tell(client, "\x04\x01\x1f\x90\x00\x00\x00\x01\x00"
		     "A.Test\0");
	assert_told(client, DONE_4);
	assert_memory_equal(server_at(0)->address.ip, ((uint8_t[]){10, 2, 0, 3}), 4);
	assert_int_equal(server_at(0)->address.port, 8080);
	client = client_of(1, FORWARD);
	tell(client, GREETING "\x05\x01\x00\x03\x07"
			      "b.test.\x00\x50");
	assert_told(client, CHOSEN DONE);
	assert_memory_equal(server_at(1)->address.ip, ((uint8_t[]){10, 2, 0, 4}), 4);
	/* what a name stands for is judged as an address is */
	client = client_of(1, FORWARD);
	tell(client, GREETING "\x05\x01\x00\x03\x0binside.test\x00\x50");
	assert_told(client, CHOSEN "\x05\x02\x00\x01\0\0\0\0\0\0");
	assert_int_equal(stage.server_count, 2);
}

/* A literal is an address, whatever it was said to be: the name system never sees it, and the rules see all of it. */
static void test_literals_as_names(void **state)
{
	struct stage_peer *client = client_of(1, FORWARD);

	tell(client, GREETING "\x05\x01\x00\x03\x08"
			      "10.2.0.1\x00\x50");
	assert_told(client, CHOSEN DONE);
	assert_memory_equal(server_at(0)->address.ip, ((uint8_t[]){10, 2, 0, 1}), 4);
	client = client_of(1, FORWARD);
	tell(client, GREETING "\x05\x01\x00\x03\x09"
			      "127.0.0.1\x00\x50");
	assert_told(client, CHOSEN "\x05\x02\x00\x01\0\0\0\0\0\0");
	client = client_of(1, FORWARD);
	tell(client, GREETING "\x05\x01\x00\x03\x03::1\x00\x50");
	assert_told(client, CHOSEN "\x05\x02\x00\x01\0\0\0\0\0\0");
	client = client_of(1, FORWARD);
	tell(client, GREETING "\x05\x01\x00\x04\0\0\0\0\0\0\0\0\0\0\xff\xff\x7f\0\0\x01\x00\x50");
	assert_told(client, CHOSEN "\x05\x02\x00\x01\0\0\0\0\0\0");
	assert_int_equal(stage.server_count, 1);
}

/* Cut at every byte, and in single bytes: the same answers, and what stood behind the request comes first in the tunnel. */
static void split(const char *sent, size_t len, size_t at, bool single, struct span expected)
{
	unsigned before = stage.server_count;
	struct stage_peer *client = client_of(1, FORWARD);

	for (size_t i = 0; i < len;) {
		size_t step = single ? 1 : i == 0 && at ? at : len - i;
		tell_bytes(client, span_make(sent + i, step));
		i += step;
	}
	assert_told_bytes(client, expected, __LINE__);
	assert_int_equal(stage.server_count, before + 1);
	assert_told(server_at(before), "early data");
	shutdown(client->fd, SHUT_WR);
	shutdown(server_at(before)->fd, SHUT_WR);
	assert_all_gone();
	assert_true(client->ended && !client->reset);
	stage_peer_close(server_at(before));
}

static void test_split_at_every_byte(void **state)
{
	static const char five[] = GREETING "\x05\x01\x00\x03\x06"
					    "a.test\x01\xbb"
					    "early data",
			  four[] = "\x04\x01\x01\xbb\x00\x00\x00\x01"
				   "ann\0a.test\0"
				   "early data";

	for (size_t at = 0; at < sizeof(five) - 1; at++) {
		split(five, sizeof(five) - 1, at, false, SPAN(CHOSEN DONE));
		if (at % 16 == 15) {
			tear_down(state);
			set_up(state);
		}
	}
	tear_down(state);
	set_up(state);
	split(five, sizeof(five) - 1, 0, true, SPAN(CHOSEN DONE));
	for (size_t at = 0; at < sizeof(four) - 1; at++)
		split(four, sizeof(four) - 1, at, false, SPAN(DONE_4));
	split(four, sizeof(four) - 1, 0, true, SPAN(DONE_4));
}

/* What comes behind the request waits for its turn: nothing of it is lost, and a server that takes nothing stops the client. */
static void test_much_early_data(void **state)
{
	static uint8_t flood[256 * 1024];
	struct stage_peer *client = client_of(1, FORWARD);
	size_t sent = 0, at = 0;

	for (size_t i = 0; i < sizeof(flood); i++)
		flood[i] = (uint8_t)(i * 7 + i / 251);
	tell(client, GREETING ASK_V4 "x");
	server_at(0)->paused = true;
	for (unsigned i = 0; i < 100; i++) {
		sent += stage_send(client, span_make(flood + sent, sizeof(flood) - sent));
		stage_turn(&stage);
	}
	server_at(0)->paused = false;
	for (unsigned i = 0; i < 200 && at < sizeof(flood) + 1; i++) {
		sent += stage_send(client, span_make(flood + sent, sizeof(flood) - sent));
		stage_turn(&stage);
		at = server_at(0)->len;
	}
	assert_int_equal(at, sizeof(flood) + 1);
	assert_memory_equal(server_at(0)->bytes + 1, flood, sizeof(flood));
}

/* A client that has said all before there is a tunnel, and half-closed. */
static void test_client_that_ended_early(void **state)
{
	struct stage_peer *client = client_of(1, FORWARD);

	stage_send(client, SPAN(GREETING ASK_V4 "question"));
	shutdown(client->fd, SHUT_WR);
	stage_turns(&stage, 6);
	assert_told(client, CHOSEN DONE);
	assert_told(server_at(0), "question");
	assert_true(server_at(0)->ended);
	tell(server_at(0), "answer");
	assert_told(client, "answer");
	stage_peer_close(server_at(0));
	assert_all_gone();
}

/* HTTP on the same port is as it was. */
static void test_http_beside(void **state)
{
	struct stage_peer *client = client_of(1, FORWARD);

	say(client, "\r\nGET http://10.2.0.1/ HTTP/1.1\r\nHost: 10.2.0.1\r\n\r\n");
	assert_has(server_at(0), "GET / HTTP/1.1\r\n");
	say(server_at(0), OK("", "0"));
	/* only the first byte of a connection tells */
	tell(client, GREETING);
	assert_has(client, "HTTP/1.1 400 ");
	assert_true(client->ended);
	client = client_of(1, FORWARD);
	tell(client, "\r\n" GREETING "\r\n");
	assert_has(client, "HTTP/1.1 400 ");
	client = client_of(1, REVERSE);
	tell(client, GREETING "\r\n");
	assert_has(client, "HTTP/1.1 400 ");
	assert_false(client->len == 2);
}

/* ---- what does not ---- */

struct refusal {
	struct span sent, told;
};

#define BYTES(literal)                                                                                       \
	{                                                                                                    \
		(const uint8_t *)("" literal), sizeof(literal) - 1                                           \
	}
#define SAID(code) "\x05" code "\x00\x01\0\0\0\0\0\0"
#define SAID_4 "\x00\x5b\0\0\0\0\0\0"
#define TEN "0123456789"
#define LABEL TEN TEN TEN TEN TEN TEN "."
#define LONG_NAME LABEL LABEL LABEL LABEL "0123456789a" /* 255 bytes */

static const struct refusal refusals[] = {
	{BYTES("\x05\x00"), BYTES("\x05\xff")},
	{BYTES("\x05\x01\x02"), BYTES("\x05\xff")},
	{BYTES("\x05\x02\x01\x80"), BYTES("\x05\xff")},
	{BYTES(GREETING "\x04"), BYTES(CHOSEN SAID("\x01"))},
	{BYTES(GREETING "\x05\x00"), BYTES(CHOSEN SAID("\x07"))},
	{BYTES(GREETING "\x05\x04"), BYTES(CHOSEN SAID("\x07"))},
	{BYTES(GREETING "\x05\xff"), BYTES(CHOSEN SAID("\x07"))},
	{BYTES(GREETING "\x05\x01\x01"), BYTES(CHOSEN SAID("\x01"))},
	{BYTES(GREETING "\x05\x01\x00\x00"), BYTES(CHOSEN SAID("\x08"))},
	{BYTES(GREETING "\x05\x01\x00\x02"), BYTES(CHOSEN SAID("\x08"))},
	{BYTES(GREETING "\x05\x01\x00\x05"), BYTES(CHOSEN SAID("\x08"))},
	/* names: empty, with a NUL, a colon, a bracket, a user, an octal address, too long, with an empty label */
	{BYTES(GREETING "\x05\x01\x00\x03\x00"), BYTES(CHOSEN SAID("\x01"))},
	{BYTES(GREETING "\x05\x01\x00\x03\x07"
			"a.t\0st.\x00\x50"),
	 BYTES(CHOSEN SAID("\x01"))},
	{BYTES(GREETING "\x05\x01\x00\x03\x09"
			"a.test:80\x00\x50"),
	 BYTES(CHOSEN SAID("\x01"))},
	{BYTES(GREETING "\x05\x01\x00\x03\x05[::1]\x00\x50"), BYTES(CHOSEN SAID("\x01"))},
	{BYTES(GREETING "\x05\x01\x00\x03\x08u@a.test\x00\x50"), BYTES(CHOSEN SAID("\x01"))},
	{BYTES(GREETING "\x05\x01\x00\x03\x0b"
			"0177.0.0.01\x00\x50"),
	 BYTES(CHOSEN SAID("\x01"))},
	{BYTES(GREETING "\x05\x01\x00\x03\xff" LONG_NAME "\x00\x50"), BYTES(CHOSEN SAID("\x01"))},
	{BYTES(GREETING "\x05\x01\x00\x03\x07"
			"a..test\x00\x50"),
	 BYTES(CHOSEN SAID("\x01"))},
	{BYTES(GREETING "\x05\x01\x00\x03\x06"
			"a.test\x00\x00"),
	 BYTES(CHOSEN SAID("\x01"))},
	/* places that nobody may go to */
	{BYTES(GREETING "\x05\x01\x00\x01\x7f\0\0\x01\x00\x50"), BYTES(CHOSEN SAID("\x02"))},
	{BYTES(GREETING "\x05\x01\x00\x01\0\0\0\0\x00\x50"), BYTES(CHOSEN SAID("\x02"))},
	{BYTES(GREETING "\x05\x01\x00\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x00\x50"),
	 BYTES(CHOSEN SAID("\x02"))},
	{BYTES(GREETING "\x05\x01\x00\x03\x0anowhere.it\x00\x50"), BYTES(CHOSEN SAID("\x04"))},
	/* version 4 has one word for all of it */
	{BYTES("\x04\x00"), BYTES(SAID_4)},
	{BYTES("\x04\x03"), BYTES(SAID_4)},
	{BYTES("\x04\x01\x00\x50\x7f\0\0\x01\0"), BYTES(SAID_4)},
	{BYTES("\x04\x01\x00\x50\0\0\0\0\0"), BYTES(SAID_4)},
	{BYTES("\x04\x01\x00\x50\0\0\0\x01\0\0"), BYTES(SAID_4)},
	{BYTES("\x04\x01\x00\x50\0\0\0\x01\0" LONG_NAME "\0"), BYTES(SAID_4)},
	{BYTES("\x04\x01\x00\x50\0\0\0\x01\0" LONG_NAME "x"), BYTES(SAID_4)},
	{BYTES("\x04\x01\x00\x50\0\0\0\x01" LONG_NAME "x"), BYTES(SAID_4)},
	{BYTES("\x04\x01\x00\x00\x0a\x02\x00\x01\0"), BYTES(SAID_4)},
};

/* The right words, a good end, and nothing left; whatever the client says besides. */
static void test_refusals(void **state)
{
	for (unsigned i = 0; i < 2 * ARRAY_LENGTH(refusals); i++) {
		const struct refusal *refusal = &refusals[i / 2];
		struct stage_peer *client = client_of(1, FORWARD);
		unsigned gone = stage.gone;

		stage_send(client, refusal->sent);
		if (i % 2)
			stage_say(client, "and more that means nothing");
		for (unsigned turn = 0; turn < 50 && !client->ended; turn++) {
			stage_pass(&stage, 1);
			usleep(turn > 10 ? 1000 : 0); /* a look-up that fails */
		}
		assert_told_bytes(client, refusal->told, (int)i);
		assert_true(client->ended && !client->reset);
		stage_peer_close(client);
		assert_all_gone();
		assert_int_equal(stage.gone, gone + 1);
	}
	assert_int_equal(stage.server_count, 0);
}

static void test_how_a_connect_fails(void **state)
{
	static const struct {
		int number;
		uint8_t code;
	} cases[] = {
		{ECONNREFUSED, 5}, {ENETUNREACH, 3}, {EHOSTUNREACH, 4}, {ETIMEDOUT, 6}, {EADDRNOTAVAIL, 4},
	};

	for (unsigned i = 0; i < ARRAY_LENGTH(cases); i++) {
		struct stage_peer *client = client_of(1, FORWARD);

		stage.refuse_next = cases[i].number;
		tell(client, GREETING ASK_V4);
		assert_int_equal(client->len, 12);
		assert_int_equal(client->bytes[3], cases[i].code);
		assert_true(client->ended && !client->reset);
		client = client_of(1, FORWARD);
		stage.refuse_next = cases[i].number;
		tell(client, ASK_4);
		assert_told(client, SAID_4);
		assert_true(client->ended);
	}
}

/* Truncated at every byte: nothing is said but what is due, and the end is clean. */
static void test_truncated_at_every_byte(void **state)
{
	static const struct span whole[] = {BYTES(GREETING ASK_V4), BYTES(ASK_4),
					    BYTES("\x04\x01\x01\xbb\x00\x00\x00\x01\0a.test\0")};

	for (unsigned i = 0; i < ARRAY_LENGTH(whole); i++) {
		for (size_t len = 1; len < whole[i].len; len++) {
			struct stage_peer *client = client_of(1, FORWARD);
			stage_send(client, span_first(whole[i], len));
			shutdown(client->fd, SHUT_WR);
			stage_turns(&stage, 4);
			assert_true(client->ended && !client->reset);
			if (i > 0)
				assert_told(client, SAID_4);
			else if (len < 3)
				assert_told(client, "\x05\xff");
			else if (len == 3)
				assert_told(client, CHOSEN);
			else
				assert_told(client, CHOSEN SAID("\x01"));
			stage_peer_close(client);
			assert_all_gone();
			/* or it vanishes */
			client = client_of(1, FORWARD);
			stage_send(client, span_first(whole[i], len));
			stage_turns(&stage, 2);
			stage_peer_close(client);
			assert_all_gone();
		}
	}
	assert_int_equal(stage.server_count, 0);
}

/* timeouts.handshake is 10 s by default, for all of the negotiation together. */
static void test_stalls(void **state)
{
	static const struct refusal stalls[] = {
		{BYTES("\x05"), BYTES("\x05\xff")},
		{BYTES(GREETING), BYTES(CHOSEN SAID("\x01"))},
		{BYTES(GREETING "\x05\x01\x00\x03"), BYTES(CHOSEN SAID("\x01"))},
		{BYTES("\x04\x01"), BYTES(SAID_4)},
	};

	for (unsigned i = 0; i < ARRAY_LENGTH(stalls); i++) {
		struct stage_peer *client = client_of(1, FORWARD);
		struct span sent = stalls[i].sent;

		tell_bytes(client, span_first(sent, 1));
		stage_pass(&stage, 6000); /* what comes later does not make it longer */
		if (sent.len > 1)
			tell_bytes(client, span_from(sent, 1));
		stage_pass(&stage, 3900);
		assert_false(client->ended);
		stage_pass(&stage, 200);
		stage_turns(&stage, 3);
		assert_told_bytes(client, stalls[i].told, (int)i);
		assert_true(client->ended);
		stage_peer_close(client);
		assert_all_gone();
	}
	/* Before its first byte it is nobody's, and as idle as one of HTTP may be. */
	struct stage_peer *client = client_of(1, FORWARD);
	stage_pass(&stage, 10100);
	stage_turns(&stage, 2);
	assert_true(client->ended);
	assert_int_equal(client->len, 0);
}

/* A drain lets a negotiation go on; a cut ends everything. */
static void test_the_end_of_a_worker(void **state)
{
	struct stage_peer *negotiating = client_of(1, FORWARD), *tunnel = client_of(2, FORWARD);

	tell(negotiating, GREETING);
	tell(tunnel, GREETING ASK_V4);
	stage.worker.draining = true;
	entrance_drain(&stage.worker);
	stage_turns(&stage, 2);
	assert_false(negotiating->ended);
	tell(negotiating, ASK_V4);
	assert_told(negotiating, CHOSEN DONE);
	entrance_cut(&stage.worker);
	stage_turns(&stage, 2);
	assert_true(negotiating->ended && tunnel->ended);
	assert_true(server_at(0)->ended && server_at(1)->ended);
	client_of(3, FORWARD);
	tell(&stage.clients[3], "\x05");
	entrance_cut(&stage.worker);
	stage_turns(&stage, 2);
	assert_true(stage.clients[3].ended);
	stage.worker.draining = false;
	for (unsigned i = 1; i < 4; i++)
		stage_peer_close(&stage.clients[i]);
	assert_all_gone();
}

/* A client that resets its connection at any moment of it. */
static void test_resets(void **state)
{
	static const struct span whole = BYTES(GREETING ASK_V4 "early");
	struct linger now = {.l_onoff = 1};

	for (size_t len = 1; len <= whole.len; len++) {
		struct stage_peer *client = client_of(1, FORWARD);
		stage_send(client, span_first(whole, len));
		stage_turns(&stage, len % 3);
		setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
		stage_peer_close(client);
		stage_turns(&stage, 3);
		for (unsigned i = 0; i < stage.server_count; i++)
			stage_peer_close(&stage.servers[i]);
		assert_all_gone();
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_version_5),
		TEST(test_version_4),
		TEST(test_names_of_both_versions),
		TEST(test_literals_as_names),
		TEST(test_split_at_every_byte),
		TEST(test_much_early_data),
		TEST(test_client_that_ended_early),
		TEST(test_http_beside),
		TEST(test_refusals),
		TEST(test_how_a_connect_fails),
		TEST(test_truncated_at_every_byte),
		TEST(test_stalls),
		TEST(test_the_end_of_a_worker),
		TEST(test_resets),
	};
	return cmocka_run_group_tests(tests, group_set_up, group_tear_down);
}
