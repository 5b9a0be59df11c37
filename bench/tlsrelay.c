/*
 * bench-tlsrelay: the floor that proxies which terminate TLS are measured against.
 *
 * A bare relay with TLS on the client's side. Each client connection gets one plain connection to the origin
 * once its handshake is done, and bytes are received, sent, received, sent; nothing is parsed, counted, timed
 * or pooled. TLS 1.3 with session tickets, as OpenSSL makes them by default; buffers are released while they
 * are empty. One thread, level-triggered epoll with OpenSSL's read-ahead, so that the steady state costs two
 * receives, two sends and a share of epoll_wait for each request and response, as in bench-relay.
 *
 * Usage: bench-tlsrelay ADDRESS:PORT CERTIFICATE KEY    relays to that IPv4 address, prints "listening PORT".
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
#include <unistd.h>

enum {
	BUFFER_SIZE = 64 * 1024,
	EVENTS = 256,
	BACKLOG = 4096,
};

/* What the functions that move bytes return besides a count. */
enum {
	MOVED_NONE = -1,
	/* the socket is drained or full */ MOVED_END = -2 /* the end of the bytes, or an error */
};

/* One socket of a pair. `held` is what the peer sent and this socket would not take yet. */
struct end {
	struct end *peer;
	SSL *tls; /* of the client only */
	uint8_t *held;
	uint32_t held_at, held_len;
	uint32_t events; /* that epoll watches for */
	int fd;
	bool watched;
};

/* Both ends in one allocation, freed after the batch of events that closed it. */
struct pair {
	struct end client, origin;
	struct pair *next_closed;
};

struct relay {
	struct sockaddr_in origin;
	SSL_CTX *tls;
	struct pair *closed;
	int epoll, listener;
	uint8_t buffer[BUFFER_SIZE];
};

static struct pair *pair_of(struct end *end)
{
	return (struct pair *)(end < end->peer ? end : end->peer);
}

static void pair_close(struct relay *relay, struct pair *pair)
{
	SSL_shutdown(pair->client.tls);
	ERR_clear_error();
	close(pair->client.fd);
	if (pair->origin.fd >= 0)
		close(pair->origin.fd);
	pair->client.fd = pair->origin.fd = -1;
	pair->next_closed = relay->closed;
	relay->closed = pair;
}

static void pairs_free(struct relay *relay)
{
	while (relay->closed) {
		struct pair *pair = relay->closed;

		relay->closed = pair->next_closed;
		SSL_free(pair->client.tls);
		free(pair->client.held);
		free(pair->origin.held);
		free(pair);
	}
}

/* Watches the socket of `end` for `events`. False when that cannot be. */
static bool end_watch(struct relay *relay, struct end *end, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = end};

	if (end->watched && end->events == events)
		return true;
	if (epoll_ctl(relay->epoll, end->watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, end->fd, &event) < 0)
		return false;
	end->watched = true;
	end->events = events;
	return true;
}

/* What a call of OpenSSL that did not succeed means. */
static int tls_outcome(SSL *tls, int result)
{
	int error = SSL_get_error(tls, result);

	ERR_clear_error();
	return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? MOVED_NONE : MOVED_END;
}

/* Receives into the buffer: a count, or why there is none. */
static int end_receive(struct relay *relay, struct end *from)
{
	if (from->tls) {
		int got = SSL_read(from->tls, relay->buffer, BUFFER_SIZE);

		return got > 0 ? got : tls_outcome(from->tls, got);
	}

	ssize_t got = recv(from->fd, relay->buffer, BUFFER_SIZE, 0);

	if (got > 0)
		return (int)got;
	return got < 0 && errno == EAGAIN ? MOVED_NONE : MOVED_END;
}

/* Sends what the socket takes: a count, or why there is none. */
static int end_give(struct end *to, const uint8_t *at, size_t len)
{
	if (to->tls) {
		int sent = SSL_write(to->tls, at, (int)len);

		return sent > 0 ? sent : tls_outcome(to->tls, sent);
	}

	ssize_t sent = send(to->fd, at, len, MSG_NOSIGNAL);

	if (sent >= 0)
		return (int)sent;
	return errno == EAGAIN ? MOVED_NONE : MOVED_END;
}

