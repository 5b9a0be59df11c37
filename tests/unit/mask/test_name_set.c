/*
 * Sets of field names: what is found, and that it is what comparing with each row would find.
 */
#include "mask_fixture.h"

#include "core/random.h"
#include "mask/name.h"
#include "mask/name_set.h"

static uint8_t find(const struct name_set *set, const char *name)
{
	return name_set_find(set, http_field_identify(span_of(name)), span_of(name));
}

static struct name_set *make(struct fixture *fixture, const char *const *rows)
{
	struct name_set *set;

	fixture_start(fixture);
	set = name_set_new(&fixture->arena);
	assert_non_null(set);
	for (uint8_t i = 0; rows[i]; i++)
		assert_true(name_set_add(set, span_of(rows[i]), (uint8_t)(i + 1)));
	assert_true(name_set_seal(set));
	return set;
}

static void test_names_and_beginnings(void **state)
{
	static const char *const rows[] = {"Via",    "x-forwarded*",   "X-Real-IP", "X-Forwarded-Proto",
					   "x_up_*", "x-forwarded-f*", "a!b",       "Via2",
					   NULL};
	static const struct {
		const char *name;
		uint8_t value;
	} cases[] = {
		{"via", 1},
		{"VIA", 1},
		{"vi", 0},
		{"viable", 0},
		{"via2", 8},
		{"via-", 0},
		{"x-forwarded", 2},
		{"X-FORWARDED-ANY", 2},
		{"X_Forwarded_Any", 2},
		{"x-forwarde", 0},
		{"x-forwarded-for", 6},
		{"X_Forwarded_For", 6},
		{"x-forwarded-proto", 4},
		{"X_Forwarded-Proto", 4},
		{"x-forwarded-protocol", 2},
		{"x-real-ip", 3},
		{"x_real_ip", 3},
		{"x-real-ip ", 0},
		{"x-real-ipx", 0},
		{"X-UP-CALLING-LINE-ID", 5},
		{"x-up-", 5},
		{"x-up", 0},
		{"a!b", 7},
		{"a!", 0},
		{"", 0},
		{"\xff\x80", 0},
		{"user-agent", 0},
		{"x", 0},
	};
	struct fixture fixture;
	struct name_set *set = make(&fixture, rows);

	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
		if (find(set, cases[i].name) != cases[i].value)
			fail_msg("%s: %u instead of %u", cases[i].name, find(set, cases[i].name),
				 cases[i].value);
	fixture_end(&fixture);
}

static void test_later_rows_win_and_nothing_is_found_in_nothing(void **state)
{
	static const char *const none[] = {NULL}, *const twice[] = {"x-a", "x-b*", "X_A", "x_b*", NULL};
	struct fixture fixture;
	struct name_set *set = make(&fixture, none);

	assert_int_equal(find(set, "via"), 0);
	assert_int_equal(find(set, "x"), 0);
	fixture_end(&fixture);
	set = make(&fixture, twice);
	assert_int_equal(find(set, "X-A"), 3);
	assert_int_equal(find(set, "X-Bc"), 4);
	fixture_end(&fixture);
}

static void test_rows_of_settings(void **state)
{
	assert_null(name_set_check_row("X-A", 3));
	assert_null(name_set_check_row("X-A*", 4));
	assert_non_null(name_set_check_row("", 0));
	assert_non_null(name_set_check_row("*", 1));
	assert_non_null(name_set_check_row("X A", 3));
	assert_non_null(name_set_check_row("X*A", 3));
	assert_non_null(name_set_check_row("X**", 3));
	assert_non_null(name_set_check_row("X:", 2));
}

/* ---- against every row, one after the other ---- */

enum { ROWS = 120, LONGEST = 8 };

static size_t draw(struct random *random, char text[LONGEST + 2], bool row)
{
	static const char letters[] = "abAB-_0.";
	size_t len = 1 + random_below(random, LONGEST);

	for (size_t i = 0; i < len; i++)
		text[i] = letters[random_below(random, sizeof(letters) - 1)];
	if (row && random_below(random, 3) == 0)
		text[len++] = '*';
	return len;
}

static void lower(struct span text, uint8_t *out)
{
	for (size_t i = 0; i < text.len; i++)
		out[i] = text.at[i] == '_' ? '-' : ascii_lower(text.at[i]);
}

static uint8_t compare_all(char rows[ROWS][LONGEST + 2], const size_t *lens, struct span name)
{
	size_t best = 0;
	uint8_t value = 0;

	for (size_t i = 0; i < ROWS; i++) {
		bool begins = rows[i][lens[i] - 1] == '*';
		uint8_t text[LONGEST + 2];
		size_t len = lens[i] - begins, weight = begins ? len : SIZE_MAX;
		lower(span_make(rows[i], len), text);
		struct span row = span_make(text, len);
		if ((begins ? mask_name_begins(name, row) : mask_name_is(name, row)) && weight >= best) {
			best = weight;
			value = (uint8_t)(i + 1);
		}
	}
	return value;
}

static void test_against_all_rows(void **state)
{
	struct random random = {.state = {1, 2, 3, 4}};

	for (unsigned round = 0; round < 30; round++) {
		char rows[ROWS][LONGEST + 2];
		size_t lens[ROWS];
		struct fixture fixture;
		fixture_start(&fixture);
		struct name_set *set = name_set_new(&fixture.arena);
		assert_non_null(set);
		for (uint8_t i = 0; i < ROWS; i++) {
			lens[i] = draw(&random, rows[i], true);
			assert_true(name_set_add(set, span_make(rows[i], lens[i]), (uint8_t)(i + 1)));
		}
		assert_true(name_set_seal(set));
		for (unsigned i = 0; i < 2000; i++) {
			char name[LONGEST + 2];
			size_t len = draw(&random, name, false);
			assert_int_equal(name_set_find(set, HTTP_FIELD_OTHER, span_make(name, len)),
					 compare_all(rows, lens, span_make(name, len)));
		}
		fixture_end(&fixture);
	}
}

static void test_allocation_failures(void **state)
{
	static const char *const rows[] = {"via", "x-forwarded*", NULL};
	struct fixture fixture;

	for (uint64_t every = 1; every < 6; every++) {
		fixture_start(&fixture);
		memory_fail_every(&fixture.memory, every);
		struct name_set *set = name_set_new(&fixture.arena);
		if (set && name_set_add_all(set, rows, 1))
			(void)!name_set_seal(set);
		memory_fail_every(&fixture.memory, 0);
		fixture_end(&fixture);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_and_beginnings),
		cmocka_unit_test(test_later_rows_win_and_nothing_is_found_in_nothing),
		cmocka_unit_test(test_rows_of_settings),
		cmocka_unit_test(test_against_all_rows),
		cmocka_unit_test(test_allocation_failures),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
