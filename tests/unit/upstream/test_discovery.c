/*
 * Names, services and lists become rosters: a worker with a resolver, a fleet, and a name server on the same thread that says what the test has it say.
 * The monotonic clock is ours: it runs, and pass() moves it on.
 */
#include "config/servers.h"
#include "config/snapshot.h"
#include "net/conn.h"
#include "upstream/discovery_internal.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static _Atomic int64_t skipped_ms; /* the log has a thread of its own */

int clock_gettime(clockid_t id, struct timespec *time)
{
	int status = (int)syscall(SYS_clock_gettime, id, time);

	if (id == CLOCK_MONOTONIC)
		time->tv_sec += skipped_ms / 1000;
	return status;
}

/* ---- the name server ---- */

enum { A = 1, AAAA = 28, SRV = 33, SERVFAIL = 2, NXDOMAIN = 3, SILENT = -1 };

/* What is said of a name: "10.0.0.1 10.0.0.2", or "priority weight port target, ..." */
struct said {
	const char *name;
	int type;
	const char *records;
	uint32_t ttl;
	int status;
	unsigned asked;
};

static struct {
	int fd, listener, stream; /* UDP, TCP, the one connection; -1: none */
	char text[64];
	struct said said[32];
	unsigned count, asked;
} names;

static struct said *said_of(const char *name, int type)
{
	for (unsigned i = 0; i < names.count; i++)
		if (strcmp(names.said[i].name, name) == 0 && names.said[i].type == type)
			return &names.said[i];
	return NULL;
}

static void say_status(const char *name, int type, int status)
{
	struct said *said = said_of(name, type);

	if (!said) {
		assert_true(names.count < ARRAY_LENGTH(names.said));
		said = &names.said[names.count++];
	}
	*said = (struct said){.name = name, .type = type, .status = status, .records = "", .ttl = 60};
}

static void say(const char *name, int type, uint32_t ttl, const char *records)
{
	say_status(name, type, 0);
	said_of(name, type)->records = records;
	said_of(name, type)->ttl = ttl;
}

static size_t put_name(uint8_t *out, struct span rest)
{
	size_t len = 0;
	struct span label;

	while (rest.len) {
		(void)span_cut(rest, '.', &label, &rest);
		if (label.len == 0)
			continue;
		out[len++] = (uint8_t)label.len;
		memcpy(out + len, label.at, label.len);
		len += label.len;
	}
	out[len++] = 0;
	return len;
}

static uint64_t number(struct span *text)
{
	struct span word;
	uint64_t value;

	(void)span_cut(*text, ' ', &word, text);
	assert_true(span_to_u64(word, &value));
	return value;
}

static size_t put_data(uint8_t *out, int type, struct span record)
{
	struct address address;
	size_t len = 0;

	if (type != SRV) {
		assert_true(address_parse_ip(record, &address));
		memcpy(out, address.ip, type == A ? 4 : 16);
		return type == A ? 4 : 16;
	}
	for (unsigned i = 0; i < 3; i++) {
		uint64_t value = number(&record);
		out[len++] = (uint8_t)(value >> 8);
		out[len++] = (uint8_t)value;
	}
	return len + put_name(out + len, record);
}

static size_t put_records(uint8_t *out, const struct said *said, uint16_t *count)
{
	struct span rest = span_of(said->records), record;
	size_t len = 0;

	for (*count = 0; rest.len; ++*count) {
		(void)span_cut(rest, ',', &record, &rest);
		const uint8_t head[] = {0xc0, 12, 0, (uint8_t)said->type,       0,
					1,    0,  0, (uint8_t)(said->ttl >> 8), (uint8_t)said->ttl};
		memcpy(out + len, head, sizeof(head));
		size_t data = put_data(out + len + 12, said->type, span_trim(record));
		out[len + 10] = (uint8_t)(data >> 8);
		out[len + 11] = (uint8_t)data;
		len += 12 + data;
	}
	return len;
}

