/*
 * Loading a configuration from text, and what was said about it.
 */
#ifndef GUISE_TESTS_CONFIG_FIXTURE_H
#define GUISE_TESTS_CONFIG_FIXTURE_H

#include "config/report.h"
#include "config/snapshot.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

struct loaded {
	struct memory memory;
	struct arena arena;
	struct diagnostics diagnostics;
	struct snapshot *snapshot;
	char *report; /* all of it, warnings too; the caller's file is named "c" */
};

static inline void loaded_init(struct loaded *loaded, const char *file)
{
	memory_init(&loaded->memory, 0);
	arena_init(&loaded->arena, &loaded->memory, NULL, NULL, 0);
	diagnostics_init(&loaded->diagnostics, &loaded->arena, file);
	loaded->snapshot = NULL;
	loaded->report = NULL;
}

static inline void loaded_report(struct loaded *loaded)
{
	size_t len;
	FILE *out = open_memstream(&loaded->report, &len);

	assert_non_null(out);
	report_print(out, &loaded->diagnostics, true, false);
	assert_int_equal(fclose(out), 0);
	assert_true((loaded->snapshot == NULL) == (loaded->diagnostics.errors > 0));
}

static inline void load_bytes(struct loaded *loaded, const char *text, size_t len)
{
	loaded_init(loaded, "c");
	loaded->snapshot = snapshot_from_yaml(span_make(text, len), "", &loaded->memory, &loaded->diagnostics);
	loaded_report(loaded);
}

static inline void load(struct loaded *loaded, const char *text)
{
	load_bytes(loaded, text, strlen(text));
}

/* Gives everything back, and looks whether that was all. */
static inline void unload(struct loaded *loaded)
{
	snapshot_release(loaded->snapshot);
	arena_fini(&loaded->arena);
	free(loaded->report);
	assert_int_equal(atomic_load(&loaded->memory.used), 0);
}

#endif
