/*
 * What of a request keeps it at one server, or on one side of a split: the client's address, the path, a field, a cookie, an argument of the query.
 */
#ifndef GUISE_HTTP_REQUEST_KEY_H
#define GUISE_HTTP_REQUEST_KEY_H

#include "http/head.h"
#include "net/address.h"

enum request_key_kind {
	REQUEST_KEY_CLIENT,
	REQUEST_KEY_PATH, /* without the query */
	REQUEST_KEY_FIELD,
	REQUEST_KEY_COOKIE,
	REQUEST_KEY_QUERY,
};

struct request_key {
	enum request_key_kind kind;
	struct span name; /* of a field, cookie or argument; borrowed from the text */
};

/* "client", "path", "field:NAME", "cookie:NAME" or "query:NAME". False: it is none of them. */
WARN_UNUSED bool request_key_parse(struct span text, struct request_key *key);
/* A setting's `check`. */
const char *request_key_check(const char *text, size_t len);

/*
 * The hash of what the key names, the same in every process. False: the request does not have it. `head` may be NULL (raw connections): then
 * only the client is known. An address counts without its port; IPv6 by its /64, of which one client has many.
 */
WARN_UNUSED bool request_key_hash(const struct request_key *key, const struct http_head *head,
				  const struct address *client, uint64_t *hash);

/* One cookie of a Cookie field (RFC 6265 4.2.1). */
struct cookie_pair {
	struct span text;        /* as it stands between semicolons, with its spaces */
	struct span name, value; /* without quotes; the name is empty if it has no "=" */
};

/* Walks the cookies of one field: start with *rest = its value; false at the end. */
WARN_UNUSED bool cookie_next(struct span *rest, struct cookie_pair *cookie);

/* The first value of a cookie in a request (RFC 6265 4.2.1), without quotes. False: there is none. */
WARN_UNUSED bool request_cookie(const struct http_fields *fields, struct span name, struct span *value);

#endif
