/* Deterministic sealing: the vector of RFC 5297 A.1, the same for the same, and nothing that was not sealed opens. */
#include "tls/siv.h"

/* cmocka wants these before it */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static const uint8_t key[SIV_KEY] = {
	0xff, 0xfe, 0xfd, 0xfc, 0xfb, 0xfa, 0xf9, 0xf8, 0xf7, 0xf6, 0xf5, 0xf4, 0xf3, 0xf2, 0xf1, 0xf0,
	0xf0, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa, 0xfb, 0xfc, 0xfd, 0xfe, 0xff,
};
static const uint8_t plain[] = {0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77,
				0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee};
static const uint8_t sealed[] = {0x85, 0x63, 0x2d, 0x07, 0xc6, 0xe8, 0xf3, 0x7f, 0x95, 0x0a,
				 0xcd, 0x32, 0x0a, 0x2e, 0xcc, 0x93, 0x40, 0xc0, 0x2b, 0x96,
				 0x90, 0xc4, 0xdc, 0x04, 0xda, 0xef, 0x7f, 0x6a, 0xfe, 0x5c};

static struct span context(void)
{
	static const uint8_t bytes[] = {0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17,
					0x18, 0x19, 0x1a, 0x1b, 0x1c, 0x1d, 0x1e, 0x1f,
					0x20, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x27};
	return span_make(bytes, sizeof(bytes));
}

static void test_vector(void **state)
{
	uint8_t out[sizeof(sealed)], back[sizeof(plain)];
	struct siv *siv = siv_new(key);

	assert_non_null(siv);
	for (int i = 0; i < 3; i++) { /* each value begins anew */
		assert_true(siv_close(siv, context(), span_make(plain, sizeof(plain)), out));
		assert_memory_equal(out, sealed, sizeof(sealed));
		assert_true(siv_open(siv, context(), span_make(sealed, sizeof(sealed)), back));
		assert_memory_equal(back, plain, sizeof(plain));
	}
	siv_free(siv);
}

static void test_nothing_else_opens(void **state)
{
	uint8_t changed[sizeof(sealed)], back[sizeof(plain)];
	struct siv *siv = siv_new(key);

	assert_non_null(siv);
	for (size_t bit = 0; bit < sizeof(sealed) * 8; bit++) {
		memcpy(changed, sealed, sizeof(sealed));
		changed[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_false(siv_open(siv, context(), span_make(changed, sizeof(changed)), back));
	}
	for (size_t len = 0; len < sizeof(sealed); len++)
		assert_false(siv_open(siv, context(), span_make(sealed, len), back));
	assert_false(siv_open(siv, SPAN("elsewhere"), span_make(sealed, sizeof(sealed)), back));
	assert_true(siv_open(siv, context(), span_make(sealed, sizeof(sealed)), back));
	siv_free(siv);
}

static void test_key_and_context_make_the_value(void **state)
{
	uint8_t other_key[SIV_KEY] = {1}, out[sizeof(sealed)], back[sizeof(plain)];
	struct siv *siv = siv_new(key), *other = siv_new(other_key);
	struct span text = span_make(plain, sizeof(plain));

	assert_non_null(siv);
	assert_non_null(other);
	assert_true(siv_close(siv, SPAN("elsewhere"), text, out));
	assert_memory_not_equal(out, sealed, sizeof(sealed));
	assert_true(siv_close(other, context(), text, out));
	assert_memory_not_equal(out, sealed, sizeof(sealed));
	assert_false(siv_open(siv, context(), span_make(out, sizeof(out)), back));
	siv_free(other);
	siv_free(siv);
	siv_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vector),
		cmocka_unit_test(test_nothing_else_opens),
		cmocka_unit_test(test_key_and_context_make_the_value),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
