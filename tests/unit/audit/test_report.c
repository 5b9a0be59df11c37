/*
 * Reports: what follows from what was seen, and the three ways in which it is told.
 */
#include "audit/report.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <jansson.h>

#include <cmocka.h>

static const struct audit_group groups[] = {
	{"field", "Fields", NULL}, {"own", "Own fields", "kept"}, {NULL, NULL, NULL}};

static const struct audit_scale scale = {
	.kind = "test",
	.grades = {{"low", "all is told"}, {"middle", "some is told"}, {"high", "nothing is told"}},
	.count = 3,
	.groups = groups,
};

struct desk {
	struct memory memory;
	struct arena arena;
	struct audit_report report;
};

static int set_up(void **state)
{
	struct desk *desk = calloc(1, sizeof(*desk));

	assert_non_null(desk);
	memory_init(&desk->memory, 0);
	arena_init(&desk->arena, &desk->memory, NULL, NULL, 0);
	audit_report_init(&desk->report, &scale, "http://proxy", &desk->arena);
	*state = desk;
	return 0;
}

static int tear_down(void **state)
{
	struct desk *desk = *state;

	arena_fini(&desk->arena);
	free(desk);
	return 0;
}

static void add(struct audit_report *report, const char *id, enum audit_sight sight, unsigned needs,
		const char *saw)
{
	audit_report_add(report, &(struct audit_finding){.id = id,
							 .title = span_of(id),
							 .saw = span_of(saw),
							 .sight = sight,
							 .needs = needs,
							 .advice = "do <this> & that"});
}

/* What is printed; free it. */
static char *print(const struct audit_report *report, enum audit_format format, bool colour)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	assert_non_null(out);
	assert_true(audit_report_print(report, out, format, colour));
	assert_int_equal(fclose(out), 0);
	return text;
}

static void assert_has(const char *text, const char *part)
{
	if (!text || !strstr(text, part))
		fail_msg("\"%s\" is not in:\n%s", part, text ? text : "");
}

/* ---- what follows ---- */

static void test_grades(void **state)
{
	struct audit_report *report = &((struct desk *)*state)->report;

	assert_int_equal(audit_report_grade(report), -1); /* nothing was tested */
	add(report, "field.a", AUDIT_UNTESTED, 2, "no answer");
	assert_int_equal(audit_report_grade(report), -1);
	assert_false(audit_report_passed(report));
	add(report, "field.b", AUDIT_UNSEEN, 2, "");
	assert_int_equal(audit_report_grade(report), 2);
	assert_true(audit_report_passed(report));
	add(report, "own.c", AUDIT_ALTERED, AUDIT_NO_GRADE, "dropped");
	add(report, "field.d", AUDIT_SEEN, AUDIT_NO_GRADE, "told");
	assert_int_equal(audit_report_grade(report), 2);
	add(report, "field.e", AUDIT_SEEN, 2, "x");
	assert_int_equal(audit_report_grade(report), 1);
	add(report, "field.f", AUDIT_SEEN, 1, "x");
	assert_int_equal(audit_report_grade(report), 0);
	add(report, "field.g", AUDIT_SEEN, 0, "x");
	assert_int_equal(audit_report_grade(report), -1);
	assert_int_equal(audit_report_count(report, AUDIT_LEAKS), 3);
	assert_int_equal(audit_report_count(report, AUDIT_TOLD), 1);
}

/* What is seen is a leak from the bar on that asks for it. */
static void test_bar(void **state)
{
	struct audit_report *report = &((struct desk *)*state)->report;

	add(report, "field.a", AUDIT_SEEN, 2, "x");
	assert_int_equal(audit_report_verdict(report, &report->rows[0]), AUDIT_LEAKS);
	assert_false(audit_report_passed(report));
	assert_true(audit_report_expect(report, "middle"));
	assert_int_equal(audit_report_verdict(report, &report->rows[0]), AUDIT_TOLD);
	assert_true(audit_report_passed(report));
	assert_false(audit_report_expect(report, "best"));
	assert_int_equal(report->expect, 1);
	assert_true(audit_report_expect(report, "low"));
	add(report, "field.b", AUDIT_SEEN, 0, "x");
	assert_false(audit_report_passed(report));
}

