/*
 * Basic credentials (RFC 7617): what is read, what is not, and that no byte beyond is looked at.
 */
#include "account/basic.h"

#include "core/base64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static enum basic_read read_plain(const char *plain, size_t len, struct basic *basic)
{
	char text[2048] = "Basic ";

	base64_encode(span_make(plain, len), text + 6);
	return basic_read(span_make(text, 6 + base64_length(len)), basic);
}

static void test_good(void **state)
{
	struct basic basic;

	/* RFC 7617 2, 2.1 */
	assert_int_equal(basic_read(SPAN("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="), &basic), BASIC_GOOD);
	assert_true(span_equal(basic.name, SPAN("Aladdin")));
	assert_true(span_equal(basic.password, SPAN("open sesame")));
	assert_int_equal(basic_read(SPAN("bASIC   dGVzdDoxMjPCow=="), &basic), BASIC_GOOD);
	assert_true(span_equal(basic.name, SPAN("test")));
	assert_true(span_equal(basic.password, SPAN("123\xc2\xa3")));
	/* the first colon parts */
	assert_int_equal(read_plain("a:b:c", 5, &basic), BASIC_GOOD);
	assert_true(span_equal(basic.name, SPAN("a")) && span_equal(basic.password, SPAN("b:c")));
	assert_int_equal(read_plain(":", 1, &basic), BASIC_GOOD);
	assert_true(basic.name.len == 0 && basic.password.len == 0);
}

static void test_bad(void **state)
{
	static const char *const bad[] = {"Basic",      "Basic ",         "Basic QQ",
					  "Basic Q",    "Basic QTpC=",    "Basic QTpC QTpC",
					  "Basic YWJj", "Basic \"QTpC\"", "Basic QTpC,"};
	static const char *const other[] = {"",          "Bearer QTpC", "Basi", "Basics QTpC", "Basic\tQTpC",
					    "Digest a=b"};
	struct basic basic;
	char plain[800];

	for (size_t i = 0; i < ARRAY_LENGTH(bad); i++)
		if (basic_read(span_of(bad[i]), &basic) != BASIC_BAD)
			fail_msg("%s", bad[i]);
	for (size_t i = 0; i < ARRAY_LENGTH(other); i++)
		if (basic_read(span_of(other[i]), &basic) != BASIC_OTHER)
			fail_msg("%s", other[i]);
	assert_int_equal(read_plain("a:b\0c", 5, &basic), BASIC_BAD);
	assert_int_equal(read_plain("a\n:b", 4, &basic), BASIC_BAD);
	assert_int_equal(read_plain("a:\x7f", 3, &basic), BASIC_BAD);
	/* as long as each may be, and one more */
	memset(plain, 'x', sizeof(plain));
	plain[255] = ':';
	assert_int_equal(read_plain(plain, 256 + 511, &basic), BASIC_GOOD);
	assert_int_equal(basic.name.len, 255);
	assert_int_equal(basic.password.len, 511);
	assert_int_equal(read_plain(plain, 256 + 512, &basic), BASIC_BAD);
	plain[255] = 'x';
	plain[256] = ':';
	assert_int_equal(read_plain(plain, 300, &basic), BASIC_BAD);
}

static void test_wiped(void **state)
{
	struct basic basic;

	assert_int_equal(read_plain("ann:secret", 10, &basic), BASIC_GOOD);
	basic_wipe(&basic);
	assert_null(memmem(&basic, sizeof(basic), "secret", 6));
	assert_int_equal(basic.password.len, 0);
}

static void test_split_everywhere(void **state)
{
	static const char text[] = "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==";
	struct basic basic;

	for (size_t cut = 0; cut < sizeof(text) - 1; cut++) {
		uint8_t *copy = malloc(cut + 1);
		memcpy(copy, text, cut);
		enum basic_read result = basic_read(span_make(copy, cut), &basic);
		if (result == BASIC_GOOD)
			assert_true(cut >= 18 && (cut - 6) % 4 == 0);
		free(copy);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_wiped),
		cmocka_unit_test(test_split_everywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
