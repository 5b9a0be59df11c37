/*
 * bench-handshakes: a load of TLS 1.3 handshakes, each with one request.
 *
 * It keeps a number of connections under way; each connects, makes a full or a resumed handshake, sends one
 * GET with "Connection: close", reads the answer to its end and closes; the next takes its place. The offer is
 * always the same, so that every server does the same work: TLS_AES_128_GCM_SHA256, X25519, tickets that keep
 * the key exchange. A resumed connection uses the newest ticket that came in its place; if need be again, since
 * H2O 2.2 gives none in a resumed handshake. The certificate is not verified, its signature of the handshake is.
 * One thread, level-triggered epoll.
 *
 * Usage: bench-handshakes [-r] [-c CONNECTIONS] [-d SECONDS] [-n REQUESTS] PORT
 *
 * Ends after SECONDS (3) or, with -n, once REQUESTS are answered, after 60 seconds at the latest. Prints one line
 * of JSON: requests and errors, how many handshakes were resumed, p50 and p99 in microseconds from the connect to
 * the end of the answer. The first error is told on stderr.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	CONNECTIONS_MAX = 1024,
	SECONDS_MAX = 60,
	ANSWER_MAX = 4096,
	BODY = 13,             /* of the origin's /small */
	SAMPLES_MAX = 1 << 20, /* answers beyond that are counted, but not in p50 and p99 */
	ERRORS_MAX = 1000,     /* with more than that it ends */
};

static const char request[] = "GET /small HTTP/1.1\r\nHost: bench.test\r\nConnection: close\r\n\r\n";

/* The place of one connection at a time. */
struct slot {
	SSL *tls; /* NULL: no connection */
	SSL_SESSION *session;
	uint64_t began_ns;
	size_t got;
	uint32_t events;
	int fd;
	bool asked;
	char answer[ANSWER_MAX];
};

struct load {
	struct sockaddr_in server;
	SSL_CTX *tls;
	int epoll;
	bool resume;
	uint64_t wanted, started, answered, resumed, errors;
	uint64_t end_ns;
	size_t samples;
	uint32_t microseconds[SAMPLES_MAX];
	struct slot slots[CONNECTIONS_MAX];
};

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* Whether another connection is to be made. */
static bool load_goes_on(const struct load *load)
{
	return load->started < load->wanted && load->errors < ERRORS_MAX && now_ns() < load->end_ns;
}

/* Counts an error, and tells the first one. */
static void load_error(struct load *load, const char *what)
{
	unsigned long code = ERR_get_error();
	const char *reason = code ? ERR_reason_error_string(code) : NULL;

	if (!load->errors++)
		fprintf(stderr, "bench-handshakes: %s%s%s\n", what, reason ? ": " : "", reason ? reason : "");
	ERR_clear_error();
}

