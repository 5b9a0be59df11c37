/*
 * Addresses as values: strict parsing, RFC 5952 formatting, comparison, and the way to and from the kernel's form.
 * Pure functions, any thread.
 */
#include "net/address.h"

#include <arpa/inet.h>
#include <xxhash.h>

enum { GROUPS = 8 };

static const uint8_t mapped_prefix[12] = {[10] = 0xff, [11] = 0xff};

static bool is_mapped(const struct address *address)
{
	return address->family == ADDRESS_V6 && memcmp(address->ip, mapped_prefix, sizeof(mapped_prefix)) == 0;
}

/* RFC 3986 3.2.2, dec-octet: 0..255 without leading zeros. Moves *text past it. */
static bool parse_octet(struct span *text, uint8_t *octet)
{
	unsigned value = 0;
	size_t digits = 0;

	while (digits < text->len && ascii_is_digit(text->at[digits])) {
		if (digits == 3 || (digits == 1 && value == 0))
			return false;
		value = value * 10 + (unsigned)(text->at[digits] - '0');
		digits++;
	}
	if (digits == 0 || value > 255)
		return false;
	*octet = (uint8_t)value;
	*text = span_from(*text, digits);
	return true;
}

static bool parse_v4(struct span text, uint8_t *ip)
{
	for (int i = 0; i < 4; i++) {
		if (i > 0) {
			if (text.len == 0 || text.at[0] != '.')
				return false;
			text = span_from(text, 1);
		}
		if (!parse_octet(&text, &ip[i]))
			return false;
	}
	return text.len == 0;
}

/* One to four hexadecimal digits; the number read, 0 when there are none or too many. */
static size_t parse_group(struct span text, unsigned *value)
{
	size_t digits = 0;

	*value = 0;
	while (digits < text.len && ascii_hex_digit(text.at[digits]) >= 0) {
		if (digits == 4)
			return 0;
		*value = *value << 4 | (unsigned)ascii_hex_digit(text.at[digits]);
		digits++;
	}
	return digits;
}

/*
 * The groups of one side of "::" (or of all), separated by single colons, the last perhaps in dotted form.
 * How many, or -1. An empty text has none.
 */
static int parse_groups(struct span text, uint16_t *groups)
{
	int count = 0;

	while (text.len > 0) {
		unsigned value;
		size_t digits = parse_group(text, &value);
		if (digits > 0 && digits < text.len && text.at[digits] == '.') {
			uint8_t v4[4];
			if (count > GROUPS - 2 || !parse_v4(text, v4))
				return -1;
			groups[count++] = (uint16_t)(v4[0] << 8 | v4[1]);
			groups[count++] = (uint16_t)(v4[2] << 8 | v4[3]);
			return count;
		}
		if (digits == 0 || count == GROUPS)
			return -1;
		groups[count++] = (uint16_t)value;
		text = span_from(text, digits);
		if (text.len == 0)
			break;
		if (text.at[0] != ':' || text.len == 1)
			return -1;
		text = span_from(text, 1);
	}
	return count;
}

/* RFC 4291 2.2. A dotted quad may only stand at the very end. */
static bool parse_v6(struct span text, uint8_t *ip)
{
	uint16_t head[GROUPS] = {0}, tail[GROUPS] = {0};
	int heads, tails = 0;
	ptrdiff_t gap = span_search(text, SPAN("::"));

	if (gap < 0) {
		heads = parse_groups(text, head);
		if (heads != GROUPS)
			return false;
	} else {
		struct span before = span_first(text, (size_t)gap);
		if (span_find(before, '.') >= 0)
			return false;
		heads = parse_groups(before, head);
		tails = parse_groups(span_from(text, (size_t)gap + 2), tail);
		if (heads < 0 || tails < 0 || heads + tails >= GROUPS)
			return false;
	}
	for (int i = 0; i < tails; i++)
		head[GROUPS - tails + i] = tail[i];
	for (int i = 0; i < GROUPS; i++) {
		ip[2 * i] = (uint8_t)(head[i] >> 8);
		ip[2 * i + 1] = (uint8_t)head[i];
	}
	return true;
}

