/*
 * See judge.h. Pure.
 */
#include "route/judge.h"

#include "net/address.h"
#include "route/router_internal.h"

struct judge {
	const struct conditions *conditions;
	const struct http_head *head;
	struct span path;
	struct arena *arena;
	struct pattern_scratch scratch;
	struct judgement *judgements;
	size_t most, count;
	bool failed;
};

static void judge_note(struct judge *judge, const char *what, struct span text, bool holds)
{
	if (!text.at)
		judge->failed = true;
	else if (judge->count < judge->most)
		judge->judgements[judge->count++] = (struct judgement){what, text, holds};
}

/* "a, b" */
static struct span judge_list(struct judge *judge, struct span list, const char *sign, struct span text,
			      const char *end)
{
	return arena_format(judge->arena, "%.*s%s%s%.*s%s", SPAN_ARG(list), list.len ? ", " : "", sign,
			    SPAN_ARG(text), end);
}

/* ---- host ---- */

static bool host_holds(const struct domain_pattern *pattern, const struct http_authority *host)
{
	char buffer[ADDRESS_TEXT];
	struct span name = route_host_key(host, buffer);

	if (name.len == 0)
		return false;
	if ((pattern->reach & DOMAIN_EXACT) && span_equal(pattern->name, name))
		return true;
	return (pattern->reach & DOMAIN_BELOW) && host->ip_family == ADDRESS_NONE &&
	       name.len > pattern->name.len && span_ends_with(name, pattern->name) &&
	       name.at[name.len - pattern->name.len - 1] == '.';
}

static void judge_hosts(struct judge *judge)
{
	static const char *const signs[] = {[DOMAIN_EXACT] = "", [DOMAIN_BELOW] = "*.", [DOMAIN_BOTH] = "."};
	const struct conditions *conditions = judge->conditions;
	struct span text = SPAN("");
	bool holds = false;

	for (size_t i = 0; i < conditions->host_count; i++) {
		const struct domain_pattern *host = &conditions->hosts[i];
		holds = holds || host_holds(host, &judge->head->host);
		text = judge_list(judge, text, signs[host->reach], host->name, "");
	}
	if (conditions->host_count)
		judge_note(judge, "host", text, holds);
}

/* ---- path ---- */

static bool path_holds(struct judge *judge, const struct path_condition *path)
{
	switch (path->kind) {
	case PATH_EXACT:
		return span_equal(judge->path, path->text);
	case PATH_PREFIX:
		return span_starts_with(judge->path, path->text);
	case PATH_PATTERN:
		break;
	}
	return pattern_match(path->pattern, judge->path, &judge->scratch, NULL) == PATTERN_YES;
}

static void judge_paths(struct judge *judge)
{
	const struct conditions *conditions = judge->conditions;
	struct span text = SPAN("");
	bool holds = false;

	for (size_t i = 0; i < conditions->path_count; i++) {
		const struct path_condition *path = &conditions->paths[i];
		holds = holds || path_holds(judge, path);
		text = judge_list(judge, text, path->kind == PATH_PATTERN ? "~" : "", path->text,
				  path->kind == PATH_PREFIX ? "*" : "");
	}
	if (conditions->path_count)
		judge_note(judge, "path", text, holds);
}

/* ---- the rest ---- */

static void judge_methods(struct judge *judge)
{
	const struct conditions *conditions = judge->conditions;
	struct span text = SPAN("");

	for (size_t i = 0; i < conditions->method_count; i++)
		text = judge_list(judge, text, "", conditions->methods[i], "");
	if (conditions->method_count)
		judge_note(judge, "method", text,
			   conditions_method_holds(conditions, judge->head->method_text));
}

static struct span field_text(struct judge *judge, const struct field_condition *field)
{
	switch (field->kind) {
	case FIELD_PRESENT:
		return arena_format(judge->arena, "%.*s is there", SPAN_ARG(field->name));
	case FIELD_ABSENT:
		return arena_format(judge->arena, "%.*s is not there", SPAN_ARG(field->name));
	case FIELD_EXACT:
	case FIELD_PATTERN:
		break;
	}
	return arena_format(judge->arena, "%.*s: %s%.*s", SPAN_ARG(field->name),
			    field->kind == FIELD_PATTERN ? "~" : "", SPAN_ARG(field->value));
}

static void judge_fields(struct judge *judge)
{
	const struct conditions *conditions = judge->conditions;
	const struct http_fields *fields = &judge->head->fields;

	for (size_t i = 0; i < conditions->field_count; i++)
		judge_note(judge, "field", field_text(judge, &conditions->fields[i]),
			   conditions_field_holds(&conditions->fields[i], fields, &judge->scratch) ==
				   PATTERN_YES);
	for (size_t i = 0; i < conditions->cookie_count; i++)
		judge_note(judge, "cookie", field_text(judge, &conditions->cookies[i]),
			   conditions_cookie_holds(&conditions->cookies[i], fields, &judge->scratch) ==
				   PATTERN_YES);
}

bool route_judge(const struct route *route, const struct http_head *head, struct span path,
		 struct arena *arena, struct judgement *judgements, size_t most, size_t *count)
{
	struct judge judge = {
		.conditions = route->conditions,
		.head = head,
		.path = path,
		.arena = arena,
		.scratch = {.arena = arena},
		.judgements = judgements,
		.most = most,
	};

	judge_hosts(&judge);
	judge_paths(&judge);
	judge_methods(&judge);
	judge_fields(&judge);
	*count = judge.count;
	return !judge.failed;
}
