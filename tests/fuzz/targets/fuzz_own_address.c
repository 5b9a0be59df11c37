/*
 * A client's address in fields' values. First byte: IPv4 or IPv6; then the address; then a text. What is said to hold the address does: some piece of the text is one of
 * its spellings. And a text that has the address behind it, as a word of its own, is said to hold it, whatever stands before.
 */
#include "http/char.h"
#include "mask/own_address.h"

enum { TEXT_MOST = 128, PIECE_MOST = 64 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* With "%3A" as ':'. Returns the length. */
static size_t with_colons(struct span text, uint8_t *out)
{
	size_t len = 0;

	for (size_t i = 0; i < text.len; i++) {
		bool colon = http_percent_byte(span_from(text, i)) == ':';
		out[len++] = colon ? ':' : text.at[i];
		i += colon ? 2 : 0;
	}
	return len;
}

/* Without the zeros that a strict IPv4 address may not have. Returns the length. */
static size_t without_zeros(struct span text, uint8_t *out)
{
	size_t len = 0;

	for (size_t i = 0; i < text.len; i++) {
		bool leads = i == 0 || text.at[i - 1] == '.' ||
			     (text.at[i - 1] == '0' && len > 0 && out[len - 1] == '.') || len == 0;
		if (text.at[i] != '0' || !leads || i + 1 == text.len || !ascii_is_digit(text.at[i + 1]))
			out[len++] = text.at[i];
	}
	return len;
}

static bool is_address(const struct address *own, struct span text)
{
	struct address address;

	return address_parse_ip(text, &address) && address_equal_ip(&address, own);
}

static bool is_spelling(const struct address *own, struct span piece)
{
	uint8_t room[PIECE_MOST];

	return is_address(own, piece) || is_address(own, span_make(room, with_colons(piece, room))) ||
	       is_address(own, span_make(room, without_zeros(piece, room)));
}

static bool some_piece_is(const struct address *own, struct span text)
{
	for (size_t at = 0; at < text.len; at++)
		for (size_t len = 2; len <= PIECE_MOST && at + len <= text.len; len++)
			if (is_spelling(own, span_make(text.at + at, len)))
				return true;
	return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct address address = {.family = ADDRESS_V4};
	struct own_address own;
	uint8_t text[TEXT_MOST + ADDRESS_TEXT + 1];
	size_t ip, len;

	if (size < 17)
		return 0;
	if (data[0] & 1)
		address.family = ADDRESS_V6;
	ip = address.family == ADDRESS_V6 ? 16 : 4;
	memcpy(address.ip, data + 1, ip);
	if (!own_address_init(&address, &own))
		return 0;
	len = size_min(size - 1 - ip, TEXT_MOST);
	memcpy(text, data + 1 + ip, len);
	if (own_address_in(&own, span_make(text, len)))
		ENSURE(some_piece_is(&own.address, span_make(text, len)));
	text[len++] = ' ';
	len += address_format_ip(&own.address, (char *)text + len);
	ENSURE(own_address_in(&own, span_make(text, len)));
	return 0;
}
