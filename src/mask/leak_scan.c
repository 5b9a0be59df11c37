/*
 * Where in a text something of what is looked for stands. See leak_terms.h.
 */
#include "mask/leak_terms.h"

enum {
	NAME_MOST = 253, /* bytes of a longer name before the one that is known (RFC 1035 2.3.4) */
	TOKEN_MOST = 64, /* bytes of an address */
	PORT_DIGITS = 5,
	SCHEME_MOST = 5,
	NOTHING = -1,   /* nothing stands there */
	FOREIGN = 0x80, /* a byte that is no ASCII */
};

#define NOT_FOUND SIZE_MAX

/* ---- what stands beside ---- */

static bool is_alnum(int symbol)
{
	return symbol >= 0 && symbol < FOREIGN &&
	       (ascii_is_alpha((uint8_t)symbol) || ascii_is_digit((uint8_t)symbol));
}

static bool is_digit(int symbol)
{
	return symbol >= '0' && symbol <= '9';
}

static bool is_hex_at(struct span text, size_t at)
{
	return at < text.len && ascii_hex_digit(text.at[at]) >= 0;
}

static int hex_pair(struct span text, size_t at)
{
	return ascii_hex_digit(text.at[at]) * 16 + ascii_hex_digit(text.at[at + 1]);
}

/* "%2F" or "%252F" ends at `at`: how long it is; 0: none does. */
static size_t percent_before(struct span text, size_t at)
{
	size_t begin = at - 2;

	if (at < 3 || !is_hex_at(text, begin) || !is_hex_at(text, begin + 1))
		return 0;
	while (begin >= 3 && text.at[begin - 1] == '5' && text.at[begin - 2] == '2')
		begin -= 2;
	return text.at[begin - 1] == '%' ? at - begin + 1 : 0;
}

/* "\u002f" ends at `at`. */
static bool unicode_before(struct span text, size_t at)
{
	return at >= 6 && text.at[at - 6] == '\\' && text.at[at - 5] == 'u' && is_hex_at(text, at - 4) &&
	       is_hex_at(text, at - 3) && is_hex_at(text, at - 2) && is_hex_at(text, at - 1);
}

/* What the bytes before `at` end in: a byte, or an escape for one, which takes `width` bytes. */
static int symbol_before(struct span text, size_t at, size_t *width)
{
	*width = 0;
	if (at == 0)
		return NOTHING;
	*width = percent_before(text, at);
	if (*width)
		return hex_pair(text, at - 2);
	if (unicode_before(text, at)) {
		*width = 6;
		return hex_pair(text, at - 4) ? FOREIGN : hex_pair(text, at - 2);
	}
	if (at >= 2 && text.at[at - 2] == '\\' && memchr("nrtbf", text.at[at - 1], 5)) {
		*width = 2;
		return ' ';
	}
	*width = 1;
	return text.at[at - 1];
}

/* What stands at `at`, and how many bytes it takes. */
static int symbol_at(struct span text, size_t at, size_t *width)
{
	*width = at < text.len;
	if (at >= text.len)
		return NOTHING;
	if (text.at[at] != '%' || !is_hex_at(text, at + 1) || !is_hex_at(text, at + 2))
		return text.at[at];
	*width = 3;
	return hex_pair(text, at + 1);
}

static int second_before(struct span text, size_t at, size_t width)
{
	return symbol_before(text, at - width, &width);
}

static int second_at(struct span text, size_t at, size_t width)
{
	return symbol_at(text, at + width, &width);
}

/* ---- boundaries ---- */

static bool is_of_name(int symbol)
{
	return is_alnum(symbol) || symbol == '_' || symbol == '-';
}

static bool name_begins(struct span text, size_t at)
{
	size_t width;
	int before = symbol_before(text, at, &width);

	if (before == '-')
		return !is_of_name(second_before(text, at, width));
	return !is_alnum(before) && before != '_';
}