/* The answer, behind two bytes for its length. 0: none. */
static size_t answer(const uint8_t *query, uint8_t *out)
{
	char name[256] = "";
	size_t at = 12, used = 0;
	uint16_t count = 0;

	while (query[at]) {
		memcpy(name + used, query + at + 1, query[at]);
		used += query[at] + 1U;
		name[used - 1] = '.';
		at += query[at] + 1U;
	}
	name[used - 1] = 0;
	struct said *said = said_of(name, query[at + 2]);
	names.asked++;
	if (said)
		said->asked++;
	if (said && said->status == SILENT)
		return 0;
	out += 2;
	memcpy(out, query, at + 5);
	out[2] = 0x81;
	out[3] = (uint8_t)(0x80 | (said ? said->status : NXDOMAIN));
	at += 5;
	if (said && said->status == 0)
		at += put_records(out + at, said, &count);
	memset(out + 6, 0, 6);
	out[6] = (uint8_t)(count >> 8);
	out[7] = (uint8_t)count;
	out[-2] = (uint8_t)(at >> 8);
	out[-1] = (uint8_t)at;
	return at;
}

static void names_serve_stream(uint8_t *out)
{
	uint8_t query[512];

	if (names.stream < 0)
		names.stream = accept4(names.listener, NULL, NULL, SOCK_CLOEXEC);
	if (names.stream < 0)
		return;
	ssize_t len = recv(names.stream, query, sizeof(query), MSG_DONTWAIT);
	if (len > 18)
		assert_true(send(names.stream, out, answer(query + 2, out) + 2, MSG_NOSIGNAL) > 2);
	if (len == 0) {
		close(names.stream);
		names.stream = -1;
	}
}

static void names_serve(void)
{
	static uint8_t out[60000];
	union socket_address from;
	socklen_t from_len = sizeof(from);
	uint8_t query[512];

	while (recvfrom(names.fd, query, sizeof(query), MSG_DONTWAIT, &from.any, &from_len) > 16) {
		size_t len = answer(query, out);
		out[4] |= len > 512 ? 2 : 0; /* ask again over TCP (RFC 1035 4.2.1) */
		if (len)
			assert_int_equal(sendto(names.fd, out + 2, size_min(len, 512), 0, &from.any, from_len),
					 size_min(len, 512));
		from_len = sizeof(from);
	}
	names_serve_stream(out);
}

/* One port for both. */
static bool names_bind(void)
{
	union socket_address raw;
	struct address address;
	socklen_t len;

	assert_true(address_parse(SPAN("127.0.0.1:0"), &address));
	names.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	names.fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	len = address_to_socket(&address, &raw);
	assert_int_equal(bind(names.listener, &raw.any, len), 0);
	assert_int_equal(listen(names.listener, 8), 0);
	len = sizeof(raw);
	assert_int_equal(getsockname(names.listener, &raw.any, &len), 0);
	address = address_from_socket(&raw, len);
	names.text[address_format(&address, names.text)] = 0;
	if (bind(names.fd, &raw.any, len) == 0)
		return true;
	close(names.fd);
	close(names.listener);
	return false;
}

static void names_open(void)
{
	unsigned tries = 0;

	memset(&names, 0, sizeof(names));
	names.stream = -1;
	while (!names_bind())
		assert_true(++tries < 20);
}

/* ---- the world ---- */

static struct {
	struct memory memory, outside;
	struct arena arena;
	struct diagnostics diagnostics;
	struct snapshot *snapshot;
	struct map hosts;
	struct worker worker;
	struct fleet *fleet;
	struct discovery *discovery;
	struct log *log;
	int log_fd;
	char log_text[8192];
} world;

