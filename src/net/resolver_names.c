/*
 * Names that need no question: what is no host name, what RFCs reserve, what a hosts file says. Pure functions, any thread.
 */
#include "net/resolver_internal.h"

enum { MAX_LABEL = 63, MAX_LINE_NAMES = 64 };

/* RFC 1123 2.1 and, since it is about, the underscore. */
static bool label_byte(uint8_t byte)
{
	return ascii_is_alpha(byte) || ascii_is_digit(byte) || byte == '-' || byte == '_';
}

/* A name whose last label is a number is an address in some spelling, and those are not looked up (127.1, 0x7f.1). */
static bool is_number(struct span label)
{
	size_t i = 0;

	if (label.len > 2 && label.at[0] == '0' && ascii_lower(label.at[1]) == 'x') {
		for (i = 2; i < label.len; i++)
			if (ascii_hex_digit(label.at[i]) < 0)
				return false;
		return true;
	}
	while (i < label.len && ascii_is_digit(label.at[i]))
		i++;
	return i == label.len;
}

bool resolver_name_check(struct span name, char *out)
{
	size_t start = 0;

	if (name.len == 0 || name.len > RESOLVER_MAX_NAME)
		return false;
	for (size_t i = 0; i <= name.len; i++) {
		if (i == name.len || name.at[i] == '.') {
			if (i == start || i - start > MAX_LABEL)
				return false;
			if (i == name.len && is_number(span_make(name.at + start, i - start)))
				return false;
			start = i + 1;
		} else if (!label_byte(name.at[i])) {
			return false;
		}
		if (i < name.len)
			out[i] = (char)ascii_lower(name.at[i]);
	}
	return true;
}

#define LOOPBACK_V4                                                                                          \
	{                                                                                                    \
		.family = ADDRESS_V4, .ip = { 127, 0, 0, 1 }                                                 \
	}
#define LOOPBACK_V6                                                                                          \
	{                                                                                                    \
		.family = ADDRESS_V6, .ip = { [15] = 1 }                                                     \
	}

/* What listens for tests and development mostly listens on IPv4 alone, so that comes first. */
static const struct resolver_answer loopback[] = {
	[RESOLVER_ANY] = {.count = 2, .addresses = {LOOPBACK_V4, LOOPBACK_V6}},
	[RESOLVER_V4_ONLY] = {.count = 1, .addresses = {LOOPBACK_V4}},
	[RESOLVER_V6_ONLY] = {.count = 1, .addresses = {LOOPBACK_V6}},
};

static bool is_or_ends_in(struct span name, struct span dotted)
{
	return span_equal(name, span_from(dotted, 1)) || span_ends_with(name, dotted);
}

const struct resolver_answer *resolver_name_special(struct span name, enum resolver_family family,
						    struct error *error)
{
	*error = ERROR_OK;
	if (is_or_ends_in(name, SPAN(".localhost"))) /* RFC 6761 6.3 */
		return &loopback[family];
	if (is_or_ends_in(name, SPAN(".invalid"))) /* RFC 6761 6.4 */
		*error = error_make(ERROR_DNS_FAILED, "names under .invalid do not exist");
	else if (is_or_ends_in(name, SPAN(".onion"))) /* RFC 7686 2 */
		*error = error_make(ERROR_DNS_FAILED, "names under .onion are not asked for in DNS");
	else if (is_or_ends_in(name, SPAN(".alt"))) /* RFC 9476 2 */
		*error = error_make(ERROR_DNS_FAILED, "names under .alt are not names of the DNS");
	return NULL;
}

void resolver_answer_add(struct resolver_answer *answer, const struct address *address)
{
	if (answer->count == RESOLVER_MAX_ADDRESSES)
		return;
	for (unsigned i = 0; i < answer->count; i++) {
		if (address_equal(&answer->addresses[i], address))
			return;
	}
	answer->addresses[answer->count++] = *address;
}

void resolver_answer_order(struct resolver_answer *answer, bool v6_first)
{
	uint8_t first = v6_first ? ADDRESS_V6 : ADDRESS_V4;
	struct resolver_answer ordered = {0};

	for (unsigned pass = 0; pass < 2; pass++) {
		for (unsigned i = 0; i < answer->count; i++) {
			if ((answer->addresses[i].family == first) == (pass == 0))
				ordered.addresses[ordered.count++] = answer->addresses[i];
		}
	}
	*answer = ordered;
}

/* --- hosts file --- */

static bool is_blank(uint8_t byte)
{
	return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\f' || byte == '\v';
}

/* The next word of the line; empty at its end. */
static struct span next_word(struct span *line)
{
	while (line->len > 0 && is_blank(line->at[0]))
		*line = span_from(*line, 1);
	size_t len = 0;
	while (len < line->len && !is_blank(line->at[len]))
		len++;
	struct span word = span_first(*line, len);
	*line = span_from(*line, len);
	return word;
}

static bool add_host(struct span name, const struct address *address, struct arena *arena, struct map *hosts)
{
	struct resolver_answer *answer = map_get(hosts, name);

	if (!answer) {
		struct span key = arena_copy(arena, name);
		answer = arena_zalloc(arena, 1, sizeof(*answer));
		if (!key.at || !answer || !map_put(hosts, key, answer))
			return false;
	}
	resolver_answer_add(answer, address);
	return true;
}

static bool parse_line(struct span line, struct arena *arena, struct map *hosts)
{
	struct address address;
	char lower[RESOLVER_MAX_NAME];

	if (!address_parse_ip(next_word(&line), &address))
		return true;
	for (unsigned i = 0; i < MAX_LINE_NAMES; i++) {
		struct span name = next_word(&line);
		if (name.len == 0)
			break;
		if (name.at[name.len - 1] == '.')
			name.len--;
		if (!resolver_name_check(name, lower))
			continue;
		if (!add_host(span_make(lower, name.len), &address, arena, hosts))
			return false;
	}
	return true;
}

bool resolver_hosts_parse(struct span text, struct arena *arena, struct map *hosts)
{
	while (text.len > 0) {
		struct span line, comment;
		(void)span_cut(text, '\n', &line, &text);
		(void)span_cut(line, '#', &line, &comment);
		if (!parse_line(line, arena, hosts))
			return false;
	}
	return true;
}
