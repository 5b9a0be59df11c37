/* Addresses: strict parsing, RFC 5952 text, networks, comparison, the kernel's form. */
#include "net/address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

static struct address ip(const char *text)
{
	struct address address;

	if (!address_parse_ip(span_of(text), &address))
		fail_msg("not parsed: %s", text);
	return address;
}

static void assert_ip_text(const struct address *address, const char *expected)
{
	char text[ADDRESS_TEXT + 1];

	text[address_format_ip(address, text)] = 0;
	assert_string_equal(text, expected);
}

static void parses_and_writes_canonically(void **state)
{
	static const char *const rows[][2] = {
		{"0.0.0.0", "0.0.0.0"},
		{"255.255.255.255", "255.255.255.255"},
		{"1.20.103.9", "1.20.103.9"},
		{"::", "::"},
		{"::1", "::1"},
		{"1::", "1::"},
		{"2001:DB8::A", "2001:db8::a"},
		{"2001:0db8:0000:0000:0000:0000:0000:0001", "2001:db8::1"},
		{"1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"},
		{"1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"},
		{"::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"},
		{"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},
		{"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},
		{"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},
		{"1:0:0:2:3:0:0:0", "1:0:0:2:3::"},
		{"0:0:1::", "0:0:1::"},
		{"::ffff:1.2.3.4", "::ffff:1.2.3.4"},
		{"::ffff:102:304", "::ffff:1.2.3.4"},
		{"::1.2.3.4", "::102:304"},
		{"64:ff9b::10.0.0.1", "64:ff9b::a00:1"},
		{"1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"},
		{"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
	};

	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct address address = ip(rows[i][0]);
		assert_ip_text(&address, rows[i][1]);
	}
}

static void refuses_odd_spellings(void **state)
{
	static const char *const rows[] = {
		"",
		".",
		":",
		":::",
		"1",
		"1.2",
		"1.2.3",
		"1.2.3.",
		".1.2.3",
		"1.2.3.4.",
		"1.2.3.4.5",
		"1..2.3",
		"256.1.1.1",
		"1.1.1.256",
		"01.2.3.4",
		"1.2.3.04",
		"00.0.0.0",
		"0x7f.0.0.1",
		"0x7f000001",
		"2130706433",
		"017700000001",
		"127.1",
		"1.2.3.4 ",
		" 1.2.3.4",
		"1.2.3.4\n",
		"1.2.3.-4",
		"1.2.3.+4",
		"1.2.3.1000",
		"1.2.3.a",
		"1,2,3,4",
		"١.2.3.4",
		"1.2.3.4/32",
		"1.2.3.4:80",
		"[::1]",
		"::1]",
		"fe80::1%eth0",
		"fe80::1%25eth0",
		"::1%1",
		"1:2:3:4:5:6:7",
		"1:2:3:4:5:6:7:8:9",
		"1:2:3:4:5:6:7:8::",
		"::1:2:3:4:5:6:7:8",
		"1::2::3",
		"1:::2",
		":1::2",
		"1::2:",
		":1:2:3:4:5:6:7:8",
		"1:2:3:4:5:6:7:8:",
		"12345::",
		"::00001",
		"g::",
		"::1.2.3",
		"::1.2.3.4.5",
		"::01.2.3.4",
		"::256.1.1.1",
		"1.2.3.4::",
		"::1.2.3.4:5",
		"1:2:3:4:5:6:7:1.2.3.4",
		"1:2:3:4:5:1.2.3.4",
		"::ffff:0x7f.0.0.1",
		"::ffff:127.1",
		"::a.b.c.d",
		"::f.0.0.1",
		"::-1",
		"::/0",
		"localhost",
		"1.2.3.4a",
		"::1 ",
		" ::1",
	};
	struct address untouched = {.family = ADDRESS_UNIX}, address = untouched;

	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		if (address_parse_ip(span_of(rows[i]), &address))
			fail_msg("parsed: %s", rows[i]);
	}
	assert_false(address_parse_ip(span_make("1.2.3.4\0", 8), &address));
	assert_memory_equal(&address, &untouched, sizeof(address));
}

/* Every prefix of a good address is judged alone: no byte behind its end is looked at. */
static void reads_no_byte_too_many(void **state)
{
	static const char *const rows[] = {"1.2.3.42", "2001:db8::1.2.3.4", "1:2:3:4:5:6:7:8",
					   "::ffff:10.0.0.255"};

	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		for (size_t len = 0; len <= strlen(rows[i]); len++) {
			char *copy = len ? test_malloc(len) : NULL;
			struct address a, b;
			char text[64] = {0};
			if (len)
				memcpy(copy, rows[i], len);
			memcpy(text, rows[i], len);
			bool whole = address_parse_ip(span_make(copy, len), &a);
			assert_int_equal(whole, address_parse_ip(span_of(text), &b));
			if (whole)
				assert_true(address_equal_ip(&a, &b));
			if (copy)
				test_free(copy);
		}
	}
}

static void parses_with_port(void **state)
{
	static const char *const good[][2] = {
		{"1.2.3.4:80", "1.2.3.4:80"},
		{"0.0.0.0:0", "0.0.0.0:0"},
		{"[::1]:65535", "[::1]:65535"},
		{"[2001:DB8:0:0::1]:443", "[2001:db8::1]:443"},
		{"[::ffff:1.2.3.4]:8080", "[::ffff:1.2.3.4]:8080"},
		{"unix:/run/x.sock", "unix:/run/x.sock"},
		{"unix:@guise", "unix:@guise"},
	};
	static const char *const bad[] = {
		"",
		"1.2.3.4",
		"1.2.3.4:",
		"1.2.3.4:65536",
		"1.2.3.4:080",
		"1.2.3.4:00",
		"1.2.3.4:+80",
		"1.2.3.4: 80",
		"1.2.3.4:80 ",
		"::1:80",
		"[::1]",
		"[::1]80",
		"[::1]:",
		"[::1",
		"[1.2.3.4]:80",
		"[]:80",
		":80",
		"localhost:80",
		"unix:",
		"unix:@",
		"1.2.3.4:0x50",
		"1.2.3.4:100000",
		"[::1]]:80",
		"[[::1]:80",
	};
	char text[ADDRESS_TEXT + 1];
	struct address address;

	for (size_t i = 0; i < ARRAY_LENGTH(good); i++) {
		assert_true(address_parse(span_of(good[i][0]), &address));
		text[address_format(&address, text)] = 0;
		assert_string_equal(text, good[i][1]);
	}
	for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
		if (address_parse(span_of(bad[i]), &address))
			fail_msg("parsed: %s", bad[i]);
	}
}

