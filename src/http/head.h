/*
 * The head of a message, whatever the protocol version (RFC 9110 6): what HTTP/1, 2 and 3 spell differently is here once.
 * Framing belongs to the codecs: Connection and what it nominates, Keep-Alive, Proxy-Connection, Transfer-Encoding, Content-Length's framing
 * role, TE and Upgrade never reach an exchange as fields; what they mean stands in the members below.
 */
#ifndef GUISE_HTTP_HEAD_H
#define GUISE_HTTP_HEAD_H

#include "http/field.h"

enum http_method {
	HTTP_METHOD_OTHER,
	HTTP_METHOD_GET,
	HTTP_METHOD_HEAD,
	HTTP_METHOD_POST,
	HTTP_METHOD_PUT,
	HTTP_METHOD_DELETE,
	HTTP_METHOD_CONNECT,
	HTTP_METHOD_OPTIONS,
	HTTP_METHOD_TRACE,
	HTTP_METHOD_PATCH,
};

enum http_version {
	HTTP_VERSION_SOCKS4 = 4, /* no HTTP at all: a request of SOCKS, told in its words */
	HTTP_VERSION_SOCKS5 = 5,
	HTTP_VERSION_10 = 10,
	HTTP_VERSION_11 = 11,
	HTTP_VERSION_2 = 20,
	HTTP_VERSION_3 = 30,
};

static inline bool http_version_is_socks(unsigned version)
{
	return version == HTTP_VERSION_SOCKS4 || version == HTTP_VERSION_SOCKS5;
}

enum http_target_form {
	HTTP_TARGET_ORIGIN,
	HTTP_TARGET_ABSOLUTE,
	HTTP_TARGET_AUTHORITY,
	HTTP_TARGET_ASTERISK
};

enum http_body {
	HTTP_BODY_NONE,
	HTTP_BODY_LENGTH,   /* exactly `length` bytes */
	HTTP_BODY_STREAMED, /* until its end is signalled: chunked, or an END_STREAM */
	HTTP_BODY_CLOSE,    /* responses: until the connection closes */
};

/* host[:port] taken apart (RFC 3986 3.2). */
struct http_authority {
	struct span host; /* lower case, without brackets, without a trailing dot */
	uint16_t port;    /* 0 = not given */
	uint8_t ip[16];
	uint8_t ip_family; /* enum address_family value (4 bytes used for v4): 0 = a name, 1 = v4, 2 = v6 */
};

struct http_head {
	/* request */
	uint8_t method; /* enum http_method */
	uint8_t target_form;
	struct span method_text;
	struct span scheme; /* "http" or "https"; what the listener speaks when the target does not say */
	struct span authority; /* host[:port] as it was spelt, from the target or Host; empty only for HTTP/1.0 */
	struct http_authority host;
	struct span path; /* begins with '/', with the query; "*" for asterisk-form; empty for CONNECT */

	/* response */
	uint16_t status;
	struct span reason;

	/* both */
	uint8_t version;      /* of the peer that sent it: enum http_version */
	uint8_t body;         /* enum http_body */
	bool expect_continue; /* Expect: 100-continue on a request with a body */
	bool te_trailers;     /* TE: trailers */
	struct span protocol; /* Upgrade offered (request) or chosen (101), without h2c; empty = none */
	uint64_t length; /* HTTP_BODY_LENGTH; for a response to HEAD and a 304: what Content-Length said (length_known) */
	bool length_known;
	struct http_fields fields;
};

enum http_method http_method_identify(struct span method);
bool http_method_is_safe(enum http_method method);       /* RFC 9110 9.2.1 */
bool http_method_is_idempotent(enum http_method method); /* RFC 9110 9.2.2 */
const char *http_status_reason(unsigned status);         /* "Not Found"; never NULL */

static inline bool http_status_is_interim(unsigned status)
{
	return status >= 100 && status < 200 && status != 101;
}

static inline bool http_head_has_body(const struct http_head *head)
{
	return head->body != HTTP_BODY_NONE && !(head->body == HTTP_BODY_LENGTH && head->length == 0);
}

/* A head that borrows nothing: texts and fields are copied into the arena, dropped fields are left out. False: out of memory. */
WARN_UNUSED bool http_head_copy(struct http_head *to, const struct http_head *from, struct arena *arena);

/* Content with a method for which it has no meaning: servers may leave it unread, and then take it for the next request. */
bool http_content_is_unexpected(const struct http_head *head);

#endif
