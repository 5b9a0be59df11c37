/*
 * The PROXY protocol, by HAProxy's doc/proxy-protocol.txt; sections named here are its. Strict: what a header may not be is refused, since whoever
 * is trusted to send one decides by it who a client is. Pure; any thread.
 */
#include "net/proxy_protocol.h"

#include <stdio.h>

enum {
	V1_MOST = 107, /* 2.1: the longest line, CRLF included */
	V2_FIXED = 16,
	V2_SIGNATURE = 12,
	V2_VARIABLE_MOST = PROXY_PROTOCOL_READ_MOST - V2_FIXED,
	V2_INET = 12, /* bytes of the addresses */
	V2_INET6 = 36,
	V2_UNIX = 216,
	TLV_HEAD = 3,
	TLV_CRC32C = 0x03,
	CRC32C_BYTES = 4,
};

enum { V2_LOCAL = 0x20, V2_PROXY = 0x21 };
enum { V2_FAMILY_UNSPEC = 0x00, V2_FAMILY_TCP4 = 0x11, V2_FAMILY_TCP6 = 0x21, V2_FAMILY_UNIX = 0x31 };

static const uint8_t v2_signature[V2_SIGNATURE] = {0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d,
						   0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a};

static enum proxy_protocol_result bad(const char **why, const char *text)
{
	*why = text;
	return PROXY_PROTOCOL_BAD;
}

/* The bytes agree with `expected` as far as both go. */
static bool agrees(struct span bytes, struct span expected)
{
	size_t len = size_min(bytes.len, expected.len);

	return span_equal(span_first(bytes, len), span_first(expected, len));
}

/* ---- version 1 (2.1) ---- */

/* 2.1: no leading zero, 0 to 65535. */
static bool v1_port(struct span text, uint16_t *port)
{
	uint64_t value = 0;

	if (text.len > 5 || (text.len > 1 && text.at[0] == '0') || !span_to_u64(text, &value) ||
	    value > UINT16_MAX)
		return false;
	*port = (uint16_t)value;
	return true;
}

/* "192.0.2.1 198.51.100.1 56324 443" */
static bool v1_addresses(struct span text, enum address_family family, struct proxy_protocol_header *header)
{
	struct span source, destination, source_port, destination_port;

	if (!span_cut(text, ' ', &source, &text) || !span_cut(text, ' ', &destination, &text) ||
	    !span_cut(text, ' ', &source_port, &destination_port))
		return false;
	return address_parse_ip(source, &header->source) && header->source.family == family &&
	       address_parse_ip(destination, &header->destination) && header->destination.family == family &&
	       v1_port(source_port, &header->source.port) &&
	       v1_port(destination_port, &header->destination.port);
}

static enum proxy_protocol_result v1_line(struct span line, struct proxy_protocol_header *header,
					  const char **why)
{
	struct span protocol, rest;
	enum address_family family = ADDRESS_NONE;

	if (!span_starts_with(line, SPAN("PROXY ")))
		return bad(why, "no PROXY protocol header");
	span_cut(span_from(line, 6), ' ', &protocol, &rest);
	if (span_equal(protocol, SPAN("UNKNOWN"))) /* what follows is to be ignored */
		return PROXY_PROTOCOL_DONE;
	if (span_equal(protocol, SPAN("TCP4")))
		family = ADDRESS_V4;
	else if (span_equal(protocol, SPAN("TCP6")))
		family = ADDRESS_V6;
	else
		return bad(why, "a PROXY protocol line of an unknown protocol");
	if (!v1_addresses(rest, family, header))
		return bad(why, "a PROXY protocol line with addresses that are none");
	return PROXY_PROTOCOL_DONE;
}

static enum proxy_protocol_result v1_read(struct span bytes, struct proxy_protocol_header *header,
					  const char **why)
{
	struct span window = span_first(bytes, size_min(bytes.len, V1_MOST));
	ptrdiff_t end = span_find(window, '\n');

	if (end < 0)
		return window.len < V1_MOST ? PROXY_PROTOCOL_MORE :
					      bad(why, "a PROXY protocol line of more than 107 bytes");
	if (end == 0 || window.at[end - 1] != '\r')
		return bad(why, "a PROXY protocol line that does not end with CRLF");
	header->length = (size_t)end + 1;
	return v1_line(span_first(window, (size_t)end - 1), header, why);
}

