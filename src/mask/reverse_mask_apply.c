/*
 * What a reverse mask does to the heads and trailers of responses. On the exchange's worker.
 */
#include "mask/reference.h"
#include "mask/reverse_mask_internal.h"
#include "mask/reverse_mask_list.h"

static enum reference_fate (*const readers[TREATMENTS])(const struct reference_map *map, struct span *value) = {
	[TREAT_LOCATION] = reference_location, [TREAT_REFRESH] = reference_refresh,
	[TREAT_LINK] = reference_link,         [TREAT_COOKIE] = reference_cookie,
	[TREAT_WHOLE] = reference_whole,       [TREAT_LIST] = reference_list,
	[TREAT_POLICY] = reference_policy,     [TREAT_PERMISSIONS] = reference_permissions,
	[TREAT_FRAME] = reference_frame,
};

static COLD void say_dropped(const struct reverse_mask_view *view, struct span name)
{
	log_say(view->log, LOG_INFO,
		"%.*s: field \"%.*s\" of server %.*s is dropped; with \"mask: {keep: [%.*s]}\" it would pass",
		SPAN_ARG(view->listener), SPAN_ARG(name), SPAN_ARG(view->server_text), SPAN_ARG(name));
}

static void drop(const struct reverse_mask_view *view, struct http_field *field)
{
	field->dropped = true;
	if (view->told && log_wants(view->log, LOG_INFO) &&
	    told_names_first(view->told, field->name, view->now_ms))
		say_dropped(view, field->name);
}

/* Of host[:port]. */
static struct span host_of(struct span authority)
{
	ptrdiff_t end = span_find(authority, authority.len && authority.at[0] == '[' ? ']' : ':');

	if (authority.len && authority.at[0] == '[')
		return end < 1 ? authority : span_make(authority.at + 1, (size_t)end - 1);
	return end < 0 ? authority : span_first(authority, (size_t)end);
}

void reverse_mask_public(const struct reverse_mask *mask, const struct reverse_mask_view *view,
			 struct span *scheme, struct span *authority)
{
	*scheme = mask->scheme.len ? mask->scheme : view->scheme;
	*authority = mask->authority;
	if (authority->len == 0 && view->checked)
		*authority = view->authority;
}

static void map_init(struct reference_map *map, const struct reverse_mask *mask,
		     const struct reverse_mask_view *view, struct arena *arena)
{
	bool https = span_equal(view->scheme, SPAN("https"));

	*map = (struct reference_map){
		.inside = mask->inside,
		.server = view->server,
		.said = host_of(view->said),
		.address = view->address,
		.others = view->others,
		.server_port = view->server_port,
		.server_secure = view->server_secure,
		.from = view->from,
		.to = view->to,
		.arena = arena,
	};
	if (view->asked) {
		map->asked = view->asked->host;
		map->asked_port = view->asked->port ? view->asked->port : https ? 443 : 80;
	}
	reverse_mask_public(mask, view, &map->scheme, &map->authority);
	if (map->authority.len)
		map->host = mask->authority.len ? mask->host : map->asked;
}

static bool treat_all(const struct reverse_mask *mask, const struct reverse_mask_view *view,
		      struct http_fields *fields)
{
	struct reference_map map = {.arena = NULL};
	struct http_field *field;
	uint32_t index = 0;

	while ((field = http_fields_next(fields, &index))) {
		unsigned treatment = mask->own ? name_set_find(mask->own, field->id, field->name) : 0;

		if (treatment == TREAT_DROP)
			field->dropped = true; /* as was asked for */
		if (treatment)
			continue;
		treatment = name_set_find(mask->list, field->id, field->name);
		if (treatment <= TREAT_PASS)
			continue;
		if (!readers[treatment]) {
			drop(view, field);
			continue;
		}
		if (!map.arena)
			map_init(&map, mask, view, fields->arena);
		switch (readers[treatment](&map, &field->value)) {
		case REFERENCE_STAYS:
		case REFERENCE_CHANGED:
			break;
		case REFERENCE_GOES:
			drop(view, field);
			break;
		case REFERENCE_MEMORY:
			return false;
		}
	}
	return true;
}

bool reverse_mask_trailers(const struct reverse_mask *mask, const struct reverse_mask_view *view,
			   struct http_fields *trailers)
{
	return treat_all(mask, view, trailers);
}

bool reverse_mask_interim(const struct reverse_mask *mask, const struct reverse_mask_view *view,
			  struct http_head *response)
{
	if (mask->reasons)
		response->reason = span_of(http_status_reason(response->status));
	return treat_all(mask, view, &response->fields);
}

bool reverse_mask_own(const struct reverse_mask *mask, struct http_fields *fields)
{
	return mask->server.len == 0 ||
	       http_fields_set(fields, HTTP_FIELD_SERVER, http_field_name(HTTP_FIELD_SERVER), mask->server);
}

bool reverse_mask_head(const struct reverse_mask *mask, const struct reverse_mask_view *view,
		       struct http_head *response)
{
	return reverse_mask_interim(mask, view, response) && reverse_mask_own(mask, &response->fields);
}
