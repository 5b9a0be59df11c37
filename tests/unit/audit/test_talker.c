/*
 * What the most talkative server says, and what counts as its name.
 */
#include "audit/talker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct talker talker = {
	.inside = SPAN("app-7.internal:8080"),
	.host = SPAN("app-7.internal"),
	.address = SPAN("10.1.2.3:8080"),
	.plain = SPAN("10.1.2.3"),
	.public = SPAN("shop.example"),
};

struct desk {
	struct memory memory;
	struct arena arena;
	bool close;
};

static int set_up(void **state)
{
	struct desk *desk = calloc(1, sizeof(*desk));

	assert_non_null(desk);
	memory_init(&desk->memory, 0);
	arena_init(&desk->arena, &desk->memory, NULL, NULL, 0);
	*state = desk;
	return 0;
}

static int tear_down(void **state)
{
	struct desk *desk = *state;

	arena_fini(&desk->arena);
	assert_int_equal(atomic_load(&desk->memory.used), 0);
	free(desk);
	return 0;
}

static struct span said(struct desk *desk, const char *method, const char *target)
{
	struct talker_request request = {.method = span_of(method), .target = span_of(target)};

	return talker_answer(&talker, &request, &desk->arena, &desk->close);
}

static bool holds(struct span text, const char *part)
{
	return span_search(text, span_of(part)) >= 0;
}

static void test_target(void **state)
{
	struct span token;

	assert_string_equal(talk_of_target(SPAN("/x?a=1&audit=moved.h1.7&b=2"), &token)->name, "moved");
	assert_true(span_equal(token, SPAN("moved.h1.7")));
	assert_string_equal(talk_of_target(SPAN("/?audit=page"), &token)->name, "page");
	assert_null(talk_of_target(SPAN("/?audit=pag"), &token));
	assert_null(talk_of_target(SPAN("/?audit="), &token));
	assert_null(talk_of_target(SPAN("/health"), &token));
}

static void test_expand(void **state)
{
	struct desk *desk = *state;

	assert_true(span_equal(
		talker_expand(&talker, "{\"url\":\"//{inside}/{address}\",{public}} {host}", &desk->arena),
		SPAN("{\"url\":\"//app-7.internal:8080/10.1.2.3:8080\",shop.example} app-7.internal")));
	assert_true(span_equal(talker_expand(&talker, "", &desk->arena), SPAN("")));
}

static void test_named(void **state)
{
	struct talker nameless = {.inside = SPAN("127.0.0.1:9000"),
				  .host = SPAN("127.0.0.1"),
				  .address = SPAN("127.0.0.1:9000"),
				  .public = SPAN("127.0.0.1:80")};
	struct span name;

	assert_true(talker_is_named(&talker, SPAN("via APP-7.Internal."), &name));
	assert_true(span_equal(name, SPAN("app-7.internal")));
	assert_true(talker_is_named(&talker, SPAN("peer=10.1.2.3;"), &name));
	assert_false(talker_is_named(&talker, SPAN("app-8.internal, 10.1.2.4"), &name));
	/* The address that is the public one as well is no secret; with its port it is. */
	assert_false(talker_is_named(&nameless, SPAN("http://127.0.0.1/"), &name));
	assert_true(talker_is_named(&nameless, SPAN("http://127.0.0.1:9000/"), &name));
}

static void test_answers(void **state)
{
	struct desk *desk = *state;
	struct span text = said(desk, "GET", "/?audit=moved.1");

	assert_true(span_starts_with(
		text, SPAN("HTTP/1.1 302 Found\r\nLocation: http://app-7.internal:8080/aud/after?x=1&y=2\r\n")));
	assert_true(span_ends_with(text, SPAN("Content-Length: 0\r\n\r\n")));
	assert_false(desk->close);
	text = said(desk, "HEAD", "/?audit=page.1");
	assert_true(span_ends_with(text, SPAN("\r\n\r\n")));
	text = said(desk, "GET", "/?audit=interim.1");
	assert_true(span_starts_with(text, SPAN("HTTP/1.1 103 Early Hints\r\nLink: ")));
	assert_true(holds(text, "\r\n\r\nHTTP/1.1 200 OK\r\n"));
	text = said(desk, "GET", "/?audit=trailers.1");
	assert_true(holds(text, "\r\n0\r\nX-Backend-Server: aud-node-7\r\n"));
	text = said(desk, "GET", "/?audit=dies.1");
	assert_int_equal(text.len, 0);
	assert_true(desk->close);
	text = said(desk, "GET", "/?audit=breaks.1");
	assert_true(desk->close);
	text = said(desk, "GET", "/health");
	assert_true(span_starts_with(text, SPAN("HTTP/1.1 200 OK\r\n")));
	assert_false(desk->close);
}

static void test_trace(void **state)
{
	struct desk *desk = *state;
	struct talker_request request = {.method = SPAN("TRACE"),
					 .target = SPAN("/?audit=chatter.1"),
					 .head = SPAN("TRACE / HTTP/1.1\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n")};

	assert_true(span_ends_with(talker_answer(&talker, &request, &desk->arena, &desk->close), request.head));
}

/* Conditional requests and ranges, of the one talk that has a validator. */
static void test_parts(void **state)
{
	struct desk *desk = *state;
	struct talker_request request = {.method = SPAN("GET"), .target = SPAN("/?audit=same.1")};
	struct span text;

	request.if_none_match = SPAN("\"x\", W/\"47110aud-5f3-63b1c7d2\"");
	text = talker_answer(&talker, &request, &desk->arena, &desk->close);
	assert_true(span_starts_with(text, SPAN("HTTP/1.1 304 ")));
	assert_true(span_ends_with(text, SPAN("\r\n\r\n")));
	request.if_none_match = SPAN("\"x\"");
	request.range = SPAN("bytes=2-5");
	text = talker_answer(&talker, &request, &desk->arena, &desk->close);
	assert_true(span_starts_with(text, SPAN("HTTP/1.1 206 ")));
	assert_true(holds(text, "Content-Range: bytes 2-5/10\r\n"));
	assert_true(span_ends_with(text, SPAN("\r\n\r\n2345")));
	request.range = SPAN("bytes=5-2");
	text = talker_answer(&talker, &request, &desk->arena, &desk->close);
	assert_true(span_ends_with(text, SPAN("\r\n\r\n0123456789")));
}

/* Every talk can be said, and each channel has one place. */
static void test_table(void **state)
{
	struct desk *desk = *state;
	char target[64];

	for (const struct talk *talk = talks; talk->name; talk++) {
		(void)snprintf(target, sizeof(target), "/?audit=%s.1", talk->name);
		struct span text = said(desk, "GET", target);
		assert_non_null(text.at);
		for (unsigned i = 0; i < talk->count; i++) {
			assert_true(holds(text, talk->fields[i].name));
			if (talk->fields[i].mark)
				assert_non_null(strstr(talk->fields[i].value, talk->fields[i].mark));
			for (unsigned j = 0; j < i; j++)
				assert_string_not_equal(talk->fields[i].id, talk->fields[j].id);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_target, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_expand, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_named, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_answers, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_trace, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_parts, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_table, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
