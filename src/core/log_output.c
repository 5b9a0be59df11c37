/*
 * One place that lines go to. The writer thread's own. Never waits for a pipe, socket or terminal that takes
 * nothing: what does not leave stays in the buffer, and beyond that records are lost, so that a stuck output
 * does not hold up the other one.
 */
#include "core/log_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	OUTPUT_BUFFER = 256 * 1024,
	RETRY_US = 1000 * 1000, /* after a full disk or a reader that went away */
};

bool log_output_init(struct log_output *output, int fd)
{
	struct stat status;
	if (fstat(fd, &status) < 0)
		return false;
	int flags = fcntl(fd, F_GETFL);
	*output = (struct log_output){.fd = fd, .buffer = malloc(OUTPUT_BUFFER)};
	/*
	 * The descriptor is shared with other processes, often with the shell, so it is not made non-blocking
	 * here.
	 */
	output->may_block = !S_ISREG(status.st_mode) && !(flags >= 0 && flags & O_NONBLOCK);
	return output->buffer != NULL;
}

void log_output_fini(struct log_output *output)
{
	free(output->buffer);
	output->buffer = NULL;
}

bool log_output_add(struct log_output *output, struct span bytes)
{
	if (bytes.len > OUTPUT_BUFFER - (output->end - output->start))
		return false;
	if (bytes.len > OUTPUT_BUFFER - output->end) {
		memmove(output->buffer, output->buffer + output->start, output->end - output->start);
		output->end -= output->start;
		output->start = 0;
	}
	memcpy(output->buffer + output->end, bytes.at, bytes.len);
	output->end += bytes.len;
	return true;
}

/* How much may be written without being made to wait; 0 = nothing now. */
static size_t writable(const struct log_output *output)
{
	size_t len = output->end - output->start;
	if (len == 0 || !output->may_block)
		return len;
	/* A pipe that is ready has room for a page, and other kinds rarely for less. */
	struct pollfd descriptor = {.fd = output->fd, .events = POLLOUT};
	return poll(&descriptor, 1, 0) > 0 ? size_min(len, PIPE_BUF) : 0;
}

size_t log_output_flush(struct log_output *output, uint64_t now_us)
{
	size_t total = 0, len;
	if (output->failing && now_us < output->retry_at)
		return 0;
	output->failing = false;
	while ((len = writable(output)) > 0) {
		ssize_t written = write(output->fd, output->buffer + output->start, len);
		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0 && errno != EAGAIN) {
			output->failing = true;
			output->retry_at = now_us + RETRY_US;
		}
		if (written <= 0)
			break;
		output->start += (size_t)written;
		total += (size_t)written;
	}
	if (log_output_empty(output))
		output->start = output->end = 0;
	return total;
}
