/*
 * One end of an exchange: an H1 message pair, later an H2 or H3 stream, a raw tunnel end, a cache reader. A stream is the source
 * of one flow (what it receives) and the sink of the other (what it sends).
 */
#ifndef GUISE_EXCHANGE_STREAM_H
#define GUISE_EXCHANGE_STREAM_H

#include "core/error.h"
#include "exchange/flow.h"
#include "http/head.h"
#include "net/conn.h"

struct exchange;
struct pins;
struct stream;

struct stream_ops {
	const char *name; /* "HTTP/1.1", for logs */
	/* Send this head: interim (1xx) any number of times, then one final. The body follows in stream->out. */
	void (*on_head)(struct stream *stream, const struct http_head *head);
	/* stream->out has something, or its end: take what is there. */
	void (*on_readable)(struct stream *stream);
	/* stream->in has room again: go on receiving. */
	void (*on_credit)(struct stream *stream);
	/* The other side wants no more of stream->in: receive and drop, bounded, or end. */
	void (*stop)(struct stream *stream);
	/* The exchange broke: end so that the peer cannot think that it got everything. The stream is gone afterwards. */
	void (*abort)(struct stream *stream, const struct error *error);
	/* The exchange is over or goes on without this stream, which is the codec's again. No call follows in either direction. */
	void (*detach)(struct stream *stream);
	/*
	 * The protocol gave way to raw bytes (CONNECT 2xx, 101): a stream for them on the same connection, in this one's place;
	 * what was received beyond the head is in stream->in. NULL: out of memory, and the stream is as it was.
	 */
	struct stream *(*become_raw)(struct stream *stream);
	/* The bare socket behind a raw stream if nothing is queued, for a relay; else NULL. */
	struct conn *(*plain_conn)(struct stream *stream);
	/*
	 * Of streams of clients: a session that belongs to the client's connection (pin.h) has ended by itself, perhaps long after the stream. At any moment; nothing
	 * is freed inside. May be NULL.
	 */
	void (*pin_lost)(struct pins *pins);
};

struct stream {
	const struct stream_ops *ops;
	struct exchange *exchange;
	struct flow *in;  /* this stream is its source */
	struct flow *out; /* this stream is its sink */
};

#endif
