/*
 * The first moments of connections, on a stage: however PROXY headers, prefaces and ClientHellos are cut, the codec sees the same; whoever says
 * nothing goes in time; and each connection is counted once as gone, also while memory fails.
 */
#include "../../support/stage.h"

#include <openssl/ssl.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "../../support/certificates.h"

enum { SECURE, PROXIED, CLEAR, BOTH }; /* listeners */
enum { STRANGER = 1, BALANCER = 2 };   /* clients: 10.1.0.2 sends PROXY headers */
enum { EVERY_MOST = 120 };

#define GET "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"
#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define V1 "PROXY TCP4 192.0.2.7 198.51.100.1 1234 443\r\n"

static const uint8_t v2[] = {0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49,
			     0x54, 0x0a, 0x21, 0x11, 0x00, 0x0c, 192,  0,    2,    7,
			     198,  51,   100,  1,    0x04, 0xd2, 0x01, 0xbb};

static struct stage stage;
static SSL_CTX *context;

/* ---- setting up ---- */

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static int group_set_up(void **state)
{
	static const char yaml[] =
		"limits: {memory: 64 MiB}\n"
		"timeouts: {handshake: 5s, header: 7s, idle: 20s}\n"
		"reverse:\n"
		"  - {listen: \"127.0.0.1:1\", tls: &tls {certificates: [{certificate: %s/c, key: %s/k}]}, routes: &all [{respond: {body: hello}}]}\n"
		"  - {listen: \"127.0.0.1:2\", proxy_protocol: [10.1.0.2], routes: *all}\n"
		"  - {listen: \"127.0.0.1:3\", http2: clear, routes: *all}\n"
		"  - {listen: \"127.0.0.1:4\", tls: *tls, proxy_protocol: [10.1.0.2], routes: *all}\n";
	char directory[] = "/tmp/guise-entrance-XXXXXX", path[64], text[sizeof(yaml) + 128];
	struct certificate made = certificate_make((struct certificate_wish){.names = "DNS:a.test"});

	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/c", directory);
	write_file(path, made.pem);
	snprintf(path, sizeof(path), "%s/k", directory);
	write_file(path, made.key_pem);
	snprintf(text, sizeof(text), yaml, directory, directory);
	stage_configure(&stage, text);
	unlink(path);
	snprintf(path, sizeof(path), "%s/c", directory);
	unlink(path);
	rmdir(directory);
	certificate_free(&made);
	context = SSL_CTX_new(TLS_client_method());
	assert_non_null(context);
	return 0;
}

