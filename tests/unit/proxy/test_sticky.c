/* Stickiness by cookie: who comes back where, what a client is told, and what servers see of it. */
#define stage_yaml stage_yaml_of_all /* we have our own */
#include "stage_fixture.h"
#undef stage_yaml

#include "upstream/sticky.h"

enum { PLAIN, TRUSTING }; /* listeners */

#define SECRET "sixteen bytes or more"
#define SERVERS "servers: [\"10.9.0.1:80\", \"10.9.0.2:80\", \"10.9.0.3:80\"]"

static const char sticky_yaml[] =
	"reverse:\n"
	"  - listen: 127.0.0.1:8080\n"
	"    routes:\n"
	"      - {path: /respond, respond: {body: x}}\n"
	"      - {path: /other, to: other}\n"
	"      - {path: /hides, to: web, response: {remove: [Set-Cookie]}, request: {remove: [X-A]}}\n"
	"      - {path: /session, to: session}\n"
	"      - {to: web}\n"
	"  - {listen: 127.0.0.1:8081, trusted: 10.1.0.0/24, routes: [{to: web}]}\n"
	"upstreams:\n"
	"  web: {" SERVERS ", retries: 1, sticky: {cookie: lb, secret: " SECRET ", max_age: 1d}}\n"
	"  other: {" SERVERS ", sticky: {cookie: lb, secret: " SECRET "}}\n"
	"  session: {" SERVERS ", sticky: own}\n";

static int configure(void **state)
{
	stage_configure(&stage, sticky_yaml);
	return 0;
}

/* ---- words ---- */

struct visit {
	int server;       /* the last number of its address; 0: none was asked */
	char cookie[256]; /* the whole Set-Cookie; empty: none */
	char value[256];  /* of it */
	char heard[2048]; /* what the server got */
	char all[4096];   /* what the client got */
};

static void look_for_cookie(struct visit *visit)
{
	static const char field[] = "\r\nSet-Cookie: ";
	const char *at = strstr(visit->all, field), *end;

	if (!at)
		return;
	assert_null(strstr(at + 1, field)); /* once */
	at += strlen(field);
	end = strstr(at, "\r\n");
	snprintf(visit->cookie, sizeof(visit->cookie), "%.*s", (int)(end - at), at);
	at = strchr(visit->cookie, '=') + 1;
	snprintf(visit->value, sizeof(visit->value), "%.*s", (int)strcspn(at, ";"), at);
}

/* One request with these lines, on a connection of its own; the server says `answer`. */
static struct visit visit_with(unsigned listener, const char *path, const char *lines, const char *answer)
{
	struct stage_peer *client = client_of(1, listener);
	struct visit visit = {0};
	char request[4096];

	for (unsigned i = 0; i < stage.server_count; i++)
		stage.servers[i].seen = stage.servers[i].len;
	snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: a.test\r\n%s\r\n", path, lines);
	say(client, request);
	for (unsigned i = 0; i < stage.server_count; i++) {
		struct stage_peer *server = &stage.servers[i];
		if (server->len == server->seen)
			continue;
		assert_int_equal(visit.server, 0);
		visit.server = server->address.ip[3];
		snprintf(visit.heard, sizeof(visit.heard), "%s", (char *)server->bytes + server->seen);
		say(server, answer);
	}
	snprintf(visit.all, sizeof(visit.all), "%s", client->len ? (char *)client->bytes : "");
	look_for_cookie(&visit);
	return visit;
}

static struct visit visit_of(const char *path, const char *lines)
{
	return visit_with(PLAIN, path, lines, OK("", "0"));
}

/* Comes with this cookie alone. */
static struct visit visit_again(const char *path, const char *value)
{
	char line[512];

	snprintf(line, sizeof(line), "Cookie: lb=%s\r\n", value);
	return visit_of(path, line);
}

static struct fleet_server *server_of(int number)
{
	const struct upstream_view *view = upstream_group(&stage.worker, 0)->view;

	for (unsigned i = 0; i < view->count; i++)
		if (view->servers[i]->fleet->address.ip[3] == number)
			return view->servers[i]->fleet;
	fail_msg("no server %d", number);
	return NULL;
}

static void touch(void)
{
	fleet_touch(fleet_group_at(stage.fleet, 0));
}

/* ---- tests ---- */

static void test_comes_back(void **state)
{
	for (unsigned i = 0; i < 6; i++) {
		struct visit first = visit_of("/", ""), next;
		char expected[512];
		assert_int_equal(strlen(first.value), STICKY_TEXT);
		snprintf(expected, sizeof(expected), "lb=%s; Path=/; HttpOnly; SameSite=Lax; Max-Age=86400",
			 first.value);
		assert_string_equal(first.cookie, expected);
		for (unsigned j = 0; j < 4; j++) {
			next = visit_again("/", first.value);
			assert_int_equal(next.server, first.server);
			assert_string_equal(next.cookie, ""); /* it has one */
			assert_null(strstr(next.heard, "Cookie"));
		}
	}
}

