/*
 * Entity tags: how lists of them are read; that what was sealed opens again, and nothing else; what a condition without any tag of ours becomes. And the one order of
 * fields.
 */
#include "mask_fixture.h"

#include "mask/entity_tag.h"
#include "mask/field_order.h"
#include "mask/sameness.h"

#define GROUP SPAN("web")

/* ---- lists ---- */

/* Each member on a line: "S text", "W text", "*", or "?". */
static void assert_members(struct span value, const char *expected)
{
	static char got[4096];
	enum entity_tag_member member;
	struct entity_tag tag;
	size_t len = 0;

	got[0] = '\0';
	while ((member = entity_tag_next(&value, &tag)) != ENTITY_TAG_END) {
		if (member == ENTITY_TAG_ONE)
			len += (size_t)snprintf(got + len, sizeof(got) - len, "%c %.*s\n",
						tag.weak ? 'W' : 'S', SPAN_ARG(tag.opaque));
		else
			len += (size_t)snprintf(got + len, sizeof(got) - len, "%c\n",
						member == ENTITY_TAG_ANY ? '*' : '?');
	}
	assert_string_equal(got, expected);
}

static void test_lists(void **state)
{
	assert_members(SPAN(""), "");
	assert_members(SPAN(" , ,\t,"), "");
	assert_members(SPAN("\"a\""), "S a\n");
	assert_members(SPAN("W/\"a\", \"b\""), "W a\nS b\n");
	assert_members(SPAN("\"\" , W/\"\""), "S \nW \n");
	assert_members(SPAN("\"a,b\",\"c\""), "S a,b\nS c\n");
	assert_members(SPAN("\"a\\\", \"b\""), "S a\\\nS b\n"); /* no quoted string: nothing is escaped */
	assert_members(SPAN("\"a b\""), "S a b\n");
	assert_members(SPAN("*"), "*\n");
	assert_members(SPAN(" * ,\"a\""), "*\nS a\n");
	assert_members(SPAN("a, \"b\""), "?\nS b\n");
	assert_members(SPAN("\"a\"b, \"c\""), "?\nS c\n");
	assert_members(SPAN("w/\"a\", \"c\""), "?\nS c\n");
	assert_members(SPAN("W/a"), "?\n");
	assert_members(SPAN("W/"), "?\n");
	assert_members(SPAN("\"a"), "?\n");
	assert_members(SPAN("\""), "?\n");
	assert_members(SPAN("**, * *"), "?\n?\n");
}

/* Wherever the text ends, its members are what they were, but for the one that was cut. */
static void test_every_end(void **state)
{
	const struct span text = SPAN("\"a\", W/\"b,c\" ,*, x,\"d\\\",W/\"\"");
	struct entity_tag tag, whole;

	for (size_t len = 0; len <= text.len; len++) {
		struct span rest = span_first(text, len), all = text;
		enum entity_tag_member member, other;
		while ((member = entity_tag_next(&rest, &tag)) != ENTITY_TAG_END) {
			other = entity_tag_next(&all, &whole);
			if (all.at > text.at + len)
				break; /* cut */
			assert_int_equal(member, other);
			assert_true(rest.at == all.at);
			if (member == ENTITY_TAG_ONE)
				assert_true(span_equal(tag.opaque, whole.opaque) && tag.weak == whole.weak);
		}
		while (rest.len && entity_tag_next(&rest, &tag) != ENTITY_TAG_END)
			assert_true(rest.at <= text.at + len);
	}
}

static void test_one_tag(void **state)
{
	struct entity_tag tag;

	assert_true(entity_tag_parse(SPAN("\"a\""), &tag) && !tag.weak);
	assert_true(entity_tag_parse(SPAN("W/\"a\""), &tag) && tag.weak);
	assert_false(entity_tag_parse(SPAN(""), &tag));
	assert_false(entity_tag_parse(SPAN("\"a\" "), &tag));
	assert_false(entity_tag_parse(SPAN("\"a\", \"b\""), &tag));
	assert_false(entity_tag_parse(SPAN("\"a\"b\""), &tag));
	assert_false(entity_tag_parse(SPAN("a"), &tag));
}

/* ---- sealing ---- */

static const struct sameness *sealing(struct fixture *fixture, const char *key)
{
	struct sameness_settings settings = {.etags = true, .key = {.text = key, .len = strlen(key)}};
	const struct sameness *same;

	assert_true(sameness_compile(&settings, &fixture->arena, &fixture->diagnostics, &same));
	assert_non_null(same);
	return same;
}

static struct span field_of(const struct http_fields *fields, const char *name)
{
	const struct http_field *field = http_fields_find_name(fields, span_of(name));

	return field ? field->value : (struct span){0};
}

/* What a client is told of a server's tag; empty: nothing. */
static struct span closed(struct fixture *fixture, const struct sameness *same, struct span group,
			  struct span value)
{
	struct http_fields fields;

	http_fields_init(&fields, &fixture->arena);
	assert_true(http_fields_add(&fields, HTTP_FIELD_OTHER, SPAN("etag"), value));
	assert_true(sameness_close_tags(same, group, &fields));
	return field_of(&fields, "ETag");
}

