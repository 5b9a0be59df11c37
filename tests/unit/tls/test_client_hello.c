/* ClientHello: a real one and made ones, cut into records and segments at every byte, and malformed in every length. */
#include "../../support/client_hello.h"

#include <stdlib.h>

/* ---- making one ---- */

static void put_extension(struct maker *maker, unsigned type, struct span content)
{
	put_number(maker, 2, type);
	put_vector(maker, 2, content);
}

static void make_name(struct maker *maker, struct span name)
{
	maker->len = 0;
	put_number(maker, 2, 3 + name.len);
	put_number(maker, 1, 0);
	put_vector(maker, 2, name);
}

/* The message, in one piece, around extensions that are given with everything but their own length; NULL: none at all. */
static void make_message(struct maker *maker, const struct span *extensions)
{
	struct span random = SPAN("0123456789abcdef0123456789abcdef"), ciphers = SPAN("\x13\x01\x13\x02");
	size_t length = 2 + 32 + 1 + 0 + 2 + ciphers.len + 2 + (extensions ? 2 + extensions->len : 0);

	maker->len = 0;
	put_number(maker, 1, 1);
	put_number(maker, 3, length);
	put_number(maker, 2, 0x0303);
	put(maker, random.at, random.len);
	put_number(maker, 1, 0);
	put_vector(maker, 2, ciphers);
	put_vector(maker, 1, SPAN("\0"));
	if (extensions)
		put_vector(maker, 2, *extensions);
}

/* The message in records of at most `most` bytes. */
static void make_records(struct maker *maker, struct span message, size_t most)
{
	maker->len = 0;
	for (size_t at = 0; at < message.len;) {
		size_t len = size_min(most, message.len - at);
		put_number(maker, 1, 22);
		put_number(maker, 2, 0x0301);
		put_vector(maker, 2, span_first(span_from(message, at), len));
		at += len;
	}
}

struct bench {
	struct maker name, extensions, message, records;
};

/* The records of a ClientHello with this server_name extension. */
static struct span make_named(struct bench *bench, struct span extension, size_t most)
{
	bench->extensions.len = 0;
	put_extension(&bench->extensions, 10, SPAN("\0\x02\0\x1d"));
	put_extension(&bench->extensions, 0, extension);
	put_extension(&bench->extensions, 0x0a0a, SPAN(""));
	struct span extensions = made(&bench->extensions);
	make_message(&bench->message, &extensions);
	make_records(&bench->records, made(&bench->message), most);
	return made(&bench->records);
}

static int set_up(void **state)
{
	*state = calloc(1, sizeof(struct bench));
	return *state ? 0 : -1;
}

static int tear_down(void **state)
{
	free(*state);
	return 0;
}

/* ---- what is said of it ---- */

static void assert_hello(struct span bytes, const char *name, bool h2)
{
	struct tls_client_hello hello;

	assert_int_equal(tls_client_hello_peek(bytes, &hello), TLS_PEEK_DONE);
	assert_int_equal(hello.name_len, strlen(name));
	assert_memory_equal(hello.name, name, hello.name_len);
	assert_int_equal(hello.h2, h2);
	assert_int_equal(hello.need, 0);
}

/* At every cut: more, and never more than there is. */
static void assert_every_cut(struct span bytes, const char *name, bool h2)
{
	uint32_t need = 1;

	for (size_t cut = 1; cut < bytes.len; cut++) {
		struct tls_client_hello hello;
		assert_int_equal(tls_client_hello_peek(span_first(bytes, cut), &hello), TLS_PEEK_MORE);
		assert_true(hello.need > cut && hello.need <= bytes.len);
		assert_true(hello.need >= need);
		need = hello.need;
		assert_int_equal(hello.name_len, 0);
	}
	assert_hello(bytes, name, h2);
}

static void assert_other(struct span bytes)
{
	struct tls_client_hello hello;
	bool other = false;

	for (size_t cut = 0; cut <= bytes.len; cut++) {
		enum tls_peek result = tls_client_hello_peek(span_first(bytes, cut), &hello);
		assert_int_not_equal(result, TLS_PEEK_DONE);
		assert_int_equal(hello.name_len, 0);
		assert_false(other && result != TLS_PEEK_OTHER);
		other = result == TLS_PEEK_OTHER;
	}
	assert_true(other);
}

/* ---- good ones ---- */