/* Sends; holds the rest when the socket is full, and receives no more from its peer. False: close the pair. */
static bool end_send(struct relay *relay, struct end *to, const uint8_t *at, size_t len)
{
	while (len) {
		int sent = end_give(to, at, len);

		if (sent == MOVED_END)
			return false;
		if (sent == MOVED_NONE)
			break;
		at += sent;
		len -= (size_t)sent;
	}
	if (!len)
		return true;
	to->held = malloc(len);
	if (!to->held)
		return false;
	memcpy(to->held, at, len);
	to->held_at = 0;
	to->held_len = (uint32_t)len;
	return end_watch(relay, to, to->events | EPOLLOUT) &&
	       end_watch(relay, to->peer, to->peer->events & EPOLLOUT);
}

/* Moves what `from` has to its peer until it is drained or the peer is full. False: close the pair. */
static bool end_pump(struct relay *relay, struct end *from)
{
	struct end *to = from->peer;

	do {
		int got = end_receive(relay, from);

		if (got == MOVED_NONE)
			return true;
		if (got == MOVED_END || !end_send(relay, to, relay->buffer, (size_t)got))
			return false;
	} while (from->tls && SSL_has_pending(from->tls) && !to->held);
	return true;
}

/* Sends what was held, and goes on with the peer once all is sent. False: close the pair. */
static bool end_flush(struct relay *relay, struct end *to)
{
	int sent = end_give(to, to->held + to->held_at, to->held_len - to->held_at);

	if (sent == MOVED_NONE)
		return true;
	if (sent == MOVED_END)
		return false;
	to->held_at += (uint32_t)sent;
	if (to->held_at < to->held_len)
		return true;
	free(to->held);
	to->held = NULL;
	if (!end_watch(relay, to, to->events & ~(uint32_t)EPOLLOUT) ||
	    !end_watch(relay, to->peer, to->peer->events | EPOLLIN))
		return false;
	return end_pump(relay, to->peer);
}

/* Connects to the origin, since the client has made its handshake. False: close the pair. */
static bool pair_connect(struct relay *relay, struct pair *pair)
{
	const struct sockaddr *to = (const struct sockaddr *)&relay->origin;
	const int one = 1;

	pair->origin.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (pair->origin.fd < 0)
		return false;
	setsockopt(pair->origin.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(pair->origin.fd, to, sizeof(relay->origin)) < 0 && errno != EINPROGRESS)
		return false;
	return end_watch(relay, &pair->client, EPOLLIN) && end_watch(relay, &pair->origin, EPOLLIN);
}

/* Goes on with the handshake. What came with its last message is in OpenSSL's buffer: no event tells of it. */
static bool pair_handshake(struct relay *relay, struct pair *pair)
{
	int result = SSL_do_handshake(pair->client.tls);

	if (result == 1)
		return pair_connect(relay, pair) && end_pump(relay, &pair->client);
	if (tls_outcome(pair->client.tls, result) == MOVED_END)
		return false;
	return end_watch(relay, &pair->client, SSL_want_write(pair->client.tls) ? EPOLLOUT : EPOLLIN);
}

static void end_on_event(struct relay *relay, struct end *end, uint32_t events)
{
	struct pair *pair = pair_of(end);
	bool alive = true;

	if (pair->client.fd < 0)
		return;
	if (end->tls && !SSL_is_init_finished(end->tls)) {
		alive = pair_handshake(relay, pair);
	} else {
		if (end->held && (events & EPOLLOUT))
			alive = end_flush(relay, end);
		if (alive && (end->events & EPOLLIN) && (events & ~(uint32_t)EPOLLOUT))
			alive = end_pump(relay, end);
		else if (events & (EPOLLHUP | EPOLLERR))
			alive = false;
	}
	if (!alive)
		pair_close(relay, pair);
}

