/*
 * What the tests of src/net share: a worker with its room, TCP pairs over the loopback address, and turning the loop until
 * something holds, with a bound instead of a sleep.
 */
#ifndef GUISE_TESTS_NET_FIXTURE_H
#define GUISE_TESTS_NET_FIXTURE_H

#include "net/conn.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
	struct memory memory;
	struct worker worker;
};

static inline int fixture_set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	assert_non_null(fixture);
	signal(SIGPIPE, SIG_IGN);
	memory_init(&fixture->memory, 0);
	assert_true(worker_init(&fixture->worker, 0, &fixture->memory, NULL));
	assert_true(conn_room_init(&fixture->worker));
	*state = fixture;
	return 0;
}

/* Every byte that was taken has come back. */
static inline int fixture_tear_down(void **state)
{
	struct fixture *fixture = *state;
	assert_int_equal(conn_count(&fixture->worker), 0);
	conn_room_fini(&fixture->worker);
	worker_fini(&fixture->worker);
	assert_int_equal(atomic_load(&fixture->memory.used), 0);
	free(fixture);
	return 0;
}

#define TURN_UNTIL(fixture, condition)                                                                       \
	do {                                                                                                 \
		for (unsigned turn_ = 0; !(condition); turn_++) {                                            \
			if (turn_ == 2000)                                                                   \
				fail_msg("never: %s", #condition);                                           \
			loop_turn(&(fixture)->worker.loop, 5);                                               \
		}                                                                                            \
	} while (0)

static inline int listen_on_loopback(struct address *address)
{
	union socket_address raw;
	socklen_t len = sizeof(raw);
	assert_true(address_parse(SPAN("127.0.0.1:0"), address));
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	len = address_to_socket(address, &raw);
	assert_int_equal(bind(fd, &raw.any, len), 0);
	assert_int_equal(listen(fd, 64), 0);
	len = sizeof(raw);
	assert_int_equal(getsockname(fd, &raw.any, &len), 0);
	*address = address_from_socket(&raw, len);
	return fd;
}

/* ours is non-blocking, theirs blocks for at most five seconds. */
static inline void tcp_pair(int *ours, int *theirs, struct address *peer)
{
	struct address address;
	union socket_address raw;
	struct timeval patience = {.tv_sec = 5};
	int listener = listen_on_loopback(&address);
	socklen_t len = address_to_socket(&address, &raw);
	*theirs = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(*theirs, &raw.any, len), 0);
	len = sizeof(raw);
	*ours = accept4(listener, &raw.any, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
	assert_true(*ours >= 0);
	*peer = address_from_socket(&raw, len);
	setsockopt(*theirs, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(*theirs, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	close(listener);
}

static inline void send_text(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

static inline void reset_peer(int fd)
{
	struct linger hard = {.l_onoff = 1};
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	close(fd);
}

#endif