static int group_tear_down(void **state)
{
	SSL_CTX_free(context);
	stage_discard(&stage);
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

static struct stage_peer *client_of(unsigned who, unsigned listener)
{
	assert_true(stage_connect(&stage, who, listener));
	return &stage.clients[who];
}

static bool has(const struct stage_peer *peer, const char *text)
{
	return peer->bytes && strstr((const char *)peer->bytes, text) != NULL;
}

/* ---- cuts ---- */

static void send_cut(struct stage_peer *client, struct span bytes, size_t cut)
{
	stage_send(client, span_first(bytes, cut));
	stage_turns(&stage, 3);
	stage_send(client, span_from(bytes, cut));
	stage_turns(&stage, 3);
}

static void check_header_at_every_cut(struct span header)
{
	uint8_t all[256];
	size_t len = header.len + strlen(GET);

	memcpy(all, header.at, header.len);
	memcpy(all + header.len, GET, strlen(GET));
	for (size_t cut = 1; cut <= len; cut++) {
		unsigned gone = stage.gone;
		struct stage_peer *client = client_of(BALANCER, PROXIED);
		send_cut(client, span_make(all, len), cut);
		assert_true(has(client, "HTTP/1.1 200 OK\r\n") && has(client, "\r\n\r\nhello"));
		assert_false(client->ended);
		stage_peer_close(client);
		stage_turns(&stage, 2);
		assert_int_equal(stage.gone, gone + 1);
	}
}

static void test_headers_at_every_cut(void **state)
{
	check_header_at_every_cut(SPAN(V1));
	check_header_at_every_cut(span_make(v2, sizeof(v2)));
}

static void test_bad_header_at_every_cut(void **state)
{
	static const char bad[] = "PROXY TCP4 192.0.2.7 198.51.100.1 1234 99999\r\n" GET;

	for (size_t cut = 1; cut < strlen(bad); cut++) {
		struct stage_peer *client = client_of(BALANCER, PROXIED);
		send_cut(client, span_of(bad), cut);
		assert_true(client->ended);
		assert_int_equal(client->len, 0);
		assert_int_equal(stage.gone, cut);
	}
}

static void test_preface_at_every_cut(void **state)
{
	static const char all[] = PREFACE "\0\0\0\4\0\0\0\0";

	for (size_t cut = 1; cut < sizeof(all); cut++) {
		struct stage_peer *client = client_of(STRANGER, CLEAR);
		send_cut(client, span_make(all, sizeof(all)), cut);
		assert_true(client->len > 9 && client->bytes[3] == 4); /* SETTINGS */
		assert_false(client->ended);
	}
}

static void test_other_requests_beside_the_preface(void **state)
{
	static const char *const methods[] = {"GET", "P", "PR", "PRI", "POST"};
	char text[64];

	for (unsigned i = 0; i < ARRAY_LENGTH(methods); i++)
		for (size_t cut = 1; cut < 6; cut++) {
			struct stage_peer *client = client_of(STRANGER, CLEAR);
			snprintf(text, sizeof(text), "%s / HTTP/1.1\r\nHost: a.test\r\n\r\n", methods[i]);
			send_cut(client, span_of(text), cut);
			assert_true(has(client, "HTTP/1.1 200 OK\r\n"));
		}
}

static void test_plain_http_at_every_cut(void **state)
{
	for (size_t cut = 1; cut < strlen(GET); cut++) {
		struct stage_peer *client = client_of(STRANGER, SECURE);
		send_cut(client, span_of(GET), cut);
		assert_true(has(client, "HTTP/1.1 400 ") && has(client, "speaks TLS: use https"));
	}
}

/* ---- TLS ---- */

/* Shakes hands, with the first flight cut in two; then asks. False: the other side ended it. */
static bool ask_over_tls(struct stage_peer *client, struct span before, size_t cut)
{
	SSL *ssl = SSL_new(context);
	BIO *out = BIO_new(BIO_s_mem());
	char answer[1024], *first;
	int result = -1;
	uint8_t all[4096]; /* newer libraries send keys of more than 1 KiB */

	assert_true(ssl && out);
	client->paused = true;
	SSL_set_bio(ssl, BIO_new_socket(client->fd, BIO_NOCLOSE), out);
	assert_int_equal(SSL_connect(ssl), -1);
	size_t len = (size_t)BIO_get_mem_data(out, &first);
	assert_true(before.len + len <= sizeof(all));
	if (before.len)
		memcpy(all, before.at, before.len);
	memcpy(all + before.len, first, len);
	send_cut(client, span_make(all, before.len + len), cut % (before.len + len));
	SSL_set0_wbio(ssl, BIO_new_socket(client->fd, BIO_NOCLOSE));
	for (unsigned i = 0; i < 10 && result != 1; i++) {
		result = SSL_connect(ssl);
		stage_turns(&stage, 2);
	}
	int got = -1;
	if (result == 1 && SSL_write(ssl, GET, (int)strlen(GET)) > 0) {
		stage_turns(&stage, 3);
		got = SSL_read(ssl, answer, sizeof(answer) - 1);
	}
	answer[got > 0 ? got : 0] = '\0';
	SSL_free(ssl);
	return strstr(answer, "HTTP/1.1 200 OK\r\n") != NULL;
}

static void test_client_hello_at_every_cut(void **state)
{
	for (size_t cut = 1; cut < 300; cut += 3) {
		unsigned gone = stage.gone;
		struct stage_peer *client = client_of(STRANGER, SECURE);
		assert_true(ask_over_tls(client, (struct span){0}, cut));
		stage_peer_close(client);
		stage_turns(&stage, 2);
		assert_int_equal(stage.gone, gone + 1);
	}
}

static void test_header_and_client_hello_at_every_cut(void **state)
{
	for (size_t cut = 1; cut < 100; cut++) {
		struct stage_peer *client = client_of(BALANCER, BOTH);
		assert_true(ask_over_tls(client, SPAN(V1), cut));
	}
}

/* ---- time, and the end ---- */

static void check_ends_after(unsigned who, unsigned listener, const char *said, uint64_t ms)
{
	struct stage_peer *client = client_of(who, listener);

	stage_say(client, said);
	stage_turns(&stage, 3);
	stage_pass(&stage, ms - 1000);
	stage_turns(&stage, 2);
	assert_false(client->ended);
	stage_pass(&stage, 2000);
	stage_turns(&stage, 2);
	assert_true(client->ended);
	assert_int_equal(client->len, 0);
}

static void test_times(void **state)
{
	check_ends_after(STRANGER, SECURE, "", 5000);
	check_ends_after(STRANGER, SECURE, "GE", 5000);
	check_ends_after(BALANCER, PROXIED, "", 5000);
	check_ends_after(BALANCER, PROXIED, "PROXY TCP4 ", 5000);
	check_ends_after(BALANCER, BOTH, "", 5000);
	check_ends_after(BALANCER, BOTH, V1, 5000);
	check_ends_after(STRANGER, CLEAR, "", 20000);
	check_ends_after(STRANGER, CLEAR, "PRI *", 7000);
	check_ends_after(BALANCER, PROXIED, V1, 20000);
	assert_int_equal(stage.gone, 9);
}

static void test_draining(void **state)
{
	static const struct {
		unsigned who, listener;
		const char *said;
		bool ends;
	} cases[] = {
		{STRANGER, SECURE, "", true},  {STRANGER, SECURE, "GE", false},
		{BALANCER, PROXIED, "", true}, {BALANCER, BOTH, "PRO", false},
		{STRANGER, CLEAR, "", true},   {STRANGER, CLEAR, "PRI", false},
	};

	for (unsigned i = 0; i < ARRAY_LENGTH(cases); i++) {
		struct stage_peer *client = client_of(cases[i].who, cases[i].listener);
		stage_say(client, cases[i].said);
		stage_turns(&stage, 2);
		entrance_drain(&stage.worker);
		stage_turns(&stage, 2);
		assert_int_equal(client->ended, cases[i].ends);
		entrance_cut(&stage.worker);
		stage_turns(&stage, 2);
		assert_true(client->ended);
		assert_int_equal(stage.gone, i + 1);
	}
}

/* ---- while memory fails ---- */

static unsigned opened;

static struct stage_peer *try_open(unsigned who, unsigned listener)
{
	if (!stage_connect(&stage, who, listener))
		return NULL;
	opened++;
	return &stage.clients[who];
}

static void try_cut(unsigned who, unsigned listener, struct span bytes, size_t cut)
{
	struct stage_peer *client = try_open(who, listener);

	if (client)
		send_cut(client, bytes, cut);
}

static void test_memory(void **state)
{
	for (uint64_t every = 1; every < EVERY_MOST; every++) {
		opened = 0;
		memory_fail_every(&stage.memory, every);
		for (unsigned i = 0; i < 3; i++) {
			try_cut(BALANCER, PROXIED, SPAN(V1 GET), 10 + i);
			try_cut(BALANCER, PROXIED, SPAN("PROXY nonsense\r\n"), 8);
			try_cut(STRANGER, CLEAR, SPAN(PREFACE), 5);
			try_cut(STRANGER, CLEAR, SPAN(GET), 5);
			try_cut(STRANGER, SECURE, SPAN(GET), 2);
			try_cut(STRANGER, SECURE, SPAN("\1\2\3"), 1);
			struct stage_peer *client = try_open(BALANCER, BOTH);
			if (client)
				(void)ask_over_tls(client, SPAN(V1), 20);
		}
		memory_fail_every(&stage.memory, 0);
		assert_true(ask_over_tls(client_of(BALANCER, BOTH), SPAN(V1), 20));
		entrance_cut(&stage.worker);
		stage_turns(&stage, 2);
		assert_int_equal(stage.gone, opened + 1);
		stage_stop(&stage);
		stage_start(&stage);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_headers_at_every_cut, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_bad_header_at_every_cut, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_preface_at_every_cut, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_other_requests_beside_the_preface, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_plain_http_at_every_cut, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_client_hello_at_every_cut, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_header_and_client_hello_at_every_cut, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_times, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_draining, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_memory, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, group_set_up, group_tear_down);
}
