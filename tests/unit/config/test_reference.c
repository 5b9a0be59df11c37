/*
 * The table itself: every example and every default is good, the page in the tree is what it generates, and so is the schema.
 */
#include "config_fixture.h"

#include "config/bind.h"
#include "config/reference.h"

#include <jansson.h>

enum { OBJECT_MAX = 65536 };

static void bind_text(const struct setting *row, const char *path, const char *what, const char *yaml)
{
	struct bind bind = {.base = ""};
	struct loaded loaded;
	struct node *node;
	void *object;

	loaded_init(&loaded, path);
	object = arena_zalloc(&loaded.arena, 1, OBJECT_MAX);
	assert_non_null(object);
	bind.arena = &loaded.arena;
	bind.diagnostics = &loaded.diagnostics;
	node = node_parse(&loaded.arena, span_of(yaml), &loaded.diagnostics);
	if (node)
		bind_setting(&bind, row, object, node);
	assert_false(bind.out_of_memory);
	if (loaded.diagnostics.errors > 0) {
		loaded.snapshot = NULL;
		loaded_report(&loaded);
		fail_msg("%s of %s.%s: %s", what, path, row->key, loaded.report);
	}
	unload(&loaded);
}

static void walk(const struct setting *rows, const char *path)
{
	for (const struct setting *row = rows; row->key; row++) {
		char inner[200];
		snprintf(inner, sizeof(inner), "%s.%s", path, row->key);
		if (!row->summary || !*row->summary)
			fail_msg("%s has no summary", inner);
		if (!row->example)
			fail_msg("%s has no example", inner);
		bind_text(row, path, "the example", row->example);
		if (row->fallback)
			bind_text(row, path, "the default", row->fallback);
		if (row->rows)
			walk(row->rows, inner);
	}
}

static void test_examples_and_defaults(void **state)
{
	walk(settings_rows, "");
}

static char *read_page(const char *path)
{
	FILE *file = fopen(path, "r");
	char *text = NULL;
	size_t room = 0;

	assert_non_null(file);
	assert_true(getdelim(&text, &room, '\0', file) > 0);
	fclose(file);
	return text;
}

static void test_page_is_up_to_date(void **state)
{
	char *generated = NULL, *committed = read_page(TEST_SOURCE_ROOT "/docs/configuration.md");
	size_t len;
	FILE *out = open_memstream(&generated, &len);

	assert_non_null(out);
	reference_markdown(out);
	assert_int_equal(fclose(out), 0);
	if (strcmp(generated, committed) != 0)
		fail_msg("docs/configuration.md is not what the table says: tools/configuration > docs/configuration.md");
	free(generated);
	free(committed);
}

static const json_t *at(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	if (!value)
		fail_msg("no \"%s\" in the schema", key);
	return value;
}

static void test_schema(void **state)
{
	char *text = reference_schema();
	json_t *schema;
	const json_t *properties, *listener;

	assert_non_null(text);
	schema = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(schema);
	assert_string_equal(json_string_value(at(schema, "$schema")),
			    "https://json-schema.org/draft/2020-12/schema");
	properties = at(schema, "properties");
	const struct setting *row = settings_rows;
	for (; row->key; row++)
		at(at(properties, row->key), "description");
	assert_int_equal(json_object_size(properties), row - settings_rows);
	listener = at(at(properties, "forward"), "items");
	assert_string_equal(json_string_value(json_array_get(at(listener, "required"), 0)), "listen");
	assert_true(json_is_false(at(listener, "additionalProperties")));
	assert_string_equal(json_string_value(at(at(at(listener, "properties"), "http2"), "default")), "tls");
	json_decref(schema);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_examples_and_defaults),
		cmocka_unit_test(test_page_is_up_to_date),
		cmocka_unit_test(test_schema),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