static void world_open(const char *servers, enum resolver_family family)
{
	char yaml[4096];

	snprintf(yaml, sizeof(yaml),
		 "reverse: [{listen: \"127.0.0.1:1\", routes: [{to: web}]}]\nupstreams: {web: {slow_start: 10s, servers: [%s]}}\n",
		 servers);
	memset(&world, 0, sizeof(world));
	memory_init(&world.memory, 0);
	memory_init(&world.outside, 0);
	arena_init(&world.arena, &world.outside, NULL, NULL, 0);
	diagnostics_init(&world.diagnostics, &world.arena, "test");
	world.snapshot = snapshot_from_yaml(span_of(yaml), NULL, &world.outside, &world.diagnostics);
	if (!world.snapshot)
		fail_msg("%s", world.diagnostics.first->text);
	world.log_fd = memfd_create("log", MFD_CLOEXEC);
	world.log = log_start(-1, world.log_fd, LOG_INFO);
	assert_true(worker_init(&world.worker, 1, &world.memory, log_ring_new(world.log, 65536)));
	assert_true(conn_room_init(&world.worker));
	map_init(&world.hosts, &world.memory);
	assert_true(resolver_hosts_parse(SPAN("10.9.9.9 hosted.test\n2001:db8::9 hosted.test\n"),
					 &world.arena, &world.hosts));
	struct resolver_settings settings = {
		.servers = names.text,
		.family = family,
		.timeout_ms = 200,
		.attempts = 1,
		.hosts = &world.hosts,
		.cache_entries = 16,
	};
	assert_true(resolver_init(&world.worker, &settings));
	world.fleet = fleet_new(&world.memory, world.snapshot->plans, world.snapshot->upstream_count, 2, NULL);
	assert_non_null(world.fleet);
	world.discovery = discovery_start(&world.worker, world.fleet);
	assert_non_null(world.discovery);
}

static void turn(void)
{
	names_serve();
	loop_turn(&world.worker.loop, 2);
	names_serve();
}

static void turns(void)
{
	for (unsigned i = 0; i < 10; i++)
		turn();
}

#define UNTIL(condition)                                                                                     \
	do {                                                                                                 \
		for (unsigned turn_ = 0; !(condition); turn_++) {                                            \
			if (turn_ == 2000)                                                                   \
				fail_msg("never: %s", #condition);                                           \
			turn();                                                                              \
		}                                                                                            \
	} while (0)

/* So many seconds pass; what was due is done. */
static void pass(unsigned seconds)
{
	skipped_ms += (int64_t)seconds * 1000;
	turns();
}

static void open_each(const char *servers)
{
	world_open(servers, RESOLVER_ANY);
	UNTIL(discovery_settled(world.discovery));
	turns();
}

static const char *log_read(void)
{
	ssize_t len = pread(world.log_fd, world.log_text, sizeof(world.log_text) - 1, 0);

	world.log_text[len > 0 ? len : 0] = 0;
	return world.log_text;
}

static unsigned log_count(const char *what)
{
	unsigned count = 0;

	for (const char *at = log_read(); (at = strstr(at, what)); at++)
		count++;
	return count;
}

static int set_up(void **state)
{
	names_open();
	return 0;
}

static int tear_down(void **state)
{
	discovery_stop(world.discovery);
	resolver_fini(&world.worker);
	loop_settle(&world.worker.loop);
	conn_room_fini(&world.worker);
	map_fini(&world.hosts);
	worker_fini(&world.worker);
	fleet_free(world.fleet);
	assert_int_equal(atomic_load(&world.memory.used), 0);
	snapshot_release(world.snapshot);
	arena_fini(&world.arena);
	assert_int_equal(atomic_load(&world.outside.used), 0);
	log_stop(world.log);
	close(world.log_fd);
	close(names.fd);
	close(names.listener);
	if (names.stream >= 0)
		close(names.stream);
	return 0;
}

/* The roster as text: "10.0.0.1:80*3 | 10.0.0.2:80*1", tiers apart by "|". */
static const char *roster_text(void)
{
	static char text[8192];
	struct roster *roster = fleet_roster(fleet_group_at(world.fleet, 0));
	size_t len = 0;

	text[0] = 0;
	for (unsigned i = 0; i < roster->count; i++) {
		const struct roster_member *member = &roster->members[i];
		bool tier = i > 0 && member->tier != roster->members[i - 1].tier;
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s%.*s*%u", i ? " " : "",
					tier ? "| " : "", SPAN_ARG(member->server->text), member->weight);
	}
	roster_release(roster);
	return text;
}

