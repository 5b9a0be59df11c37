/*
 * JA4 against the examples of its description (FoxIO, technical_details/JA4.md), and against what is no ClientHello.
 */
#include "audit/ja4.h"

#include "../../support/client_hello.h"

#include <stdio.h>
#include <stdlib.h>

/* The example's: in the order that they are sent in, with values of GREASE (RFC 8701) among them. */
static const uint16_t ciphers[] = {0x2a2a, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030,
				   0xcca9, 0xcca8, 0xc013, 0xc014, 0x009c, 0x009d, 0x002f, 0x0035};
static const uint16_t extensions[] = {0x4a4a, 0x001b, 0x0000, 0x0033, 0x0010, 0x4469, 0x0017, 0x002d, 0x000d,
				      0x0005, 0x0023, 0x0012, 0x002b, 0xff01, 0x000b, 0x000a, 0x0015, 0xdada};
static const uint16_t signatures[] = {0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601};

struct wish {
	const uint16_t *ciphers, *extensions, *signatures;
	size_t cipher_count, extension_count, signature_count;
	struct span alpn;
	uint16_t version; /* of supported_versions */
};

static const struct wish example = {
	.ciphers = ciphers,
	.cipher_count = ARRAY_LENGTH(ciphers),
	.extensions = extensions,
	.extension_count = ARRAY_LENGTH(extensions),
	.signatures = signatures,
	.signature_count = ARRAY_LENGTH(signatures),
	.alpn = SPAN("h2"),
	.version = 0x0304,
};

static void put_list(struct maker *maker, const uint16_t *list, size_t count, unsigned length_bytes)
{
	put_number(maker, length_bytes, 2 * count);
	for (size_t i = 0; i < count; i++)
		put_number(maker, 2, list[i]);
}

static void make_extension(struct maker *data, unsigned type, const struct wish *wish)
{
	const uint16_t versions[] = {0x8a8a, wish->version, 0x0303};

	data->len = 0;
	if (type == 0x0000) {
		put_number(data, 2, 3 + 7);
		put_number(data, 1, 0);
		put_number(data, 2, 7);
		put(data, "a.invalid", 7);
		data->bytes[data->len - 1] = 'x';
	} else if (type == 0x0010) {
		put_number(data, 2, 1 + wish->alpn.len);
		put_number(data, 1, wish->alpn.len);
		put(data, wish->alpn.at, wish->alpn.len);
	} else if (type == 0x000d) {
		put_list(data, wish->signatures, wish->signature_count, 2);
	} else if (type == 0x002b) {
		put_list(data, versions, ARRAY_LENGTH(versions), 1);
	}
}

/* The whole of it in records of at most `record` bytes. */
static void make(struct maker *maker, const struct wish *wish, size_t record)
{
	struct maker message = {.len = 0}, all = {.len = 0}, data;
	uint8_t random[32] = {0};

	put_number(&message, 2, 0x0303);
	put(&message, random, sizeof(random));
	put_number(&message, 1, 0);
	put_list(&message, wish->ciphers, wish->cipher_count, 2);
	put_number(&message, 2, 0x0100);
	for (size_t i = 0; i < wish->extension_count; i++) {
		make_extension(&data, wish->extensions[i], wish);
		put_number(&all, 2, wish->extensions[i]);
		put_vector(&all, 2, made(&data));
	}
	if (wish->extension_count)
		put_vector(&message, 2, made(&all));
	data.len = 0;
	put_number(&data, 1, 1);
	put_vector(&data, 3, made(&message));
	maker->len = 0;
	for (size_t from = 0; from < data.len; from += record) {
		size_t run = size_min(record, data.len - from);
		put_number(maker, 1, 22);
		put_number(maker, 2, 0x0301);
		put_number(maker, 2, run);
		put(maker, data.bytes + from, run);
	}
}

static void expect(const struct wish *wish, const char *ja4)
{
	struct maker maker;
	char out[JA4_TEXT];

	make(&maker, wish, 4096);
	assert_true(ja4_of(span_make(maker.bytes, maker.len), out));
	assert_string_equal(out, ja4);
}

static void test_examples(void **state)
{
	struct wish wish = example;

	expect(&wish, "t13d1516h2_8daaf6152771_e5627efa2ab1");
	wish.extension_count = 0;
	expect(&wish, "t12i150000_8daaf6152771_000000000000");
}

/* Without signature algorithms the text ends without an underscore. */
static void test_no_signatures(void **state)
{
	uint16_t without[ARRAY_LENGTH(extensions)];
	struct wish wish = example;

	memcpy(without, extensions, sizeof(without));
	wish.extensions = without;
	wish.signature_count = 0;
	expect(&wish, "t13d1516h2_8daaf6152771_6d807ffa2a79");
}

static void test_versions(void **state)
{
	struct wish wish = example;

	wish.version = 0x0302; /* the highest counts, which is that beside it */
	expect(&wish, "t12d1516h2_8daaf6152771_e5627efa2ab1");
	wish.version = 0x7f1c; /* a draft: nobody knows it */
	expect(&wish, "t00d1516h2_8daaf6152771_e5627efa2ab1");
}

static void test_alpn(void **state)
{
	static const struct {
		struct span alpn;
		const char *text;
	} rows[] = {
		{SPAN("http/1.1"), "h1"},         {SPAN("h"), "hh"},        {SPAN("\xab"), "ab"},
		{SPAN("\xab\xcd"), "ad"},         {SPAN("\x30\xab"), "3b"}, {SPAN("\x30\x31\xab\xcd"), "3d"},
		{SPAN("\x30\xab\xcd\x31"), "01"},
	};

	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct wish wish = example;
		char text[JA4_TEXT];
		wish.alpn = rows[i].alpn;
		snprintf(text, sizeof(text), "t13d1516%s_8daaf6152771_e5627efa2ab1", rows[i].text);
		expect(&wish, text);
	}
}

/* However the message lies in records; and never of a part of it. */
static void test_cuts(void **state)
{
	struct maker maker;
	char out[JA4_TEXT];

	for (size_t record = 1; record < 400; record += 7) {
		make(&maker, &example, record);
		assert_true(ja4_of(span_make(maker.bytes, maker.len), out));
		assert_string_equal(out, "t13d1516h2_8daaf6152771_e5627efa2ab1");
	}
	make(&maker, &example, 100);
	for (size_t cut = 0; cut < maker.len; cut++)
		assert_false(ja4_of(span_make(maker.bytes, cut), out));
	assert_false(ja4_of(SPAN("GET / HTTP/1.1\r\n\r\n"), out));
}

/* More of anything than two digits can say, and more than are kept. */
static void test_many(void **state)
{
	uint16_t many[JA4_LIST_MOST + 40];
	struct wish wish = example;
	struct maker maker;
	char out[JA4_TEXT];

	for (size_t i = 0; i < ARRAY_LENGTH(many); i++)
		many[i] = (uint16_t)(0x6000 + i);
	wish.ciphers = many;
	wish.cipher_count = ARRAY_LENGTH(many);
	make(&maker, &wish, 4096);
	assert_true(ja4_of(span_make(maker.bytes, maker.len), out));
	assert_memory_equal(out, "t13d9916h2_", 11);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_examples), cmocka_unit_test(test_no_signatures),
		cmocka_unit_test(test_versions), cmocka_unit_test(test_alpn),
		cmocka_unit_test(test_cuts),     cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
