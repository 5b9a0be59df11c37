/*
 * The conditions of one route: compiled from its settings, held against a request, compared with those of another
 * route. Immutable.
 */
#include "route/router_internal.h"

#include "http/request_key.h"
#include "http/target.h"

static bool compile_hosts(const struct route_settings *settings, const struct router_context *context,
			  struct conditions *conditions)
{
	bool good = true;

	conditions->hosts = arena_zalloc(context->arena, settings->host.count, sizeof(*conditions->hosts));
	if (!conditions->hosts) {
		diagnostics_error(context->diagnostics, settings->host.place, "out of memory");
		return false;
	}
	for (size_t i = 0; i < settings->host.count; i++) {
		const struct setting_string *item = &settings->host.items[i];
		struct span text = span_make(item->text, item->len);
		const char *wrong;

		if (span_equal(text, SPAN("*"))) {
			conditions->host_count = 0; /* any */
			return good;
		}
		wrong = domain_pattern_parse(text, context->arena, &conditions->hosts[conditions->host_count]);
		if (wrong) {
			diagnostics_error(context->diagnostics, item->place, "host \"%s\": %s", item->text,
					  wrong);
			good = false;
			continue;
		}
		conditions->host_count++;
	}
	return good;
}

static bool compile_path(const struct setting_string *item, const struct router_context *context,
			 struct pattern_list *patterns, struct path_condition *path)
{
	struct span text = span_make(item->text, item->len);

	if (text.len > 0 && text.at[0] == '~') {
		path->kind = PATH_PATTERN;
		path->text = span_from(text, 1);
		path->pattern = pattern_compile(patterns, path->text, item->place, context->diagnostics);
		return path->pattern != NULL;
	}
	path->kind = span_ends_with(text, SPAN("/")) ? PATH_PREFIX : PATH_EXACT;
	if (span_ends_with(text, SPAN("*"))) {
		path->kind = PATH_PREFIX;
		text.len--;
	}
	if (text.len == 0 || text.at[0] != '/' || span_find(text, '*') >= 0 || span_find(text, '?') >= 0 ||
	    span_find(text, '#') >= 0 || span_find(text, ' ') >= 0) {
		diagnostics_error(
			context->diagnostics, item->place,
			"path \"%s\": a path begins with \"/\" and has no query; \"*\" may stand at its end",
			item->text);
		return false;
	}
	if (!http_path_normalise(text, context->arena, &path->text)) {
		diagnostics_error(context->diagnostics, item->place,
				  "path \"%s\": \"%%\" is not followed by two hexadecimal "
				  "digits, or \"..\" climbs above the root",
				  item->text);
		return false;
	}
	return true;
}

static bool compile_paths(const struct route_settings *settings, const struct router_context *context,
			  struct pattern_list *patterns, struct conditions *conditions)
{
	bool good = true;

	conditions->paths = arena_zalloc(context->arena, settings->path.count, sizeof(*conditions->paths));
	if (!conditions->paths) {
		diagnostics_error(context->diagnostics, settings->path.place, "out of memory");
		return false;
	}
	for (size_t i = 0; i < settings->path.count; i++) {
		struct path_condition *path = &conditions->paths[conditions->path_count++];

		if (!compile_path(&settings->path.items[i], context, patterns, path))
			good = false;
		if (path->kind == PATH_PATTERN)
			conditions->path_patterns = true;
	}
	return good;
}

/* Methods have case (RFC 9110 9.1): "get" is another one than GET, and hardly meant. */
static void warn_of_case(const struct setting_string *item, struct diagnostics *diagnostics)
{
	uint8_t upper[16];

	if (item->len > sizeof(upper) ||
	    http_method_identify(span_make(item->text, item->len)) != HTTP_METHOD_OTHER)
		return;
	for (size_t i = 0; i < item->len; i++) {
		uint8_t byte = (uint8_t)item->text[i];

		upper[i] = ascii_is_alpha(byte) ? (uint8_t)(byte & ~0x20) : byte;
	}
	if (http_method_identify(span_make(upper, item->len)) != HTTP_METHOD_OTHER)
		diagnostics_warning(diagnostics, item->place,
				    "method \"%s\" is not the same as \"%.*s\": methods have case",
				    item->text, (int)item->len, (const char *)upper);
}

static bool compile_methods(const struct route_settings *settings, const struct router_context *context,
			    struct conditions *conditions)
{
	bool good = true;

