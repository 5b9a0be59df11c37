/*
 * See own_address.h. Every address has a dot (IPv4) or a colon, and before that a certain digit. Texts are searched for such pairs of bytes, 32 at a time, and only
 * what stands around them is read: most texts have none. On any thread.
 */
#include "mask/own_address.h"

#include "http/char.h"

enum {
	SHORTEST = 3,       /* "1::" */
	LITERAL_MOST = 46,  /* "0000:0000:0000:0000:0000:ffff:255.255.255.255" */
	ENCODED_MOST = 128, /* more than that takes with "%3A" */
	OCTET_MOST = 3,
};

bool own_address_init(const struct address *client, struct own_address *own)
{
	static const char hex[] = "0123456789abcdef";

	*own = (struct own_address){.address = address_unmap(client)};
	const uint8_t *ip = own->address.ip;
	if (own->address.family == ADDRESS_V4) {
		own->before_dot = (uint8_t)('0' + ip[0] % 10);
		own->before_colon = 'f'; /* "::ffff:c000:201" */
	} else {
		own->before_dot = 0;
		own->before_colon = (uint8_t)hex[ip[1] & 15];
		own->any_colon = ip[0] == 0 && ip[1] == 0;
	}
	return (own->address.family == ADDRESS_V4 || own->address.family == ADDRESS_V6) &&
	       !address_is_loopback(&own->address);
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

/* Where the run of digits and colons begins that has a colon at `colon`; what is longer than any address is cut. */
static size_t literal_start(struct span text, size_t colon)
{
	size_t at = colon;

	while (at > 0 && colon - at < ENCODED_MOST) {
		if (at >= 3 && colon_at(text, at - 3) == 3)
			at -= 3;
		else if (text.at[at - 1] == ':' ||
			 (ascii_hex_digit(text.at[at - 1]) >= 0 && !is_escaped(text, at - 1)))
			at--;
		else
			break;
	}
	return at;
}

/* Reads on from `start` to where no address goes on; the end. */
static size_t literal_read(struct literal *literal, struct span text, size_t start)
{
	size_t at = start;

	*literal = (struct literal){.len = 0};
	while (at < text.len) {
		size_t colon = colon_at(text, at);
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

/* `colon` is one of those of the address. *end: what is before it needs no second look. */
static bool v6_at(const struct address *own, struct span text, size_t colon, size_t *end)
{
	size_t start = literal_start(text, colon);
	struct literal literal;

	*end = literal_read(&literal, text, start);
	struct span bare = literal_bare(&literal);
	if (literal.colons < 2 || bare.len > LITERAL_MOST || !ends(text, *end))
		return false;
	if (bare.at == literal.bytes && !begins(text, start))
		return false;
	return is_own(own, bare) || (literal.colons == 8 && is_own(own, without_port(bare)));
}

/* ---- looking for both ---- */

typedef uint8_t block __attribute__((vector_size(16)));

enum { BLOCK = sizeof(block) };

struct needles {
	block dot, colon, percent, before_dot, before_colon, any_colon, lower;
};

static void needles_init(struct needles *needles, const struct own_address *own)
{
	memset(&needles->dot, '.', BLOCK);
	memset(&needles->colon, ':', BLOCK);
	memset(&needles->percent, '%', BLOCK);
	memset(&needles->lower, 0x20, BLOCK);
	memset(&needles->before_dot, own->before_dot, BLOCK);
	memset(&needles->before_colon, own->before_colon, BLOCK);
	memset(&needles->any_colon, own->any_colon ? 0xff : 0, BLOCK);
}

/* Whether one of the BLOCK bytes at `at` may be the first dot or a colon of the address; not 0 where so. Reads the byte before, too. */
static inline block look(const struct needles *needles, const uint8_t *at)
{
	block byte, before;

	memcpy(&byte, at, BLOCK);
	memcpy(&before, at - 1, BLOCK);
	block dot = (block)(byte == needles->dot) & (block)(before == needles->before_dot);
	block colon = (block)(byte == needles->colon) | (block)(byte == needles->percent);
	return dot |
	       (colon & ((block)((before | needles->lower) == needles->before_colon) | needles->any_colon));
}

static inline bool is_nothing(block found)
{
	uint64_t halves[2];

	memcpy(halves, &found, sizeof(halves));
	return (halves[0] | halves[1]) == 0;
}

/* The same for one byte. */
static bool may_be(const struct own_address *own, struct span text, size_t at)
{
	uint8_t byte = text.at[at], before = at > 0 ? text.at[at - 1] : 0;

	if (byte == '.')
		return before == own->before_dot;
	return (byte == ':' || byte == '%') && ((before | 0x20) == own->before_colon || own->any_colon);
}

/* From *at up to `end`; *at is moved on, perhaps beyond. */
static bool look_closely(const struct own_address *own, struct span text, size_t *at, size_t end)
{
	while (*at < end) {
		size_t here = (*at)++;
		if (!may_be(own, text, here))
			continue;
		if (text.at[here] == '.') {
			if (v4_at(own->address.ip, text, here))
				return true;
		} else if (colon_at(text, here) && v6_at(&own->address, text, here, at)) {
			return true;
		}
	}
	return false;
}

/* Of a text longer than a block. */
static bool long_text_has(const struct own_address *own, struct span text)
{
	struct needles needles;
	size_t at = 1; /* an address begins with a digit, or with one colon that has another behind it */

	needles_init(&needles, own);
	while (at < text.len) {
		/* What is left of the end is looked at with some of what is before it. */
		at = size_min(at, text.len - BLOCK);
		bool two = at + (size_t)2 * BLOCK <= text.len;
		size_t end = at + (size_t)(two ? 2 : 1) * BLOCK;
		block found = look(&needles, text.at + at);
		if (two)
			found |= look(&needles, text.at + at + BLOCK);
		if (is_nothing(found))
			at = end;
		else if (look_closely(own, text, &at, end))
			return true;
	}
	return false;
}

bool own_address_in(const struct own_address *own, struct span text)
{
	size_t at = 0;

	if (text.len < SHORTEST)
		return false;
	return text.len > BLOCK ? long_text_has(own, text) : look_closely(own, text, &at, text.len);
}
