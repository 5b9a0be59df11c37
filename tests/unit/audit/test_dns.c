/*
 * Questions that come to a name server of an audit, and its answers.
 */
#include "audit/dns.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define HEADER "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"
#define HEADER_EDNS "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x01"
#define NAME                                                                                                 \
	"\x04sHop\x07"                                                                                       \
	"example\x00"
#define A "\x00\x01\x00\x01"
#define AAAA "\x00\x1c\x00\x01"
#define SRV "\x00\x21\x00\x01"
/* RFC 7871 6: 203.0.113.0/24 */
#define SUBNET "\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x0b\x00\x08\x00\x07\x00\x01\x18\x00\xcb\x00\x71"

static void test_parse(void **state)
{
	struct dns_question question;

	assert_true(dns_question_parse(SPAN(HEADER NAME A), &question));
	assert_int_equal(question.id, 0x1234);
	assert_int_equal(question.type, DNS_TYPE_A);
	assert_true(question.recursion);
	assert_false(question.edns);
	assert_true(span_equal(dns_question_name(&question), SPAN("shop.example")));
	assert_true(span_equal(question.raw, SPAN(NAME A)));
	assert_true(dns_question_parse(SPAN(HEADER_EDNS NAME AAAA SUBNET), &question));
	assert_true(question.edns);
	assert_true(span_equal(question.subnet, SPAN("\x00\x01\x18\x00\xcb\x00\x71")));
}

/* Of a whole question no beginning is one. */
static void test_cut(void **state)
{
	struct span whole = SPAN(HEADER NAME A);
	struct dns_question question;

	for (size_t len = 0; len < whole.len; len++)
		assert_false(dns_question_parse(span_first(whole, len), &question));
	whole = SPAN(HEADER_EDNS NAME A SUBNET);
	for (size_t len = sizeof(HEADER NAME A) - 1; len < whole.len; len++) {
		assert_true(dns_question_parse(span_first(whole, len), &question));
		assert_int_equal(question.subnet.len, 0);
	}
}

static void test_refused(void **state)
{
	static const struct span bad[] = {
		SPAN("\x12\x34\x81\x00\x00\x01\x00\x00\x00\x00\x00\x00" NAME A), /* an answer */
		SPAN("\x12\x34\x29\x00\x00\x01\x00\x00\x00\x00\x00\x00" NAME A), /* an update */
		SPAN("\x12\x34\x01\x00\x00\x02\x00\x00\x00\x00\x00\x00" NAME A NAME A),
		SPAN("\x12\x34\x01\x00\x00\x01\x00\x01\x00\x00\x00\x00" NAME A),
		SPAN(HEADER NAME "\x00\x01\x00\x03"), /* class CH */
		SPAN(HEADER "\x04shop\xc0\x0c" A),    /* points back */
		SPAN(HEADER "\x00" A),                /* the root */
	};
	struct dns_question question;

	for (size_t i = 0; i < ARRAY_LENGTH(bad); i++)
		assert_false(dns_question_parse(bad[i], &question));
}

/* RFC 1035 2.3.4: 255 bytes; one label more does not fit. */
static void test_long_name(void **state)
{
	uint8_t packet[400] = HEADER;
	struct dns_question question;

	for (unsigned labels = 1; labels <= 6; labels++) {
		size_t len = sizeof(HEADER) - 1;

		for (unsigned i = 0; i < labels; i++, len += 51) {
			packet[len] = 50;
			memset(packet + len + 1, 'a', 50);
		}
		memcpy(packet + len, "\x00" A, 5);
		assert_int_equal(dns_question_parse(span_make(packet, len + 5), &question), labels <= 4);
	}
}

static void test_answers(void **state)
{
	struct address v4 = {.family = ADDRESS_V4, .ip = {44, 7, 0, 1}};
	struct dns_answer answer = {.address = &v4, .port = 8080};
	struct dns_question question;
	uint8_t out[DNS_PACKET];
	size_t len;

	assert_true(dns_question_parse(SPAN(HEADER NAME A), &question));
	len = dns_answer_write(&question, &answer, out, sizeof(out));
	assert_true(span_equal(span_make(out, len),
			       SPAN("\x12\x34\x85\x80\x00\x01\x00\x01\x00\x00\x00\x00" NAME A
				    "\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x01\x00\x04\x2c\x07\x00\x01")));
	/* The name is there, an address of that family is not. */
	assert_true(dns_question_parse(SPAN(HEADER_EDNS NAME AAAA SUBNET), &question));
	len = dns_answer_write(&question, &answer, out, sizeof(out));
	assert_true(span_equal(span_make(out, len),
			       SPAN("\x12\x34\x85\x80\x00\x01\x00\x00\x00\x00\x00\x01" NAME AAAA
				    "\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00")));
	assert_true(dns_question_parse(SPAN(HEADER NAME SRV), &question));
	len = dns_answer_write(&question, &answer, out, sizeof(out));
	assert_true(span_equal(span_make(out, len),
			       SPAN("\x12\x34\x85\x80\x00\x01\x00\x01\x00\x00\x00\x00" NAME SRV
				    "\xc0\x0c\x00\x21\x00\x01\x00\x00\x00\x01\x00\x19\x00\x00\x00\x01\x1f\x90"
				    "\x04node" NAME)));
	assert_int_equal(dns_answer_write(&question, &answer, out, len - 1), 0);
}

/* One name, one address; another name, another one. */
static void test_names(void **state)
{
	struct dns_names names;
	struct address first, again, other, v6;
	char text[32];

	dns_names_init(&names);
	assert_true(dns_names_address(&names, SPAN("a.example"), DNS_TYPE_A, &first));
	assert_true(dns_names_address(&names, SPAN("b.example"), DNS_TYPE_A, &other));
	assert_true(dns_names_address(&names, SPAN("a.example"), DNS_TYPE_A, &again));
	assert_true(dns_names_address(&names, SPAN("a.example"), DNS_TYPE_AAAA, &v6));
	assert_true(address_equal(&first, &again));
	assert_false(address_equal(&first, &other));
	assert_int_equal(v6.family, ADDRESS_V6);
	assert_null(address_special(&first));
	assert_null(address_special(&v6));
	assert_false(dns_names_address(&names, SPAN("a.example"), DNS_TYPE_SRV, &v6));
	for (unsigned i = 2; i < DNS_NAMES_MOST; i++) {
		(void)snprintf(text, sizeof(text), "%u.example", i);
		assert_true(dns_names_address(&names, span_of(text), DNS_TYPE_A, &again));
		assert_false(address_equal(&again, &other));
		other = again;
	}
	assert_false(dns_names_address(&names, SPAN("one.more"), DNS_TYPE_A, &again));
	assert_true(dns_names_address(&names, SPAN("a.example"), DNS_TYPE_A, &again));
	dns_names_fini(&names);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),   cmocka_unit_test(test_cut),
		cmocka_unit_test(test_refused), cmocka_unit_test(test_long_name),
		cmocka_unit_test(test_answers), cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
