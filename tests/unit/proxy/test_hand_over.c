/* The hand-over: which failures another server is tried for, how long a try may take, who waits, and what all that may cost. */
#include "hand_over_fixture.h"

/* ---- failures ---- */

static const char *const deaths[] = {
	"",                                               /* not a byte */
	"HTTP/1.1 20",                                    /* in the middle of the head */
	"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", /* after an interim one */
};

static void test_idempotent_goes_elsewhere(void **state)
{
	static const char *const requests[] = {
		GET("/two"),
		"HEAD /two HTTP/1.1\r\nHost: a.test\r\n\r\n",
		"DELETE /two HTTP/1.1\r\nHost: a.test\r\n\r\n",
		"OPTIONS /two HTTP/1.1\r\nHost: a.test\r\n\r\n",
		PUT("/two", "3", "abc"),
		"PUT /two HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
	};

	for (unsigned i = 0; i < ARRAY_LENGTH(requests); i++)
		for (unsigned j = 0; j < ARRAY_LENGTH(deaths); j++) {
			struct stage_peer *client = client_of(1, WEB);
			unsigned first = stage.server_count;
			say(client, requests[i]);
			stage_say(server_at(first), deaths[j]);
			die(server_at(first));
			assert_int_equal(stage.server_count, first + 2);
			assert_int_not_equal(number_of(first), number_of(first + 1));
			assert_int_equal(server_at(first)->len, server_at(first + 1)->len);
			say(server_at(first + 1),
			    "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
			assert_int_equal(times(client, "HTTP/1.1 200 OK"), 1);
			stage_peer_close(client);
			stage_turns(&stage, 2);
			assert_at_rest();
		}
	assert_int_equal(failures_of("two"), ARRAY_LENGTH(requests) * ARRAY_LENGTH(deaths));
}

static void test_post_stays(void **state)
{
	static const char *const requests[] = {
		POST("/two", "3", "abc"),
		"POST /two HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0\r\n\r\n",
		"PATCH /two HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
	};

	for (unsigned i = 0; i < ARRAY_LENGTH(requests); i++)
		for (unsigned j = 0; j < ARRAY_LENGTH(deaths); j++) {
			struct stage_peer *client = client_of(1, WEB);
			unsigned first = stage.server_count;
			say(client, requests[i]);
			stage_say(server_at(first), deaths[j]);
			die(server_at(first));
			assert_int_equal(stage.server_count, first + 1);
			assert_has(client, "HTTP/1.1 502 ");
		}
	assert_at_rest();
}

/* What never left may go anywhere. */
static void test_post_that_never_left(void **state)
{
	struct stage_peer *client = client_of(1, WEB);

	stage.refuse_next = ECONNREFUSED;
	say(client, POST("/two", "3", "abc"));
	assert_int_equal(stage.server_count, 1);
	assert_has(server_at(0), "\r\n\r\nabc");
	assert_int_equal(failures_of("two"), 1);
	stage.refuse_next = ECONNREFUSED;
	client = client_of(2, WEB);
	say(client, POST("/one", "3", "abc"));
	assert_has(client, "HTTP/1.1 503 ");
	assert_has(client, "Proxy-Status: guise; error=destination_unavailable");
	assert_has(client, "Retry-After: 1");
	assert_has(client, "the server refused the connection");
}

/* An answer that nobody can read is an answer. */
static void test_malformed_head_is_final(void **state)
{
	struct stage_peer *client = client_of(1, WEB);

	say(client, GET("/two"));
	say(server_at(0), "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n");
	assert_int_equal(stage.server_count, 1);
	assert_has(client, "HTTP/1.1 502 ");
	assert_at_rest();
}

/* Content that is larger than what is kept cannot be sent again. */
static void test_large_content_stays(void **state)
{
	char body[6001];
	struct stage_peer *client = client_of(1, WEB);

	memset(body, 'x', 6000);
	body[6000] = 0;
	say(client, PUT("/two", "6000", ""));
	stage_say(client, body);
	stage_turns(&stage, 5);
	assert_true(has(server_at(0), "xxx"));
	die(server_at(0));
	assert_int_equal(stage.server_count, 1);
	assert_has(client, "HTTP/1.1 502 ");
	assert_at_rest();
}

/* While the rest of it comes: what has come goes to the other server, and then the rest. */
static void test_content_on_its_way(void **state)
{
	struct stage_peer *client = client_of(1, WEB);

	say(client, PUT("/two", "6", "abc"));
	die(server_at(0));
	assert_int_equal(stage.server_count, 2);
	assert_has(server_at(1), "\r\n\r\nabc");
	say(client, "def");
	assert_has(server_at(1), "\r\n\r\nabcdef");
	say(server_at(1), OK("", "0"));
	assert_has(client, "200 OK");
	stage_peer_close(client);
	stage_turns(&stage, 2);
	assert_at_rest();
}

/* One server, no retries: a connection that was idle and died is replaced all the same, with the content. */
static void test_stale_connection_without_retries(void **state)
{
	struct stage_peer *client = client_of(1, WEB);

	say(client, GET("/one"));
	say(server_at(0), OK("", "0"));
	say(client, PUT("/one", "3", "abc"));
	die(server_at(0));
	assert_int_equal(stage.server_count, 2);
	assert_has(server_at(1), "\r\n\r\nabc");
	die(server_at(1)); /* this one was fresh */
	assert_int_equal(stage.server_count, 2);
	assert_has(client, "HTTP/1.1 502 ");
	assert_int_equal(failures_of("one"), 1);
	assert_at_rest();
}

/* Not for a POST that the server has; and that it closed what was idle is held against nobody. */
static void test_stale_connection_and_post(void **state)
{
	struct stage_peer *client = client_of(1, WEB);

	say(client, GET("/one"));
	say(server_at(0), OK("", "0"));
	say(client, POST("/one", "3", "abc"));
	die(server_at(0));
	assert_int_equal(stage.server_count, 1);
	assert_has(client, "HTTP/1.1 502 ");
	assert_int_equal(failures_of("one"), 0);
	assert_at_rest();
}

/* Stale, then refused, then another server: the two have nothing to do with each other. */
static void test_stale_then_refused_then_another(void **state)
{
	struct stage_peer *client = client_of(1, WEB);

	say(client, GET("/two"));
	say(server_at(0), OK("", "0"));
	say(client, GET("/two"));
	say(server_at(1), OK("", "0"));
	assert_int_not_equal(number_of(0), number_of(1));
	say(client, PUT("/two", "3", "abc"));
	stage.refuse_next = ECONNREFUSED;
	die(server_at(0));
	assert_int_equal(stage.server_count, 2);
	assert_has(server_at(1), "\r\n\r\nabc");
	die(server_at(1)); /* it was idle too */
	assert_int_equal(stage.server_count, 3);
	assert_int_equal(number_of(2), number_of(1));
	assert_has(server_at(2), "\r\n\r\nabc");
	say(server_at(2), OK("", "0"));
	assert_int_equal(times(client, "200 OK"), 3);
}

/* timeouts.response is over once, on whatever connection. */
static void test_response_timeout_is_over_once(void **state)
{
	struct stage_peer *client = client_of(1, WEB);

	for (unsigned round = 0; round < 2; round++) {
		say(client, GET("/two"));
		stage_pass(&stage, 6900);
		assert_int_equal(times(client, "HTTP/1.1 504 "), round);
		stage_pass(&stage, 200);
		stage_turns(&stage, 2);
		assert_int_equal(times(client, "HTTP/1.1 504 "), round + 1);
		if (round == 0) {
			assert_int_equal(stage.server_count, 1);
			say(client, GET("/two"));
			say(server_at(1), OK("", "0"));
			assert_int_not_equal(number_of(0), number_of(1));
			say(client, GET("/two")); /* so that the next one is for the connection that is kept */
			say(server_at(2), "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
		}
	}
	assert_int_equal(stage.server_count, 3);
	assert_int_equal(times(server_at(1), "GET /two"), 2);
	assert_at_rest();
}

/* ---- timeouts.try ---- */

static void test_late_goes_elsewhere(void **state)
{
	struct stage_peer *client = client_of(1, WEB);

	say(client, PUT("/late", "3", "abc"));
	stage_pass(&stage, 990);
	assert_int_equal(stage.server_count, 1);
	stage_pass(&stage, 20);
	stage_turns(&stage, 3);
	assert_int_equal(stage.server_count, 2);
	assert_true(server_at(0)->ended);
	assert_int_not_equal(number_of(0), number_of(1));
	assert_has(server_at(1), "\r\n\r\nabc");
	/* the last one goes on until timeouts.response */
	stage_pass(&stage, 6900);
	assert_int_equal(client->len, 0);
	assert_int_equal(stage.server_count, 2);
	say(server_at(1), OK("done", "4"));
	assert_has(client, "done");
	assert_int_equal(failures_of("late"), 1);
	stage_peer_close(client);
	stage_turns(&stage, 2);
	assert_at_rest();
}

static void test_late_twice_is_a_504(void **state)
{
	struct stage_peer *client = client_of(1, WEB);

	say(client, GET("/late"));
	stage_pass(&stage, 1010);
	stage_turns(&stage, 3);
	stage_pass(&stage, 7010);
	stage_turns(&stage, 3);
	assert_has(client, "HTTP/1.1 504 ");
	assert_int_equal(stage.server_count, 2);
	assert_at_rest();
}

static void test_late_post_stays(void **state)
{
	struct stage_peer *client = client_of(1, WEB);

	say(client, POST("/late", "3", "abc"));
	stage_pass(&stage, 6900);
	assert_int_equal(stage.server_count, 1);
	assert_int_equal(client->len, 0);
	say(server_at(0), OK("done", "4"));
	assert_has(client, "done");
	assert_int_equal(failures_of("late"), 0);
}

/* There is no other one: the try is not given up for nothing. When there is one again, it is. */
static void test_late_and_alone(void **state)
{
	struct stage_peer *client = client_of(1, WEB);

	mark("late", 2, FLEET_DOWN);
	say(client, GET("/late"));
	assert_int_equal(number_of(0), 1);
	stage_pass(&stage, 1010);
	stage_turns(&stage, 3);
	assert_int_equal(gauge_of("late", FLEET_RETRIES), 0);
	stage_pass(&stage, 1010);
	stage_turns(&stage, 3);
	assert_false(server_at(0)->ended);
	say(server_at(0), OK("late", "4"));
	assert_has(client, "late");

	say(client, GET("/late"));
	stage_pass(&stage, 1010);
	mark("late", 2, FLEET_UP);
	assert_int_equal(stage.server_count, 1);
	stage_pass(&stage, 1010);
	stage_turns(&stage, 3);
	assert_int_equal(stage.server_count, 2);
	say(server_at(1), OK("other", "5"));
	assert_has(client, "other");
}

/* The client sends slowly: no server is to blame for that. */
static void test_late_for_the_client(void **state)
{
	struct stage_peer *client = client_of(1, WEB);

	say(client, PUT("/late", "6", "abc"));
	for (unsigned i = 0; i < 5; i++) {
		stage_pass(&stage, 1010);
		stage_turns(&stage, 3);
	}
	assert_int_equal(stage.server_count, 1);
	assert_int_equal(failures_of("late"), 0);
	say(client, "def");
	stage_pass(&stage, 1010); /* from now on it is the server */
	stage_turns(&stage, 3);
	assert_int_equal(stage.server_count, 2);
	assert_has(server_at(1), "\r\n\r\nabcdef");
	assert_int_equal(failures_of("late"), 1);
}

/* Frozen before its SETTINGS: nothing has left, a POST goes elsewhere too. */
static void test_late_before_anything_left(void **state)
{
	static const uint8_t settings[] = "\0\0\0\4\0\0\0\0\0";
	struct stage_peer *client = client_of(1, WEB);

	say(client, POST("/h2", "3", "abc"));
	assert_int_equal(stage.server_count, 1);
	stage_pass(&stage, 1010);
	stage_turns(&stage, 3);
	assert_int_equal(stage.server_count, 2);
	assert_int_not_equal(number_of(0), number_of(1));
	stage_send(server_at(1), span_make(settings, 9));
	stage_turns(&stage, 3);
	assert_true(server_at(1)->len > 60);
	stage_pass(&stage, 2000);
	stage_turns(&stage, 3);
	assert_int_equal(stage.server_count, 2); /* now it has */
}

static void test_late_connection_of_tcp(void **state)
{
	struct stage_peer *client = client_of(1, RAW);

	stage_turns(&stage, 3);
	assert_int_equal(stage.server_count, 1);
	stage_pass(&stage, 5000);
	say(client, "hello");
	assert_has(server_at(0), "hello"); /* it was there at once: no try is late */
	assert_int_equal(stage.server_count, 1);
	assert_int_equal(failures_of("late"), 0);
}

/* ---- servers that go down ---- */

static void test_down_goes_elsewhere(void **state)
{
	struct stage_peer *get = client_of(1, WEB), *post = client_of(2, WEB);

	mark("two", 2, FLEET_DOWN);
	say(get, GET("/two"));
	say(post, POST("/two", "3", "abc"));
	assert_int_equal(number_of(0), 1);
	assert_int_equal(number_of(1), 1);
	mark("two", 2, FLEET_UP);
	mark("two", 1, FLEET_DOWN);
	assert_int_equal(stage.server_count, 3);
	assert_int_equal(number_of(2), 2);
	assert_has(server_at(2), "GET /two");
	assert_true(server_at(0)->ended);
	assert_false(server_at(1)->ended); /* a POST may have been processed: it may be answered yet */
	say(server_at(1), OK("post", "4"));
	say(server_at(2), OK("get", "3"));
	assert_has(post, "post");
	assert_has(get, "get");
}

/* With nobody to go to, the answer may still come. */
static void test_down_and_alone(void **state)
{
	struct stage_peer *client = client_of(1, WEB);

	mark("two", 2, FLEET_DOWN);
	say(client, GET("/two"));
	mark("two", 1, FLEET_DOWN);
	assert_int_equal(client->len, 0);
	say(server_at(0), OK("yes", "3"));
	assert_has(client, "yes");
	say(client, GET("/two")); /* and now there is no server: at once */
	assert_has(client, "HTTP/1.1 503 ");
	assert_has(client, "Retry-After: 1");
	assert_has(client, "Proxy-Status: guise; error=destination_unavailable");
	assert_int_equal(stage.server_count, 1);
	mark("two", 1, FLEET_UP);
	say(client, GET("/two"));
	say(server_at(0), OK("again", "5"));
	assert_has(client, "again");
}

/* An answer whose head is here goes on, whatever checks say. */
static void test_down_in_the_answer(void **state)
{
	struct stage_peer *client = client_of(1, WEB);

	mark("two", 2, FLEET_DOWN);
	say(client, GET("/two"));
	say(server_at(0), OK("ye", "3"));
	mark("two", 2, FLEET_UP);
	mark("two", 1, FLEET_DOWN);
	say(server_at(0), "s");
	assert_has(client, "yes");
	assert_int_equal(stage.server_count, 1);
}

/* ---- statuses ---- */

static void test_status_goes_elsewhere(void **state)
{
	struct stage_peer *client = client_of(1, WEB);

	say(client, PUT("/status", "3", "abc"));
	say(server_at(0), "HTTP/1.1 503 No\r\nX-First: 1\r\nContent-Length: 5\r\n\r\nfirst");
	assert_int_equal(client->len, 0);
	assert_int_equal(stage.server_count, 2);
	assert_has(server_at(1), "\r\n\r\nabc");
	say(server_at(1), "HTTP/1.1 500 No\r\nContent-Length: 6\r\n\r\nsecond"); /* nobody else is left */
	assert_has(client,
		   "HTTP/1.1 500 Internal Server Error\r\n"); /* the reason is not the server's to choose */
	assert_has(client, "second");
	assert_false(has(client, "First"));
	assert_false(has(client, "first"));
	/* not for a POST */
	say(client, POST("/status", "3", "abc"));
	unsigned last = stage.server_count - 1;
	for (unsigned i = 0; i <= last; i++)
		if (has(server_at(i), "POST"))
			say(server_at(i), "HTTP/1.1 503 No\r\nContent-Length: 4\r\n\r\npost");
	assert_has(client, "post");
	assert_int_equal(stage.server_count, last + 1);
	stage_peer_close(client);
	stage_turns(&stage, 2);
	assert_at_rest();
}

/* Content that cannot be sent again, or a server that has no room: the answer that is there is passed on. */
static void test_status_that_is_passed_on(void **state)
{
	char body[6001];
	struct stage_peer *client = client_of(1, WEB), *other = client_of(2, WEB);

	memset(body, 'x', 6000);
	body[6000] = 0;
	say(client, PUT("/status", "6000", ""));
	stage_say(client, body);
	stage_turns(&stage, 5);
	say(server_at(0), "HTTP/1.1 503 No\r\nContent-Length: 5\r\n\r\nlarge");
	assert_has(client, "large");
	say(client, GET("/narrow"));
	say(other, GET("/narrow"));
	assert_int_equal(stage.server_count, 3);
	say(server_at(1), "HTTP/1.1 503 No\r\nContent-Length: 4\r\n\r\nroom");
	assert_has(client, "room");
	say(server_at(2), OK("", "0"));
}

/* ---- how many ---- */

/* As many other servers as `retries` says, none of them twice. */
static void test_all_retries(void **state)
{
	struct stage_peer *client = client_of(1, WEB);
	bool seen[20] = {false};

	say(client, GET("/many"));
	for (unsigned i = 0; i < 17; i++) {
		assert_int_equal(stage.server_count, i + 1);
		assert_false(seen[number_of(i)]);
		seen[number_of(i)] = true;
		assert_int_equal(client->len, 0);
		die(server_at(i));
	}
	assert_int_equal(stage.server_count, 17);
	assert_has(client, "HTTP/1.1 502 ");
	assert_at_rest();
}

/* The budget is used up: no other try, and no place held for one. */
static void test_budget(void **state)
{
	struct stage_peer *client = client_of(1, WEB);

	say(client, GET("/poor"));
	die(server_at(0));
	assert_int_equal(stage.server_count, 2);
	assert_int_equal(gauge_of("poor", FLEET_RETRIES), 1);
	die(server_at(1));
	assert_has(client, "HTTP/1.1 502 ");
	say(client, GET("/poor"));
	stage_pass(&stage, 5000); /* per_second: 0 */
	die(server_at(2));
	assert_int_equal(stage.server_count, 3);
	assert_int_equal(times(client, "HTTP/1.1 502 "), 2);
	assert_int_equal(gauge_of("poor", FLEET_RETRIES), 0);
	/* what never left costs nothing */
	stage.refuse_next = ECONNREFUSED;
	say(client, GET("/poor"));
	assert_int_equal(stage.server_count, 4);
	say(server_at(3), OK("", "0"));
	assert_int_equal(times(client, "200 OK"), 1);
}

static void test_retries_under_way(void **state)
{
	struct stage_peer *one = client_of(1, WEB), *two = client_of(2, WEB);

	say(one, GET("/breaker"));
	say(two, GET("/breaker"));
	die(server_at(0));
	assert_int_equal(stage.server_count, 3);
	die(server_at(1));
	assert_int_equal(stage.server_count, 3);
	assert_has(two, "HTTP/1.1 502 ");
	say(server_at(2), "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
	assert_has(one, "200 OK");
	assert_at_rest();
	say(two, GET("/breaker"));
	unsigned last = stage.server_count - 1;
	die(server_at(last));
	say(server_at(last + 1), OK("", "0"));
	assert_has(two, "200 OK");
}

/* ---- room ---- */

static void test_queue(void **state)
{
	struct stage_peer *clients[6];

	for (unsigned i = 1; i <= 5; i++)
		clients[i] = client_of(i, WEB);
	say(clients[1], GET("/narrow"));
	say(clients[2], GET("/narrow"));
	assert_int_equal(stage.server_count, 2);
	assert_int_not_equal(number_of(0), number_of(1));
	say(clients[3], GET("/narrow")); /* waits */
	say(clients[4], GET("/narrow")); /* more than may */
	assert_int_equal(stage.server_count, 2);
	assert_has(clients[4], "HTTP/1.1 503 ");
	assert_has(clients[4], "Retry-After: 1");
	say(server_at(0), OK("one", "3"));
	assert_has(clients[1], "one");
	assert_int_equal(times(server_at(0), "GET /narrow"), 2);
	say(clients[5], GET("/narrow"));
	stage_peer_close(clients[5]); /* it had waited */
	stage_turns(&stage, 2);
	say(clients[1], GET("/narrow"));
	stage_pass(&stage, 3010);
	stage_turns(&stage, 2);
	assert_int_equal(times(clients[1], "HTTP/1.1 503 "), 1);
	say(server_at(0), OK("", "0"));
	say(server_at(1), OK("", "0"));
	stage_turns(&stage, 2);
	assert_at_rest();
}

/* A second try waits for room like a first one, and is what the client gets if none comes. */
static void test_queue_of_a_second_try(void **state)
{
	struct stage_peer *one = client_of(1, WEB), *two = client_of(2, WEB), *three = client_of(3, WEB);

	say(one, GET("/narrow"));
	say(two, GET("/narrow"));
	die(server_at(0));
	assert_int_equal(one->len, 0);
	assert_int_equal(stage.server_count, 2);
	say(server_at(1), OK("two", "3"));
	assert_has(two, "two");
	assert_int_equal(times(server_at(1), "GET /narrow"), 2);
	say(server_at(1), OK("one", "3"));
	assert_has(one, "one");

	say(one, GET("/narrow"));
	say(two, GET("/narrow"));
	unsigned dying = stage.server_count - 1;
	die(server_at(dying));
	stage_pass(&stage, 3010);
	stage_turns(&stage, 2);
	assert_int_equal(times(one, "HTTP/1.1 502 ") + times(two, "HTTP/1.1 502 "), 1);
	say(three, "GET /one HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_has(server_at(stage.server_count - 1), "GET /one");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_idempotent_goes_elsewhere),
		TEST(test_post_stays),
		TEST(test_post_that_never_left),
		TEST(test_malformed_head_is_final),
		TEST(test_large_content_stays),
		TEST(test_content_on_its_way),
		TEST(test_stale_connection_without_retries),
		TEST(test_stale_connection_and_post),
		TEST(test_stale_then_refused_then_another),
		TEST(test_response_timeout_is_over_once),
		TEST(test_late_goes_elsewhere),
		TEST(test_late_twice_is_a_504),
		TEST(test_late_post_stays),
		TEST(test_late_and_alone),
		TEST(test_late_for_the_client),
		TEST(test_late_before_anything_left),
		TEST(test_late_connection_of_tcp),
		TEST(test_down_goes_elsewhere),
		TEST(test_down_and_alone),
		TEST(test_down_in_the_answer),
		TEST(test_status_goes_elsewhere),
		TEST(test_status_that_is_passed_on),
		TEST(test_all_retries),
		TEST(test_budget),
		TEST(test_retries_under_way),
		TEST(test_queue),
		TEST(test_queue_of_a_second_try),
	};
	return cmocka_run_group_tests(tests, hand_over_set_up, group_tear_down);
}
