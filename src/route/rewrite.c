/*
 * Rewriting the path on its way to the server: a prefix, or the first match of a pattern, is replaced. Compiled with
 * the snapshot, run on any thread.
 *
 * Routes are found by the normalised path. What is sent is the path as it came wherever that is safe, so that servers
 * see the client's own encoding; where dot segments or another spelling of the prefix stand in between, the
 * normalised one is sent.
 */
#include "route/router_internal.h"

#include "http/target.h"

struct part {
	struct span text; /* literal */
	int group;        /* or, when >= 0, this group of the match */
};

struct rewrite {
	const struct pattern *pattern; /* NULL: a prefix */
	struct span from;              /* the prefix, normalised */
	struct part *parts;
	size_t count;
};

/* Cuts `to` into parts (there is room for one per byte and one more). NULL, or what is wrong. */
static const char *cut_parts(struct span to, unsigned groups, struct rewrite *rewrite)
{
	size_t start = 0;

	for (size_t i = 0; i < to.len; i++) {
		int next = i + 1 < to.len ? to.at[i + 1] : -1;

		if (to.at[i] <= ' ' || to.at[i] >= 0x7f || to.at[i] == '?' || to.at[i] == '#')
			return "a path has neither \"?\" nor \"#\", no spaces and only ASCII; the query is kept by itself";
		if (to.at[i] != '$' || !rewrite->pattern)
			continue;
		if (next != '$' && !(next >= '0' && next <= '9'))
			return "\"$\" is followed by the number of a group; \"$$\" is a dollar sign";
		if (next != '$' && (unsigned)(next - '0') > groups)
			return "the pattern has no group of this number";
		rewrite->parts[rewrite->count++] = (struct part){
			.text = span_make(to.at + start, i - start + (next == '$')),
			.group = -1,
		};
		if (next != '$')
			rewrite->parts[rewrite->count++] = (struct part){.group = next - '0'};
		start = ++i + 1;
	}
	rewrite->parts[rewrite->count++] = (struct part){.text = span_from(to, start), .group = -1};
	return NULL;
}

static bool compile_from(const struct rewrite_settings *settings, const struct router_context *context,
			 struct pattern_list *patterns, struct rewrite *rewrite)
{
	struct span from = span_of(settings->from);

	if (from.len > 0 && from.at[0] == '~') {
		rewrite->pattern = pattern_compile(patterns, span_from(from, 1), settings->from_place,
						   context->diagnostics);
		return rewrite->pattern != NULL;
	}
	if (from.len == 0 || from.at[0] != '/' || span_find(from, '?') >= 0 || span_find(from, '#') >= 0) {
		diagnostics_error(
			context->diagnostics, settings->from_place,
			"\"from\" is a prefix of the path, which begins with \"/\", or \"~\" and a pattern");
		return false;
	}
	if (!http_path_normalise(from, context->arena, &rewrite->from)) {
		diagnostics_error(context->diagnostics, settings->from_place, "\"from\" is not a good path");
		return false;
	}
	return true;
}

const struct rewrite *rewrite_compile(const struct rewrite_settings *settings,
				      const struct router_context *context, struct pattern_list *patterns)
{
	struct span to = span_of(settings->to);
	struct rewrite *rewrite = arena_zalloc(context->arena, 1, sizeof(*rewrite));
	const char *wrong;

	if (rewrite)
		rewrite->parts = arena_zalloc(context->arena, to.len + 1, sizeof(*rewrite->parts));
	if (!rewrite || !rewrite->parts) {
		diagnostics_error(context->diagnostics, settings->place, "out of memory");
		return NULL;
	}
	if (!settings->from || !settings->to) {
		diagnostics_error(context->diagnostics, settings->place,
				  "a rewrite needs both \"from\" and \"to\"");
		return NULL;
	}
	if (!compile_from(settings, context, patterns, rewrite))
		return NULL;
	if (!rewrite->pattern && !span_starts_with(to, SPAN("/"))) {
		diagnostics_error(context->diagnostics, settings->to_place, "\"to\" begins with \"/\"");
		return NULL;
	}
	wrong = cut_parts(to, rewrite->pattern ? pattern_group_count(rewrite->pattern) : 0, rewrite);
	if (wrong) {
		diagnostics_error(context->diagnostics, settings->to_place, "\"to\": %s", wrong);
		return NULL;
	}
	return rewrite;
}

/* Steps over `plain`, or over its percent-encoding %`high``low`; 0: neither is here. */
static size_t step(struct span path, size_t at, uint8_t plain, uint8_t high, uint8_t low)
{
	if (at < path.len && path.at[at] == plain)
		return 1;
	if (at + 2 < path.len && path.at[at] == '%' && path.at[at + 1] == high &&
	    ascii_lower(path.at[at + 2]) == low)
		return 3;
	return 0;
}

