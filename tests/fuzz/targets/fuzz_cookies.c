/*
 * Cookies and keys of requests: whatever clients send, what is found lies in what they sent, walks lose nothing, and the same request has the same
 * hash. The input is lines: a path, then the values of Cookie fields.
 */
#include "http/request_key.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void within(struct span part, struct span whole)
{
	ENSURE(part.len == 0 || (part.at >= whole.at && part.at + part.len <= whole.at + whole.len));
}

/* The pieces lie one after the other, with a semicolon between them. */
static void walk(struct span field)
{
	const uint8_t *next = field.at, *end = field.at + field.len;
	struct span rest = field;
	struct cookie_pair cookie;

	while (cookie_next(&rest, &cookie)) {
		ENSURE(cookie.text.at == next);
		ENSURE(span_find(cookie.text, ';') < 0);
		next += cookie.text.len;
		if (next < end) {
			ENSURE(*next == ';');
			next++;
		}
		within(cookie.name, cookie.text);
		within(cookie.value, cookie.text);
		ENSURE(span_find(cookie.name, '=') < 0);
	}
	ENSURE(next == end);
}

static void look(const struct http_head *head, struct span all)
{
	static const char *const keys[] = {"client",   "path",      "field:Cookie",
					   "cookie:a", "cookie:lb", "query:a"};
	struct address client = {.family = ADDRESS_V4};
	struct request_key key;
	struct span value;

	for (size_t i = 0; i < ARRAY_LENGTH(keys); i++) {
		uint64_t hash = 0, again = 1;
		ENSURE(request_key_parse(span_of(keys[i]), &key));
		bool found = request_key_hash(&key, head, &client, &hash);
		ENSURE(request_key_hash(&key, head, &client, &again) == found);
		ENSURE(!found || hash == again);
		if (key.kind != REQUEST_KEY_COOKIE)
			continue;
		ENSURE(request_cookie(&head->fields, key.name, &value) == found);
		if (found)
			within(value, all);
	}
	(void)request_key_parse(all, &key);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span rest = span_make(data, size), line;
	struct http_head head = {.path = {0}};
	struct memory memory;
	struct arena arena;
	bool more;

	memory_init(&memory, 0);
	arena_init(&arena, &memory, NULL, NULL, 0);
	http_fields_init(&head.fields, &arena);
	more = span_cut(rest, '\n', &head.path, &rest);
	while (more) {
		more = span_cut(rest, '\n', &line, &rest);
		walk(line);
		ENSURE(http_fields_add_known(&head.fields, HTTP_FIELD_COOKIE, line));
	}
	look(&head, span_make(data, size));
	arena_fini(&arena);
	return 0;
}