static bool name_ends(struct span text, size_t end)
{
	size_t width;
	int behind = symbol_at(text, end, &width);

	if (behind == '-' || behind == '.')
		return !is_of_name(second_at(text, end, width));
	return !is_alnum(behind) && behind != '_';
}

/* Where the longer name begins that ends in the one at `at`; not before `from`. */
static size_t name_begin(struct span text, size_t at, size_t from)
{
	size_t begin = at, width;

	if (at == from || text.at[at - 1] != '.')
		return at;
	while (begin > from && at - begin < NAME_MOST) {
		int before = symbol_before(text, begin, &width);
		if (width != 1 || !(is_of_name(before) || before == '.'))
			break;
		begin--;
	}
	while (begin < at && (text.at[begin] == '.' || text.at[begin] == '-'))
		begin++;
	return begin;
}

static bool address_begins(struct span text, size_t at)
{
	size_t width;
	int before = symbol_before(text, at, &width);

	return before == '.' ? !is_digit(second_before(text, at, width)) : !is_alnum(before);
}

static bool address_ends(struct span text, size_t end)
{
	size_t width;
	int behind = symbol_at(text, end, &width);

	return behind == '.' ? !is_digit(second_at(text, end, width)) : !is_alnum(behind);
}

static bool is_of_word(int symbol)
{
	return is_alnum(symbol) || symbol >= FOREIGN;
}

static bool word_stands_alone(struct span text, size_t at, size_t end)
{
	size_t width;

	return !(is_of_word(text.at[at]) && is_of_word(symbol_before(text, at, &width))) &&
	       !(is_of_word(text.at[end - 1]) && is_of_word(symbol_at(text, end, &width)));
}

/* ---- what belongs to a host ---- */

static size_t port_end(struct span text, size_t end)
{
	size_t width, digits = 0;

	if (symbol_at(text, end, &width) != ':')
		return end;
	while (end + width + digits < text.len && ascii_is_digit(text.at[end + width + digits]))
		digits++;
	return digits > 0 && digits <= PORT_DIGITS ? end + width + digits : end;
}

static bool is_scheme(struct span text)
{
	return span_equal_nocase(text, SPAN("https")) || span_equal_nocase(text, SPAN("http")) ||
	       span_equal_nocase(text, SPAN("wss")) || span_equal_nocase(text, SPAN("ws"));
}

/* The scheme before a host, however "://" is spelt. */
static void find_scheme(const struct leak_scan *scan, struct leak *leak)
{
	static const struct {
		const char *text;
		uint8_t len;
	} between[] = {{"://", 3}, {":\\/\\/", 5}, {"%3A%2F%2F", 9}, {":%2F%2F", 7}};
	struct span before = span_make(scan->text.at + scan->from, leak->at - scan->from);
	size_t end, begin, width;

	leak->scheme = leak->scheme_end = leak->at;
	for (size_t i = 0; i < ARRAY_LENGTH(between); i++) {
		struct span text = span_make(between[i].text, between[i].len);
		if (before.len < text.len || !span_equal_nocase(span_from(before, before.len - text.len), text))
			continue;
		begin = end = leak->at - text.len;
		while (begin > scan->from && end - begin < SCHEME_MOST &&
		       ascii_is_alpha(scan->text.at[begin - 1]) &&
		       symbol_before(scan->text, begin, &width) >= 0 && width == 1)
			begin--;
		if (!is_scheme(span_make(scan->text.at + begin, end - begin)) ||
		    is_alnum(symbol_before(scan->text, begin, &width)))
			return;
		leak->scheme = begin;
		leak->scheme_end = end;
		return;
	}
}

/* The leak is found from `at` to `end`: what is around it belongs to it too. */
static void complete(const struct leak_scan *scan, struct leak *leak)
{
	struct span text = scan->text;

	if (leak->kind == LEAK_NAME)
		leak->at = name_begin(text, leak->at, scan->from);
	if (leak->kind == LEAK_WORD || leak->kind == LEAK_ENCODED) {
		leak->scheme = leak->scheme_end = leak->at;
		return;
	}
	if (leak->at > scan->from && text.at[leak->at - 1] == '[' && leak->end < text.len &&
	    text.at[leak->end] == ']') {
		leak->at--;
		leak->end++;
	}
	leak->end = port_end(text, leak->end);
	find_scheme(scan, leak);
}

