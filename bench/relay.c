/*
 * bench-relay: the floor that proxies are measured against.
 *
 * A bare TCP relay. Each client connection gets one connection to the origin, and bytes are received, sent,
 * received, sent; nothing is parsed, counted, timed or pooled. One thread, edge-triggered epoll, every
 * descriptor registered once. A receive that fills less than the buffer means drained, so the steady state
 * costs two receives, two sends and a share of epoll_wait for each request and response.
 *
 * With -s the bytes do not come here: each direction has a pipe, and splice(2) moves them through it.
 *
 * With -c and -5 a client is answered as by a proxy that it asks for a tunnel, by CONNECT or SOCKS5: unread, so that the relay is a floor for these too.
 *
 * Usage: bench-relay [-s|-c|-5] ADDRESS:PORT    relays to that IPv4 address, prints "listening PORT" on stdout.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
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
	PIPE_SIZE = 256 * 1024,
	EVENTS = 256,
	BACKLOG = 4096,
};

/* One socket of a pair. `held` is what the peer sent and this socket would not take yet. */
struct end {
	struct end *peer;
	uint8_t *held;
	uint32_t held_at, held_len;
	size_t piped; /* bytes in the pipe */
	int pipe[2];  /* of what the peer sent; both 0: none */
	int fd;
	bool readable; /* an edge was seen and not read to its end */
	bool hangup;   /* the edge said that the end of the bytes is near: read until it comes */
	bool ended;    /* received the end of the bytes, and passed it on */
	uint8_t asked; /* of a client: so many of its questions have been answered */
};

/* Both ends in one allocation, freed after the batch of events that closed it. */
struct pair {
	struct end client, origin;
	struct pair *next_closed;
};

/* What a client is told that asks for a tunnel. */
struct answer {
	const char *text;
	size_t len;
};

static const struct answer no_answers[] = {{NULL, 0}};
static const struct answer connect_answers[] = {{"HTTP/1.1 200 OK\r\n\r\n", 19}, {NULL, 0}};
static const struct answer socks_answers[] = {{"\5\0", 2}, {"\5\0\0\1\0\0\0\0\0\0", 10}, {NULL, 0}};

struct relay {
	struct sockaddr_in origin;
	struct pair *closed;
	const struct answer *answers; /* to the first bytes of each client; an empty one ends them */
	int epoll, listener;
	bool splice;
	uint8_t buffer[BUFFER_SIZE];
};

static void pair_close(struct relay *relay, struct end *end)
{
	struct pair *pair = (struct pair *)(end < end->peer ? end : end->peer);

	if (pair->client.fd < 0)
		return;
	close(pair->client.fd);
	close(pair->origin.fd);
	for (int i = 0; relay->splice && i < 2; i++) {
		close(pair->client.pipe[i]);
		close(pair->origin.pipe[i]);
	}
	pair->client.fd = pair->origin.fd = -1;
	pair->next_closed = relay->closed;
	relay->closed = pair;
}

static void pairs_free(struct relay *relay)
{
	while (relay->closed) {
		struct pair *pair = relay->closed;

		relay->closed = pair->next_closed;
		free(pair->client.held);
		free(pair->origin.held);
		free(pair);
	}
}

static int watch(int epoll, int fd, void *data)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = data};

	return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

/* Keeps what `to` would not take. False when memory is short. */
static bool hold(struct end *to, const uint8_t *at, size_t len)
{
	if (!len)
		return true;
	to->held = malloc(len);
	if (!to->held)
		return false;
	memcpy(to->held, at, len);
	to->held_at = 0;
	to->held_len = (uint32_t)len;
	return true;
}

/* Sends, and holds the rest when the socket is full. False when the pair is to be closed. */
static bool end_send(struct end *to, const uint8_t *at, size_t len)
{
	ssize_t sent = send(to->fd, at, len, MSG_NOSIGNAL);

	if (sent < 0) {
		if (errno != EAGAIN)
			return false;
		sent = 0;
	}
	return hold(to, at + sent, len - (size_t)sent);
}

/* Sends what was held. False when the pair is to be closed. */
static bool end_flush(struct end *to)
{
	if (!to->held)
		return true;

	ssize_t sent = send(to->fd, to->held + to->held_at, to->held_len - to->held_at, MSG_NOSIGNAL);

	if (sent < 0)
		return errno == EAGAIN;
	to->held_at += (uint32_t)sent;
	if (to->held_at == to->held_len) {
		free(to->held);
		to->held = NULL;
	}
	return true;
}

