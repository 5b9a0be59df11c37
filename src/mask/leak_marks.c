/*
 * See leak_marks.h. Texts are searched for dots 16 bytes at a time.
 */
#include "mask/leak_marks.h"

typedef uint8_t block __attribute__((vector_size(16)));

enum { BLOCK = sizeof(block), WORD = sizeof(uint64_t), GROUP_DIGITS = 4 };

/* Letters are folded; a few other bytes fall together, which costs a look and no more. */
static size_t dot_bit(uint8_t before, uint8_t behind)
{
	return (size_t)((before | 0x20) & 0x7f) << 7 | ((behind | 0x20) & 0x7f);
}

void leak_marks_add(struct leak_marks *marks, uint8_t before, uint8_t behind)
{
	size_t bit = dot_bit(before, behind);

	marks->dots[bit / 64] |= (uint64_t)1 << bit % 64;
}

struct leak_look leak_look_at(const struct leak_marks *marks, const struct leak_server *server)
{
	bool others = server && server->others.has;
	struct leak_look look = {.marks = marks,
				 .colons = marks->colons || others,
				 .digits = marks->digits || others,
				 .name = SIZE_MAX,
				 .address = SIZE_MAX};
	ptrdiff_t dot = server ? span_find(server->name, '.') : -1;

	if (dot > 0 && (size_t)dot + 1 < server->name.len)
		look.name = dot_bit(server->name.at[dot - 1], server->name.at[dot + 1]);
	if (!server || !server->address)
		return look;
	look.colons |= server->address->family == ADDRESS_V6;
	if (server->address->family == ADDRESS_V4) {
		unsigned first = server->address->ip[0], second = server->address->ip[1];
		unsigned digit = second >= 100 ? second / 100 : second >= 10 ? second / 10 : second;
		look.address = dot_bit((uint8_t)('0' + first % 10), (uint8_t)('0' + digit));
	}
	return look;
}

/* Whether one of the eight bytes is a dot: its bits become zero, and a zero alone borrows. */
static bool word_has_dot(const uint8_t *at)
{
	const uint64_t ones = 0x0101010101010101;
	uint64_t word;

	memcpy(&word, at, sizeof(word));
	word ^= ones * '.';
	return (word - ones) & ~word & ones << 7;
}

static bool blocks_have_dot(struct span text)
{
	block dots, bytes, found = {0};
	uint64_t halves[2];

	memset(&dots, '.', BLOCK);
	for (size_t at = 0; at + BLOCK < text.len; at += BLOCK) {
		memcpy(&bytes, text.at + at, BLOCK);
		found |= (block)(bytes == dots);
	}
	memcpy(&bytes, text.at + text.len - BLOCK, BLOCK);
	found |= (block)(bytes == dots);
	memcpy(halves, &found, sizeof(halves));
	return halves[0] | halves[1];
}

/* For texts as short as those in heads; where it is, does not matter yet. */
static inline bool has_dot(struct span text)
{
	if (text.len >= BLOCK)
		return blocks_have_dot(text);
	if (text.len >= WORD)
		return word_has_dot(text.at) || word_has_dot(text.at + text.len - WORD);
	for (size_t i = 0; i < text.len; i++)
		if (text.at[i] == '.')
			return true;
	return false;
}

/* Two colons with nothing but at most four hexadecimal digits in between, as every address of IPv6 has. */
static COLD bool finds_colons(struct span text)
{
	ptrdiff_t colon = span_find(text, ':');

	while (colon >= 0) {
		text = span_from(text, (size_t)colon + 1);
		size_t digits = 0;
		while (digits < text.len && digits <= GROUP_DIGITS && ascii_hex_digit(text.at[digits]) >= 0)
			digits++;
		if (digits < text.len && text.at[digits] == ':')
			return true;
		colon = span_find(text, ':');
	}
	return false;
}

static COLD bool finds_dots(const struct leak_look *look, struct span text)
{
	for (ptrdiff_t dot = span_find(text, '.'); dot >= 0; dot = span_find(text, '.')) {
		/* What stands behind one dot may stand before the next one. */
		if (dot > 0 && (size_t)dot + 1 < text.len) {
			uint8_t before = text.at[dot - 1], behind = text.at[dot + 1];
			size_t bit = dot_bit(before, behind);
			if ((look->marks->dots[bit / 64] >> bit % 64 & 1) || bit == look->name ||
			    bit == look->address ||
			    (look->digits && ascii_is_digit(before) && ascii_is_digit(behind)))
				return true;
		}
		text = span_from(text, (size_t)dot + 1);
	}
	return false;
}

bool leak_look_finds(const struct leak_look *look, struct span text)
{
	if (look->marks->everywhere)
		return text.len > 0;
	return (has_dot(text) && finds_dots(look, text)) || (look->colons && finds_colons(text));
}
