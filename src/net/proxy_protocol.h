/*
 * The PROXY protocol, versions 1 and 2 (HAProxy's proxy-protocol.txt): a header before the first byte of a connection that says who is really at
 * its other end. Pure; any thread.
 */
#ifndef GUISE_NET_PROXY_PROTOCOL_H
#define GUISE_NET_PROXY_PROTOCOL_H

#include "net/address.h"

enum proxy_protocol { PROXY_PROTOCOL_OFF, PROXY_PROTOCOL_V1, PROXY_PROTOCOL_V2 };

enum {
	PROXY_PROTOCOL_READ_MOST =
		16 + 4096, /* bytes of a header that are taken; TLVs behind the addresses are skipped */
	PROXY_PROTOCOL_WRITE_MOST = 256, /* bytes of a header that we write */
};

enum proxy_protocol_result { PROXY_PROTOCOL_MORE, PROXY_PROTOCOL_DONE, PROXY_PROTOCOL_BAD };

struct proxy_protocol_header {
	struct address source,
		destination; /* family ADDRESS_NONE: LOCAL, UNKNOWN or UNSPEC: the connection's own addresses hold */
	size_t length; /* bytes that it took */
};

/* Reads either version from the first bytes of a connection. BAD: *why tells (static text). */
WARN_UNUSED enum proxy_protocol_result proxy_protocol_read(struct span bytes,
							   struct proxy_protocol_header *header,
							   const char **why);

/* Writes a header; an address that is neither IPv4 nor IPv6 makes it UNKNOWN (v1) or LOCAL (v2). How many bytes it has. */
size_t proxy_protocol_write(enum proxy_protocol version, const struct address *source,
			    const struct address *destination, uint8_t out[PROXY_PROTOCOL_WRITE_MOST]);

#endif
