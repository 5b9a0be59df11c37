/*
 * What is written is JSON, and says what was to be said, as another program reads it.
 */
#include "admin/json.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct memory memory;
static struct arena arena;

static int start(void **state)
{
	memory_init(&memory, 0);
	arena_init(&arena, &memory, NULL, NULL, 0);
	return 0;
}

static int end(void **state)
{
	arena_fini(&arena);
	return atomic_load(&memory.used) != 0;
}

static void test_values(void **state)
{
	struct json json;

	json_start(&json, &arena);
	json_open(&json, NULL, '{');
	json_put_text(&json, "text", SPAN("a\"b\\c\n\t\x01\x7f"));
	json_put_number(&json, "zero", 0);
	json_put_number(&json, "most", UINT64_MAX);
	json_put_bool(&json, "yes", true);
	json_put_bool(&json, "no", false);
	json_put_null(&json, "none");
	json_open(&json, "list", '[');
	json_put_text(&json, NULL, SPAN(""));
	json_open(&json, NULL, '{');
	json_close(&json, '}');
	json_open(&json, NULL, '[');
	json_close(&json, ']');
	json_close(&json, ']');
	json_put_format(&json, "said", "%d%%", 7);
	json_close(&json, '}');
	struct span text = json_end(&json);
	struct span wanted = SPAN("{\"text\":\"a\\\"b\\\\c\\u000a\\u0009\\u0001\\u007f\",\"zero\":0,"
				  "\"most\":18446744073709551615,\"yes\":true,\"no\":false,\"none\":null,"
				  "\"list\":[\"\",{},[]],\"said\":\"7%\"}\n");
	assert_int_equal(text.len, wanted.len);
	assert_memory_equal(text.at, wanted.at, wanted.len);
}

/* The text that jansson reads back. */
static void assert_read(struct span text, const char *wanted, size_t len)
{
	struct json json;

	json_start(&json, &arena);
	json_open(&json, NULL, '[');
	json_put_text(&json, NULL, text);
	json_close(&json, ']');
	struct span out = json_end(&json);
	assert_non_null(out.at);
	json_t *list = json_loadb((const char *)out.at, out.len, JSON_ALLOW_NUL, NULL);
	assert_non_null(list);
	const json_t *value = json_array_get(list, 0);
	assert_int_equal(json_string_length(value), len);
	assert_memory_equal(json_string_value(value), wanted, len);
	json_decref(list);
}

/* RFC 3629: well-formed sequences stay, every other byte is taken for Latin-1. */
static void test_utf8(void **state)
{
	static const struct {
		const char *text, *wanted;
	} cases[] = {
		{"\xc3\xa9", "\xc3\xa9"},
		{"\xe2\x82\xac", "\xe2\x82\xac"},
		{"\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80"},
		{"\xf4\x8f\xbf\xbf", "\xf4\x8f\xbf\xbf"},
		{"\xe9", "\xc3\xa9"},
		{"a\xc3", "a\xc3\x83"},
		{"\xc0\x80", "\xc3\x80\xc2\x80"},
		{"\xe0\x80\x80", "\xc3\xa0\xc2\x80\xc2\x80"},
		{"\xed\xa0\x80", "\xc3\xad\xc2\xa0\xc2\x80"},
		{"\xf0\x80\x80\x80", "\xc3\xb0\xc2\x80\xc2\x80\xc2\x80"},
		{"\xf4\x90\x80\x80", "\xc3\xb4\xc2\x90\xc2\x80\xc2\x80"},
		{"\xe2\x82", "\xc3\xa2\xc2\x82"},
		{"\x80", "\xc2\x80"},
		{"\xff", "\xc3\xbf"},
	};

	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
		assert_read(span_of(cases[i].text), cases[i].wanted, strlen(cases[i].wanted));
}

static void test_every_two_bytes(void **state)
{
	for (unsigned i = 0; i < 0x10000; i += 7) {
		uint8_t bytes[2] = {(uint8_t)(i >> 8), (uint8_t)i};
		struct arena one;
		struct json json;
		arena_init(&one, &memory, NULL, NULL, 0);
		json_start(&json, &one);
		json_open(&json, NULL, '[');
		json_put_text(&json, NULL, span_make(bytes, 2));
		json_close(&json, ']');
		struct span out = json_end(&json);
		json_t *list = json_loadb((const char *)out.at, out.len, JSON_ALLOW_NUL, NULL);
		assert_non_null(list);
		json_decref(list);
		arena_fini(&one);
	}
}

static void test_growth(void **state)
{
	struct json json;

	json_start(&json, &arena);
	json_open(&json, NULL, '[');
	for (uint64_t i = 0; i < 20000; i++)
		json_put_number(&json, NULL, i);
	json_close(&json, ']');
	struct span out = json_end(&json);
	json_t *list = json_loadb((const char *)out.at, out.len, 0, NULL);
	assert_int_equal(json_array_size(list), 20000);
	assert_int_equal(json_integer_value(json_array_get(list, 19999)), 19999);
	json_decref(list);
}

/* A failure is kept until the end, wherever it happened. */
static void test_memory(void **state)
{
	struct json json;

	memory.limit = 64 * 1024;
	json_start(&json, &arena);
	json_open(&json, NULL, '[');
	for (uint64_t i = 0; i < 100000; i++)
		json_put_number(&json, NULL, i);
	json_close(&json, ']');
	assert_null(json_end(&json).at);
	memory.limit = 0;
	json_put_null(&json, NULL);
	assert_null(json_end(&json).at);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_values, start, end),
		cmocka_unit_test_setup_teardown(test_utf8, start, end),
		cmocka_unit_test_setup_teardown(test_every_two_bytes, start, end),
		cmocka_unit_test_setup_teardown(test_growth, start, end),
		cmocka_unit_test_setup_teardown(test_memory, start, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
