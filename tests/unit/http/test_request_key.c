/*
 * Keys of requests: how they are written, what they find, and that clients cannot confuse them.
 */
#include "http/request_key.h"

#include "http_support.h"

#include <stdio.h>

struct request {
	struct memory memory;
	struct arena arena;
	struct http_head head;
	struct address client;
};

static int set_up(void **state)
{
	static struct request request;

	request = (struct request){.client = {.family = ADDRESS_V4, .ip = {192, 0, 2, 1}, .port = 1000}};
	memory_init(&request.memory, 0);
	arena_init(&request.arena, &request.memory, NULL, NULL, 0);
	http_fields_init(&request.head.fields, &request.arena);
	request.head.path = SPAN("/");
	*state = &request;
	return 0;
}

static int tear_down(void **state)
{
	struct request *request = *state;

	arena_fini(&request->arena);
	return 0;
}

static void add(struct request *request, const char *name, const char *value)
{
	struct span text = span_of(name);

	assert_true(http_fields_add(&request->head.fields, http_field_identify(text), text, span_of(value)));
}

static bool hash_of(const struct request *request, const char *text, uint64_t *hash)
{
	struct request_key key;

	assert_true(request_key_parse(span_of(text), &key));
	return request_key_hash(&key, &request->head, &request->client, hash);
}

static void test_spelling(void **state)
{
	static const struct {
		const char *text, *name;
		enum request_key_kind kind;
	} good[] = {
		{"client", "", REQUEST_KEY_CLIENT},
		{"path", "", REQUEST_KEY_PATH},
		{"field:X-User", "X-User", REQUEST_KEY_FIELD},
		{"cookie:uid", "uid", REQUEST_KEY_COOKIE},
		{"query:a[b]", "a[b]", REQUEST_KEY_QUERY},
	};
	static const char *const bad[] = {
		"",        "Client",     "paths",  "field",       "field:",     "field:a b",
		"cookie:", "cookie:a=b", "query:", "header:Host", "cookie:a;b", " client",
	};
	struct request_key key;

	for (size_t i = 0; i < ARRAY_LENGTH(good); i++) {
		assert_true(request_key_parse(span_of(good[i].text), &key));
		assert_int_equal(key.kind, good[i].kind);
		assert_true(span_equal(key.name, span_of(good[i].name)));
		assert_null(request_key_check(good[i].text, strlen(good[i].text)));
	}
	for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
		if (request_key_parse(span_of(bad[i]), &key))
			fail_msg("%s", bad[i]);
		assert_non_null(request_key_check(bad[i], strlen(bad[i])));
	}
}

/* The value of the cookie `id` in up to two Cookie fields; NULL: there is none. */
static const struct {
	const char *first, *second, *value;
} cookies[] = {
	{"id=1", NULL, "1"},
	{"a=b; id=1; c=d", NULL, "1"},
	{"a=b;id=1;c=d", NULL, "1"},
	{"  id=1  ", NULL, "1"},
	{";; ;id=1", NULL, "1"},
	{"id=1; id=2", NULL, "1"},
	{"id=", "id=2", ""},
	{"a=b", "id=2; id=3", "2"},
	{"id=\"quoted\"", NULL, "quoted"},
	{"id=\"", NULL, "\""},
	{"id=\"\"", NULL, ""},
	{"id=a=b", NULL, "a=b"},
	{"id=\"a;b\"", NULL, "\"a"}, /* RFC 6265 4.1.1: no quotes protect a semicolon */
	{"id", NULL, NULL},
	{"", NULL, NULL},
	{";", NULL, NULL},
	{"=id", NULL, NULL},
	{"ID=1", NULL, NULL},
	{"xid=1; idx=1; i=d", NULL, NULL},
	{"id =1", NULL, NULL},
	{"a=id=1", NULL, NULL},
};

static void test_cookies(void **state)
{
	for (size_t i = 0; i < ARRAY_LENGTH(cookies); i++) {
		struct span value;
		set_up(state);
		struct request *request = *state;
		add(request, "X-Cookie", "id=wrong");
		add(request, "Cookie", cookies[i].first);
		if (cookies[i].second)
			add(request, "cookie", cookies[i].second);
		bool found = request_cookie(&request->head.fields, SPAN("id"), &value);
		if (found != (cookies[i].value != NULL) ||
		    (found && !span_equal(value, span_of(cookies[i].value))))
			fail_msg("%s", cookies[i].first);
		tear_down(state);
	}
	set_up(state);
}

/* Whole walks give back all that is between semicolons. */
static void test_walk(void **state)
{
	static const char *const fields[] = {"a=1; b=\"2\";c;; =d ;e=", ";", "a", "a=b;"};

	for (size_t i = 0; i < ARRAY_LENGTH(fields); i++) {
		struct span rest = span_of(fields[i]);
		struct cookie_pair cookie;
		char joined[64] = "";
		size_t len = 0;
		while (cookie_next(&rest, &cookie)) {
			bool last = cookie.text.at + cookie.text.len ==
				    (const uint8_t *)fields[i] + strlen(fields[i]);
			len += (size_t)snprintf(joined + len, sizeof(joined) - len, "%.*s%s",
						SPAN_ARG(cookie.text), last ? "" : ";");
		}
		assert_string_equal(joined, fields[i]);
	}
}