/* ---- patterns ---- */

/* A place in the text, in bytes and in symbols of it. */
struct place {
	size_t at, symbols;
};

static uint8_t read_symbol(const struct leak_scan *scan, struct place *place)
{
	size_t width = 1;
	uint8_t byte = scan->text.at[place->at];

	if (byte == '%' && scan->terms->encoded)
		byte = (uint8_t)symbol_at(scan->text, place->at, &width);
	place->at += width;
	place->symbols++;
	return byte;
}

/* So many symbols before `end`. */
static size_t step_back(const struct leak_scan *scan, size_t end, size_t symbols)
{
	struct span text = scan->text;

	if (!scan->terms->encoded)
		return end - symbols;
	while (symbols-- > 0)
		end -= end >= 3 && text.at[end - 3] == '%' && is_hex_at(text, end - 2) &&
				       is_hex_at(text, end - 1) ?
			       3 :
			       1;
	return end;
}

static bool pattern_holds(struct span text, const struct leak_pattern *pattern, size_t at, size_t end)
{
	switch (pattern->kind) {
	case LEAK_NAME:
		return name_begins(text, at) && name_ends(text, end);
	case LEAK_ADDRESS:
	case LEAK_NETWORK:
		return address_begins(text, at) && address_ends(text, end);
	case LEAK_WORD:
		return word_stands_alone(text, at, end);
	case LEAK_ENCODED:
		return span_equal(pattern->text, span_make(text.at + at, end - at));
	}
	return false;
}

/* Of the patterns that end here, the longest that holds and begins no later than the best so far. */
static void consider(const struct leak_scan *scan, uint32_t state, struct place here, struct leak *best,
		     size_t *best_symbol)
{
	ptrdiff_t index;

	while ((index = automaton_match(scan->terms->automaton, &state)) >= 0) {
		const struct leak_pattern *pattern = &scan->terms->patterns[index];
		size_t symbol = here.symbols - pattern->text.len;
		if (best->at != NOT_FOUND && symbol > *best_symbol)
			return;
		size_t at = step_back(scan, here.at, pattern->text.len);
		if (!pattern_holds(scan->text, pattern, at, here.at))
			continue;
		*best = (struct leak){.at = at, .end = here.at, .kind = pattern->kind, .term = pattern->text};
		*best_symbol = symbol;
		return;
	}
}

static void find_pattern(struct leak_scan *scan)
{
	const struct automaton *automaton = scan->terms->automaton;
	struct place here = {.at = scan->from};
	struct leak best = {.at = NOT_FOUND};
	size_t best_symbol = 0;
	uint32_t state = 0;

	while (here.at < scan->text.len) {
		state = automaton_step(automaton, state, read_symbol(scan, &here));
		if (state == 0) {
			if (best.at != NOT_FOUND)
				break;
			continue;
		}
		if (automaton->patterns[state] || automaton->shorter[state])
			consider(scan, state, here, &best, &best_symbol);
		/* Nothing that is still to come begins where the best one does, or before. */
		if (best.at != NOT_FOUND && here.symbols - automaton->depths[state] > best_symbol)
			break;
	}
	if (best.at != NOT_FOUND)
		complete(scan, &best);
	scan->pattern = best;
}

/* ---- addresses, however they are spelt ---- */

static bool network_is_inside(const struct leak_terms *terms, const struct address *address)
{
	for (size_t i = 0; i < terms->network_count; i++)
		if (network_contains(&terms->networks[i], address))
			return true;
	return false;
}