/* Nothing of it tells which server it is, or that two are the same. */
static void test_tells_nothing(void **state)
{
	char values[12][STICKY_TEXT + 1];

	for (unsigned i = 0; i < ARRAY_LENGTH(values); i++) {
		struct visit visit = visit_of("/", "");
		memcpy(values[i], visit.value, sizeof(values[i]));
		for (unsigned j = 0; j < i; j++)
			for (unsigned k = 0; k < STICKY_TEXT; k += 16)
				assert_memory_not_equal(values[i] + k, values[j] + k, 16);
	}
}

/* RFC 6265 5.4: servers see the other cookies as they came. */
static void test_others_stay(void **state)
{
	static const struct {
		const char *sent, *heard; /* "%s" is the cookie */
	} cases[] = {
		{"Cookie: %s\r\n", NULL},
		{"Cookie: a=1; %s; b=2\r\n", "Cookie: a=1; b=2\r\n"},
		{"Cookie: %s; b=\"2;%s;  c =3\r\n", "Cookie: b=\"2;  c =3\r\n"},
		{"Cookie: a=1;%s\r\n", "Cookie: a=1\r\n"},
		{"Cookie: lb=old; %s; xlb=1; LB=2; lb; lb2=3\r\n", "Cookie: xlb=1; LB=2; lb; lb2=3\r\n"},
		{"Cookie: a=1\r\nCookie: %s\r\nCookie: b=2; %s\r\n", "Cookie: a=1\r\nCookie: b=2\r\n"},
	};
	struct visit first = visit_of("/", "");
	char cookie[512], lines[2048];

	snprintf(cookie, sizeof(cookie), "lb=%s", first.value);
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		const char *at = cases[i].sent, *hole;
		size_t len = 0;
		while ((hole = strstr(at, "%s"))) {
			len += (size_t)snprintf(lines + len, sizeof(lines) - len, "%.*s%s", (int)(hole - at),
						at, cookie);
			at = hole + 2;
		}
		snprintf(lines + len, sizeof(lines) - len, "%s", at);
		struct visit visit = visit_of("/", lines);
		assert_int_equal(visit.server, first.server);
		assert_string_equal(visit.cookie, "");
		if (cases[i].heard ? !strstr(visit.heard, cases[i].heard) :
				     strstr(visit.heard, "Cookie") != NULL)
			fail_msg("%s became %s", lines, visit.heard);
	}
}

/* Each character changed, each length: as good as none. No server sees it either. */
static void test_what_is_not_ours(void **state)
{
	struct visit first = visit_of("/", "");
	char value[64];

	for (size_t i = 0; i < STICKY_TEXT; i++) {
		memcpy(value, first.value, sizeof(value));
		value[i] = value[i] == 'A' ? 'B' : 'A';
		struct visit visit = visit_again("/", value);
		assert_int_not_equal(strlen(visit.cookie), 0);
		assert_null(strstr(visit.heard, "Cookie"));
		memcpy(value, first.value, sizeof(value));
		value[i] = 0;
		visit = visit_again("/", value);
		assert_int_not_equal(strlen(visit.cookie), 0);
		assert_null(strstr(visit.heard, "Cookie"));
	}
}

/* The same secret, another group. */
static void test_other_group(void **state)
{
	struct visit first = visit_of("/", ""), other = visit_again("/other", first.value);

	assert_int_not_equal(strlen(other.cookie), 0);
	assert_string_equal(visit_again("/other", other.value).cookie, "");
	assert_int_not_equal(strlen(visit_again("/", other.value).cookie), 0);
}

/* Without a secret there is one for the process; without max_age the browser forgets. */
static void test_session(void **state)
{
	struct visit first = visit_of("/session", ""), next;
	char line[512], expected[512];

	snprintf(expected, sizeof(expected), "own=%s; Path=/; HttpOnly; SameSite=Lax", first.value);
	assert_string_equal(first.cookie, expected);
	snprintf(line, sizeof(line), "Cookie: lb=kept; own=%s\r\n", first.value);
	next = visit_of("/session", line);
	assert_int_equal(next.server, first.server);
	assert_string_equal(next.cookie, "");
	assert_non_null(strstr(next.heard, "\r\nCookie: lb=kept\r\n"));
	/* Another process. */
	stage_stop(&stage);
	stage_start(&stage);
	assert_int_not_equal(strlen(visit_of("/session", line).cookie), 0);
}

/* With a secret it is understood after a restart. */
static void test_restart(void **state)
{
	for (unsigned i = 0; i < 3; i++) {
		struct visit first = visit_of("/", "");
		stage_stop(&stage);
		stage_start(&stage);
		for (unsigned j = 0; j < i; j++)
			visit_of("/", ""); /* another one's turn */
		struct visit next = visit_again("/", first.value);
		assert_int_equal(next.server, first.server);
		assert_string_equal(next.cookie, "");
	}
}

