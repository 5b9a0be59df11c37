/*
 * Network addresses and networks: compact, comparable, judged. Pure; no sockets.
 */
#ifndef GUISE_NET_ADDRESS_H
#define GUISE_NET_ADDRESS_H

#include "core/span.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <netinet/in.h>

enum address_family { ADDRESS_NONE, ADDRESS_V4, ADDRESS_V6, ADDRESS_UNIX };

struct address {
	uint8_t family;   /* enum address_family */
	uint8_t ip[16];   /* v4: the first four, network order */
	uint16_t port;    /* host order */
	uint32_t scope;   /* v6 zone index */
	const char *path; /* unix: borrowed, NUL-terminated; a leading '@' means the abstract name space */
};

struct network {
	struct address address; /* port unused */
	uint8_t prefix;         /* bits */
};

union socket_address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	struct sockaddr_un unix_path;
	struct sockaddr_storage storage;
};

enum { ADDRESS_TEXT = 128 }; /* enough for any formatted address with port; unix paths are cut to fit */

/*
 * Strict literals only: dotted quad of four decimal numbers without leading zeros (RFC 3986 3.2.2 dec-octet), IPv6
 * (RFC 4291 2.2; RFC 6874 zones are refused) without brackets. No octal, hexadecimal or short forms: those are not addresses here.
 */
WARN_UNUSED bool address_parse_ip(struct span text, struct address *address);
/* "1.2.3.4:80", "[::1]:80", "unix:/path" (then address->path points into `text`, which must be NUL-terminated there). */
WARN_UNUSED bool address_parse(struct span text, struct address *address);
/* "10.0.0.0/8", "2001:db8::/32", or a bare address (all bits). Host bits must be zero. */
WARN_UNUSED bool network_parse(struct span text, struct network *network);
bool network_contains(const struct network *network, const struct address *address); /* v4-mapped counts as v4 */

/* IP without port, as RFC 5952 writes it ("unix", "unknown" for what is none); returns the length written (no NUL), at most ADDRESS_TEXT. */
size_t address_format_ip(const struct address *address, char *out);
/* With port, v6 in brackets; unix as "unix:/path" ("unix" for a peer without a path). Zones are left out. */
size_t address_format(const struct address *address, char *out);
/* /24 and /48: the rest zeroed, the port too. */
struct address address_truncate(const struct address *address);

/*
 * How many bytes of `ip` say whose address it is: all of IPv4; of IPv6 the /64, which one subscriber has at least, and in which a
 * machine takes new addresses as it likes (RFC 8981). 0: nobody's in particular (unix sockets). Of an address after address_unmap.
 */
size_t address_subscriber(const struct address *address);

bool address_equal(const struct address *a, const struct address *b);    /* port too */
bool address_equal_ip(const struct address *a, const struct address *b); /* after address_unmap of both */
bool address_is_loopback(const struct address *address);                 /* after address_unmap */
/* ::ffff:a.b.c.d as v4; others unchanged. */
struct address address_unmap(const struct address *address);
uint64_t address_hash_ip(const struct address *address, uint64_t seed);

socklen_t address_to_socket(const struct address *address,
			    union socket_address *out); /* 0: cannot (path too long) */
struct address address_from_socket(const union socket_address *in,
				   socklen_t len); /* unix: family only, path NULL */

/* One row of the IANA special-purpose address registries (RFC 6890 and its updates), or a range that embeds IPv4. */
struct special_range {
	const char *text; /* "10.0.0.0/8" */
	const char *name; /* "Private-Use" */
	const char *rfc;  /* "RFC 1918" */
};

/*
 * Why an address is not globally reachable, or NULL if it is public. Looks through IPv4-mapped, IPv4-compatible, IPv4-translated,
 * NAT64 (64:ff9b::/96, 64:ff9b:1::/48), 6to4 and Teredo forms: those are special themselves, and named after what they
 * embed where that is special; so are ISATAP forms (RFC 5214) of special IPv4 addresses, under any prefix. Multicast, the unspecified address, broadcast, and unix sockets are never public.
 */
const struct special_range *address_special(const struct address *address);

/* The rows of the table by index, for documents and tests; NULL after the last. *global: reachable in spite of a wider row. */
const struct special_range *address_special_row(size_t index, bool *global);

#endif
