/*
 * An observer: a server that notes what comes to it, for audits of what stands before it. It has threads of its own: one for each address it listens on, and
 * one for each connection, bounded in number, time and memory. All functions may be called by any thread; answers are asked for on the connections' threads.
 *
 * On each of its addresses it looks at the first bytes that a client sends: TLS (if there is an authority), HTTP/1, or anything else, of which the first bytes
 * up to a moment's silence are noted, and all that comes is sent back (an echo).
 */
#ifndef GUISE_AUDIT_OBSERVER_H
#define GUISE_AUDIT_OBSERVER_H

#include "audit/wire.h"

struct observer;
struct tls_authority;
struct dns_names;

enum {
	OBSERVER_LISTENERS = 64,
	OBSERVER_AT_A_TIME = 128,    /* connections; more are closed at once */
	OBSERVER_CONNECTIONS = 4096, /* in all; later ones too */
	OBSERVER_MESSAGES = 2048,    /* kept; what comes then is answered, and not kept */
	OBSERVER_RAW_MOST = 4096,    /* bytes kept of a connection that is neither TLS nor HTTP */
};

/* One connection, as it was when its message came. Valid as long as the observer. */
struct observer_connection {
	uint64_t number; /* 1, 2, 3… */
	struct address peer, local;
	bool tls;
	struct span hello; /* the records of the ClientHello, as they came; may be empty */
	struct span name;  /* SNI */
	struct span alpn;  /* agreed on */
};

enum observer_kind {
	OBSERVER_REQUEST,  /* of HTTP/1, in `http` */
	OBSERVER_RAW,      /* the first bytes of anything else, in `raw` */
	OBSERVER_QUESTION, /* of DNS, in `name` */
};

/* Valid as long as the observer. */
struct observer_message {
	enum observer_kind kind;
	const struct observer_connection *connection; /* of a question: only its addresses */
	unsigned nth;                                 /* of its connection: 1, 2, 3… */
	struct wire_message http;                     /* body and trailers too */
	struct span raw;
	struct span name;   /* of a question: lower case, without the last dot */
	unsigned type;      /* of a question: 1 is A, 28 is AAAA */
	struct span subnet; /* of a question: the data of its EDNS client subnet (RFC 7871 6); empty: none */
};

/* What is to be sent: bytes as they are, of the arena (which is the message's), or such as live as long as the observer. */
struct observer_reply {
	struct arena *arena;
	struct span bytes;
	bool close; /* the connection, afterwards */
};

/* On a connection's thread. The reply is empty when it is called; if it stays so, the connection is closed. */
typedef void observer_answer_fn(void *owner, const struct observer_message *message,
				struct observer_reply *reply);

struct observer_options {
	observer_answer_fn *answer; /* NULL: 200 with a short text, or none for HEAD; TRACE is echoed */
	void *owner;
	struct tls_authority *authority; /* borrowed; NULL: no TLS */
	struct span alpn;                /* what it agrees to; empty: TLS_BLOCKING_HTTP1 */
	uint64_t idle;                   /* ms that a connection may be silent; 0: 10 s */
	struct dns_names *names; /* borrowed: as a name server it says where each name is by this; NULL: all are at one place */
};

/* NULL: *why tells (static text). */
WARN_UNUSED struct observer *observer_new(const struct observer_options *options, const char **why);
/* Ends its threads, closes all, frees. NULL is fine. */
void observer_free(struct observer *observer);

/* Port 0: any. False: errno tells. *bound is where it listens then. */
WARN_UNUSED bool observer_listen(struct observer *observer, const struct address *address,
				 struct address *bound);
/* A name server (UDP), which says of every name that it has `answer` as its address (of its family; of the other one: nothing), for a second. */
WARN_UNUSED bool observer_listen_dns(struct observer *observer, const struct address *address,
				     const struct address *answer, struct address *bound);

/*
 * The first message whose target (raw bytes, name) holds the token, among those after the `after`th of them; NULL: none came before the deadline.
 */
WARN_UNUSED const struct observer_message *observer_wait(struct observer *observer, struct span token,
							 unsigned after, uint64_t deadline);
/* How many messages have come whose target (raw bytes, name) holds the token. */
unsigned observer_count(struct observer *observer, struct span token);

#endif
