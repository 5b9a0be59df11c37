/*
 * bench-tunnels: a load of new tunnels, each with one request.
 *
 * It keeps a number of connections under way; each connects, asks for a tunnel to the origin (or, through a bare relay, for nothing), sends one
 * GET with "Connection: close" through it, reads the answer to its end and closes; the next takes its place. Nothing is sent before what
 * came before has been answered. One thread, level-triggered epoll.
 *
 * Usage: bench-tunnels [-c CONNECTIONS] [-d SECONDS] [-n TUNNELS] HOW PORT ORIGIN_PORT       HOW: raw, connect or socks5
 *
 * Ends after SECONDS (3) or, with -n, when so many have been opened, after 60 seconds at the latest. Prints one line of JSON: requests and errors, p50 and p99 in microseconds from the connect to the end of the
 * answer. The first error is told on stderr.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	CONNECTIONS_MAX = 1024,
	SECONDS_MAX = 24 * 3600,
	PATIENCE = 60, /* seconds, with -n */
	ANSWER_MAX = 4096,
	STEPS_MAX = 3,
	SAMPLES_MAX = 1 << 20, /* answers beyond that are counted, but not in p50 and p99 */
	ERRORS_MAX = 1000,     /* with more than that it ends */
};

/* What is said, and what has to come before the next step: so many bytes that begin so, or everything until a text, or (the last) the end. */
struct step {
	uint8_t say[128];
	size_t say_len;
	const char *begin;
	size_t begin_len;
	size_t len;        /* 0: until `until` */
	const char *until; /* NULL: until the connection ends */
};

struct slot {
	uint64_t began_ns;
	size_t got;
	int fd;
	unsigned step;
	bool said;
	char answer[ANSWER_MAX];
};

struct load {
	struct sockaddr_in server;
	struct step steps[STEPS_MAX];
	unsigned step_count;
	int epoll;
	uint64_t wanted, started, answered, errors, end_ns;
	size_t samples;
	uint32_t microseconds[SAMPLES_MAX];
	struct slot slots[CONNECTIONS_MAX];
};

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void load_error(struct load *load, const char *what)
{
	if (!load->errors++)
		fprintf(stderr, "bench-tunnels: %s\n", what);
}

static bool load_goes_on(const struct load *load)
{
	return load->started < load->wanted && load->errors < ERRORS_MAX && now_ns() < load->end_ns;
}

static void slot_close(struct slot *slot)
{
	if (slot->fd >= 0)
		close(slot->fd);
	slot->fd = -1;
}

static bool slot_watch(struct load *load, struct slot *slot, uint32_t events, int how)
{
	struct epoll_event event = {.events = events, .data.ptr = slot};

	return epoll_ctl(load->epoll, how, slot->fd, &event) == 0;
}

