/*
 * What the tests of src/tls share: a worker with its rooms, a connection of ours that records what it is told, and a peer that is a bare OpenSSL over
 * memory, so that a test decides which bytes travel when.
 */
#ifndef GUISE_TESTS_TLS_FIXTURE_H
#define GUISE_TESTS_TLS_FIXTURE_H

#include "tls/client.h"
#include "tls/server.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include <openssl/ssl.h>

#include "../../support/certificates.h"

struct fixture {
	struct memory memory;
	struct worker worker;
};

static inline int set_up_with(void **state, uint64_t handshakes)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	assert_non_null(fixture);
	signal(SIGPIPE, SIG_IGN);
	memory_init(&fixture->memory, 0);
	assert_true(worker_init(&fixture->worker, 0, &fixture->memory, NULL));
	assert_true(conn_room_init(&fixture->worker));
	assert_true(tls_room_init(&fixture->worker, handshakes));
	*state = fixture;
	return 0;
}

static inline int set_up(void **state)
{
	return set_up_with(state, 1024);
}

/* Every byte that was taken has come back. */
static inline int tear_down(void **state)
{
	struct fixture *fixture = *state;
	assert_int_equal(conn_count(&fixture->worker), 0);
	loop_turn(&fixture->worker.loop, 0);
	conn_room_fini(&fixture->worker);
	tls_room_fini(&fixture->worker);
	worker_fini(&fixture->worker);
	assert_int_equal(atomic_load(&fixture->memory.used), 0);
	free(fixture);
	return 0;
}

/* ---- our side ---- */

struct side {
	struct conn *conn; /* NULL: ended */
	struct worker *worker;
	uint8_t *bytes; /* all that was read */
	size_t len, capacity;
	size_t sent;
	unsigned reads, ends, fails, connects;
	struct error error;
	bool stop_after_read, close_on_connect, close_on_fail;
	const char *say; /* from on_connect */
};

static inline void side_write(struct side *side, struct span bytes)
{
	struct chunk_queue queue = {0};

	assert_true(chunk_queue_copy(&side->worker->buffers, &queue, bytes));
	conn_write(side->conn, &queue);
}

/* By conn_close, conn_reset or conn_linger. */
static inline void side_end(struct side *side, void (*how)(struct conn *conn))
{
	how(side->conn);
	side->conn = NULL;
}

static inline void side_on_read(struct conn *conn, struct block *lent, struct span bytes)
{
	struct side *side = conn->owner;

	assert_int_equal(side->connects, 1);
	assert_ptr_equal(bytes.at, lent->bytes);
	if (side->len + bytes.len + 1 > side->capacity) {
		side->capacity = (side->len + bytes.len) * 2 + 64;
		side->bytes = realloc(side->bytes, side->capacity);
		assert_non_null(side->bytes);
	}
	memcpy(side->bytes + side->len, bytes.at, bytes.len);
	side->len += bytes.len;
	side->bytes[side->len] = 0;
	side->reads++;
	if (side->stop_after_read)
		conn_read_stop(conn);
}

static inline void side_on_end(struct conn *conn)
{
	((struct side *)conn->owner)->ends++;
}

static inline void side_on_sent(struct conn *conn, size_t bytes)
{
	((struct side *)conn->owner)->sent += bytes;
}

static inline void side_on_fail(struct conn *conn, const struct error *error)
{
	struct side *side = conn->owner;

	side->fails++;
	side->error = *error;
	if (side->close_on_fail)
		side_end(side, conn_close);
}

static inline void side_on_connect(struct conn *conn)
{
	struct side *side = conn->owner;

	side->connects++;
	if (side->say)
		side_write(side, span_of(side->say));
	if (side->close_on_connect)
		side_end(side, conn_close);
}

static const struct conn_ops side_ops = {
	.on_read = side_on_read,
	.on_end = side_on_end,
	.on_sent = side_on_sent,
	.on_fail = side_on_fail,
	.on_connect = side_on_connect,
};

/* ---- the peer ---- */

struct peer {
	int fd; /* -1: closed */
	SSL *ssl;
	BIO *in, *out;  /* what has come for it, what it wants to send */
	size_t segment; /* bytes that it sends, or takes, at a time; 0: all */
	bool paused;    /* takes nothing */
	bool ended;     /* we have sent FIN, or reset */
	char *got;      /* plaintext */
	size_t got_len, got_capacity;
	bool closed; /* it has seen close_notify */
	bool failed;
	int reason; /* of the failure */
};

static inline void peer_take(struct peer *peer)
{
	uint8_t bytes[65536];

	while (peer->fd >= 0 && !peer->paused && !peer->ended) {
		ssize_t got =
			recv(peer->fd, bytes, peer->segment ? peer->segment : sizeof(bytes), MSG_DONTWAIT);
		if (got > 0) {
			assert_int_equal(BIO_write(peer->in, bytes, (int)got), got);
			if (peer->segment)
				return;
		} else if (got == 0 || errno != EAGAIN) {
			peer->ended = true;
		} else {
			return;
		}
	}
}