static void unix_paths_are_bounded(void **state)
{
	char path[200] = "unix:/", text[ADDRESS_TEXT];
	struct address address;
	union socket_address raw;

	memset(path + 6, 'x', sizeof(path) - 7);
	path[5 + 107] = 0;
	assert_true(address_parse(span_of(path), &address));
	assert_int_equal(address_format(&address, text), 5 + 107);
	assert_int_equal(address_to_socket(&address, &raw), offsetof(struct sockaddr_un, sun_path) + 108);
	path[5 + 107] = 'x';
	path[5 + 108] = 0;
	assert_false(address_parse(span_of(path), &address));
	address = (struct address){.family = ADDRESS_UNIX, .path = path + 5};
	assert_int_equal(address_to_socket(&address, &raw), 0);
	memset(path, 'y', sizeof(path) - 1);
	address.path = path;
	assert_int_equal(address_format(&address, text), ADDRESS_TEXT);
	assert_false(address_parse(span_make("unix:/a\0b", 9), &address));
}

static void networks(void **state)
{
	static const struct {
		const char *network, *address;
		bool contains;
	} rows[] = {
		{"10.0.0.0/8", "10.255.255.255", true},
		{"10.0.0.0/8", "11.0.0.0", false},
		{"10.0.0.0/8", "::ffff:10.1.2.3", true},
		{"::ffff:10.0.0.0/104", "10.1.2.3", true},
		{"::ffff:10.0.0.0/104", "11.1.2.3", false},
		{"0.0.0.0/0", "255.1.2.3", true},
		{"0.0.0.0/0", "::1", false},
		{"::/0", "2001:db8::1", true},
		{"::/0", "1.2.3.4", false},
		{"::/0", "::ffff:1.2.3.4", false},
		{"1.2.3.4", "1.2.3.4", true},
		{"1.2.3.4/32", "1.2.3.5", false},
		{"1.2.3.4/31", "1.2.3.5", true},
		{"2001:db8::/33", "2001:db8:7fff::", true},
		{"2001:db8::/33", "2001:db8:8000::", false},
		{"::1/128", "::1", true},
		{"::1", "::2", false},
		{"172.16.0.0/12", "172.31.255.255", true},
		{"172.16.0.0/12", "172.32.0.0", false},
	};
	static const char *const bad[] = {
		"",
		"/8",
		"10.0.0.0/",
		"10.0.0.0/33",
		"10.0.0.0/08",
		"10.0.0.1/8",
		"10.0.0.0/-1",
		"::/129",
		"::1/127",
		"10/8",
		"10.0.0.0/255.0.0.0",
		"2001:db8::1/64",
		"10.0.0.0/8/8",
		"10.0.0.0 /8",
		"10.0.0.0/ 8",
		"::/1280",
	};
	struct network network;
	struct address unix_peer = {.family = ADDRESS_UNIX};

	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct address address = ip(rows[i].address);
		assert_true(network_parse(span_of(rows[i].network), &network));
		if (network_contains(&network, &address) != rows[i].contains)
			fail_msg("%s in %s", rows[i].address, rows[i].network);
		assert_false(network_contains(&network, &unix_peer));
	}
	for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
		if (network_parse(span_of(bad[i]), &network))
			fail_msg("parsed: %s", bad[i]);
	}
}