/* What OpenSSL 3.0 sends for www.example.com with h2 and http/1.1. */
static const char openssl_hello[] =
	"1603010200010001fc0303aab936648ff4c326fbed9c3ad8630cc1d39fe077f0fff08652555d683e3d922020a474a5da7e24d039c3b93080191900"
	"57cd6fd921f0c0c6926ec0474e2ee0901b0024130213031301c02cc030c02bc02fcca9cca8c024c028c023c027009f009e006b006700ff0100018f"
	"00000014001200000f7777772e6578616d706c652e636f6d000b000403000102000a00160014001d0017001e0019001801000101010201030104"
	"002300000010000e000c02683208687474702f312e310016000000170000000d002a0028040305030603080708080809080a080b080408050806"
	"040105010601030303010302040205020602002b00050403040303002d00020101003300260024001d0020e3ba5f24993e1bd180d7a6b7ac116242"
	"b9b01e0631ed50b62d1694e72352967c001500cc";

static struct span openssl_bytes(uint8_t out[517])
{
	memset(out, 0, 517); /* it ends with padding */
	for (size_t i = 0; openssl_hello[2 * i]; i++) {
		char digits[3] = {openssl_hello[2 * i], openssl_hello[2 * i + 1], '\0'};
		out[i] = (uint8_t)strtoul(digits, NULL, 16);
	}
	return span_make(out, 517);
}

static void test_real(void **state)
{
	struct bench *bench = *state;
	uint8_t raw[517];
	struct span bytes = openssl_bytes(raw), message = span_from(bytes, 5);

	assert_every_cut(bytes, "www.example.com", true);
	/* Split over records of every size. */
	for (size_t most = 1; most < message.len; most++) {
		make_records(&bench->records, message, most);
		assert_hello(made(&bench->records), "www.example.com", true);
	}
	make_records(&bench->records, message, 1);
	assert_every_cut(made(&bench->records), "www.example.com", true);
	make_records(&bench->records, message, 3);
	assert_every_cut(made(&bench->records), "www.example.com", true);
}

/* Bytes behind the message are not looked at: early data, or what the first record has more. */
static void test_bytes_behind(void **state)
{
	uint8_t raw[517 + 64];
	struct span bytes = openssl_bytes(raw);

	memset(raw + bytes.len, 0xff, 64);
	assert_hello(span_make(raw, sizeof(raw)), "www.example.com", true);
}

static void test_names(void **state)
{
	static const char *const names[][2] = {
		{"a", "a"},
		{"shop.example", "shop.example"},
		{"SHOP.Example", "shop.example"},
		{"shop.example.", "shop.example"},
		{"a_b.xn--bcher-kva.example", "a_b.xn--bcher-kva.example"},
		{"-a-.0", "-a-.0"},
		{"123456789012345678901234567890123456789012345678901234567890123.a",
		 "123456789012345678901234567890123456789012345678901234567890123.a"},
	};
	struct bench *bench = *state;

	for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
		make_name(&bench->name, span_of(names[i][0]));
		assert_every_cut(make_named(bench, made(&bench->name), 1 << 14), names[i][1], false);
		assert_hello(make_named(bench, made(&bench->name), 7), names[i][1], false);
	}
}

static void test_no_name(void **state)
{
	struct bench *bench = *state;
	struct span none = SPAN("");

	make_message(&bench->message, &none);
	make_records(&bench->records, made(&bench->message), 1 << 14);
	assert_every_cut(made(&bench->records), "", false);
	/* RFC 5246 7.4.1.2: TLS 1.2 without the field for extensions. */
	make_message(&bench->message, NULL);
	make_records(&bench->records, made(&bench->message), 1 << 14);
	assert_every_cut(made(&bench->records), "", false);
}

static void test_alpn(void **state)
{
	static const struct {
		const char *list;
		bool h2;
	} rows[] = {
		{"\x02h2", true},
		{"\x08http/1.1\x02h2", true},
		{"\x08http/1.1", false},
		{"\x02H2", false},
		{"\x03h2c\x01h", false},
		{"\x01h\x01"
		 "2",
		 false},
	};
	struct bench *bench = *state;

	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		bench->name.len = 0;
		put_vector(&bench->name, 2, span_of(rows[i].list));
		bench->extensions.len = 0;
		put_extension(&bench->extensions, 16, made(&bench->name));
		struct span extensions = made(&bench->extensions);
		make_message(&bench->message, &extensions);
		make_records(&bench->records, made(&bench->message), 5);
		assert_every_cut(made(&bench->records), "", rows[i].h2);
	}
}

/* ---- others ---- */

