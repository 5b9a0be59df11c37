/*
 * Fields: names to ids and back, the list and its edits, list values, classes of bytes.
 */
#include "http/http_support.h"

#include "http/char.h"
#include "http/field.h"

static void test_identify_every_name_in_any_case(void **state)
{
	for (unsigned id = 1; id < HTTP_FIELD_IDS; id++) {
		struct span name = http_field_name((enum http_field_id)id);
		uint8_t other[64];
		assert_in_range(name.len, 2, sizeof(other) - 2);
		assert_int_equal(http_field_identify(name), id);
		for (size_t i = 0; i < name.len; i++)
			other[i] = ascii_is_alpha(name.at[i]) ? name.at[i] ^ 0x20 : name.at[i];
		assert_int_equal(http_field_identify(span_make(other, name.len)), id);
	}
}

/* A name that differs in one byte, or in its length, is another name. */
static void test_identify_nothing_else(void **state)
{
	for (unsigned id = 1; id < HTTP_FIELD_IDS; id++) {
		struct span name = http_field_name((enum http_field_id)id);
		uint8_t other[64];
		for (size_t i = 0; i < name.len; i++) {
			for (unsigned byte = 0; byte < 256; byte++) {
				memcpy(other, name.at, name.len);
				other[i] = (uint8_t)byte;
				struct span text = span_make(other, name.len);
				bool same = span_equal_nocase(text, name);
				assert_int_equal(http_field_identify(text) == id, same);
			}
		}
		memcpy(other, name.at, name.len);
		other[name.len] = 'x';
		assert_int_equal(http_field_identify(span_make(other, name.len + 1)), HTTP_FIELD_OTHER);
		assert_int_not_equal(http_field_identify(span_make(other, name.len - 1)), id);
	}
	assert_int_equal(http_field_identify(SPAN("")), HTTP_FIELD_OTHER);
	assert_int_equal(http_field_identify(SPAN("X-Other")), HTTP_FIELD_OTHER);
}

static void add(struct http_fields *fields, const char *name, const char *value)
{
	struct span text = span_of(name);
	assert_true(http_fields_add(fields, http_field_identify(text), text, span_of(value)));
}

static void check_fields(struct bench *bench, const struct http_fields *fields, const char *want)
{
	struct span text = SPAN("");
	struct http_field *field;
	for (uint32_t i = 0; (field = http_fields_next(fields, &i));)
		text = arena_format(&bench->arena, "%.*s%.*s=%.*s;", SPAN_ARG(text), SPAN_ARG(field->name),
				    SPAN_ARG(field->value));
	assert_span(text, span_of(want));
}

static void test_edits(void **state)
{
	struct bench bench;
	struct http_fields fields;
	bench_init(&bench);
	http_fields_init(&fields, &bench.arena);
	check_fields(&bench, &fields, "");
	assert_null(http_fields_find(&fields, HTTP_FIELD_VIA));
	add(&fields, "X-A", "1");
	add(&fields, "via", "2");
	add(&fields, "x-a", "3");
	add(&fields, "Via", "4");
	add(&fields, "Date", "5");
	check_fields(&bench, &fields, "X-A=1;via=2;x-a=3;Via=4;Date=5;");
	assert_int_equal(http_fields_count_id(&fields, HTTP_FIELD_VIA), 2);
	assert_span(http_fields_find(&fields, HTTP_FIELD_VIA)->value, SPAN("2"));
	assert_span(http_fields_find_name(&fields, SPAN("X-a"))->value, SPAN("1"));
	assert_span(http_fields_find_name(&fields, SPAN("DATE"))->value, SPAN("5"));
	assert_null(http_fields_find_name(&fields, SPAN("X-B")));
	assert_true(http_fields_set(&fields, HTTP_FIELD_VIA, SPAN("VIA"), SPAN("6")));
	check_fields(&bench, &fields, "X-A=1;VIA=6;x-a=3;Date=5;");
	assert_true(http_fields_set(&fields, HTTP_FIELD_OTHER, SPAN("X-a"), SPAN("7")));
	assert_true(http_fields_set(&fields, HTTP_FIELD_OTHER, SPAN("X-b"), SPAN("8")));
	check_fields(&bench, &fields, "X-a=7;VIA=6;Date=5;X-b=8;");
	http_fields_drop_id(&fields, HTTP_FIELD_VIA);
	http_fields_drop_name(&fields, SPAN("x-A"));
	http_fields_drop_name(&fields, SPAN("x-none"));
	check_fields(&bench, &fields, "Date=5;X-b=8;");
	assert_int_equal(http_fields_count_id(&fields, HTTP_FIELD_VIA), 0);
	assert_true(http_fields_add_known(&fields, HTTP_FIELD_VIA, SPAN("9")));
	check_fields(&bench, &fields, "Date=5;X-b=8;Via=9;");
	bench_fini(&bench);
}

static void test_growth(void **state)
{
	struct bench bench;
	struct http_fields fields;
	bench_init(&bench);
	http_fields_init(&fields, &bench.arena);
	for (int i = 0; i < 1000; i++)
		add(&fields, "X", i == 500 ? "here" : "");
	assert_int_equal(fields.count, 1000);
	assert_span(fields.items[500].value, SPAN("here"));
	memory_fail_every(&bench.memory, 1);
	bool good = true;
	for (int i = 0; i < 100000 && good; i++)
		good = http_fields_add(&fields, HTTP_FIELD_OTHER, SPAN("X"), SPAN(""));
	assert_false(good);
	assert_span(fields.items[500].value, SPAN("here"));
	memory_fail_every(&bench.memory, 0);
	bench_fini(&bench);
}

