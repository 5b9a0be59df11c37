/*
 * See own_address.h. Every address has a dot (IPv4) or a colon; the text is searched for these, and only what stands around them is read.
 * On any thread.
 */
#include "mask/own_address.h"

#include "http/char.h"

enum {
	V4_SHORTEST = 7,   /* "1.2.3.4" */
	LITERAL_MOST = 46, /* "0000:0000:0000:0000:0000:ffff:255.255.255.255" */
	GROUP_MOST = 4,    /* digits between colons */
	OCTET_MOST = 3,
};

bool own_address_init(const struct address *client, struct address *own)
{
	*own = address_unmap(client);
	return (own->family == ADDRESS_V4 || own->family == ADDRESS_V6) && !address_is_loopback(own);
}

/* ---- words ---- */

static bool is_word(uint8_t byte)
{
	return ascii_is_alpha(byte) || ascii_is_digit(byte);
}

/* Whether "%20" and its like end with the byte at `at`. */
static bool is_escaped(struct span text, size_t at)
{
	return at >= 2 && http_percent_byte(span_make(text.at + at - 2, 3)) >= 0;
}

/* Whether a word may begin at `at`. */
static bool begins(struct span text, size_t at)
{
	if (at == 0)
		return true;
	return text.at[at - 1] != '.' && (!is_word(text.at[at - 1]) || is_escaped(text, at - 1));
}

/* Whether a word ends before `at`: a dot ends a sentence, but is a part of a name or number that goes on. */
static bool ends(struct span text, size_t at)
{
	if (at < text.len && text.at[at] == '.')
		at++;
	return at >= text.len || !is_word(text.at[at]);
}

/* ---- IPv4 ---- */

/* The number before `end` is `octet`, as the beginning of a word. */
static bool octet_before(struct span text, size_t end, uint8_t octet)
{
	unsigned value = 0, weight = 1;

	for (size_t at = end; at > 0 && end - at < OCTET_MOST && ascii_is_digit(text.at[at - 1]); weight *= 10) {
		at--;
		value += weight * (text.at[at] - '0');
		if (value == octet && begins(text, at))
			return true;
	}
	return false;
}

/* Reads one number at *at that has to be `octet`. */
static bool octet_at(struct span text, size_t *at, uint8_t octet)
{
	size_t start = *at;
	unsigned value = 0;

	while (*at < text.len && *at - start < OCTET_MOST && ascii_is_digit(text.at[*at]))
		value = value * 10 + (text.at[(*at)++] - '0');
	return *at > start && value == octet;
}

/* `dot` is the first one of the address. */
static bool v4_at(const uint8_t ip[4], struct span text, size_t dot)
{
	size_t at = dot + 1;

	if (dot == 0 || at == text.len || text.at[dot - 1] != '0' + ip[0] % 10 || !ascii_is_digit(text.at[at]))
		return false;
	for (unsigned i = 1; i < 4; i++) {
		if (!octet_at(text, &at, ip[i]))
			return false;
		if (i < 3 && (at == text.len || text.at[at++] != '.'))
			return false;
	}
	return ends(text, at) && octet_before(text, dot, ip[0]);
}

static bool v4_in(const uint8_t ip[4], struct span text)
{
	for (size_t at = 0; at < text.len; at++) {
		ptrdiff_t dot = span_find(span_from(text, at), '.');
		if (dot < 0)
			return false;
		at += (size_t)dot;
		if (v4_at(ip, text, at))
			return true;
	}
	return false;
}

/* ---- IPv6 ---- */

/* How many bytes of a colon stand at `at`: 1, or 3 for "%3A"; 0: there is none. */
static size_t colon_at(struct span text, size_t at)
{
	if (at < text.len && text.at[at] == ':')
		return 1;
	if (at + 2 < text.len && text.at[at] == '%' && text.at[at + 1] == '3' &&
	    ascii_lower(text.at[at + 2]) == 'a')
		return 3;
	return 0;
}

/* What may be an address in the text, with plain colons. */
struct literal {
	uint8_t bytes[LITERAL_MOST + 2]; /* one more than fits, and a colon before it all */
	size_t len;
	unsigned colons;
};

static void literal_put(struct literal *literal, uint8_t byte)
{
	literal->colons += byte == ':';
	if (literal->len < sizeof(literal->bytes))
		literal->bytes[literal->len++] = byte;
}

/* The digits before the first colon, which is at `colon`: where they begin. */
static size_t group_before(struct span text, size_t colon)
{
	size_t at = colon;

	while (at > 0 && colon - at < GROUP_MOST && ascii_hex_digit(text.at[at - 1]) >= 0 &&
	       !is_escaped(text, at - 1))
		at--;
	return at;
}

/* Reads on from `start` to where no address goes on; the end. */
static size_t literal_read(struct literal *literal, struct span text, size_t start)
{
	size_t at = start, colon;

	*literal = (struct literal){.len = 0};
	while (at < text.len) {
		colon = colon_at(text, at);
		if (!colon && ascii_hex_digit(text.at[at]) < 0 && text.at[at] != '.')
			break;
		literal_put(literal, colon ? ':' : text.at[at]);
		at += colon ? colon : 1;
	}
	return at;
}

static bool is_own(const struct address *own, struct span text)
{
	struct address address;

	return address_parse_ip(text, &address) && address_equal_ip(&address, own);
}

/* Without what may stand around it: a colon before ("for:2001:db8::1"), a colon or a dot behind. */
static struct span literal_bare(const struct literal *literal)
{
	struct span bare = span_make(literal->bytes, literal->len);

	while (bare.len > 0 && (bare.at[bare.len - 1] == '.' ||
				(bare.len > 1 && bare.at[bare.len - 1] == ':' && bare.at[bare.len - 2] != ':')))
		bare.len--;
	if (bare.len > 1 && bare.at[0] == ':' && bare.at[1] != ':')
		bare = span_from(bare, 1);
	return bare;
}

/* Eight groups, and a port behind them that no bracket parts from them. */
static struct span without_port(struct span bare)
{
	size_t at = bare.len;

	while (at > 0 && bare.at[at - 1] != ':')
		at--;
	return span_first(bare, at > 0 ? at - 1 : 0);
}

static bool v6_at(const struct address *own, struct span text, size_t start, size_t end,
		  const struct literal *literal)
{
	struct span bare = literal_bare(literal);

	if (literal->colons < 2 || bare.len > LITERAL_MOST || !ends(text, end))
		return false;
	if (bare.at == literal->bytes && !begins(text, start))
		return false;
	return is_own(own, bare) || (literal->colons == 8 && is_own(own, without_port(bare)));
}

static bool v6_in(const struct address *own, struct span text, uint8_t anchor)
{
	struct literal literal;

	for (size_t at = 0; at < text.len;) {
		ptrdiff_t found = span_find(span_from(text, at), anchor);
		if (found < 0)
			return false;
		at += (size_t)found;
		size_t colon = colon_at(text, at);
		/* Most colons are in times, ports and quoted texts. */
		if (!colon || at + colon >= text.len ||
		    (ascii_hex_digit(text.at[at + colon]) < 0 && !colon_at(text, at + colon))) {
			at++;
			continue;
		}
		size_t start = group_before(text, at), end = literal_read(&literal, text, start);
		if (v6_at(own, text, start, end, &literal))
			return true;
		at = end;
	}
	return false;
}

bool own_address_in(const struct address *own, struct span text)
{
	if (own->family == ADDRESS_V4 && text.len >= V4_SHORTEST && v4_in(own->ip, text))
		return true;
	return v6_in(own, text, ':') || v6_in(own, text, '%');
}
