/*
 * What tests of whole exchanges share: the stage with a small configuration of each face, and words for what was heard.
 */
#ifndef GUISE_TESTS_STAGE_FIXTURE_H
#define GUISE_TESTS_STAGE_FIXTURE_H

#include "../../support/stage.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { FORWARD, REVERSE, TCP, TCP_NAMES }; /* listeners */

static const char stage_yaml[] =
	"limits: {memory: 64 MiB, request_line: 512, field_line: 512, fields: 20, head: 2 KiB, body: 64 KiB, flow: 4 KiB,\n"
	"         requests_per_connection: 5}\n"
	"timeouts: {header: 5s, idle: 10s, body: 6s, total: 100s, connect: 2s, response: 7s, tunnel: 20s, pool: 12s}\n"
	"forward:\n"
	"  - listen: 127.0.0.1:3128\n"
	"    mask: anonymous\n"
	"    rules: [{allow: {addresses: [10.0.0.0/8]}}]\n"
	"reverse:\n"
	"  - listen: 127.0.0.1:8080\n"
	"    routes:\n"
	"      - {path: /hello, respond: {status: 200, body: \"hello\\n\", type: text/plain}}\n"
	"      - {path: /small, to: web, limits: {body: 10}}\n"
	"      - {path: /large, to: web, limits: {body: 100 MiB}}\n"
	"      - {path: /pair, to: pair}\n"
	"      - {path: /same, to: web, mask: {same: {etags: true, date: true, order: true, errors: all}}}\n"
	"      - {to: web}\n"
	"tcp:\n"
	"  - {listen: 127.0.0.1:5432, to: pair}\n"
	"  - {listen: 127.0.0.1:8443, routes: [{sni: a.test, to: web}, {sni: b.test, to: pair}]}\n"
	"upstreams:\n"
	"  web: {servers: [\"10.9.0.1:80\"], keepalive: 2}\n"
	"  pair: {servers: [\"10.9.0.1:80\", \"10.9.0.2:80\"], retries: 1}\n";

static struct stage stage;

static inline int group_set_up(void **state)
{
	stage_configure(&stage, stage_yaml);
	return 0;
}

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

static inline bool has(const struct stage_peer *peer, const char *text)
{
	return peer->bytes && strstr((const char *)peer->bytes, text) != NULL;
}

#define assert_has(peer, text)                                                                               \
	do {                                                                                                 \
		if (!has((peer), (text)))                                                                    \
			fail_msg("no \"%s\" in \"%s\"", (text), (peer)->len ? (char *)(peer)->bytes : "");   \
	} while (0)

static inline unsigned times(const struct stage_peer *peer, const char *text)
{
	unsigned count = 0;
	const char *at = peer->bytes ? (const char *)peer->bytes : "";

	for (; (at = strstr(at, text)); at++)
		count++;
	return count;
}

/* Says it and lets Guise act. */
static inline void say(struct stage_peer *peer, const char *text)
{
	assert_int_equal(stage_say(peer, text), strlen(text));
	stage_turns(&stage, 3);
}

static inline struct stage_peer *client_of(unsigned who, unsigned listener)
{
	assert_true(stage_connect(&stage, who, listener));
	return &stage.clients[who];
}

static inline struct stage_peer *server_at(unsigned index)
{
	assert_true(index < stage.server_count);
	return &stage.servers[index];
}

/* Everybody closes; whatever Guise still holds it gives up by itself. */
static inline void everybody_leaves(void)
{
	for (unsigned i = 0; i < STAGE_CLIENTS; i++)
		stage_peer_close(&stage.clients[i]);
	for (unsigned i = 0; i < stage.server_count; i++)
		stage_peer_close(&stage.servers[i]);
	for (unsigned i = 0; i < 50 && conn_count(&stage.worker); i++)
		stage_pass(&stage, 2500);
	assert_int_equal(exchange_count(&stage.worker), 0);
	assert_int_equal(conn_count(&stage.worker), 0);
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a.test\r\n\r\n"
#define OK(body, length) "HTTP/1.1 200 OK\r\nContent-Length: " length "\r\n\r\n" body

#endif