static struct fleet_server *server_at(unsigned index)
{
	struct roster *roster = fleet_roster(fleet_group_at(world.fleet, 0));

	assert_true(index < roster->count);
	struct fleet_server *server = roster->members[index].server;
	roster_release(roster);
	return server;
}

#define NAME(text) "{address: \"" text "\", resolve: each}"

/* ---- names ---- */

static void each_address_is_a_server(void **state)
{
	say("app.test", A, 60, "10.0.0.2, 10.0.0.1");
	say("app.test", AAAA, 60, "");
	open_each("{address: \"app.TEST:80\", resolve: each, weight: 3, max_connections: 7}, \"10.0.0.9:81\"");
	assert_string_equal(roster_text(), "10.0.0.1:80*3 10.0.0.2:80*3 10.0.0.9:81*1");
	const struct fleet_server *server = server_at(0);
	assert_memory_equal(server->host.at, "app.TEST", server->host.len);
	assert_memory_equal(server->written.at, "app.TEST:80", server->written.len);
	assert_int_equal(server->host.len, 8);
	assert_int_equal(server->written.len, 11);
	assert_int_equal(server->address.family, ADDRESS_V4);
	assert_int_equal(server->most, 7);
}

static void ipv6_stands_by(void **state)
{
	say("app.test", A, 60, "10.0.0.1");
	say("app.test", AAAA, 60, "2001:db8::1");
	say("six.test", A, 60, "");
	say("six.test", AAAA, 60, "2001:db8::6");
	open_each(NAME("app.test:80") ", " NAME("six.test:80") ", {address: \"10.0.0.9:80\", priority: 1}");
	assert_string_equal(roster_text(),
			    "10.0.0.1:80*1 [2001:db8::6]:80*1 | [2001:db8::1]:80*1 | 10.0.0.9:80*1");
}

static void one_family_only(void **state)
{
	say("app.test", A, 60, "10.0.0.1");
	say("app.test", AAAA, 60, "2001:db8::1");
	world_open(NAME("app.test:80") ", " NAME("hosted.test:80"), RESOLVER_V6_ONLY);
	UNTIL(discovery_settled(world.discovery));
	turns();
	assert_string_equal(roster_text(), "[2001:db8::1]:80*1 [2001:db8::9]:80*1");
	assert_int_equal(said_of("app.test", A)->asked, 0);
}

/* What needs no name server is there at once, and nobody is asked for it. */
static void hosts_and_localhost(void **state)
{
	world_open(NAME("hosted.test:80") ", " NAME("localhost:81") ", " NAME("x.invalid:82"), RESOLVER_ANY);
	assert_true(discovery_settled(world.discovery));
	assert_string_equal(roster_text(), "10.9.9.9:80*1 127.0.0.1:81*1 | [2001:db8::9]:80*1 [::1]:81*1");
	pass(3600);
	assert_int_equal(names.asked, 0);
	assert_int_equal(log_count("x.invalid"), 1);
}

static void servers_come_and_go(void **state)
{
	say("app.test", A, 5, "10.0.0.1, 10.0.0.2");
	say("app.test", AAAA, 5, "");
	open_each(NAME("app.test:80"));
	struct fleet_server *first = server_at(0);
	uint64_t version = fleet_version(fleet_group_at(world.fleet, 0));
	pass(4);
	assert_int_equal(said_of("app.test", A)->asked, 1);
	say("app.test", A, 5, "10.0.0.2, 10.0.0.1"); /* turned round: nothing new */
	pass(2);
	UNTIL(said_of("app.test", A)->asked == 1);
	turns();
	assert_int_equal(fleet_version(fleet_group_at(world.fleet, 0)), version);
	say("app.test", A, 5, "10.0.0.3, 10.0.0.1");
	pass(6);
	UNTIL(strcmp(roster_text(), "10.0.0.1:80*1 10.0.0.3:80*1") == 0);
	assert_ptr_equal(server_at(0), first);
	/* It starts slowly; those of the beginning did not. */
	assert_int_equal(atomic_load(&first->well_since), 0);
	assert_int_not_equal(atomic_load(&server_at(1)->well_since), 0);
	assert_int_equal(log_count("app.test"), 0);
}

