/*
 * What the files of the HTTP/2 connections share. A connection of either side is a struct h2_conn, which knows frames, streams and their
 * bodies; a struct h2_role says what the side makes of heads and ends.
 */
#ifndef GUISE_HTTP_H2_H2_INTERNAL_H
#define GUISE_HTTP_H2_H2_INTERNAL_H

#include "exchange/session.h"
#include "http/date.h"
#include "http/h2/allocator.h"
#include "http/h2/guard.h"
#include "http/h2/client.h"
#include "http/h2/message.h"
#include "http/h2/message_write.h"
#include "http/h2/server.h"

#include <nghttp2/nghttp2.h>

struct h2_room {
	struct pool servers, clients;
	struct link open; /* h2_conn.link of servers */
	struct http_date date;
	nghttp2_session_callbacks *callbacks;
	nghttp2_option *server_option, *client_option;
	struct h2_allocator allocator;
	uint64_t abuses[H2_ABUSE_KINDS]; /* connections that ended by each */
};

static inline struct h2_room *h2_room(const struct worker *worker)
{
	return worker->slots[WORKER_SLOT_H2];
}

enum {
	H2_CONNECTION_WINDOW = 1024 * 1024, /* bytes on their way to us, of all streams */
	H2_TICKS = 8,                       /* looks at a connection within a timeout */
	H2_TICK_MOST = 1000,                /* ms from one look to the next */
};

struct h2_conn;
struct h2_stream;

/* Calls of h2_conn to its side. */
struct h2_role {
	/* A header block begins on a new stream of the peer. NULL: out of memory, the stream is reset. */
	struct h2_stream *(*on_request)(struct h2_conn *h2, int32_t id);
	/* A whole head has come; `ended`: and END_STREAM. */
	void (*on_head)(struct h2_stream *stream, bool ended);
	/* The message is not what it must be: the stream is to be reset. */
	void (*on_malformed)(struct h2_stream *stream, const struct error *error);
	/* The stream has been closed, by both ends or by a reset (`code` other than NGHTTP2_NO_ERROR); it is out of the connection's list. */
	void (*on_closed)(struct h2_conn *h2, struct h2_stream *stream, uint32_t code);
	/* The connection has broken under it; it is out of the list. */
	void (*on_lost)(struct h2_conn *h2, struct h2_stream *stream, const struct error *error);
	/* A frame other than DATA and HEADERS has come. */
	void (*on_frame)(struct h2_conn *h2, const nghttp2_frame *frame);
	/* Now and then while there are streams, and when the idle time is over. */
	void (*on_tick)(struct h2_conn *h2);
	/* The last stream has ended. */
	void (*on_quiet)(struct h2_conn *h2);
	/* The connection is gone, its streams before it. Last call. */
	void (*on_gone)(struct h2_conn *h2);
};

/* Embedded in its side's struct. */
struct h2_conn {
	struct conn *conn; /* NULL once closed or lingering */
	struct worker *worker;
	const struct h2_role *role;
	nghttp2_session *session;
	struct link link;    /* the room's or nothing */
	struct link streams; /* h2_stream.link */
	struct h2_message_rules rules;
	struct h2_guard guard;
	struct chunk_queue out; /* frames that are being written; empty otherwise */
	struct block *lent;     /* while bytes are being read */
	struct loop_task pump;  /* last: writes frames */
	struct loop_task retire;
	struct timer timer;
	uint64_t quiet_since; /* loop clock, ms: no stream; 0: there is one */
	uint64_t sent_at;     /* loop clock, ms: when the peer last took something */
	uint32_t count;       /* of streams */
	struct error error;   /* what streams are told that are left at the end */
	bool starved;         /* nghttp2 had no memory for what must be said: the connection cannot go on */
	bool ended;
};

/* One request and its response; lives in the exchange's arena. */
struct h2_stream {
	struct stream stream;
	struct h2_conn *h2; /* NULL: closed, or let go */
	struct link link;
	int32_t id;         /* 0: not sent yet */
	uint64_t active_at; /* loop clock, ms: when something last moved */
	size_t owed;        /* bytes that came and whose window has not been given back */
	size_t window;      /* bytes: what the peer may have on its way */
	uint64_t received;  /* bytes of the body */
	struct h2_message message;
	struct http_fields trailers;
	struct chunk_queue early; /* what came for a tunnel before it was one */
	uint8_t heads;            /* received so far */
	bool head_done;           /* the request's, or the final one of the response, has come */
	bool in_trailers;         /* what comes now are its fields */
	bool head_sent;           /* the final one, or the request's, has been submitted */
	bool sent;                /* the request's has been written */
	bool deferred;            /* it has been told to wait */
	bool input_done;          /* END_STREAM has come */
	bool output_done;         /* END_STREAM has been written */
	bool tunnel;              /* it is to become raw, or is */
	bool raw;
	bool discard;  /* nobody wants the rest of what comes */
	bool extended; /* client: the request is an extended CONNECT */
};

