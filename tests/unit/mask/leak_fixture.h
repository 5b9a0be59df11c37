/*
 * What tests of the leak guard share: a guard from a few lines, a site, and what was told.
 */
#ifndef GUISE_TESTS_LEAK_FIXTURE_H
#define GUISE_TESTS_LEAK_FIXTURE_H

#include "mask/leak_guard.h"
#include "mask/leak_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct leak_fixture {
	struct memory memory;
	struct arena arena;
	struct inside *inside;
	struct leak_settings settings;
	const struct leak_guard *guard;
	struct leak_server server;
	struct leak_public site;
	struct leak_context context;
	char told[4096];
	size_t told_len;
};

static inline void leak_told(void *owner, struct span where, const struct leak *leak, enum leak_done done)
{
	struct leak_fixture *fixture = owner;

	fixture->told_len += (size_t)snprintf(fixture->told + fixture->told_len,
					      sizeof(fixture->told) - fixture->told_len, "%.*s: %.*s %s\n",
					      SPAN_ARG(where), SPAN_ARG(leak->term), leak_done_name(done));
}

static inline void leak_strings(struct leak_fixture *fixture, struct setting_strings *strings,
				const char *const *texts)
{
	size_t count = 0;

	while (texts[count])
		count++;
	strings->items = arena_zalloc(&fixture->arena, count + 1, sizeof(*strings->items));
	for (strings->count = 0; strings->count < count; strings->count++)
		strings->items[strings->count] = (struct setting_string){.text = texts[strings->count],
									 .len = strlen(texts[strings->count])};
}

/* Policies as by default; hosts end with NULL. */
static inline void leak_begin(struct leak_fixture *fixture, const char *const *hosts)
{
	memset(fixture, 0, sizeof(*fixture));
	memory_init(&fixture->memory, 0);
	arena_init(&fixture->arena, &fixture->memory, NULL, NULL, 0);
	fixture->inside = inside_new(&fixture->arena);
	for (size_t i = 0; hosts[i]; i++)
		assert_true(inside_add(fixture->inside, span_of(hosts[i]), 8080));
	fixture->settings = (struct leak_settings){.heads = LEAK_REWRITE, .window = LEAK_WINDOW_LEAST};
	fixture->site = (struct leak_public){.scheme = SPAN("https"), .authority = SPAN("shop.example")};
	fixture->context = (struct leak_context){
		.server = &fixture->server, .site = &fixture->site, .on_leak = leak_told, .owner = fixture};
}

static inline void leak_compile(struct leak_fixture *fixture)
{
	struct diagnostics diagnostics = {0};

	assert_true(leak_guard_compile(&fixture->settings, fixture->inside, &fixture->arena, &diagnostics,
				       &fixture->guard));
	assert_non_null(fixture->guard);
}

static inline void leak_end(struct leak_fixture *fixture)
{
	inside_free(fixture->inside);
	arena_fini(&fixture->arena);
	assert_int_equal(atomic_load(&fixture->memory.used), 0);
}

#endif
