/*
 * What the files of the log share: rings (one producer thread, the writer thread consumes), outputs and the
 * writer (the writer thread alone), and the word by which the writer sleeps.
 */
#ifndef GUISE_CORE_LOG_INTERNAL_H
#define GUISE_CORE_LOG_INTERNAL_H

#include "core/log.h"

#include <pthread.h>
#include <stdatomic.h>

enum { CACHE_LINE = 64 };

/*
 * Stands before each record in a ring; records are padded to its size, so that one always fits before the
 * ring's end.
 */
struct log_record {
	uint32_t len;    /* bytes that follow, without padding */
	uint32_t stream; /* enum log_stream, or LOG_RECORD_SKIP: unused bytes up to the ring's end */
};

enum { LOG_RECORD_SKIP = 255 };

/* Positions count bytes since the ring was made; their place is the position modulo the size. */
struct log_ring {
	struct log *log;
	struct log_ring *next;
	size_t size;                             /* of bytes[], a power of two */
	_Alignas(CACHE_LINE) atomic_size_t head; /* written by the producer, who owns what follows too */
	size_t tail_seen;                        /* the tail when it was looked at last */
	size_t skip, most;      /* of the reservation: bytes left out at the ring's end, bytes asked for */
	enum log_stream stream; /* of the reservation */
	atomic_uint_fast64_t dropped;
	_Alignas(CACHE_LINE) atomic_size_t tail; /* written by the writer thread */
	_Alignas(CACHE_LINE) uint8_t bytes[];
};

/* A file, pipe, socket or terminal, and the bytes that it has not taken yet. */
struct log_output {
	int fd;
	bool may_block;    /* write(2) could: ask first, and write little at a time */
	bool failing;      /* the last write met an error that is not just "not now" */
	uint64_t retry_at; /* µs of the monotonic clock; while failing */
	uint8_t *buffer;
	size_t start, end; /* of the bytes in the buffer that are to be written */
};

enum log_state {
	LOG_AWAKE,    /* the writer comes by itself within LOG_NAP_MS */
	LOG_PARKED,   /* it sleeps until somebody wakes it */
	LOG_STOPPING, /* it writes what there is and ends */
};

enum log_done {
	LOG_RUNS,
	LOG_DONE, /* the writer has ended */
	LOG_LEFT, /* it is stuck inside a write(2) and was left behind: it frees the log itself, should it ever return */
};

struct log {
	enum log_level level;
	struct log_output outputs[2];
	struct log_output *streams[2]; /* by enum log_stream; NULL = off; both may be one */
	_Atomic(struct log_ring *) rings;
	_Atomic uint32_t state;         /* enum log_state; a futex */
	_Atomic uint32_t done;          /* enum log_done; a futex */
	atomic_uint_fast64_t dropped;   /* records that an output had no room for */
	atomic_uint_fast64_t progress;  /* bytes written by all outputs */
	uint64_t reported, reported_at; /* records lost that the error log knows of; when it was told, µs */
	pthread_t thread;
};

/* Rings, the writer's side. _next: the next record, or NULL; it stays valid until _release. */
const struct log_record *log_ring_next(const struct log_ring *ring, size_t *position);
void log_ring_release(struct log_ring *ring, size_t position);
size_t log_ring_fill(const struct log_ring *ring); /* bytes in it */

/*
 * Outputs. _add: false when there is no room. _flush: writes what the output takes without waiting; bytes
 * written.
 */
WARN_UNUSED bool log_output_init(struct log_output *output, int fd);
void log_output_fini(struct log_output *output);
WARN_UNUSED bool log_output_add(struct log_output *output, struct span bytes);
size_t log_output_flush(struct log_output *output, uint64_t now_us);
static inline bool log_output_empty(const struct log_output *output)
{
	return output->start == output->end;
}

/* The writer thread's main function; its argument is the log. */
void *log_writer_run(void *argument);
void log_writer_wake(struct log *log); /* any thread, when it has seen LOG_PARKED */

/* A line of the error log into `out`, which has room for LOG_LINE_HEAD + 4 * text.len bytes; its length. */
enum { LOG_LINE_HEAD = LOG_TIME_LENGTH + sizeof(" warning ") };
size_t log_line(uint8_t *out, enum log_level level, struct span text);

uint64_t log_clock_us(void); /* monotonic */

void log_futex_wait(_Atomic uint32_t *word, uint32_t expected, int timeout_ms); /* -1: no timeout */
void log_futex_wake(_Atomic uint32_t *word);

/* log.c, for the writer that was left behind. */
void log_free(struct log *log);

#endif