/* What a server is told of a client's; empty: the field is gone. */
static struct span opened(struct fixture *fixture, const struct sameness *same, struct span group,
			  const char *name, struct span value)
{
	struct http_fields fields;

	http_fields_init(&fields, &fixture->arena);
	assert_true(http_fields_add(&fields, HTTP_FIELD_OTHER, span_of(name), value));
	assert_true(sameness_open_conditions(same, group, &fields));
	return field_of(&fields, name);
}

static void test_every_length(void **state)
{
	struct fixture fixture;
	char text[SAMENESS_TAG_MOST + 8];
	unsigned sizes = 0;
	size_t before = 0;

	fixture_start(&fixture);
	const struct sameness *same = sealing(&fixture, "0123456789abcdef");
	for (size_t len = 0; len <= SAMENESS_TAG_MOST + 1; len++) {
		int size = snprintf(text, sizeof(text), "W/\"%0*u\"", (int)len, 0);
		struct span weak = span_make(text, len ? (size_t)size : 4), strong;
		if (len == 0)
			memcpy(text, "W/\"\"", 4);
		strong = span_from(weak, 2);
		struct span tag = closed(&fixture, same, GROUP, weak);
		if (len > SAMENESS_TAG_MOST) {
			assert_int_equal(tag.len, 0);
			break;
		}
		assert_true(span_starts_with(tag, SPAN("W/\"")));
		assert_true(span_equal(opened(&fixture, same, GROUP, "If-None-Match", tag), weak));
		assert_true(span_equal(opened(&fixture, same, GROUP, "If-Range", tag), weak));
		/* The strength is not part of what is sealed: both compare as before (RFC 9110 8.8.3.2). */
		assert_true(span_equal(closed(&fixture, same, GROUP, strong), span_from(tag, 2)));
		assert_true(span_equal(opened(&fixture, same, GROUP, "If-Match", span_from(tag, 2)), strong));
		sizes += tag.len != before;
		before = tag.len;
	}
	assert_int_equal(sizes, 4); /* four lengths for all */
	sameness_free(same);
	fixture_end(&fixture);
}

static void test_keys_and_groups(void **state)
{
	struct fixture fixture;

	fixture_start(&fixture);
	const struct sameness *one = sealing(&fixture, "0123456789abcdef"),
			      *same = sealing(&fixture, "0123456789abcdef"),
			      *other = sealing(&fixture, "0123456789abcdeF"), *random = sealing(&fixture, "");
	struct span tag = closed(&fixture, one, GROUP, SPAN("\"t\""));
	assert_true(span_equal(closed(&fixture, same, GROUP, SPAN("\"t\"")), tag));
	assert_true(span_equal(opened(&fixture, same, GROUP, "If-Match", tag), SPAN("\"t\"")));
	assert_false(span_equal(closed(&fixture, same, SPAN("api"), SPAN("\"t\"")), tag));
	assert_false(span_equal(closed(&fixture, same, GROUP, SPAN("\"T\"")), tag));
	assert_false(span_equal(closed(&fixture, other, GROUP, SPAN("\"t\"")), tag));
	assert_false(span_equal(closed(&fixture, random, GROUP, SPAN("\"t\"")), tag));
	assert_int_equal(opened(&fixture, same, SPAN("api"), "If-None-Match", tag).len, 0);
	assert_int_equal(opened(&fixture, other, GROUP, "If-None-Match", tag).len, 0);
	assert_true(sameness_key_is_random(random) && !sameness_key_is_random(one));
	sameness_free(one);
	sameness_free(same);
	sameness_free(other);
	sameness_free(random);
	sameness_free(NULL);
	fixture_end(&fixture);
}

/* Each byte of a tag is changed, and the tag is cut at each byte: none of them is ours. */
static void test_forgeries(void **state)
{
	struct fixture fixture;
	char text[200];

	fixture_start(&fixture);
	const struct sameness *same = sealing(&fixture, "0123456789abcdef");
	struct span tag = closed(&fixture, same, GROUP, SPAN("\"t\""));
	for (size_t i = 1; i + 1 < tag.len; i++) {
		memcpy(text, tag.at, tag.len);
		text[i] = text[i] == 'x' ? 'y' : 'x';
		assert_int_equal(opened(&fixture, same, GROUP, "If-None-Match", span_make(text, tag.len)).len,
				 0);
		memcpy(text, tag.at, i);
		text[i] = '"';
		assert_int_equal(opened(&fixture, same, GROUP, "If-None-Match", span_make(text, i + 1)).len, 0);
	}
	sameness_free(same);
	fixture_end(&fixture);
}

/* ---- conditions ---- */

static void check_conditions(struct fixture *fixture, const struct sameness *same, const char *const *rows,
			     const char *expected)
{
	struct http_fields fields;

	http_fields_init(&fields, &fixture->arena);
	for (; rows[0]; rows += 2)
		assert_true(http_fields_add(&fields, HTTP_FIELD_OTHER, span_of(rows[0]), span_of(rows[1])));
	assert_true(sameness_open_conditions(same, GROUP, &fields));
	assert_fields(&fields, expected);
}

