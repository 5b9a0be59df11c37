/*
 * TLS for tools: both sides talk to each other over loopback, one of them on a thread of its own.
 */
#include "tls/blocking.h"
#include "tls/client_hello.h"

#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

struct pair {
	int client, server;
};

struct guest {
	pthread_t thread;
	int fd;
	struct tls_blocking_client options;
	struct tls_blocking *tls;
	const char *why;
};

static uint64_t soon(uint64_t ms)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_nsec / 1000000 + ms;
}

static struct pair connected(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	struct pair pair;

	assert_int_equal(bind(listener, (struct sockaddr *)&address, len), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &len), 0);
	pair.client = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(pair.client, (struct sockaddr *)&address, len), 0);
	pair.server = accept(listener, NULL, NULL);
	assert_true(pair.server >= 0);
	close(listener);
	return pair;
}

static void *on_guest(void *of)
{
	struct guest *guest = of;

	guest->tls = tls_blocking_connect(guest->fd, &guest->options, soon(5000), &guest->why);
	return NULL;
}

static void guest_start(struct guest *guest, int fd)
{
	guest->fd = fd;
	assert_int_equal(pthread_create(&guest->thread, NULL, on_guest, guest), 0);
}

static void guest_wait(struct guest *guest)
{
	assert_int_equal(pthread_join(guest->thread, NULL), 0);
}

struct house {
	struct tls_authority *authority;
	struct tls_blocking_server *server;
};

static int open_house(void **state)
{
	static struct house house;
	const char *why = "";

	signal(SIGPIPE, SIG_IGN);
	house.authority = tls_authority_new(&why);
	assert_non_null(house.authority);
	house.server = tls_blocking_server_new(house.authority, TLS_BLOCKING_BOTH, &why);
	assert_non_null(house.server);
	*state = &house;
	return 0;
}

static int close_house(void **state)
{
	struct house *house = *state;

	tls_blocking_server_free(house->server);
	tls_authority_free(house->authority);
	return 0;
}

/* The hello can be looked at first; then both sides agree, and bytes go both ways. */
static void test_talk(void **state)
{
	struct house *house = *state;
	struct pair pair = connected();
	struct guest guest = {.options = {.name = SPAN("shop.example"),
					  .alpn = TLS_BLOCKING_BOTH,
					  .ca = tls_authority_pem(house->authority)}};
	uint8_t hello[4096], byte[16];
	struct tls_client_hello parsed;
	struct tls_blocking *tls;
	const char *why = "";
	size_t len;

	guest_start(&guest, pair.client);
	len = tls_blocking_peek(pair.server, hello, sizeof(hello), soon(5000));
	assert_true(len > 0);
	assert_int_equal(tls_client_hello_peek(span_make(hello, len), &parsed), TLS_PEEK_DONE);
	assert_memory_equal(parsed.name, "shop.example", parsed.name_len);
	assert_true(parsed.h2);
	tls = tls_blocking_accept(pair.server, house->server, soon(5000), &why);
	guest_wait(&guest);
	assert_non_null(tls);
	assert_non_null(guest.tls);
	assert_true(span_equal(tls_blocking_hello(guest.tls), span_make(hello, len)));
	assert_true(span_equal(tls_blocking_alpn(guest.tls), SPAN("h2")));
	assert_true(span_equal(tls_blocking_alpn(tls), SPAN("h2")));
	assert_true(span_equal(tls_blocking_name(tls), SPAN("shop.example")));
	assert_string_equal(tls_blocking_version(tls), "TLSv1.3");
	assert_false(tls_blocking_resumed(tls));
	assert_true(tls_blocking_write(guest.tls, SPAN("hello"), soon(1000)));
	assert_int_equal(tls_blocking_read(tls, byte, 2, soon(1000)), 2);
	assert_true(tls_blocking_pending(tls));
	assert_int_equal(tls_blocking_read(tls, byte, sizeof(byte), soon(1000)), 3);
	assert_false(tls_blocking_pending(tls));
	/* Nothing more comes: the deadline; then the orderly end. */
	assert_int_equal(tls_blocking_read(tls, byte, sizeof(byte), soon(10)), -1);
	assert_int_equal(errno, ETIMEDOUT);
	tls_blocking_close(guest.tls);
	assert_int_equal(tls_blocking_read(tls, byte, sizeof(byte), soon(1000)), 0);
	tls_blocking_close(tls);
	close(pair.client);
	close(pair.server);
}

