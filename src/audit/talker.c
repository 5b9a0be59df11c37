/*
 * Answers of the most talkative server there is. See talker.h.
 */
#include "audit/talker_internal.h"

enum {
	NAMES = 4,
	PARTS_MOST = 32, /* of one text with things in braces */
};

const struct talk *talk_find(struct span name)
{
	for (const struct talk *talk = talks; talk->name; talk++)
		if (span_equal(span_of(talk->name), name))
			return talk;
	return NULL;
}

const struct talk *talk_of_target(struct span target, struct span *token)
{
	ptrdiff_t at = span_search(target, SPAN(TALK_KEY));
	struct span name, rest;

	if (at < 0)
		return NULL;
	*token = span_from(target, (size_t)at + sizeof(TALK_KEY) - 1);
	(void)span_cut(*token, '&', token, &rest);
	(void)span_cut(*token, '.', &name, &rest);
	return talk_find(name);
}

/* ---- texts ---- */

static struct span part_of(const struct talker *talker, struct span word)
{
	if (span_equal(word, SPAN("inside")))
		return talker->inside;
	if (span_equal(word, SPAN("host")))
		return talker->host;
	if (span_equal(word, SPAN("address")))
		return talker->address;
	ENSURE(span_equal(word, SPAN("public")));
	return talker->public;
}

/* A brace that opens a word: those of JSON do not. */
static ptrdiff_t find_word(struct span text)
{
	static const struct span words[] = {SPAN("{inside}"), SPAN("{host}"), SPAN("{address}"),
					    SPAN("{public}")};
	ptrdiff_t first = -1;

	for (size_t i = 0; i < ARRAY_LENGTH(words); i++) {
		ptrdiff_t at = span_search(text, words[i]);

		if (at >= 0 && (first < 0 || at < first))
			first = at;
	}
	return first;
}

struct span talker_expand(const struct talker *talker, const char *text, struct arena *arena)
{
	struct span parts[PARTS_MOST], rest = span_of(text);
	unsigned count = 0;

	for (;;) {
		ptrdiff_t open = find_word(rest);
		struct span word, behind;

		ENSURE(count + 2 <= PARTS_MOST); /* texts are ours */
		if (open < 0)
			break;
		parts[count++] = span_first(rest, (size_t)open);
		(void)span_cut(span_from(rest, (size_t)open + 1), '}', &word, &behind);
		parts[count++] = part_of(talker, word);
		rest = behind;
	}
	parts[count++] = rest;
	return arena_join(arena, parts, count);
}

/* Where the needle begins, without case; -1: nowhere. */
static ptrdiff_t search_nocase(struct span bytes, struct span needle)
{
	for (size_t i = 0; needle.len && i + needle.len <= bytes.len; i++)
		if (span_equal_nocase(span_make(bytes.at + i, needle.len), needle))
			return (ptrdiff_t)i;
	return -1;
}

bool talker_is_named(const struct talker *talker, struct span bytes, struct span *name)
{
	const struct span names[NAMES] = {talker->inside, talker->host, talker->address, talker->plain};

	for (unsigned i = 0; i < NAMES; i++) {
		/* The bare host of a server without a name is its bare address. */
		bool secret = i != 1 || !span_starts_with(talker->address, talker->host);

		if (secret && search_nocase(bytes, names[i]) >= 0) {
			*name = names[i];
			return true;
		}
	}
	return false;
}

/* ---- answers ---- */

struct text {
	const struct talker *talker;
	struct arena *arena;
	struct span all; /* ->at is NULL: out of memory */
};

static void add(struct text *text, struct span bytes)
{
	const struct span parts[] = {text->all, bytes};

	text->all = text->all.at && bytes.at ? arena_join(text->arena, parts, ARRAY_LENGTH(parts)) :
					       (struct span){0};
}

static void add_text(struct text *text, const char *format, ...) PRINTF_LIKE(2, 3);

static void add_text(struct text *text, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	add(text, arena_format_list(text->arena, format, arguments));
	va_end(arguments);
}

static void add_fields(struct text *text, const struct talk_field *fields, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		struct span value = talker_expand(text->talker, fields[i].value, text->arena);

		if (!value.at)
			text->all = (struct span){0};
		else
			add_text(text, "%s: %.*s\r\n", fields[i].name, SPAN_ARG(value));
	}
}

static const struct talk_field *field_of(const struct talk *talk, const char *name)
{
	for (unsigned i = 0; i < talk->count; i++)
		if (strcmp(talk->fields[i].name, name) == 0)
			return &talk->fields[i];
	return NULL;
}