	conditions->methods =
		arena_zalloc(context->arena, settings->method.count, sizeof(*conditions->methods));
	if (!conditions->methods) {
		diagnostics_error(context->diagnostics, settings->method.place, "out of memory");
		return false;
	}
	for (size_t i = 0; i < settings->method.count; i++) {
		const struct setting_string *item = &settings->method.items[i];
		struct span text = span_make(item->text, item->len);

		if (!http_is_token(text)) {
			diagnostics_error(context->diagnostics, item->place, "method \"%s\" is not a token",
					  item->text);
			good = false;
			continue;
		}
		warn_of_case(item, context->diagnostics);
		conditions->methods[conditions->method_count++] = text;
	}
	return good;
}

/* Why requests never carry this as a field by the time that routes are looked at, or NULL. */
static const char *field_is_framing(enum http_field_id id)
{
	switch (id) {
	case HTTP_FIELD_HOST:
		return "use the route's \"host\"";
	case HTTP_FIELD_CONNECTION:
	case HTTP_FIELD_KEEP_ALIVE:
	case HTTP_FIELD_PROXY_CONNECTION:
	case HTTP_FIELD_TE:
	case HTTP_FIELD_TRANSFER_ENCODING:
	case HTTP_FIELD_CONTENT_LENGTH:
	case HTTP_FIELD_UPGRADE:
	case HTTP_FIELD_EXPECT:
		return "it belongs to the connection, not to the request";
	default:
		return NULL;
	}
}

/* What is wanted of a field, or of a cookie. */
static bool compile_value(const struct setting_pair *pair, const struct router_context *context,
			  struct pattern_list *patterns, struct field_condition *field)
{
	struct span value = span_make(pair->value.text, pair->value.len);

	field->value = value;
	if (value.len > 0 && value.at[0] == '~') {
		field->kind = FIELD_PATTERN;
		field->value = span_from(value, 1);
		field->pattern =
			pattern_compile(patterns, field->value, pair->value.place, context->diagnostics);
		return field->pattern != NULL;
	}
	field->kind = value.len == 0               ? FIELD_ABSENT :
		      span_equal(value, SPAN("*")) ? FIELD_PRESENT :
						     FIELD_EXACT;
	if (!http_is_field_value(value) || span_trim(value).len != value.len) {
		diagnostics_error(context->diagnostics, pair->value.place, "no field can have this value");
		return false;
	}
	return true;
}

static bool compile_field(const struct setting_pair *pair, const struct router_context *context,
			  struct pattern_list *patterns, struct field_condition *field)
{
	const char *framing;

	field->name = span_make(pair->name.text, pair->name.len);
	field->id = http_field_identify(field->name);
	framing = field_is_framing(field->id);
	if (!http_is_token(field->name)) {
		diagnostics_error(context->diagnostics, pair->name.place, "\"%s\" is not a field name",
				  pair->name.text);
		return false;
	}
	if (framing) {
		diagnostics_error(context->diagnostics, pair->name.place, "no route can be found by %s: %s",
				  pair->name.text, framing);
		return false;
	}
	return compile_value(pair, context, patterns, field);
}

static bool compile_fields(const struct route_settings *settings, const struct router_context *context,
			   struct pattern_list *patterns, struct conditions *conditions)
{
	bool good = true;

	conditions->fields = arena_zalloc(context->arena, settings->fields.count, sizeof(*conditions->fields));
	if (!conditions->fields) {
		diagnostics_error(context->diagnostics, settings->fields.place, "out of memory");
		return false;
	}
	for (size_t i = 0; i < settings->fields.count; i++) {
		if (!compile_field(&settings->fields.items[i], context, patterns,
				   &conditions->fields[conditions->field_count++]))
			good = false;
	}
	return good;
}

/* RFC 6265 4.1.1: the name is a token; a ";" ends the value (RFC 6265 4.2.1), so that none has it. */
static bool compile_cookie(const struct setting_pair *pair, const struct router_context *context,
			   struct pattern_list *patterns, struct field_condition *cookie)
{
	cookie->name = span_make(pair->name.text, pair->name.len);
	cookie->id = HTTP_FIELD_COOKIE;
	if (!http_is_token(cookie->name)) {
		diagnostics_error(context->diagnostics, pair->name.place, "\"%s\" is not a cookie's name",
				  pair->name.text);
		return false;
	}
	if (!compile_value(pair, context, patterns, cookie))
		return false;
	if (cookie->kind == FIELD_EXACT && span_find(cookie->value, ';') >= 0) {
		diagnostics_error(context->diagnostics, pair->value.place, "no cookie can have this value");
		return false;
	}
	return true;
}

