/*
 * Connections of clients that are no codec's: of tcp listeners, and of listeners that intercept. The first bytes are looked at where they decide; then the
 * connection is an exchange whose end here is raw from the beginning, and the bytes go on as they came. On the worker that accepted.
 */
#ifndef GUISE_PROXY_RAW_CLIENT_H
#define GUISE_PROXY_RAW_CLIENT_H

#include "core/pending.h"
#include "proxy/proxy.h"
#include "tls/client_hello.h"

struct raw_client;

enum raw_client_look {
	RAW_CLIENT_MORE, /* it cannot be told yet */
	RAW_CLIENT_GO,   /* to an exchange; the hello says what is known */
	RAW_CLIENT_HTTP, /* it is HTTP/1's */
};

struct raw_client_ops {
	/* Looks at all that has come, at least one byte; *hello is zero before. */
	enum raw_client_look (*look)(struct raw_client *client, struct span bytes,
				     struct tls_client_hello *hello);
	/*
	 * The exchange is made, and begins when this returns: x->request is to be filled in. `hello`: of look, or all zero where nothing has been looked at.
	 * ERROR_NONE, or why it must not begin.
	 */
	struct error (*describe)(struct raw_client *client, struct exchange *x,
				 const struct tls_client_hello *hello);
	/* How long is waited, ms: for the first byte (0: not at all, look is left out), then (`begun`) for what look still wants (0: the time goes on). */
	uint64_t (*patience)(const struct raw_client *client, bool begun);
	/* That is over: what becomes of it; ERROR_NONE: nothing is wrong, and it goes on as it is. */
	struct error (*on_late)(const struct raw_client *client, bool begun);
	const char *cut_short; /* for the log: the connection ended while look wanted more */
	bool silence_is_told;  /* who has said nothing when it is late gets a line in the log */
};

enum raw_client_state {
	RAW_CLIENT_FIRST,    /* its first bytes are waited for */
	RAW_CLIENT_EXCHANGE, /* the connection is the exchange's */
	RAW_CLIENT_CLOSED,   /* or another codec's */
};

struct raw_client {
	struct conn *conn; /* NULL once it is the exchange's, or closed */
	struct worker *worker;
	const struct raw_client_ops *ops;
	const struct proxy_listener *listener;
	struct exchange *exchange; /* RAW_CLIENT_EXCHANGE */
	struct pending pending;    /* what has come and is not understood yet */
	uint32_t need;             /* bytes without which it cannot be */
	uint8_t state;             /* enum raw_client_state */
	bool tls;                  /* for look: it begins as a ClientHello does */
	struct timer timer;
	struct link link;
	struct loop_task retire;
	struct client client;
	client_gone_fn *on_gone;
	void *owner;
};

/* Slot WORKER_SLOT_RAW_CLIENT. */
WARN_UNUSED bool raw_client_room_init(struct worker *worker);
void raw_client_room_fini(struct worker *worker);

/* As a codec is opened: see codec_open_fn. Bytes that were received already are given to conn->ops->on_read afterwards. */
WARN_UNUSED bool raw_client_open(const struct raw_client_ops *ops, const struct proxy_listener *listener,
				 struct conn *conn, const struct client *client, client_gone_fn *on_gone,
				 void *owner);

/* worker->draining was set: closes connections that have sent nothing; the others end by themselves. */
void raw_client_drain(struct worker *worker);
/* Cuts every connection of this worker. */
void raw_client_cut(struct worker *worker);

#endif