static void times_to_live_are_bounded(void **state)
{
	say("no.test", A, 0, "10.0.0.1");
	say("no.test", AAAA, 0, "");
	say("long.test", A, 65535, "10.0.0.2");
	say("long.test", AAAA, 65535, "2001:db8::1");
	open_each(NAME("no.test:80") ", " NAME("long.test:80"));
	unsigned asked = said_of("no.test", A)->asked;
	assert_in_range(asked, 1, 2);
	assert_int_equal(discovery_delay(0), 1000);
	assert_int_equal(discovery_delay(5), 5000);
	assert_int_equal(discovery_delay(UINT64_MAX), 3600000);
	pass(3599);
	assert_int_equal(said_of("long.test", A)->asked, 1);
	pass(2);
	UNTIL(said_of("long.test", A)->asked == 2);
}

static void last_good_answer_stays(void **state)
{
	static const int statuses[] = {NXDOMAIN, SERVFAIL, SILENT};

	say("app.test", A, 1, "10.0.0.1");
	say("app.test", AAAA, 1, "2001:db8::1");
	open_each(NAME("app.test:80"));
	for (unsigned i = 0; i < ARRAY_LENGTH(statuses); i++) {
		say_status("app.test", A, statuses[i]);
		say_status("app.test", AAAA, statuses[i]);
		for (unsigned j = 0; j < 5; j++) {
			for (unsigned k = 0; k < 60 && said_of("app.test", A)->asked <= j; k++)
				pass(1);
			assert_true(said_of("app.test", A)->asked > j);
			assert_string_equal(roster_text(), "10.0.0.1:80*1 | [2001:db8::1]:80*1");
		}
		UNTIL(log_count("the last good answer stays in use") == i + 1);
		say("app.test", A, 1, "10.0.0.1");
		say("app.test", AAAA, 1, "2001:db8::1");
		for (unsigned k = 0; k < 60 && log_count("there is an answer again") <= i; k++)
			pass(1);
		assert_int_equal(log_count("there is an answer again"), i + 1);
	}
	assert_int_equal(log_count("the last good answer stays in use"), ARRAY_LENGTH(statuses));
}

/* One family that is said to be no more goes, where the other one is there; one that nobody can tell of stays. */
static void a_family_goes(void **state)
{
	say("app.test", A, 1, "10.0.0.1");
	say("app.test", AAAA, 1, "2001:db8::1");
	open_each(NAME("app.test:80"));
	say_status("app.test", AAAA, SERVFAIL);
	pass(2);
	UNTIL(said_of("app.test", AAAA)->asked > 0);
	turns();
	assert_string_equal(roster_text(), "10.0.0.1:80*1 | [2001:db8::1]:80*1");
	say("app.test", AAAA, 1, "");
	pass(10);
	UNTIL(strcmp(roster_text(), "10.0.0.1:80*1") == 0);
	say("app.test", AAAA, 1, "2001:db8::2");
	say("app.test", A, 1, "");
	for (unsigned i = 0; i < 10 && strcmp(roster_text(), "[2001:db8::2]:80*1") != 0; i++)
		pass(2);
	assert_string_equal(roster_text(), "[2001:db8::2]:80*1");
}

static void a_name_that_appears_later(void **state)
{
	open_each(NAME("app.test:80"));
	assert_string_equal(roster_text(), "");
	assert_int_equal(log_count("\"app.test\": there is no such name: there is no server behind it"), 1);
	say("app.test", A, 60, "10.0.0.1");
	say("app.test", AAAA, 60, "");
	pass(9);
	UNTIL(strcmp(roster_text(), "10.0.0.1:80*1") == 0);
	UNTIL(log_count("there is an answer again") == 1);
}