static bool compile_cookies(const struct route_settings *settings, const struct router_context *context,
			    struct pattern_list *patterns, struct conditions *conditions)
{
	bool good = true;

	conditions->cookies =
		arena_zalloc(context->arena, settings->cookies.count, sizeof(*conditions->cookies));
	if (!conditions->cookies) {
		diagnostics_error(context->diagnostics, settings->cookies.place, "out of memory");
		return false;
	}
	for (size_t i = 0; i < settings->cookies.count; i++) {
		if (!compile_cookie(&settings->cookies.items[i], context, patterns,
				    &conditions->cookies[conditions->cookie_count++]))
			good = false;
	}
	return good;
}

bool conditions_compile(const struct route_settings *settings, const struct router_context *context,
			struct pattern_list *patterns, struct conditions *conditions)
{
	bool hosts = compile_hosts(settings, context, conditions);
	bool paths = compile_paths(settings, context, patterns, conditions);
	bool methods = compile_methods(settings, context, conditions);
	bool fields = compile_fields(settings, context, patterns, conditions);
	bool cookies = compile_cookies(settings, context, patterns, conditions);

	return hosts && paths && methods && fields && cookies;
}

bool conditions_method_holds(const struct conditions *conditions, struct span method)
{
	for (size_t i = 0; i < conditions->method_count; i++) {
		if (span_equal(conditions->methods[i], method))
			return true;
	}
	return conditions->method_count == 0;
}

static bool same_name(const struct field_condition *condition, const struct http_field *field)
{
	if (field->id != condition->id)
		return false;
	return field->id != HTTP_FIELD_OTHER || span_equal_nocase(field->name, condition->name);
}

enum pattern_result conditions_field_holds(const struct field_condition *condition,
					   const struct http_fields *fields, struct pattern_scratch *scratch)
{
	const struct http_field *field;
	uint32_t index = 0;

	while ((field = http_fields_next(fields, &index))) {
		enum pattern_result result = PATTERN_NO;

		if (!same_name(condition, field))
			continue;
		switch (condition->kind) {
		case FIELD_PRESENT:
			return PATTERN_YES;
		case FIELD_ABSENT:
			return PATTERN_NO;
		case FIELD_EXACT:
			result = span_equal(field->value, condition->value) ? PATTERN_YES : PATTERN_NO;
			break;
		case FIELD_PATTERN:
			result = pattern_match(condition->pattern, field->value, scratch, NULL);
			break;
		}
		if (result != PATTERN_NO)
			return result;
	}
	return condition->kind == FIELD_ABSENT ? PATTERN_YES : PATTERN_NO;
}

enum pattern_result conditions_cookie_holds(const struct field_condition *condition,
					    const struct http_fields *fields, struct pattern_scratch *scratch)
{
	struct span value;
	bool holds = false;

	if (!request_cookie(fields, condition->name, &value))
		return condition->kind == FIELD_ABSENT ? PATTERN_YES : PATTERN_NO;
	switch (condition->kind) {
	case FIELD_PRESENT:
		holds = true;
		break;
	case FIELD_ABSENT:
		break;
	case FIELD_EXACT:
		holds = span_equal(value, condition->value);
		break;
	case FIELD_PATTERN:
		return pattern_match(condition->pattern, value, scratch, NULL);
	}
	return holds ? PATTERN_YES : PATTERN_NO;
}

static enum pattern_result path_matches(const struct conditions *conditions, struct span path,
					struct pattern_scratch *scratch)
{
	if (conditions->path_count == 0)
		return PATTERN_YES;
	for (size_t i = 0; i < conditions->path_count; i++) {
		enum pattern_result result;

		if (conditions->paths[i].kind != PATH_PATTERN)
			continue;
		result = pattern_match(conditions->paths[i].pattern, path, scratch, NULL);
		if (result != PATTERN_NO)
			return result;
	}
	return PATTERN_NO;
}

enum pattern_result conditions_match(const struct conditions *conditions, const struct http_head *head,
				     struct span path, bool open, struct pattern_scratch *scratch)
{
	enum pattern_result result;

