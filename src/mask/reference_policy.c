/*
 * Values that say which hosts may do what: what names a server is taken out of them, so that nothing is allowed that was not before. See reference.h.
 */
#include "http/char.h"
#include "mask/reference_internal.h"

enum reference_fate reference_whole(const struct reference_map *map, struct span *value)
{
	return reference_mentions(map, *value) ? REFERENCE_GOES : REFERENCE_STAYS;
}

enum reference_fate reference_frame(const struct reference_map *map, struct span *value)
{
	if (!reference_mentions(map, *value))
		return REFERENCE_STAYS;
	*value = SPAN("DENY");
	return REFERENCE_CHANGED;
}

enum reference_fate reference_list(const struct reference_map *map, struct span *value)
{
	struct reference_text text = {.arena = map->arena};
	struct span rest = *value, member;

	if (!reference_mentions(map, *value))
		return REFERENCE_STAYS;
	while (http_list_next(&rest, &member)) {
		if (reference_mentions(map, member))
			continue;
		if (text.len > 0)
			reference_add(&text, SPAN(", "));
		reference_add(&text, member);
	}
	return reference_finish(&text, value);
}

/* ---- policies: directives with sources ---- */

/* The next of the words between spaces. */
static bool next_word(struct span *rest, struct span *word)
{
	size_t start = 0, end;

	while (start < rest->len && (rest->at[start] == ' ' || rest->at[start] == '\t'))
		start++;
	for (end = start; end < rest->len && rest->at[end] != ' ' && rest->at[end] != '\t';)
		end++;
	*word = span_make(rest->at + start, end - start);
	*rest = span_from(*rest, end);
	return word->len > 0;
}

/* Its words are sources, among which a label alone is a host (CSP level 3, 2.3.1). */
static bool takes_sources(struct span name)
{
	static const struct span names[] = {
		{(const uint8_t *)"base-uri", 8},
		{(const uint8_t *)"form-action", 11},
		{(const uint8_t *)"frame-ancestors", 15},
		{(const uint8_t *)"navigate-to", 11},
	};

	if (name.len > 4 && span_equal_nocase(span_from(name, name.len - 4), SPAN("-src")))
		return true;
	for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
		if (span_equal_nocase(name, names[i]))
			return true;
	return false;
}

/* host-source: [scheme "://"] ["*."] host [":" port] [path]. */
static bool source_is_inside(const struct reference_map *map, struct span source, bool sources)
{
	size_t start = 0, end;
	bool dots = false;

	if (source.at[0] == '\'' || source.at[source.len - 1] == ':') /* a keyword, a scheme */
		return false;
	for (end = 0; end < source.len && http_char_is(source.at[end], HTTP_CHAR_HOST | HTTP_CHAR_TOKEN);
	     end++) {
		dots = dots || source.at[end] == '.';
		if (source.len - end > 3 && source.at[end + 1] == ':' && source.at[end + 2] == '/' &&
		    source.at[end + 3] == '/') {
			start = end + 4;
			end += 3;
			dots = true; /* a label alone is a host here */
		}
	}
	if (end < source.len && source.at[end] != ':' && source.at[end] != '/')
		return reference_mentions(
			map, source); /* it is no source, but browsers report what they do not know */
	if (!dots && !sources)
		return false;
	struct span host = span_make(source.at + start, end - start);
	if (span_starts_with(host, SPAN("*.")))
		return reference_is_above(map, span_from(host, 2)) ||
		       reference_judge(map, span_from(host, 2), 0) == HOST_INSIDE;
	return reference_judge(map, host, reference_port(span_from(source, end))) == HOST_INSIDE;
}

/*
 * One directive. Without its last source it allows nothing, which it has to say: left out, it would allow all, or what default-src does. One that only tells whom to report to
 * goes instead.
 */
static void add_directive(const struct reference_map *map, struct span directive, struct reference_text *text)
{
	struct span rest = directive, name, word;
	size_t before = text->len;
	unsigned kept = 0, gone = 0;

	if (!next_word(&rest, &name)) {
		reference_add(text, directive);
		return;
	}
	bool sources = takes_sources(name);
	reference_add(text, span_first(directive, (size_t)(name.at - directive.at) + name.len));
	while (next_word(&rest, &word)) {
		if (source_is_inside(map, word, sources)) {
			gone++;
			continue;
		}
		kept++;
		reference_add(text, SPAN(" "));
		reference_add(text, word);
	}
	if (gone && !kept) {
		if (span_equal_nocase(name, SPAN("report-uri")))
			text->len = before;
		else
			reference_add(text, SPAN(" 'none'"));
	}
}

/* Several policies stand in one value with commas between them (CSP level 3, 2.2.2); none has one inside. */
static void add_policies(const struct reference_map *map, struct span policies, struct reference_text *text)
{
	struct span policy, directive;

	while (policies.len > 0) {
		bool more = span_cut(policies, ',', &policy, &policies);
		while (policy.len > 0) {
			bool next = span_cut(policy, ';', &directive, &policy);
			size_t before = text->len;
			add_directive(map, directive, text);
			if (next && text->len > before)
				reference_add(text, SPAN(";"));
		}
		if (more)
			reference_add(text, SPAN(","));
	}
}

/* The first pass, which most values need alone: whether any source of any directive is inside. */
static bool names_server(const struct reference_map *map, struct span value)
{
	bool first = true, sources = false;
	size_t start = 0;

	for (size_t at = 0; at <= value.len; at++) {
		uint8_t byte = at < value.len ? value.at[at] : ';';

		if (byte > ',' && byte != ';')
			continue;
		if (byte != ' ' && byte != '\t' && byte != ';' && byte != ',')
			continue;
		struct span word = span_make(value.at + start, at - start);
		if (word.len > 0 && first)
			sources = takes_sources(word);
		else if (word.len > 0 && source_is_inside(map, word, sources))
			return true;
		first = byte == ';' || byte == ',' || (first && word.len == 0);
		start = at + 1;
	}
	return false;
}

enum reference_fate reference_policy(const struct reference_map *map, struct span *value)
{
	struct reference_text text = {.arena = map->arena};

	if (!names_server(map, *value))
		return REFERENCE_STAYS;
	add_policies(map, *value, &text);
	return reference_finish(&text, value);
}

/* ---- Permissions-Policy ---- */

enum reference_fate reference_permissions(const struct reference_map *map, struct span *value)
{
	struct reference_text text = {.arena = map->arena};
	bool listed = false;

	if (!reference_mentions(map, *value))
		return REFERENCE_STAYS;
	for (size_t at = 0, end; at < value->len; at = end) {
		end = value->at[at] == '"' ? reference_quoted_end(*value, at) : at + 1;
		struct span piece = span_make(value->at + at, end - at);
		listed = piece.at[0] == '(' || (listed && piece.at[0] != ')');
		if (piece.at[0] != '"' || !reference_mentions(map, piece))
			reference_add(&text, piece);
		else if (!listed)
			reference_add(&text, SPAN("()")); /* nobody */
	}
	/* What is left names none; but it does where it stood outside of all strings. */
	return reference_mentions(map, span_make(text.at, text.len)) ? REFERENCE_GOES :
								       reference_finish(&text, value);
}