static void test_lists(void **state)
{
	static const struct {
		const char *list, *members;
	} cases[] = {
		{"", ""},
		{" , ,\t,", ""},
		{"a", "a;"},
		{"a,b", "a;b;"},
		{" a ,\tb c , ", "a;b c;"},
		{"\"a,b\", c", "\"a,b\";c;"},
		{"\"a\\\",b\", c", "\"a\\\",b\";c;"},
		{"x=\"a, b\";y=z,c", "x=\"a, b\";y=z;c;"},
		{"\"a, b", "\"a, b;"},
		{"\"a\\", "\"a\\;"},
	};
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		struct bench bench;
		struct span rest = span_of(cases[i].list), member, text = SPAN("");
		bench_init(&bench);
		while (http_list_next(&rest, &member))
			text = arena_format(&bench.arena, "%.*s%.*s;", SPAN_ARG(text), SPAN_ARG(member));
		assert_span(text, span_of(cases[i].members));
		bench_fini(&bench);
	}
	assert_true(http_list_has(SPAN("gzip, Trailers"), SPAN("trailers")));
	assert_false(http_list_has(SPAN("gzip, trailers;q=0"), SPAN("trailers")));
	assert_false(http_list_has(SPAN("\"trailers\""), SPAN("trailers")));
}

/* The table says what the grammars say (RFC 9110 5.5, 5.6.2, 5.6.4; RFC 3986 2.3). */
static void test_classes_of_bytes(void **state)
{
	for (unsigned i = 0; i < 256; i++) {
		uint8_t byte = (uint8_t)i, eight[8] = "abcdefgh";
		bool alnum = ascii_is_alpha(byte) || ascii_is_digit(byte);
		bool visible = i > 0x20 && i < 0x7f;
		assert_int_equal(http_char_is(byte, HTTP_CHAR_TOKEN),
				 alnum || (i && strchr("!#$%&'*+-.^_`|~", (int)i)));
		assert_int_equal(http_char_is(byte, HTTP_CHAR_VALUE),
				 visible || i == ' ' || i == '\t' || i >= 0x80);
		assert_int_equal(http_char_is(byte, HTTP_CHAR_TARGET), visible && i != '#');
		assert_int_equal(http_char_is(byte, HTTP_CHAR_HOST), alnum || (i && strchr("-._", (int)i)));
		assert_int_equal(http_char_is(byte, HTTP_CHAR_UNRESERVED),
				 alnum || (i && strchr("-._~", (int)i)));
		assert_int_equal(http_char_is(byte, HTTP_CHAR_HEX),
				 i && strchr("0123456789abcdefABCDEF", (int)i) != NULL);
		assert_int_equal(http_char_is(byte, HTTP_CHAR_QUOTED),
				 i == '\t' || i >= 0x80 || ((visible || i == ' ') && i != '"' && i != '\\'));
		for (size_t at = 0; at < 8; at++) {
			uint8_t before = eight[at];
			eight[at] = byte;
			assert_int_equal(http_char_8_have_control(eight), i < 0x20 || i == 0x7f);
			eight[at] = before;
		}
	}
	assert_int_equal(http_percent_byte(SPAN("%0f1")), 0x0f);
	assert_int_equal(http_percent_byte(SPAN("%fA")), 0xfa);
	assert_int_equal(http_percent_byte(SPAN("%f")), -1);
	assert_int_equal(http_percent_byte(SPAN("%fg")), -1);
	assert_int_equal(http_percent_byte(SPAN("%:0")), -1);
	assert_int_equal(http_percent_byte(SPAN("a00")), -1);
	assert_true(http_is_token(SPAN("a-B!")));
	assert_false(http_is_token(SPAN("")));
	assert_false(http_is_token(SPAN("a b")));
	assert_true(http_is_field_value(SPAN("")));
	assert_false(http_is_field_value(SPAN("a\rb")));
}

static void test_trailers(void **state)
{
	static const char *const good[] = {"X-Sum",        "grpc-status",    "ETag",        "Server-Timing",
					   "Proxy-Status", "Content-Digest", "Repr-Digest", "Content"};
	static const char *const bad[] = {"Host",
					  "content-length",
					  "Content-Type",
					  "Content-Range",
					  "If-Match",
					  "Range",
					  "Authorization",
					  "Set-Cookie",
					  "WWW-Authenticate",
					  "Proxy-Authenticate",
					  "X-Forwarded-For",
					  "X-Forwarded-Anything",
					  "Age",
					  "Vary",
					  "Cache-Control",
					  "Connection",
					  "TE",
					  "Trailer",
					  "Transfer-Encoding",
					  "Max-Forwards"};
	for (size_t i = 0; i < ARRAY_LENGTH(good); i++)
		assert_true(http_field_may_trail(http_field_identify(span_of(good[i])), span_of(good[i])));
	for (size_t i = 0; i < ARRAY_LENGTH(bad); i++)
		assert_false(http_field_may_trail(http_field_identify(span_of(bad[i])), span_of(bad[i])));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_identify_every_name_in_any_case),
		cmocka_unit_test(test_identify_nothing_else),
		cmocka_unit_test(test_edits),
		cmocka_unit_test(test_growth),
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_classes_of_bytes),
		cmocka_unit_test(test_trailers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
