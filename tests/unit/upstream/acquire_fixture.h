/*
 * What tests of waiting for sessions share: the stage with groups of all kinds, servers that speak frames of HTTP/2 by hand and TLS by a bare
 * OpenSSL, clients, and one who waits without a client.
 */
#ifndef GUISE_TESTS_ACQUIRE_FIXTURE_H
#define GUISE_TESTS_ACQUIRE_FIXTURE_H

#include "../../support/stage.h"

#include "../../support/certificates.h"
#include "upstream/attempt_internal.h"
#include "upstream/room_internal.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <openssl/ssl.h>

static const char yaml[] = "timeouts: {connect: 2s, handshake: 3s, response: 7s, pool: 20s}\n"
			   "reverse:\n"
			   "  - listen: 127.0.0.1:2\n"
			   "    routes:\n"
			   "      - {path: /clear, to: clear}\n"
			   "      - {path: /two, to: two}\n"
			   "      - {path: /auto, to: auto}\n"
			   "      - {path: /only, to: only}\n"
			   "      - {path: /v1, to: v1}\n"
			   "      - {path: /v2, to: v2}\n"
			   "upstreams:\n"
			   "  clear: {servers: [\"10.9.0.1:80\"], http: 2, retries: 0}\n"
			   "  two: {servers: [\"10.9.0.1:80\"], http: 2, streams: 2}\n"
			   "  auto: {servers: [\"10.9.0.1:443\"], tls: {verify: false}, retries: 0}\n"
			   "  only: {servers: [\"10.9.0.1:443\"], tls: {verify: false}, http: 2, retries: 0}\n"
			   "  v1: {servers: [\"10.9.0.1:80\"], proxy_protocol: v1}\n"
			   "  v2: {servers: [\"10.9.0.1:443\"], tls: {verify: false}, proxy_protocol: v2}\n";

enum { CLEAR, TWO, AUTO, ONLY, V1, V2 };

static struct stage stage;
static struct certificate certificate;

/* The other end of a connection to a server. */
struct end {
	SSL *ssl;
	uint8_t bytes[65536]; /* what was said to it, in clear */
	size_t len;
	size_t seen;       /* frames have been looked at so far */
	unsigned requests; /* HEADERS */
	uint32_t last;     /* stream */
	bool goaway;
};

static struct end ends[STAGE_SERVERS];
static SSL_CTX *context;
static const char *alpn; /* what the servers agree to; NULL: nothing */

