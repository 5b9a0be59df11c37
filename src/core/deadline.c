/*
 * See deadline.h. Any thread.
 */
#include "core/deadline.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <time.h>

uint64_t deadline_now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_nsec / 1000000;
}

bool deadline_wait(int fd, short events, uint64_t deadline)
{
	for (;;) {
		struct pollfd poll_fd = {.fd = fd, .events = events};
		uint64_t now = deadline_now();
		uint64_t left = deadline > now ? deadline - now : 0;
		int ready = poll(&poll_fd, 1, left > INT_MAX ? INT_MAX : (int)left);

		if (ready > 0)
			return true;
		if (ready < 0 && errno == EINTR)
			continue;
		if (ready == 0)
			errno = ETIMEDOUT;
		return false;
	}
}