	if (!conditions_method_holds(conditions, head->method_text))
		return PATTERN_NO;
	if (open) {
		result = path_matches(conditions, path, scratch);
		if (result != PATTERN_YES)
			return result;
	}
	for (size_t i = 0; i < conditions->field_count; i++) {
		result = conditions_field_holds(&conditions->fields[i], &head->fields, scratch);
		if (result != PATTERN_YES)
			return result;
	}
	for (size_t i = 0; i < conditions->cookie_count; i++) {
		result = conditions_cookie_holds(&conditions->cookies[i], &head->fields, scratch);
		if (result != PATTERN_YES)
			return result;
	}
	return PATTERN_YES;
}

static bool is_below(struct span name, struct span domain)
{
	return name.len > domain.len && span_ends_with(name, domain) &&
	       name.at[name.len - domain.len - 1] == '.';
}

static bool host_covers(const struct domain_pattern *wide, const struct domain_pattern *narrow)
{
	if (span_equal(wide->name, narrow->name))
		return (narrow->reach & ~(unsigned)wide->reach) == 0;
	return (wide->reach & DOMAIN_BELOW) && !narrow->literal && is_below(narrow->name, wide->name);
}

static bool path_covers(const struct path_condition *wide, const struct path_condition *narrow)
{
	if (wide->kind == PATH_PREFIX)
		return narrow->kind != PATH_PATTERN && span_starts_with(narrow->text, wide->text);
	return wide->kind == narrow->kind && span_equal(wide->text, narrow->text);
}

/* Of the values of the same field or cookie. */
static bool value_covers(const struct field_condition *wide, const struct field_condition *narrow)
{
	if (wide->kind == FIELD_PRESENT && narrow->kind != FIELD_ABSENT)
		return true;
	return wide->kind == narrow->kind && span_equal(wide->value, narrow->value);
}

static bool field_covers(const struct field_condition *wide, const struct field_condition *narrow)
{
	return span_equal_nocase(wide->name, narrow->name) && value_covers(wide, narrow);
}

/* Names of cookies have case. */
static bool cookie_covers(const struct field_condition *wide, const struct field_condition *narrow)
{
	return span_equal(wide->name, narrow->name) && value_covers(wide, narrow);
}

static bool hosts_cover(const struct conditions *wide, const struct conditions *narrow)
{
	if (wide->host_count == 0)
		return true;
	for (size_t n = 0; n < narrow->host_count; n++) {
		bool covered = false;

		for (size_t w = 0; w < wide->host_count && !covered; w++)
			covered = host_covers(&wide->hosts[w], &narrow->hosts[n]);
		if (!covered)
			return false;
	}
	return narrow->host_count > 0;
}

static bool paths_cover(const struct conditions *wide, const struct conditions *narrow)
{
	if (wide->path_count == 0)
		return true;
	for (size_t n = 0; n < narrow->path_count; n++) {
		bool covered = false;

		for (size_t w = 0; w < wide->path_count && !covered; w++)
			covered = path_covers(&wide->paths[w], &narrow->paths[n]);
		if (!covered)
			return false;
	}
	return narrow->path_count > 0;
}

static bool methods_cover(const struct conditions *wide, const struct conditions *narrow)
{
	if (wide->method_count == 0)
		return true;
	for (size_t n = 0; n < narrow->method_count; n++) {
		if (!conditions_method_holds(wide, narrow->methods[n]))
			return false;
	}
	return narrow->method_count > 0;
}

static bool fields_cover(const struct conditions *wide, const struct conditions *narrow)
{
	for (size_t w = 0; w < wide->field_count; w++) {
		bool covered = false;

		for (size_t n = 0; n < narrow->field_count && !covered; n++)
			covered = field_covers(&wide->fields[w], &narrow->fields[n]);
		if (!covered)
			return false;
	}
	return true;
}

static bool cookies_cover(const struct conditions *wide, const struct conditions *narrow)
{
	for (size_t w = 0; w < wide->cookie_count; w++) {
		bool covered = false;

		for (size_t n = 0; n < narrow->cookie_count && !covered; n++)
			covered = cookie_covers(&wide->cookies[w], &narrow->cookies[n]);
		if (!covered)
			return false;
	}
	return true;
}

bool conditions_cover(const struct conditions *wide, const struct conditions *narrow)
{
	return hosts_cover(wide, narrow) && paths_cover(wide, narrow) && methods_cover(wide, narrow) &&
	       fields_cover(wide, narrow) && cookies_cover(wide, narrow);
}