/* clang-format off */
static const struct { const uint8_t *at; size_t len; } strangers[] = {
#define ROW(literal) {(const uint8_t *)(literal), sizeof(literal) - 1}
	ROW("G"), ROW("SSH-2.0-x\r\n"), ROW("\0\0\0\x08\x04\xd2\x16\x2f"),
	ROW("\x80\x2e\x01\x03\x01"),         /* SSL 2.0 */
	ROW("\x15\x03\x01\0\x02\x02\x28"),   /* an alert */
	ROW("\x17\x03\x03\0\x01x"),
	ROW("\x16\x02"), ROW("\x16\x04"),
	ROW("\x16\x03\x01\0\0"),             /* RFC 8446 5.1: no empty handshake record */
	ROW("\x16\x03\x01\x40\x01"),         /* nor one over 2^14 */
	ROW("\x16\x03\x01\xff\xff"),
	ROW("\x16\x03\x01\0\x04\x02"),       /* a ServerHello */
	ROW("\x16\x03\x01\0\x04\0\0\0\0"),
	ROW("\x16\x03\x01\0\x04\x01\0\xff\xfd"), /* more than we look at */
	ROW("\x16\x03\x01\0\x04\x01\xff\xff\xff"),
	ROW("\x16\x03\x01\0\x01\x01\x15\x03\x01"), /* an alert in the middle of it */
	ROW("\x16\x03\x01\0\x01\x01\x16\x03\x01\0\0"),
	ROW("\x16\x03\x01\0\x04\x01\0\0\0"), /* empty */
	ROW("\x16\x03\x01\0\x06\x01\0\0\x02\x03\x03"),
#undef ROW
};
/* clang-format on */

static void test_strangers(void **state)
{
	for (size_t i = 0; i < ARRAY_LENGTH(strangers); i++)
		assert_other(span_make(strangers[i].at, strangers[i].len));
}

static void test_bad_names(void **state)
{
	/* clang-format off */
	static const struct { const char *at; size_t len; } names[] = {
#define ROW(literal) {(literal), sizeof(literal) - 1}
		ROW(""), ROW("."), ROW(".."), ROW(".a"), ROW("a..b"), ROW("a.."), ROW("a\0b"), ROW("a\0"), ROW("\0a"), ROW("a b"),
		ROW("a/b"), ROW("a:443"), ROW("*.example"), ROW("a@b"), ROW("b\xc3\xbc" "cher.example"), ROW("a\nb"), ROW("a\x7f"),
		ROW("192.0.2.1"), ROW("2001:db8::1"), ROW("[::1]"), ROW("a\"b"), ROW("a%62"),
		ROW("1234567890123456789012345678901234567890123456789012345678901234.a"),
#undef ROW
	};
	/* clang-format on */
	struct bench *bench = *state;
	char longest[254];

	for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
		make_name(&bench->name, span_make(names[i].at, names[i].len));
		assert_other(make_named(bench, made(&bench->name), 1 << 14));
	}
	for (size_t i = 0; i < sizeof(longest); i++)
		longest[i] = i % 2 ? '.' : 'a';
	longest[252] = 'a';
	make_name(&bench->name, span_make(longest, 253));
	struct tls_client_hello hello;
	assert_int_equal(tls_client_hello_peek(make_named(bench, made(&bench->name), 1 << 14), &hello),
			 TLS_PEEK_DONE);
	assert_int_equal(hello.name_len, 253);
	longest[253] = 'a';
	make_name(&bench->name, span_make(longest, 254));
	assert_other(make_named(bench, made(&bench->name), 1 << 14));
}

/* What stands in the server_name extension, as it must not. */
static void test_bad_name_lists(void **state)
{
	/* clang-format off */
	static const struct { const char *at; size_t len; } lists[] = {
#define ROW(literal) {(literal), sizeof(literal) - 1}
		ROW(""), ROW("\0"), ROW("\0\0"), ROW("\0\x01\0"), ROW("\0\x03\0\0\0"),
		ROW("\0\x05\0\0\x01" "a"),        /* the list is longer than what is there */
		ROW("\0\x04\0\0\x02" "a"),        /* the name is */
		ROW("\0\x03\0\0\x01" "a"),        /* the name leaves its list */
		ROW("\0\x04\0\0\x01" "a" "b"),    /* something behind the list */
		ROW("\0\x05\0\0\x01" "a" "b"),    /* something behind the name */
		ROW("\0\x04\x01\0\x01" "a"),      /* of another type */
		ROW("\0\x08\0\0\x01" "a" "\0\0\x01" "b"), /* two names (RFC 6066 3) */
		ROW("\0\x08\0\0\x01" "a" "\x01\0\x01" "b"),
#undef ROW
	};
	/* clang-format on */
	struct bench *bench = *state;

	for (size_t i = 0; i < ARRAY_LENGTH(lists); i++) {
		assert_other(make_named(bench, span_make(lists[i].at, lists[i].len), 1 << 14));
		assert_other(make_named(bench, span_make(lists[i].at, lists[i].len), 9));
	}
}