static void test_conditions(void **state)
{
	struct fixture fixture;
	struct span sealed;
	char tag[200], list[600];

	fixture_start(&fixture);
	const struct sameness *same = sealing(&fixture, "0123456789abcdef");
	sealed = closed(&fixture, same, GROUP, SPAN("\"t\""));
	snprintf(tag, sizeof(tag), "%.*s", SPAN_ARG(sealed));
	snprintf(list, sizeof(list), "\"x\",W/%s ,, y, %s,*", tag, tag);
	/* Several lines are one list (RFC 9110 5.3). */
	check_conditions(&fixture, same,
			 (const char *const[]){"IF-NONE-MATCH", list, "If-None-Match", "\"x\"",
					       "if-none-match", tag, "If-Modified-Since", "then", NULL},
			 "IF-NONE-MATCH: W/\"t\", \"t\", *\nif-none-match: \"t\"\nIf-Modified-Since: then\n");
	check_conditions(&fixture, same,
			 (const char *const[]){"If-None-Match", "\"x\"", "If-None-Match", "",
					       "If-Modified-Since", "then", "Range", "bytes=0-", NULL},
			 "Range: bytes=0-\n");
	check_conditions(&fixture, same,
			 (const char *const[]){"If-Match", "\"x\"", "If-Match", tag, "If-Unmodified-Since",
					       "then", NULL},
			 "If-Match: \"t\"\nIf-Unmodified-Since: then\n");
	check_conditions(&fixture, same,
			 (const char *const[]){"If-Match", "\"x\"", "If-Match", "W/\"y\"", NULL},
			 "If-Match: W/\"guise:no-such-tag\"\n");
	check_conditions(&fixture, same, (const char *const[]){"If-Match", "", NULL},
			 "If-Match: W/\"guise:no-such-tag\"\n");
	check_conditions(&fixture, same,
			 (const char *const[]){"If-Range", "\"x\"", "Range", "bytes=0-", "If-Range", tag, NULL},
			 "");
	check_conditions(&fixture, same,
			 (const char *const[]){"If-Range", "W/\"x", "Range", "bytes=0-", NULL}, "");
	check_conditions(&fixture, same,
			 (const char *const[]){"If-Range", "Sat, 01 Jan 2000 00:00:00 GMT", "range",
					       "bytes=0-", NULL},
			 "If-Range: Sat, 01 Jan 2000 00:00:00 GMT\nrange: bytes=0-\n");
	check_conditions(&fixture, NULL, (const char *const[]){"If-Match", "\"x\"", NULL}, "If-Match: \"x\"\n");
	sameness_free(same);
	fixture_end(&fixture);
}

/* ---- the rest ---- */

static void test_errors(void **state)
{
	static const struct {
		enum sameness_errors errors;
		unsigned from;
	} table[] = {{SAMENESS_ERRORS_OFF, 1000}, {SAMENESS_ERRORS_5XX, 500}, {SAMENESS_ERRORS_ALL, 400}};
	struct fixture fixture;

	fixture_start(&fixture);
	for (unsigned i = 0; i < ARRAY_LENGTH(table); i++) {
		struct sameness_settings settings = {.errors = (int)table[i].errors, .date = true};
		const struct sameness *same;
		assert_true(sameness_compile(&settings, &fixture.arena, &fixture.diagnostics, &same));
		for (unsigned status = 100; status < 600; status++)
			assert_int_equal(sameness_replaces(same, status), status >= table[i].from);
		assert_true(sameness_has_date(same) && !sameness_has_order(same));
		sameness_free(same);
	}
	assert_false(sameness_replaces(NULL, 500) || sameness_has_date(NULL) || sameness_has_order(NULL));
	fixture_end(&fixture);
}

static void test_order(void **state)
{
	static const char *const rows[] = {"x-b",        "1", "SET-COOKIE",   "b", "content-type", "t",
					   "Set-Cookie", "a", "x-powered_BY", "2", "etag",         "e",
					   "X-",         "3", "X-B",          "0"};
	struct fixture fixture;
	struct http_fields fields;

	fixture_start(&fixture);
	http_fields_init(&fields, &fixture.arena);
	assert_true(field_order_apply(&fields));
	for (unsigned i = 0; i < ARRAY_LENGTH(rows); i += 2)
		assert_true(http_fields_add(&fields, http_field_identify(span_of(rows[i])), span_of(rows[i]),
					    span_of(rows[i + 1])));
	fields.items[2].dropped = true;
	assert_true(field_order_apply(&fields));
	assert_fields(&fields,
		      "ETag: e\nSet-Cookie: b\nSet-Cookie: a\nX-: 3\nX-B: 1\nX-B: 0\nX-Powered_by: 2\n");
	fixture_end(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lists),           cmocka_unit_test(test_every_end),
		cmocka_unit_test(test_one_tag),         cmocka_unit_test(test_every_length),
		cmocka_unit_test(test_keys_and_groups), cmocka_unit_test(test_forgeries),
		cmocka_unit_test(test_conditions),      cmocka_unit_test(test_errors),
		cmocka_unit_test(test_order),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
