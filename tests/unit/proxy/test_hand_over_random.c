/*
 * The hand-over with clients that leave at any moment, memory that fails, servers that are gone, and thousands of exchanges by lot: nothing is left
 * over, no POST reaches two servers, no client gets two answers.
 */
#include "hand_over_fixture.h"

#include "core/log.h"

#include <sys/mman.h>

/* ---- clients that leave: in the middle of their content, or with something unread, which is a reset ---- */

static void leave(struct stage_peer *client)
{
	stage_peer_close(client);
	stage_turns(&stage, 3);
	assert_at_rest();
}

static void test_client_leaves_a_try(void **state)
{
	struct stage_peer *client = client_of(1, WEB);

	say(client, PUT("/late", "6", "abc"));
	leave(client);
	assert_true(server_at(0)->ended);
	stage_pass(&stage, 1010);
	assert_int_equal(stage.server_count, 1);
}

static void test_client_leaves_a_second_try(void **state)
{
	struct stage_peer *client = client_of(1, WEB);

	say(client, PUT("/late", "6", "abc"));
	die(server_at(0));
	assert_int_equal(stage.server_count, 2);
	leave(client);
	assert_true(server_at(1)->ended);
}

static void test_client_leaves_after_an_interim_head(void **state)
{
	struct stage_peer *client = client_of(1, WEB);

	say(client, GET("/late"));
	client->paused = true;
	say(server_at(0), "HTTP/1.1 103 Early Hints\r\n\r\n");
	leave(client);
	assert_true(server_at(0)->ended);
}

static void test_client_leaves_in_the_answer(void **state)
{
	struct stage_peer *client = client_of(1, WEB);

	say(client, GET("/late"));
	client->paused = true;
	say(server_at(0), OK("ab", "3"));
	leave(client);
	assert_true(server_at(0)->ended);
}

static void test_client_leaves_the_queue(void **state)
{
	struct stage_peer *one = client_of(1, WEB), *two = client_of(2, WEB), *three = client_of(3, WEB);

	say(one, PUT("/narrow", "6", "abc"));
	say(two, PUT("/narrow", "6", "abc"));
	say(three, PUT("/narrow", "6", "abc"));
	assert_int_equal(gauge_of("narrow", FLEET_PENDING), 1);
	stage_peer_close(three);
	stage_turns(&stage, 3);
	assert_int_equal(gauge_of("narrow", FLEET_PENDING), 0);
	die(server_at(0)); /* its second try waits */
	assert_int_equal(gauge_of("narrow", FLEET_PENDING), 1);
	stage_peer_close(one);
	stage_turns(&stage, 3);
	assert_int_equal(gauge_of("narrow", FLEET_PENDING), 0);
	leave(two);
}

static void test_client_leaves_while_connecting(void **state)
{
	struct stage_peer *client = client_of(1, WEB);

	say(client, POST("/h2", "6", "abc"));
	assert_int_equal(stage.server_count, 1);
	stage_peer_close(client);
	stage_turns(&stage, 3);
	stage_pass(&stage, 30000); /* others might have joined: it goes on until its time is over */
	stage_turns(&stage, 3);
	assert_at_rest();
}

/* ---- servers that are gone ---- */

static void unpublish(const char *name, unsigned number)
{
	struct fleet_group *group = group_of(name)->fleet;
	struct roster *old = fleet_roster(group), *new = roster_new(&stage.memory, old->count);

	assert_non_null(new);
	for (unsigned i = 0; i < old->count; i++)
		if (old->members[i].server->address.ip[3] != number)
			roster_add(new, old->members[i].server, old->members[i].weight, old->members[i].tier);
	roster_release(old);
	fleet_publish(group, new);
	stage_turns(&stage, 3);
}

