/*
 * TLS as a transport under a conn: at most one recv(2) for each receive, one send(2) for each batch of records. Called by conn.c on the
 * connection's worker.
 *
 * OpenSSL reads from what was received and writes into what is to be sent; it never waits for a write. What the kernel does not take is held,
 * and while more than a little is held, nothing is encrypted.
 */
#include "tls/tls_internal.h"

#include "tls/store.h"

#include <openssl/err.h>

#include <errno.h>
#include <sys/socket.h>

enum {
	MESSAGES_MOST = 64,         /* of handshake, and alerts, once the connection is open ... */
	MESSAGES_EACH = 1024 * 1024 /* ... and one more for so many bytes of data */
};

/* --- state --- */

void tls_set_state(struct tls *tls, enum tls_state state)
{
	static const uint8_t legal[] = {
		[TLS_SHAKING] = 1 << TLS_SHAKEN | 1 << TLS_FAILED,
		[TLS_SHAKEN] = 1 << TLS_OPEN | 1 << TLS_FAILED,
		[TLS_OPEN] = 1 << TLS_ENDED | 1 << TLS_FAILED,
		[TLS_ENDED] = 1 << TLS_FAILED,
		[TLS_FAILED] = 0,
	};

	ENSURE(legal[tls->state] >> state & 1);
	tls->state = (uint8_t)state;
}

void tls_broke(struct tls *tls, enum error_code code, int number, const char *why)
{
	if (tls->state == TLS_FAILED)
		return;
	tls_set_state(tls, TLS_FAILED);
	tls->error_code = (uint8_t)code;
	tls->error_system = number > 0 && number <= UINT8_MAX ? (uint8_t)number : 0;
	tls->why = why;
}

static bool is_shaking(const struct tls *tls)
{
	return tls->handshake != NULL;
}

static enum error_code usual_code(const struct tls *tls)
{
	if (!is_shaking(tls))
		return ERROR_UPSTREAM_RESET;
	return tls->server ? ERROR_HANDSHAKE : ERROR_TLS_PROTOCOL;
}

void tls_broke_ssl(struct tls *tls)
{
	unsigned long number = ERR_peek_error();
	int reason = ERR_GET_REASON(number);
	bool alert = ERR_GET_LIB(number) == ERR_LIB_SSL && reason > SSL_AD_REASON_OFFSET;
	long verified = SSL_get_verify_result(tls->ssl);
	enum error_code code = usual_code(tls);

	if (!tls->server && alert)
		code = ERROR_TLS_ALERT;
	if (ERR_GET_LIB(number) == ERR_LIB_SSL && reason == SSL_R_CERTIFICATE_VERIFY_FAILED &&
	    verified != X509_V_OK) {
		ERR_clear_error();
		tls_broke(tls, tls->server ? ERROR_HANDSHAKE : ERROR_TLS_CERTIFICATE, 0,
			  X509_verify_cert_error_string(verified));
		return;
	}
	tls_broke(tls, code, 0, tls_reason());
}

static struct error tls_explain(struct conn *conn, int number)
{
	const struct tls *tls = conn->transport_state;
	struct error error = error_system(usual_code(tls), number);

	if (tls->state == TLS_FAILED)
		error = (struct error){.code = tls->error_code, .system = tls->error_system, .text = tls->why};
	else if (is_shaking(tls))
		error.text = "the connection broke during the TLS handshake";
	error.unprocessed = is_shaking(tls) && !tls->server;
	return error;
}

/* --- bytes that wait --- */

void tls_rest_free(struct tls *tls, struct tls_rest **rest)
{
	if (*rest)
		memory_free(tls->room->worker->memory, *rest, sizeof(**rest) + (*rest)->size);
	*rest = NULL;
}

static struct tls_rest *rest_new(struct tls *tls, struct span first, struct span second)
{
	size_t len = first.len + second.len;
	struct tls_rest *rest = memory_alloc(tls->room->worker->memory, sizeof(*rest) + len);

	if (!rest)
		return NULL;
	*rest = (struct tls_rest){.size = (uint32_t)len, .len = (uint32_t)len};
	if (first.len)
		memcpy(rest->bytes, first.at, first.len);
	if (second.len)
		memcpy(rest->bytes + first.len, second.at, second.len);
	return rest;
}

