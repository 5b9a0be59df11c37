/*
 * The operator's interface. The first byte chooses: an even one, the rest is what a client sends to a whole worker (tests/support/stage.h), and
 * whatever that is, what comes back is a row of responses with JSON in them; an odd one, the rest is taken apart by the parsers of this room alone, and written
 * as JSON, which another reader understands.
 */
#include "../../support/stage.h"

#include "admin/args.h"
#include "admin/json.h"
#include "admin/order.h"

#include <jansson.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char configuration[] =
	"limits: {request_line: 1 KiB, field_line: 1 KiB, fields: 20, head: 2 KiB}\n"
	"reverse:\n"
	"  - listen: 127.0.0.1:80\n"
	"    routes:\n"
	"      - {host: a.test, path: /x/, to: web, rewrite: {from: /x/, to: /y/}}\n"
	"      - {path: \"~^/p/[0-9]+$\", method: POST, to: web}\n"
	"      - {fields: {x-a: \"~b\"}, redirect: \"https://{host}{uri}\"}\n"
	"      - {cookies: {c: \"1\"}, respond: {body: hello}}\n"
	"      - {to: web}\n"
	"forward:\n"
	"  - {listen: 127.0.0.1:3128, rules: [{deny: {domains: [.bad.test]}}, {allow: {ports: [80]}}]}\n"
	"upstreams:\n"
	"  web: {servers: [\"10.9.0.1:80\", \"10.9.0.2:80\"], balance: hash, hash: \"cookie:c\"}\n"
	"admin: 127.0.0.1:9900\n";

enum { ADMIN = 2 };

/* What is in it is JSON, as far as it can be told where that ends. */
static void check_answer(struct span got)
{
	ptrdiff_t end = span_search(got, SPAN("\r\n\r\n{"));

	if (got.len == 0)
		return;
	ENSURE(span_starts_with(got, SPAN("HTTP/1.1 ")));
	if (end < 0 || span_search(span_from(got, 9), SPAN("HTTP/1.1 ")) >= 0)
		return;
	struct span body = span_from(got, (size_t)end + 4);
	json_t *all = json_loadb((const char *)body.at, body.len, 0, NULL);
	ENSURE(json_is_object(all));
	json_decref(all);
}

static void play(struct span bytes)
{
	static struct stage stage;

	if (!stage.snapshot)
		stage_configure(&stage, configuration);
	stage_start(&stage);
	ENSURE(stage_connect(&stage, 1, ADMIN));
	stage_send(&stage.clients[1], bytes);
	stage_turns(&stage, 8);
	ENSURE(stage.server_count == 0); /* nobody is asked */
	check_answer(stage_got(&stage.clients[1]));
	stage_stop(&stage);
}

static void check_text(struct span text, struct arena *arena)
{
	struct json json;

	json_start(&json, arena);
	json_open(&json, NULL, '[');
	json_put_text(&json, NULL, text);
	json_close(&json, ']');
	struct span out = json_end(&json);
	ENSURE(out.at);
	json_t *list = json_loadb((const char *)out.at, out.len, JSON_ALLOW_NUL, NULL);
	ENSURE(list && json_string_length(json_array_get(list, 0)) >= text.len);
	json_decref(list);
}

static void take_apart(struct span text)
{
	struct span found[ARGS_SEGMENTS], name, value, query = text;
	struct order_wrong wrong;
	struct memory memory;
	struct order order;
	struct arena arena;
	bool bad;

	memory_init(&memory, 0);
	arena_init(&arena, &memory, NULL, NULL, 0);
	if (args_match("/a/{*}/{*}", text, &arena, found))
		ENSURE(found[0].len > 0 && found[1].len > 0 && found[0].len + found[1].len + 4 <= text.len);
	while (args_next(&query, &arena, &name, &value, &bad))
		ENSURE(memchr(name.at, 0, name.len) == NULL && memchr(value.at, 0, value.len) == NULL);
	ENSURE(bad || query.len == 0);
	if (order_parse(text, &order, &wrong))
		ENSURE((order.has_state || order.has_weight) && order.weight <= 256);
	else
		ENSURE(wrong.text[0]);
	check_text(text, &arena);
	arena_fini(&arena);
	ENSURE(atomic_load(&memory.used) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	if (data[0] % 2)
		take_apart(span_make(data + 1, size - 1));
	else
		play(span_make(data + 1, size - 1));
	return 0;
}
