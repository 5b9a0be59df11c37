/*
 * What tests of limits share: the stage with groups that have few places, clients that ask and servers that answer, and words for what is left.
 */
#ifndef GUISE_TESTS_LIMITS_FIXTURE_H
#define GUISE_TESTS_LIMITS_FIXTURE_H

#include "../../support/stage.h"

#include "upstream/fleet_internal.h"
#include "upstream/orders.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct stage stage;

static inline int group_tear_down(void **state)
{
	stage_discard(&stage);
	return 0;
}

static inline int set_up(void **state)
{
	stage_start(&stage);
	return 0;
}

static inline int tear_down(void **state)
{
	stage_stop(&stage);
	return 0;
}

static inline struct fleet_group *fleet_at(unsigned group)
{
	return fleet_group_at(stage.fleet, group);
}

static inline struct fleet_server *fleet_server_at(unsigned group, unsigned index)
{
	return upstream_group(&stage.worker, group)->view->roster->members[index].server;
}

static inline unsigned gauge(unsigned group, enum fleet_gauge which)
{
	return atomic_load(&fleet_at(group)->gauges[which].count);
}

static inline void say(struct stage_peer *peer, const char *text)
{
	assert_int_equal(stage_say(peer, text), strlen(text));
	stage_turns(&stage, 3);
}

/* A request of its own client that is on its way. */
static inline void ask(unsigned who, const char *path)
{
	char text[128];

	assert_true(stage_connect(&stage, who, 0));
	(void)snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", path);
	say(&stage.clients[who], text);
}

/*
 * The same of a client that may hang up: an end alone does not say that it is gone (RFC 9112 9.6), a reset does, and for that there must be something
 * that it has not read. It hears nothing. The listener has a route /hello that answers.
 */
static inline void ask_hastily(unsigned who, const char *path)
{
	char text[128];

	assert_true(stage_connect(&stage, who, 0));
	stage.clients[who].paused = true;
	say(&stage.clients[who], "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
	(void)snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", path);
	say(&stage.clients[who], text);
}

static inline void hang_up(unsigned who)
{
	assert_true(stage.clients[who].paused);
	stage_peer_close(&stage.clients[who]);
	stage_turns(&stage, 3);
}

static inline unsigned times(const struct stage_peer *peer, const char *text)
{
	unsigned count = 0;
	const char *at = peer->len ? (const char *)peer->bytes : "";

	for (; (at = strstr(at, text)); at++)
		count++;
	return count;
}

/* Requests that this connection has been sent. */
static inline unsigned asked(unsigned server)
{
	return server < stage.server_count ? times(&stage.servers[server], "GET ") : 0;
}

static inline void answer(unsigned server)
{
	assert_true(server < stage.server_count);
	say(&stage.servers[server], "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
}

static inline bool heard(unsigned who, const char *text)
{
	return times(&stage.clients[who], text) > 0;
}

#define assert_heard(who, text)                                                                              \
	do {                                                                                                 \
		if (!heard((who), (text)))                                                                   \
			fail_msg("client %u: no \"%s\" in \"%s\"", (unsigned)(who), (text),                  \
				 stage.clients[who].len ? (char *)stage.clients[who].bytes : "");            \
	} while (0)

#define assert_silent(who) assert_int_equal(stage.clients[who].len, 0)

/* Nothing is counted any more. */
static inline void expect_nothing_left(unsigned groups, bool connections_too)
{
	for (unsigned i = 0; i < groups; i++) {
		const struct upstream_group *group = upstream_group(&stage.worker, i);
		for (unsigned j = connections_too ? FLEET_CONNECTIONS : FLEET_REQUESTS; j < FLEET_GAUGES; j++)
			assert_int_equal(gauge(i, (enum fleet_gauge)j), 0);
		for (unsigned j = 0; j < FLEET_LINES; j++) {
			assert_int_equal(atomic_load(&fleet_at(i)->waiting[j]), 0);
			assert_int_equal(atomic_load(&fleet_at(i)->seats[0].waiting[j]), 0);
		}
		assert_int_equal(atomic_load(&fleet_at(i)->seats[0].granted), 0);
		assert_true(list_empty(&group->queue) && list_empty(&group->starved));
		for (unsigned j = 0; j < group->view->count; j++) {
			const struct fleet_server *server = group->view->servers[j]->fleet;
			assert_int_equal(atomic_load(&server->in_flight), 0);
			assert_int_equal(atomic_load(&server->counters[0].running), 0);
			assert_true(list_empty(&group->view->servers[j]->waiting));
		}
	}
}

#endif