static struct span rest_span(const struct tls_rest *rest)
{
	return rest ? span_make(rest->bytes + rest->at, rest->len) : span_make(NULL, 0);
}

bool tls_stash(struct tls *tls, struct span bytes)
{
	struct tls_rest *rest = tls->stash, *made;

	if (rest && bytes.len && bytes.at >= rest->bytes && bytes.at < rest->bytes + rest->size) {
		rest->at = (uint32_t)(bytes.at - rest->bytes);
		rest->len = (uint32_t)bytes.len;
		return true;
	}
	made = bytes.len ? rest_new(tls, bytes, span_make(NULL, 0)) : NULL;
	tls_rest_free(tls, &tls->stash);
	tls->stash = made;
	return made || bytes.len == 0;
}

/* Behind what is held already. */
static bool hold(struct tls *tls, struct span bytes)
{
	struct tls_rest *made;

	if (bytes.len == 0)
		return true;
	made = tls->conn->held + bytes.len <= TLS_HELD_MOST ? rest_new(tls, rest_span(tls->held), bytes) : NULL;
	if (!made) {
		errno = ENOMEM;
		return false;
	}
	tls_rest_free(tls, &tls->held);
	tls->held = made;
	tls->conn->held = made->len;
	return true;
}

/* One send. How much the kernel took; -1: errno tells, and it is not that it is full. */
static ssize_t put(struct conn *conn, struct span bytes)
{
	ssize_t sent;

	do
		sent = send(conn->source.fd, bytes.at, bytes.len, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	if (sent < 0 && errno != EAGAIN)
		return -1;
	if (sent < (ssize_t)bytes.len)
		conn->writable = false; /* EPOLLOUT will come */
	return sent < 0 ? 0 : sent;
}

static bool put_or_hold(struct tls *tls, struct span bytes)
{
	ssize_t sent = 0;

	if (bytes.len == 0)
		return true;
	if (tls->conn->held == 0)
		sent = put(tls->conn, bytes);
	if (sent < 0 && tls->state == TLS_OPEN) {
		tls->unsendable = (uint8_t)errno;
		return true;
	}
	return sent >= 0 && hold(tls, span_from(bytes, (size_t)sent));
}

bool tls_push(struct tls *tls)
{
	struct span bytes = span_make(tls->room->out, tls->room->out_used);

	tls->room->out_used = 0;
	return put_or_hold(tls, bytes);
}

/* --- what OpenSSL reads from and writes to --- */

void tls_enter(struct tls *tls, struct span input)
{
	struct tls_room *room = tls->room;

	room->current = tls;
	room->input = input;
	room->out_used = 0;
	room->direct = false;
	if (ERR_peek_error())
		ERR_clear_error();
}

static int bio_read(BIO *bio, char *out, int len)
{
	struct tls_room *room = BIO_get_data(bio);
	size_t got = size_min(room->input.len, len > 0 ? (size_t)len : 0);

	BIO_clear_retry_flags(bio);
	if (got == 0) {
		BIO_set_retry_read(bio);
		return -1;
	}
	memcpy(out, room->input.at, got);
	room->input = span_from(room->input, got);
	return (int)got;
}

static int bio_write(BIO *bio, const char *bytes, int len)
{
	struct tls_room *room = BIO_get_data(bio);
	struct tls *tls = room->current;
	struct span span = span_make(bytes, len > 0 ? (size_t)len : 0);
	bool fine = true;

	BIO_clear_retry_flags(bio);
	if (room->direct && room->out_used == 0) {
		fine = put_or_hold(tls, span);
	} else {
		if (span.len > TLS_OUT - room->out_used)
			fine = tls_push(tls);
		if (span.len > TLS_OUT) {
			fine = fine && put_or_hold(tls, span);
		} else {
			memcpy(room->out + room->out_used, span.at, span.len);
			room->out_used += span.len;
		}
	}
	if (!fine)
		tls_broke(tls, usual_code(tls), errno, NULL);
	return fine ? len : -1;
}

static long bio_control(BIO *bio, int command, long number, void *pointer)
{
	return command == BIO_CTRL_FLUSH ? 1 : 0;
}

BIO_METHOD *tls_bio_method(void)
{
	BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "guise");

	if (method && BIO_meth_set_read(method, bio_read) && BIO_meth_set_write(method, bio_write) &&
	    BIO_meth_set_ctrl(method, bio_control))
		return method;
	BIO_meth_free(method);
	return NULL;
}