/* ---- conn.c ---- */

/* Takes over an established connection; settings are to be submitted by the side. False: out of memory, the connection is still the caller's. */
WARN_UNUSED bool h2_conn_init(struct h2_conn *h2, struct conn *conn, const struct h2_role *role, bool server,
			      loop_task_fn *free);
/* Frames have been submitted: they leave at the end of the turn. */
void h2_conn_wake(struct h2_conn *h2);
/* Ends: what has been submitted is written, then the connection lingers. Streams that are left fail with `error`. */
void h2_conn_leave(struct h2_conn *h2, const struct error *error);
/* Ends at once. */
void h2_conn_cut(struct h2_conn *h2, const struct error *error);
/* An error of the whole connection: GOAWAY with `code` (enum nghttp2_error_code), then it ends. */
void h2_conn_terminate(struct h2_conn *h2, uint32_t code, const struct error *error);
/* What nghttp2 answered to a submission: when it had no memory, the connection ends before the peer waits for what never comes. */
void h2_conn_check(struct h2_conn *h2, int result);
/* The peer has done something that costs points; without any left it is sent away. */
void h2_conn_spend(struct h2_conn *h2, enum h2_abuse kind);
/*
 * How many of these bytes, at least one, nghttp2 may have next: what follows is to be looked at when it has taken them. Then the next ones.
 */
size_t h2_guard_next(struct h2_conn *h2, struct span bytes);
/* A frame has come, has been found invalid (`why`: enum nghttp2_error), has been written. */
void h2_guard_on_received(struct h2_conn *h2, const nghttp2_frame *frame);
void h2_guard_on_invalid(struct h2_conn *h2, int why);
void h2_guard_on_sent(struct h2_conn *h2, const nghttp2_frame *frame);
/* The clock: ticks while there are streams; one shot for the idle time. */
void h2_conn_tick_in(struct h2_conn *h2, uint64_t delay_ms);

/* How often a connection with streams is looked at, so that a timeout is not overrun by much. Both in ms. */
static inline uint64_t h2_tick_of(uint64_t timeout_ms)
{
	return size_max(size_min(timeout_ms / H2_TICKS, H2_TICK_MOST), 1);
}

/* For room.c. */
WARN_UNUSED bool h2_callbacks_init(struct h2_room *room);

/* ---- stream.c ---- */

void h2_stream_init(struct h2_stream *stream, struct h2_conn *h2, struct exchange *x,
		    const struct stream_ops *ops);
void h2_stream_attach(struct h2_stream *stream); /* into the connection's list */
/* Out of it: nothing of this stream reaches the exchange any more. A code other than NGHTTP2_NO_ERROR resets it, if it is still open. */
void h2_stream_release(struct h2_stream *stream, uint32_t code);
void h2_stream_moved(struct h2_stream *stream);

/* The stream of an identifier; NULL: it has been let go. */
struct h2_stream *h2_stream_find(nghttp2_session *session, int32_t id);
/* As h2_stream_release, of a tunnel that is over although its END_STREAM has not been written yet: it still will be. */
void h2_stream_release_ending(struct h2_stream *stream);

/* From frames. */
void h2_stream_on_data(struct h2_stream *stream, struct span bytes);
void h2_stream_on_end(struct h2_stream *stream);
ssize_t h2_stream_read(nghttp2_session *session, int32_t id, uint8_t *into, size_t most, uint32_t *flags,
		       nghttp2_data_source *source, void *user);
WARN_UNUSED bool h2_stream_write(struct h2_stream *stream, struct span head, size_t bytes,
				 struct chunk_queue *out);

/* The list as nghttp2 wants it, in the arena. NULL: out of memory. */
nghttp2_nv *h2_stream_list(const struct h2_fields *fields, struct arena *arena);

/* Parts of both sides' stream_ops. */
void h2_stream_on_readable(struct stream *stream);
void h2_stream_on_credit(struct stream *stream);
void h2_stream_stop(struct stream *stream);
struct stream *h2_stream_become_raw(struct stream *stream);
struct conn *h2_stream_plain_conn(struct stream *stream);

static inline struct h2_stream *h2_stream_of(struct stream *stream)
{
	return CONTAINER_OF(stream, struct h2_stream, stream);
}

/*
 * Since when (loop clock, ms) the peer has not taken what this stream has for it. While the stream has a window, what others are sent
 * counts: it is only not its turn.
 */
uint64_t h2_stream_stuck_since(const struct h2_stream *stream);
/* Is it the peer that the stream waits for: to take what there is for it, or to send what it owes? */
bool h2_stream_waits_to_send(const struct h2_stream *stream);
bool h2_stream_waits_to_receive(const struct h2_stream *stream);

#endif