static void failures_are_asked_again_less_and_less(void **state)
{
	uint64_t expected[] = {1000, 2000, 4000, 8000, 8000, 8000};

	for (unsigned i = 0; i < ARRAY_LENGTH(expected); i++)
		assert_int_equal(discovery_back_off(i + 1), expected[i]);
	assert_int_equal(discovery_back_off(UINT_MAX), DISCOVERY_AGAIN_MOST_MS);
	open_each("\"10.0.0.1:80\", " NAME("app.test:80"));
	unsigned before = names.asked;
	for (unsigned i = 0; i < 60; i++)
		pass(1);
	assert_in_range(names.asked - before, 8, 40); /* two families, and search domains of this machine */
}

static void an_address_twice_is_one_server(void **state)
{
	say("a.test", A, 60, "10.0.0.1, 10.0.0.2");
	say("a.test", AAAA, 60, "");
	say("b.test", A, 60, "10.0.0.2, 10.0.0.3");
	say("b.test", AAAA, 60, "");
	open_each("{address: \"a.test:80\", resolve: each, weight: 2}, " NAME("b.test:80") ", \"10.0.0.1:80\"");
	assert_string_equal(roster_text(), "10.0.0.1:80*3 10.0.0.2:80*3 10.0.0.3:80*1");
	assert_int_equal(said_of("a.test", A)->asked, 1);
}

static void many_addresses(void **state)
{
	static char records[8192];
	size_t len = 0;

	for (unsigned i = 0; i < 300; i++)
		len += (size_t)snprintf(records + len, sizeof(records) - len, "%s10.0.%u.%u", i ? ", " : "",
					i / 200, i % 200 + 1);
	say("app.test", A, 60, records);
	say("app.test", AAAA, 60, "");
	open_each(NAME("app.test:80"));
	struct roster *roster = fleet_roster(fleet_group_at(world.fleet, 0));
	assert_int_equal(roster->count, RESOLVER_MOST_RECORDS);
	roster_release(roster);
}

/* Neither "all of them" nor groups are servers. */
static void addresses_that_are_none(void **state)
{
	say("app.test", A, 60, "0.0.0.0, 224.0.0.1, 255.255.255.255, 10.0.0.1");
	say("app.test", AAAA, 60, "::, ff02::1, 2001:db8::1");
	open_each(NAME("app.test:80"));
	assert_string_equal(roster_text(), "10.0.0.1:80*1 | [2001:db8::1]:80*1");
}

/* ---- services ---- */

static void services_have_priorities_and_weights(void **state)
{
	say("_http._tcp.app.test", SRV, 60,
	    "10 60 8080 a.test, 10 20 8081 b.test, 20 0 8082 b.test, 20 0 8083 a.test");
	say("a.test", A, 60, "10.0.0.1");
	say("a.test", AAAA, 60, "2001:db8::1");
	say("b.test", A, 60, "10.0.0.2");
	say("b.test", AAAA, 60, "");
	open_each("{address: \"srv:_http._tcp.app.test\", max_connections: 3}");
	assert_string_equal(roster_text(), "10.0.0.1:8080*60 10.0.0.2:8081*20 | [2001:db8::1]:8080*60 | "
					   "10.0.0.1:8083*1 10.0.0.2:8082*1 | [2001:db8::1]:8083*1");
	const struct fleet_server *server = server_at(0);
	assert_memory_equal(server->host.at, "a.test", 6);
	assert_memory_equal(server->written.at, "a.test:8080", 11);
	assert_int_equal(server->most, 3);
}

/* Weights of any size keep their proportion, and a target has no more by having more addresses. */
static void weights_are_scaled(void **state)
{
	say("_s.test", SRV, 60,
	    "0 65535 80 a.test, 0 32768 80 b.test, 0 0 80 c.test, 1 5 80 d.test, 1 5 80 e.test");
	for (const char *name = "abcde"; *name; name++) {
		static char names_of[5][8];
		snprintf(names_of[*name - 'a'], 8, "%c.test", *name);
		say(names_of[*name - 'a'], AAAA, 60, "");
	}
	say("a.test", A, 60, "10.0.0.1");
	say("b.test", A, 60, "10.0.0.2");
	say("c.test", A, 60, "10.0.0.3");
	say("d.test", A, 60, "10.0.0.4, 10.0.0.5");
	say("e.test", A, 60, "10.0.0.6");
	open_each("\"srv:_s.test\"");
	assert_string_equal(roster_text(), "10.0.0.1:80*256 10.0.0.2:80*128 10.0.0.3:80*1 | "
					   "10.0.0.4:80*128 10.0.0.5:80*128 10.0.0.6:80*256");
}

