/*
 * Targets, authorities and paths. The first byte chooses the method. What is accepted has only the bytes it may have; a normal path is
 * normal, and never shorter on a second look unless it still holds encodings.
 */
#include "core/error.h"
#include "http/char.h"
#include "http/target.h"

static void check_host(const struct http_authority *host, struct arena *arena)
{
	struct http_authority again;
	struct error error;
	ENSURE(host->host.len > 0 && host->host.len <= 253);
	for (size_t i = 0; i < host->host.len; i++) {
		uint8_t byte = host->host.at[i];
		ENSURE(ascii_lower(byte) == byte);
		ENSURE(http_char_is(byte, HTTP_CHAR_HOST) || (host->ip_family == 2 && byte == ':'));
	}
	if (host->ip_family == 2)
		return;
	ENSURE(http_authority_parse(host->host, arena, &again, &error));
	ENSURE(span_equal(again.host, host->host) && again.ip_family == host->ip_family);
}

static void check_path(struct span path, struct arena *arena)
{
	struct span normal;
	if (!http_path_normalise(path, arena, &normal))
		return;
	ENSURE(normal.len <= path.len);
	if (normal.len == 0 || normal.at[0] != '/')
		return;
	ENSURE(span_find(normal, '?') < 0);
	ENSURE(span_search(normal, SPAN("/../")) < 0 && span_search(normal, SPAN("/./")) < 0);
	ENSURE(!span_ends_with(normal, SPAN("/..")) && !span_ends_with(normal, SPAN("/.")));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum http_method methods[] = {HTTP_METHOD_GET, HTTP_METHOD_OPTIONS, HTTP_METHOD_CONNECT};
	struct memory memory;
	struct arena arena;
	struct error error = ERROR_OK;
	if (size == 0)
		return 0;
	struct http_head head = {.method = (uint8_t)methods[data[0] % ARRAY_LENGTH(methods)]};
	memory_init(&memory, 0);
	arena_init(&arena, &memory, NULL, NULL, 0);
	struct span text = arena_copy(&arena, span_make(data + 1, size - 1));
	ENSURE(text.at);
	if (http_target_parse(text, &arena, &head, &error)) {
		if (head.authority.len)
			check_host(&head.host, &arena);
		ENSURE(http_char_run(head.path, HTTP_CHAR_TARGET) == head.path.len);
		ENSURE(head.path.len || head.method == HTTP_METHOD_CONNECT);
	} else {
		ENSURE(error.code == ERROR_BAD_TARGET && error.text);
	}
	if (http_authority_read(text, &arena, &head, &error))
		check_host(&head.host, &arena);
	check_path(text, &arena);
	arena_fini(&arena);
	return 0;
}
