/*
 * Base64, with padding and for URLs.
 */
#include "core/base64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

/* RFC 4648 10, and bytes whose digits differ between the alphabets. */
static const struct {
	const char *bytes, *plain, *url;
} vectors[] = {
	{"", "", ""},
	{"f", "Zg==", "Zg"},
	{"fo", "Zm8=", "Zm8"},
	{"foo", "Zm9v", "Zm9v"},
	{"foob", "Zm9vYg==", "Zm9vYg"},
	{"fooba", "Zm9vYmE=", "Zm9vYmE"},
	{"foobar", "Zm9vYmFy", "Zm9vYmFy"},
	{"\xfb\xff\xbf", "+/+/", "-_-_"},
	{"\xff", "/w==", "_w"},
};

static void test_vectors(void **state)
{
	char text[64];
	uint8_t back[64];
	size_t len;

	for (size_t i = 0; i < ARRAY_LENGTH(vectors); i++) {
		struct span bytes = span_of(vectors[i].bytes);
		memset(text, 0, sizeof(text));
		base64_encode(bytes, text);
		assert_string_equal(text, vectors[i].plain);
		assert_true(base64_decode(span_of(text), back, bytes.len, &len));
		assert_int_equal(len, bytes.len);
		assert_memory_equal(back, bytes.at, len);
		assert_true(bytes.len == 0 || !base64_decode(span_of(text), back, bytes.len - 1, &len));
		assert_int_equal(base64_length(bytes.len), strlen(text));
		memset(text, 0, sizeof(text));
		base64url_encode(bytes, text);
		assert_string_equal(text, vectors[i].url);
		assert_int_equal(base64url_length(bytes.len), strlen(text));
		assert_true(base64url_decode(span_of(text), back, bytes.len));
		assert_memory_equal(back, bytes.at, bytes.len);
	}
}

static void test_nothing_else_is_read(void **state)
{
	static const char *const texts[] = {
		"Zm9v+",   "Zm9+",    "Zm9/",  "Zm9 ", "Zm8=", "Zg==",
		"Zm9v\nb", "Zm9\x80", "Zm9vY", "Zm9",  "",     "Zm9vZm9vZm9v",
	};
	static const char *const padded[] = {"Zg",   "Zg=",   "Zg===", "=",        "====",
					     "Z===", "Zh==",  "Zm9=",  "Zm9-",     "Zm9_",
					     "Zm 9", "Zm9v=", "=Zg=",  "Zg==Zg==", "Zm9v\nZg=="};
	uint8_t out[64];
	size_t len;

	for (size_t i = 0; i < ARRAY_LENGTH(padded); i++)
		if (base64_decode(span_of(padded[i]), out, sizeof(out), &len))
			fail_msg("%s", padded[i]);
	for (size_t i = 0; i < ARRAY_LENGTH(texts); i++)
		if (base64url_decode(span_of(texts[i]), out, 3))
			fail_msg("%s", texts[i]);
	/* RFC 4648 3.5: bits that mean nothing are zero. */
	assert_true(base64url_decode(SPAN("Zg"), out, 1));
	assert_false(base64url_decode(SPAN("Zh"), out, 1));
	assert_true(base64url_decode(SPAN("Zm8"), out, 2));
	assert_false(base64url_decode(SPAN("Zm9"), out, 2));
}

/* Each byte in each place. */
static void test_round_trip(void **state)
{
	for (size_t len = 0; len < 8; len++)
		for (unsigned value = 0; value < 256; value++) {
			uint8_t bytes[8], back[8];
			char text[16];
			for (size_t i = 0; i < len; i++)
				bytes[i] = (uint8_t)(value * (i + 1) + i);
			base64url_encode(span_make(bytes, len), text);
			assert_true(base64url_decode(span_make(text, base64url_length(len)), back, len));
			assert_memory_equal(bytes, back, len);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_nothing_else_is_read),
		cmocka_unit_test(test_round_trip),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