/* Whether a segment is "." or "..", however its dots and the slashes around it are spelt. */
static bool has_dot_segment(struct span path)
{
	size_t at = 0;

	while (at < path.len) {
		size_t slash = step(path, at, '/', '2', 'f'), dot;

		if (slash == 0) {
			at++;
			continue;
		}
		at += slash;
		dot = step(path, at, '.', '2', 'e');
		if (dot == 0)
			continue;
		dot += step(path, at + dot, '.', '2', 'e');
		if (at + dot == path.len || step(path, at + dot, '/', '2', 'f') > 0)
			return true;
	}
	return false;
}

/*
 * What follows the prefix. As it came when the path begins with the prefix literally and has no dot segments: then
 * the two forms differ only in how characters are spelt. Else from the normalised path.
 */
static struct span rest_of(const struct rewrite *rewrite, struct span raw, struct span normal)
{
	if (span_starts_with(raw, rewrite->from) && !has_dot_segment(raw))
		return span_from(raw, rewrite->from.len);
	return span_from(normal, rewrite->from.len);
}

static uint8_t *append(uint8_t *at, struct span text)
{
	return text.len > 0 ? mempcpy(at, text.at, text.len) : at;
}

struct pieces {
	struct span before, after, query;
};

/*
 * before + the parts + after + the query, beginning with "/". A dot segment that replacing has made ("/x../a", with
 * /x replaced by /y/) would climb out of `to` at the server: refused.
 */
static bool assemble(const struct rewrite *rewrite, const struct pattern_groups *groups,
		     const struct pieces *pieces, struct arena *scratch, struct span *path, struct error *error)
{
	size_t room = 1 + pieces->before.len + pieces->after.len + pieces->query.len;
	uint8_t *out, *at;

	for (size_t i = 0; i < rewrite->count; i++) {
		const struct part *part = &rewrite->parts[i];

		room += part->group < 0 ? part->text.len : groups->group[part->group].len;
	}
	out = at = arena_alloc(scratch, room);
	if (!out) {
		*error = error_make(ERROR_MEMORY, NULL);
		return false;
	}
	*at++ = '/';
	at = append(at, pieces->before);
	for (size_t i = 0; i < rewrite->count; i++) {
		const struct part *part = &rewrite->parts[i];

		at = append(at, part->group < 0 ? part->text : groups->group[part->group]);
	}
	at = append(at, pieces->after);
	*path = span_make(out, (size_t)(at - out));
	if (has_dot_segment(*path)) {
		*error = error_make(ERROR_BAD_TARGET, "the rewritten path would climb");
		return false;
	}
	at = append(at, pieces->query);
	*path = span_make(out, (size_t)(at - out));
	if (path->len > 1 && path->at[1] == '/')
		*path = span_from(*path, 1);
	return true;
}

static bool rewrite_pattern(const struct rewrite *rewrite, struct span normal, struct span query,
			    struct arena *scratch, struct span *path, struct error *error)
{
	struct pattern_scratch matching = {.arena = scratch};
	struct pieces pieces = {.query = query};
	struct pattern_groups groups;

	switch (pattern_match(rewrite->pattern, normal, &matching, &groups)) {
	case PATTERN_NO:
		return true;
	case PATTERN_YES:
		break;
	case PATTERN_LIMIT:
		*error = error_make(ERROR_INTERNAL, "the pattern of a rewrite took too many steps");
		return false;
	case PATTERN_MEMORY:
		*error = error_make(ERROR_MEMORY, NULL);
		return false;
	}
	if (!groups.group[0].at)
		return true; /* \K made it end before its start */
	pieces.before = span_make(normal.at, (size_t)(groups.group[0].at - normal.at));
	pieces.after = span_from(normal, pieces.before.len + groups.group[0].len);
	return assemble(rewrite, &groups, &pieces, scratch, path, error);
}

bool route_rewrite(const struct route_match *match, const struct http_head *head, struct arena *scratch,
		   struct span *path, struct error *error)
{
	const struct rewrite *rewrite = match->route->rewrite;
	struct span raw = http_path_only(head->path);
	struct pieces pieces = {.query = span_from(head->path, raw.len)}; /* with its "?" */

	*path = head->path;
	if (!rewrite || !span_starts_with(match->path, SPAN("/")))
		return true;
	if (rewrite->pattern)
		return rewrite_pattern(rewrite, match->path, pieces.query, scratch, path, error);
	if (!span_starts_with(match->path, rewrite->from))
		return true;
	pieces.after = rest_of(rewrite, raw, match->path);
	return assemble(rewrite, NULL, &pieces, scratch, path, error);
}

bool route_replaces_prefix(const struct route_match *match, struct span *from, struct span *to)
{
	const struct rewrite *rewrite = match->route->rewrite;

	if (!rewrite || rewrite->pattern || !span_starts_with(match->path, rewrite->from))
		return false;
	*from = rewrite->from;
	*to = rewrite->parts[0].text; /* all of it: without a pattern there are no groups */
	return true;
}
