/*
 * Writing JSON (RFC 8259) into an arena, bounded. Commas come by themselves; what is not UTF-8 is written as if it were Latin-1. Running out of
 * memory is noted, and found at the end.
 */
#ifndef GUISE_ADMIN_JSON_H
#define GUISE_ADMIN_JSON_H

#include "core/arena.h"

enum { JSON_MOST = 64 * 1024 * 1024 }; /* bytes of one text */

struct json {
	struct arena *arena;
	uint8_t *text; /* moves when it grows */
	size_t len, room;
	bool comma;  /* before the next member */
	bool failed; /* out of memory, or longer than JSON_MOST */
};

void json_start(struct json *json, struct arena *arena);
/* All of it with a newline; zero: it failed. */
WARN_UNUSED struct span json_end(struct json *json);

/* `key`: of the member of an object; NULL: an item of a list, or the whole. */
void json_open(struct json *json, const char *key, char bracket); /* '{' or '[' */
void json_close(struct json *json, char bracket);                 /* '}' or ']' */
void json_put_text(struct json *json, const char *key, struct span text);
void json_put_number(struct json *json, const char *key, uint64_t value);
void json_put_bool(struct json *json, const char *key, bool value);
void json_put_null(struct json *json, const char *key);
/* printf, as a text */
void json_put_format(struct json *json, const char *key, const char *format, ...) PRINTF_LIKE(3, 4);

#endif
