/*
 * HTTP fields (RFC 9110 5): an ordered list of name and value. Names that matter to a proxy have an id, found once when a
 * field is read, so that nothing later compares text.
 */
#ifndef GUISE_HTTP_FIELD_H
#define GUISE_HTTP_FIELD_H

#include "core/arena.h"
#include "core/span.h"

/* id, canonical spelling */
#define HTTP_FIELD_TABLE(ROW)                                                                                \
	ROW(ACCEPT, "Accept")                                                                                \
	ROW(ALT_SVC, "Alt-Svc")                                                                              \
	ROW(AUTHORIZATION, "Authorization")                                                                  \
	ROW(CACHE_CONTROL, "Cache-Control")                                                                  \
	ROW(CLIENT_CERT, "Client-Cert")                                                                      \
	ROW(CLIENT_CERT_CHAIN, "Client-Cert-Chain")                                                          \
	ROW(CONNECTION, "Connection")                                                                        \
	ROW(CONTENT_ENCODING, "Content-Encoding")                                                            \
	ROW(CONTENT_LENGTH, "Content-Length")                                                                \
	ROW(CONTENT_LOCATION, "Content-Location")                                                            \
	ROW(CONTENT_TYPE, "Content-Type")                                                                    \
	ROW(COOKIE, "Cookie")                                                                                \
	ROW(DATE, "Date")                                                                                    \
	ROW(EXPECT, "Expect")                                                                                \
	ROW(FORWARDED, "Forwarded")                                                                          \
	ROW(HOST, "Host")                                                                                    \
	ROW(HTTP2_SETTINGS, "HTTP2-Settings")                                                                \
	ROW(KEEP_ALIVE, "Keep-Alive")                                                                        \
	ROW(LOCATION, "Location")                                                                            \
	ROW(MAX_FORWARDS, "Max-Forwards")                                                                    \
	ROW(PROXY_AUTHENTICATE, "Proxy-Authenticate")                                                        \
	ROW(PROXY_AUTHENTICATION_INFO, "Proxy-Authentication-Info")                                          \
	ROW(PROXY_AUTHORIZATION, "Proxy-Authorization")                                                      \
	ROW(PROXY_CONNECTION, "Proxy-Connection")                                                            \
	ROW(PROXY_STATUS, "Proxy-Status")                                                                    \
	ROW(REFERER, "Referer")                                                                              \
	ROW(SERVER, "Server")                                                                                \
	ROW(SET_COOKIE, "Set-Cookie")                                                                        \
	ROW(STRICT_TRANSPORT_SECURITY, "Strict-Transport-Security")                                          \
	ROW(TE, "TE")                                                                                        \
	ROW(TRAILER, "Trailer")                                                                              \
	ROW(TRANSFER_ENCODING, "Transfer-Encoding")                                                          \
	ROW(UPGRADE, "Upgrade")                                                                              \
	ROW(USER_AGENT, "User-Agent")                                                                        \
	ROW(VIA, "Via")                                                                                      \
	ROW(X_FORWARDED_FOR, "X-Forwarded-For")                                                              \
	ROW(X_FORWARDED_HOST, "X-Forwarded-Host")                                                            \
	ROW(X_FORWARDED_PORT, "X-Forwarded-Port")                                                            \
	ROW(X_FORWARDED_PROTO, "X-Forwarded-Proto")                                                          \
	ROW(X_REAL_IP, "X-Real-IP")

enum http_field_id {
	HTTP_FIELD_OTHER,
#define ROW(id, name) HTTP_FIELD_##id,
	HTTP_FIELD_TABLE(ROW)
#undef ROW
		HTTP_FIELD_IDS
};

struct http_field {
	struct span name;  /* as it was spelt; borrowed (the head's arena) */
	struct span value; /* trimmed */
	uint8_t id;        /* enum http_field_id */
	bool dropped;      /* taken out; skipped by all walks */
};

struct http_fields {
	struct http_field *items;
	uint32_t count, capacity; /* count includes dropped ones */
	struct arena *arena;      /* grows from here */
};

enum http_field_id http_field_identify(struct span name); /* a perfect hash or better; case-insensitive */
struct span http_field_name(enum http_field_id id);       /* canonical spelling */

void http_fields_init(struct http_fields *fields, struct arena *arena);
/* Name and value are borrowed. False: out of memory. */
WARN_UNUSED bool http_fields_add(struct http_fields *fields, enum http_field_id id, struct span name,
				 struct span value);
WARN_UNUSED bool http_fields_add_known(struct http_fields *fields, enum http_field_id id, struct span value);
/* Replaces every field of that name by one (in the place of the first). */
WARN_UNUSED bool http_fields_set(struct http_fields *fields, enum http_field_id id, struct span name,
				 struct span value);
/* A list that borrows nothing: names and values are copied into the arena, dropped fields are left out. False: out of memory. */
WARN_UNUSED bool http_fields_copy(struct http_fields *to, const struct http_fields *from, struct arena *arena);
void http_fields_drop_id(struct http_fields *fields, enum http_field_id id);
void http_fields_drop_name(struct http_fields *fields, struct span name); /* case-insensitive */

/* First field that is there, or NULL. For OTHER use _find_name. */
struct http_field *http_fields_find(const struct http_fields *fields, enum http_field_id id);
struct http_field *http_fields_find_name(const struct http_fields *fields, struct span name);
unsigned http_fields_count_id(const struct http_fields *fields, enum http_field_id id);

/* Walks: start with index 0; returns the next field that is not dropped, or NULL. */
struct http_field *http_fields_next(const struct http_fields *fields, uint32_t *index);

/*
 * Walks the members of a comma-separated list value (RFC 9110 5.6.1), empty members skipped, quoted strings respected. Start
 * with *rest = the value; false at the end.
 */
bool http_list_next(struct span *rest, struct span *member);
bool http_list_has(struct span list, struct span token); /* case-insensitive */

/* One line of Expect (RFC 9110 10.1.1): sets what is in it, 100-continue or anything else; leaves the other as it is. */
void http_expect_read(struct span value, bool *expect_continue, bool *expect_unknown);

/*
 * False for a field that must not be taken from a trailer section (RFC 9110 6.5.1): framing, routing, authentication, conditions, content,
 * control of caches, and what proxies add for one another.
 */
bool http_field_may_trail(enum http_field_id id, struct span name);

bool http_is_token(struct span text);       /* RFC 9110 5.6.2; not empty */
bool http_is_field_value(struct span text); /* RFC 9110 5.5: VCHAR, obs-text, SP, HTAB; no control bytes */

#endif