/* RFC 9110 13.1.2, for the one validator of the talk. */
static bool is_unchanged(const struct talk *talk, const struct talker_request *request)
{
	const struct talk_field *etag = field_of(talk, "ETag");

	return etag && request->if_none_match.len &&
	       span_search(request->if_none_match, span_of(etag->value)) >= 0;
}

/* RFC 9110 14.1.2: "bytes=2-5", within a body of at most ten bytes. */
static bool range_of(struct span range, size_t len, size_t *first, size_t *last)
{
	if (range.len != 9 || !span_starts_with(range, SPAN("bytes=")) || range.at[7] != '-' ||
	    !ascii_is_digit(range.at[6]) || !ascii_is_digit(range.at[8]))
		return false;
	*first = (size_t)(range.at[6] - '0');
	*last = (size_t)(range.at[8] - '0');
	return *first <= *last && *last < len;
}

static bool has_body(const struct talker_request *request)
{
	return !span_equal(request->method, SPAN("HEAD"));
}

/* The line of the status and the fields; what frames the body is left to the caller. */
static void add_head(struct text *text, const struct talk *talk, const char *status)
{
	add_text(text, "HTTP/1.1 %s\r\n", status);
	add_fields(text, talk->fields, talk->count);
}

static void add_plain(struct text *text, const struct talk *talk, const struct talker_request *request)
{
	struct span body = talker_expand(text->talker, talk->body, text->arena);
	size_t first = 0, last = 0;

	if (!body.at) {
		text->all = (struct span){0};
		return;
	}
	if (is_unchanged(talk, request)) {
		add_head(text, talk, "304 Not Modified");
		add(text, SPAN("\r\n"));
		return;
	}
	if (field_of(talk, "ETag") && range_of(request->range, body.len, &first, &last)) {
		add_head(text, talk, "206 Partial Content");
		add_text(text, "Content-Range: bytes %zu-%zu/%zu\r\n", first, last, body.len);
		body = span_make(body.at + first, last - first + 1);
	} else {
		add_head(text, talk, talk->status);
	}
	if (!field_of(talk, "Content-Type"))
		add(text, SPAN("Content-Type: text/html\r\n"));
	add_text(text, "Content-Length: %zu\r\n\r\n", body.len);
	if (has_body(request))
		add(text, body);
}

static void add_trailers(struct text *text, const struct talk *talk, const struct talker_request *request)
{
	add_head(text, talk, talk->status);
	add(text,
	    SPAN("Transfer-Encoding: chunked\r\nTrailer: X-Backend-Server, X-Aud-Trailer, Server-Timing\r\n\r\n"));
	if (!has_body(request))
		return;
	add_text(text, "%zx\r\n%s\r\n0\r\n", strlen(talk->body), talk->body);
	add_fields(text, talk->beside, talk->beside_count);
	add(text, SPAN("\r\n"));
}

/* RFC 9110 9.3.8 */
static void add_echo(struct text *text, const struct talker_request *request)
{
	add(text, SPAN("HTTP/1.1 200 OK\r\nContent-Type: message/http\r\n"));
	add_text(text, "Content-Length: %zu\r\n\r\n", request->head.len);
	add(text, request->head);
}

static void add_talk(struct text *text, const struct talk *talk, const struct talker_request *request,
		     bool *close)
{
	switch (talk->form) {
	case TALK_PLAIN:
		add_plain(text, talk, request);
		break;
	case TALK_INTERIM:
		add(text, SPAN("HTTP/1.1 103 Early Hints\r\n"));
		add_fields(text, talk->beside, talk->beside_count);
		add(text, SPAN("\r\n"));
		add_plain(text, talk, request);
		break;
	case TALK_TRAILERS:
		add_trailers(text, talk, request);
		break;
	case TALK_DIES:
		*close = true;
		break;
	case TALK_BREAKS:
		add_head(text, talk, talk->status);
		add_text(text, "Content-Length: %zu\r\n\r\n", 2 * strlen(talk->body));
		add(text, span_of(talk->body));
		*close = true;
		break;
	case TALK_GARBAGE:
		add(text, SPAN("AUDIT? what is that\r\n\r\n"));
		*close = true;
		break;
	}
}

struct span talker_answer(const struct talker *talker, const struct talker_request *request,
			  struct arena *arena, bool *close)
{
	struct text text = {talker, arena, SPAN("")};
	struct span token;
	const struct talk *talk = talk_of_target(request->target, &token);

	*close = false;
	if (!talk)
		add_text(&text, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n%s",
			 has_body(request) ? "ok\n" : "");
	else if (span_equal(request->method, SPAN("TRACE")))
		add_echo(&text, request);
	else
		add_talk(&text, talk, request, close);
	return text.all;
}