static void test_many_fields(void **state)
{
	struct request *request = *state;
	struct span value;

	for (unsigned i = 0; i < 1000; i++)
		add(request, "Cookie", "a=b; c=d; e=f");
	assert_false(request_cookie(&request->head.fields, SPAN("id"), &value));
	add(request, "Cookie", "x=y; id=last");
	assert_true(request_cookie(&request->head.fields, SPAN("id"), &value));
	assert_true(span_equal(value, SPAN("last")));
	/* One that was taken out is not there. */
	http_fields_drop_id(&request->head.fields, HTTP_FIELD_COOKIE);
	assert_false(request_cookie(&request->head.fields, SPAN("id"), &value));
}

static void test_missing(void **state)
{
	static const char *const keys[] = {"field:X-User", "cookie:uid", "query:user"};
	struct request *request = *state;
	struct request_key key;
	uint64_t hash;

	request->head.path = SPAN("/user?users=1&xuser=2&user");
	for (size_t i = 0; i < 2; i++)
		assert_false(hash_of(request, keys[i], &hash));
	/* Nothing but the client is known of a raw connection. */
	for (size_t i = 0; i < ARRAY_LENGTH(keys); i++) {
		assert_true(request_key_parse(span_of(keys[i]), &key));
		assert_false(request_key_hash(&key, NULL, &request->client, &hash));
	}
	assert_true(request_key_parse(SPAN("client"), &key));
	assert_true(request_key_hash(&key, NULL, &request->client, &hash));
}

/* Requests whose hashes by the key are the same, or (`same` false) are not. */
static const struct {
	const char *key, *path, *other;
	bool same;
} paths[] = {
	{"path", "/a?b=1", "/a?b=2", true},
	{"path", "/a", "/a?", true},
	{"path", "/a", "/b", false},
	{"path", "/a", "/A", false},
	{"query:user", "/a?user=1", "/b?x=2&user=1&user=3", true},
	{"query:user", "/a?user=1", "/a?user=2", false},
	{"query:user", "/a?user=1", "/a?user=1&user=2", true},
	{"query:user", "/a?user=%31", "/a?user=1", false}, /* as it was written */
	{"query:user", "/?user=a=b", "/?user=a", false},
};

static void test_paths_and_queries(void **state)
{
	struct request *request = *state;
	uint64_t one, other;

	for (size_t i = 0; i < ARRAY_LENGTH(paths); i++) {
		request->head.path = span_of(paths[i].path);
		assert_true(hash_of(request, paths[i].key, &one));
		request->head.path = span_of(paths[i].other);
		assert_true(hash_of(request, paths[i].key, &other));
		if ((one == other) != paths[i].same)
			fail_msg("%s: %s and %s", paths[i].key, paths[i].path, paths[i].other);
	}
}

/* A cookie with and without quotes is one key; so is a field in any spelling of its name. */
static void test_fields(void **state)
{
	struct request *request = *state;
	uint64_t plain, quoted, field;

	add(request, "Cookie", "a=x; b=\"x\"");
	add(request, "x-user", "x");
	assert_true(hash_of(request, "cookie:a", &plain));
	assert_true(hash_of(request, "cookie:b", &quoted));
	assert_true(hash_of(request, "field:X-User", &field));
	assert_true(plain == quoted && plain == field);
}

/* One client has many ports, and with IPv6 a whole /64. */
static void test_clients(void **state)
{
	struct request *request = *state;
	uint64_t one, other;

	assert_true(hash_of(request, "client", &one));
	request->client.port = 2000;
	assert_true(hash_of(request, "client", &other));
	assert_true(one == other);
	request->client.ip[3]++;
	assert_true(hash_of(request, "client", &other));
	assert_true(one != other);
	request->client = (struct address){.family = ADDRESS_V6, .ip = {0x20, 1, 0xd, 0xb8}};
	assert_true(hash_of(request, "client", &one));
	request->client.ip[15] = 1;
	request->client.ip[8] = 7;
	assert_true(hash_of(request, "client", &other));
	assert_true(one == other);
	request->client.ip[7] = 1;
	assert_true(hash_of(request, "client", &other));
	assert_true(one != other);
}

/* The hash of a value is what it was in the last release: machines and processes agree. XXH3 of "42". */
static void test_same_everywhere(void **state)
{
	struct request *request = *state;
	uint64_t hash;

	add(request, "Cookie", "uid=42");
	assert_true(hash_of(request, "cookie:uid", &hash));
	assert_true(hash == UINT64_C(0x1217cb28c0ef2191));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_spelling, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_cookies, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_walk, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_many_fields, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_missing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_paths_and_queries, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_fields, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_clients, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_same_everywhere, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
