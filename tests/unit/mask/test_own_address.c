/*
 * Whether a text holds one certain address: every spelling of it, and nothing that merely looks like one.
 */
#include "mask_fixture.h"

#include "core/random.h"
#include "mask/own_address.h"

static bool holds(const char *client, struct span text)
{
	struct address address = ip(client);
	struct own_address own;

	assert_true(own_address_init(&address, &own));
	return own_address_in(&own, text);
}

struct sample {
	const char *text;
	bool holds;
};

/* Alone, and with other text around it that parts words. */
static void check(const char *client, const struct sample *samples, size_t count)
{
	static const char *const around[][2] = {
		{"", ""},
		{" ", " "},
		{"\"", "\""},
		{"a=", ";b"},
		{"12:30, ", ", Chrome/126.0.0.0"},
		{"(", ")"},
		{"%20", "%2C1"},
		{"{\"ip\":\"", "\"}"},
		{"https://x.test/?a=", "&b=1.2.3"},
		{"_", "_"},
	};

	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; j < ARRAY_LENGTH(around); j++) {
			char text[300];
			int len = snprintf(text, sizeof(text), "%s%s%s", around[j][0], samples[i].text,
					   around[j][1]);
			if (holds(client, span_make(text, (size_t)len)) != samples[i].holds)
				fail_msg("%s: %s", client, text);
		}
}

static void test_ipv4(void **state)
{
	static const struct sample samples[] = {
		{"203.0.113.7", true},
		{"203.000.113.007", true},
		{"203.0.113.7.", true},
		{"203.0.113.7:8080", true},
		{"203.0.113.7/32", true},
		{"for=203.0.113.7", true},
		{"ip:203.0.113.7", true},
		{"id-203.0.113.7-x", true},
		{"::ffff:203.0.113.7", true},
		{"[::FFFF:203.0.113.7]:80", true},
		{"::ffff:cb00:7107", true},
		{"0:0:0:0:0:FFFF:CB00:7107", true},
		{"::ffff%3Acb00%3A7107", true},
		{"%3A%3affff%3a203.0.113.7", true},
		{"203.0.113.6, 203.0.113.7", true},
		{"203.0.203.0.113.8,203.0.113.7", true},
		{"203.0.113.70", false},
		{"203.0.113.77", false},
		{"1203.0.113.7", false},
		{"0203.0.113.7", false},
		{"1.203.0.113.7", false},
		{".203.0.113.7", false},
		{"203.0.113.7.1", false},
		{"203.0.113.7.example", false},
		{"203.0.113.7a", false},
		{"v203.0.113.7", false},
		{"203.0.113.", false},
		{"203.0.113", false},
		{"203..0.113.7", false},
		{"203.0.113.7e5", false},
		{"203.0.1130.7", false},
		{"203.0.113.0007", false},
		{"203-0-113-7", false},
		{"7.113.0.203", false},
		{"::ffff:cb00:7108", false},
		{"::cb00:7107", false},
		{"cb007107", false},
		{"3405803783", false},
		{"", false},
	};

	check("203.0.113.7", samples, ARRAY_LENGTH(samples));
	check("::ffff:203.0.113.7", samples, ARRAY_LENGTH(samples));
}

static void test_versions_are_no_addresses(void **state)
{
	static const struct sample samples[] = {
		{"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/126.0.0.0 Safari/537.36", false},
		{"Chrome/126.0.0.1", true},
		{"Chrome/126.0.0.10", false},
		{"126.0.0.1.2", false},
	};

	check("126.0.0.1", samples, ARRAY_LENGTH(samples));
	assert_false(holds("1.2.3.4", SPAN("0.1.2.3.4.5")));
	assert_true(holds("1.2.3.4", SPAN("%201.2.3.4")));
	assert_true(holds("20.0.0.4", SPAN("%2020.0.0.4")));
	assert_false(holds("20.0.0.4", SPAN("220.0.0.4")));
}

