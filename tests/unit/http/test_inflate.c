/* Codings that are undone: in pieces of any size, several members, what is none, what becomes too much; and what heads say of codings. */
#include "http/inflate.h"

#include "../../support/arena.h"

#include <stdlib.h>
#include <zlib.h>

static uint8_t packed[1 << 20], unpacked[1 << 20];

static size_t pack(struct span text, int bits, uint8_t *out)
{
	z_stream stream = {.next_in = (uint8_t *)(uintptr_t)text.at, .avail_in = (unsigned)text.len};

	stream.next_out = out;
	stream.avail_out = (unsigned)(sizeof(packed) - (size_t)(out - packed));
	assert_int_equal(deflateInit2(&stream, 6, Z_DEFLATED, bits, 8, Z_DEFAULT_STRATEGY), Z_OK);
	assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
	size_t len = (size_t)(stream.next_out - out);
	deflateEnd(&stream);
	return len;
}

/* In pieces of `piece` bytes, into rooms of `room` bytes. */
static enum inflate_result unpack(enum content_coding coding, size_t len, size_t piece, size_t room,
				  size_t *made, bool *ended)
{
	struct inflater *inflater = inflater_new(&memory, coding);
	enum inflate_result result = INFLATE_GOOD;

	assert_non_null(inflater);
	*made = 0;
	for (size_t at = 0; at < len && result == INFLATE_GOOD; at += piece) {
		struct span in = span_make(packed + at, size_min(piece, len - at));
		size_t step = room;
		while (step == room && result == INFLATE_GOOD) {
			assert_true(*made + room <= sizeof(unpacked));
			result = inflater_run(inflater, &in, unpacked + *made, room, &step);
			*made += step;
		}
		assert_true(in.len == 0 || result != INFLATE_GOOD);
	}
	*ended = inflater_may_end(inflater);
	inflater_free(inflater);
	return result;
}

static void test_all_forms_in_all_pieces(void **state)
{
	const struct span text = SPAN("what is inside stays inside, what is inside stays inside; 10.0.0.1");
	static const struct {
		enum content_coding coding;
		int bits;
	} forms[] = {{CODING_GZIP, 31}, {CODING_DEFLATE, 15}, {CODING_DEFLATE, -15}};
	size_t made;
	bool ended;

	for (size_t form = 0; form < ARRAY_LENGTH(forms); form++) {
		size_t len = pack(text, forms[form].bits, packed);
		for (size_t piece = 1; piece <= len; piece++)
			for (size_t room = 1; room < 100; room += 7) {
				assert_int_equal(unpack(forms[form].coding, len, piece, room, &made, &ended),
						 INFLATE_GOOD);
				assert_true(ended);
				assert_int_equal(made, text.len);
				assert_memory_equal(unpacked, text.at, text.len);
			}
		/* Cut short anywhere, it has not ended. */
		for (size_t cut = 1; cut < len; cut++) {
			assert_int_equal(unpack(forms[form].coding, cut, 7, 64, &made, &ended), INFLATE_GOOD);
			assert_false(ended);
			assert_true(made <= text.len);
		}
	}
	assert_int_equal(unpack(CODING_GZIP, 0, 1, 1, &made, &ended), INFLATE_GOOD);
	assert_true(ended);
}

/* RFC 1952 2.2: one member after the other; what is none is dropped. */
static void test_members(void **state)
{
	size_t first = pack(SPAN("one, "), 31, packed), made;
	size_t len = first + pack(SPAN("two"), 31, packed + first);
	bool ended;

	for (size_t piece = 1; piece <= len; piece++) {
		assert_int_equal(unpack(CODING_GZIP, len, piece, 3, &made, &ended), INFLATE_GOOD);
		assert_true(ended);
		assert_int_equal(made, 8);
		assert_memory_equal(unpacked, "one, two", 8);
	}
	memset(packed + len, 0, 100);
	assert_int_equal(unpack(CODING_GZIP, len + 100, 9, 64, &made, &ended), INFLATE_GOOD);
	assert_true(ended);
	assert_int_equal(made, 8);
}

static void test_what_is_none(void **state)
{
	size_t len = pack(SPAN("something to be found broken"), 31, packed), made;
	bool ended;

	memcpy(unpacked, packed, len);
	packed[len - 6] ^= 1; /* the sum */
	assert_int_equal(unpack(CODING_GZIP, len, 5, 64, &made, &ended), INFLATE_BAD);
	memcpy(packed, "<html>", 6);
	assert_int_equal(unpack(CODING_GZIP, 6, 6, 64, &made, &ended), INFLATE_BAD);
	assert_int_equal(unpack(CODING_DEFLATE, 6, 6, 64, &made, &ended), INFLATE_BAD);
}

