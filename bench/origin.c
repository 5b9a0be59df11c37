/*
 * bench-origin: the server behind the measured proxies.
 *
 * It answers GET /small (13 bytes), /64k and /1m from memory, keeps connections open, and does nothing else,
 * so that it costs little and the same for every proxy: it shares a core with the load, and the proxy's core
 * is to be the bottleneck. Requests without a body only; the target may be absolute, as a relay in the place
 * of a forward proxy passes it. One thread, edge-triggered epoll.
 *
 * Usage: bench-origin    prints "listening PORT" on stdout.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	HEAD_MAX = 2048,
	EVENTS = 256,
	BACKLOG = 4096,
	HEADS = 2, /* keep-alive, close */
	ANSWERS = 3,
};

/* One fixed answer, head and body in one piece, with and without "Connection: close". */
struct answer {
	const char *path;
	size_t body_len;
	uint8_t *at[HEADS];
	size_t len[HEADS];
};

struct client {
	struct client *next_closed;
	const uint8_t *rest; /* what is left to send of the answer under way */
	size_t rest_len;
	size_t head_len;
	int fd;
	bool readable, hangup, close_after;
	char head[HEAD_MAX];
};

struct origin {
	struct answer answers[ANSWERS];
	struct client *closed;
	int epoll, listener;
};

static void client_close(struct origin *origin, struct client *client)
{
	close(client->fd);
	client->fd = -1;
	client->next_closed = origin->closed;
	origin->closed = client;
}

static void clients_free(struct origin *origin)
{
	while (origin->closed) {
		struct client *client = origin->closed;

		origin->closed = client->next_closed;
		free(client);
	}
}

/* Whether the connection ends after this request: HTTP/1.0, or a Connection field that says close. */
static bool wants_close(const char *head, const char *end)
{
	static const char name[] = "\nconnection:";
	const char *line = memchr(head, '\n', (size_t)(end - head));

	if (line && line - head > 2 && line[-2] == '0')
		return true;
	while (line && (size_t)(end - line) > sizeof(name)) {
		if ((line[1] | 0x20) == 'c' && !strncasecmp(line, name, sizeof(name) - 1)) {
			line += sizeof(name) - 1;
			line += *line == ' ';
			return !strncasecmp(line, "close", 5);
		}
		line = memchr(line + 1, '\n', (size_t)(end - line - 1));
	}
	return false;
}

/* The answer that the request line asks for, or NULL. The head ends in CRLF CRLF, so the scans end. */
static const struct answer *answer_find(const struct origin *origin, const char *head)
{
	const char *path = strncmp(head, "GET ", 4) ? "" : head + 4;

	if (!strncmp(path, "http://", 7))
		path += 7 + strcspn(path + 7, "/ \r");
	for (int i = 0; i < ANSWERS; i++) {
		size_t len = strlen(origin->answers[i].path);

		if (!strncmp(path, origin->answers[i].path, len) && path[len] == ' ')
			return &origin->answers[i];
	}
	return NULL;
}

/* Sends what is left. False when the connection is to be closed. */
static bool client_flush(struct client *client)
{
	while (client->rest_len) {
		ssize_t sent = send(client->fd, client->rest, client->rest_len, MSG_NOSIGNAL);

		if (sent < 0)
			return errno == EAGAIN;
		client->rest += sent;
		client->rest_len -= (size_t)sent;
	}
	return !client->close_after;
}

/* Answers the complete requests in `head` until the socket is full. False when it is to be closed. */
static bool client_answer(const struct origin *origin, struct client *client)
{
	while (!client->rest_len) {
		char *end = memmem(client->head, client->head_len, "\r\n\r\n", 4);

		if (!end)
			return client->head_len < HEAD_MAX;

		const struct answer *answer = answer_find(origin, client->head);

		if (!answer)
			return false;
		client->close_after = wants_close(client->head, end);
		client->rest = answer->at[client->close_after];
		client->rest_len = answer->len[client->close_after];
		client->head_len -= (size_t)(end + 4 - client->head);
		memmove(client->head, end + 4, client->head_len);
		if (!client_flush(client))
			return false;
	}
	return true;
}

