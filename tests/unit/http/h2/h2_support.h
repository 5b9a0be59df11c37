/*
 * What the tests of HTTP/2's messages share: lists of fields, and reading them.
 */
#ifndef GUISE_TESTS_H2_SUPPORT_H
#define GUISE_TESTS_H2_SUPPORT_H

#include <stdlib.h>

#include "http/h2/message.h"
#include "http/h2/message_write.h"
#include "http/http_support.h"

/* A literal that may hold NULs. */
#define BYTES(literal)                                                                                       \
	{                                                                                                    \
		(const uint8_t *)("" literal), sizeof(literal) - 1                                           \
	}

struct row {
	struct span name, value;
};

#define F(name, value)                                                                                       \
	{                                                                                                    \
		BYTES(name), BYTES(value)                                                                    \
	}

enum { ROWS_MOST = 12 };

/* What comes in; a row without a name ends it. */
struct refused {
	struct row rows[ROWS_MOST];
	enum error_code code;
	const char *text; /* a part of the error's text */
	bool ended;
};

#define REFUSED(error, words, ends, ...)                                                                     \
	{                                                                                                    \
		.rows = {__VA_ARGS__}, .code = ERROR_##error, .text = (words), .ended = (ends)               \
	}

static const struct h2_message_rules usual_rules __attribute__((unused)) = {
	.request_line = 8192,
	.field_line = 8192,
	.fields = 100,
	.head = 32768,
	.extended_connect = true,
	.scheme = {(const uint8_t *)"https", 5},
};

struct h2_bench {
	struct bench base;
	struct arena *arena;
	struct h2_message message;
	struct http_head head;
	struct http_fields trailers;
	struct error error;
};

static inline void h2_bench_init(struct h2_bench *bench)
{
	memset(bench, 0, sizeof(*bench));
	bench_init(&bench->base);
	bench->arena = &bench->base.arena;
}

static inline void h2_bench_fini(struct h2_bench *bench)
{
	bench_fini(&bench->base);
}

/* Each field in memory of its own, which is gone right after: what is kept must be a copy. */
static inline void take_field(struct h2_bench *bench, struct span name, struct span value)
{
	uint8_t *bytes = malloc(name.len + value.len + 1);
	assert_non_null(bytes);
	for (size_t i = 0; i < name.len; i++)
		bytes[i] = name.at[i];
	for (size_t i = 0; i < value.len; i++)
		bytes[name.len + i] = value.at[i];
	h2_message_field(&bench->message, span_make(bytes, name.len), span_make(bytes + name.len, value.len));
	memset(bytes, '!', name.len + value.len);
	free(bytes);
}

static inline void take_rows(struct h2_bench *bench, const struct row *rows)
{
	for (unsigned i = 0; i < ROWS_MOST && (rows[i].name.at || rows[i].value.at); i++)
		take_field(bench, rows[i].name, rows[i].value);
}

static inline bool read_request(struct h2_bench *bench, const struct row *rows, bool ended,
				const struct h2_message_rules *rules)
{
	bench->error = ERROR_OK;
	h2_message_init(&bench->message, H2_MESSAGE_REQUEST, &bench->head, HTTP_METHOD_OTHER, bench->arena,
			rules);
	take_rows(bench, rows);
	return h2_message_end(&bench->message, ended, &bench->error);
}

static inline bool read_response(struct h2_bench *bench, const struct row *rows, bool ended,
				 enum http_method method)
{
	bench->error = ERROR_OK;
	h2_message_init(&bench->message, H2_MESSAGE_RESPONSE, &bench->head, method, bench->arena, &usual_rules);
	take_rows(bench, rows);
	return h2_message_end(&bench->message, ended, &bench->error);
}

static inline bool read_trailers(struct h2_bench *bench, const struct row *rows, bool ended)
{
	bench->error = ERROR_OK;
	h2_message_begin_trailers(&bench->message, &bench->trailers);
	take_rows(bench, rows);
	return h2_message_end(&bench->message, ended, &bench->error);
}

static inline void assert_refused(const struct h2_bench *bench, bool good, const struct refused *want,
				  unsigned index)
{
	if (good)
		fail_msg("case %u, \"%s\": accepted", index, want->text);
	if (bench->error.code != want->code || !strstr(error_text(&bench->error), want->text))
		fail_msg("case %u: got %s \"%s\", want %s \"%s\"", index, error_name(bench->error.code),
			 error_text(&bench->error), error_name(want->code), want->text);
}

/* The fields that are not dropped, as "name: value\n". */
static inline struct span fields_text(struct h2_bench *bench, const struct http_fields *fields)
{
	struct span text = SPAN("");
	uint32_t index = 0;
	for (const struct http_field *field; (field = http_fields_next(fields, &index));) {
		assert_int_equal(field->id, http_field_identify(field->name));
		text = arena_format(bench->arena, "%.*s%.*s: %.*s\n", SPAN_ARG(text), SPAN_ARG(field->name),
				    SPAN_ARG(field->value));
		assert_non_null(text.at);
	}
	return text;
}

/* "name: value\n"; with '!' before what is sensitive. */
static inline struct span list_text(struct h2_bench *bench, const struct h2_fields *list)
{
	struct span text = SPAN("");
	for (uint32_t i = 0; i < list->count; i++) {
		const struct h2_field *field = &list->items[i];
		text = arena_format(bench->arena, "%.*s%s%.*s: %.*s\n", SPAN_ARG(text),
				    field->sensitive ? "!" : "", SPAN_ARG(field->name), SPAN_ARG(field->value));
		assert_non_null(text.at);
	}
	return text;
}

#endif
