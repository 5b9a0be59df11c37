/*
 * See json.h. Pure.
 */
#include "admin/json.h"

enum { ROOM_FIRST = 1024 };

void json_start(struct json *json, struct arena *arena)
{
	*json = (struct json){.arena = arena};
}

static bool json_grow(struct json *json, size_t more)
{
	size_t room = json->room ? json->room : ROOM_FIRST;

	if (json->failed || more > JSON_MOST - json->len) {
		json->failed = true;
		return false;
	}
	while (room - json->len < more)
		room *= 2;
	uint8_t *text = arena_alloc(json->arena, room);
	if (!text) {
		json->failed = true;
		return false;
	}
	if (json->len)
		memcpy(text, json->text, json->len);
	json->text = text;
	json->room = room;
	return true;
}

static void json_add(struct json *json, struct span text)
{
	if (text.len == 0 || (json->room - json->len < text.len && !json_grow(json, text.len)))
		return;
	memcpy(json->text + json->len, text.at, text.len);
	json->len += text.len;
}

/* ---- strings ---- */

/* The length of the UTF-8 sequence of several bytes at `at` (RFC 3629 4); 0: it is none. */
static size_t utf8_length(const uint8_t *at, size_t left)
{
	uint8_t least = 0x80, most = 0xbf;
	size_t len = 0;

	if (at[0] >= 0xc2 && at[0] <= 0xdf)
		len = 2;
	else if ((at[0] & 0xf0) == 0xe0)
		len = 3;
	else if (at[0] >= 0xf0 && at[0] <= 0xf4)
		len = 4;
	if (len == 0 || len > left)
		return 0;
	if (at[0] == 0xe0)
		least = 0xa0; /* overlong */
	else if (at[0] == 0xed)
		most = 0x9f; /* surrogates */
	else if (at[0] == 0xf0)
		least = 0x90;
	else if (at[0] == 0xf4)
		most = 0x8f;
	if (at[1] < least || at[1] > most)
		return 0;
	for (size_t i = 2; i < len; i++)
		if ((at[i] & 0xc0) != 0x80)
			return 0;
	return len;
}

static void json_escape(struct json *json, uint8_t byte)
{
	static const char hex[] = "0123456789abcdef";
	char escape[] = "\\u0000";

	if (byte == '"' || byte == '\\') {
		json_add(json, SPAN("\\"));
		json_add(json, span_make(&byte, 1));
		return;
	}
	escape[4] = hex[byte >> 4];
	escape[5] = hex[byte & 15];
	json_add(json, span_of(escape));
}

static void json_string(struct json *json, struct span text)
{
	size_t from = 0, at = 0;

	json_add(json, SPAN("\""));
	while (at < text.len) {
		uint8_t byte = text.at[at];
		size_t len = byte < 0x80 ? byte >= 0x20 && byte != 0x7f && byte != '"' && byte != '\\' :
					   utf8_length(text.at + at, text.len - at);
		if (len) {
			at += len;
			continue;
		}
		json_add(json, span_make(text.at + from, at - from));
		json_escape(json, byte);
		from = ++at;
	}
	json_add(json, span_make(text.at + from, at - from));
	json_add(json, SPAN("\""));
}

/* ---- values ---- */

static void json_begin(struct json *json, const char *key)
{
	if (json->comma)
		json_add(json, SPAN(","));
	json->comma = true;
	if (!key)
		return;
	json_string(json, span_of(key));
	json_add(json, SPAN(":"));
}

void json_open(struct json *json, const char *key, char bracket)
{
	json_begin(json, key);
	json_add(json, span_make(&bracket, 1));
	json->comma = false;
}

void json_close(struct json *json, char bracket)
{
	json_add(json, span_make(&bracket, 1));
	json->comma = true;
}

void json_put_text(struct json *json, const char *key, struct span text)
{
	json_begin(json, key);
	json_string(json, text);
}

void json_put_number(struct json *json, const char *key, uint64_t value)
{
	char digits[24];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	json_begin(json, key);
	json_add(json, span_make(digits + at, sizeof(digits) - at));
}

void json_put_bool(struct json *json, const char *key, bool value)
{
	json_begin(json, key);
	json_add(json, value ? SPAN("true") : SPAN("false"));
}

void json_put_null(struct json *json, const char *key)
{
	json_begin(json, key);
	json_add(json, SPAN("null"));
}

void json_put_format(struct json *json, const char *key, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	struct span text = arena_format_list(json->arena, format, arguments);
	va_end(arguments);
	if (text.at)
		json_put_text(json, key, text);
	else
		json->failed = true;
}

struct span json_end(struct json *json)
{
	json_add(json, SPAN("\n"));
	if (json->failed)
		return (struct span){0};
	return span_make(json->text, json->len);
}
