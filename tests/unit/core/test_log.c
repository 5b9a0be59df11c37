/*
 * What reaches the logs, whole lines only, and that nobody who logs is ever held up.
 */
#include "core/log_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static char *text;
static size_t text_len;

static int file_new(void)
{
	int fd = memfd_create("log", 0);
	assert_true(fd >= 0);
	return fd;
}

static void file_read(int fd)
{
	off_t size = lseek(fd, 0, SEEK_END);
	free(text);
	text = malloc((size_t)size + 1);
	assert_non_null(text);
	assert_int_equal(pread(fd, text, (size_t)size, 0), size);
	text_len = (size_t)size;
	text[size] = 0;
	close(fd);
}

static int tear_down(void **state)
{
	free(text);
	text = NULL;
	return 0;
}

static bool put_line(struct log_ring *ring, enum log_stream stream, const char *line)
{
	size_t len = strlen(line);
	uint8_t *at = log_reserve(ring, stream, len + 10);
	if (!at)
		return false;
	memcpy(at, line, len);
	log_commit(ring, len);
	return true;
}

static void test_time(void **state)
{
	static const struct {
		int64_t wall_ms;
		const char *text;
	} cases[] = {
		{0, "1970-01-01T00:00:00.000Z"},
		{951782400000 + 86399999, "2000-02-29T23:59:59.999Z"},
		{1767323045678, "2026-01-02T03:04:05.678Z"},
		{4107542400000, "2100-03-01T00:00:00.000Z"},
		{253402300799999, "9999-12-31T23:59:59.999Z"},
	};
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		uint8_t out[LOG_TIME_LENGTH];
		log_time(out, cases[i].wall_ms);
		assert_memory_equal(out, cases[i].text, LOG_TIME_LENGTH);
	}
}

/* Every day of four centuries, against the C library. */
static void test_time_of_every_day(void **state)
{
	for (int64_t day = 0; day < 146097; day++) {
		char expected[40];
		struct tm tm;
		time_t seconds = day * 86400;
		uint8_t out[LOG_TIME_LENGTH];
		strftime(expected, sizeof(expected), "%Y-%m-%dT%H:%M:%S.000Z", gmtime_r(&seconds, &tm));
		log_time(out, day * 86400000);
		assert_memory_equal(out, expected, LOG_TIME_LENGTH);
	}
}

static void test_lines(void **state)
{
	int access_fd = file_new(), error_fd = file_new();
	struct log *log = log_start(access_fd, error_fd, LOG_INFO);
	assert_non_null(log);
	struct log_ring *ring = log_ring_new(log, 0);
	assert_true(log_access_on(ring));
	assert_true(log_wants(ring, LOG_INFO));
	assert_false(log_wants(ring, LOG_DEBUG));
	log_say(ring, LOG_WARNING, "port %d", 80);
	log_say(ring, LOG_DEBUG, "not this");
	log_say(ring, LOG_ERROR, "%s", "a\nb\x1b[0m\\\xc2\x9b");
	assert_true(put_line(ring, LOG_STREAM_ACCESS, "one\n"));
	assert_non_null(log_reserve(ring, LOG_STREAM_ACCESS, 100));
	log_commit(ring, 0);
	assert_true(put_line(ring, LOG_STREAM_ACCESS, "two\n"));
	log_stop(log);
	file_read(access_fd);
	assert_string_equal(text, "one\ntwo\n");
	file_read(error_fd);
	assert_string_equal(text + LOG_TIME_LENGTH + strlen(" warning port 80\n") + LOG_TIME_LENGTH,
			    " error a\\x0ab\\x1b[0m\\x5c\\xc2\\x9b\n");
	text[LOG_TIME_LENGTH + strlen(" warning port 80\n")] = 0;
	assert_string_equal(text + LOG_TIME_LENGTH, " warning port 80\n");
}

static void test_long_text_is_cut(void **state)
{
	int error_fd = file_new();
	struct log *log = log_start(-1, error_fd, LOG_INFO);
	struct log_ring *ring = log_ring_new(log, 65536);
	static char longest[5000];
	memset(longest, '\n', sizeof(longest) - 1);
	log_say(ring, LOG_INFO, "%s", longest);
	log_stop(log);
	file_read(error_fd);
	assert_in_range(text_len, 4000, 5000);
	assert_string_equal(text + text_len - 8, "\\x0a...\n");
}

static void test_off(void **state)
{
	struct log *log = log_start(-1, -1, LOG_DEBUG);
	struct log_ring *ring = log_ring_new(log, 0);
	assert_false(log_access_on(ring));
	assert_false(log_wants(ring, LOG_ERROR));
	assert_null(log_reserve(ring, LOG_STREAM_ACCESS, 10));
	log_say(ring, LOG_ERROR, "nothing");
	assert_int_equal(log_dropped(log), 0);
	log_stop(log);
	assert_null(log_start(-1, 99999, LOG_INFO));
	assert_int_equal(errno, EBADF);
	assert_false(log_access_on(NULL));
	assert_null(log_reserve(NULL, LOG_STREAM_ERROR, 10));
	log_say(NULL, LOG_ERROR, "nothing");
	log_stop(NULL);
}

