/*
 * Templates: compiled once, rendered for each request in two passes, one to measure and one to write. Immutable; any
 * thread.
 */
#include "mask/template.h"

#include "http/target.h"

#define TEMPLATE_TABLE(ROW)                                                                                  \
	ROW(HOST, "host")                                                                                    \
	ROW(URI, "uri")                                                                                      \
	ROW(PATH, "path")                                                                                    \
	ROW(QUERY, "query")                                                                                  \
	ROW(SCHEME, "scheme")                                                                                \
	ROW(METHOD, "method")                                                                                \
	ROW(CLIENT, "client")                                                                                \
	ROW(NAME, "name")

enum variable {
	VARIABLE_LITERAL,
#define ROW(id, name) VARIABLE_##id,
	TEMPLATE_TABLE(ROW)
#undef ROW
};

static const char *const names[] = {
#define ROW(id, name) name,
	TEMPLATE_TABLE(ROW)
#undef ROW
		NULL,
};

struct part {
	enum variable variable;
	struct span text; /* LITERAL */
};

struct template
{
	bool location;
	struct part *parts;
	size_t count;
};

static enum variable find_variable(struct span name)
{
	for (int i = 0; names[i]; i++) {
		if (span_equal(name, span_of(names[i])))
			return (enum variable)(i + 1);
	}
	return VARIABLE_LITERAL;
}

static void report_unknown(struct span name, struct setting_place place, struct diagnostics *diagnostics)
{
	struct span word = arena_format(diagnostics->arena, "%.*s", SPAN_ARG(name));
	const char *near = word.at ? diagnostics_suggest((const char *)word.at, names) : NULL;

	if (near)
		diagnostics_error(diagnostics, place, "unknown variable \"{%.*s}\", did you mean \"{%s}\"?",
				  SPAN_ARG(name), near);
	else
		diagnostics_error(
			diagnostics, place,
			"unknown variable \"{%.*s}\"; there are {host} {uri} {path} {query} {scheme} {method} "
			"{client} {name}, and \"{{\" is a brace",
			SPAN_ARG(name));
}

static void add_part(struct template *template, enum variable variable, struct span text)
{
	if (variable != VARIABLE_LITERAL || text.len > 0)
		template->parts[template->count++] = (struct part){.variable = variable, .text = text};
}

/* Cuts the text into parts; there is room for one per byte and one more. */
static bool cut_parts(struct span text, struct setting_place place, struct diagnostics *diagnostics,
		      struct template *template)
{
	size_t start = 0;
	bool good = true;

	for (size_t i = 0; i < text.len; i++) {
		struct span rest = span_from(text, i + 1), name, after;

		if (text.at[i] != '{')
			continue;
		if (rest.len > 0 && rest.at[0] == '{') {
			add_part(template, VARIABLE_LITERAL, span_make(text.at + start, i + 1 - start));
			start = ++i + 1;
			continue;
		}
		if (!span_cut(rest, '}', &name, &after)) {
			diagnostics_error(diagnostics, place, "\"{\" without \"}\"; \"{{\" is a brace");
			return false;
		}
		add_part(template, VARIABLE_LITERAL, span_make(text.at + start, i - start));
		if (find_variable(name) == VARIABLE_LITERAL) {
			report_unknown(name, place, diagnostics);
			good = false;
		}
		add_part(template, find_variable(name), span_make(NULL, 0));
		i += name.len + 1;
		start = i + 1;
	}
	add_part(template, VARIABLE_LITERAL, span_from(text, start));
	return good;
}

static const struct template *compile(struct span text, bool location, struct setting_place place,
				      struct arena *arena, struct diagnostics *diagnostics)
{
	struct template *template = arena_zalloc(arena, 1, sizeof(*template));

	if (template)
		template->parts = arena_zalloc(arena, text.len + 1, sizeof(*template->parts));
	if (!template || !template->parts) {
		diagnostics_error(diagnostics, place, "out of memory");
		return NULL;
	}
	template->location = location;
	if (!http_is_field_value(text)) {
		diagnostics_error(diagnostics, place, "a control byte (a line break?) cannot stand in a field");
		return NULL;
	}
	if (location && text.len == 0) {
		diagnostics_error(diagnostics, place, "a redirect needs a place to go to");
		return NULL;
	}
	return cut_parts(text, place, diagnostics, template) ? template : NULL;
}