/* A client of HTTP/2 that opens no window: SETTINGS, and GET /two on stream 1. */
static const char closed_window[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
				    "\0\0\6\4\0\0\0\0\0\0\4\0\0\0\0"
				    "\0\0\13\1\5\0\0\0\1\x82\x86\4\4/two\1\1a";
static const char opened_window[] = "\0\0\4\10\0\0\0\0\1\0\0\1\0";

static void start_with_log(int *file, struct log **writer)
{
	*file = memfd_create("access", 0);
	*writer = log_start(*file, -1, LOG_INFO);
	stage.log = log_ring_new(*writer, 1024 * 1024);
	stage_start(&stage);
}

/*
 * It leaves the group after its answer has come, and before that has left: what is known of the server lives as long as the exchange, whose line in
 * the log names it.
 */
static void test_server_is_gone(void **state)
{
	int file;
	struct log *writer;
	char text[4096] = {0};

	start_with_log(&file, &writer);
	struct stage_peer *client = client_of(1, WEB);
	stage_send(client, span_make((const uint8_t *)closed_window, sizeof(closed_window) - 1));
	stage_turns(&stage, 3);
	unsigned number = number_of(0);
	say(server_at(0), "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
	assert_int_equal(exchange_count(&stage.worker), 1);
	unpublish("two", number);
	stage_turns(&stage, 3);
	assert_int_equal(exchange_count(&stage.worker), 1);
	stage_send(client, span_make((const uint8_t *)opened_window, sizeof(opened_window) - 1));
	stage_turns(&stage, 3);
	assert_at_rest();
	assert_true(list_empty(&group_of("two")->leaving));
	stage_stop(&stage);
	log_stop(writer);
	stage.log = NULL;
	assert_true(pread(file, text, sizeof(text) - 1, 0) > 0);
	close(file);
	assert_non_null(strstr(text, number == 1 ? "\"server\":\"10.9.0.1:80\"" : "\"server\":\"10.9.0.2:80\""));
}

/* While tries are under way there: those that fail go elsewhere, the others are answered. */
static void test_server_leaves_under_its_tries(void **state)
{
	struct stage_peer *one = client_of(1, WEB), *two = client_of(2, WEB);

	mark("two", 2, FLEET_DOWN);
	say(one, GET("/two"));
	say(two, GET("/two"));
	mark("two", 2, FLEET_UP);
	unpublish("two", 1);
	say(server_at(0), OK("one", "3"));
	die(server_at(1));
	assert_int_equal(number_of(2), 2);
	say(server_at(2), OK("two", "3"));
	assert_has(one, "one");
	assert_has(two, "two");
	assert_at_rest();
	assert_true(list_empty(&group_of("two")->leaving));
}

/* ---- memory ---- */

enum { EVERY_MOST = 150 };

static void try(unsigned who, const char *text)
{
	stage_say(&stage.clients[who], text);
	stage_turns(&stage, 3);
}

static void last_dies(const char *text)
{
	if (stage.server_count == 0)
		return;
	struct stage_peer *server = &stage.servers[stage.server_count - 1];
	stage_say(server, text);
	stage_turns(&stage, 2);
	die(server);
}

static void try_all(void)
{
	static const char *const requests[] = {
		PUT("/three", "3", "abc"),
		GET("/late"),
		GET("/narrow"),
		PUT("/h2", "3", "abc"),
		"PUT /many HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
	};

	for (unsigned i = 0; i < ARRAY_LENGTH(requests); i++) {
		bool there = stage_connect(&stage, 1, WEB);
		if (stage_connect(&stage, 2, WEB))
			try(2, GET("/narrow"));
		if (there)
			try(1, requests[i]);
		last_dies("HTTP/1.1 200");
		stage.refuse_next = i % 2 ? ECONNREFUSED : 0;
		last_dies("HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n");
		stage_pass(&stage, 1100);
		stage_turns(&stage, 3);
		last_dies("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
	}
}

static void test_memory(void **state)
{
	for (unsigned every = 1; every <= EVERY_MOST; every++) {
		stage_start(&stage);
		memory_fail_every(&stage.memory, every);
		try_all();
		memory_fail_every(&stage.memory, 0);
		everybody_leaves();
		stage_turns(&stage, 2);
		assert_at_rest();
		struct stage_peer *client = client_of(2, WEB);
		say(client, GET("/one"));
		say(server_at(stage.server_count - 1), OK("yes", "3"));
		assert_has(client, "yes");
		stage_stop(&stage);
	}
}

/* ---- by lot ---- */

enum { ROUNDS = 300, STEPS = 400, IDS_MOST = 1000 };

static uint32_t lot;

static unsigned draw(unsigned below)
{
	lot ^= lot << 13;
	lot ^= lot >> 17;
	lot ^= lot << 5;
	return lot % below;
}

static const char *const groups[] = {"one",    "two",  "three",   "late", "status",
				     "narrow", "poor", "breaker", "many", "h2"};

static struct {
	unsigned asked[STAGE_CLIENTS]; /* requests on this connection */
	const char *rest[STAGE_CLIENTS];
	unsigned ids;
	bool post[IDS_MOST];
} made;

static void client_asks(unsigned who)
{
	static const char *const methods[] = {"GET", "HEAD", "PUT", "DELETE", "POST", "PATCH", "OPTIONS"};
	static const struct {
		const char *fields, *content, *rest;
	} contents[] = {
		{"", "", NULL},
		{"Content-Length: 5\r\n", "abcde", NULL},
		{"Content-Length: 5\r\n", "ab", "cde"},
		{"Transfer-Encoding: chunked\r\n", "5\r\nabcde\r\n0\r\n\r\n", NULL},
		{"Transfer-Encoding: chunked\r\n", "5\r\nabc", "de\r\n0\r\n\r\n"},
		{"Expect: 100-continue\r\nContent-Length: 5\r\n", "", "abcde"},
	};
	unsigned method = draw(ARRAY_LENGTH(methods)), content = method < 2 ? 0 : draw(ARRAY_LENGTH(contents));
	char text[256];

	made.post[made.ids] = method == 4 || method == 5;
	snprintf(text, sizeof(text), "%s /%s?id=%u HTTP/1.1\r\nHost: a.test\r\n%s\r\n%s", methods[method],
		 groups[draw(ARRAY_LENGTH(groups))], made.ids++, contents[content].fields,
		 contents[content].content);
	stage_say(&stage.clients[who], text);
	made.asked[who]++;
	made.rest[who] = contents[content].rest;
}

static unsigned final_heads(const struct stage_peer *client)
{
	return times(client, "HTTP/1.1 ") - times(client, "HTTP/1.1 1");
}

static void client_acts(unsigned who)
{
	struct stage_peer *client = &stage.clients[who];

	if (client->fd < 0 || client->ended) {
		if (stage_connect(&stage, who, WEB))
			made.asked[who] = 0;
		made.rest[who] = NULL;
	} else if (made.rest[who] && draw(2)) {
		stage_say(client, made.rest[who]);
		made.rest[who] = NULL;
	} else if (draw(12) == 0) {
		stage_peer_close(client);
	} else if (!made.rest[who] && final_heads(client) == made.asked[who] && made.ids < IDS_MOST) {
		client_asks(who);
	}
}

static void server_acts(struct stage_peer *server)
{
	static const char *const words[] = {
		OK("abc", "3"),
		OK("abc", "3"),
		OK("abc", "3"),
		OK("", "0"),
		"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
		"HTTP/1.1 503 No\r\nContent-Length: 3\r\n\r\nbad",
		"HTTP/1.1 100 Continue\r\n\r\n",
		"HTTP/1.1 103 Early Hints\r\n\r\n",
		"HTTP/1.1 2",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab",
		"what?\r\n\r\n",
	};
	static const uint8_t settings[] = "\0\0\0\4\0\0\0\0\0";

	if (server->fd < 0)
		return;
	unsigned what = draw(ARRAY_LENGTH(words) + 4);
	if (has(server, "PRI * HTTP/2.0") && draw(4)) {
		/* GOAWAY of stream 0, or SETTINGS */
		if (server->seen == 0)
			stage_send(server, span_make(settings, 9));
		else
			stage_send(server,
				   span_make((const uint8_t *)"\0\0\10\7\0\0\0\0\0\0\0\0\0\0\0\0\0", 17));
		server->seen++;
	} else if (what < ARRAY_LENGTH(words)) {
		stage_say(server, words[what]);
	} else {
		stage_peer_close(server);
	}
}

static void step(void)
{
	unsigned group = draw(ARRAY_LENGTH(groups));

	switch (draw(20)) {
	case 0:
		stage_pass(&stage, draw(2500));
		break;
	case 1:
		stage.refuse_next = ECONNREFUSED;
		break;
	case 2:
		mark(groups[group], draw(2) && group ? 2 : 1, draw(2) ? FLEET_DOWN : FLEET_UP);
		break;
	default:
		if (draw(2) || stage.server_count == 0)
			client_acts(draw(STAGE_CLIENTS));
		else
			server_acts(&stage.servers[draw(stage.server_count)]);
		break;
	}
	stage_turns(&stage, 1 + draw(3));
}

/* No POST was heard by two servers, or twice by one. */
static void assert_once(void)
{
	char text[32];

	for (unsigned id = 0; id < made.ids; id++) {
		unsigned heard = 0;
		snprintf(text, sizeof(text), "?id=%u HTTP/1.1\r\n", id);
		for (unsigned i = 0; made.post[id] && i < stage.server_count; i++)
			heard += times(&stage.servers[i], text);
		assert_true(heard <= 1);
	}
}

static unsigned one_round(void)
{
	memset(&made, 0, sizeof(made));
	stage_start(&stage);
	for (unsigned i = 0; i < STEPS && stage.server_count < STAGE_SERVERS - 4; i++) {
		step();
		for (unsigned who = 0; who < STAGE_CLIENTS; who++)
			if (final_heads(&stage.clients[who]) > made.asked[who])
				fail_msg("%u requests were answered with \"%s\"", made.asked[who],
					 (const char *)stage.clients[who].bytes);
	}
	assert_once();
	everybody_leaves();
	stage_turns(&stage, 2);
	assert_at_rest();
	stage_stop(&stage);
	return made.ids;
}

static void test_by_lot(void **state)
{
	unsigned asked = 0;

	for (unsigned i = 1; i <= ROUNDS; i++) {
		lot = i * 2654435761u;
		asked += one_round();
	}
	assert_in_range(asked, 4000, 1000000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_client_leaves_a_try),
		TEST(test_client_leaves_a_second_try),
		TEST(test_client_leaves_after_an_interim_head),
		TEST(test_client_leaves_in_the_answer),
		TEST(test_client_leaves_the_queue),
		TEST(test_client_leaves_while_connecting),
		cmocka_unit_test(test_server_is_gone),
		TEST(test_server_leaves_under_its_tries),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_by_lot),
	};
	return cmocka_run_group_tests(tests, hand_over_set_up, group_tear_down);
}