/* As end_pump, inside the kernel. */
static bool end_splice(struct end *from)
{
	struct end *to = from->peer;

	for (;;) {
		if (to->piped) {
			ssize_t put = splice(to->pipe[0], NULL, to->fd, NULL, to->piped,
					     SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
			if (put < 0)
				return errno == EAGAIN;
			to->piped -= (size_t)put;
			continue;
		}
		if (!from->readable || from->ended)
			return true;
		ssize_t got = splice(from->fd, NULL, to->pipe[1], NULL, PIPE_SIZE,
				     SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
		if (got < 0) {
			from->readable = false;
			return errno == EAGAIN;
		}
		if (got == 0) {
			from->ended = true;
			shutdown(to->fd, SHUT_WR);
			return !to->ended;
		}
		to->piped = (size_t)got;
	}
}

/* Moves what `from` has to its peer until it is drained or the peer is full. False when the pair is done. */
static bool end_pump(struct relay *relay, struct end *from)
{
	struct end *to = from->peer;

	while (from->readable && !from->ended && !to->held) {
		ssize_t got = recv(from->fd, relay->buffer, BUFFER_SIZE, 0);

		if (got < 0) {
			from->readable = false;
			return errno == EAGAIN;
		}
		if (got == 0) {
			from->ended = true;
			shutdown(to->fd, SHUT_WR);
			return !to->ended;
		}
		if (got < BUFFER_SIZE && !from->hangup)
			from->readable = false;
		if (from < to && relay->answers[from->asked].len) {
			const struct answer *answer = &relay->answers[from->asked++];
			if (send(from->fd, answer->text, answer->len, MSG_NOSIGNAL) < 0)
				return false;
			continue;
		}
		if (!end_send(to, relay->buffer, (size_t)got))
			return false;
	}
	return true;
}

static void end_on_event(struct relay *relay, struct end *end, uint32_t events)
{
	bool alive = true;

	if (end->fd < 0)
		return;
	if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		end->hangup = true;
	if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		end->readable = true;
	if (relay->splice) {
		if (!(events & EPOLLOUT) || end_splice(end->peer))
			alive = end_splice(end);
		else
			alive = false;
		if (!alive)
			pair_close(relay, end);
		return;
	}
	if ((events & EPOLLOUT) && end->held) {
		alive = end_flush(end);
		if (alive && !end->held)
			alive = end_pump(relay, end->peer);
	}
	if (alive)
		alive = end_pump(relay, end);
	if (!alive)
		pair_close(relay, end);
}

static bool make_pipe(struct end *end)
{
	if (pipe2(end->pipe, O_NONBLOCK | O_CLOEXEC) < 0)
		return false;
	(void)fcntl(end->pipe[0], F_SETPIPE_SZ, PIPE_SIZE);
	return true;
}

/* Takes over `client`: connects to the origin and watches both. */
static void pair_open(struct relay *relay, int client)
{
	const int one = 1;
	struct pair *pair = calloc(1, sizeof(*pair));
	int origin = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (!pair || origin < 0)
		goto fail;
	if (relay->splice && (!make_pipe(&pair->client) || !make_pipe(&pair->origin)))
		goto fail;
	pair->client.fd = client;
	pair->client.peer = &pair->origin;
	pair->origin.fd = origin;
	pair->origin.peer = &pair->client;
	setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(origin, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(origin, (const struct sockaddr *)&relay->origin, sizeof(relay->origin)) < 0 &&
	    errno != EINPROGRESS)
		goto fail;
	if (watch(relay->epoll, client, &pair->client) < 0 || watch(relay->epoll, origin, &pair->origin) < 0)
		goto fail;
	return;
fail:
	if (origin >= 0)
		close(origin);
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
	socklen_t len = sizeof(local);

	relay->epoll = epoll_create1(EPOLL_CLOEXEC);
	relay->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (relay->epoll < 0 || relay->listener < 0)
		return -1;
	if (bind(relay->listener, (const struct sockaddr *)&local, len) < 0 ||
	    listen(relay->listener, BACKLOG) < 0 || watch(relay->epoll, relay->listener, relay) < 0)
		return -1;
	if (getsockname(relay->listener, (struct sockaddr *)&local, &len) < 0)
		return -1;
	printf("listening %u\n", ntohs(local.sin_port));
	return fflush(stdout);
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

	const char *option = argc == 3 ? argv[1] : "";

	relay.splice = !strcmp(option, "-s");
	relay.answers = !strcmp(option, "-c") ? connect_answers : no_answers;
	if (!strcmp(option, "-5"))
		relay.answers = socks_answers;
	bool known = argc == 2 || relay.splice || relay.answers != no_answers;
	if (!known || !origin_parse(argv[argc - 1], &relay.origin)) {
		fputs("usage: bench-relay [-s|-c|-5] ADDRESS:PORT\n", stderr);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	if (relay_listen(&relay) < 0 || relay_run(&relay) < 0)
		perror("bench-relay");
	return 1;
}