/* --- receiving --- */

static size_t decrypt(struct tls *tls, uint8_t *into, size_t room)
{
	size_t total = 0, got;

	do {
		if (SSL_read_ex(tls->ssl, into + total, room - total, &got) == 1) {
			total += got;
			continue;
		}
		switch (SSL_get_error(tls->ssl, 0)) {
		case SSL_ERROR_WANT_READ:
			break;
		case SSL_ERROR_ZERO_RETURN:
			tls_set_state(tls, TLS_ENDED);
			break;
		default:
			tls_broke_ssl(tls);
		}
		return total;
	} while (total < room && (tls->room->input.len > 0 || SSL_pending(tls->ssl) > 0));
	return total;
}

/* The last words of a handshake wait for the end of the turn, to leave together with the first request. */
static bool keep_back(struct tls *tls)
{
	struct span bytes = span_make(tls->room->out, tls->room->out_used);

	tls->room->out_used = 0;
	return hold(tls, bytes);
}

/* A peer that leaves its records unfinished pays for their buffers. */
static bool count_partial(struct tls *tls)
{
	struct memory *memory = tls->room->worker->memory;
	bool partial = tls->state == TLS_OPEN && SSL_has_pending(tls->ssl);

	if (partial == tls->partial)
		return true;
	if (partial && !memory_take(memory, TLS_PARTIAL_BYTES))
		return false;
	if (!partial)
		memory_give(memory, TLS_PARTIAL_BYTES);
	tls->partial = partial;
	return true;
}

/* A message has come whole, on which what is to be sent had to wait. */
static void write_on(struct tls *tls)
{
	if (!tls->stuck || SSL_in_init(tls->ssl))
		return;
	tls->stuck = false;
	loop_last(&tls->room->worker->loop, &tls->conn->flush);
}

/* What came goes through OpenSSL. The plaintext, 0: none; conn->pending tells whether there is something without more input. */
static size_t process(struct tls *tls, struct span input, uint8_t *into, size_t room)
{
	struct conn *conn = tls->conn;
	struct span rest;
	size_t got = 0;

	tls_enter(tls, input);
	if (tls->state == TLS_SHAKING)
		tls_handshake_step(tls);
	else if (tls->state == TLS_OPEN)
		got = decrypt(tls, into, room);
	write_on(tls);
	if (tls->messages > MESSAGES_MOST + conn->bytes_in / MESSAGES_EACH)
		tls_broke(tls, tls->server ? ERROR_ABUSE : ERROR_TLS_PROTOCOL, 0,
			  "too many TLS messages without data");
	if (!(tls->state == TLS_SHAKEN && !tls->server ? keep_back(tls) : tls_push(tls)))
		tls_broke(tls, usual_code(tls), errno, NULL);
	rest = tls->state == TLS_OPEN || tls->state == TLS_SHAKEN ? tls->room->input : span_make(NULL, 0);
	if (!tls_stash(tls, rest) || !count_partial(tls))
		tls_broke(tls, ERROR_MEMORY, ENOMEM, NULL);
	conn->pending = tls->state == TLS_OPEN ? tls->stash || SSL_pending(tls->ssl) > 0 :
						 tls->state >= TLS_ENDED;
	return got;
}

static void peer_is_gone(struct tls *tls)
{
	const char *who = tls->server ? "the client closed the connection during the TLS handshake" :
					"the server closed the connection during the TLS handshake";

	/* Without close_notify nobody knows whether that was all (RFC 8446 6.1). */
	tls_broke(tls, usual_code(tls), ECONNRESET,
		  is_shaking(tls) ? who : "the connection was closed without the TLS close_notify");
	tls->conn->pending = true;
}

/*
 * One recv, of what is likely to fit as plaintext: part of a record may be there from the last one. False: nothing came, errno tells; the end has changed
 * the state.
 */
