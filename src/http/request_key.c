/*
 * See request_key.h. Pure.
 */
#include "http/request_key.h"

#include <xxhash.h>

static const struct {
	const char *prefix;
	enum request_key_kind kind;
} kinds[] = {
	{"field:", REQUEST_KEY_FIELD},
	{"cookie:", REQUEST_KEY_COOKIE},
	{"query:", REQUEST_KEY_QUERY},
};

bool request_key_parse(struct span text, struct request_key *key)
{
	*key = (struct request_key){.kind = REQUEST_KEY_CLIENT};
	if (span_equal(text, SPAN("client")))
		return true;
	key->kind = REQUEST_KEY_PATH;
	if (span_equal(text, SPAN("path")))
		return true;
	for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++) {
		struct span prefix = span_of(kinds[i].prefix);
		if (!span_starts_with(text, prefix))
			continue;
		key->kind = kinds[i].kind;
		key->name = span_from(text, prefix.len);
		return key->kind == REQUEST_KEY_QUERY ? key->name.len > 0 : http_is_token(key->name);
	}
	return false;
}

const char *request_key_check(const char *text, size_t len)
{
	struct request_key key;

	return request_key_parse(span_make(text, len), &key) ?
		       NULL :
		       "a key is client, path, field:NAME, cookie:NAME or query:NAME";
}

/* ---- finding ---- */

static struct span unquoted(struct span value)
{
	if (value.len >= 2 && value.at[0] == '"' && value.at[value.len - 1] == '"')
		return span_make(value.at + 1, value.len - 2);
	return value;
}

bool cookie_next(struct span *rest, struct cookie_pair *cookie)
{
	if (rest->len == 0)
		return false;
	*cookie = (struct cookie_pair){.name = {0}};
	span_cut(*rest, ';', &cookie->text, rest);
	if (!span_cut(span_trim(cookie->text), '=', &cookie->name, &cookie->value))
		cookie->name = (struct span){0};
	cookie->value = unquoted(cookie->value);
	return true;
}

bool request_cookie(const struct http_fields *fields, struct span name, struct span *value)
{
	const struct http_field *field;
	struct cookie_pair cookie;
	uint32_t at = 0;

	while ((field = http_fields_next(fields, &at))) {
		struct span rest = field->value;
		if (field->id != HTTP_FIELD_COOKIE)
			continue;
		while (cookie_next(&rest, &cookie)) {
			if (!span_equal(cookie.name, name))
				continue;
			*value = cookie.value;
			return true;
		}
	}
	return false;
}

/* An argument as it was written: "a%20b" and "a+b" are two keys. */
static bool query_argument(struct span path, struct span name, struct span *value)
{
	struct span rest, pair;

	if (!span_cut(path, '?', &pair, &rest))
		return false;
	while (rest.len) {
		struct span key;
		span_cut(rest, '&', &pair, &rest);
		span_cut(pair, '=', &key, value);
		if (span_equal(key, name))
			return true;
	}
	return false;
}

static struct span path_only(struct span path)
{
	struct span before, after;

	span_cut(path, '?', &before, &after);
	return before;
}

static uint64_t client_hash(const struct address *client)
{
	size_t len = address_subscriber(client);

	return len ? XXH3_64bits(client->ip, len) : 0;
}

bool request_key_hash(const struct request_key *key, const struct http_head *head,
		      const struct address *client, uint64_t *hash)
{
	const struct http_field *field;
	struct span value = {0};
	bool found = false;

	if (key->kind == REQUEST_KEY_CLIENT) {
		*hash = client_hash(client);
		return true;
	}
	if (!head)
		return false;
	switch (key->kind) {
	case REQUEST_KEY_CLIENT:
		break;
	case REQUEST_KEY_PATH:
		value = path_only(head->path);
		found = true;
		break;
	case REQUEST_KEY_FIELD:
		field = http_fields_find_name(&head->fields, key->name);
		found = field != NULL;
		if (found)
			value = field->value;
		break;
	case REQUEST_KEY_COOKIE:
		found = request_cookie(&head->fields, key->name, &value);
		break;
	case REQUEST_KEY_QUERY:
		found = query_argument(head->path, key->name, &value);
		break;
	}
	*hash = found ? XXH3_64bits(value.at, value.len) : 0;
	return found;
}
