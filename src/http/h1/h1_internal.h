/*
 * What the files of the H1 connections share.
 */
#ifndef GUISE_HTTP_H1_H1_INTERNAL_H
#define GUISE_HTTP_H1_H1_INTERNAL_H

#include "core/pending.h"
#include "exchange/pin.h"
#include "http/date.h"
#include "http/h1/body.h"
#include "http/h1/client.h"
#include "http/h1/limits.h"
#include "http/h1/server.h"

struct h1_room {
	struct pool servers, clients;
	struct link open; /* h1_server.link */
	struct http_date date;
};

static inline struct h1_room *h1_room(const struct worker *worker)
{
	return worker->slots[WORKER_SLOT_H1];
}

enum h1_server_state {
	H1_SERVER_IDLE,     /* between requests, nothing received */
	H1_SERVER_HEAD,     /* part of a head has come */
	H1_SERVER_EXCHANGE, /* one is running; its body may still be coming */
	H1_SERVER_TUNNEL,   /* the connection has become a raw stream */
	H1_SERVER_CLOSED,
};

struct h1_pair;

struct h1_server {
	struct conn *conn; /* NULL once closed, lingering or raw */
	struct worker *worker;
	const struct service *service;
	struct h1_pair *pair; /* the running exchange's, or NULL */
	struct pending pending;
	size_t scanned; /* of a partial head, for h1_head_end */
	uint64_t read_deadline, write_deadline;
	struct timer timer;
	struct loop_task resume; /* soon: go on with what is pending */
	struct loop_task retire;
	struct client client;
	struct pins pins;
	struct link link;
	client_gone_fn *on_gone;
	void *owner;
	uint32_t served;
	uint8_t empty_lines; /* before the next request */
	uint8_t state;       /* enum h1_server_state */
	bool input_ended;    /* the client's FIN was seen */
	bool pin_lost; /* what the client has authenticated has ended: so does this, as if it were one connection */
};

/* One request and its response on this connection; lives in the exchange's arena. */
struct h1_pair {
	struct stream stream;
	struct h1_server *server;
	struct exchange *exchange;
	struct h1_body body;
	uint64_t dropped;  /* body bytes that nobody wanted */
	bool client_keeps; /* the client's wish for keep-alive */
	bool keep;         /* what our response said */
	bool request_done; /* the body has been read to its end */
	bool body_is_bad;  /* it cannot, or must not, be read on */
	bool discard;      /* nobody wants the rest of the body */
	bool head_sent;    /* the final one */
	bool continued;    /* a 100 has been sent */
	bool chunked;      /* the response's framing */
	bool until_close;
	bool response_done; /* its last byte has been queued */
};

struct h1_call;

struct h1_client {
	struct session session;
	struct worker *worker;
	struct h1_call *call; /* NULL: idle */
	struct pending pending;
	size_t scanned;
	uint64_t deadline; /* idle, or the server's next sign of life */
	struct h1_client_settings settings;
	struct timer timer;
	struct loop_task retire;
	bool ended; /* on_gone has been told */
};

/* One request and its response; lives in the exchange's arena. */
struct h1_call {
	struct stream stream;
	struct h1_client *client;
	struct exchange *exchange;
	struct h1_body body;
	struct h1_framing framing;
	struct span websocket_key; /* made here: the client has none, and does not check the answer; empty: not so */
	uint8_t heads;             /* received so far */
	bool request_chunked;
	bool sent;         /* a byte of the request has left */
	bool request_done; /* its last byte has been queued */
	bool answered;     /* a byte of a response has come */
	bool head_done;    /* the final head has come */
	bool continued;    /* a 100 has come */
	bool switching;    /* it was a 101, which the exchange has not been told yet */
	bool response_done;
	bool reusable; /* nothing speaks against another call on this connection */
};

extern const struct stream_ops h1_server_stream_ops;
extern const struct stream_ops h1_client_stream_ops;

/* server.c, for server_stream.c */
void h1_server_set_state(struct h1_server *server,
			 enum h1_server_state state); /* ensures that the move is legal */
void h1_server_close(struct h1_server *server);       /* now */
void h1_server_linger(struct h1_server *server);      /* in good order */
void h1_server_next(struct h1_server *server);        /* the exchange is over, the connection goes on */
void h1_server_on_raw_gone(void *owner);
void h1_server_on_raw_claim(void *owner, struct client_claim *claim);
void h1_server_watch_body(struct h1_server *server);
void h1_server_on_pin_lost(struct pins *pins);

/* server_stream.c, for server.c */
void h1_pair_on_sent(struct h1_pair *pair);
void h1_pair_finish_if_done(struct h1_pair *pair);

/*
 * sink.c: takes what the flow has, framed, into `out` (empty before); *done is set with its end. False: out of memory, and `out` is empty;
 * the message is broken.
 */
WARN_UNUSED bool h1_body_write(struct buffers *buffers, struct flow *flow, bool chunked, bool *done,
			       struct chunk_queue *out);

/* client.c, for client_stream.c */
void h1_client_close(struct h1_client *client);
void h1_client_leave(struct h1_client *client);                    /* no further call: the owner is told */
void h1_client_fail(struct h1_client *client, struct error error); /* the call cannot go on; both end */
void h1_client_finish_if_done(struct h1_client *client); /* after each step that may have been the last */
void h1_client_watch(struct h1_client *client);          /* the server has until timeouts.response from now */
void h1_client_on_raw_gone(void *owner);

#endif
