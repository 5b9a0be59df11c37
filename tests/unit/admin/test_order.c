/*
 * Orders as they are written: what they say, and which field is named when they are wrong.
 */
#include "admin/order.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct order parsed(const char *text)
{
	struct order_wrong wrong;
	struct order order;

	if (!order_parse(span_of(text), &order, &wrong))
		fail_msg("%s: %s", text, wrong.text);
	return order;
}

static void test_good(void **state)
{
	struct order order = parsed("{\"state\": \"drain\"}");

	assert_true(order.has_state && !order.has_weight);
	assert_int_equal(order.state, FLEET_DRAIN);
	order = parsed(" {\"weight\": 256, \"state\": \"maintenance\"}\n");
	assert_true(order.has_state && order.has_weight);
	assert_int_equal(order.state, FLEET_MAINTENANCE);
	assert_int_equal(order.weight, 256);
	order = parsed("{\"weight\": 1}");
	assert_true(!order.has_state && order.has_weight);
	assert_int_equal(order.weight, 1);
	order = parsed("{\"weight\": null, \"state\": \"ready\"}");
	assert_true(order.has_weight);
	assert_int_equal(order.weight, 0);
	assert_int_equal(order.state, FLEET_READY);
}

static void test_wrong(void **state)
{
	static const struct {
		const char *text, *field, *said;
	} cases[] = {
		{"", "", "not JSON"},
		{"{", "", "not JSON: line 1, column 1"},
		{"{}x", "", "not JSON"},
		{"{\"state\": \"ready\", \"state\": \"ready\"}", "", "not JSON"},
		{"[]", "", "object"},
		{"1", "", "not JSON"},
		{"{}", "", "both"},
		{"{\"state\": \"drian\"}", "state", "did you mean \"drain\""},
		{"{\"state\": \"\"}", "state", "ready, drain or maintenance"},
		{"{\"state\": 2}", "state", "ready, drain or maintenance"},
		{"{\"weight\": 0}", "weight", "1 to 256"},
		{"{\"weight\": 257}", "weight", "1 to 256"},
		{"{\"weight\": 3.0}", "weight", "1 to 256"},
		{"{\"weight\": true}", "weight", "1 to 256"},
		{"{\"weigth\": 1}", "weigth", "did you mean \"weight\""},
		{"{\"x\": 1}", "x", "nothing else"},
	};

	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		struct order_wrong wrong;
		struct order order;
		assert_false(order_parse(span_of(cases[i].text), &order, &wrong));
		assert_string_equal(wrong.field, cases[i].field);
		if (!strstr(wrong.text, cases[i].said))
			fail_msg("%s: %s", cases[i].text, wrong.text);
	}
}

/* Texts are bounded, whatever comes. */
static void test_long(void **state)
{
	struct order_wrong wrong;
	struct order order;
	char text[4000];

	memset(text, 'a', sizeof(text));
	memcpy(text, "{\"", 2);
	memcpy(text + sizeof(text) - 5, "\": 1}", 5);
	assert_false(order_parse(span_make(text, sizeof(text)), &order, &wrong));
	assert_int_equal(strlen(wrong.field), sizeof(wrong.field) - 1);
	memset(text, '[', sizeof(text));
	assert_false(order_parse(span_make(text, sizeof(text)), &order, &wrong));
	memcpy(text, "{\"state\":\"", 10);
	memset(text + 10, 'd', sizeof(text) - 12);
	memcpy(text + sizeof(text) - 2, "\"}", 2);
	assert_false(order_parse(span_make(text, sizeof(text)), &order, &wrong));
	assert_string_equal(wrong.field, "state");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_wrong),
		cmocka_unit_test(test_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
