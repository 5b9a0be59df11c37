/*
 * One connection of the observer: what it is, what comes, what is answered. See observer.h. The connection's thread.
 */
#include "audit/observer_internal.h"

#include <errno.h>
#include <poll.h>

enum {
	TLS_RECORD = 22,
	HELLO_ROOM = 16 * 1024,
	LINE_MOST = 8 * 1024, /* of the first line, by which HTTP is known */
	SILENCE = 150,        /* ms after which what is no HTTP is taken to have said its first word */
};

struct serve {
	struct observer *observer;
	struct observer_guest *guest;
	struct wire wire;
	unsigned nth;
};

static uint64_t idle_deadline(const struct serve *serve)
{
	return deadline_now() + serve->observer->options.idle;
}

/* ---- answers ---- */

static void answer_plain(const struct observer_message *message, struct observer_reply *reply)
{
	bool trace = span_equal(message->http.method, SPAN("TRACE"));
	struct span text = trace ? message->http.head : SPAN("seen\n");
	struct span head = arena_format(reply->arena,
					"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n",
					trace ? "message/http" : "text/plain", text.len);
	const struct span parts[] = {head, text};

	if (head.at)
		reply->bytes = arena_join(reply->arena, parts,
					  span_equal(message->http.method, SPAN("HEAD")) ? 1 : 2);
}

/* False: the connection is over. */
static bool answer(struct serve *serve, struct observer_note *note)
{
	const struct observer_options *options = &serve->observer->options;
	struct observer_reply reply = {.arena = &note->arena};

	if (options->answer)
		options->answer(options->owner, &note->message, &reply);
	else
		answer_plain(&note->message, &reply);
	return reply.bytes.len && wire_send(&serve->wire, reply.bytes, idle_deadline(serve)) &&
	       !reply.close && note->message.http.keep_alive;
}

/* ---- what comes ---- */

static struct observer_note *note_begin(struct serve *serve, enum observer_kind kind)
{
	struct observer_note *note = observer_note_new(serve->observer);

	if (!note)
		return NULL;
	note->message.kind = kind;
	note->message.connection = &serve->guest->connection;
	note->message.nth = ++serve->nth;
	return note;
}

static bool serve_request(struct serve *serve)
{
	struct observer_note *note = note_begin(serve, OBSERVER_REQUEST);
	bool more;

	if (!note)
		return false;
	if (!wire_read(&serve->wire, (struct span){0}, true, &note->arena, &note->message.http,
		       idle_deadline(serve)) ||
	    !note->message.http.method.at) {
		observer_note_end(serve->observer, note);
		return false;
	}
	/* It is there to be seen before its answer is: who has the answer finds it. */
	observer_note_keep(serve->observer, note);
	more = answer(serve, note);
	observer_note_end(serve->observer, note);
	return more;
}

/* What the first bytes are up to a moment's silence; then an echo. */
static void serve_raw(struct serve *serve)
{
	struct observer_note *note = note_begin(serve, OBSERVER_RAW);
	struct wire *wire = &serve->wire;

	if (!note)
		return;
	while (wire_waiting(wire).len < OBSERVER_RAW_MOST && wire_receive(wire, deadline_now() + SILENCE))
		;
	struct span come = wire_waiting(wire);
	come.len = size_min(come.len, OBSERVER_RAW_MOST);
	note->message.raw = arena_copy(&note->arena, come);
	if (note->message.raw.at && come.len)
		observer_note_keep(serve->observer, note);
	observer_note_end(serve->observer, note);
	do {
		come = wire_waiting(wire);
		if (!wire_send(wire, come, idle_deadline(serve)))
			return;
		wire_take(wire, come.len);
	} while (wire_receive(wire, idle_deadline(serve)));
}

/* "GET / HTTP/1.1": RFC 9112 3, loosely. */
static bool is_request_line(struct span line)
{
	ptrdiff_t at = span_search(line, SPAN(" HTTP/1."));

	return at > 0 && span_find(span_first(line, (size_t)at), ' ') > 0;
}

/* Whether HTTP has begun: waits for the first line as long as it may be one. */
static bool begins_http(struct serve *serve)
{
	for (;;) {
		struct span come = wire_waiting(&serve->wire);
		ptrdiff_t end = span_find(come, '\n');
		if (come.len && !ascii_is_alpha(come.at[0]) && come.at[0] != '\r')
			return false;
		if (end > 2)
			return is_request_line(span_first(come, (size_t)end));
		if (come.len > LINE_MOST || !wire_receive(&serve->wire, idle_deadline(serve)))
			return false;
	}
}

/* ---- TLS ---- */

static struct span keep(struct observer_guest *guest, struct span bytes)
{
	struct span copy = arena_copy(&guest->arena, bytes);

	return copy.at ? copy : (struct span){0};
}

/* False: the connection is over. */
static bool begin_tls(struct serve *serve)
{
	struct observer_connection *connection = &serve->guest->connection;
	uint64_t deadline = idle_deadline(serve);
	uint8_t *hello = arena_alloc(&serve->guest->arena, HELLO_ROOM);
	const char *why;

	if (!hello)
		return false;
	connection->tls = true;
	connection->hello = span_make(hello, tls_blocking_peek(serve->wire.fd, hello, HELLO_ROOM, deadline));
	serve->wire.tls = tls_blocking_accept(serve->wire.fd, serve->observer->tls, deadline, &why);
	if (!serve->wire.tls)
		return false;
	connection->alpn = keep(serve->guest, tls_blocking_alpn(serve->wire.tls));
	connection->name = keep(serve->guest, tls_blocking_name(serve->wire.tls));
	return true;
}

/* The first byte that comes, left where it is; -1: none. */
static int first_byte(int fd, uint64_t deadline)
{
	for (;;) {
		uint8_t byte;
		ssize_t got = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

		if (got == 1)
			return byte;
		if (got == 0 || (errno != EAGAIN && errno != EINTR) || !deadline_wait(fd, POLLIN, deadline))
			return -1;
	}
}

void observer_serve(struct observer *observer, int fd, struct observer_guest *guest)
{
	struct serve serve = {.observer = observer, .guest = guest};
	int first = first_byte(fd, idle_deadline(&serve));
	bool http = false;

	wire_adopt(&serve.wire, fd, NULL);
	if (first >= 0 && (first != TLS_RECORD || !observer->tls || begin_tls(&serve))) {
		http = begins_http(&serve);
		while (http && serve_request(&serve))
			;
		if (!http)
			serve_raw(&serve);
	}
	if (!serve.wire.tls)
		wire_finish(&serve.wire);
	serve.wire.fd = -1; /* the caller's to close */
	wire_close(&serve.wire);
}