const struct template *template_compile(struct span text, struct setting_place place, struct arena *arena,
					struct diagnostics *diagnostics)
{
	return compile(text, false, place, arena, diagnostics);
}

const struct template *template_compile_location(struct span text, struct setting_place place,
						 struct arena *arena, struct diagnostics *diagnostics)
{
	return compile(text, true, place, arena, diagnostics);
}

static struct span value_of(const struct part *part, const struct template_context *context)
{
	const struct http_head *request = context->request;
	bool rooted = request->path.len > 0 && request->path.at[0] == '/';

	switch (part->variable) {
	case VARIABLE_LITERAL:
		return part->text;
	case VARIABLE_HOST:
		return request->host.host;
	case VARIABLE_URI:
		return rooted ? request->path : SPAN("/");
	case VARIABLE_PATH:
		return rooted ? http_path_only(request->path) : SPAN("/");
	case VARIABLE_QUERY:
		return http_query_only(request->path);
	case VARIABLE_SCHEME:
		return context->scheme.len > 0 ? context->scheme : request->scheme;
	case VARIABLE_METHOD:
		return request->method_text;
	case VARIABLE_CLIENT:
		return context->client;
	case VARIABLE_NAME:
		return context->name;
	}
	return span_make(NULL, 0);
}

static bool is_hexadecimal(uint8_t byte)
{
	return ascii_is_digit(byte) || (ascii_lower(byte) >= 'a' && ascii_lower(byte) <= 'f');
}

/*
 * Whether the byte stands for itself in a URI (RFC 3986 2): unreserved, reserved, or the beginning of an encoding.
 * What the configuration says is taken at its word, as long as it is visible ASCII.
 */
static bool is_uri_byte(struct span text, size_t at, bool literal)
{
	uint8_t byte = text.at[at];

	if (literal)
		return byte > ' ' && byte < 0x7f;
	if (byte == '%')
		return at + 2 < text.len && is_hexadecimal(text.at[at + 1]) && is_hexadecimal(text.at[at + 2]);
	return byte > ' ' && byte < 0x7f && !memchr("\"<>\\^`{|}", byte, 9);
}

/* Writes one value, or counts only when `out` is NULL; the number of bytes. */
static size_t put(const struct template *template, struct span text, bool literal, uint8_t *out)
{
	static const uint8_t digits[] = "0123456789ABCDEF";
	size_t len = 0;

	for (size_t i = 0; i < text.len; i++) {
		uint8_t byte = text.at[i];

		if (template->location && !is_uri_byte(text, i, literal)) {
			if (out)
				memcpy(out + len, (uint8_t[]){'%', digits[byte >> 4], digits[byte & 15]}, 3);
			len += 3;
			continue;
		}
		/* Never a line break or NUL, whatever else went wrong before (RFC 9110 5.5). */
		if ((byte < ' ' && byte != '\t') || byte == 0x7f)
			byte = ' ';
		if (out)
			out[len] = byte;
		len++;
	}
	return len;
}

static size_t put_all(const struct template *template, const struct template_context *context, uint8_t *out)
{
	size_t len = 0;

	for (size_t i = 0; i < template->count; i++) {
		const struct part *part = &template->parts[i];
		struct span value = value_of(part, context);
		bool brackets = part->variable == VARIABLE_HOST && span_find(value, ':') >= 0;

		if (brackets && out)
			out[len] = '[';
		len += brackets;
		len += put(template, value, part->variable == VARIABLE_LITERAL, out ? out + len : NULL);
		if (brackets && out)
			out[len] = ']';
		len += brackets;
	}
	return len;
}

/* "//evil.example" would be another host to go to (RFC 3986 4.2): only what the configuration begins so may begin so. */
static struct span one_slash(const struct template *template, struct span text)
{
	const struct part *first = template->parts;

	if (first->variable == VARIABLE_LITERAL && span_starts_with(first->text, SPAN("//")))
		return text;
	while (span_starts_with(text, SPAN("//")))
		text = span_from(text, 1);
	return text;
}

bool template_render(const struct template *template, const struct template_context *context,
		     struct arena *arena, struct span *text)
{
	size_t len = put_all(template, context, NULL);
	uint8_t *out = arena_alloc(arena, len);

	if (!out)
		return false;
	put_all(template, context, out);
	*text = span_make(out, len);
	if (template->location)
		*text = one_slash(template, *text);
	else
		*text = span_trim(*text);
	return true;
}