static void test_a_bomb(void **state)
{
	static uint8_t zeros[1 << 19];
	struct inflater *inflater = inflater_new(&memory, CODING_GZIP);
	enum inflate_result result = INFLATE_GOOD;
	size_t first = pack(span_make(zeros, sizeof(zeros)), 31, packed), total = 0, step = 0;

	for (unsigned member = 0; member < 8 && result == INFLATE_GOOD; member++) {
		struct span in = span_make(packed, first);
		do {
			result = inflater_run(inflater, &in, unpacked, 8192, &step);
			total += step;
		} while (result == INFLATE_GOOD && step == 8192);
	}
	assert_int_equal(result, INFLATE_BOMB);
	assert_in_range(total, 1024 * 1024, 1024 * 1024 + 2 * 8192);
	inflater_free(inflater);
}

static void test_no_memory(void **state)
{
	const struct span text = SPAN("text");
	size_t len = pack(text, 31, packed), made;

	for (unsigned every = 1; every < 5; every++) {
		memory_fail_every(&memory, every);
		struct inflater *inflater = inflater_new(&memory, CODING_GZIP);
		struct span in = span_make(packed, len);
		if (inflater) {
			enum inflate_result result = inflater_run(inflater, &in, unpacked, 64, &made);
			assert_true(result == INFLATE_GOOD || result == INFLATE_MEMORY);
		}
		assert_true(every > 1 || !inflater);
		inflater_free(inflater);
		memory_fail_every(&memory, 0);
		assert_int_equal(atomic_load(&memory.used), 0);
	}
}

static void add(struct http_fields *fields, const char *name, const char *value)
{
	assert_true(http_fields_add(fields, http_field_identify(span_of(name)), span_of(name), span_of(value)));
}

static void test_what_heads_say(void **state)
{
	static const struct {
		const char *value;
		enum content_coding coding;
	} codings[] = {{"gzip", CODING_GZIP},           {"X-GZip", CODING_GZIP}, {"deflate", CODING_DEFLATE},
		       {"identity", CODING_IDENTITY},   {"br", CODING_OTHER},    {"gzip, gzip", CODING_OTHER},
		       {"identity, gzip", CODING_GZIP}, {"", CODING_IDENTITY}};
	static const struct {
		const char *value, *narrow;
	} accepts[] = {{"gzip, br;q=0.9, deflate;q=0.5", "gzip, deflate;q=0.5"},
		       {"br, zstd", "identity"},
		       {"*", "identity"},
		       {"*;q=0, identity;q=1", "identity;q=1"},
		       {"GZIP ;q=1", "GZIP ;q=1"},
		       {"", "identity"}};

	for (size_t i = 0; i < ARRAY_LENGTH(codings); i++) {
		struct http_fields fields;
		http_fields_init(&fields, &arena);
		add(&fields, "Content-Encoding", codings[i].value);
		assert_int_equal(content_coding_of(&fields), codings[i].coding);
	}
	for (size_t i = 0; i < ARRAY_LENGTH(accepts); i++) {
		struct http_fields fields;
		http_fields_init(&fields, &arena);
		add(&fields, "Accept-encoding", accepts[i].value);
		struct span narrow = content_coding_narrow(&fields, &arena);
		assert_true(span_equal(narrow, span_of(accepts[i].narrow)));
	}
}

/* A client can name as many as a head holds: that costs memory for them once. */
static void test_many_codings(void **state)
{
	enum { MANY = 2000 };
	static char value[MANY * 5 + 1];
	struct http_fields fields;

	for (unsigned i = 0; i < MANY; i++)
		memcpy(value + (size_t)i * 5, "gzip,", 6);
	http_fields_init(&fields, &arena);
	add(&fields, "Accept-Encoding", value);
	size_t before = atomic_load(&memory.used);
	struct span narrow = content_coding_narrow(&fields, &arena);
	assert_int_equal(narrow.len, MANY * 6 - 2);
	assert_true(atomic_load(&memory.used) - before < 2 * narrow.len);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_all_forms_in_all_pieces, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_members, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_is_none, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_bomb, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_memory, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_heads_say, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_many_codings, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