static bool fetch(struct tls *tls, size_t room, struct span *came)
{
	struct conn *conn = tls->conn;
	size_t want = size_min(room > 3 * TLS_RECORD_WIRE ? room - TLS_RECORD_WIRE : room, TLS_IN);
	ssize_t got = recv(conn->source.fd, tls->room->in, want, 0);

	if (got > 0 ? (size_t)got < want && !conn->hung_up : got == 0 || errno == EAGAIN)
		conn->readable = false;
	if (got > 0) {
		*came = span_make(tls->room->in, (size_t)got);
		return true;
	}
	if (got == 0) {
		peer_is_gone(tls);
		errno = EAGAIN;
	}
	return false;
}

static ssize_t tls_receive(struct conn *conn, void *into, size_t room)
{
	struct tls *tls = conn->transport_state;
	struct span came;
	size_t got = 0;
	int number = EAGAIN;

	if (tls->state == TLS_SHAKEN) { /* in a busy turn there are events before it is told */
		tls->handshake->readable |= conn->readable;
		conn->readable = false;
		errno = EAGAIN;
		return -1;
	}
	if (conn->pending)
		got = process(tls, rest_span(tls->stash), into, room);
	if (conn->readable && got < room && !conn->pending) {
		if (fetch(tls, room - got, &came))
			got += process(tls, came, (uint8_t *)into + got, room - got);
		else
			number = errno;
	}
	if (got > 0)
		return (ssize_t)got;
	if (tls->state == TLS_ENDED)
		return 0;
	if (tls->state == TLS_FAILED)
		number = tls->error_system ? tls->error_system : EPROTO;
	errno = number;
	return -1;
}

/* --- sending --- */

/* Pushes what is held. False: not all of it is gone, errno tells. */
static bool push_held(struct tls *tls)
{
	struct conn *conn = tls->conn;
	ssize_t sent = put(conn, rest_span(tls->held));

	if (sent < 0)
		return false;
	conn->held -= (uint32_t)sent;
	tls->held->at += (uint32_t)sent;
	tls->held->len -= (uint32_t)sent;
	if (conn->held == 0) {
		tls_rest_free(tls, &tls->held);
		return true;
	}
	errno = EAGAIN;
	return false;
}

/* Bytes to be encrypted, vector by vector. */
struct source {
	const struct iovec *vectors;
	unsigned count;
	size_t offset; /* in the first one */
};

/*
 * The next bytes that lie together, or one record's worth gathered from small pieces. A piece of many records is taken as it is, but for what
 * would leave a short record in the middle.
 */
static struct span next_piece(struct source *from, size_t most, uint8_t *gathered)
{
	size_t used = 0;

	while (from->count > 0) {
		const uint8_t *at = (const uint8_t *)from->vectors->iov_base + from->offset;
		size_t left = from->vectors->iov_len - from->offset;
		size_t take = size_min(left, most);
		if (used == 0 && (take >= TLS_RECORD || from->count == 1)) {
			if (take > TLS_RECORD && take < left)
				take -= take % TLS_RECORD;
			from->offset += take;
			if (from->offset == from->vectors->iov_len)
				*from = (struct source){from->vectors + 1, from->count - 1, 0};
			return span_make(at, take);
		}
		take = size_min(left, size_min(most, TLS_RECORD) - used);
		memcpy(gathered + used, at, take);
		used += take;
		from->offset += take;
		if (from->offset == from->vectors->iov_len)
			*from = (struct source){from->vectors + 1, from->count - 1, 0};
		if (used == size_min(most, TLS_RECORD))
			break;
	}
	return span_make(gathered, used);
}

/* While a part of a handshake message is missing (RFC 8446 5.1: records may cut it), OpenSSL writes nothing. See write_on. */
static bool waits_for_message(struct tls *tls)
{
	tls->stuck = SSL_get_error(tls->ssl, 0) == SSL_ERROR_WANT_READ;
	return tls->stuck;
}

