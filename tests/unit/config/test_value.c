/*
 * Booleans, numbers, sizes, times; listen addresses; addresses of servers.
 */
#include "config/listen.h"
#include "config/value.h"
#include "upstream/settings.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void test_booleans(void **state)
{
	static const char *const yes[] = {"true", "True", "TRUE", "yes", "on", "On"};
	static const char *const no[] = {"false", "no", "NO", "off"};
	static const char *const neither[] = {"", "1", "0", "y", "n", "tru", "true ", "truee"};
	bool value;

	for (size_t i = 0; i < ARRAY_LENGTH(yes); i++) {
		value = false;
		assert_true(value_bool(span_of(yes[i]), &value));
		assert_true(value);
	}
	for (size_t i = 0; i < ARRAY_LENGTH(no); i++) {
		value = true;
		assert_true(value_bool(span_of(no[i]), &value));
		assert_false(value);
	}
	for (size_t i = 0; i < ARRAY_LENGTH(neither); i++)
		assert_false(value_bool(span_of(neither[i]), &value));
}

static void test_numbers(void **state)
{
	static const struct {
		enum setting_kind kind;
		const char *text;
		enum value_fault fault;
		uint64_t value;
	} rows[] = {
		{SETTING_COUNT, "0", VALUE_GOOD, 0},
		{SETTING_COUNT, "18446744073709551615", VALUE_GOOD, UINT64_MAX},
		{SETTING_COUNT, "18446744073709551616", VALUE_TOO_LARGE, 0},
		{SETTING_COUNT, "", VALUE_MALFORMED, 0},
		{SETTING_COUNT, "+1", VALUE_MALFORMED, 0},
		{SETTING_COUNT, "1_000", VALUE_MALFORMED, 0},
		{SETTING_COUNT, "1 ", VALUE_MALFORMED, 0},
		{SETTING_COUNT, " 1", VALUE_MALFORMED, 0},
		{SETTING_COUNT, "10k", VALUE_MALFORMED, 0},
		{SETTING_SIZE, "4096", VALUE_GOOD, 4096},
		{SETTING_SIZE, "7B", VALUE_GOOD, 7},
		{SETTING_SIZE, "7 KB", VALUE_GOOD, 7000},
		{SETTING_SIZE, "7kB", VALUE_GOOD, 7000},
		{SETTING_SIZE, "64 KiB", VALUE_GOOD, 65536},
		{SETTING_SIZE, "1MiB", VALUE_GOOD, 1048576},
		{SETTING_SIZE, "2 MB", VALUE_GOOD, 2000000},
		{SETTING_SIZE, "10 GiB", VALUE_GOOD, UINT64_C(10737418240)},
		{SETTING_SIZE, "1 GB", VALUE_GOOD, 1000000000},
		{SETTING_SIZE, "1 TB", VALUE_GOOD, UINT64_C(1000000000000)},
		{SETTING_SIZE, "16777215 TiB", VALUE_GOOD, UINT64_C(16777215) << 40},
		{SETTING_SIZE, "16777216 TiB", VALUE_TOO_LARGE, 0},
		{SETTING_SIZE, "64 kib", VALUE_UNIT_UNKNOWN, 0},
		{SETTING_SIZE, "64K", VALUE_UNIT_UNKNOWN, 0},
		{SETTING_SIZE, "64 KiB x", VALUE_UNIT_UNKNOWN, 0},
		{SETTING_SIZE, "1.5 KiB", VALUE_MALFORMED, 0},
		{SETTING_SIZE, "KiB", VALUE_MALFORMED, 0},
		{SETTING_SIZE, "5s", VALUE_UNIT_UNKNOWN, 0},
		{SETTING_TIME, "0", VALUE_GOOD, 0},
		{SETTING_TIME, "0s", VALUE_GOOD, 0},
		{SETTING_TIME, "250ms", VALUE_GOOD, 250},
		{SETTING_TIME, "2s", VALUE_GOOD, 2000},
		{SETTING_TIME, "2 s", VALUE_GOOD, 2000},
		{SETTING_TIME, "5m", VALUE_GOOD, 300000},
		{SETTING_TIME, "1h", VALUE_GOOD, 3600000},
		{SETTING_TIME, "1d", VALUE_GOOD, 86400000},
		{SETTING_TIME, "30", VALUE_UNIT_MISSING, 0},
		{SETTING_TIME, "1h30m", VALUE_UNIT_UNKNOWN, 0},
		{SETTING_TIME, "1M", VALUE_UNIT_UNKNOWN, 0},
		{SETTING_TIME, "1:30", VALUE_MALFORMED, 0},
		{SETTING_TIME, "213503982335d", VALUE_TOO_LARGE, 0},
	};

	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		uint64_t value = 0;
		enum value_fault fault = value_number(rows[i].kind, span_of(rows[i].text), &value);
		if (fault != rows[i].fault || value != rows[i].value)
			fail_msg("\"%s\": fault %d, value %llu", rows[i].text, (int)fault,
				 (unsigned long long)value);
	}
}

