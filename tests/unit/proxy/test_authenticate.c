/*
 * Who asks, on a whole proxy: what a request has to say, what it is answered otherwise, and that the loop goes on while a password is verified.
 */
#include "../../support/stage.h"

#include "core/base64.h"

#include <crypt.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { USERS, NETWORKS, NARROW, OPEN }; /* listeners */

static struct stage stage;
static char directory[] = "/tmp/guise-users-XXXXXX";
static char path[64];

/* ---- setting up ---- */

static void write_line(FILE *file, const char *name, const char *password, unsigned long cost)
{
	char salt[CRYPT_GENSALT_OUTPUT_SIZE];
	struct crypt_data *data = calloc(1, sizeof(*data));

	assert_non_null(crypt_gensalt_rn("$2b$", cost, NULL, 0, salt, sizeof(salt)));
	assert_true(fprintf(file, "%s:%s\n", name, crypt_r(password, salt, data)) > 0);
	free(data);
}

static int group_set_up(void **state)
{
	static const char yaml[] =
		"limits: {memory: 64 MiB, body: 128 KiB, flow: 4 KiB}\n"
		"timeouts: {header: 5s, idle: 10s, body: 6s, total: 100s, connect: 2s, response: 7s, tunnel: 20s, pool: 12s}\n"
		"forward:\n"
		"  - {listen: 127.0.0.1:3128, mask: transparent, rules: [{allow: {addresses: [10.0.0.0/8]}}],\n"
		"     users: {file: %s, networks: {printers: [10.1.0.7]}, realm: 'The \"house\"', brake: {failures: 3, delay: 30s}}}\n"
		"  - {listen: 127.0.0.1:3129, mask: transparent, rules: [{allow: {addresses: [10.0.0.0/8]}}],\n"
		"     users: {networks: {printers: [10.1.0.7]}}}\n"
		"  - {listen: 127.0.0.1:3130, mask: elite, rules: [{allow: {addresses: [10.0.0.0/8]}}],\n"
		"     users: {file: %s, threads: 1, queue: 1, brake: {failures: unlimited}}}\n"
		"  - {listen: 127.0.0.1:3131, mask: transparent, rules: [{allow: {addresses: [10.0.0.0/8]}}]}\n";
	static char text[2048];

	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/users", directory);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	write_line(file, "ann", "secret", 4);
	write_line(file, "slow", "secret", 13);
	assert_int_equal(fclose(file), 0);
	assert_true((size_t)snprintf(text, sizeof(text), yaml, path, path) < sizeof(text));
	stage_configure(&stage, text);
	return 0;
}

static int group_tear_down(void **state)
{
	stage_discard(&stage);
	unlink(path);
	rmdir(directory);
	return 0;
}

static int set_up(void **state)
{
	stage_start(&stage);
	return 0;
}

static int tear_down(void **state)
{
	stage_stop(&stage);
	return 0;
}

/* ---- words ---- */

static bool has(const struct stage_peer *peer, const char *text)
{
	return peer->bytes && strstr((const char *)peer->bytes, text) != NULL;
}

#define assert_has(peer, text)                                                                               \
	do {                                                                                                 \
		if (!has((peer), (text)))                                                                    \
			fail_msg("no \"%s\" in \"%s\"", (text), (peer)->len ? (char *)(peer)->bytes : "");   \
	} while (0)

static void say(struct stage_peer *peer, const char *text)
{
	assert_int_equal(stage_say(peer, text), strlen(text));
	stage_turns(&stage, 3);
}

static struct stage_peer *client_of(unsigned who, unsigned listener)
{
	assert_true(stage_connect(&stage, who, listener));
	return &stage.clients[who];
}

/* Until the threads have answered: the loop waits for their letter. */
static void wait_for(const struct stage_peer *peer, const char *text)
{
	for (unsigned i = 0; i < 1000 && !has(peer, text); i++) {
		loop_turn(&stage.worker.loop, 20);
		stage_turn(&stage);
	}
	assert_has(peer, text);
}