static void truncates_for_logs(void **state)
{
	static const char *const rows[][2] = {
		{"1.2.3.4", "1.2.3.0"},
		{"2001:db8:1:2:3::4", "2001:db8:1::"},
		{"::ffff:1.2.3.4", "1.2.3.0"},
	};

	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct address address = ip(rows[i][0]);
		address.port = 5;
		address = address_truncate(&address);
		assert_ip_text(&address, rows[i][1]);
		assert_int_equal(address.port, 0);
	}
}

static void compares(void **state)
{
	struct address a = ip("1.2.3.4"), b = ip("::ffff:1.2.3.4"), c = ip("1.2.3.5"), d = ip("2001:db8::1");
	struct address x = {.family = ADDRESS_UNIX, .path = "/a"}, y = {.family = ADDRESS_UNIX, .path = "/b"};

	assert_true(address_equal_ip(&a, &b));
	assert_false(address_equal(&a, &b));
	assert_false(address_equal_ip(&a, &c));
	assert_false(address_equal_ip(&a, &d));
	assert_int_equal(address_hash_ip(&a, 7), address_hash_ip(&b, 7));
	assert_int_not_equal(address_hash_ip(&a, 7), address_hash_ip(&a, 8));
	assert_int_not_equal(address_hash_ip(&a, 7), address_hash_ip(&c, 7));
	b = a;
	b.port = 1;
	assert_true(address_equal_ip(&a, &b));
	assert_false(address_equal(&a, &b));
	assert_false(address_equal(&x, &y));
	assert_true(address_equal(&x, &x));
	memset(a.ip + 4, 0xaa, 12); /* what is behind the four bytes means nothing */
	assert_int_equal(address_hash_ip(&a, 7), address_hash_ip(&b, 7));
	assert_true(address_equal_ip(&a, &b));
}

static void to_the_kernel_and_back(void **state)
{
	static const char *const rows[] = {"1.2.3.4:80", "[2001:db8::1]:443", "[::]:0"};
	union socket_address raw;
	struct address address, back;

	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		assert_true(address_parse(span_of(rows[i]), &address));
		address.scope = address.family == ADDRESS_V6 ? 3 : 0;
		socklen_t len = address_to_socket(&address, &raw);
		assert_true(len > 0);
		back = address_from_socket(&raw, len);
		assert_true(address_equal(&address, &back));
		back = address_from_socket(&raw, 2);
		assert_int_equal(back.family, ADDRESS_NONE);
	}
	address = (struct address){.family = ADDRESS_UNIX, .path = "@x"};
	assert_int_equal(address_to_socket(&address, &raw), offsetof(struct sockaddr_un, sun_path) + 2);
	assert_int_equal(raw.unix_path.sun_path[0], 0);
	back = address_from_socket(&raw, 4);
	assert_int_equal(back.family, ADDRESS_UNIX);
	assert_null(back.path);
	address = (struct address){0};
	assert_int_equal(address_to_socket(&address, &raw), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parses_and_writes_canonically),
		cmocka_unit_test(refuses_odd_spellings),
		cmocka_unit_test(reads_no_byte_too_many),
		cmocka_unit_test(parses_with_port),
		cmocka_unit_test(unix_paths_are_bounded),
		cmocka_unit_test(networks),
		cmocka_unit_test(truncates_for_logs),
		cmocka_unit_test(compares),
		cmocka_unit_test(to_the_kernel_and_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