static void test_bad_extensions(void **state)
{
	/* clang-format off */
	static const struct { const char *at; size_t len; } rows[] = {
#define ROW(literal) {(literal), sizeof(literal) - 1}
		ROW("\0"), ROW("\0\x17"), ROW("\0\x17\0"), ROW("\0\x17\0\x01"), ROW("\0\x17\0\0\0"),
		ROW("\0\x17\0\0\0\x17\0\0"),               /* twice (RFC 8446 4.2) */
		ROW("\xff\x01\0\x01\0\0\x17\0\0\xff\x01\0\x01\0"),
		ROW("\0\0\0\x06\0\x04\0\0\x01" "a" "\0\0\0\x06\0\x04\0\0\x01" "b"),
		ROW("\0\x10\0\0"),                         /* ALPN: no list */
		ROW("\0\x10\0\x02\0\0"),                   /* an empty one */
		ROW("\0\x10\0\x03\0\x01\0"),               /* an empty name */
		ROW("\0\x10\0\x05\0\x03\x03h2"),           /* a name beyond the list */
		ROW("\0\x10\0\x05\0\x04\x02h2"),
		ROW("\0\x10\0\x06\0\x03\x02h2x"),
#undef ROW
	};
	/* clang-format on */
	struct bench *bench = *state;

	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct span extensions = span_make(rows[i].at, rows[i].len);
		make_message(&bench->message, &extensions);
		make_records(&bench->records, made(&bench->message), 1 << 14);
		assert_other(made(&bench->records));
	}
}

/* One length of the real one is wrong: it is refused, or waits for what does not come. No byte before it is read differently. */
static void test_lengths(void **state)
{
	static const struct {
		size_t at;
		uint8_t value;
	} changes[] = {
		{8, 0xfb},  {8, 0xfd},  /* the message, longer and shorter */
		{43, 0x1f}, {43, 0x21}, /* session id; over 32 bytes */
		{43, 0xff}, {77, 0x23},  {77, 0x25},  {77, 0x22}, {76, 0xff}, {114, 0},
		{114, 2},   {117, 0x8e}, {117, 0x90}, {9, 2},     {9, 4},
	};
	uint8_t raw[517];

	for (size_t i = 0; i < ARRAY_LENGTH(changes); i++) {
		struct span bytes = openssl_bytes(raw);
		struct tls_client_hello hello;
		raw[changes[i].at] = changes[i].value;
		assert_int_not_equal(tls_client_hello_peek(bytes, &hello), TLS_PEEK_DONE);
		assert_int_equal(hello.name_len, 0);
	}
}

/* The largest that is looked at, and one byte more. */
static void test_largest(void **state)
{
	struct bench *bench = *state;
	uint8_t *filler = calloc(1, UINT16_MAX);
	struct tls_client_hello hello;

	assert_non_null(filler);
	make_name(&bench->name, SPAN("big.example"));
	for (size_t len = 65300; len < 65600; len++) {
		bench->extensions.len = 0;
		put_extension(&bench->extensions, 21, span_make(filler, size_min(len, UINT16_MAX) - 100));
		put_extension(&bench->extensions, 0, made(&bench->name));
		struct span extensions = made(&bench->extensions);
		make_message(&bench->message, &extensions);
		make_records(&bench->records, made(&bench->message), 1 << 14);
		struct span bytes = made(&bench->records);
		bool fits = bytes.len <= TLS_CLIENT_HELLO_MOST;
		enum tls_peek result = tls_client_hello_peek(bytes, &hello);
		assert_int_equal(result, fits ? TLS_PEEK_DONE : TLS_PEEK_OTHER);
		/* Given up no later than when the room for it is full. */
		if (!fits)
			assert_int_equal(tls_client_hello_peek(span_first(bytes, TLS_CLIENT_HELLO_MOST), &hello),
					 TLS_PEEK_OTHER);
	}
	free(filler);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_real),           cmocka_unit_test(test_bytes_behind),
		cmocka_unit_test(test_names),          cmocka_unit_test(test_no_name),
		cmocka_unit_test(test_alpn),           cmocka_unit_test(test_strangers),
		cmocka_unit_test(test_bad_names),      cmocka_unit_test(test_bad_name_lists),
		cmocka_unit_test(test_bad_extensions), cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_largest),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