static void wait_for_server(unsigned count)
{
	for (unsigned i = 0; i < 1000 && stage.server_count < count; i++) {
		loop_turn(&stage.worker.loop, 20);
		stage_turn(&stage);
	}
	assert_int_equal(stage.server_count, count);
}

static void forget(struct stage_peer *peer)
{
	peer->len = 0;
	peer->bytes[0] = 0;
}

static const char *login(const char *user, const char *password)
{
	static char line[256];
	char plain[128];
	size_t len = (size_t)snprintf(plain, sizeof(plain), "%s:%s", user, password);

	strcpy(line, "Proxy-Authorization: Basic ");
	size_t at = strlen(line);
	base64_encode(span_make(plain, len), line + at);
	strcpy(line + at + base64_length(len), "\r\n");
	return line;
}

static void ask(struct stage_peer *peer, const char *host, const char *fields, const char *body)
{
	char text[1024];

	snprintf(text, sizeof(text), "%s http://%s/ HTTP/1.1\r\nHost: %s\r\n%s%s%s", *body ? "POST" : "GET",
		 host, host, fields, *body ? "" : "\r\n", body);
	say(peer, text);
}

#define OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
#define CHALLENGE "Proxy-Authenticate: Basic realm=\"The \\\"house\\\"\", charset=\"UTF-8\"\r\n"

/* ---- tests ---- */

/* 407, then the password, on the same connection; then nothing is verified any more. */
static void test_asked_then_let_in(void **state)
{
	struct stage_peer *client = client_of(1, USERS);

	ask(client, "10.2.0.1", "", "");
	assert_has(client, "HTTP/1.1 407 Proxy Authentication Required\r\n");
	assert_has(client, CHALLENGE);
	assert_false(client->ended || has(client, "Connection: close"));
	assert_int_equal(stage.server_count, 0);
	forget(client);
	ask(client, "10.2.0.1", login("ann", "secret"), "");
	wait_for_server(1);
	assert_has(&stage.servers[0], "GET / HTTP/1.1\r\n");
	assert_false(has(&stage.servers[0], "uthoriz"));
	say(&stage.servers[0], OK);
	assert_has(client, "HTTP/1.1 200 OK\r\n");
	forget(client);
	ask(client, "10.2.0.1", login("ann", "secret"), "");
	assert_has(&stage.servers[0], "GET / HTTP/1.1\r\n"); /* within those turns: no thread was asked */
	say(&stage.servers[0], OK);
	assert_has(client, "HTTP/1.1 200 OK\r\n");
}

/* The content of a request that is not let in is taken and dropped, so that the next request is one. */
static void test_content_is_dealt_with(void **state)
{
	struct stage_peer *client = client_of(1, USERS);

	ask(client, "10.2.0.1", "", "Content-Length: 5\r\n\r\nhello");
	assert_has(client, "HTTP/1.1 407 ");
	forget(client);
	ask(client, "10.2.0.1", "Transfer-Encoding: chunked\r\n", "\r\n5\r\nhello\r\n");
	assert_has(client, "HTTP/1.1 407 ");
	forget(client);
	say(client, "0\r\n\r\n");
	ask(client, "10.2.0.1", login("ann", "secret"), "Content-Length: 5\r\n\r\nhello");
	wait_for_server(1);
	assert_has(&stage.servers[0], "hello");
	/* more of it than is worth reading: then the connection ends */
	client = client_of(2, USERS);
	ask(client, "10.2.0.1", "", "Content-Length: 100000\r\n\r\nhello");
	assert_has(client, "HTTP/1.1 407 ");
	assert_has(client, "Connection: close\r\n");
	/* a client that waits to be told does not send it */
	client = client_of(3, USERS);
	ask(client, "10.2.0.1", "Expect: 100-continue\r\n", "Content-Length: 5\r\n\r\n");
	assert_has(client, "HTTP/1.1 407 ");
	assert_false(has(client, "100 Continue"));
}