static void test_ipv6(void **state)
{
	static const struct sample samples[] = {
		{"2001:db8::7", true},
		{"2001:DB8::7", true},
		{"2001:0db8:0000:0000:0000:0000:0000:0007", true},
		{"2001:db8:0:0:0:0:0:7", true},
		{"2001:db8::0:7", true},
		{"2001:db8::0.0.0.7", true},
		{"[2001:db8::7]", true},
		{"[2001:db8::7]:443", true},
		{"2001:db8:0:0:0:0:0:7:443", true},
		{"for=\"[2001:db8::7]:443\"", true},
		{"for:2001:db8::7", true},
		{"2001:db8::7%eth0", true},
		{"2001:db8::7/64", true},
		{"2001:db8::7.", true},
		{"2001:db8::7:", true},
		{"2001%3Adb8%3A%3A7", true},
		{"%5B2001%3adb8%3a%3a7%5D", true},
		{"12:30:00 [2001:db8::7]", true},
		{"2001:db8::71", false},
		{"2001:db8::7:443", false},
		{"2001:db8:7", false},
		{"2001:db8::", false},
		{"2001:db8::7z", false},
		{"z2001:db8::7", false},
		{"1:2001:db8::7", false},
		{"2001:db8::7.5", false},
		{"2001:db8:::7", false},
		{"2001:db8::7::", false},
		{"12001:db8::7", false},
		{"2001:db8:0:0:0:0:0:0:7", false},
		{"20010db8000000000000000000000007", false},
		{":", false},
		{"::", false},
		{"%3A", false},
		{"a:b:c", false},
	};

	check("2001:db8::7", samples, ARRAY_LENGTH(samples));
	assert_true(holds("fe80::1", SPAN("fe80::1%eth0")));
	assert_true(holds("2a00::", SPAN("ip=2a00::")));
}

static void test_who_has_none(void **state)
{
	static const char *const nobody[] = {"127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1", "unix"};
	static const char *const somebody[] = {"10.0.0.1", "192.168.0.2", "fd00::1", "8.8.8.8", "::2"};
	struct own_address own;
	struct address address;

	for (size_t i = 0; i < ARRAY_LENGTH(nobody); i++) {
		address = ip(nobody[i]);
		assert_false(own_address_init(&address, &own));
	}
	for (size_t i = 0; i < ARRAY_LENGTH(somebody); i++) {
		address = ip(somebody[i]);
		assert_true(own_address_init(&address, &own));
	}
}

/* ---- any address among any bytes ---- */

static size_t spell(struct random *random, const struct address *address, char *out)
{
	char *at = out;

	if (address->family == ADDRESS_V4)
		return (size_t)snprintf(out, 64, "%u.%u.%u.%u", address->ip[0], address->ip[1],
					address->ip[2], address->ip[3]);
	for (unsigned i = 0; i < 8; i++)
		at += snprintf(at, 8, random_below(random, 2) ? "%s%04X" : "%s%x", i ? ":" : "",
			       address->ip[2 * i] << 8 | address->ip[2 * i + 1]);
	return (size_t)(at - out);
}

static void test_found_anywhere_and_nowhere_else(void **state)
{
	static const char letters[] = "0123456789abcdefxyz.:%-/ ,=;";
	struct random random = {.state = {1, 2, 3, 4}};

	for (unsigned round = 0; round < 20000; round++) {
		struct address address = {.family = random_below(&random, 2) ? ADDRESS_V4 : ADDRESS_V6};
		struct own_address own;
		char text[256];
		size_t len = 0, before = random_below(&random, 40), behind = random_below(&random, 40);

		for (unsigned i = 0; i < 16; i++)
			address.ip[i] = (uint8_t)(1 + random_below(&random, 200));
		if (!own_address_init(&address, &own))
			continue; /* 127.0.0.0/8 */
		for (; len < before; len++)
			text[len] = letters[random_below(&random, sizeof(letters) - 1)];
		size_t start = len;
		text[len++] = ' ';
		len += spell(&random, &address, text + len);
		text[len++] = ' ';
		size_t end = len;
		for (; len < end + behind; len++)
			text[len] = letters[random_below(&random, sizeof(letters) - 1)];
		if (!own_address_in(&own, span_make(text, len)))
			fail_msg("not found: %.*s", (int)len, text);
		/* Without it, there is no such address by chance. */
		memset(text + start, ' ', end - start);
		if (own_address_in(&own, span_make(text, len)))
			fail_msg("found: %.*s", (int)len, text);
	}
}

/* Cut anywhere it reads nothing behind the end (the sanitizers look), and finds nothing that is not whole. */
static void test_cut_anywhere(void **state)
{
	static const char *const texts[] = {"203.0.113.7", "::ffff:cb00:7107", "%3A%3Affff%3Acb00%3A7107"};

	for (size_t i = 0; i < ARRAY_LENGTH(texts); i++)
		for (size_t len = 0; len < strlen(texts[i]); len++) {
			char *copy = malloc(len ? len : 1);
			assert_non_null(copy);
			memcpy(copy, texts[i], len);
			assert_false(holds("203.0.113.7", span_make(copy, len)));
			free(copy);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ipv4),
		cmocka_unit_test(test_versions_are_no_addresses),
		cmocka_unit_test(test_ipv6),
		cmocka_unit_test(test_who_has_none),
		cmocka_unit_test(test_found_anywhere_and_nowhere_else),
		cmocka_unit_test(test_cut_anywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
