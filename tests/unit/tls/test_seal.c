/*
 * Sealed values: what was sealed is opened, everything else is refused, and nothing shows through.
 */
#include "tls/seal.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { PLAIN = 8, SEALED = PLAIN + SEAL_ADDS };

static const uint8_t plain[PLAIN] = {1, 2, 3, 4, 5, 6, 7, 8};

struct seals {
	struct memory memory;
	struct seal *seal;
};

static struct seal *make(struct seals *seals, const char *secret, const char *context)
{
	uint8_t key[SEAL_KEY];

	assert_true(seal_derive(span_of(secret), SPAN("test"), key));
	struct seal *seal = seal_new(&seals->memory, key, span_of(context));
	assert_non_null(seal);
	return seal;
}

static int set_up(void **state)
{
	static struct seals seals;

	memory_init(&seals.memory, 0);
	seals.seal = make(&seals, "a secret of sixteen", "group a");
	*state = &seals;
	return 0;
}

static int tear_down(void **state)
{
	struct seals *seals = *state;

	seal_free(seals->seal);
	assert_int_equal(atomic_load(&seals->memory.used), 0);
	return 0;
}

/* RFC 5869 A.3: no salt. Our keys are shorter than its output, of which the beginning is the same; with an empty purpose. */
static void test_derives_as_the_rfc_says(void **state)
{
	static const uint8_t secret[22] = {
		0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b,
		0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b,
	};
	static const uint8_t expected[SEAL_KEY] = {
		0x8d, 0xa4, 0xe7, 0x75, 0xa5, 0x63, 0xc1, 0x8f, 0x71, 0x5f, 0x80,
		0x2a, 0x06, 0x3c, 0x5a, 0x31, 0xb8, 0xa1, 0x1f, 0x5c, 0x5e, 0xe1,
		0x87, 0x9e, 0xc3, 0x45, 0x4e, 0x5f, 0x3c, 0x73, 0x8d, 0x2d,
	};
	uint8_t key[SEAL_KEY], other[SEAL_KEY];

	assert_true(seal_derive(span_make(secret, sizeof(secret)), SPAN(""), key));
	assert_memory_equal(key, expected, SEAL_KEY);
	assert_true(seal_derive(span_make(secret, sizeof(secret)), SPAN("x"), other));
	assert_memory_not_equal(key, other, SEAL_KEY);
}

static void test_opens_what_it_closed(void **state)
{
	struct seals *seals = *state;
	uint8_t sealed[SEALED], out[PLAIN];

	for (unsigned i = 0; i < 100; i++) {
		assert_true(seal_close(seals->seal, span_make(plain, PLAIN), sealed));
		memset(out, 0, sizeof(out));
		assert_true(seal_open(seals->seal, span_make(sealed, SEALED), out));
		assert_memory_equal(out, plain, PLAIN);
	}
	/* After one that was refused, too. */
	sealed[0] ^= 1;
	assert_false(seal_open(seals->seal, span_make(sealed, SEALED), out));
	sealed[0] ^= 1;
	assert_true(seal_open(seals->seal, span_make(sealed, SEALED), out));
}

/* Made by another implementation (Python's cryptography): the layout is nonce, text, tag, and the context's SHA-256 is the additional data. */
static void test_opens_a_known_value(void **state)
{
	struct seals *seals = *state;
	static const uint8_t sealed[SEALED] = {0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18,
					       0x19, 0x1a, 0x1b, 0xc1, 0x48, 0x4d, 0x07, 0x6f, 0x9a,
					       0xaa, 0xe4, 0xe1, 0xc0, 0x0c, 0xca, 0x0b, 0xbe, 0x5c,
					       0x69, 0x3b, 0x38, 0xf2, 0xf6, 0x0d, 0xe5, 0x5e, 0x68};
	uint8_t out[PLAIN];

	assert_true(seal_open(seals->seal, span_make(sealed, SEALED), out));
	assert_memory_equal(out, plain, PLAIN);
}

static void test_same_value_looks_different(void **state)
{
	struct seals *seals = *state;
	uint8_t all[64][SEALED];

	for (unsigned i = 0; i < ARRAY_LENGTH(all); i++) {
		assert_true(seal_close(seals->seal, span_make(plain, PLAIN), all[i]));
		for (unsigned j = 0; j < i; j++) {
			assert_memory_not_equal(all[i], all[j], 12);
			assert_memory_not_equal(all[i] + 12, all[j] + 12, PLAIN);
			assert_memory_not_equal(all[i] + 20, all[j] + 20, 16);
		}
	}
}

static void test_every_change_is_refused(void **state)
{
	struct seals *seals = *state;
	uint8_t sealed[SEALED], out[SEALED + 1], longer[SEALED + 1];

	assert_true(seal_close(seals->seal, span_make(plain, PLAIN), sealed));
	for (unsigned i = 0; i < SEALED; i++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			sealed[i] ^= (uint8_t)(1 << bit);
			assert_false(seal_open(seals->seal, span_make(sealed, SEALED), out));
			sealed[i] ^= (uint8_t)(1 << bit);
		}
		assert_false(seal_open(seals->seal, span_make(sealed, i), out));
		assert_false(seal_open(seals->seal, span_make(sealed + i + 1, SEALED - i - 1), out));
	}
	memcpy(longer, sealed, SEALED);
	longer[SEALED] = 0;
	assert_false(seal_open(seals->seal, span_make(longer, SEALED + 1), out));
	assert_true(seal_open(seals->seal, span_make(sealed, SEALED), out));
}

static void test_other_key_and_context_refuse(void **state)
{
	struct seals *seals = *state;
	struct seal *key = make(seals, "a secret of sixteem", "group a");
	struct seal *context = make(seals, "a secret of sixteen", "group b");
	struct seal *same = make(seals, "a secret of sixteen", "group a");
	uint8_t sealed[SEALED], out[PLAIN];

	assert_true(seal_close(seals->seal, span_make(plain, PLAIN), sealed));
	assert_false(seal_open(key, span_make(sealed, SEALED), out));
	assert_false(seal_open(context, span_make(sealed, SEALED), out));
	assert_true(seal_open(same, span_make(sealed, SEALED), out));
	seal_free(key);
	seal_free(context);
	seal_free(same);
}

static void test_out_of_memory(void **state)
{
	struct seals *seals = *state;
	uint8_t key[SEAL_KEY] = {0};

	memory_fail_every(&seals->memory, 1);
	assert_null(seal_new(&seals->memory, key, SPAN("x")));
	memory_fail_every(&seals->memory, 0);
	seal_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_opens_a_known_value, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_derives_as_the_rfc_says, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_opens_what_it_closed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_same_value_looks_different, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_every_change_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_other_key_and_context_refuse, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_out_of_memory, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