/* Begins a connection. False, and counted, when that fails. */
static bool slot_open(struct load *load, struct slot *slot)
{
	const struct sockaddr *to = (const struct sockaddr *)&load->server;
	const int one = 1;

	load->started++;
	slot->began_ns = now_ns();
	slot->got = 0;
	slot->step = 0;
	slot->said = false;
	slot->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (slot->fd >= 0)
		setsockopt(slot->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (slot->fd >= 0 && (connect(slot->fd, to, sizeof(load->server)) == 0 || errno == EINPROGRESS) &&
	    slot_watch(load, slot, EPOLLOUT, EPOLL_CTL_ADD))
		return true;
	load_error(load, "no connection");
	slot_close(slot);
	return false;
}

/* Says what the step says. False when that fails. */
static bool slot_say(struct load *load, struct slot *slot)
{
	const struct step *step = &load->steps[slot->step];

	slot->got = 0;
	if (send(slot->fd, step->say, step->say_len, MSG_NOSIGNAL) != (ssize_t)step->say_len)
		return false;
	return slot->said || ((slot->said = true) && slot_watch(load, slot, EPOLLIN, EPOLL_CTL_MOD));
}

static bool step_is_done(const struct step *step, const struct slot *slot)
{
	if (step->len)
		return slot->got >= step->len;
	return step->until && slot->got >= strlen(step->until) &&
	       memmem(slot->answer, slot->got, step->until, strlen(step->until));
}

static bool answer_is_whole(const struct slot *slot)
{
	static const char tail[] = "\r\n\r\nxxxxxxxxxxxxx"; /* the body of /small */
	const size_t len = sizeof(tail) - 1;

	return slot->got > len && !memcmp(slot->answer + slot->got - len, tail, len);
}

static void slot_finish(struct load *load, struct slot *slot)
{
	if (slot->step + 1 < load->step_count || !answer_is_whole(slot) ||
	    memcmp(slot->answer, "HTTP/1.1 200 ", 13) != 0) {
		load_error(load, slot->got ? "unexpected answer" : "closed without an answer");
		return;
	}
	load->answered++;
	if (load->samples < SAMPLES_MAX)
		load->microseconds[load->samples++] = (uint32_t)((now_ns() - slot->began_ns) / 1000);
}

/* Goes on. False: the connection is done; errors are counted. */
static bool slot_advance(struct load *load, struct slot *slot)
{
	if (!slot->said)
		return slot_say(load, slot) || (load_error(load, "cannot send"), false);
	ssize_t got = recv(slot->fd, slot->answer + slot->got, ANSWER_MAX - slot->got, 0);
	if (got < 0 && errno == EAGAIN)
		return true;
	if (got <= 0) {
		slot_finish(load, slot);
		return false;
	}
	slot->got += (size_t)got;
	const struct step *step = &load->steps[slot->step];
	if (!step_is_done(step, slot))
		return slot->got < ANSWER_MAX || (load_error(load, "too long an answer"), false);
	if (memcmp(slot->answer, step->begin, step->begin_len) != 0) {
		load_error(load, "the tunnel was refused");
		return false;
	}
	slot->step++;
	return slot_say(load, slot) || (load_error(load, "cannot send"), false);
}

static bool slot_on_event(struct load *load, struct slot *slot)
{
	if (slot_advance(load, slot))
		return true;
	slot_close(slot);
	return load_goes_on(load) && slot_open(load, slot);
}

/* Runs until nothing is under way, or too late. */
static void load_run(struct load *load, int connections)
{
	struct epoll_event events[CONNECTIONS_MAX];
	int under_way = 0;

	for (int i = 0; i < CONNECTIONS_MAX; i++)
		load->slots[i].fd = -1;
	for (int i = 0; i < connections && load_goes_on(load); i++)
		under_way += slot_open(load, &load->slots[i]);
	while (under_way) {
		int count = epoll_wait(load->epoll, events, CONNECTIONS_MAX, 1000);

		if (count < 0 && errno != EINTR)
			break;
		if (now_ns() > load->end_ns + UINT64_C(5000000000)) {
			load_error(load, "connections that do not end");
			break;
		}
		for (int i = 0; i < count; i++)
			under_way -= !slot_on_event(load, events[i].data.ptr);
	}
	for (int i = 0; i < connections; i++)
		slot_close(&load->slots[i]);
}

static int by_size(const void *one, const void *two)
{
	uint32_t a = *(const uint32_t *)one, b = *(const uint32_t *)two;

	return (a > b) - (a < b);
}

static void load_print(struct load *load)
{
	uint32_t p50 = 0, p99 = 0;

	qsort(load->microseconds, load->samples, sizeof(load->microseconds[0]), by_size);
	if (load->samples) {
		p50 = load->microseconds[load->samples / 2];
		p99 = load->microseconds[load->samples * 99 / 100];
	}
	printf("{\"requests\": %llu, \"errors\": %llu, \"p50\": %u, \"p99\": %u}\n",
	       (unsigned long long)load->answered, (unsigned long long)load->errors, p50, p99);
}

static struct step *add_step(struct load *load, const void *say, size_t len)
{
	struct step *step = &load->steps[load->step_count++];

	memcpy(step->say, say, len);
	step->say_len = len;
	return step;
}

/* What each connection says. False: there is no such way. */
static bool load_prepare(struct load *load, const char *how, unsigned origin)
{
	static const char get[] = "GET /small HTTP/1.1\r\nHost: bench.test\r\nConnection: close\r\n\r\n";
	char connect[128];

	if (!strcmp(how, "connect")) {
		int len = snprintf(connect, sizeof(connect),
				   "CONNECT 127.0.0.1:%u HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n\r\n", origin,
				   origin);
		struct step *step = add_step(load, connect, (size_t)len);
		step->until = "\r\n\r\n";
		step->begin = "HTTP/1.";
		step->begin_len = 7;
	} else if (!strcmp(how, "socks5")) {
		const uint8_t ask[] = {5, 1, 0, 1, 127, 0, 0, 1, (uint8_t)(origin >> 8), (uint8_t)origin};
		struct step *step = add_step(load, "\5\1\0", 3);
		step->begin = "\5";
		step->begin_len = step->len = 2;
		step = add_step(load, ask, sizeof(ask));
		step->begin = "\5";
		step->begin_len = 2;
		step->len = 10;
	} else if (strcmp(how, "raw") != 0) {
		return false;
	}
	add_step(load, get, sizeof(get) - 1);
	return true;
}

/* A number of an option, between 1 and `most`; 0 when it is none. */
static unsigned number(const char *text, unsigned long most)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	return *end || value > most ? 0 : (unsigned)value;
}

int main(int argc, char **argv)
{
	static struct load load;
	unsigned connections = 64, seconds = 3, tunnels = UINT32_MAX, port = 0, origin = 0;
	bool good = true;
	int option;

	while ((option = getopt(argc, argv, "c:d:n:")) != -1) {
		if (option == 'c')
			connections = number(optarg, CONNECTIONS_MAX);
		else if (option == 'd')
			seconds = number(optarg, SECONDS_MAX);
		else if (option == 'n')
			tunnels = number(optarg, UINT32_MAX - 1);
		else
			good = false;
	}
	load.wanted = tunnels;
	if (tunnels < UINT32_MAX)
		seconds = PATIENCE;
	if (good && optind + 3 == argc) {
		port = number(argv[optind + 1], 65535);
		origin = number(argv[optind + 2], 65535);
	}
	if (!good || !connections || !seconds || !tunnels || !port || !origin ||
	    !load_prepare(&load, argv[optind], origin)) {
		fputs("usage: bench-tunnels [-c CONNECTIONS] [-d SECONDS] [-n TUNNELS] raw|connect|socks5 PORT ORIGIN_PORT\n",
		      stderr);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	load.server = (struct sockaddr_in){.sin_family = AF_INET,
					   .sin_port = htons((uint16_t)port),
					   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	load.epoll = epoll_create1(EPOLL_CLOEXEC);
	load.end_ns = now_ns() + seconds * UINT64_C(1000000000);
	if (load.epoll < 0) {
		perror("bench-tunnels");
		return 1;
	}
	load_run(&load, (int)connections);
	load_print(&load);
	return load.errors != 0;
}