static void test_moves_when_down(void **state)
{
	struct visit first = visit_of("/", ""), next, back;

	atomic_store(&server_of(first.server)->health, FLEET_DOWN);
	touch();
	next = visit_again("/", first.value);
	assert_int_not_equal(next.server, first.server);
	assert_int_not_equal(strlen(next.cookie), 0);
	atomic_store(&server_of(first.server)->health, FLEET_UP);
	touch();
	back = visit_again("/", next.value);
	assert_int_equal(back.server, next.server);
	assert_string_equal(back.cookie, "");
}

/* Who belongs to a server that drains stays; nobody else comes. */
static void test_stays_when_draining(void **state)
{
	struct visit first = visit_of("/", "");

	atomic_store(&server_of(first.server)->order, FLEET_DRAIN);
	touch();
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(visit_again("/", first.value).server, first.server);
		assert_int_not_equal(visit_of("/", "").server, first.server);
	}
	atomic_store(&server_of(first.server)->order, FLEET_MAINTENANCE);
	touch();
	assert_int_not_equal(visit_again("/", first.value).server, first.server);
}

/* The server that has answered is the one that the cookie is for. */
static void test_moves_with_a_retry(void **state)
{
	struct visit first = visit_of("/", ""), next;

	stage_stop(&stage);
	stage_start(&stage); /* no connection is left */
	stage.refuse_next = ECONNREFUSED;
	next = visit_again("/", first.value);
	assert_int_not_equal(next.server, 0);
	assert_int_not_equal(next.server, first.server);
	assert_int_not_equal(strlen(next.cookie), 0);
	assert_int_equal(visit_again("/", next.value).server, next.server);
}

static void test_answers_of_our_own(void **state)
{
	assert_string_equal(visit_of("/respond", "").cookie, "");
	for (int i = 1; i <= 3; i++)
		atomic_store(&server_of(i)->health, FLEET_DOWN);
	touch();
	struct visit visit = visit_of("/", "");
	assert_non_null(strstr(visit.all, "HTTP/1.1 503 "));
	assert_string_equal(visit.cookie, "");
}

/* Ours comes beside theirs; edits are for theirs. */
static void test_beside_cookies_of_servers(void **state)
{
	static const char answer[] = "HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n";
	struct stage_peer *client = client_of(1, PLAIN);

	say(client, GET("/"));
	say(server_at(0), answer);
	assert_has(client, "\r\nSet-Cookie: a=b\r\n");
	assert_has(client, "\r\nSet-Cookie: lb=");
	struct visit visit = visit_with(PLAIN, "/hides", "", answer);
	assert_int_equal(strncmp(visit.cookie, "lb=", 3), 0);
}

/* RFC 6265 5.2.5: only where the client speaks https, to us or to a hop that is trusted. */
static void test_secure(void **state)
{
	static const char says_https[] = "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\n";

	assert_null(strstr(visit_with(PLAIN, "/", says_https, OK("", "0")).cookie, "Secure"));
	assert_null(strstr(visit_with(TRUSTING, "/", "", OK("", "0")).cookie, "Secure"));
	assert_non_null(
		strstr(visit_with(TRUSTING, "/", says_https, OK("", "0")).cookie, "; SameSite=Lax; Secure"));
}

/* Of interim answers and refused ones nothing is said. */
static void test_interim(void **state)
{
	struct visit visit =
		visit_with(PLAIN, "/", "", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" OK("", "0"));

	assert_true(strstr(visit.all, "Set-Cookie") > strstr(visit.all, "HTTP/1.1 200"));
}

/* Whichever allocation fails, the cookie goes to no server. */
static void test_allocation_failures(void **state)
{
	struct visit first = visit_of("/", "");
	char lines[512];
	unsigned answered = 0;

	snprintf(lines, sizeof(lines), "Cookie: a=1; lb=%s\r\n", first.value);
	for (unsigned nth = 2; nth < 60; nth++) {
		stage_stop(&stage);
		stage_start(&stage);
		memory_fail_every(&stage.memory, nth);
		if (!stage_connect(&stage, 1, PLAIN))
			continue;
		stage_say(&stage.clients[1], "GET / HTTP/1.1\r\nHost: a.test\r\n");
		stage_say(&stage.clients[1], lines);
		stage_say(&stage.clients[1], "\r\n");
		stage_turns(&stage, 4);
		for (unsigned i = 0; i < stage.server_count; i++) {
			assert_null(stage.servers[i].len ? strstr((char *)stage.servers[i].bytes, "lb=") :
							   NULL);
			stage_say(&stage.servers[i], OK("", "0"));
		}
		stage_turns(&stage, 4);
		answered += has(&stage.clients[1], "HTTP/1.1 200 OK");
	}
	memory_fail_every(&stage.memory, 0);
	assert_int_not_equal(answered, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_comes_back, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_tells_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_others_stay, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_is_not_ours, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_other_group, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_session, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_restart, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_moves_when_down, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_stays_when_draining, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_moves_with_a_retry, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_answers_of_our_own, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_beside_cookies_of_servers, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_secure, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_interim, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_allocation_failures, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, configure, group_tear_down);
}
