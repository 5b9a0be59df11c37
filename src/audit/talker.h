/*
 * The most talkative server there is: what it says of itself, in which places, and how an auditor tells whether a client got to know of it. One table serves both sides:
 * who plays the server writes its answers from it, who asks through a proxy judges by it. Pure; any thread.
 *
 * A client names the talk that it wants in its target: "/any/path?audit=NAME.more".
 */
#ifndef GUISE_AUDIT_TALKER_H
#define GUISE_AUDIT_TALKER_H

#include "core/arena.h"
#include "net/address.h"

/* Grades of a reverse proxy, from the least on: indexes of the scale of an audit (audit/report.h). */
enum talk_grade { TALK_THIN, TALK_QUIET, TALK_MASKED, TALK_SAME, TALK_NO_GRADE };

enum talk_kind {
	TALK_SECRET, /* it is a leak if the client sees `mark` in a field of that name */
	TALK_INSIDE, /* it is a leak if it names the inside; whether it is there at all is the proxy's to choose */
	TALK_MENDED, /* the same, and it has to be there, with `mark` in it, so that it still works */
	TALK_NEEDED, /* it has to be there as it was sent: applications need it */
};

struct talk_field {
	const char *id;    /* of the channel: "software.server" */
	const char *title; /* for people; NULL: "NAME" */
	const char *name;
	const char *value; /* {inside}: the server's name; {host}: without port; {address}: its address with port; {public}: the host asked for */
	const char *mark;  /* NULL: the value */
	enum talk_kind kind;
	enum talk_grade needs;
};

enum talk_form {
	TALK_PLAIN,
	TALK_INTERIM,  /* 103 with the fields `beside` comes first (RFC 8297) */
	TALK_TRAILERS, /* the fields `beside` come behind the body */
	TALK_DIES,     /* the server closes without a word */
	TALK_BREAKS,   /* the server closes in the middle of the body */
	TALK_GARBAGE,  /* what it says is no HTTP */
};

struct talk {
	const char *name;
	const char *status; /* "200 OK" */
	const struct talk_field *fields, *beside;
	unsigned count, beside_count;
	const char *body; /* as values; NULL: none */
	enum talk_form form;
};

extern const struct talk talks[];               /* ends with name == NULL */
const struct talk *talk_find(struct span name); /* NULL: there is none */

/* Of one server, as it would name itself. Borrowed. */
struct talker {
	struct span inside;  /* "app-7.internal:8080"; the address, if it has no name */
	struct span host;    /* the same without port */
	struct span address; /* "10.1.2.3:8080" */
	struct span plain;   /* the same without port; empty: it is no secret, being the public address too */
	struct span public;  /* "shop.example": the host that clients ask for */
};

/* With all that stands for something in its place. ->at is NULL: out of memory. */
WARN_UNUSED struct span talker_expand(const struct talker *talker, const char *text, struct arena *arena);
/* Whether the bytes name the server by any of its names, without case; *name: which. */
bool talker_is_named(const struct talker *talker, struct span bytes, struct span *name);

/* Which talk a target asks for, and with which token ("NAME.more"). NULL: it is none of an audit. */
const struct talk *talk_of_target(struct span target, struct span *token);

/* What the server is asked, as far as it matters. */
struct talker_request {
	struct span method, target, range, if_none_match;
	struct span head; /* as it came, for TRACE */
};

/*
 * What the server sends, as bytes of HTTP/1.1; a request that is no audit's (a check of health, say) gets a plain 200. *close: the connection ends then. ->at is
 * NULL: out of memory; empty: not a word.
 */
WARN_UNUSED struct span talker_answer(const struct talker *talker, const struct talker_request *request,
				      struct arena *arena, bool *close);

#endif
