/*
 * See sticky.h. On the exchange's worker.
 */
#include "proxy/sticky.h"

#include "http/request_key.h"
#include "upstream/sticky.h"

#include <stdio.h>

enum {
	OPENED_MOST = 4
}; /* cookies of one name that are looked into: browsers send more than one if paths or domains differ */

/* Reading one request. */
struct sticky_reading {
	struct exchange *exchange;
	struct upstream_group *group;
	struct upstream_query *query;
	struct span name;
	unsigned opened;
};

static bool sticky_is_in(struct span cookies, struct span name)
{
	struct cookie_pair cookie;

	while (cookie_next(&cookies, &cookie))
		if (span_equal(cookie.name, name))
			return true;
	return false;
}

static void sticky_look(struct sticky_reading *reading, struct span value)
{
	if (reading->query->sticky || reading->opened++ >= OPENED_MOST)
		return;
	if (!upstream_sticky_open(reading->group, value, &reading->query->sticky))
		reading->query->sticky = 0;
}

/* The other cookies stay as they are, in their order (RFC 6265 5.4); a field of which nothing is left goes. False: out of memory. */
static bool sticky_strip(struct sticky_reading *reading, struct http_field *field)
{
	struct span rest = field->value;
	uint8_t *out = arena_alloc(&reading->exchange->arena, rest.len + 1);
	struct cookie_pair cookie;
	size_t len = 0;

	if (!out)
		return false;
	while (cookie_next(&rest, &cookie)) {
		if (span_equal(cookie.name, reading->name)) {
			sticky_look(reading, cookie.value);
			continue;
		}
		if (len)
			out[len++] = ';';
		memcpy(out + len, cookie.text.at, cookie.text.len);
		len += cookie.text.len;
	}
	field->value = span_trim(span_make(out, len));
	field->dropped = field->value.len == 0;
	return true;
}

bool sticky_read(struct exchange *x, struct upstream_group *group, struct upstream_query *query)
{
	const struct setting_string *name = &group->settings->sticky.cookie;
	struct sticky_reading reading = {
		.exchange = x, .group = group, .query = query, .name = span_make(name->text, name->len)};
	struct http_field *field;
	uint32_t at = 0;

	if (!upstream_is_sticky(group))
		return true;
	while ((field = http_fields_next(&x->request.fields, &at))) {
		if (field->id != HTTP_FIELD_COOKIE || !sticky_is_in(field->value, reading.name))
			continue;
		if (!sticky_strip(&reading, field))
			return false;
	}
	return true;
}

bool sticky_write(struct exchange *x, const struct upstream_query *query,
		  const struct upstream_ticket *ticket, bool secure)
{
	struct upstream_server *server = ticket->server;
	char value[STICKY_TEXT], age[40] = "";

	if (!server || !upstream_is_sticky(server->group) || server->fleet->id == query->sticky)
		return true;
	const struct sticky_settings *settings = &server->group->settings->sticky;
	if (!upstream_sticky_close(server->group, server->fleet->id, value))
		return false;
	if (settings->max_age)
		snprintf(age, sizeof(age), "; Max-Age=%llu", (unsigned long long)(settings->max_age / 1000));
	struct span cookie = arena_format(&x->arena, "%.*s=%.*s; Path=/; HttpOnly; SameSite=Lax%s%s",
					  (int)settings->cookie.len, settings->cookie.text, STICKY_TEXT,
					  value, secure ? "; Secure" : "", age);
	return cookie.at && http_fields_add_known(&x->response.fields, HTTP_FIELD_SET_COOKIE, cookie);
}