/* RFC 9931, of CONNECT: what follows a CONNECT that was refused may be meant for the tunnel, and is no request. */
static void test_connect(void **state)
{
	struct stage_peer *client = client_of(1, USERS);
	char text[512];

	say(client,
	    "CONNECT 10.2.0.1:443 HTTP/1.1\r\nHost: 10.2.0.1:443\r\n\r\nGET http://10.2.0.2/ HTTP/1.1\r\nHost: 10.2.0.2\r\n\r\n");
	assert_has(client, "HTTP/1.1 407 ");
	assert_has(client, CHALLENGE);
	assert_has(client, "Connection: close\r\n");
	stage_turns(&stage, 3);
	assert_true(client->ended);
	assert_int_equal(stage.server_count, 0);
	client = client_of(1, USERS);
	snprintf(text, sizeof(text), "CONNECT 10.2.0.1:443 HTTP/1.1\r\nHost: 10.2.0.1:443\r\n%s\r\n",
		 login("ann", "secret"));
	say(client, text);
	wait_for(client, "HTTP/1.1 200 ");
	say(client, "ping");
	assert_has(&stage.servers[0], "ping");
	assert_false(has(&stage.servers[0], "uthoriz"));
}

static void test_wrong_ones(void **state)
{
	static const char *const unread[] = {
		"Proxy-Authorization: Basic\r\n",           "Proxy-Authorization: Basic !\r\n",
		"Proxy-Authorization: Basic YW5u\r\n",      "Proxy-Authorization: Basic YW5uCjpzZWNyZXQ=\r\n",
		"Proxy-Authorization: Bearer c2VjcmV0\r\n", "Proxy-Authorization: \r\n",
		"Authorization: Basic YW5uOnNlY3JldA==\r\n"};
	struct stage_peer *client = client_of(1, USERS);

	for (size_t i = 0; i < ARRAY_LENGTH(unread); i++) {
		ask(client, "10.2.0.1", unread[i], "");
		assert_has(client, "HTTP/1.1 407 ");
		forget(client);
	}
	ask(client, "10.2.0.1", login("ann", "wrong"), "");
	wait_for(client, "HTTP/1.1 407 ");
	assert_has(client, "wrong user or password");
	forget(client);
	ask(client, "10.2.0.1", login("nobody", "secret"), "");
	wait_for(client, "HTTP/1.1 407 ");
	assert_has(client, "wrong user or password"); /* and no word of who is there */
	assert_int_equal(stage.server_count, 0);
	/* two of them */
	client = client_of(2, USERS);
	char fields[512];
	snprintf(fields, sizeof(fields), "%sProxy-Authorization: Bearer x\r\n", login("ann", "secret"));
	ask(client, "10.2.0.1", fields, "");
	assert_has(client, "HTTP/1.1 400 ");
}

/* After three, nothing is looked at for half a minute; who was there before goes on. */
static void test_braked(void **state)
{
	struct stage_peer *known = client_of(2, USERS), *client = client_of(1, USERS);

	ask(known, "10.2.0.1", login("ann", "secret"), "");
	wait_for_server(1);
	say(&stage.servers[0], OK);
	for (unsigned i = 0; i < 3; i++) {
		char password[16];
		snprintf(password, sizeof(password), "wrong%u", i);
		client = client_of(1, USERS);
		ask(client, "10.2.0.1", login("ann", password), "");
		wait_for(client, "HTTP/1.1 407 ");
	}
	client = client_of(1, USERS);
	ask(client, "10.2.0.1", login("ann", "secret"), "");
	assert_has(client, "HTTP/1.1 429 Too Many Requests\r\n");
	assert_has(client, "Retry-After: 30\r\n");
	assert_false(has(client, "Proxy-Authenticate"));
	forget(known);
	ask(known, "10.2.0.1", login("ann", "secret"), "");
	say(&stage.servers[0], OK);
	assert_has(known, "HTTP/1.1 200 ");
	stage_pass(&stage, 30000);
	client = client_of(1, USERS);
	ask(client, "10.2.0.1", login("ann", "secret"), "");
	wait_for_server(2);
}

