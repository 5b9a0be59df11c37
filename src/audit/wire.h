/*
 * Connections of a prober: blocking, each call with a deadline, and messages of HTTP/1 as the very bytes that they are, with a plain view on them that nothing is
 * normalised in. Over TCP, through proxies, over TLS, in any combination that makes sense. One thread for each connection.
 *
 * Deadlines are those of core/deadline.h. What fails says why in wire->why.
 */
#ifndef GUISE_AUDIT_WIRE_H
#define GUISE_AUDIT_WIRE_H

#include "core/arena.h"
#include "core/deadline.h"
#include "net/address.h"
#include "tls/blocking.h"

struct parent_server;

enum {
	WIRE_WHY = 160,
	WIRE_HEAD_MOST = 64 * 1024,  /* bytes of one head */
	WIRE_BODY_MOST = 256 * 1024, /* of one body that is kept */
	WIRE_FIELDS_MOST = 200,
};

/* ---- connections ---- */

struct wire {
	int fd; /* -1: not open */
	struct tls_blocking *tls;
	uint8_t *bytes; /* received, and not yet taken: from `at` to `len` */
	size_t at, len, room;
	bool ended;         /* the other side's end has come */
	char why[WIRE_WHY]; /* of the last failure */
};

void wire_init(struct wire *wire);
/* Closes it, if it is open, and frees; may be called again. */
void wire_close(struct wire *wire);

/* `from`: NULL or of family ADDRESS_NONE: as the system chooses. */
WARN_UNUSED bool wire_open(struct wire *wire, const struct address *to, const struct address *from,
			   uint64_t deadline);
/* An accepted one; takes the descriptor. */
void wire_adopt(struct wire *wire, int fd, struct tls_blocking *tls);
/* Over what is open; nothing may have been received before. */
WARN_UNUSED bool wire_tls(struct wire *wire, const struct tls_blocking_client *options, uint64_t deadline);
/* Its own end of the connection; family ADDRESS_NONE: unknown. */
struct address wire_local(const struct wire *wire);

WARN_UNUSED bool wire_send(struct wire *wire, struct span bytes, uint64_t deadline);
/* Says that nothing more will be sent (plain TCP). */
void wire_finish(struct wire *wire);
/* Waits until something more has come (true), or the end (false, ->ended), or the deadline or an error (false). */
WARN_UNUSED bool wire_receive(struct wire *wire, uint64_t deadline);
/* What has come and was not taken. */
static inline struct span wire_waiting(const struct wire *wire)
{
	return span_make(wire->bytes + wire->at, wire->len - wire->at);
}
void wire_take(struct wire *wire, size_t len); /* len <= wire_waiting(wire).len */
/* Until `len` bytes are waiting. False: the end, or the deadline. */
WARN_UNUSED bool wire_need(struct wire *wire, size_t len, uint64_t deadline);

/* ---- through proxies ---- */

/*
 * Opens a connection to the proxy: TCP, and TLS where its kind is PARENT_HTTPS, with this ALPN (may be empty). The proxy's certificate is not verified: it is
 * an audit, not a secret. A name is resolved by the system.
 */
WARN_UNUSED bool wire_open_proxy(struct wire *wire, const struct parent_server *proxy,
				 const struct address *from, struct span alpn, uint64_t deadline);
/*
 * Asks it, by its kind, for a tunnel to the address (family ADDRESS_NONE: to host, and the port is address.port). *status: what an HTTP
 * proxy answered with, or 0.
 */
WARN_UNUSED bool wire_tunnel(struct wire *wire, const struct parent_server *proxy, struct span host,
			     const struct address *address, unsigned *status, uint64_t deadline);

/* ---- messages of HTTP/1 ---- */

struct wire_field {
	struct span name;  /* what stands before the colon */
	struct span value; /* without blanks at both ends; of a folded line: all of it, line ends included */
};

struct wire_message {
	struct span head;                           /* as it came, with its empty line */
	struct span start;                          /* the first line */
	struct wire_field fields[WIRE_FIELDS_MOST]; /* as they came; a line without a colon is all name */
	unsigned count;
	unsigned status;                     /* of a response; 0: it is none */
	struct span method, target, version; /* of a request; version: of both */
	struct span body;     /* of which at most WIRE_BODY_MOST bytes are kept; chunks joined */
	struct span trailers; /* as they came, with the empty line */
	bool complete;        /* its end has come as its framing says */
	bool keep_alive;      /* another one may follow */
};

/* Takes the head apart; nothing is refused. `bytes` ends with the empty line, and lives as long as the message. */
void wire_message_parse(struct span bytes, struct wire_message *message);

/* The value of the first field of that name, in any case; ->at is NULL: there is none. */
struct span wire_field_find(const struct wire_message *message, const char *name);

/*
 * Reads a message with its body; copies are in the arena. `method`: of the request that a response answers; empty: it is a request that is read. Interim
 * responses are skipped, unless `interim`. False: no whole head came.
 */
WARN_UNUSED bool wire_read(struct wire *wire, struct span method, bool interim, struct arena *arena,
			   struct wire_message *message, uint64_t deadline);

#endif