/* Servers' addresses of IPv4 are patterns, but for one in the clothes of IPv6. */
static bool address_is_inside(const struct leak_scan *scan, const struct address *address, enum leak_kind *kind)
{
	const struct leak_terms *terms = scan->terms;

	*kind = LEAK_ADDRESS;
	if (scan->server && scan->server->address) {
		struct address server = address_unmap(scan->server->address);
		if (address_equal_ip(address, &server))
			return true;
	}
	if (scan->server && inside_now_has(&scan->server->others, address))
		return true;
	for (size_t i = 0; i < terms->address_count; i++)
		if (address_equal_ip(address, &terms->addresses[i]))
			return true;
	*kind = LEAK_NETWORK;
	return network_is_inside(terms, address);
}

static bool is_of_address(uint8_t byte, bool colons)
{
	return byte == '.' || (colons ? byte == ':' || ascii_hex_digit(byte) >= 0 : ascii_is_digit(byte));
}

/* The run of such bytes around `mark`, without what ends a sentence. *end is behind the run. */
static struct leak token_around(const struct leak_scan *scan, size_t mark, bool colons, size_t *end)
{
	struct span text = scan->text;
	struct leak token = {.at = mark, .end = mark + 1};
	size_t width;

	while (token.at > scan->from && mark - token.at < TOKEN_MOST &&
	       is_of_address(text.at[token.at - 1], colons)) {
		symbol_before(text, token.at, &width);
		if (width != 1)
			break;
		token.at--;
	}
	while (token.end < text.len && token.end - mark < TOKEN_MOST &&
	       is_of_address(text.at[token.end], colons))
		token.end++;
	*end = token.end;
	while (token.at < token.end &&
	       (text.at[token.at] == '.' ||
		(text.at[token.at] == ':' && (token.at + 1 == token.end || text.at[token.at + 1] != ':'))))
		token.at++;
	while (token.end > token.at &&
	       (text.at[token.end - 1] == '.' ||
		(text.at[token.end - 1] == ':' && token.end - 1 > token.at && text.at[token.end - 2] != ':')))
		token.end--;
	return token;
}

static bool token_is_inside(const struct leak_scan *scan, struct leak *token)
{
	struct span text = span_make(scan->text.at + token->at, token->end - token->at);
	struct address address;

	if (text.len > TOKEN_MOST || !address_begins(scan->text, token->at) ||
	    !address_ends(scan->text, token->end) || !address_parse_ip(text, &address))
		return false;
	address = address_unmap(&address);
	if (!address_is_inside(scan, &address, &token->kind))
		return false;
	token->term = text;
	return true;
}

/* An address of IPv4 with a port, which looks like the beginning of one of IPv6, is found by its dots. */
static bool token_at(const struct leak_scan *scan, size_t mark, struct leak *token, size_t *end)
{
	*token = token_around(scan, mark, true, end);
	if (scan->text.at[mark] == ':')
		return token_is_inside(scan, token);
	*token = token_around(scan, mark, false, end);
	return token_is_inside(scan, token);
}

static void find_token(struct leak_scan *scan)
{
	const struct leak_terms *terms = scan->terms;
	struct span text = scan->text;
	bool server = scan->server && (scan->server->address || scan->server->others.has);
	bool wanted = terms->network_count || terms->address_count || server;

	for (size_t at = scan->from; wanted && at < text.len; at++) {
		struct leak token;
		size_t end;
		if (text.at[at] != '.' && text.at[at] != ':')
			continue;
		if (token_at(scan, at, &token, &end)) {
			complete(scan, &token);
			scan->token = token;
			return;
		}
		if (text.at[at] == '.')
			at = end - 1;
	}
	scan->token.at = NOT_FOUND;
}

/* ---- the name of the server itself ---- */

static void find_name(struct leak_scan *scan)
{
	struct span text = scan->text, name = scan->server ? scan->server->name : (struct span){0};

	for (size_t at = scan->from; name.len && at + name.len <= text.len; at++) {
		if (ascii_lower(text.at[at]) != ascii_lower(name.at[0]) ||
		    !span_equal_nocase(span_make(text.at + at, name.len), name) || !name_begins(text, at) ||
		    !name_ends(text, at + name.len))
			continue;
		scan->name = (struct leak){.at = at, .end = at + name.len, .kind = LEAK_NAME, .term = name};
		complete(scan, &scan->name);
		return;
	}
	scan->name.at = NOT_FOUND;
}

