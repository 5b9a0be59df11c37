/*
 * Starting and stopping the log, and lines of the error log. log_say is called by the thread that owns the
 * ring.
 */
#include "core/log_internal.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

enum {
	SAY_LONGEST = 1024,
	STOP_STEP_MS = 1200,            /* more than what the writer allows an output that takes nothing */
	STOP_MOST_US = 5 * 1000 * 1000, /* for an output that takes a little now and then */
};

static bool same_file(int a, int b)
{
	struct stat first, second;
	if (a == b)
		return true;
	return fstat(a, &first) == 0 && fstat(b, &second) == 0 && first.st_dev == second.st_dev &&
	       first.st_ino == second.st_ino;
}

static bool open_outputs(struct log *log, int access_fd, int error_fd)
{
	if (error_fd >= 0) {
		if (!log_output_init(&log->outputs[0], error_fd))
			return false;
		log->streams[LOG_STREAM_ERROR] = &log->outputs[0];
	}
	if (access_fd >= 0 && error_fd >= 0 && same_file(access_fd, error_fd)) {
		log->streams[LOG_STREAM_ACCESS] = &log->outputs[0];
	} else if (access_fd >= 0) {
		if (!log_output_init(&log->outputs[1], access_fd))
			return false;
		log->streams[LOG_STREAM_ACCESS] = &log->outputs[1];
	}
	return true;
}

/* Signals are for the main thread; a SIGPIPE of an output would otherwise end the process. */
static int start_writer(struct log *log)
{
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int error = pthread_create(&log->thread, NULL, log_writer_run, log);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return error;
}

void log_free(struct log *log)
{
	for (struct log_ring *ring = atomic_load(&log->rings), *next; ring; ring = next) {
		next = ring->next;
		free(ring);
	}
	log_output_fini(&log->outputs[0]);
	log_output_fini(&log->outputs[1]);
	free(log);
}

struct log *log_start(int access_fd, int error_fd, enum log_level level)
{
	struct log *log = calloc(1, sizeof(*log));
	if (!log)
		return NULL;
	log->level = level;
	errno = ENOMEM; /* unless a system call says otherwise */
	if (!open_outputs(log, access_fd, error_fd))
		goto fail;
	int error = start_writer(log);
	if (error == 0)
		return log;
	errno = error;
fail:
	log_free(log);
	return NULL;
}

/* Until the writer has ended, or is stuck inside a write. */
static bool wait_for_writer(struct log *log)
{
	uint64_t deadline = log_clock_us() + STOP_MOST_US;
	while (atomic_load(&log->done) == LOG_RUNS) {
		uint64_t before = atomic_load(&log->progress);
		log_futex_wait(&log->done, LOG_RUNS, STOP_STEP_MS);
		uint64_t now = log_clock_us();
		bool stuck = atomic_load(&log->progress) == before || now > deadline;
		if (stuck && atomic_load(&log->done) == LOG_RUNS)
			return false;
	}
	return true;
}

bool log_stop(struct log *log)
{
	if (!log)
		return true;
	atomic_store(&log->state, LOG_STOPPING);
	log_futex_wake(&log->state);
	/* A writer inside write(2) to a terminal or a dead disk may never come back: nobody waits for it. */
	pthread_t writer = log->thread; /* a writer that was left behind may free the log at any time */
	uint32_t runs = LOG_RUNS;
	if (!wait_for_writer(log) && atomic_compare_exchange_strong(&log->done, &runs, LOG_LEFT)) {
		pthread_detach(writer);
		return false;
	}
	pthread_join(writer, NULL);
	log_free(log);
	return true;
}

bool log_wants(const struct log_ring *ring, enum log_level level)
{
	return ring && ring->log->streams[LOG_STREAM_ERROR] && level <= ring->log->level;
}

bool log_access_on(const struct log_ring *ring)
{
	return ring && ring->log->streams[LOG_STREAM_ACCESS];
}

