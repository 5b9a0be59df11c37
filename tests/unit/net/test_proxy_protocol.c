/* The PROXY protocol: both versions as they are, cut at every byte, and in every way that they must not be. */
#include "net/proxy_protocol.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

/* For tables: SPAN is no constant. */
#define BYTES(literal)                                                                                       \
	{                                                                                                    \
		(const uint8_t *)("" literal), sizeof(literal) - 1                                           \
	}
#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define TCP4 "\xc0\x00\x02\x01\xc6\x33\x64\x02\xdc\x04\x01\xbb" /* 192.0.2.1:56324 198.51.100.2:443 */
#define IP6_A "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"
#define IP6_B "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02"
#define TCP6 IP6_A IP6_B "\xdc\x04\x01\xbb"

struct expectation {
	struct span bytes;
	const char *source, *destination; /* NULL: none */
};

static const struct expectation good[] = {
	{BYTES("PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n"), "192.0.2.1:56324", "198.51.100.2:443"},
	{BYTES("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"), "255.255.255.255:65535",
	 "255.255.255.255:65535"},
	{BYTES("PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n"), "0.0.0.0:0", "0.0.0.0:0"},
	{BYTES("PROXY TCP6 2001:DB8::1 2001:db8::2 56324 443\r\n"), "[2001:db8::1]:56324", "[2001:db8::2]:443"},
	{BYTES("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
	 "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535", "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"},
	{BYTES("PROXY UNKNOWN\r\n"), NULL, NULL},
	{BYTES("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
	 NULL, NULL},
	{BYTES(SIGNATURE "\x21\x11\0\x0c" TCP4), "192.0.2.1:56324", "198.51.100.2:443"},
	{BYTES(SIGNATURE "\x21\x21\0\x24" TCP6), "[2001:db8::1]:56324", "[2001:db8::2]:443"},
	/* TLVs: NOOP, an empty one, one of an unknown type */
	{BYTES(SIGNATURE "\x21\x11\0\x17" TCP4 "\x04\0\x01\0\x05\0\0\xee\0\x01\xff"), "192.0.2.1:56324",
	 "198.51.100.2:443"},
	/* CRC32c, computed by hand */
	{BYTES(SIGNATURE "\x21\x11\0\x13" TCP4 "\x03\0\x04\x20\xec\x95\x49"), "192.0.2.1:56324",
	 "198.51.100.2:443"},
	{BYTES(SIGNATURE "\x20\0\0\0"), NULL, NULL},
	{BYTES(SIGNATURE "\x20\x11\0\x0c" TCP4), NULL, NULL},
	{BYTES(SIGNATURE "\x20\xff\0\x03"
			 "abc"),
	 NULL, NULL},
	{BYTES(SIGNATURE "\x21\0\0\0"), NULL, NULL},
	{BYTES(SIGNATURE "\x21\0\0\x02"
			 "xx"),
	 NULL, NULL},
};

static void assert_address(const struct address *address, const char *expected)
{
	char text[ADDRESS_TEXT];

	if (!expected) {
		assert_int_equal(address->family, ADDRESS_NONE);
		return;
	}
	text[address_format(address, text)] = '\0';
	assert_string_equal(text, expected);
}

static void assert_done(struct span bytes, const struct expectation *expected)
{
	struct proxy_protocol_header header;
	const char *why = NULL;

	assert_int_equal(proxy_protocol_read(bytes, &header, &why), PROXY_PROTOCOL_DONE);
	assert_int_equal(header.length, expected->bytes.len);
	assert_address(&header.source, expected->source);
	assert_address(&header.destination, expected->destination);
}

static void test_good(void **state)
{
	for (size_t i = 0; i < ARRAY_LENGTH(good); i++) {
		struct span bytes = good[i].bytes;
		struct proxy_protocol_header header;
		const char *why = NULL;
		uint8_t more[256];
		for (size_t cut = 0; cut < bytes.len; cut++)
			assert_int_equal(proxy_protocol_read(span_first(bytes, cut), &header, &why),
					 PROXY_PROTOCOL_MORE);
		assert_done(bytes, &good[i]);
		/* What follows belongs to the connection. */
		memcpy(more, bytes.at, bytes.len);
		memcpy(more + bytes.len, "PROXY\r\n", 7);
		assert_done(span_make(more, bytes.len + 7), &good[i]);
	}
}

static const struct span bad[] = {
	BYTES("GET / HTTP/1.1\r\n"),
	BYTES("\x16\x03\x01"),
	BYTES("proxy TCP4 192.0.2.1 198.51.100.2 56324 443\r\n"),
	BYTES("PROXY\r\n"),
	BYTES("PROXY \r\n"),
	BYTES("PROXY\tTCP4 192.0.2.1 198.51.100.2 56324 443\r\n"),
	BYTES("PROXY TCP4\r\n"),
	BYTES("PROXY TCP5 192.0.2.1 198.51.100.2 56324 443\r\n"),
	BYTES("PROXY UDP4 192.0.2.1 198.51.100.2 56324 443\r\n"),
	BYTES("PROXY UNKNOWNS\r\n"),
	BYTES("PROXY unknown\r\n"),
	BYTES("PROXY TCP4 192.0.2.1 198.51.100.2 56324\r\n"),
	BYTES("PROXY TCP4 192.0.2.1 198.51.100.2 56324 443 \r\n"),
	BYTES("PROXY TCP4 192.0.2.1 198.51.100.2 56324 443 1\r\n"),
	BYTES("PROXY TCP4  192.0.2.1 198.51.100.2 56324 443\r\n"),
	BYTES("PROXY TCP4 192.0.2.1  198.51.100.2 56324 443\r\n"),
	BYTES("PROXY TCP4 192.0.2.1 198.51.100.2 56324  443\r\n"),
	BYTES("PROXY TCP4 192.0.2.01 198.51.100.2 56324 443\r\n"),
	BYTES("PROXY TCP4 192.0.2.256 198.51.100.2 56324 443\r\n"),
	BYTES("PROXY TCP4 192.0.2 198.51.100.2 56324 443\r\n"),
	BYTES("PROXY TCP4 2001:db8::1 2001:db8::2 56324 443\r\n"),
	BYTES("PROXY TCP4 192.0.2.1 2001:db8::2 56324 443\r\n"),
	BYTES("PROXY TCP6 192.0.2.1 198.51.100.2 56324 443\r\n"),
	BYTES("PROXY TCP6 [2001:db8::1] [2001:db8::2] 56324 443\r\n"),
	BYTES("PROXY TCP6 fe80::1%eth0 2001:db8::2 56324 443\r\n"),
	BYTES("PROXY TCP4 192.0.2.1 198.51.100.2 056324 443\r\n"),
	BYTES("PROXY TCP4 192.0.2.1 198.51.100.2 00 443\r\n"),
	BYTES("PROXY TCP4 192.0.2.1 198.51.100.2 65536 443\r\n"),
	BYTES("PROXY TCP4 192.0.2.1 198.51.100.2 -1 443\r\n"),
	BYTES("PROXY TCP4 192.0.2.1 198.51.100.2 +1 443\r\n"),
	BYTES("PROXY TCP4 192.0.2.1 198.51.100.2 1 443\n"),
	BYTES("PROXY TCP4 192.0.2.1 198.51.100.2 1 443\r\r\n"),
	BYTES("PROXY TCP4 192.0.2.1 198.51.100.2\0 1 443\r\n"),
	BYTES("PROXY UNKNOWN\n"),
	/* 108 bytes */
	BYTES("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 655350\r\n"),
	BYTES("\r\n\r\n\0\r\nQUIT\r"),
	BYTES("\r\n\r\nHTTP"),
	BYTES(SIGNATURE "\x11"),
	BYTES(SIGNATURE "\x31"),
	BYTES(SIGNATURE "\x22"),
	BYTES(SIGNATURE "\x2f"),
	BYTES(SIGNATURE "\x21\x11\x10\x01"), /* 4097 bytes */
	BYTES(SIGNATURE "\x20\x11\xff\xff"),
	BYTES(SIGNATURE "\x21\x12\0\x0c" TCP4), /* datagrams */
	BYTES(SIGNATURE "\x21\x22\0\x24" TCP6),
	BYTES(SIGNATURE "\x21\x10\0\x0c" TCP4),
	BYTES(SIGNATURE "\x21\x01\0\x0c" TCP4),
	BYTES(SIGNATURE "\x21\x41\0\x0c" TCP4),
	BYTES(SIGNATURE "\x21\x11\0\x0b" TCP4), /* shorter than its addresses */
	BYTES(SIGNATURE "\x21\x11\0\0"),
	BYTES(SIGNATURE "\x21\x21\0\x0c" TCP4),
	BYTES(SIGNATURE "\x21\x31\0\x24" TCP6),
	BYTES(SIGNATURE "\x21\x11\0\x0d" TCP4 "\x04"), /* TLVs that go beyond the end */
	BYTES(SIGNATURE "\x21\x11\0\x0e" TCP4 "\x04\0"),
	BYTES(SIGNATURE "\x21\x11\0\x0f" TCP4 "\x04\0\x01"),
	BYTES(SIGNATURE "\x21\x11\0\x12" TCP4 "\x04\0\0\x04\0\x01"),
	BYTES(SIGNATURE "\x21\x11\0\x13" TCP4 "\x03\0\x04\x20\xec\x95\x48"), /* the checksum of something else */
	BYTES(SIGNATURE "\x21\x11\0\x11" TCP4 "\x03\0\x02\x20\xec"),
};

/* Bad from some byte on, whatever follows; until then it may become good. */
static void test_bad(void **state)
{
	for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
		struct proxy_protocol_header header;
		bool was_bad = false;
		for (size_t cut = 0; cut <= bad[i].len; cut++) {
			const char *why = NULL;
			enum proxy_protocol_result result =
				proxy_protocol_read(span_first(bad[i], cut), &header, &why);
			assert_int_not_equal(result, PROXY_PROTOCOL_DONE);
			assert_false(was_bad && result != PROXY_PROTOCOL_BAD);
			was_bad = result == PROXY_PROTOCOL_BAD;
			assert_int_equal(was_bad, why != NULL);
		}
		if (!was_bad)
			print_error("row %zu is not refused\n", i);
		assert_true(was_bad);
	}
}

/* The longest headers of both versions, and one byte more. */
static void test_bounds(void **state)
{
	uint8_t bytes[PROXY_PROTOCOL_READ_MOST + 1];
	struct proxy_protocol_header header;
	const char *why = NULL;

	memset(bytes, 'x', sizeof(bytes));
	memcpy(bytes, "PROXY UNKNOWN ", 14);
	assert_int_equal(proxy_protocol_read(span_make(bytes, 106), &header, &why), PROXY_PROTOCOL_MORE);
	assert_int_equal(proxy_protocol_read(span_make(bytes, 107), &header, &why), PROXY_PROTOCOL_BAD);
	/* The longest header of version 2, one TLV in it. */
	struct span head = SPAN(SIGNATURE "\x21\x11\x10\0" TCP4 "\x04\x0f\xf1");
	memcpy(bytes, head.at, head.len);
	assert_int_equal(proxy_protocol_read(span_make(bytes, PROXY_PROTOCOL_READ_MOST - 1), &header, &why),
			 PROXY_PROTOCOL_MORE);
	assert_int_equal(proxy_protocol_read(span_make(bytes, sizeof(bytes)), &header, &why),
			 PROXY_PROTOCOL_DONE);
	assert_int_equal(header.length, PROXY_PROTOCOL_READ_MOST);
	/* Unix addresses: that it was one is all that is kept. */
	memset(bytes, 0, sizeof(bytes));
	memcpy(bytes, SIGNATURE "\x21\x31\0\xd8", 16);
	assert_int_equal(proxy_protocol_read(span_make(bytes, 16 + 216), &header, &why), PROXY_PROTOCOL_DONE);
	assert_int_equal(header.source.family, ADDRESS_UNIX);
	assert_null(header.source.path);
	bytes[15] = 0xd7;
	assert_int_equal(proxy_protocol_read(span_make(bytes, 16 + 215), &header, &why), PROXY_PROTOCOL_BAD);
}

static struct address address_of(const char *text)
{
	struct address address = {0};

	if (text && !address_parse(span_of(text), &address))
		fail();
	return address;
}

struct writing {
	const char *source, *destination;
	struct span v1, v2;
};

static const struct writing writings[] = {
	{"192.0.2.1:56324", "198.51.100.2:443", BYTES("PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n"),
	 BYTES(SIGNATURE "\x21\x11\0\x0c" TCP4)},
	{"[::ffff:192.0.2.1]:56324", "198.51.100.2:443",
	 BYTES("PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n"), BYTES(SIGNATURE "\x21\x11\0\x0c" TCP4)},
	{"[2001:db8::1]:56324", "[2001:db8::2]:443",
	 BYTES("PROXY TCP6 2001:db8::1 2001:db8::2 56324 443\r\n"), BYTES(SIGNATURE "\x21\x21\0\x24" TCP6)},
	{"192.0.2.1:56324", "[2001:db8::2]:443", BYTES("PROXY TCP6 ::ffff:192.0.2.1 2001:db8::2 56324 443\r\n"),
	 BYTES(SIGNATURE "\x21\x21\0\x24\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\x02\x01" IP6_B "\xdc\x04\x01\xbb")},
	{"unix:/run/x", "198.51.100.2:443", BYTES("PROXY UNKNOWN\r\n"), BYTES(SIGNATURE "\x20\0\0\0")},
	{"192.0.2.1:56324", NULL, BYTES("PROXY UNKNOWN\r\n"), BYTES(SIGNATURE "\x20\0\0\0")},
};

static void test_write(void **state)
{
	for (size_t i = 0; i < ARRAY_LENGTH(writings); i++) {
		const struct writing *row = &writings[i];
		struct address source = address_of(row->source), destination = address_of(row->destination);
		uint8_t out[PROXY_PROTOCOL_WRITE_MOST];
		size_t len = proxy_protocol_write(PROXY_PROTOCOL_V1, &source, &destination, out);
		assert_int_equal(len, row->v1.len);
		assert_memory_equal(out, row->v1.at, len);
		len = proxy_protocol_write(PROXY_PROTOCOL_V2, &source, &destination, out);
		assert_int_equal(len, row->v2.len);
		assert_memory_equal(out, row->v2.at, len);
	}
}

/* The longest line that there can be is not longer than allowed. */
static void test_write_longest(void **state)
{
	struct address longest = address_of("[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535");
	uint8_t out[PROXY_PROTOCOL_WRITE_MOST];
	struct proxy_protocol_header header;
	const char *why = NULL;
	size_t len = proxy_protocol_write(PROXY_PROTOCOL_V1, &longest, &longest, out);

	assert_in_range(len, 1, 107);
	assert_int_equal(proxy_protocol_read(span_make(out, len), &header, &why), PROXY_PROTOCOL_DONE);
	assert_true(address_equal(&header.source, &longest));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),          cmocka_unit_test(test_bad),
		cmocka_unit_test(test_bounds),        cmocka_unit_test(test_write),
		cmocka_unit_test(test_write_longest),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