/* Of one channel that is looked at many times the worst counts, and is told as it was seen first. */
static void test_merged(void **state)
{
	struct audit_report *report = &((struct desk *)*state)->report;
	static const struct {
		enum audit_sight sight;
		unsigned needs;
		const char *saw, *stays;
	} rows[] = {
		{AUDIT_UNTESTED, 2, "nothing", "nothing"},
		{AUDIT_UNSEEN, 2, "", ""},
		{AUDIT_ALTERED, 2, "altered", "altered"},
		{AUDIT_SEEN, AUDIT_NO_GRADE, "told", "told"},
		{AUDIT_SEEN, 2, "high", "high"},
		{AUDIT_SEEN, 1, "middle", "middle"},
		{AUDIT_SEEN, 1, "again", "middle"},
		{AUDIT_UNSEEN, 1, "", "middle"},
		{AUDIT_SEEN, 0, "low", "low"},
		{AUDIT_SEEN, 2, "later", "low"},
	};

	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		add(report, "field.a", rows[i].sight, rows[i].needs, rows[i].saw);
		assert_int_equal(report->count, 1);
		assert_string_equal(report->rows[0].saw, rows[i].stays);
	}
}

static void test_failure(void **state)
{
	struct audit_report *report = &((struct desk *)*state)->report;

	add(report, "field.a", AUDIT_UNSEEN, 2, "");
	audit_report_fail(report, "it broke", "mend it");
	audit_report_fail(report, "later", NULL);
	assert_int_equal(audit_report_grade(report), -1);
	assert_false(audit_report_passed(report));
	char *text = print(report, AUDIT_TEXT, false);
	assert_has(text, "No grade: it broke\nmend it\n");
	free(text);
}

/* What a proxy says of itself is told there too: it draws nothing on a terminal, and stays within its element. */
static void test_failure_of_a_hostile_proxy(void **state)
{
	struct audit_report *report = &((struct desk *)*state)->report;

	audit_report_fail(report, "it answered \"\x1b]0;x\x07\x9b<\xff\"", NULL);
	for (int format = AUDIT_TEXT; format <= AUDIT_JUNIT; format++) {
		char *text = print(report, (enum audit_format)format, false);
		for (const char *at = text; *at; at++)
			assert_true(*at == '\n' || (*at >= ' ' && *at < 0x7f));
		assert_has(text, "x1b]0;x");
		free(text);
	}
	audit_report_skip(report, "\x1b[2J");
	assert_string_equal(report->skipped, "\\x1b[2J");
}

static void test_too_many(void **state)
{
	struct audit_report *report = &((struct desk *)*state)->report;
	char id[32];

	for (unsigned i = 0; i <= AUDIT_FINDINGS_MOST; i++) {
		snprintf(id, sizeof(id), "field.%u", i);
		add(report, id, AUDIT_UNSEEN, 2, "");
	}
	assert_int_equal(report->count, AUDIT_FINDINGS_MOST);
	assert_int_equal(audit_report_grade(report), -1);
}

static void test_escape(void **state)
{
	struct arena *arena = &((struct desk *)*state)->arena;
	uint8_t many[AUDIT_SAW_MOST * 2];
	struct span out = audit_escape(SPAN("a\r\n\t\x1b[31m\x7f\xe9 \"'<&>"), arena);

	assert_string_equal((const char *)out.at, "a\\r\\n\\t\\x1b[31m\\x7f\\xe9 \"'<&>");
	for (unsigned byte = 'a'; byte <= 0xff; byte += 0xff - 'a') {
		memset(many, (int)byte, sizeof(many));
		out = audit_escape(span_make(many, sizeof(many)), arena);
		assert_true(out.len <= AUDIT_SAW_MOST + 3);
		assert_true(span_ends_with(out, SPAN("...")));
	}
	assert_int_equal(audit_escape((struct span){0}, arena).len, 0);
}

/* ---- how it is told ---- */

static void fill(struct audit_report *report)
{
	add(report, "field.via", AUDIT_SEEN, 2, "1.1 <proxy> & \"co\"\r\n");
	add(report, "field.hidden", AUDIT_UNSEEN, 1, "");
	add(report, "own.cookie", AUDIT_ALTERED, AUDIT_NO_GRADE, "dropped");
	add(report, "own.accept", AUDIT_UNSEEN, AUDIT_NO_GRADE, "");
	add(report, "field.skipped", AUDIT_UNTESTED, 1, "no <answer>");
}

