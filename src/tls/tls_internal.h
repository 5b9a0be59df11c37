/*
 * What the room src/tls keeps for each worker and each connection. Only its own files look inside.
 *
 * OpenSSL never touches a socket here. A worker has one scratch buffer for ciphertext that came and one for ciphertext that is to leave, and one
 * BIO between them and whatever connection is being worked on: so an idle connection owns no buffer and no BIO.
 */
#ifndef GUISE_TLS_INTERNAL_H
#define GUISE_TLS_INTERNAL_H

#include "net/conn.h"
#include "tls/info.h"
#include "tls/settings.h"

#include <openssl/ssl.h>

enum {
	TLS_RECORD = 16 * 1024,             /* bytes of plaintext, at most (RFC 8446 5.1) */
	TLS_RECORD_WIRE = TLS_RECORD + 512, /* and of its ciphertext, more than enough */
	TLS_BATCH = 4 * TLS_RECORD,         /* plaintext that leaves in one send */
	TLS_IN = 4 * TLS_RECORD,
	TLS_HELD_LITTLE = 2048,
	TLS_OUT = 4 * TLS_RECORD_WIRE + TLS_HELD_LITTLE + 2048,
	/*
	 * What OpenSSL is taken to need, for limits.memory, as measured: a connection; one in the middle of a handshake, besides; the buffer of a record
	 * of which a part is missing.
	 */
	TLS_CONNECTION_BYTES = 14 * 1024,
	TLS_HANDSHAKE_BYTES = 32 * 1024,
	TLS_PARTIAL_BYTES = TLS_RECORD_WIRE,
	TLS_HELD_MOST =
		512 * 1024, /* ciphertext that waits for the kernel: only a peer that floods us gets there */
};

struct tls;

struct tls_room {
	struct worker *worker;
	struct pool conns;        /* struct tls */
	struct link handshakes;   /* of clients, oldest first */
	uint64_t handshake_count; /* in that list */
	uint64_t handshakes_most;
	BIO_METHOD *method;
	BIO *bio; /* all connections' */
	uint8_t *in, *out, *plain;
	/* During a call into OpenSSL: */
	struct tls *current;
	struct span input; /* ciphertext that it has not taken */
	size_t out_used;
	bool direct; /* it writes one record, which may go to the kernel from where it is */
};

enum tls_state {
	TLS_SHAKING,
	TLS_SHAKEN, /* done; nobody has been told */
	TLS_OPEN,
	TLS_ENDED,  /* the peer's close_notify was received */
	TLS_FAILED, /* nothing is read or written any more */
};

/* Bytes of a connection that have to wait: for room, or for the kernel. */
struct tls_rest {
	uint32_t size, at, len; /* of bytes[]; what waits starts at `at` */
	uint8_t bytes[];
};

/* One in progress. */
struct tls_handshake {
	struct tls *tls;
	struct link link; /* in the room, if it counts */
	struct timer timer;
	struct loop_task tell, retire;
	struct memory *memory;
	struct error error; /* to be told; none: it is done */
	bool readable;      /* conn->readable, kept until it is told */
	bool counted;
};

/* The state of a connection's transport. Kept small. */
struct tls {
	struct conn *conn;
	struct tls_room *room;
	SSL *ssl;
	struct tls_handshake *handshake; /* NULL once it is told */
	struct tls_rest *stash;          /* ciphertext that came and did not fit */
	struct tls_rest *held;   /* ciphertext that the kernel has not taken; conn->held is its length */
	void *side;              /* struct tls_server *, or struct tls_peer * */
	struct tls_store *store; /* retained: the identity is its */
	const char *why;         /* FAILED: static */
	struct tls_info info;
	uint8_t *owned; /* what info.sni, info.client_certificate and info.client_name point into */
	uint32_t owned_size;
	uint16_t messages;  /* of handshake and alerts since it is open, from a peer that sends too many */
	uint8_t state;      /* enum tls_state */
	uint8_t error_code; /* FAILED: enum error_code */
	uint8_t error_system;
	uint8_t unsendable; /* errno of a send that failed: what came before is still read, the peer's alert most of all */
	bool server;
	bool partial;    /* OpenSSL keeps a part of a record */
	bool stuck;      /* nothing can be encrypted before the rest of a message has come */
	bool ticket_due; /* TLS 1.3: a session ticket leaves with the first bytes */
	struct loop_task retire;
};

static inline struct tls_room *tls_room(const struct worker *worker)
{
	return worker->slots[WORKER_SLOT_TLS];
}

/* --- transport.c --- */

extern const struct transport_ops transport_tls;

/* Before each group of calls that work on this connection: nothing of another one's is left. */
void tls_enter(struct tls *tls, struct span input);
/* Sends what they wrote. False: the connection broke, errno tells. */
WARN_UNUSED bool tls_push(struct tls *tls);
/* Keeps a copy of ciphertext for the next receive. False: out of memory. */
WARN_UNUSED bool tls_stash(struct tls *tls, struct span bytes);
void tls_rest_free(struct tls *tls, struct tls_rest **rest);
BIO_METHOD *tls_bio_method(void);
void tls_set_state(struct tls *tls, enum tls_state state);
/* FAILED, for this reason; the first one counts. */
void tls_broke(struct tls *tls, enum error_code code, int number, const char *why);
/* The same, from what OpenSSL has to say. */
void tls_broke_ssl(struct tls *tls);

/* --- handshake.c --- */

/* A connection whose SSL is made: begins. False: out of memory. */
WARN_UNUSED bool tls_handshake_start(struct conn *conn, SSL *ssl, void *side, bool server, struct span early,
				     uint64_t timeout_ms);
/* As far as the input goes. */
void tls_handshake_step(struct tls *tls);
/* The connection closes. */
void tls_handshake_drop(struct tls *tls);

/* --- server.c, client.c --- */

/* The handshake is done: fills tls->info. False: out of memory. */
WARN_UNUSED bool tls_server_done(struct tls *tls);
WARN_UNUSED bool tls_client_done(struct tls *tls);

/* --- subject.c --- */

enum { TLS_SUBJECT_MOST = 255 };

/*
 * The common name of the subject (RFC 5280 4.1.2.6), or the first e-mail address where it has none: UTF-8 without control characters. How long it is;
 * 0: there is no such name.
 */
size_t tls_subject(const X509 *certificate, uint8_t out[TLS_SUBJECT_MOST]);

/* --- context.c --- */

/* What both sides have in common. NULL: *why tells. */
WARN_UNUSED SSL_CTX *tls_context_new(const SSL_METHOD *method, enum tls_version minimum, const char **why);
/* The reason of the first error in OpenSSL's queue, which is cleared. Static; never NULL. */
const char *tls_reason(void);
/* Certificates of a PEM text. NULL: *why tells; no certificate in it is one reason. */
WARN_UNUSED STACK_OF(X509) * tls_certificates_read(struct span pem, const char **why);
/* The key of a PEM text. NULL: *why tells. */
WARN_UNUSED EVP_PKEY *tls_key_read(struct span pem, const char **why);

#endif
