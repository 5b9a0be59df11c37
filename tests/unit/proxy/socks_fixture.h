/*
 * What tests of UDP ASSOCIATE and BIND share: a stage whose clients are on 127.0.0.1, where datagrams and connections are real, and in place of the codec a
 * stream that notes what it is told.
 */
#ifndef GUISE_TESTS_SOCKS_FIXTURE_H
#define GUISE_TESTS_SOCKS_FIXTURE_H

#include "proxy/udp_internal.h"

#include "exchange/raw.h"
#include "../../support/stage.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct stage stage;

/* The client's side of an exchange. */
struct asker {
	struct stream stream;
	struct client client;
	struct exchange *exchange;
	uint16_t statuses[4];
	struct address bound[4]; /* with each of them */
	unsigned heads;
	bool aborted, detached, raw;
	struct error error; /* as it was when the stream was aborted */
	struct conn *conn;  /* that becomes raw */
};

static inline struct asker *asker_of(struct stream *stream)
{
	return CONTAINER_OF(stream, struct asker, stream);
}

static inline void asker_on_head(struct stream *stream, const struct http_head *head)
{
	struct asker *asker = asker_of(stream);

	assert_true(asker->heads < ARRAY_LENGTH(asker->statuses));
	asker->statuses[asker->heads] = head->status;
	asker->bound[asker->heads++] = asker->exchange->bound;
}

/* The body of a refusal, which SOCKS has no place for. */
static inline void asker_on_readable(struct stream *stream)
{
	struct chunk_queue bytes = {0};
	bool ended;

	flow_take(stream->out, &bytes);
	chunk_queue_clear(&stage.worker.buffers, &bytes);
	ended = stream->out->fin;
	flow_settle(stream->out, 0);
	if (ended)
		exchange_finish(stream->exchange);
}

static inline void asker_on_nothing(struct stream *stream)
{
}

static inline void asker_on_abort(struct stream *stream, const struct error *error)
{
	asker_of(stream)->aborted = true;
	asker_of(stream)->error = *error;
}

static inline void asker_on_detach(struct stream *stream)
{
	asker_of(stream)->detached = true;
}

static inline struct stream *asker_become_raw(struct stream *stream)
{
	struct asker *asker = asker_of(stream);

	assert_non_null(asker->conn);
	asker->raw = true;
	return raw_stream_new(asker->exchange, asker->conn, stream->in, stream->out, NULL, false, NULL, NULL);
}

static const struct stream_ops asker_ops = {
	.name = "asker",
	.on_head = asker_on_head,
	.on_readable = asker_on_readable,
	.on_credit = asker_on_nothing,
	.stop = asker_on_nothing,
	.abort = asker_on_abort,
	.detach = asker_on_detach,
	.become_raw = asker_become_raw,
};

static inline struct address loopback(uint8_t last, uint16_t port)
{
	return (struct address){.family = ADDRESS_V4, .ip = {127, 0, 0, last}, .port = port};
}

/* As the codec makes it. `target`: HOST or HOST:PORT. */
static inline void ask(struct asker *asker, const char *method, const char *target)
{
	struct address client = asker->client.address, local = asker->client.local;
	struct conn *conn = asker->conn;
	struct error error;

	*asker = (struct asker){.stream.ops = &asker_ops, .conn = conn};
	asker->client.address = client.family ? client : loopback(1, 1024);
	asker->client.local = local.family ? local : loopback(1, 1080);
	struct exchange *x = exchange_new(&stage.worker, &stage.listeners[0].service, &asker->client);
	assert_non_null(x);
	asker->exchange = x;
	exchange_attach_down(x, &asker->stream);
	x->request.method = (uint8_t)http_method_identify(span_of(method));
	x->request.method_text = span_of(method);
	x->request.version = HTTP_VERSION_SOCKS5;
	x->request.target_form = HTTP_TARGET_AUTHORITY;
	x->request.scheme = SPAN("http");
	assert_true(http_authority_read(span_of(target), &x->arena, &x->request, &error));
	if (strcmp(method, "UDP") != 0)
		flow_finish(&x->request_body, NULL);
	exchange_begin(x);
}

/* The control connection ends. */
static inline void hang_up(struct asker *asker)
{
	flow_finish(&asker->exchange->request_body, NULL);
	stage_turns(&stage, 2);
}

#endif