static void pair_open(struct relay *relay, int client)
{
	const int one = 1;
	struct pair *pair = calloc(1, sizeof(*pair));
	SSL *tls = pair ? SSL_new(relay->tls) : NULL;

	if (!tls || !SSL_set_fd(tls, client))
		goto fail;
	SSL_set_accept_state(tls);
	setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	pair->client = (struct end){.fd = client, .tls = tls, .peer = &pair->origin};
	pair->origin = (struct end){.fd = -1, .peer = &pair->client};
	if (end_watch(relay, &pair->client, EPOLLIN))
		return;
fail:
	SSL_free(tls);
	close(client);
	free(pair);
}

static void relay_accept(struct relay *relay)
{
	for (;;) {
		int client = accept4(relay->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (client >= 0)
			pair_open(relay, client);
		else if (errno != ECONNABORTED && errno != EINTR)
			return;
	}
}

static int relay_run(struct relay *relay)
{
	struct epoll_event events[EVENTS];

	for (;;) {
		int count = epoll_wait(relay->epoll, events, EVENTS, -1);

		if (count < 0 && errno != EINTR)
			return -1;
		for (int i = 0; i < count; i++) {
			if (events[i].data.ptr == relay)
				relay_accept(relay);
			else
				end_on_event(relay, events[i].data.ptr, events[i].events);
		}
		pairs_free(relay);
	}
}

/* Opens the listener on a free port of 127.0.0.1 and tells which. */
static int relay_listen(struct relay *relay)
{
	struct sockaddr_in local = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = relay};
	socklen_t len = sizeof(local);

	relay->epoll = epoll_create1(EPOLL_CLOEXEC);
	relay->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (relay->epoll < 0 || relay->listener < 0)
		return -1;
	if (bind(relay->listener, (const struct sockaddr *)&local, len) < 0 ||
	    listen(relay->listener, BACKLOG) < 0 ||
	    epoll_ctl(relay->epoll, EPOLL_CTL_ADD, relay->listener, &event) < 0)
		return -1;
	if (getsockname(relay->listener, (struct sockaddr *)&local, &len) < 0)
		return -1;
	printf("listening %u\n", ntohs(local.sin_port));
	return fflush(stdout);
}

/* The settings of TLS for all clients, or NULL; OpenSSL's queue of errors says why. */
static SSL_CTX *tls_new(const char *certificate, const char *key)
{
	SSL_CTX *tls = SSL_CTX_new(TLS_server_method());

	if (!tls)
		return NULL;
	SSL_CTX_set_mode(tls, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
				      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_read_ahead(tls, 1);
	if (SSL_CTX_set_min_proto_version(tls, TLS1_3_VERSION) &&
	    SSL_CTX_use_certificate_chain_file(tls, certificate) == 1 &&
	    SSL_CTX_use_PrivateKey_file(tls, key, SSL_FILETYPE_PEM) == 1)
		return tls;
	SSL_CTX_free(tls);
	return NULL;
}

/* Reads "ADDRESS:PORT" into `to`. */
static bool origin_parse(char *text, struct sockaddr_in *to)
{
	char *colon = strchr(text, ':');

	if (!colon)
		return false;
	*colon = '\0';
	to->sin_family = AF_INET;
	to->sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
	return to->sin_port && inet_pton(AF_INET, text, &to->sin_addr) == 1;
}

int main(int argc, char **argv)
{
	static struct relay relay;

	if (argc != 4 || !origin_parse(argv[1], &relay.origin)) {
		fputs("usage: bench-tlsrelay ADDRESS:PORT CERTIFICATE KEY\n", stderr);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	relay.tls = tls_new(argv[2], argv[3]);
	if (!relay.tls) {
		ERR_print_errors_fp(stderr);
		return 1;
	}
	if (relay_listen(&relay) < 0 || relay_run(&relay) < 0)
		perror("bench-tlsrelay");
	return 1;
}
