/*
 * What is looked for, compiled. See leak_terms.h; leak_scan.c finds it.
 */
#include "mask/leak_terms.h"

#include "core/base64.h"

enum {
	NAME_LEFT = 253 + 2, /* bytes of a longer name before the one that is known */
	AROUND = 64,         /* a scheme, brackets, a port, and what stands beside */
	PERCENT = 3,         /* bytes of one that is encoded */
	ALIGNMENTS = 3,      /* of base64 */
};

/* While it is compiled. */
struct gathering {
	struct leak_terms *terms;
	struct arena *arena;
	struct leak_pattern *patterns;
	struct span *texts;
	struct address *addresses;
	size_t count;
};

static void add_pattern(struct gathering *gathering, struct span text, enum leak_kind kind)
{
	struct leak_terms *terms = gathering->terms;
	ptrdiff_t dot = span_find(text, '.');

	if (dot > 0 && (size_t)dot + 1 < text.len)
		leak_marks_add(&terms->marks, text.at[dot - 1], text.at[dot + 1]);
	else
		terms->marks.everywhere = true;
	gathering->patterns[gathering->count] = (struct leak_pattern){.text = text, .kind = kind};
	gathering->texts[gathering->count++] = text;
}

/*
 * The characters of base64 that tell of the text alone, at each of the three places where it can stand. Digits, dots and colons never become one
 * of those two in which the alphabets differ (RFC 4648 4, 5).
 */
static bool add_base64(struct gathering *gathering, struct span text)
{
	for (size_t before = 0; before < ALIGNMENTS; before++) {
		uint8_t bytes[ADDRESS_TEXT + ALIGNMENTS] = {0};
		struct span padded = span_make(bytes, before + text.len);
		char *out = arena_alloc(gathering->arena, base64_length(padded.len));
		size_t first = before + (before > 0);
		if (!out)
			return false;
		memcpy(bytes + before, text.at, text.len);
		base64_encode(padded, out);
		add_pattern(gathering, span_make(out + first, padded.len * 8 / 6 - first), LEAK_ENCODED);
	}
	return true;
}

static bool add_host(struct gathering *gathering, struct span host, bool encoded)
{
	struct leak_terms *terms = gathering->terms;
	struct address address;

	if (!address_parse_ip(host, &address)) {
		/* A single label is a word like any other: to look for it would break whatever it stands in. */
		if (span_find(host, '.') > 0)
			add_pattern(gathering, host, LEAK_NAME);
		return true;
	}
	if (address.family == ADDRESS_V4) {
		add_pattern(gathering, host, LEAK_ADDRESS);
	} else {
		gathering->addresses[terms->address_count++] = address;
		terms->marks.colons = true;
	}
	return !encoded || add_base64(gathering, host);
}

static void note_networks(struct leak_terms *terms)
{
	for (size_t i = 0; i < terms->network_count; i++) {
		terms->marks.colons = true; /* of IPv4 too: ::ffff:10.0.0.1 */
		terms->marks.digits |= terms->networks[i].address.family == ADDRESS_V4;
	}
}

bool leak_terms_compile(struct leak_terms *terms, const struct inside *inside, const struct leak_wish *wish,
			struct arena *arena)
{
	struct gathering gathering = {.terms = terms, .arena = arena};
	const struct inside_host *host;
	size_t most = wish->word_count;

	*terms = (struct leak_terms){.networks = wish->networks,
				     .network_count = wish->network_count,
				     .encoded = wish->encoded,
				     .marks = {.everywhere = wish->encoded}};
	for (host = inside_first(inside); host; host = inside_next(host))
		most += 1 + (wish->encoded ? ALIGNMENTS : 0);
	gathering.patterns = arena_zalloc(arena, most + 1, sizeof(*gathering.patterns));
	gathering.texts = arena_zalloc(arena, most + 1, sizeof(*gathering.texts));
	gathering.addresses = arena_zalloc(arena, most + 1, sizeof(*gathering.addresses));
	if (!gathering.patterns || !gathering.texts || !gathering.addresses)
		return false;
	for (host = inside_first(inside); host; host = inside_next(host))
		if (!add_host(&gathering, inside_host(host), wish->encoded))
			return false;
	for (size_t i = 0; i < wish->word_count; i++)
		add_pattern(&gathering, wish->words[i], LEAK_WORD);
	note_networks(terms);
	terms->patterns = gathering.patterns;
	terms->addresses = gathering.addresses;
	terms->automaton = automaton_build(gathering.texts, gathering.count, arena);
	if (!terms->automaton)
		return false;
	terms->reach = size_max(terms->automaton->longest, NAME_LEFT) * (wish->encoded ? PERCENT : 1) +
		       NAME_LEFT + AROUND;
	return true;
}