bool address_parse_ip(struct span text, struct address *address)
{
	struct address parsed = {0};

	if (span_find(text, ':') >= 0) {
		parsed.family = ADDRESS_V6;
		if (!parse_v6(text, parsed.ip))
			return false;
	} else {
		parsed.family = ADDRESS_V4;
		if (!parse_v4(text, parsed.ip))
			return false;
	}
	*address = parsed;
	return true;
}

static bool parse_port(struct span text, uint16_t *port)
{
	uint64_t value;

	if (text.len > 5 || (text.len > 1 && text.at[0] == '0') || !span_to_u64(text, &value) || value > 65535)
		return false;
	*port = (uint16_t)value;
	return true;
}

static bool parse_unix(struct span path, struct address *address)
{
	size_t most = sizeof(((struct sockaddr_un *)0)->sun_path) - 1;

	if (path.len == 0 || path.len > most || span_find(path, 0) >= 0)
		return false;
	if (path.at[0] == '@' && path.len == 1)
		return false;
	*address = (struct address){.family = ADDRESS_UNIX, .path = (const char *)path.at};
	return true;
}

bool address_parse(struct span text, struct address *address)
{
	struct span unix_prefix = SPAN("unix:"), host, port;
	struct address parsed;
	uint16_t number;

	if (span_starts_with(text, unix_prefix))
		return parse_unix(span_from(text, unix_prefix.len), address);
	if (text.len > 0 && text.at[0] == '[') {
		ptrdiff_t end = span_find(text, ']');
		if (end < 0 || (size_t)end + 1 >= text.len || text.at[end + 1] != ':')
			return false;
		host = span_from(span_first(text, (size_t)end), 1);
		port = span_from(text, (size_t)end + 2);
		if (span_find(host, ':') < 0)
			return false;
	} else if (!span_cut(text, ':', &host, &port)) {
		return false;
	}
	if (!parse_port(port, &number) || !address_parse_ip(host, &parsed))
		return false;
	parsed.port = number;
	*address = parsed;
	return true;
}

/* Bits of `ip` from `prefix` on are all zero. */
static bool host_bits_zero(const uint8_t *ip, size_t len, unsigned prefix)
{
	for (size_t i = 0; i < len; i++) {
		unsigned kept = prefix > i * 8 ? prefix - (unsigned)i * 8 : 0;
		uint8_t rest = kept >= 8 ? 0 : (uint8_t)(0xff >> kept);
		if (ip[i] & rest)
			return false;
	}
	return true;
}

bool network_parse(struct span text, struct network *network)
{
	struct network parsed = {0};
	struct span ip, prefix;
	bool given = span_cut(text, '/', &ip, &prefix);
	uint64_t bits;

	if (!address_parse_ip(ip, &parsed.address))
		return false;
	unsigned most = parsed.address.family == ADDRESS_V4 ? 32 : 128;
	if (!given)
		bits = most;
	else if (prefix.len > 3 || (prefix.len > 1 && prefix.at[0] == '0') || !span_to_u64(prefix, &bits) ||
		 bits > most)
		return false;
	if (!host_bits_zero(parsed.address.ip, most / 8, (unsigned)bits))
		return false;
	parsed.prefix = (uint8_t)bits;
	if (is_mapped(&parsed.address) && bits >= 96) {
		parsed.address = address_unmap(&parsed.address);
		parsed.prefix = (uint8_t)(bits - 96);
	}
	*network = parsed;
	return true;
}

bool network_contains(const struct network *network, const struct address *address)
{
	struct address plain = address_unmap(address);
	size_t whole = network->prefix / 8;
	unsigned rest = network->prefix % 8;

	if (plain.family != network->address.family ||
	    (plain.family != ADDRESS_V4 && plain.family != ADDRESS_V6))
		return false;
	if (memcmp(plain.ip, network->address.ip, whole) != 0)
		return false;
	return rest == 0 || (uint8_t)((plain.ip[whole] ^ network->address.ip[whole]) >> (8 - rest)) == 0;
}

