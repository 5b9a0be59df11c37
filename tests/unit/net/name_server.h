/*
 * A tiny name server on a thread of its own, on a loopback port: what it answers is in the name that it is asked for.
 *
 *   both.*   one A (192.0.2.1), one AAAA (2001:db8::1), TTL 300     v4.*     A alone
 *   brief.*  A with TTL 1                                           alias.*  CNAME with TTL 1, then as both.*
 *   twice.*  the same A three times                                 many.*   20 A
 *   slow6.*  A at once, AAAA never                                  late6.*  A at once, AAAA after 150 ms
 *   dead.*   no answer at all                                       broken.* SERVFAIL
 *   big.*    truncated over UDP, 100 A over TCP                     rest     NXDOMAIN
 */
#ifndef GUISE_TESTS_NAME_SERVER_H
#define GUISE_TESTS_NAME_SERVER_H

#include "net_fixture.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

struct name_server {
	int udp, tcp, stop[2];
	struct address address;
	char text[64]; /* as c-ares wants it */
	pthread_t thread;
	atomic_uint questions, over_tcp;
};

enum { NAME_SERVER_BUFFER = 4096 };

struct name_reply {
	uint8_t bytes[NAME_SERVER_BUFFER];
	size_t len;
	unsigned answers;
};

static inline void reply_put(struct name_reply *reply, const void *bytes, size_t len)
{
	assert_true(reply->len + len <= sizeof(reply->bytes));
	memcpy(reply->bytes + reply->len, bytes, len);
	reply->len += len;
}

static inline void reply_record(struct name_reply *reply, uint16_t type, uint32_t ttl, const void *data,
				size_t len)
{
	uint8_t head[12] = {0xc0,
			    12,
			    (uint8_t)(type >> 8),
			    (uint8_t)type,
			    0,
			    1,
			    (uint8_t)(ttl >> 24),
			    (uint8_t)(ttl >> 16),
			    (uint8_t)(ttl >> 8),
			    (uint8_t)ttl,
			    0,
			    (uint8_t)len};
	reply_put(reply, head, sizeof(head));
	reply_put(reply, data, len);
	reply->answers++;
}

static inline void reply_a(struct name_reply *reply, uint32_t ttl, uint8_t last)
{
	reply_record(reply, 1, ttl, (uint8_t[]){192, 0, 2, last}, 4);
}