/* ---- version 2 (2.2) ---- */

static uint16_t read_u16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

/* RFC 3720 B.4, the polynomial of SCTP and iSCSI; the four bytes at `hole` count as zero (2.2.3). */
static uint32_t crc32c(struct span bytes, const uint8_t *hole)
{
	uint32_t crc = UINT32_MAX;

	for (const uint8_t *at = bytes.at; at < bytes.at + bytes.len; at++) {
		crc ^= at >= hole && at < hole + CRC32C_BYTES ? 0 : *at;
		for (unsigned bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0x82f63b78) : 0);
	}
	return ~crc;
}

/* 2.2: TLVs fill what the length leaves behind the addresses. Types we do not know are skipped, as they have to be. */
static enum proxy_protocol_result v2_tlvs(struct span all, size_t at, const char **why)
{
	while (at < all.len) {
		struct span rest = span_from(all, at);
		if (rest.len < TLV_HEAD || rest.len - TLV_HEAD < read_u16(rest.at + 1))
			return bad(why, "a PROXY protocol header with a TLV beyond its end");
		size_t len = read_u16(rest.at + 1);
		const uint8_t *value = rest.at + TLV_HEAD;
		if (rest.at[0] == TLV_CRC32C) {
			uint32_t sum = len == CRC32C_BYTES ? crc32c(all, value) : 0;
			if (len != CRC32C_BYTES || read_u16(value) != sum >> 16 ||
			    read_u16(value + 2) != (sum & UINT16_MAX))
				return bad(why, "a PROXY protocol header with a wrong checksum");
		}
		at += TLV_HEAD + len;
	}
	return PROXY_PROTOCOL_DONE;
}

/* `ip` bytes of each address, then both ports. */
static void v2_addresses(const uint8_t *at, enum address_family family, size_t ip,
			 struct proxy_protocol_header *header)
{
	header->source.family = header->destination.family = (uint8_t)family;
	memcpy(header->source.ip, at, ip);
	memcpy(header->destination.ip, at + ip, ip);
	header->source.port = read_u16(at + 2 * ip);
	header->destination.port = read_u16(at + 2 * ip + 2);
}

static enum proxy_protocol_result v2_body(struct span all, struct proxy_protocol_header *header,
					  const char **why)
{
	size_t len = all.len - V2_FIXED, addresses = 0;
	const uint8_t *at = all.at + V2_FIXED;

	switch (all.at[13]) {
	case V2_FAMILY_UNSPEC:
		return PROXY_PROTOCOL_DONE;
	case V2_FAMILY_TCP4:
		addresses = V2_INET;
		break;
	case V2_FAMILY_TCP6:
		addresses = V2_INET6;
		break;
	case V2_FAMILY_UNIX:
		addresses = V2_UNIX;
		break;
	default:
		return bad(why, "a PROXY protocol header of a family that is no stream");
	}
	if (len < addresses)
		return bad(why, "a PROXY protocol header too short for its addresses");
	enum proxy_protocol_result result = v2_tlvs(all, V2_FIXED + addresses, why);
	if (result != PROXY_PROTOCOL_DONE)
		return result;
	if (addresses == V2_INET)
		v2_addresses(at, ADDRESS_V4, 4, header);
	else if (addresses == V2_INET6)
		v2_addresses(at, ADDRESS_V6, 16, header);
	else
		header->source.family = header->destination.family = ADDRESS_UNIX;
	return PROXY_PROTOCOL_DONE;
}

static enum proxy_protocol_result v2_read(struct span bytes, struct proxy_protocol_header *header,
					  const char **why)
{
	if (bytes.len > 12 && bytes.at[12] != V2_LOCAL && bytes.at[12] != V2_PROXY)
		return bad(why, "a PROXY protocol header of an unknown version or command");
	if (bytes.len < V2_FIXED)
		return PROXY_PROTOCOL_MORE;
	size_t len = read_u16(bytes.at + 14);
	if (len > V2_VARIABLE_MOST)
		return bad(why, "a PROXY protocol header of more than 4096 bytes");
	if (bytes.len < V2_FIXED + len)
		return PROXY_PROTOCOL_MORE;
	header->length = V2_FIXED + len;
	if (bytes.at[12] == V2_LOCAL) /* 2.2: then the rest is not looked at */
		return PROXY_PROTOCOL_DONE;
	return v2_body(span_first(bytes, header->length), header, why);
}

