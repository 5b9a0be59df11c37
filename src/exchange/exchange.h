/*
 * One request and its response, whatever the protocol version (RFC 9110 3.4), from the moment its head is read until its
 * line is in the log. This room is mechanism only: what to do with a request is decided by the exchange_ops of the proxy room.
 *
 * A down stream makes the exchange (exchange_new), fills x->request, and calls exchange_begin. The proxy's ops choose an up
 * stream (exchange_set_up) or answer themselves (exchange_reply). The exchange ends when the down stream has sent everything
 * (exchange_finish) or when something broke (exchange_abort); both run on_end once, last, and free it at the end of the turn.
 *
 * All on one worker.
 */
#ifndef GUISE_EXCHANGE_EXCHANGE_H
#define GUISE_EXCHANGE_EXCHANGE_H

#include "exchange/client_log.h"
#include "exchange/settings.h"
#include "exchange/stream.h"
#include "tls/info.h"

struct accounts;
struct exchange;

struct exchange_ops {
	/* The request head is complete: route it. */
	void (*on_request)(struct exchange *x);
	/* The up stream received a head, in x->response: interim (1xx) or final. Pass it on with exchange_send_head. */
	void (*on_response)(struct exchange *x);
	/* The trailers of the response, or of the request, are complete: drop what must not go on. May be NULL. */
	void (*on_trailers)(struct exchange *x, struct http_fields *trailers, bool response);
	/*
	 * The up stream failed, and is gone. Try another, reply, or abort. Not called once the final head has gone down: then
	 * the exchange is aborted.
	 */
	void (*on_up_failed)(struct exchange *x, const struct error *error);
	/* The up stream has done all that it was there for, in good order. May be NULL. */
	void (*on_up_done)(struct exchange *x);
	/* The exchange cannot go on but the client can still be told: reply with error's status. */
	void (*on_refused)(struct exchange *x, const struct error *error);
	/* A tunnel has passed on all that it had: a good moment to let a relay have it. May be NULL. */
	void (*on_tunnel_flushed)(struct exchange *x);
	/* Over, for good or bad (x->error): log and let go of what the proxy holds. Last call. */
	void (*on_end)(struct exchange *x);
};

struct client;
struct pins;
struct service;

/* A codec tells who opened it, once: the client's connection, and the tunnel that it may have become, has ended. */
typedef void client_gone_fn(void *owner, const struct client *client);

/* How a codec is given an established connection of a client: see h1_server_open. */
typedef bool codec_open_fn(struct conn *conn, const struct client *client, const struct service *service,
			   client_gone_fn *on_gone, void *owner);

/* Another codec on the same port, told by a connection's first byte. */
struct codec_beside {
	uint32_t first_bytes; /* bit n: a connection that begins with a byte n is its */
	codec_open_fn *open;
};

/* What a listener means to the codec that reads from it: given to each exchange. */
struct service {
	const struct exchange_ops *ops;
	const struct limits_settings *limits;
	const struct timeouts_settings *timeouts;
	struct span scheme;                /* "http", or "https" where the listener speaks TLS */
	struct address local;              /* where it listens, for logs */
	enum log_addresses log_addresses;  /* how logs name clients */
	struct accounts *accounts;         /* of the room above: who may use it; NULL: nobody has to log in */
	const struct codec_beside *beside; /* who HTTP/1 gives connections to that are not its; NULL: nobody */
	void *owner;                       /* the proxy's */
};

/* The client's connection, as exchanges see it; shared by all exchanges on it. */
struct client {
	struct address address; /* the peer, or what a trusted hop said (PROXY protocol) */
	struct address local;   /* where it connected to: where we listen, or what that hop said */
	const struct tls_info *tls; /* lives until the end of the turn in which the connection ends; NULL: in clear */
	struct span user; /* who the connection has proved to be when it began (SOCKS); empty: nobody; lives as long as it */
	struct pins *pins; /* upstream connections that only this one may use (pin.h); NULL: it can have none */
};

/* A client's connection that its codec has let go of for good: who is to be told when it has ended, with a client of that address. */
struct client_claim {
	struct address address;
	client_gone_fn *on_gone;
	void *owner;
};

