/*
 * The messages of SOCKS 4, 4a and 5 (RFC 1928, RFC 1929, the SOCKS 4 and 4A memos), read strictly and written: for servers, which read what clients
 * send, and for clients of other proxies, which read what those answer. Pure; no sockets.
 *
 * A reader is given all that has come of its message, from its first byte on. SOCKS_MORE: no byte of it is wrong, and there are too few;
 * call again with more of them. No message is longer than SOCKS_MESSAGE_MOST: with as many bytes the answer is never SOCKS_MORE.
 */
#ifndef GUISE_SOCKS_MESSAGE_H
#define GUISE_SOCKS_MESSAGE_H

#include "net/address.h"

enum { SOCKS_MESSAGE_MOST = 520, SOCKS_TEXT_MOST = 255 };

enum socks_version { SOCKS_VERSION_4 = 4, SOCKS_VERSION_5 = 5 };

enum socks_method { SOCKS_METHOD_NONE = 0x00, SOCKS_METHOD_PASSWORD = 0x02, SOCKS_METHOD_REFUSED = 0xff };

enum socks_command { SOCKS_CONNECT = 1, SOCKS_BIND = 2, SOCKS_UDP = 3 };

/* RFC 1928 6. What version 4 has to say is told in the same words: 90 is SUCCEEDED, 91 FAILED, 92 and 93 NOT_ALLOWED. */
enum socks_code {
	SOCKS_SUCCEEDED = 0,
	SOCKS_FAILED = 1,
	SOCKS_NOT_ALLOWED = 2,
	SOCKS_NETWORK_UNREACHABLE = 3,
	SOCKS_HOST_UNREACHABLE = 4,
	SOCKS_REFUSED = 5,
	SOCKS_TTL_EXPIRED = 6,
	SOCKS_COMMAND_UNKNOWN = 7,
	SOCKS_ADDRESS_UNKNOWN = 8,
};

/* Where to, or where: an address, or a name with the port in address.port. */
struct socks_place {
	struct address address; /* family ADDRESS_NONE: a name */
	struct span name;       /* 1 to 255 bytes of whatever value; when read, borrowed from what was read */
};

enum socks_read { SOCKS_MORE, SOCKS_DONE, SOCKS_BAD };

/* ---- greeting and choice of a method (RFC 1928 3) ---- */

/* `methods`: the offered ones, a byte for each; there may be none, and then none is acceptable. */
WARN_UNUSED enum socks_read socks_greeting_read(struct span bytes, struct span *methods, size_t *used,
						const char **why);
WARN_UNUSED enum socks_read socks_method_read(struct span bytes, uint8_t *method, size_t *used,
					      const char **why);

/* Writers return the length, which is at most SOCKS_MESSAGE_MOST; 0: it cannot be said in this protocol. `out` has room for that. */
size_t socks_greeting_write(struct span methods, uint8_t *out);
size_t socks_method_write(uint8_t method, uint8_t *out);

/* ---- user and password (RFC 1929) ---- */

struct socks_login {
	struct span user, password; /* borrowed; 1 to 255 bytes each */
};

WARN_UNUSED enum socks_read socks_login_read(struct span bytes, struct socks_login *login, size_t *used,
					     const char **why);
/* Any status but 0 is a failure (RFC 1929 2). */
WARN_UNUSED enum socks_read socks_login_reply_read(struct span bytes, bool *good, size_t *used,
						   const char **why);

size_t socks_login_write(const struct socks_login *login, uint8_t *out);
size_t socks_login_reply_write(bool good, uint8_t *out);

/* ---- requests (RFC 1928 4) ---- */

struct socks_request {
	struct socks_place place;
	struct span user; /* version 4: the user id, at most 255 bytes, often none; nobody has checked it */
	uint8_t command;  /* enum socks_command */
	enum socks_code code; /* SOCKS_BAD: what to answer */
};

WARN_UNUSED enum socks_read socks_request_read(enum socks_version version, struct span bytes,
					       struct socks_request *request, size_t *used, const char **why);
/* 0 also for a name or an IPv6 address that version 4 has no place for, and for an unknown command. */
size_t socks_request_write(enum socks_version version, const struct socks_request *request, uint8_t *out);

/* ---- replies (RFC 1928 6) ---- */

struct socks_reply {
	enum socks_code code; /* a code that nobody knows is read as SOCKS_FAILED */
	struct socks_place bound;
};

WARN_UNUSED enum socks_read socks_reply_read(enum socks_version version, struct span bytes,
					     struct socks_reply *reply, size_t *used, const char **why);
/* `bound` of family ADDRESS_NONE: 0.0.0.0:0, as an IPv6 address is for version 4. Never 0. */
size_t socks_reply_write(enum socks_version version, enum socks_code code, const struct address *bound,
			 uint8_t *out);

/* ---- datagrams (RFC 1928 7) ---- */

enum { SOCKS_DATAGRAM_HEAD_MOST = 4 + 1 + SOCKS_TEXT_MOST + 2 };

struct socks_datagram {
	struct socks_place place;
	uint8_t fragment; /* 0: it stands alone */
	struct span data;
};

/* False: *why tells. */
WARN_UNUSED bool socks_datagram_read(struct span bytes, struct socks_datagram *datagram, const char **why);
/* What stands before the data of an unfragmented one. */
size_t socks_datagram_head_write(const struct socks_place *place, uint8_t *out);

#endif
