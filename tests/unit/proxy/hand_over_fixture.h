/*
 * Groups that fail in every way, on a stage: what tests of the hand-over share.
 */
#ifndef GUISE_TESTS_HAND_OVER_FIXTURE_H
#define GUISE_TESTS_HAND_OVER_FIXTURE_H

#include "stage_fixture.h"

#include "upstream/fleet_internal.h"
#include "upstream/group.h"
#include "upstream/pick.h"

enum { WEB, RAW }; /* listeners */

#define SERVERS_OF_TWO "servers: [\"10.9.0.1:80\", \"10.9.0.2:80\"]"
#define NEVER_OUT "outliers: {connects: off, failures: off}"
#define LIMITS "limits: {requests: 1000, retries: 1000}"

static const char hand_over_yaml[] =
	"limits: {memory: 64 MiB, body: 64 KiB, flow: 4 KiB}\n"
	"timeouts: {header: 5s, idle: 500s, body: 60s, total: 400s, connect: 2s, response: 7s, pool: 300s, tunnel: 20s}\n"
	"reverse:\n"
	"  - listen: 127.0.0.1:8080\n"
	"    http2: clear\n"
	"    routes:\n"
	"      - {path: /one, to: one}\n"
	"      - {path: /two, to: two}\n"
	"      - {path: /three, to: three}\n"
	"      - {path: /late, to: late}\n"
	"      - {path: /status, to: status}\n"
	"      - {path: /narrow, to: narrow}\n"
	"      - {path: /poor, to: poor}\n"
	"      - {path: /breaker, to: breaker}\n"
	"      - {path: /many, to: many}\n"
	"      - {path: /h2, to: h2}\n"
	"tcp:\n"
	"  - {listen: 127.0.0.1:5432, to: late}\n"
	"upstreams:\n"
	"  one: {servers: [\"10.9.0.1:80\"], retries: 0, " NEVER_OUT ", " LIMITS "}\n"
	"  two: {" SERVERS_OF_TWO ", " NEVER_OUT ", " LIMITS "}\n"
	"  three: {servers: [\"10.9.0.1:80\", \"10.9.0.2:80\", \"10.9.0.3:80\"], retries: 2, retry_on: [5xx],\n"
	"          timeouts: {try: 2s, queue: 4s}, " NEVER_OUT ", " LIMITS "}\n"
	"  late: {" SERVERS_OF_TWO ", timeouts: {try: 1s}, " NEVER_OUT ", " LIMITS "}\n"
	"  status: {" SERVERS_OF_TWO ", retry_on: [5xx], " NEVER_OUT ", " LIMITS "}\n"
	"  narrow:\n"
	"    servers: [{address: \"10.9.0.1:80\", max_connections: 1}, {address: \"10.9.0.2:80\", max_connections: 1}]\n"
	"    retry_on: [5xx]\n"
	"    limits: {requests: 1000, retries: 1000, pending: 1}\n"
	"    timeouts: {queue: 3s}\n"
	"    " NEVER_OUT "\n"
	"  poor: {" SERVERS_OF_TWO
	", retries: 3, retry_budget: {percent: 0, per_second: 0, burst: 1}, " NEVER_OUT ", " LIMITS "}\n"
	"  breaker: {" SERVERS_OF_TWO ", limits: {requests: 1000, retries: 1}, " NEVER_OUT "}\n"
	"  many:\n"
	"    retries: 16\n"
	"    servers: [\"10.9.0.1:80\", \"10.9.0.2:80\", \"10.9.0.3:80\", \"10.9.0.4:80\", \"10.9.0.5:80\", \"10.9.0.6:80\",\n"
	"              \"10.9.0.7:80\", \"10.9.0.8:80\", \"10.9.0.9:80\", \"10.9.0.10:80\", \"10.9.0.11:80\", \"10.9.0.12:80\",\n"
	"              \"10.9.0.13:80\", \"10.9.0.14:80\", \"10.9.0.15:80\", \"10.9.0.16:80\", \"10.9.0.17:80\", \"10.9.0.18:80\"]\n"
	"    " NEVER_OUT "\n"
	"    " LIMITS "\n"
	"  h2: {" SERVERS_OF_TWO ", http: \"2\", timeouts: {try: 1s}, " NEVER_OUT ", " LIMITS "}\n";

static inline int hand_over_set_up(void **state)
{
	stage_configure(&stage, hand_over_yaml);
	return 0;
}

static inline struct upstream_group *group_of(const char *name)
{
	for (size_t i = 0; i < fleet_count(stage.fleet); i++)
		if (span_equal(span_of(stage.snapshot->upstreams[i].name.text), span_of(name)))
			return upstream_group(&stage.worker, i);
	fail_msg("no group %s", name);
	return NULL;
}

/* The server of the group at 10.9.0.`number`. */
static inline struct upstream_server *server_of(const char *name, unsigned number)
{
	struct upstream_view *view = group_of(name)->view;

	for (unsigned i = 0; i < view->count; i++)
		if (view->servers[i]->fleet->address.ip[3] == number)
			return view->servers[i];
	fail_msg("no server %u", number);
	return NULL;
}

/* As checks would. */
static inline void mark(const char *name, unsigned number, enum fleet_health health)
{
	atomic_store(&server_of(name, number)->fleet->health, health);
	fleet_alarm(group_of(name)->fleet);
	stage_turns(&stage, 3);
}

/* The number of the server that the connection went to. */
static inline unsigned number_of(unsigned index)
{
	return server_at(index)->address.ip[3];
}

/* The server dies, and Guise notices. */
static inline void die(struct stage_peer *server)
{
	stage_peer_close(server);
	stage_turns(&stage, 3);
}

static inline uint64_t failures_of(const char *name)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < group_of(name)->view->count; i++)
		sum += atomic_load(&group_of(name)->view->servers[i]->fleet->counters[0].failures);
	return sum;
}

static inline unsigned gauge_of(const char *name, enum fleet_gauge gauge)
{
	return atomic_load(&group_of(name)->fleet->gauges[gauge].count);
}

/* Nothing is under way: nothing is held of anything. */
static inline void assert_at_rest(void)
{
	assert_int_equal(exchange_count(&stage.worker), 0);
	for (size_t i = 0; i < fleet_count(stage.fleet); i++) {
		struct upstream_group *group = upstream_group(&stage.worker, i);
		assert_true(list_empty(&group->queue));
		assert_int_equal(atomic_load(&group->fleet->waiting), 0);
		for (unsigned gauge = FLEET_REQUESTS; gauge < FLEET_GAUGES; gauge++)
			assert_int_equal(atomic_load(&group->fleet->gauges[gauge].count), 0);
		for (unsigned j = 0; j < group->view->count; j++) {
			const struct upstream_server *server = group->view->servers[j];
			assert_true(list_empty(&server->waiting) && list_empty(&server->attempts));
			assert_int_equal(server->users, 0);
			assert_int_equal(atomic_load(&server->fleet->in_flight), 0);
			assert_int_equal(atomic_load(&server->fleet->counters[0].running), 0);
		}
	}
}

#define PUT(path, length, body)                                                                              \
	"PUT " path " HTTP/1.1\r\nHost: a.test\r\nContent-Length: " length "\r\n\r\n" body
#define POST(path, length, body)                                                                             \
	"POST " path " HTTP/1.1\r\nHost: a.test\r\nContent-Length: " length "\r\n\r\n" body

#endif