static void slot_close(struct slot *slot)
{
	/* Else OpenSSL takes the connection for broken, and its session for no longer fit to be resumed. */
	if (slot->tls)
		SSL_set_shutdown(slot->tls, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(slot->tls);
	if (slot->fd >= 0)
		close(slot->fd);
	slot->tls = NULL;
	slot->fd = -1;
}

/* A ticket has come: keeps it for the next connection in its place. OpenSSL hands the session over. */
static int on_session(SSL *tls, SSL_SESSION *session)
{
	struct slot *slot = SSL_get_app_data(tls);

	SSL_SESSION_free(slot->session);
	slot->session = session;
	return 1;
}

static bool slot_watch(struct load *load, struct slot *slot, uint32_t events, int how)
{
	struct epoll_event event = {.events = events, .data.ptr = slot};

	if (slot->events == events && how == EPOLL_CTL_MOD)
		return true;
	slot->events = events;
	return epoll_ctl(load->epoll, how, slot->fd, &event) == 0;
}

/* Offers to resume the session of the place, if it has one: a copy, since OpenSSL uses each but once. */
static bool slot_resume(struct slot *slot)
{
	SSL_SESSION *copy;
	bool done;

	if (!slot->session)
		return true;
	copy = SSL_SESSION_dup(slot->session);
	done = copy && SSL_set_session(slot->tls, copy);
	SSL_SESSION_free(copy);
	return done;
}

/* Begins a connection. False, and counted, when that fails. */
static bool slot_open(struct load *load, struct slot *slot)
{
	const struct sockaddr *to = (const struct sockaddr *)&load->server;
	const int one = 1;

	load->started++;
	slot->began_ns = now_ns();
	slot->got = 0;
	slot->asked = false;
	slot->tls = SSL_new(load->tls);
	slot->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (!slot->tls || slot->fd < 0 || !SSL_set_fd(slot->tls, slot->fd))
		goto fail;
	setsockopt(slot->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	SSL_set_app_data(slot->tls, slot);
	SSL_set_connect_state(slot->tls);
	if (!slot_resume(slot))
		goto fail;
	if (connect(slot->fd, to, sizeof(load->server)) < 0 && errno != EINPROGRESS)
		goto fail;
	if (slot_watch(load, slot, EPOLLOUT, EPOLL_CTL_ADD))
		return true;
fail:
	load_error(load, "no connection");
	slot_close(slot);
	return false;
}

/* Whether the answer is the whole one of the origin. */
static bool answer_is_whole(const struct slot *slot)
{
	static const char tail[] = "\r\n\r\nxxxxxxxxxxxxx";
	const size_t len = sizeof(tail) - 1;

	_Static_assert(sizeof(tail) - 1 == 4 + BODY, "the body of /small");
	return slot->got > len && !strncmp(slot->answer, "HTTP/1.1 200 ", 13) &&
	       !memcmp(slot->answer + slot->got - len, tail, len);
}

/* Counts the answer when it is what was asked for. */
static void slot_finish(struct load *load, struct slot *slot)
{
	if (!answer_is_whole(slot)) {
		load_error(load, slot->got ? "unexpected answer" : "closed without an answer");
		return;
	}
	load->answered++;
	load->resumed += SSL_session_reused(slot->tls) != 0;
	if (load->samples < SAMPLES_MAX)
		load->microseconds[load->samples++] = (uint32_t)((now_ns() - slot->began_ns) / 1000);
}

/* What a call of OpenSSL waits for; 0 when it waits for nothing: the bytes have ended, or it failed. */
static uint32_t slot_waits_for(const struct slot *slot, int result)
{
	switch (SSL_get_error(slot->tls, result)) {
	case SSL_ERROR_WANT_READ:
		return EPOLLIN;
	case SSL_ERROR_WANT_WRITE:
		return EPOLLOUT;
	default:
		return 0;
	}
}

/* Goes on: handshake, request, answer. What it waits for, or 0 when the connection is done; errors are counted. */
static uint32_t slot_advance(struct load *load, struct slot *slot)
{
	uint32_t wait;

	if (!slot->asked) {
		/* The handshake is made on the way. */
		int sent = SSL_write(slot->tls, request, sizeof(request) - 1);

		if (sent <= 0) {
			wait = slot_waits_for(slot, sent);
			if (!wait)
				load_error(load, "handshake failed");
			return wait;
		}
		slot->asked = true;
	}
	while (slot->got < ANSWER_MAX) {
		int got = SSL_read(slot->tls, slot->answer + slot->got, (int)(ANSWER_MAX - slot->got));

		if (got <= 0) {
			wait = slot_waits_for(slot, got);
			if (wait)
				return wait;
			break;
		}
		slot->got += (size_t)got;
	}
	slot_finish(load, slot);
	return 0;
}

/* Lets a connection go on; when it is done, the next begins in its place. False: nothing is under way there. */
static bool slot_on_event(struct load *load, struct slot *slot)
{
	uint32_t wait = slot_advance(load, slot);

	if (wait && slot_watch(load, slot, wait, EPOLL_CTL_MOD))
		return true;
	ERR_clear_error();
	slot_close(slot);
	return load_goes_on(load) && slot_open(load, slot);
}

/* Runs until nothing is under way, or too late. */
static void load_run(struct load *load, int connections)
{
	struct epoll_event events[CONNECTIONS_MAX];
	int under_way = 0;

	for (int i = 0; i < connections; i++)
		load->slots[i].fd = -1;
	for (int i = 0; i < connections && load_goes_on(load); i++)
		under_way += slot_open(load, &load->slots[i]);
	while (under_way) {
		int count = epoll_wait(load->epoll, events, CONNECTIONS_MAX, 1000);

		if (count < 0 && errno != EINTR)
			break;
		if (now_ns() > load->end_ns + UINT64_C(5000000000)) {
			load_error(load, "connections that do not end");
			break;
		}
		for (int i = 0; i < count; i++)
			under_way -= !slot_on_event(load, events[i].data.ptr);
	}
	for (int i = 0; i < connections; i++) {
		slot_close(&load->slots[i]);
		SSL_SESSION_free(load->slots[i].session);
	}
}

static int by_size(const void *one, const void *two)
{
	uint32_t a = *(const uint32_t *)one, b = *(const uint32_t *)two;

	return (a > b) - (a < b);
}

static void load_print(struct load *load)
{
	uint32_t p50 = 0, p99 = 0;

	qsort(load->microseconds, load->samples, sizeof(load->microseconds[0]), by_size);
	if (load->samples) {
		p50 = load->microseconds[load->samples / 2];
		p99 = load->microseconds[load->samples * 99 / 100];
	}
	printf("{\"requests\": %llu, \"errors\": %llu, \"resumed\": %llu, \"p50\": %u, \"p99\": %u}\n",
	       (unsigned long long)load->answered, (unsigned long long)load->errors,
	       (unsigned long long)load->resumed, p50, p99);
}

/* What all connections offer, or NULL. */
static SSL_CTX *tls_new(bool resume)
{
	SSL_CTX *tls = SSL_CTX_new(TLS_client_method());

	if (!tls)
		return NULL;
	if (resume) {
		SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
		SSL_CTX_sess_set_new_cb(tls, on_session);
	}
	SSL_CTX_set_options(tls, SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_read_ahead(tls, 1);
	if (SSL_CTX_set_min_proto_version(tls, TLS1_3_VERSION) &&
	    SSL_CTX_set_ciphersuites(tls, "TLS_AES_128_GCM_SHA256") && SSL_CTX_set1_groups_list(tls, "X25519"))
		return tls;
	SSL_CTX_free(tls);
	return NULL;
}

/* A number of an option, between 1 and `most`; 0 when it is none. */
static uint64_t number(const char *text, uint64_t most)
{
	char *end;
	unsigned long long value = strtoull(text, &end, 10);

	return *end || value > most ? 0 : value;
}

int main(int argc, char **argv)
{
	static struct load load;
	uint64_t connections = 16, seconds = 3, port = 0;
	int option;

	load.wanted = UINT64_MAX;
	while ((option = getopt(argc, argv, "rc:d:n:")) != -1) {
		if (option == 'r')
			load.resume = true;
		else if (option == 'c')
			connections = number(optarg, CONNECTIONS_MAX);
		else if (option == 'd')
			seconds = number(optarg, SECONDS_MAX);
		else if (option == 'n')
			load.wanted = number(optarg, SAMPLES_MAX);
		else
			port = UINT64_MAX;
	}
	if (!port && optind + 1 == argc)
		port = number(argv[optind], UINT16_MAX);
	if (port - 1 >= UINT16_MAX || !connections || !seconds || !load.wanted) {
		fputs("usage: bench-handshakes [-r] [-c CONNECTIONS] [-d SECONDS] [-n REQUESTS] PORT\n",
		      stderr);
		return 2;
	}
	if (load.wanted != UINT64_MAX)
		seconds = SECONDS_MAX;
	load.server = (struct sockaddr_in){.sin_family = AF_INET,
					   .sin_port = htons((uint16_t)port),
					   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	signal(SIGPIPE, SIG_IGN);
	load.tls = tls_new(load.resume);
	load.epoll = epoll_create1(EPOLL_CLOEXEC);
	load.end_ns = now_ns() + seconds * 1000000000;
	if (!load.tls || load.epoll < 0) {
		ERR_print_errors_fp(stderr);
		return 1;
	}
	load_run(&load, (int)connections);
	SSL_CTX_free(load.tls);
	load_print(&load);
	return load.errors ? 1 : 0;
}