static void a_service_that_moves(void **state)
{
	say("_s.test", SRV, 1, "0 1 80 a.test");
	say("a.test", A, 60, "10.0.0.1");
	say("a.test", AAAA, 60, "");
	open_each("\"srv:_s.test\"");
	assert_string_equal(roster_text(), "10.0.0.1:80*1");
	/* The new target's name is slow: until it is known, the old one stays. */
	say("_s.test", SRV, 1, "0 1 80 b.test");
	say_status("b.test", A, SILENT);
	say_status("b.test", AAAA, SILENT);
	pass(2);
	UNTIL(said_of("b.test", A)->asked > 0);
	assert_string_equal(roster_text(), "10.0.0.1:80*1");
	say("b.test", A, 60, "10.0.0.2");
	say("b.test", AAAA, 60, "");
	for (unsigned i = 0; i < 20 && strcmp(roster_text(), "10.0.0.2:80*1") != 0; i++) {
		assert_string_equal(roster_text(), "10.0.0.1:80*1");
		pass(1);
	}
	assert_string_equal(roster_text(), "10.0.0.2:80*1");
}

static void a_service_that_is_withdrawn(void **state)
{
	say("_s.test", SRV, 1, "0 1 80 a.test");
	say("a.test", A, 60, "10.0.0.1");
	say("a.test", AAAA, 60, "");
	open_each("\"srv:_s.test\"");
	say_status("_s.test", SRV, NXDOMAIN); /* stays in use */
	pass(2);
	UNTIL(said_of("_s.test", SRV)->asked > 0);
	turns();
	assert_string_equal(roster_text(), "10.0.0.1:80*1");
	UNTIL(log_count("service \"_s.test\": there is no such name: the last good answer stays in use") == 1);
	say("_s.test", SRV, 1, "0 0 0 .");
	pass(9);
	UNTIL(strcmp(roster_text(), "") == 0);
	say("_s.test", SRV, 1, "0 1 80 a.test");
	pass(9);
	UNTIL(strcmp(roster_text(), "10.0.0.1:80*1") == 0);
}

/* ---- what is missing ---- */

static void tell_missing(void *owner, const struct discovery_missing *missing)
{
	char *out = owner;
	size_t len = strlen(out);

	snprintf(out + len, 512 - len, "%.*s at %u: %s; ", SPAN_ARG(missing->name),
		 missing->server->address.place.line, missing->why);
}

static void missing_names_are_told(void **state)
{
	char text[512] = "";

	say("good.test", A, 60, "10.0.0.1");
	say("good.test", AAAA, 60, "");
	say_status("broken.test", A, SERVFAIL);
	say_status("broken.test", AAAA, SERVFAIL);
	say("_s.test", SRV, 60, "0 0 80 gone.test");
	open_each(NAME("good.test:80") ", " NAME("gone.test:80") ", " NAME("broken.test:80") ", \"srv:_s.test\"");
	discovery_each_missing(world.discovery, tell_missing, text);
	assert_string_equal(text, "gone.test at 2: there is no such name; "
				  "broken.test at 2: the name servers could not answer; "
				  "_s.test at 2: its targets have no address; ");
}

/* ---- lists ---- */

static struct discovery_list *list_of(const char *text)
{
	struct discovery_list *list = discovery_list_new(&world.memory);

	assert_non_null(list);
	assert_true(servers_parse(span_of(text), &list->arena, &world.diagnostics, &list->servers));
	return list;
}

