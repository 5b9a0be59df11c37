/*
 * Access and error logs without ever blocking the one who logs: every thread has a ring of its own, one
 * writer thread empties the rings into files. A record that finds its ring full is dropped and counted, and
 * the count is reported in the error log when there is room again. The writer is woken by a system call only
 * when it sleeps for good; under load it comes by itself every few milliseconds.
 */
#ifndef GUISE_CORE_LOG_H
#define GUISE_CORE_LOG_H

#include "core/span.h"

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };
enum log_stream { LOG_STREAM_ERROR, LOG_STREAM_ACCESS };

struct log;      /* the writer, its outputs, all rings */
struct log_ring; /* one thread's side; wherever one is passed NULL means that nothing is logged */

/*
 * Descriptors are the caller's (opened where files are opened); -1 = off. Two that name the same file, pipe
 * or terminal are written to as one, so that lines never mix. The writer thread starts here. NULL: errno.
 */
WARN_UNUSED struct log *log_start(int access_fd, int error_fd, enum log_level level);
/*
 * Writes out what is there (bounded: gives up on an output that takes nothing for a second), ends the thread,
 * frees all. False: the writer is stuck inside a write(2) and was left behind; the descriptors must stay open,
 * since it may still use them.
 */
bool log_stop(struct log *log);

/*
 * A ring of `bytes` (rounded up to a power of two). Before the thread that uses it starts. NULL: out of
 * memory.
 */
WARN_UNUSED struct log_ring *log_ring_new(struct log *log, size_t bytes);

/*
 * Room for a record of at most `most` bytes, contiguous, to be formatted in place; NULL when the ring is full
 * (counted) or the stream is off. Commit with the length that was written, newline included; a length of 0
 * forgets it.
 */
WARN_UNUSED uint8_t *log_reserve(struct log_ring *ring, enum log_stream stream, size_t most);
void log_commit(struct log_ring *ring, size_t len);

bool log_wants(const struct log_ring *ring, enum log_level level);
bool log_access_on(const struct log_ring *ring);

/*
 * One line of the error log: "TIME LEVEL text". Whatever is not printable ASCII becomes \xNN, so that no peer
 * can forge a line. Long texts are cut. Not for the hot path.
 */
void log_say(struct log_ring *ring, enum log_level level, const char *format, ...) PRINTF_LIKE(3, 4);

uint64_t log_dropped(const struct log *log); /* records lost so far */

enum { LOG_TIME_LENGTH = 24 };

/* "2026-01-02T03:04:05.678Z" (RFC 3339, UTC), without a NUL. Milliseconds since 1970, up to the year 9999. */
void log_time(uint8_t out[LOG_TIME_LENGTH], int64_t wall_ms);

#endif