static void test_text(void **state)
{
	struct audit_report *report = &((struct desk *)*state)->report;

	fill(report);
	char *text = print(report, AUDIT_TEXT, false);
	assert_has(text, "guise audit test: http://proxy\n\nFields\n");
	assert_has(text, "\nOwn fields\n");
	assert_has(text, "  leaks       field.via");
	assert_has(text, "1.1 <proxy> & \"co\"\\r\\n  (high hides it)\n");
	assert_has(text, "  hidden      field.hidden\n");
	assert_has(text, "  kept        own.accept\n");
	assert_has(text, "  altered     own.cookie");
	assert_has(text, "  not tested  field.skipped");
	assert_has(text, "\nGrade: middle, some is told; high was expected\n");
	assert_has(text, "2 hidden, 0 told, 1 leaks, 1 altered, 1 not tested");
	assert_has(text, "What to change:\n  field.via: do <this> & that\n");
	assert_null(strchr(text, '\033'));
	free(text);
	text = print(report, AUDIT_TEXT, true);
	assert_has(text, "\033[1;31mleaks");
	assert_has(text, "\033[32mhidden");
	free(text);
}

/* Of many of a kind a few are listed, the others named; those that are hidden are counted. */
static void test_minor(void **state)
{
	struct audit_report *report = &((struct desk *)*state)->report;
	char id[32];

	for (unsigned i = 0; i < 40; i++) {
		snprintf(id, sizeof(id), "field.long-name-%u", i);
		audit_report_add(report, &(struct audit_finding){.id = id,
								 .title = span_of(id),
								 .saw = SPAN("seen"),
								 .sight = i < 30 ? AUDIT_SEEN : AUDIT_UNSEEN,
								 .needs = 2,
								 .minor = true});
	}
	char *text = print(report, AUDIT_TEXT, false);
	assert_has(text, "field.long-name-4 ");
	assert_null(strstr(text, "field.long-name-5 "));
	assert_has(text, "more: field.long-name-5, field.long-name-6, ");
	assert_has(text, "field.long-name-29\n");
	assert_has(text, "  hidden      10 of the same kind\n");
	for (const char *line = text; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
		assert_true(strcspn(line, "\n") <= 140);
	free(text);
}

static void test_json(void **state)
{
	struct audit_report *report = &((struct desk *)*state)->report;
	json_error_t error;

	fill(report);
	char *text = print(report, AUDIT_JSON, false);
	json_t *root = json_loads(text, 0, &error);
	assert_non_null(root);
	assert_string_equal(json_string_value(json_object_get(root, "audit")), "test");
	assert_string_equal(json_string_value(json_object_get(root, "grade")), "middle");
	assert_string_equal(json_string_value(json_object_get(root, "expect")), "high");
	assert_true(json_is_false(json_object_get(root, "passed")));
	assert_int_equal(json_array_size(json_object_get(root, "channels")), 5);
	json_t *first = json_array_get(json_object_get(root, "channels"), 0);
	assert_string_equal(json_string_value(json_object_get(first, "id")), "field.via");
	assert_string_equal(json_string_value(json_object_get(first, "verdict")), "leaks");
	assert_string_equal(json_string_value(json_object_get(first, "needs")), "high");
	assert_string_equal(json_string_value(json_object_get(first, "saw")), "1.1 <proxy> & \"co\"\\r\\n");
	assert_int_equal(json_integer_value(json_object_get(json_object_get(root, "counts"), "not tested")), 1);
	json_decref(root);
	free(text);
}

static void test_junit(void **state)
{
	struct audit_report *report = &((struct desk *)*state)->report;

	fill(report);
	char *text = print(report, AUDIT_JUNIT, false);
	assert_has(text,
		   "<testsuite name=\"guise audit test\" tests=\"5\" failures=\"1\" errors=\"0\" skipped=\"1\"");
	assert_has(text, "<testcase classname=\"guise.audit.test.field\" name=\"via\"");
	assert_has(text, "<failure message=\"field.via: 1.1 &lt;proxy&gt; &amp; &quot;co&quot;\\r\\n\">"
			 "do &lt;this&gt; &amp; that</failure>");
	assert_has(text, "<skipped message=\"no &lt;answer&gt;\"/>");
	free(text);
	audit_report_fail(report, "it broke", "mend it");
	assert_true(audit_report_expect(report, "low"));
	text = print(report, AUDIT_JUNIT, false);
	assert_has(text, "tests=\"6\" failures=\"0\" errors=\"1\"");
	assert_has(text, "<error message=\"it broke\">mend it</error>");
	free(text);
}

static void test_formats(void **state)
{
	enum audit_format format = AUDIT_TEXT;

	assert_true(audit_format_find("junit", &format));
	assert_int_equal(format, AUDIT_JUNIT);
	assert_false(audit_format_find("xml", &format));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_grades, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_bar, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_merged, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_failure, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_failure_of_a_hostile_proxy, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_too_many, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_escape, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_text, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_minor, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_json, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_junit, set_up, tear_down),
		cmocka_unit_test(test_formats),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
