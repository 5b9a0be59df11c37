/*
 * What tests of routes and rules share: an arena with diagnostics, settings from literals, a request head.
 */
#ifndef GUISE_TESTS_ROUTE_FIXTURE_H
#define GUISE_TESTS_ROUTE_FIXTURE_H

#include "core/diagnostic.h"
#include "http/target.h"
#include "mask/edit.h"
#include "mask/template.h"
#include "route/router.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct fixture {
	struct memory memory;
	struct arena arena;
	struct diagnostics diagnostics;
};

static inline void fixture_start(struct fixture *fixture)
{
	memory_init(&fixture->memory, 0);
	arena_init(&fixture->arena, &fixture->memory, NULL, NULL, 0);
	diagnostics_init(&fixture->diagnostics, &fixture->arena, "guise.yaml");
}

static inline void fixture_end(struct fixture *fixture)
{
	arena_fini(&fixture->arena);
	assert_int_equal(atomic_load(&fixture->memory.used), 0);
}

/* Whether a diagnostic has this text in it. */
static inline bool said(const struct fixture *fixture, const char *words)
{
	for (const struct diagnostic *one = fixture->diagnostics.first; one; one = one->next) {
		if (strstr(one->text, words))
			return true;
	}
	return false;
}

static inline struct setting_string string_of(const char *text)
{
	return (struct setting_string){.text = text, .len = strlen(text), .place = {.line = 7, .column = 3}};
}

/* "a b c" as three strings; in the arena. */
static inline struct setting_strings strings_of(struct fixture *fixture, const char *words)
{
	struct setting_strings strings = {.items = NULL};
	struct span rest = arena_copy(&fixture->arena, span_of(words)), word;
	bool more = rest.len > 0;

	strings.items = arena_zalloc(&fixture->arena, rest.len + 1, sizeof(*strings.items));
	while (more) {
		more = span_cut(rest, ' ', &word, &rest);
		word = arena_format(&fixture->arena, "%.*s", SPAN_ARG(word));
		strings.items[strings.count++] = string_of((const char *)word.at);
	}
	return strings;
}

/* "web" or "web:95 canary:5": groups with weights (else 1). */
static inline struct destination_settings to_of(struct fixture *fixture, const char *words)
{
	struct setting_strings names = strings_of(fixture, words);
	struct share_settings *items = arena_zalloc(&fixture->arena, names.count, sizeof(*items));
	struct destination_settings destination = {
		.to = {.items = items, .count = names.count, .place = {.line = 7, .column = 3}}};

	for (size_t i = 0; i < names.count; i++) {
		struct span name, weight;
		bool given = span_cut(span_of(names.items[i].text), ':', &name, &weight);
		items[i].weight = 1;
		if (given)
			assert_true(span_to_u64(weight, &items[i].weight));
		name = arena_format(&fixture->arena, "%.*s", SPAN_ARG(name));
		items[i].group = string_of((const char *)name.at);
	}
	return destination;
}

/* One pair; more are added by calling again. */
static inline void pair_add(struct fixture *fixture, struct setting_pairs *pairs, const char *name,
			    const char *value)
{
	struct setting_pair *items = arena_zalloc(&fixture->arena, pairs->count + 1, sizeof(*items));

	if (pairs->count > 0)
		memcpy(items, pairs->items, pairs->count * sizeof(*items));
	items[pairs->count++] = (struct setting_pair){.name = string_of(name), .value = string_of(value)};
	pairs->items = items;
}

/* A request as a codec gives it. */
static inline void head_make(struct fixture *fixture, struct http_head *head, const char *method,
			     const char *host, const char *path)
{
	struct error error = ERROR_OK;

	*head = (struct http_head){
		.method = (uint8_t)http_method_identify(span_of(method)),
		.method_text = span_of(method),
		.target_form = (uint8_t)(strcmp(path, "*") == 0 ? HTTP_TARGET_ASTERISK : HTTP_TARGET_ORIGIN),
		.scheme = SPAN("http"),
		.authority = span_of(host),
		.path = span_of(path),
		.version = HTTP_VERSION_11,
	};
	if (*host)
		assert_true(http_authority_parse(head->authority, &fixture->arena, &head->host, &error));
	http_fields_init(&head->fields, &fixture->arena);
}

static inline void head_add(struct http_head *head, const char *name, const char *value)
{
	struct span text = span_of(name);

	assert_true(http_fields_add(&head->fields, http_field_identify(text), text, span_of(value)));
}

static inline void assert_span(struct span span, const char *text)
{
	char got[4096];

	snprintf(got, sizeof(got), "%.*s", SPAN_ARG(span));
	assert_string_equal(got, text);
}

#endif