static inline void reply_aaaa(struct name_reply *reply, uint32_t ttl)
{
	reply_record(reply, 28, ttl, (uint8_t[]){0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, 16);
}

static inline bool asks(const uint8_t *query, const char *label)
{
	size_t len = strlen(label);
	return query[12] == len && memcmp(query + 13, label, len) == 0;
}

/* The records, and the response code. -1: no answer. */
static inline int reply_fill(struct name_reply *reply, const uint8_t *query, uint16_t type, bool tcp)
{
	unsigned count = 0;
	uint32_t ttl = 300;

	if (asks(query, "dead") || (asks(query, "slow6") && type == 28))
		return -1;
	if (asks(query, "late6") && type == 28)
		usleep(150000);
	if (asks(query, "broken"))
		return 2;
	if (asks(query, "both") || asks(query, "v4") || asks(query, "slow6") || asks(query, "late6"))
		count = 1;
	else if (asks(query, "brief"))
		count = 1, ttl = 1;
	else if (asks(query, "twice"))
		count = 3;
	else if (asks(query, "many"))
		count = 20;
	else if (asks(query, "big"))
		count = tcp ? 100 : 0;
	else if (asks(query, "alias"))
		count = 1;
	else
		return 3;
	if (asks(query, "alias")) { /* to "x" below the same name; its record follows under that name */
		reply_record(reply, 5, 1, (uint8_t[]){1, 'x', 0xc0, 12}, 4);
		size_t at = reply->len - 4;
		uint8_t owner[2] = {(uint8_t)(0xc0 | at >> 8), (uint8_t)at};
		if (type == 1) {
			reply_a(reply, 300, 1);
			memcpy(reply->bytes + reply->len - 16, owner, 2);
		}
		return 0;
	}
	for (unsigned i = 0; type == 1 && i < count; i++)
		reply_a(reply, ttl, asks(query, "twice") ? 1 : (uint8_t)(i + 1));
	if (type == 28 && (asks(query, "both") || asks(query, "late6")))
		reply_aaaa(reply, ttl);
	return 0;
}

static inline bool reply_make(struct name_server *server, struct name_reply *reply, const uint8_t *query,
			      size_t len, bool tcp)
{
	size_t end = 12;

	atomic_fetch_add(&server->questions, 1);
	if (len < 17)
		return false;
	while (end < len && query[end])
		end += query[end] + 1u;
	if (end + 5 > len)
		return false;
	uint16_t type = (uint16_t)(query[end + 1] << 8 | query[end + 2]);
	*reply = (struct name_reply){.len = 0};
	reply_put(reply, query, end + 5);
	int code = reply_fill(reply, query, type, tcp);
	if (code < 0)
		return false;
	reply->bytes[2] = (uint8_t)(0x81 | (asks(query, "big") && !tcp ? 2 : 0));
	reply->bytes[3] = (uint8_t)(0x80 | code);
	memset(reply->bytes + 6, 0, 6);
	reply->bytes[6] = (uint8_t)(reply->answers >> 8);
	reply->bytes[7] = (uint8_t)reply->answers;
	return true;
}

static inline void serve_udp(struct name_server *server)
{
	uint8_t query[NAME_SERVER_BUFFER];
	struct name_reply reply;
	union socket_address from;
	socklen_t from_len = sizeof(from);
	ssize_t len = recvfrom(server->udp, query, sizeof(query), 0, &from.any, &from_len);
	if (len > 0 && reply_make(server, &reply, query, (size_t)len, false))
		(void)!sendto(server->udp, reply.bytes, reply.len, 0, &from.any, from_len);
}

/* One connection to its end; the answer leaves in pieces, so that reading in one go is not enough. */
static inline void serve_tcp(struct name_server *server)
{
	struct timeval patience = {.tv_sec = 2};
	uint8_t query[NAME_SERVER_BUFFER];
	struct name_reply reply;
	int fd = accept(server->tcp, NULL, NULL);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	while (recv(fd, query, 2, MSG_WAITALL) == 2) {
		size_t len = (size_t)(query[0] << 8 | query[1]);
		if (recv(fd, query, len, MSG_WAITALL) != (ssize_t)len)
			break;
		atomic_fetch_add(&server->over_tcp, 1);
		if (!reply_make(server, &reply, query, len, true))
			continue;
		(void)!send(fd, (uint8_t[]){(uint8_t)(reply.len >> 8)}, 1, MSG_NOSIGNAL);
		usleep(2000);
		(void)!send(fd, (uint8_t[]){(uint8_t)reply.len}, 1, MSG_NOSIGNAL);
		(void)!send(fd, reply.bytes, reply.len / 2, MSG_NOSIGNAL);
		usleep(2000);
		(void)!send(fd, reply.bytes + reply.len / 2, reply.len - reply.len / 2, MSG_NOSIGNAL);
	}
	close(fd);
}

static inline void *name_server_run(void *owner)
{
	struct name_server *server = owner;
	struct pollfd fds[3] = {
		{server->udp, POLLIN, 0}, {server->tcp, POLLIN, 0}, {server->stop[0], POLLIN, 0}};
	while (poll(fds, 3, 30000) > 0 && !fds[2].revents) {
		if (fds[0].revents)
			serve_udp(server);
		if (fds[1].revents)
			serve_tcp(server);
	}
	return NULL;
}

static inline void name_server_start(struct name_server *server)
{
	union socket_address raw;
	*server = (struct name_server){0};
	server->tcp = listen_on_loopback(&server->address);
	server->udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	socklen_t len = address_to_socket(&server->address, &raw);
	assert_int_equal(bind(server->udp, &raw.any, len), 0);
	assert_int_equal(pipe2(server->stop, O_CLOEXEC), 0);
	server->text[address_format(&server->address, server->text)] = 0;
	assert_int_equal(pthread_create(&server->thread, NULL, name_server_run, server), 0);
}

static inline void name_server_stop(struct name_server *server)
{
	assert_int_equal(write(server->stop[1], "x", 1), 1);
	pthread_join(server->thread, NULL);
	close(server->udp);
	close(server->tcp);
	close(server->stop[0]);
	close(server->stop[1]);
}

#endif