/* A hash that takes long keeps its thread busy, and nobody else. */
static void test_others_go_on(void **state)
{
	struct stage_peer *slow = client_of(1, NARROW), *next = client_of(2, NARROW),
			  *other = client_of(3, OPEN);

	ask(slow, "10.2.0.1", login("slow", "secret"), "");
	assert_int_equal(slow->len, 0);
	ask(other, "10.2.0.3", "", "");
	assert_int_equal(stage.server_count, 1); /* while the first one is waited for */
	say(&stage.servers[0], OK);
	assert_has(other, "HTTP/1.1 200 ");
	assert_int_equal(slow->len, 0);
	/* the only place in the queue is taken */
	ask(next, "10.2.0.1", login("ann", "secret"), "");
	assert_has(next, "HTTP/1.1 503 ");
	assert_has(next, "Retry-After: 1\r\n");
	assert_int_equal(slow->len, 0);
	wait_for_server(2);
	say(&stage.servers[1], OK);
	assert_has(slow, "HTTP/1.1 200 ");
}

/* Who goes away meanwhile is not waited for. */
static void test_client_leaves(void **state)
{
	struct stage_peer *client = client_of(1, NARROW);

	ask(client, "10.2.0.1", login("slow", "secret"), "");
	assert_int_equal(exchange_count(&stage.worker), 1);
	stage_peer_close(client);
	stage_turns(&stage, 3);
	/* half a close may be waited out, but no server is asked */
	for (unsigned i = 0; i < 200 && exchange_count(&stage.worker); i++)
		stage_pass(&stage, 1000);
	assert_int_equal(exchange_count(&stage.worker), 0);
}

/* The total time of an exchange passes while its password is verified. */
static void test_times_out(void **state)
{
	struct stage_peer *client = client_of(1, NARROW);

	ask(client, "10.2.0.1", login("slow", "other"), "");
	stage_pass(&stage, 101 * 1000);
	stage_turns(&stage, 3);
	assert_has(client, "HTTP/1.1 504 ");
	assert_int_equal(stage.server_count, 0);
}

static void test_networks(void **state)
{
	struct stage_peer *client = client_of(7, USERS);

	ask(client, "10.2.0.1", "", "");
	assert_int_equal(stage.server_count, 1);
	say(&stage.servers[0], OK);
	/* who says something is held to it */
	forget(client);
	ask(client, "10.2.0.1", login("ann", "wrong"), "");
	wait_for(client, "HTTP/1.1 407 ");
	/* where nobody could log in, 407 would be asking in vain */
	client = client_of(1, NETWORKS);
	ask(client, "10.2.0.1", "", "");
	assert_has(client, "HTTP/1.1 403 ");
	forget(client);
	ask(client, "10.2.0.1", login("ann", "secret"), "");
	assert_has(client, "HTTP/1.1 403 ");
	client = client_of(7, NETWORKS);
	ask(client, "10.2.0.9", "", "");
	assert_int_equal(stage.server_count, 2);
}

/* Neither mask lets the credentials out, whoever they are for, and they are not in memory any more. */
static void test_credentials_end_here(void **state)
{
	static const unsigned listeners[] = {USERS, NARROW, OPEN};

	for (unsigned i = 0; i < ARRAY_LENGTH(listeners); i++) {
		struct stage_peer *client = client_of(7, listeners[i]);
		unsigned before = stage.server_count;
		ask(client, "10.2.0.1",
		    listeners[i] == NARROW ? login("ann", "secret") :
					     "Proxy-Authorization: Negotiate c2VjcmV0\r\n",
		    "");
		wait_for_server(before + 1);
		assert_has(&stage.servers[before], "GET / HTTP/1.1\r\n");
		assert_false(has(&stage.servers[before], "uthoriz"));
		assert_false(has(&stage.servers[before], "c2Vjcm"));
		say(&stage.servers[before], OK);
		stage_peer_close(&stage.servers[before]); /* it is the same client's next time */
		stage_turns(&stage, 2);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_asked_then_let_in, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_content_is_dealt_with, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_connect, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_wrong_ones, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_braked, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_others_go_on, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_client_leaves, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_times_out, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_networks, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_credentials_end_here, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, group_set_up, group_tear_down);
}