static inline int choose(SSL *ssl, const unsigned char **out, unsigned char *len, const unsigned char *in,
			 unsigned in_len, void *owner)
{
	if (!alpn)
		return SSL_TLSEXT_ERR_NOACK;
	for (unsigned i = 0; i < in_len; i += in[i] + 1U) {
		if (!span_equal(span_make(in + i + 1, in[i]), span_of(alpn)))
			continue;
		*out = in + i + 1;
		*len = in[i];
		return SSL_TLSEXT_ERR_OK;
	}
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static inline int group_set_up(void **state)
{
	certificate = certificate_make((struct certificate_wish){.names = "DNS:a.test"});
	context = SSL_CTX_new(TLS_server_method());
	assert_non_null(context);
	assert_int_equal(SSL_CTX_use_certificate(context, certificate.x509), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(context, certificate.key), 1);
	SSL_CTX_set_alpn_select_cb(context, choose, NULL);
	stage_configure(&stage, yaml);
	return 0;
}

static inline int group_tear_down(void **state)
{
	stage_discard(&stage);
	SSL_CTX_free(context);
	certificate_free(&certificate);
	return 0;
}

static inline int set_up(void **state)
{
	alpn = NULL;
	stage_start(&stage);
	return 0;
}

static inline int tear_down(void **state)
{
	stage_stop(&stage);
	for (unsigned i = 0; i < STAGE_SERVERS; i++) {
		SSL_free(ends[i].ssl);
		memset(&ends[i], 0, sizeof(ends[i]));
	}
	return 0;
}

/* ---- servers ---- */

static inline void end_flush(unsigned server)
{
	BIO *out = SSL_get_wbio(ends[server].ssl);
	uint8_t bytes[16384];
	int len;

	while ((len = BIO_read(out, bytes, sizeof(bytes))) > 0)
		stage_send(&stage.servers[server], span_make(bytes, (size_t)len));
}

/* What has come over TLS, from `from` on. */
static inline void end_pump(unsigned server, size_t from)
{
	struct end *end = &ends[server];
	struct stage_peer *peer = &stage.servers[server];
	int got;

	if (!end->ssl) {
		end->ssl = SSL_new(context);
		SSL_set_bio(end->ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
		SSL_set_accept_state(end->ssl);
		peer->seen = from;
	}
	if (peer->len > peer->seen)
		BIO_write(SSL_get_rbio(end->ssl), peer->bytes + peer->seen, (int)(peer->len - peer->seen));
	peer->seen = peer->len;
	while ((got = SSL_read(end->ssl, end->bytes + end->len, (int)(sizeof(end->bytes) - end->len))) > 0)
		end->len += (size_t)got;
	ERR_clear_error();
	end_flush(server);
}

static inline void secure(unsigned server, size_t from)
{
	for (unsigned i = 0; i < 4; i++) {
		stage_turns(&stage, 2);
		end_pump(server, from);
	}
}

static inline void tell(unsigned server, struct span bytes)
{
	struct end *end = &ends[server];

	if (end->ssl) {
		assert_int_equal(SSL_write(end->ssl, bytes.at, (int)bytes.len), (int)bytes.len);
		end_flush(server);
	} else {
		assert_int_equal(stage_send(&stage.servers[server], bytes), bytes.len);
	}
	stage_turns(&stage, 3);
}

static inline void tell_text(unsigned server, const char *text)
{
	tell(server, span_of(text));
}

static inline void frame(unsigned server, uint8_t type, uint8_t flags, uint32_t stream, struct span payload)
{
	uint8_t bytes[64] = {0, 0, (uint8_t)payload.len,   type,           flags,
			     0, 0, (uint8_t)(stream >> 8), (uint8_t)stream};

	if (payload.len)
		memcpy(bytes + 9, payload.at, payload.len);
	tell(server, span_make(bytes, 9 + payload.len));
}

/* SETTINGS, with MAX_CONCURRENT_STREAMS (RFC 9113 6.5.2). */
static inline void settings(unsigned server, uint8_t streams)
{
	const uint8_t payload[] = {0, 3, 0, 0, 0, streams};

	frame(server, 4, 0, 0, span_make(payload, sizeof(payload)));
}

/* A response without content: ":status: 200" of the static table. */
static inline void respond(unsigned server, uint32_t stream)
{
	frame(server, 1, 5, stream, SPAN("\x88"));
}

/* Looks at the frames that have come; how many requests there were. */
static inline unsigned requests(unsigned server)
{
	struct end *end = &ends[server];

	if (end->ssl) {
		end_pump(server, 0);
	} else if (stage.servers[server].len) {
		memcpy(end->bytes, stage.servers[server].bytes, stage.servers[server].len);
		end->len = stage.servers[server].len;
	}
	if (end->len < H2_PREFACE_LENGTH)
		return 0;
	assert_memory_equal(end->bytes, h2_preface, H2_PREFACE_LENGTH);
	size_t at = end->seen ? end->seen : H2_PREFACE_LENGTH;
	while (end->len - at >= 9) {
		const uint8_t *head = end->bytes + at;
		size_t len = (size_t)head[0] << 16 | (size_t)head[1] << 8 | head[2];
		if (end->len - at < 9 + len)
			break;
		at += 9 + len;
		if (head[3] == 1) {
			end->requests++;
			end->last = (uint32_t)head[7] << 8 | head[8];
		}
		end->goaway |= head[3] == 7;
	}
	end->seen = at;
	return end->requests;
}

static inline bool said(unsigned server, const char *text)
{
	struct span bytes = stage_got(&stage.servers[server]);

	if (ends[server].ssl) {
		end_pump(server, 0);
		bytes = span_make(ends[server].bytes, ends[server].len);
	}
	return span_search(bytes, span_of(text)) >= 0;
}

/* ---- clients ---- */

static inline void ask(unsigned who, const char *path)
{
	char text[128];

	snprintf(text, sizeof(text), "GET /%s HTTP/1.1\r\nHost: a\r\n\r\n", path);
	assert_true(stage_connect(&stage, who, 0));
	stage_say(&stage.clients[who], text);
	stage_turns(&stage, 2);
}

/* As above, from one that goes away: with an answer unread, so that it counts as a reset. */
static inline void ask_to_leave(unsigned who, const char *path)
{
	assert_true(stage_connect(&stage, who, 0));
	stage.clients[who].paused = true;
	stage_say(&stage.clients[who], "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	stage_turns(&stage, 2);
	char text[128];
	snprintf(text, sizeof(text), "GET /%s HTTP/1.1\r\nHost: a\r\n\r\n", path);
	stage_say(&stage.clients[who], text);
	stage_turns(&stage, 2);
}

static inline void leave(unsigned who)
{
	size_t before = exchange_count(&stage.worker);

	stage_peer_close(&stage.clients[who]);
	stage_turns(&stage, 2);
	assert_int_equal(exchange_count(&stage.worker), before - 1);
}

static inline bool heard(unsigned who, const char *text)
{
	return stage.clients[who].len && strstr((const char *)stage.clients[who].bytes, text);
}

static inline void expect_status(unsigned who, const char *status)
{
	if (!stage.clients[who].len || strncmp((const char *)stage.clients[who].bytes + 9, status, 3) != 0)
		fail_msg("client %u: \"%s\", not %s", who,
			 stage.clients[who].len ? (const char *)stage.clients[who].bytes : "", status);
}

static inline struct upstream_server *server_of(unsigned group)
{
	return upstream_group(&stage.worker, group)->view->servers[0];
}

static inline void expect_pool(unsigned group, unsigned open, unsigned idle)
{
	assert_int_equal(server_of(group)->pool.open, open);
	assert_int_equal(server_of(group)->pool.idle_count, idle);
}

static inline unsigned attempts(unsigned group)
{
	const struct link *head = &server_of(group)->attempts;
	unsigned count = 0;

	for (const struct link *link = head->next; link != head; link = link->next)
		count++;
	return count;
}

/* ---- waiting by hand ---- */

struct asked {
	struct acquire acquire;
	struct conn *conn;
	struct session *session;
	struct error error;
	unsigned told;
	struct asked *other; /* is cancelled inside */
};

static inline void on_session(struct acquire *acquire, struct session *session)
{
	struct asked *asked = CONTAINER_OF(acquire, struct asked, acquire);

	asked->told++;
	asked->session = session;
	if (asked->other)
		acquire_cancel(&asked->other->acquire);
	session_discard(session);
}

static inline void on_conn(struct acquire *acquire, struct conn *conn)
{
	struct asked *asked = CONTAINER_OF(acquire, struct asked, acquire);

	asked->told++;
	asked->conn = conn;
}

static inline void on_failed(struct acquire *acquire, const struct error *error)
{
	struct asked *asked = CONTAINER_OF(acquire, struct asked, acquire);

	asked->told++;
	asked->error = *error;
	assert_true(error->unprocessed);
	if (asked->other)
		acquire_cancel(&asked->other->acquire);
}

static const struct acquire_ops ops = {.on_session = on_session, .on_conn = on_conn, .on_failed = on_failed};
static const struct address client = {.family = ADDRESS_V4, .ip = {10, 1, 0, 9}, .port = 99};

static inline bool start(struct asked *asked, unsigned group, enum acquire_kind kind)
{
	struct acquire_wish wish = {.kind = kind, .source = &client, .destination = &client};
	bool good = acquire_start(&asked->acquire, &ops, upstream_group(&stage.worker, group),
				  server_of(group), &wish);

	assert_int_equal(asked->told, 0);
	return good;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