/* Without SNI the certificate is for the address. */
static void test_address(void **state)
{
	struct house *house = *state;
	struct pair pair = connected();
	struct guest guest = {.options = {.name = SPAN("127.0.0.1"), .ca = tls_authority_pem(house->authority)}};
	struct tls_blocking *tls;
	const char *why = "";

	guest_start(&guest, pair.client);
	tls = tls_blocking_accept(pair.server, house->server, soon(5000), &why);
	guest_wait(&guest);
	assert_non_null(tls);
	assert_non_null(guest.tls);
	assert_int_equal(tls_blocking_name(tls).len, 0);
	assert_int_equal(tls_blocking_alpn(tls).len, 0);
	tls_blocking_close(guest.tls);
	tls_blocking_close(tls);
	close(pair.client);
	close(pair.server);
}

/* Somebody else's authority is not believed. */
static void test_stranger(void **state)
{
	struct house *house = *state;
	struct pair pair = connected();
	const char *why = "";
	struct tls_authority *other = tls_authority_new(&why);
	struct guest guest = {.options = {.name = SPAN("shop.example"),
					  .ca = tls_authority_pem(other),
					  .alpn = TLS_BLOCKING_HTTP1}};
	struct tls_blocking *tls;
	uint8_t byte;

	guest_start(&guest, pair.client);
	tls = tls_blocking_accept(pair.server, house->server, soon(5000), &why);
	guest_wait(&guest);
	assert_null(guest.tls);
	assert_non_null(strstr(guest.why, "certificate"));
	if (tls) /* TLS 1.3: the server learns it with the first read */
		assert_int_equal(tls_blocking_read(tls, &byte, 1, soon(1000)), -1);
	tls_blocking_close(tls);
	tls_authority_free(other);
	close(pair.client);
	close(pair.server);
}

/* What comes is no ClientHello, only a part of one, or nothing. */
static void test_no_hello(void **state)
{
	static const struct span samples[] = {SPAN("GET / HTTP/1.1\r\n\r\n"),
					      SPAN("\x16\x03\x01\x01\x00\x01"), SPAN("")};

	for (size_t i = 0; i < ARRAY_LENGTH(samples); i++) {
		struct pair pair = connected();
		uint8_t hello[512];

		assert_int_equal(write(pair.client, samples[i].at, samples[i].len), samples[i].len);
		shutdown(pair.client, SHUT_WR);
		assert_int_equal(tls_blocking_peek(pair.server, hello, sizeof(hello), soon(5000)), 0);
		/* It is all still there. */
		assert_int_equal(recv(pair.server, hello, sizeof(hello), 0), samples[i].len);
		close(pair.client);
		close(pair.server);
	}
}

static void test_silence(void **state)
{
	struct house *house = *state;
	struct pair pair = connected();
	struct tls_blocking_client options = {.name = SPAN("shop.example")};
	uint8_t hello[512];
	const char *why = "";

	assert_int_equal(tls_blocking_peek(pair.server, hello, sizeof(hello), soon(10)), 0);
	assert_null(tls_blocking_connect(pair.client, &options, soon(10), &why));
	assert_string_equal(why, "the handshake took too long");
	/* The hello of the one who gave up does not fit, then the peer is gone. */
	assert_int_equal(tls_blocking_peek(pair.server, hello, 64, soon(5000)), 0);
	close(pair.client);
	assert_null(tls_blocking_accept(pair.server, house->server, soon(5000), &why));
	close(pair.server);
}

static void test_names(void **state)
{
	struct pair pair = connected();
	char name[300];
	struct tls_blocking_client options = {.name = span_make(name, sizeof(name))};
	const char *why = "";

	memset(name, 'a', sizeof(name));
	assert_null(tls_blocking_connect(pair.client, &options, soon(10), &why));
	assert_string_equal(why, "this is no name of a host");
	close(pair.client);
	close(pair.server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_talk),     cmocka_unit_test(test_address),
		cmocka_unit_test(test_stranger), cmocka_unit_test(test_no_hello),
		cmocka_unit_test(test_silence),  cmocka_unit_test(test_names),
	};

	signal(SIGPIPE, SIG_IGN); /* TLS may write to who has gone; the program does so too */
	return cmocka_run_group_tests(tests, open_house, close_house);
}