static size_t format_v4(const uint8_t *ip, char *out)
{
	size_t len = 0;

	for (int i = 0; i < 4; i++) {
		if (i > 0)
			out[len++] = '.';
		if (ip[i] >= 100)
			out[len++] = (char)('0' + ip[i] / 100);
		if (ip[i] >= 10)
			out[len++] = (char)('0' + ip[i] / 10 % 10);
		out[len++] = (char)('0' + ip[i] % 10);
	}
	return len;
}

/* RFC 5952 4.2: the longest run of at least two zero groups, the first of equals. Its length; 0 = none. */
static int longest_zeros(const uint8_t *ip, int groups, int *start)
{
	int best = 0;

	*start = groups;
	for (int i = 0; i < groups; i++) {
		int run = 0;
		while (i + run < groups && ip[2 * (i + run)] == 0 && ip[2 * (i + run) + 1] == 0)
			run++;
		if (run > best && run >= 2) {
			best = run;
			*start = i;
		}
		i += run;
	}
	return best;
}

static size_t format_group(unsigned value, char *out)
{
	static const char digits[] = "0123456789abcdef";
	size_t len = 0;

	for (int shift = 12; shift >= 0; shift -= 4) {
		if (len > 0 || value >> shift || shift == 0)
			out[len++] = digits[value >> shift & 15];
	}
	return len;
}

static size_t format_v6(const struct address *address, char *out)
{
	const uint8_t *ip = address->ip;
	int groups = is_mapped(address) ? 6 :
					  GROUPS; /* RFC 5952 5: the known prefix with the IPv4 part dotted */
	int zeros_at, zeros = longest_zeros(ip, groups, &zeros_at);
	size_t len = 0;

	for (int i = 0; i < groups;) {
		if (i == zeros_at) {
			out[len++] = ':';
			out[len++] = ':';
			i += zeros;
			continue;
		}
		if (i > 0 && i != zeros_at + zeros)
			out[len++] = ':';
		len += format_group((unsigned)(ip[2 * i] << 8 | ip[2 * i + 1]), out + len);
		i++;
	}
	if (groups < GROUPS) {
		out[len++] = ':';
		len += format_v4(ip + 12, out + len);
	}
	return len;
}

static size_t put_text(char *out, const char *text)
{
	size_t len = strlen(text);

	memcpy(out, text, len);
	return len;
}

size_t address_format_ip(const struct address *address, char *out)
{
	switch (address->family) {
	case ADDRESS_V4:
		return format_v4(address->ip, out);
	case ADDRESS_V6:
		return format_v6(address, out);
	case ADDRESS_UNIX:
		return put_text(out, "unix");
	default:
		return put_text(out, "unknown");
	}
}

static size_t format_port(unsigned port, char *out)
{
	char digits[5];
	size_t count = 0, len = 0;

	do {
		digits[count++] = (char)('0' + port % 10);
		port /= 10;
	} while (port);
	out[len++] = ':';
	while (count)
		out[len++] = digits[--count];
	return len;
}

size_t address_format(const struct address *address, char *out)
{
	size_t len = 0;

	switch (address->family) {
	case ADDRESS_V4:
		len = format_v4(address->ip, out);
		break;
	case ADDRESS_V6:
		out[len++] = '[';
		len += format_v6(address, out + len);
		out[len++] = ']';
		break;
	case ADDRESS_UNIX:
		len = put_text(out, address->path ? "unix:" : "unix");
		if (address->path) {
			size_t path = size_min(strlen(address->path), ADDRESS_TEXT - len);
			memcpy(out + len, address->path, path);
			len += path;
		}
		return len;
	default:
		return put_text(out, "unknown");
	}
	return len + format_port(address->port, out + len);
}

size_t address_subscriber(const struct address *address)
{
	switch (address->family) {
	case ADDRESS_V4:
		return 4;
	case ADDRESS_V6:
		return 8;
	default:
		return 0;
	}
}

struct address address_truncate(const struct address *address)
{
	struct address plain = address_unmap(address);

	if (plain.family == ADDRESS_V4)
		plain.ip[3] = 0;
	else if (plain.family == ADDRESS_V6)
		memset(plain.ip + 6, 0, sizeof(plain.ip) - 6);
	plain.port = 0;
	plain.scope = 0;
	return plain;
}

