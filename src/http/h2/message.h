/*
 * Heads and trailers of HTTP/2, read strictly (RFC 9113 8.1 to 8.5, RFC 8441): field by field, as a header block is decoded, into the head
 * that HTTP/1 would have given. What two programs could read differently, or what could not be written to HTTP/1 without changing its
 * meaning, is refused with a reason. These are the only checks: the framing layer's own are switched off. Pure but for the arena; on the
 * worker that owns the stream.
 *
 * For each stream: h2_message_init, h2_message_field for each field, h2_message_end; then h2_message_data and h2_message_body_end for the
 * body; for trailers h2_message_begin_trailers, and again fields and end. An interim response is followed by another h2_message_init.
 */
#ifndef GUISE_HTTP_H2_MESSAGE_H
#define GUISE_HTTP_H2_MESSAGE_H

#include "core/error.h"
#include "http/head.h"

enum h2_message_kind { H2_MESSAGE_REQUEST, H2_MESSAGE_RESPONSE, H2_MESSAGE_TRAILERS };

/* One for each connection. */
struct h2_message_rules {
	uint32_t request_line; /* bytes: :method and :path together (414) */
	uint32_t field_line;   /* bytes: a name, ": " and its value; all cookies are one (431) */
	uint32_t fields;       /* in number, without pseudo-fields; all cookies are one */
	uint32_t head; /* bytes: names and values and 32 for each field, as SETTINGS_MAX_HEADER_LIST_SIZE counts */
	bool extended_connect; /* requests: SETTINGS_ENABLE_CONNECT_PROTOCOL was sent, so that :protocol may come */
	struct span scheme; /* requests: what the listener speaks, for a CONNECT, which names none */
};

/* Read only outside of message.c. */
struct h2_message {
	struct http_head *head;
	struct http_fields *fields; /* the head's, or the trailers */
	struct arena *arena;
	const struct h2_message_rules *rules;
	struct error fault; /* the first thing that was wrong */
	size_t size;        /* of this block so far: names and values and 32 for each field, refused or not */
	struct span host;   /* the field Host; at is NULL: none */
	uint64_t length;    /* Content-Length */
	uint64_t left;      /* bytes of the body that have not come */
	uint32_t count;     /* fields that count for rules->fields */
	uint32_t cookies;   /* field lines (RFC 9113 8.2.3) */
	size_t cookie_size; /* of all of them, joined */
	uint8_t kind;       /* enum h2_message_kind */
	uint8_t method;     /* response: of its request, as it was sent: CONNECT also for an extended one */
	uint8_t pseudo;     /* the pseudo-fields that have come, as bits */
	bool response;      /* this is, or these are the trailers of, a response */
	bool regular;       /* an ordinary field has come: no pseudo-field may follow */
	bool length_seen;
	bool expect_continue, expect_unknown;
	bool extended; /* a request by extended CONNECT (RFC 8441 4); head says GET and names the protocol, as an Upgrade would */
	bool measured; /* the body must be as long as `left` says */
};

/*
 * Begins a request or a response; `head` is cleared and filled in, with spans in `arena`. `request_method` is read for a response alone. The
 * rules are borrowed.
 */
void h2_message_init(struct h2_message *message, enum h2_message_kind kind, struct http_head *head,
		     enum http_method request_method, struct arena *arena,
		     const struct h2_message_rules *rules);

/* After the head's end: the fields that follow are trailers, to be kept in `trailers` (initialised here). */
void h2_message_begin_trailers(struct h2_message *message, struct http_fields *trailers);

/*
 * One field; what is kept is copied. Never fails at once, so that HPACK's state goes on: the first fault is kept for h2_message_end, and
 * what comes later is only counted.
 */
void h2_message_field(struct h2_message *message, struct span name, struct span value);

/*
 * After the last field of a head or of trailers; `ended`: END_STREAM came with it. False: *error tells (MALFORMED_REQUEST, BAD_TARGET,
 * TARGET_TOO_LONG, HEAD_TOO_LARGE, EXPECTATION_FAILED, PROTOCOL_UNKNOWN, UPSTREAM_MALFORMED, UPSTREAM_HEAD_TOO_LARGE, MEMORY), and the head
 * holds what was read of method and target, for the log.
 *
 * The body of a request: NONE when it ended with the head (LENGTH 0 when Content-Length said so), LENGTH, or STREAMED; CONNECT, extended or not, has
 * none: what follows belongs to the tunnel. Of a response: as HTTP/1 would read it, with LENGTH 0 where it ended with the head and could have
 * had one. target_form is ABSOLUTE (AUTHORITY for CONNECT, ASTERISK for "*").
 */
WARN_UNUSED bool h2_message_end(struct h2_message *message, bool ended, struct error *error);

/* Bytes of the body have come (padding not counted). False: more than Content-Length says (RFC 9113 8.1.1), or where none may be. */
WARN_UNUSED bool h2_message_data(struct h2_message *message, size_t bytes);

/* The body is over, by END_STREAM of its data or of its trailers. False: less has come than Content-Length says. */
WARN_UNUSED bool h2_message_body_end(const struct h2_message *message);

/* The head opens a tunnel: CONNECT and extended CONNECT, and the 2xx to them; data is not a body. */
bool h2_message_is_tunnel(const struct h2_message *message);

#endif