static void test_format(void **state)
{
	static const struct {
		enum setting_kind kind;
		uint64_t value;
		const char *text;
	} rows[] = {
		{SETTING_COUNT, 32768, "32768"},   {SETTING_SIZE, 0, "0 bytes"},
		{SETTING_SIZE, 1, "1 bytes"},      {SETTING_SIZE, 1025, "1025 bytes"},
		{SETTING_SIZE, 65536, "64 KiB"},   {SETTING_SIZE, UINT64_C(3) << 40, "3 TiB"},
		{SETTING_TIME, 0, "0s"},           {SETTING_TIME, 1, "1ms"},
		{SETTING_TIME, 90000, "90s"},      {SETTING_TIME, 120000, "2m"},
		{SETTING_TIME, 2592000000, "30d"}, {SETTING_COUNT, UINT64_MAX, "18446744073709551615"},
	};
	char text[VALUE_TEXT];

	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		value_format(rows[i].kind, rows[i].value, text);
		assert_string_equal(text, rows[i].text);
	}
}

static void test_listen(void **state)
{
	static const struct {
		const char *text;
		enum address_family family;
		uint16_t port;
		bool dual;
	} rows[] = {
		{"127.0.0.1:0", ADDRESS_V4, 0, false},
		{"0.0.0.0:65535", ADDRESS_V4, 65535, false},
		{"[::]:80", ADDRESS_V6, 80, false},
		{":80", ADDRESS_V6, 80, true},
		{":0", ADDRESS_V6, 0, true},
		{"unix:/run/a b.sock", ADDRESS_UNIX, 0, false},
		{"unix:@guise", ADDRESS_UNIX, 0, false},
	};
	static const char *const wrong[] = {
		"",
		":",
		":x",
		"80",
		"127.0.0.1",
		"127.0.0.1:",
		"127.0.0.1:65536",
		"127.0.0.1:-1",
		"::1:80",
		"[::1]",
		"[::1]:",
		"[127.0.0.1]:80",
		"*:80",
		"localhost:80",
		"unix:",
		"unix:a",
		"unix:/",
		"unix:@",
		"127.1:80",
		"0x7f.0.0.1:80",
		" :80",
		"127.0.0.1:80 ",
		"http://1.2.3.4:5",
		"[::1%lo]:80",
	};
	struct address address;
	bool dual;

	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		assert_null(listen_parse(span_of(rows[i].text), &address, &dual));
		assert_int_equal(address.family, rows[i].family);
		assert_true(dual == rows[i].dual);
		if (address.family != ADDRESS_UNIX)
			assert_int_equal(address.port, rows[i].port);
		else
			assert_string_equal(address.path, rows[i].text + 5);
	}
	for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++)
		if (!listen_parse(span_of(wrong[i]), &address, &dual))
			fail_msg("\"%s\" is good", wrong[i]);
}

static void test_listen_same(void **state)
{
	static const struct {
		const char *a, *b;
		bool same;
	} rows[] = {
		{"127.0.0.1:80", "127.0.0.1:80", true},
		{"127.0.0.1:80", "127.0.0.1:81", false},
		{"127.0.0.1:0", "127.0.0.1:0", false},
		{":80", "0.0.0.0:80", true},
		{"[::]:80", ":80", true},
		{"[::]:80", "0.0.0.0:80", false},
		{":80", "127.0.0.1:80", false},
		{":0", ":0", false},
		{"unix:/a", "unix:/a", true},
		{"unix:/a", "unix:/b", false},
		{"unix:/a", ":80", false},
	};

	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct address a, b;
		bool a_dual, b_dual;
		assert_null(listen_parse(span_of(rows[i].a), &a, &a_dual));
		assert_null(listen_parse(span_of(rows[i].b), &b, &b_dual));
		assert_true(listen_same(&a, a_dual, &b, b_dual) == rows[i].same);
		assert_true(listen_same(&b, b_dual, &a, a_dual) == rows[i].same);
	}
}

static void test_server_addresses(void **state)
{
	static const char *const good[] = {
		"127.0.0.1:80",      "[::1]:80",    "a:1",     "app.internal:65535",
		"APP_1.internal:80", "unix:/run/x", "unix:@x", "1a.example:80",
	};
	static const char *const wrong[] = {
		"",
		"a",
		"a:",
		"a:0",
		"a:65536",
		":80",
		"127.0.0.1",
		"::1",
		"::1:80",
		"[::1]",
		"[a]:80",
		"[::1]80",
		"[1.2.3.4]:80",
		"a b:80",
		"1.2.3:80",
		"1.2.3.256:80",
		"unix:",
		"unix:x",
		"a..b:80",
		".a:80",
		"http://a:80",
		"a:80/x",
		"a/b:80",
		"[",
		"[:80",
		"]:80",
		"a:b:80",
		"a:+80",
	};

	for (size_t i = 0; i < ARRAY_LENGTH(good); i++)
		assert_null(upstream_check_address(good[i], strlen(good[i])));
	for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++)
		if (!upstream_check_address(wrong[i], strlen(wrong[i])))
			fail_msg("\"%s\" is good", wrong[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_booleans),    cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_format),      cmocka_unit_test(test_listen),
		cmocka_unit_test(test_listen_same), cmocka_unit_test(test_server_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