/* Records until the batch is full; they leave in one send. */
static ssize_t encrypt(struct tls *tls, const struct iovec *vectors, unsigned count)
{
	struct source from = {vectors, count, 0};
	size_t total = 0, written, offered = 0;
	bool ticket = tls->ticket_due;

	tls_enter(tls, span_make(NULL, 0));
	for (unsigned i = 0; i < count; i++)
		offered += vectors[i].iov_len;
	if (ticket) {
		tls->ticket_due = false;
		(void)SSL_new_session_ticket(tls->ssl);
	} else {
		tls->room->direct = offered <= TLS_RECORD;
	}
	while (from.count > 0 && total < TLS_BATCH) {
		struct span piece = next_piece(&from, TLS_BATCH - total, tls->room->plain);
		if (piece.len == 0)
			break;
		bool wrote = SSL_write_ex(tls->ssl, piece.at, piece.len, &written) == 1;
		if (!wrote && !waits_for_message(tls))
			tls_broke_ssl(tls);
		if (piece.at == tls->room->plain) /* all connections': nothing of this one stays in it */
			span_wipe(piece);
		if (!wrote)
			break;
		total += written;
	}
	if (ticket) /* the message of a handshake took a buffer to read into, which would stay */
		(void)SSL_free_buffers(tls->ssl);
	if (!tls_push(tls))
		tls_broke(tls, usual_code(tls), errno, NULL);
	if (tls->state != TLS_FAILED && !tls->unsendable) {
		errno = EAGAIN;
		return tls->stuck && total == 0 ? -1 : (ssize_t)total;
	}
	errno = tls->unsendable ? tls->unsendable : tls->error_system ? tls->error_system : EPROTO;
	return -1;
}

static ssize_t tls_send(struct conn *conn, const struct iovec *vectors, unsigned count)
{
	struct tls *tls = conn->transport_state;

	bool open = tls->state == TLS_OPEN || tls->state == TLS_ENDED;
	bool together = open && count > 0 && conn->held <= TLS_HELD_LITTLE;

	if (conn->held > 0 && !together && !push_held(tls))
		return -1;
	if (count == 0)
		return 0;
	if (open && !tls->stuck)
		return encrypt(tls, vectors, count);
	errno = tls->state == TLS_FAILED ? EPROTO : EAGAIN;
	return -1;
}

/* --- ending --- */

static void say_goodbye(struct tls *tls)
{
	if ((tls->state != TLS_OPEN && tls->state != TLS_ENDED) ||
	    (SSL_get_shutdown(tls->ssl) & SSL_SENT_SHUTDOWN))
		return;
	tls_enter(tls, span_make(NULL, 0));
	(void)SSL_shutdown(tls->ssl);
	if (!tls_push(tls))
		tls_broke(tls, usual_code(tls), errno, NULL);
}

static int tls_shutdown(struct conn *conn)
{
	say_goodbye(conn->transport_state);
	if (conn->held > 0) {
		errno = EAGAIN;
		return -1;
	}
	return shutdown(conn->source.fd, SHUT_WR);
}

static void run_retire(struct loop_task *task)
{
	struct tls *tls = CONTAINER_OF(task, struct tls, retire);
	struct worker *worker = tls->conn->worker;
	struct tls_room *room = tls_room(worker);

	memory_free(worker->memory, tls->owned, tls->owned_size);
	tls_store_release(tls->store);
	memory_give(worker->memory, TLS_CONNECTION_BYTES + (tls->partial ? TLS_PARTIAL_BYTES : 0));
	if (room)
		pool_put(&room->conns, tls);
	else /* the room went in the same turn */
		memory_free(worker->memory, tls, sizeof(*tls));
}

static void tls_close(struct conn *conn)
{
	struct tls *tls = conn->transport_state;
	struct loop *loop = &conn->worker->loop;

	/* Only who got everything may be told that it is all. */
	if (!conn->broken && !conn->failed && conn_unsent(conn) == 0)
		say_goodbye(tls);
	tls_handshake_drop(tls);
	tls_rest_free(tls, &tls->stash);
	tls_rest_free(tls, &tls->held);
	conn->held = 0;
	SSL_free(tls->ssl);
	tls->ssl = NULL;
	loop_task_init(&tls->retire, run_retire);
	loop_retire(loop, &tls->retire); /* before the connection, which it looks at */
}

const struct transport_ops transport_tls = {
	.receive = tls_receive,
	.send = tls_send,
	.shutdown = tls_shutdown,
	.close = tls_close,
	.explain = tls_explain,
};