static void lists_are_replaced(void **state)
{
	say("app.test", A, 60, "10.0.0.1");
	say("app.test", AAAA, 60, "");
	say("new.test", A, 60, "10.0.0.2");
	say("new.test", AAAA, 60, "");
	open_each(NAME("app.test:80"));
	struct fleet_server *first = server_at(0);
	discovery_replace(world.discovery, 0, list_of("[10.0.0.5:80, {address: 10.0.0.6:80, weight: 4}]"));
	turns();
	assert_string_equal(roster_text(), "10.0.0.1:80*1 10.0.0.5:80*1 10.0.0.6:80*4");
	struct fleet_server *kept = server_at(2);
	discovery_replace(world.discovery, 0,
			  list_of("[{address: 10.0.0.6:80, weight: 2, backup: true}, " NAME("new.test:80") "]"));
	UNTIL(strcmp(roster_text(), "10.0.0.1:80*1 10.0.0.2:80*1 | 10.0.0.6:80*2") == 0);
	assert_ptr_equal(server_at(2), kept);
	assert_ptr_equal(server_at(0), first);
	discovery_replace(world.discovery, 0, list_of("[]"));
	turns();
	assert_string_equal(roster_text(), "10.0.0.1:80*1");
}

/* The old list stays until the names of the new one are known, for a while. */
static void a_list_waits_for_its_names(void **state)
{
	say_status("slow.test", A, SILENT);
	say_status("slow.test", AAAA, SILENT);
	open_each("\"10.0.0.1:80\", " NAME("hosted.test:80"));
	discovery_replace(world.discovery, 0, list_of("[10.0.0.5:80]"));
	turns();
	assert_string_equal(roster_text(), "10.0.0.1:80*1 10.9.9.9:80*1 10.0.0.5:80*1 | [2001:db8::9]:80*1");
	discovery_replace(world.discovery, 0, list_of("[" NAME("slow.test:80") "]"));
	turn();
	assert_non_null(strstr(roster_text(), "10.0.0.5:80"));
	pass(3);
	assert_null(strstr(roster_text(), "10.0.0.5:80"));
}

/* Whatever allocation fails: nothing is lost, and it goes on. */
static void without_memory(void **state)
{
	say("app.test", A, 1, "10.0.0.1, 10.0.0.2");
	say("app.test", AAAA, 1, "2001:db8::1");
	say("_s.test", SRV, 1, "0 1 80 app.test");
	open_each(NAME("app.test:81") ", \"srv:_s.test\"");
	for (unsigned every = 2; every < 12; every++) {
		say("app.test", A, 1, every % 2 ? "10.0.0.1" : "10.0.0.1, 10.0.0.3");
		say("_s.test", SRV, 1, every % 2 ? "0 1 80 app.test" : "0 1 82 app.test");
		memory_fail_every(&world.memory, every);
		for (unsigned i = 0; i < 6; i++)
			pass(2);
		memory_fail_every(&world.memory, 0);
	}
	say("app.test", A, 1, "10.0.0.7");
	say("_s.test", SRV, 1, "0 1 83 app.test");
	for (unsigned i = 0; i < 20; i++)
		pass(2);
	assert_string_equal(roster_text(),
			    "10.0.0.7:81*1 10.0.0.7:83*1 | [2001:db8::1]:81*1 [2001:db8::1]:83*1");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_address_is_a_server),
		TEST(ipv6_stands_by),
		TEST(one_family_only),
		TEST(hosts_and_localhost),
		TEST(servers_come_and_go),
		TEST(times_to_live_are_bounded),
		TEST(last_good_answer_stays),
		TEST(a_family_goes),
		TEST(a_name_that_appears_later),
		TEST(failures_are_asked_again_less_and_less),
		TEST(an_address_twice_is_one_server),
		TEST(many_addresses),
		TEST(addresses_that_are_none),
		TEST(services_have_priorities_and_weights),
		TEST(weights_are_scaled),
		TEST(a_service_that_moves),
		TEST(a_service_that_is_withdrawn),
		TEST(missing_names_are_told),
		TEST(lists_are_replaced),
		TEST(a_list_waits_for_its_names),
		TEST(without_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