/* Sends a segment of what the peer wants to send. */
static inline void peer_give(struct peer *peer)
{
	char *data;
	long len = BIO_get_mem_data(peer->out, &data);
	uint8_t drop[65536];

	while (peer->fd >= 0 && len > 0) {
		size_t most = peer->segment ? peer->segment : sizeof(drop);
		ssize_t sent = send(peer->fd, data, size_min((size_t)len, most), MSG_NOSIGNAL | MSG_DONTWAIT);
		if (sent <= 0)
			return;
		assert_int_equal(BIO_read(peer->out, drop, (int)sent), sent);
		if (peer->segment)
			return;
		len = BIO_get_mem_data(peer->out, &data);
	}
}

static inline void peer_read(struct peer *peer)
{
	for (;;) {
		if (peer->got_capacity - peer->got_len < 32768) {
			peer->got_capacity = peer->got_capacity * 2 + 65536;
			peer->got = realloc(peer->got, peer->got_capacity);
			assert_non_null(peer->got);
		}
		ERR_clear_error();
		int got = SSL_read(peer->ssl, peer->got + peer->got_len,
				   (int)(peer->got_capacity - peer->got_len - 1));
		if (got > 0) {
			peer->got_len += (size_t)got;
			peer->got[peer->got_len] = 0;
			continue;
		}
		int why = SSL_get_error(peer->ssl, got);
		if (why == SSL_ERROR_ZERO_RETURN)
			peer->closed = true;
		if (why == SSL_ERROR_SSL && !peer->failed) {
			peer->failed = true;
			peer->reason = ERR_GET_REASON(ERR_peek_error());
		}
		ERR_clear_error();
		return;
	}
}

/* Everything that it can do now. SSL_read drives its handshake too. */
static inline void peer_step(struct peer *peer)
{
	peer_take(peer);
	if (!peer->failed)
		peer_read(peer);
	peer_give(peer);
}

static inline void peer_write(struct peer *peer, struct span bytes)
{
	size_t written = 0;

	assert_int_equal(SSL_write_ex(peer->ssl, bytes.at, bytes.len, &written), 1);
	assert_int_equal(written, bytes.len);
	peer_give(peer);
}

static inline void peer_say(struct peer *peer, const char *text)
{
	peer_write(peer, span_of(text));
}

static inline void peer_close(struct peer *peer)
{
	if (peer->fd >= 0)
		close(peer->fd);
	peer->fd = -1;
}

static inline void peer_free(struct peer *peer)
{
	peer_close(peer);
	SSL_free(peer->ssl);
	free(peer->got);
	*peer = (struct peer){.fd = -1};
}

/* A turn of both. */
static inline void turn(struct fixture *fixture, struct peer *peer)
{
	if (peer)
		peer_step(peer);
	loop_turn(&fixture->worker.loop, 0);
}

#define TURN_UNTIL(fixture, peer, condition)                                                                 \
	do {                                                                                                 \
		for (unsigned turn_ = 0; !(condition); turn_++) {                                            \
			if (turn_ == 200000)                                                                 \
				fail_msg("never: %s", #condition);                                           \
			turn(fixture, peer);                                                                 \
		}                                                                                            \
	} while (0)

/* ---- a pair ---- */

static inline void pair_open(struct fixture *fixture, struct side *side, struct peer *peer, SSL_CTX *context)
{
	struct address address = {.family = ADDRESS_UNIX};
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
	side->worker = &fixture->worker;
	side->conn = conn_open(&fixture->worker, pair[0], &address, &side_ops, side);
	assert_non_null(side->conn);
	*peer = (struct peer){.fd = pair[1], .ssl = SSL_new(context)};
	peer->in = BIO_new(BIO_s_mem());
	peer->out = BIO_new(BIO_s_mem());
	BIO_set_mem_eof_return(peer->in, -1);
	BIO_set_mem_eof_return(peer->out, -1);
	SSL_set_bio(peer->ssl, peer->in, peer->out);
}

static inline void side_close(struct fixture *fixture, struct side *side)
{
	if (side->conn)
		side_end(side, conn_close);
	loop_turn(&fixture->worker.loop, 0);
	free(side->bytes);
	side->bytes = NULL;
	side->len = side->capacity = 0;
}

/* ---- listeners ---- */

struct complaints {
	unsigned faults, warnings;
	char text[1024]; /* the last one */
};

static inline void note_complaint(void *owner, size_t index, bool fault, const char *text)
{
	struct complaints *complaints = owner;

	fault ? complaints->faults++ : complaints->warnings++;
	snprintf(complaints->text, sizeof(complaints->text), "%zu: %s", index, text);
}

static inline struct tls_material material_of(const struct certificate *certificate)
{
	return (struct tls_material){.certificate_path = "site.pem",
				     .key_path = "site.key",
				     .certificate = span_of(certificate->pem),
				     .key = span_of(certificate->key_pem)};
}

static inline struct tls_store *store_of(const struct certificate *certificates, size_t count)
{
	struct tls_material items[8];
	struct complaints complaints = {0};

	for (size_t i = 0; i < count; i++)
		items[i] = material_of(&certificates[i]);
	struct tls_store *store = tls_store_new(items, count, note_complaint, &complaints);
	if (!store)
		fail_msg("%s", complaints.text);
	return store;
}

static inline struct tls_server *server_of(struct fixture *fixture, struct tls_server_options options,
					   struct tls_store *store)
{
	const char *why = NULL;

	options.store = store;
	if (!options.name.at)
		options.name = SPAN("listener");
	struct tls_server *server = tls_server_new(&fixture->worker, &options, &why);
	if (!server)
		fail_msg("%s", why);
	return server;
}

#endif