enum proxy_protocol_result proxy_protocol_read(struct span bytes, struct proxy_protocol_header *header,
					       const char **why)
{
	*header = (struct proxy_protocol_header){0};
	if (bytes.len == 0)
		return PROXY_PROTOCOL_MORE;
	enum proxy_protocol_result result;
	if (agrees(bytes, span_make(v2_signature, V2_SIGNATURE)))
		result = v2_read(bytes, header, why);
	else if (agrees(bytes, SPAN("PROXY ")))
		result = v1_read(bytes, header, why);
	else
		result = bad(why, "no PROXY protocol header");
	if (result != PROXY_PROTOCOL_DONE)
		*header = (struct proxy_protocol_header){0};
	return result;
}

/* ---- writing ---- */

/* Both addresses in one family: where they differ, IPv4 is written as IPv6 (RFC 4291 2.5.5.2). */
static struct address as_v6(const struct address *address)
{
	struct address out = {.family = ADDRESS_V6, .port = address->port};

	if (address->family == ADDRESS_V6)
		return *address;
	out.ip[10] = out.ip[11] = 0xff;
	memcpy(out.ip + 12, address->ip, 4);
	return out;
}

static bool is_ip(const struct address *address)
{
	return address->family == ADDRESS_V4 || address->family == ADDRESS_V6;
}

static size_t v1_write(const struct address *source, const struct address *destination,
		       uint8_t out[PROXY_PROTOCOL_WRITE_MOST])
{
	char from[ADDRESS_TEXT], to[ADDRESS_TEXT];

	from[address_format_ip(source, from)] = '\0';
	to[address_format_ip(destination, to)] = '\0';
	int len = snprintf((char *)out, PROXY_PROTOCOL_WRITE_MOST, "PROXY TCP%c %s %s %u %u\r\n",
			   source->family == ADDRESS_V4 ? '4' : '6', from, to, source->port, destination->port);
	return (size_t)len;
}

static size_t v2_write(const struct address *source, const struct address *destination,
		       uint8_t out[PROXY_PROTOCOL_WRITE_MOST])
{
	size_t ip = source->family == ADDRESS_V4 ? 4 : 16, len = 2 * ip + 4;
	uint8_t *at = out + V2_FIXED;

	out[12] = V2_PROXY;
	out[13] = source->family == ADDRESS_V4 ? V2_FAMILY_TCP4 : V2_FAMILY_TCP6;
	out[14] = 0;
	out[15] = (uint8_t)len;
	memcpy(at, source->ip, ip);
	memcpy(at + ip, destination->ip, ip);
	at += 2 * ip;
	*at++ = (uint8_t)(source->port >> 8);
	*at++ = (uint8_t)source->port;
	*at++ = (uint8_t)(destination->port >> 8);
	*at = (uint8_t)destination->port;
	return V2_FIXED + len;
}

size_t proxy_protocol_write(enum proxy_protocol version, const struct address *source,
			    const struct address *destination, uint8_t out[PROXY_PROTOCOL_WRITE_MOST])
{
	struct address from = address_unmap(source), to = address_unmap(destination);
	bool known = is_ip(&from) && is_ip(&to);

	if (known && from.family != to.family) {
		from = as_v6(&from);
		to = as_v6(&to);
	}
	if (version == PROXY_PROTOCOL_V1) {
		static const struct span unknown = {(const uint8_t *)"PROXY UNKNOWN\r\n", 15};
		if (known)
			return v1_write(&from, &to, out);
		memcpy(out, unknown.at, unknown.len);
		return unknown.len;
	}
	memcpy(out, v2_signature, V2_SIGNATURE);
	if (known)
		return v2_write(&from, &to, out);
	out[12] = V2_LOCAL;
	out[13] = V2_FAMILY_UNSPEC;
	out[14] = out[15] = 0;
	return V2_FIXED;
}