enum exchange_state {
	EXCHANGE_HEAD,     /* being made */
	EXCHANGE_RUNNING,  /* the proxy has it */
	EXCHANGE_ANSWERED, /* the final head has gone to the down stream */
	EXCHANGE_OVER,
};

struct exchange {
	struct worker *worker;
	struct arena arena;
	const struct service *service;
	const struct client *client;
	struct http_head request;
	struct http_head response;
	struct stream *down, *up; /* NULL: not there */
	struct flow request_body, response_body;
	struct address bound; /* of the answer, for codecs that tell (SOCKS): our end, or the peer's; family ADDRESS_NONE: not known */
	struct error error;    /* the first thing that went wrong */
	uint8_t state;         /* enum exchange_state */
	bool tunnel;           /* both ends are raw */
	bool head_is_bad;      /* the request could not be read: only log and reply */
	uint64_t body_limit;   /* bytes of the request's body */
	bool close_after;      /* the down connection must end with this exchange */
	uint64_t began_us;     /* loop clock */
	struct timer deadline; /* timeouts.total */
	struct loop_task retire;
	void *proxy; /* the proxy room's state, in the arena */
};

/* Pools. Slot WORKER_SLOT_EXCHANGE. */
WARN_UNUSED bool exchange_room_init(struct worker *worker);
void exchange_room_fini(struct worker *worker);
size_t exchange_count(const struct worker *worker); /* alive now */

/* NULL: out of memory. `client` is borrowed until on_end. */
WARN_UNUSED struct exchange *exchange_new(struct worker *worker, const struct service *service,
					  const struct client *client);
/* The stream that brings the request, usually made in x->arena. */
void exchange_attach_down(struct exchange *x, struct stream *down);

/* x->request is complete: starts total time and hands it to ops->on_request. */
void exchange_begin(struct exchange *x);
/* The request could not be read or must not be served; x->request holds what is known. Replies, then the connection ends. */
void exchange_refuse(struct exchange *x, const struct error *error);

/* ---- for the proxy ---- */

/* Gives the exchange an up stream: sends it the request head, and the request body flows to it. */
void exchange_set_up(struct exchange *x, struct stream *up);
/* Lets the up stream go, by detach or (when `error` is given) abort. */
void exchange_drop_up(struct exchange *x, const struct error *error);
/* Sends x->response to the client: interim or final. */
void exchange_send_head(struct exchange *x);
/* An answer of our own: x->response must be filled in, `body` (static or arena bytes that outlive the exchange's turn are copied) is all of it. */
void exchange_reply(struct exchange *x, struct span body);
/* Replies if the client can still be told, else aborts. */
void exchange_fail(struct exchange *x, const struct error *error);
/* Both ends are raw streams already, and there are no heads to send: from now on it is a tunnel. */
void exchange_open_tunnel(struct exchange *x);
/* Both ends become raw streams with fresh flows (after 101 or a CONNECT's 2xx has been sent). False: aborted. */
WARN_UNUSED bool exchange_become_tunnel(struct exchange *x);

/* ---- for streams ---- */

/* up: x->response was filled in. */
void exchange_on_response(struct exchange *x);
/* either: before flow_finish; `trailers` may be NULL. */
void exchange_on_trailers(struct exchange *x, struct http_fields *trailers, bool response);
/*
 * up: the whole response has been received, and the request has been sent, or the server takes no more of it; the stream goes
 * back to its codec.
 */
void exchange_on_up_done(struct exchange *x);
/* up: it broke; the stream is gone. */
void exchange_on_up_error(struct exchange *x, const struct error *error);
/* down: everything has been sent. */
void exchange_finish(struct exchange *x);
/* either, of a tunnel: something has ended or left; finishes when both directions have ended and everything has left. */
void exchange_finish_tunnel(struct exchange *x);
/* Somebody else has both ends of the tunnel, and goes on: the exchange ends, and no stream hears of it. */
void exchange_leave(struct exchange *x);
/* First error kept; both streams aborted; idempotent. */
void exchange_abort(struct exchange *x, const struct error *error);

#endif