/* ---- one after the other ---- */

static struct span host_of(struct span authority)
{
	struct span host = authority;
	size_t digits = 0;

	while (digits < host.len && ascii_is_digit(host.at[host.len - 1 - digits]))
		digits++;
	if (digits < host.len && host.at[host.len - 1 - digits] == ':')
		host.len -= digits + 1;
	return host;
}

/* What the site's own name says is no secret. */
static bool is_public(const struct leak_scan *scan, const struct leak *leak)
{
	struct span found = span_make(scan->text.at + leak->at, leak->end - leak->at), host;

	if (leak->kind == LEAK_WORD || leak->kind == LEAK_ENCODED || !scan->site ||
	    scan->site->authority.len == 0)
		return false;
	host = host_of(scan->site->authority);
	if (span_equal_nocase(found, scan->site->authority) || span_equal_nocase(found, host))
		return true;
	if (leak->kind != LEAK_NAME || host.len <= leak->term.len)
		return false;
	return host.at[host.len - leak->term.len - 1] == '.' &&
	       span_equal_nocase(span_from(host, host.len - leak->term.len), leak->term);
}

static bool comes_before(const struct leak *leak, const struct leak *other)
{
	return leak->at < other->at || (leak->at == other->at && leak->end > other->end);
}

static void find_all(struct leak_scan *scan)
{
	if (!scan->has_pattern)
		find_pattern(scan);
	if (!scan->has_token)
		find_token(scan);
	if (!scan->has_name)
		find_name(scan);
}

bool leak_next(struct leak_scan *scan, struct leak *leak)
{
	do {
		find_all(scan);
		*leak = scan->pattern;
		if (scan->token.at != NOT_FOUND && comes_before(&scan->token, leak))
			*leak = scan->token;
		if (scan->name.at != NOT_FOUND && comes_before(&scan->name, leak))
			*leak = scan->name;
		if (leak->at == NOT_FOUND)
			return false;
		scan->from = leak->end;
		scan->has_pattern = scan->pattern.scheme >= leak->end || scan->pattern.at == NOT_FOUND;
		scan->has_token = scan->token.scheme >= leak->end || scan->token.at == NOT_FOUND;
		scan->has_name = scan->name.scheme >= leak->end || scan->name.at == NOT_FOUND;
	} while (is_public(scan, leak));
	return true;
}

/* ---- what may still become of the end of a text ---- */

/* Whether the byte may stand in a name, an address, an escape, or a reference that they are part of. */
static bool is_of_run(uint8_t byte)
{
	return is_alnum(byte) || byte == '.' || byte == '-' || byte == '_' || byte == ':' || byte == '/' ||
	       byte == '%' || byte == '\\' || byte == '[' || byte == ']';
}

bool leak_terms_wait(const struct leak_terms *terms, struct span text, size_t from)
{
	size_t at = text.len;

	if (text.len - from >= 2 * terms->reach)
		return false;
	while (at > from && is_of_run(text.at[at - 1]))
		at--;
	return at == from;
}

size_t leak_terms_settled(const struct leak_terms *terms, struct span text, size_t from)
{
	struct leak_scan scan = {.terms = terms, .text = text};
	size_t longest = (size_t)terms->automaton->longest * (terms->encoded ? 3 : 1) + 2;
	struct place here = {.at = size_max(from, text.len > longest ? text.len - longest : 0)};
	size_t settled = text.len;
	uint32_t state = 0;

	while (settled > from && text.len - settled < terms->reach && is_of_run(text.at[settled - 1]))
		settled--;
	while (here.at < text.len)
		state = automaton_step(terms->automaton, state, read_symbol(&scan, &here));
	size_t begun = step_back(&scan, text.len, terms->automaton->depths[state]);
	return size_max(from, size_min(settled, begun));
}