enum { THREADS = 3, LINES = 30000 };

struct producer {
	pthread_t thread;
	struct log_ring *ring;
	unsigned index, written;
};

/* Lines of changing length that say where they come from, half of them for each stream. */
static void *produce(void *argument)
{
	struct producer *producer = argument;
	for (unsigned i = 0; i < LINES; i++) {
		enum log_stream stream = i % 2 ? LOG_STREAM_ACCESS : LOG_STREAM_ERROR;
		size_t most = 20 + i % 300;
		uint8_t *at = log_reserve(producer->ring, stream, most);
		if (!at)
			continue;
		memset(at, '.', most);
		int len = snprintf((char *)at, 20, "%u %08u ", producer->index, i);
		at[len] = '.';
		at[most - 1] = '\n';
		log_commit(producer->ring, most);
		producer->written++;
	}
	return NULL;
}

static unsigned run_producers(struct log *log, size_t ring_size)
{
	struct producer producers[THREADS];
	unsigned written = 0;
	for (unsigned i = 0; i < THREADS; i++) {
		producers[i] = (struct producer){.ring = log_ring_new(log, ring_size), .index = i};
		assert_int_equal(pthread_create(&producers[i].thread, NULL, produce, &producers[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(producers[i].thread, NULL);
		written += producers[i].written;
	}
	return written;
}

/*
 * Each line in `text` is whole and in its thread's order; returns how many, and adds up the records reported
 * as lost.
 */
static unsigned check_lines(uint64_t *lost)
{
	long last[THREADS] = {-1, -1, -1};
	unsigned count = 0;
	for (char *line = text, *end; *line; line = end + 1) {
		unsigned thread, number;
		unsigned long long some;
		end = strchr(line, '\n');
		assert_non_null(end);
		*end = 0;
		if (sscanf(line + LOG_TIME_LENGTH, " warning log: %llu records lost", &some) == 1) {
			*lost += some;
			continue;
		}
		assert_int_equal(sscanf(line, "%u %u ", &thread, &number), 2);
		assert_int_equal((size_t)(end + 1 - line), 20 + number % 300);
		assert_int_equal(strspn(line + 11, "."), (size_t)(end - line) - 11);
		assert_true(thread < THREADS && (long)number > last[thread]);
		last[thread] = number;
		count++;
	}
	return count;
}

static void test_threads(void **state)
{
	int fd = file_new();
	uint64_t lost = 0;
	struct log *log = log_start(fd, dup(fd), LOG_INFO);
	unsigned written = run_producers(log, 65536);
	log_stop(log);
	file_read(fd);
	assert_int_equal(check_lines(&lost), written);
	assert_int_equal(written + lost, THREADS * LINES);
}

struct slow_reader {
	pthread_t thread;
	int fd;
	FILE *to;
};

static void *read_slowly(void *argument)
{
	struct slow_reader *reader = argument;
	char bytes[1500];
	ssize_t len;
	while ((len = read(reader->fd, bytes, sizeof(bytes))) > 0)
		fwrite(bytes, 1, (size_t)len, reader->to);
	fclose(reader->to);
	return NULL;
}

/* Both streams into one pipe, by two descriptors, the writer always ahead of the reader: lines stay whole. */
static void test_one_pipe(void **state)
{
	int ends[2];
	uint64_t lost = 0;
	assert_int_equal(pipe(ends), 0);
	int duplicate = dup(ends[1]);
	free(text);
	text = NULL;
	struct slow_reader reader = {.fd = ends[0], .to = open_memstream(&text, &text_len)};
	assert_int_equal(pthread_create(&reader.thread, NULL, read_slowly, &reader), 0);
	struct log *log = log_start(ends[1], duplicate, LOG_INFO);
	unsigned written = run_producers(log, 16384);
	log_stop(log);
	close(ends[1]);
	close(duplicate);
	pthread_join(reader.thread, NULL);
	close(ends[0]);
	unsigned count = check_lines(&lost);
	assert_true(count <= written);
	assert_int_equal(count + lost, THREADS * LINES);
}

static uint64_t stop_and_measure(struct log *log)
{
	uint64_t start = log_clock_us();
	assert_true(log_stop(log));
	return (log_clock_us() - start) / 1000;
}

static void wait_until_taken(const struct log_ring *ring)
{
	while (log_ring_fill(ring) > 0)
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

/*
 * Nobody reads the access pipe: whoever logs goes on, the error log goes on and says what was lost, and the
 * end comes.
 */
static void test_stuck_pipe(void **state)
{
	int ends[2], error_fd = file_new();
	assert_int_equal(pipe(ends), 0);
	struct log *log = log_start(ends[1], error_fd, LOG_INFO);
	struct log_ring *ring = log_ring_new(log, 65536);
	/* More than the ring, the pipe and the writer's buffer hold together. */
	for (int round = 0; round < 20; round++) {
		while (put_line(ring, LOG_STREAM_ACCESS,
				"a line of the access log that nobody wants to read\n")) {
		}
		wait_until_taken(ring);
	}
	assert_true(atomic_load(&log->dropped) > 0);
	log_say(ring, LOG_ERROR, "still here");
	assert_in_range(stop_and_measure(log), 500, 4000);
	file_read(error_fd);
	assert_non_null(strstr(text, " error still here\n"));
	assert_non_null(strstr(text, " records lost\n"));
	close(ends[0]);
	close(ends[1]);
}

/* A terminal says that it is ready and then blocks in the middle of a write: the end comes even so. */
static void test_stuck_terminal(void **state)
{
	int terminal = posix_openpt(O_RDWR | O_NOCTTY);
	assert_true(terminal >= 0);
	assert_int_equal(unlockpt(terminal), 0);
	char name[64];
	assert_int_equal(ptsname_r(terminal, name, sizeof(name)), 0);
	int side = open(name, O_RDWR | O_NOCTTY);
	assert_true(side >= 0);
	struct log *log = log_start(-1, side, LOG_INFO);
	struct log_ring *ring = log_ring_new(log, 65536);
	while (put_line(ring, LOG_STREAM_ERROR, "a line for a terminal that was stopped\n")) {
	}
	uint64_t start = log_clock_us();
	assert_false(log_stop(log));
	assert_in_range((log_clock_us() - start) / 1000, 500, 4000);
	/* Neither end is closed: the writer is left behind in its write for as long as the program runs. */
}

static void test_full_disk(void **state)
{
	int full = open("/dev/full", O_WRONLY), error_fd = file_new();
	assert_true(full >= 0);
	struct log *log = log_start(full, error_fd, LOG_INFO);
	struct log_ring *ring = log_ring_new(log, 65536);
	assert_true(put_line(ring, LOG_STREAM_ACCESS, "lost\n"));
	log_say(ring, LOG_ERROR, "written");
	assert_in_range(stop_and_measure(log), 0, 900);
	file_read(error_fd);
	assert_non_null(strstr(text, " error written\n"));
	close(full);
}

static void test_reader_went_away(void **state)
{
	int ends[2], error_fd = file_new();
	assert_int_equal(pipe(ends), 0);
	close(ends[0]);
	struct log *log = log_start(ends[1], error_fd, LOG_INFO);
	struct log_ring *ring = log_ring_new(log, 65536);
	assert_true(put_line(ring, LOG_STREAM_ACCESS, "lost\n"));
	log_say(ring, LOG_ERROR, "written");
	assert_in_range(stop_and_measure(log), 0, 900);
	file_read(error_fd);
	assert_non_null(strstr(text, " error written\n"));
	close(ends[1]);
}

/* A log that slept for good is woken by the first record. */
static void test_parks_and_wakes(void **state)
{
	int ends[2];
	char bytes[100];
	assert_int_equal(pipe(ends), 0);
	struct log *log = log_start(-1, ends[1], LOG_INFO);
	struct log_ring *ring = log_ring_new(log, 4096);
	for (int round = 0; round < 2; round++) {
		while (atomic_load(&log->state) != LOG_PARKED)
			nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
		log_say(ring, LOG_INFO, "good morning");
		struct pollfd descriptor = {.fd = ends[0], .events = POLLIN};
		assert_int_equal(poll(&descriptor, 1, 5000), 1);
		assert_true(read(ends[0], bytes, sizeof(bytes)) > 0);
	}
	log_stop(log);
	close(ends[0]);
	close(ends[1]);
}

static void test_too_large(void **state)
{
	int error_fd = file_new();
	struct log *log = log_start(-1, error_fd, LOG_ERROR);
	struct log_ring *ring = log_ring_new(log, 4096);
	assert_null(log_reserve(ring, LOG_STREAM_ERROR, 4096));
	assert_null(log_reserve(ring, LOG_STREAM_ERROR, SIZE_MAX));
	assert_int_equal(log_dropped(log), 2);
	log_stop(log);
	file_read(error_fd);
	assert_non_null(strstr(text, " warning log: 2 records lost\n"));
}

#define TEST(function) cmocka_unit_test_teardown(function, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_time),
		TEST(test_time_of_every_day),
		TEST(test_lines),
		TEST(test_off),
		TEST(test_long_text_is_cut),
		TEST(test_threads),
		TEST(test_one_pipe),
		TEST(test_stuck_pipe),
		TEST(test_full_disk),
		TEST(test_too_large),
		TEST(test_reader_went_away),
		TEST(test_parks_and_wakes),
		TEST(test_stuck_terminal),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