uint64_t log_dropped(const struct log *log)
{
	uint64_t sum = atomic_load_explicit(&log->dropped, memory_order_relaxed);
	for (const struct log_ring *ring = atomic_load(&log->rings); ring; ring = ring->next)
		sum += atomic_load_explicit(&ring->dropped, memory_order_relaxed);
	return sum;
}

static void put_digits(uint8_t *out, unsigned digits, unsigned value)
{
	while (digits > 0) {
		out[--digits] = (uint8_t)('0' + value % 10);
		value /= 10;
	}
}

/*
 * The civil date of a day since 1970, in years that begin in March (Hinnant, "chrono-compatible low-level
 * date algorithms").
 */
static void put_date(uint8_t *out, unsigned days)
{
	days += 719468; /* from 0000-03-01 */
	unsigned era = days / 146097, day_of_era = days % 146097;
	unsigned year_of_era =
		(day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	unsigned day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	unsigned month = (5 * day_of_year + 2) / 153; /* 0 = March */
	put_digits(out, 4, era * 400 + year_of_era + (month >= 10));
	put_digits(out + 5, 2, month < 10 ? month + 3 : month - 9);
	put_digits(out + 8, 2, day_of_year - (153 * month + 2) / 5 + 1);
}

void log_time(uint8_t out[LOG_TIME_LENGTH], int64_t wall_ms)
{
	const unsigned day = 24 * 3600 * 1000;
	uint64_t time = wall_ms < 0 ? 0 : (uint64_t)wall_ms;
	unsigned rest = (unsigned)(time % day);
	memcpy(out, "0000-00-00T00:00:00.000Z", LOG_TIME_LENGTH);
	put_date(out, (unsigned)(time / day));
	put_digits(out + 11, 2, rest / 3600000);
	put_digits(out + 14, 2, rest / 60000 % 60);
	put_digits(out + 17, 2, rest / 1000 % 60);
	put_digits(out + 20, 3, rest % 1000);
}

static size_t put_escaped(uint8_t *out, struct span text)
{
	static const char hex[] = "0123456789abcdef";
	uint8_t *at = out;
	for (size_t i = 0; i < text.len; i++) {
		uint8_t byte = text.at[i];
		if (byte >= ' ' && byte < 0x7f && byte != '\\') {
			*at++ = byte;
			continue;
		}
		*at++ = '\\';
		*at++ = 'x';
		*at++ = (uint8_t)hex[byte >> 4];
		*at++ = (uint8_t)hex[byte & 15];
	}
	return (size_t)(at - out);
}

size_t log_line(uint8_t *out, enum log_level level, struct span text)
{
	static const char *const words[] = {
		[LOG_ERROR] = " error ",
		[LOG_WARNING] = " warning ",
		[LOG_INFO] = " info ",
		[LOG_DEBUG] = " debug ",
	};
	struct timespec time;
	clock_gettime(CLOCK_REALTIME, &time);
	log_time(out, (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000);
	size_t len = LOG_TIME_LENGTH;
	struct span word = span_of(words[level]);
	memcpy(out + len, word.at, word.len);
	len += word.len;
	len += put_escaped(out + len, text);
	out[len++] = '\n';
	return len;
}

void log_say(struct log_ring *ring, enum log_level level, const char *format, ...)
{
	char text[SAY_LONGEST];
	va_list arguments;
	if (!log_wants(ring, level))
		return;
	va_start(arguments, format);
	int length = vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	size_t len = size_min(length < 0 ? 0 : (size_t)length, sizeof(text) - 1);
	if ((size_t)length > len && length > 0)
		memcpy(text + len - 3, "...", 3);
	uint8_t *out = log_reserve(ring, LOG_STREAM_ERROR, LOG_LINE_HEAD + 4 * len);
	if (out)
		log_commit(ring, log_line(out, level, span_make(text, len)));
}