struct address address_unmap(const struct address *address)
{
	if (!is_mapped(address))
		return *address;
	struct address plain = {.family = ADDRESS_V4, .port = address->port};
	memcpy(plain.ip, address->ip + 12, 4);
	return plain;
}

static bool equal_plain(const struct address *a, const struct address *b)
{
	if (a->family != b->family)
		return false;
	switch (a->family) {
	case ADDRESS_V4:
		return memcmp(a->ip, b->ip, 4) == 0;
	case ADDRESS_V6:
		return memcmp(a->ip, b->ip, 16) == 0 && a->scope == b->scope;
	case ADDRESS_UNIX:
		return a->path == b->path || (a->path && b->path && strcmp(a->path, b->path) == 0);
	default:
		return true;
	}
}

bool address_equal(const struct address *a, const struct address *b)
{
	return equal_plain(a, b) && (a->family == ADDRESS_UNIX || a->port == b->port);
}

bool address_equal_ip(const struct address *a, const struct address *b)
{
	struct address plain_a = address_unmap(a), plain_b = address_unmap(b);

	return equal_plain(&plain_a, &plain_b);
}

bool address_is_loopback(const struct address *address)
{
	static const uint8_t loopback[16] = {[15] = 1};

	if (address->family == ADDRESS_V4)
		return address->ip[0] == 127;
	return address->family == ADDRESS_V6 && memcmp(address->ip, loopback, sizeof(loopback)) == 0;
}

uint64_t address_hash_ip(const struct address *address, uint64_t seed)
{
	struct address plain = address_unmap(address);

	if (plain.family == ADDRESS_UNIX)
		return XXH3_64bits_withSeed(plain.path ? plain.path : "", plain.path ? strlen(plain.path) : 0,
					    seed);
	return XXH3_64bits_withSeed(plain.ip, plain.family == ADDRESS_V4 ? 4 : 16, seed ^ plain.family);
}

static socklen_t unix_to_socket(const char *path, union socket_address *out)
{
	size_t len = path ? strlen(path) : 0;
	size_t start = offsetof(struct sockaddr_un, sun_path);

	if (len == 0 || len >= sizeof(out->unix_path.sun_path))
		return 0;
	out->unix_path.sun_family = AF_UNIX;
	memcpy(out->unix_path.sun_path, path, len);
	if (path[0] != '@')
		return (socklen_t)(start + len + 1);
	out->unix_path.sun_path[0] = 0; /* abstract: no NUL at the end, the length counts */
	return (socklen_t)(start + len);
}

socklen_t address_to_socket(const struct address *address, union socket_address *out)
{
	memset(out, 0, sizeof(*out));
	switch (address->family) {
	case ADDRESS_V4:
		out->v4.sin_family = AF_INET;
		out->v4.sin_port = htons(address->port);
		memcpy(&out->v4.sin_addr, address->ip, 4);
		return sizeof(out->v4);
	case ADDRESS_V6:
		out->v6.sin6_family = AF_INET6;
		out->v6.sin6_port = htons(address->port);
		out->v6.sin6_scope_id = address->scope;
		memcpy(&out->v6.sin6_addr, address->ip, 16);
		return sizeof(out->v6);
	case ADDRESS_UNIX:
		return unix_to_socket(address->path, out);
	default:
		return 0;
	}
}

struct address address_from_socket(const union socket_address *in, socklen_t len)
{
	struct address address = {0};

	if (len < sizeof(in->any.sa_family))
		return address;
	if (in->any.sa_family == AF_INET && len >= sizeof(in->v4)) {
		address.family = ADDRESS_V4;
		address.port = ntohs(in->v4.sin_port);
		memcpy(address.ip, &in->v4.sin_addr, 4);
	} else if (in->any.sa_family == AF_INET6 && len >= sizeof(in->v6)) {
		address.family = ADDRESS_V6;
		address.port = ntohs(in->v6.sin6_port);
		address.scope = in->v6.sin6_scope_id;
		memcpy(address.ip, &in->v6.sin6_addr, 16);
	} else if (in->any.sa_family == AF_UNIX) {
		address.family = ADDRESS_UNIX;
	}
	return address;
}
