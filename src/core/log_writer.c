/*
 * The writer thread: empties all rings into the outputs, naps, and parks when there has been nothing to do
 * for a while. Under load it wakes by itself, so that no other thread makes a system call to log.
 */
#include "core/log_internal.h"

#include <linux/futex.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum {
	NAP_MS = 20,
	SHORT_NAP_MS = 4, /* when a ring was found more than an eighth full */
	STOP_NAP_MS = 2,
	PARK_AFTER_US = 200 * 1000,
	REPORT_EVERY_US = 1000 * 1000,
	GIVE_UP_US = 1000 * 1000,
};

uint64_t log_clock_us(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000 + (uint64_t)time.tv_nsec / 1000;
}

void log_futex_wait(_Atomic uint32_t *word, uint32_t expected, int timeout_ms)
{
	struct timespec timeout = {.tv_sec = timeout_ms / 1000, .tv_nsec = timeout_ms % 1000 * 1000000L};
	syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, timeout_ms < 0 ? NULL : &timeout, NULL, 0);
}

void log_futex_wake(_Atomic uint32_t *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

void log_writer_wake(struct log *log)
{
	uint32_t parked = LOG_PARKED;
	if (atomic_compare_exchange_strong(&log->state, &parked, LOG_AWAKE))
		log_futex_wake(&log->state);
}

static void flush(struct log *log, struct log_output *output, uint64_t now_us)
{
	size_t written = log_output_flush(output, now_us);
	atomic_fetch_add_explicit(&log->progress, written, memory_order_relaxed);
}

static void flush_all(struct log *log, uint64_t now_us)
{
	for (unsigned i = 0; i < ARRAY_LENGTH(log->outputs); i++) {
		if (log->outputs[i].buffer)
			flush(log, &log->outputs[i], now_us);
	}
}

static void add(struct log *log, struct log_output *output, struct span bytes, uint64_t now_us)
{
	if (log_output_add(output, bytes))
		return;
	flush(log, output, now_us);
	if (!log_output_add(output, bytes))
		atomic_fetch_add_explicit(&log->dropped, 1, memory_order_relaxed);
}

/* Records of one ring, at most those that are in it now. Whether there were any. */
static bool drain_ring(struct log *log, struct log_ring *ring, uint64_t now_us)
{
	size_t start = atomic_load_explicit(&ring->tail, memory_order_relaxed), position = start;
	const struct log_record *record;
	while (position - start < ring->size && (record = log_ring_next(ring, &position)))
		add(log, log->streams[record->stream], span_make(record + 1, record->len), now_us);
	log_ring_release(ring, position);
	return position != start;
}

/* Tells of lost records, once a second at most, as soon as the error log has nothing older to write. */
static void report_lost(struct log *log, uint64_t now_us, bool final)
{
	struct log_output *output = log->streams[LOG_STREAM_ERROR];
	uint64_t lost = log_dropped(log);
	if (!output || lost == log->reported || output->failing || !log_output_empty(output))
		return;
	if (!final && log->reported != 0 && now_us - log->reported_at < REPORT_EVERY_US)
		return;
	char text[64];
	uint8_t line[LOG_LINE_HEAD + 4 * sizeof(text)];
	snprintf(text, sizeof(text), "log: %llu records lost", (unsigned long long)(lost - log->reported));
	if (!log_output_add(output, span_make(line, log_line(line, LOG_WARNING, span_of(text)))))
		return;
	log->reported = lost;
	log->reported_at = now_us;
	flush(log, output, now_us);
}

/*
 * One pass over everything. Whether there was something to write; *fullest: bytes in the ring that had most
 * of its size, in eighths.
 */
static bool write_round(struct log *log, uint64_t now_us, size_t *fullest)
{
	bool any = false;
	*fullest = 0;
	for (struct log_ring *ring = atomic_load(&log->rings); ring; ring = ring->next) {
		*fullest = size_max(*fullest, log_ring_fill(ring) * 8 / ring->size);
		any |= drain_ring(log, ring, now_us);
	}
	flush_all(log, now_us);
	return any;
}

static bool outputs_empty(const struct log *log)
{
	return log_output_empty(&log->outputs[0]) && log_output_empty(&log->outputs[1]);
}

static bool rings_empty(const struct log *log)
{
	for (struct log_ring *ring = atomic_load(&log->rings); ring; ring = ring->next) {
		if (log_ring_fill(ring) > 0)
			return false;
	}
	return true;
}

/*
 * Sleeps until a record comes. Whoever commits after the rings were looked at here sees that the writer is
 * parked.
 */
static void park(struct log *log)
{
	uint32_t awake = LOG_AWAKE, parked = LOG_PARKED;
	if (!atomic_compare_exchange_strong(&log->state, &awake, LOG_PARKED))
		return;
	if (!rings_empty(log)) {
		atomic_compare_exchange_strong(&log->state, &parked, LOG_AWAKE);
		return;
	}
	while (atomic_load(&log->state) == LOG_PARKED)
		log_futex_wait(&log->state, LOG_PARKED, -1);
}

static void serve(struct log *log)
{
	uint64_t busy_at = log_clock_us();
	while (atomic_load(&log->state) != LOG_STOPPING) {
		uint64_t now = log_clock_us();
		size_t fullest;
		bool any = write_round(log, now, &fullest);
		report_lost(log, now, false);
		if (any || !outputs_empty(log) ||
		    (log->streams[LOG_STREAM_ERROR] && log_dropped(log) != log->reported))
			busy_at = now;
		if (now - busy_at >= PARK_AFTER_US) {
			park(log);
			busy_at = log_clock_us();
		} else {
			log_futex_wait(&log->state, LOG_AWAKE, fullest > 0 ? SHORT_NAP_MS : NAP_MS);
		}
	}
}

/* Whether an output still has bytes that it may take. */
static bool hopeful(const struct log *log)
{
	for (unsigned i = 0; i < ARRAY_LENGTH(log->outputs); i++) {
		if (!log_output_empty(&log->outputs[i]) && !log->outputs[i].failing)
			return true;
	}
	return false;
}

/* The rest, until nothing is left or no output has taken anything for a second. */
static void finish(struct log *log)
{
	uint64_t moved_at = log_clock_us(), progress = 0;
	for (;;) {
		uint64_t now = log_clock_us(), before = progress;
		size_t fullest;
		write_round(log, now, &fullest);
		report_lost(log, now, true);
		progress = atomic_load_explicit(&log->progress, memory_order_relaxed);
		if (progress != before)
			moved_at = now;
		if (rings_empty(log) && !hopeful(log))
			break;
		if (now - moved_at >= GIVE_UP_US)
			break;
		log_futex_wait(&log->done, LOG_RUNS, STOP_NAP_MS);
	}
}

void *log_writer_run(void *argument)
{
	struct log *log = argument;
	serve(log);
	finish(log);
	uint32_t runs = LOG_RUNS;
	if (atomic_compare_exchange_strong(&log->done, &runs, LOG_DONE))
		log_futex_wake(&log->done);
	else
		log_free(log);
	return NULL;
}
