/*
 * Digests against the published vectors.
 */
#include "tls/digest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* RFC 4231 4.2 with its key of 20 bytes filled up with zeros, which HMAC does too. */
static void test_hmac(void **state)
{
	static const uint8_t expected[DIGEST_MAC] = {0xb0, 0x34, 0x4c, 0x61, 0xd8, 0xdb, 0x38, 0x53,
						     0x5c, 0xa8, 0xaf, 0xce, 0xaf, 0x0b, 0xf1, 0x2b,
						     0x88, 0x1d, 0xc2, 0x00, 0xc9, 0x83, 0x3d, 0xa7,
						     0x26, 0xe9, 0x37, 0x6c, 0x2e, 0x32, 0xcf, 0xf7};
	uint8_t key[DIGEST_MAC_KEY] = {0}, out[DIGEST_MAC];
	struct span parts[] = {SPAN("Hi "), SPAN(""), SPAN("There")};

	memset(key, 0x0b, 20);
	struct digest_mac *mac = digest_mac_new(key);
	assert_non_null(mac);
	for (unsigned again = 0; again < 2; again++) {
		assert_true(digest_mac_of(mac, parts, ARRAY_LENGTH(parts), out));
		assert_memory_equal(out, expected, sizeof(out));
	}
	assert_true(digest_mac_of(mac, parts, 1, out));
	assert_memory_not_equal(out, expected, sizeof(out));
	digest_mac_free(mac);
}

/* RFC 3174 7.3 */
static void test_sha1(void **state)
{
	static const uint8_t expected[SHA1_BYTES] = {0xa9, 0x99, 0x3e, 0x36, 0x47, 0x06, 0x81,
						     0x6a, 0xba, 0x3e, 0x25, 0x71, 0x78, 0x50,
						     0xc2, 0x6c, 0x9c, 0xd0, 0xd8, 0x9d};
	uint8_t out[SHA1_BYTES];

	assert_true(digest_sha1(SPAN("abc"), out));
	assert_memory_equal(out, expected, sizeof(out));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hmac),
		cmocka_unit_test(test_sha1),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