static bool client_pump(const struct origin *origin, struct client *client)
{
	while (client->readable && !client->rest_len) {
		size_t room = HEAD_MAX - client->head_len;
		ssize_t got = recv(client->fd, client->head + client->head_len, room, 0);

		if (got < 0) {
			client->readable = false;
			return errno == EAGAIN;
		}
		if (got == 0)
			return false;
		if ((size_t)got < room && !client->hangup)
			client->readable = false;
		client->head_len += (size_t)got;
		if (!client_answer(origin, client))
			return false;
	}
	return true;
}

static void client_on_event(struct origin *origin, struct client *client, uint32_t events)
{
	bool alive = true;

	if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		client->hangup = true;
	if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		client->readable = true;
	if ((events & EPOLLOUT) && client->rest_len)
		alive = client_flush(client) && client_answer(origin, client);
	if (!alive || !client_pump(origin, client))
		client_close(origin, client);
}

static int watch(int epoll, int fd, void *data)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = data};

	return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

static void origin_accept(struct origin *origin)
{
	const int one = 1;

	for (;;) {
		int fd = accept4(origin->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0) {
			if (errno == ECONNABORTED || errno == EINTR)
				continue;
			return;
		}

		struct client *client = calloc(1, sizeof(*client));

		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		if (client)
			client->fd = fd;
		if (!client || watch(origin->epoll, fd, client) < 0) {
			close(fd);
			free(client);
		}
	}
}

static int origin_run(struct origin *origin)
{
	struct epoll_event events[EVENTS];

	for (;;) {
		int count = epoll_wait(origin->epoll, events, EVENTS, -1);

		if (count < 0 && errno != EINTR)
			return -1;
		for (int i = 0; i < count; i++) {
			if (events[i].data.ptr == origin)
				origin_accept(origin);
			else
				client_on_event(origin, events[i].data.ptr, events[i].events);
		}
		clients_free(origin);
	}
}

static int answer_build(struct answer *answer, const char *path, size_t body_len)
{
	static const char *const connection[HEADS] = {"", "Connection: close\r\n"};

	answer->path = path;
	answer->body_len = body_len;
	for (int i = 0; i < HEADS; i++) {
		char head[256];
		int len = snprintf(head, sizeof(head),
				   "HTTP/1.1 200 OK\r\nServer: origin\r\n"
				   "Date: Thu, 01 Jan 2026 00:00:00 GMT\r\nContent-Type: text/plain\r\n"
				   "Content-Length: %zu\r\n%s\r\n",
				   body_len, connection[i]);

		answer->len[i] = (size_t)len + body_len;
		answer->at[i] = malloc(answer->len[i]);
		if (!answer->at[i])
			return -1;
		memcpy(answer->at[i], head, (size_t)len);
		memset(answer->at[i] + len, 'x', body_len);
	}
	return 0;
}

static int origin_listen(struct origin *origin)
{
	struct sockaddr_in local = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(local);

	origin->epoll = epoll_create1(EPOLL_CLOEXEC);
	origin->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (origin->epoll < 0 || origin->listener < 0)
		return -1;
	if (bind(origin->listener, (const struct sockaddr *)&local, len) < 0 ||
	    listen(origin->listener, BACKLOG) < 0 || watch(origin->epoll, origin->listener, origin) < 0)
		return -1;
	if (getsockname(origin->listener, (struct sockaddr *)&local, &len) < 0)
		return -1;
	printf("listening %u\n", ntohs(local.sin_port));
	return fflush(stdout);
}

int main(void)
{
	static struct origin origin;

	if (answer_build(&origin.answers[0], "/small", 13) < 0 ||
	    answer_build(&origin.answers[1], "/64k", 64 * 1024) < 0 ||
	    answer_build(&origin.answers[2], "/1m", 1024 * 1024) < 0 || origin_listen(&origin) < 0 ||
	    origin_run(&origin) < 0)
		perror("bench-origin");
	return 1;
}
