/*
 * What a client learns from an answer. See reverse.h. The audit's main thread.
 */
#include "audit/reverse_internal.h"

/* Words by which a proxy or a server can be known, in lower case. */
static const char *const products[] = {
	"nginx",     "openresty", "haproxy", "caddy", "squid",      "apache",
	"varnish",   "envoy",     "traefik", "guise", "iis",        "litespeed",
	"tinyproxy", "privoxy",   "h2o",     "pound", "cloudflare", "akamai",
};

void reverse_find(struct reverse_battery *battery, const struct audit_finding *finding, const char *saw, ...)
{
	struct audit_finding made = *finding;
	const struct span label = battery->target->label;

	if (saw) {
		va_list arguments;
		va_start(arguments, saw);
		made.saw = arena_format_list(battery->arena, saw, arguments);
		va_end(arguments);
		made.saw = arena_format(battery->arena, "%s%.*s%s%.*s",
					battery->version == ASK_HTTP2 ? "h2: " : "", SPAN_ARG(label),
					label.len ? ": " : "", SPAN_ARG(made.saw));
	}
	audit_report_add(battery->report, &made);
}

/* Names of fields are equal without case, and '_' is as '-': servers and what stands behind them make no difference. */
static bool same_name(struct span a, struct span b)
{
	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++) {
		uint8_t left = ascii_lower(a.at[i]), right = ascii_lower(b.at[i]);

		if ((left == '_' ? '-' : left) != (right == '_' ? '-' : right))
			return false;
	}
	return true;
}

static const char *product_in(struct span bytes, struct arena *arena)
{
	struct span lower = arena_copy(arena, bytes);

	for (size_t i = 0; lower.at && i < lower.len; i++)
		((uint8_t *)lower.at)[i] = ascii_lower(lower.at[i]);
	for (size_t i = 0; lower.at && i < ARRAY_LENGTH(products); i++)
		if (span_search(lower, span_of(products[i])) >= 0)
			return products[i];
	return NULL;
}

/* ---- fields of a talk ---- */

static struct span mark_of(const struct reverse_battery *battery, const struct talk_field *field)
{
	return talker_expand(battery->target->talker, field->mark ? field->mark : field->value, battery->arena);
}

/* The field of that name whose value holds the mark, or NULL. */
static const struct wire_field *find_marked(const struct ask_head *head, const char *name, struct span mark)
{
	for (unsigned i = 0; i < head->count; i++)
		if (same_name(head->fields[i].name, span_of(name)) &&
		    span_search(head->fields[i].value, mark) >= 0)
			return &head->fields[i];
	return NULL;
}

/* The field of that name whose value names the server, or NULL. */
static const struct wire_field *find_named(const struct reverse_battery *battery, const struct ask_head *head,
					   const char *name)
{
	struct span which;

	for (unsigned i = 0; i < head->count; i++)
		if (same_name(head->fields[i].name, span_of(name)) &&
		    talker_is_named(battery->target->talker, head->fields[i].value, &which))
			return &head->fields[i];
	return NULL;
}

static const char *advice_of(const struct talk_field *field)
{
	if (field->kind == TALK_SECRET)
		return "drop this field from responses (nginx: proxy_hide_header; HAProxy: http-response "
		       "del-header; Guise: the reverse mask does)";
	return "rewrite the server's names to the public one, or drop what holds them (Guise: mask.references, "
	       "mask.leaks)";
}

/* Whether it leaks; it is in the report then. */
static bool judge_leak(struct reverse_battery *battery, const struct talk_field *field,
		       const struct ask_head *head, struct audit_finding *finding)
{
	const struct wire_field *found = field->kind == TALK_SECRET ?
						 find_marked(head, field->name, mark_of(battery, field)) :
						 find_named(battery, head, field->name);

	if (!found)
		return false;
	finding->sight = AUDIT_SEEN;
	finding->advice = advice_of(field);
	reverse_find(battery, finding, "%.*s: %.*s", SPAN_ARG(found->name), SPAN_ARG(found->value));
	return true;
}

static void judge_field(struct reverse_battery *battery, const struct talk_field *field,
			const struct ask_head *head, unsigned status)
{
	struct audit_finding finding = {.id = field->id,
					.title = span_of(field->title ? field->title : field->name),
					.needs = field->needs == TALK_NO_GRADE ? AUDIT_NO_GRADE : field->needs,
					.minor = true};
	struct span seen = ask_field(head, field->name);

	if (field->kind != TALK_NEEDED && judge_leak(battery, field, head, &finding))
		return;
	if (field->kind == TALK_SECRET || field->kind == TALK_INSIDE ||
	    find_marked(head, field->name, mark_of(battery, field))) {
		audit_report_add(battery->report, &finding);
		return;
	}
	finding.sight = AUDIT_ALTERED;
	finding.advice = "applications need it: let it through";
	if (seen.at)
		reverse_find(battery, &finding, "%s: %.*s", field->name, SPAN_ARG(seen));
	else
		reverse_find(battery, &finding, "no %s in the response (status %u)", field->name, status);
}

static bool is_of(const struct talk *talk, struct span name)
{
	for (unsigned i = 0; i < talk->count; i++)
		if (same_name(name, span_of(talk->fields[i].name)))
			return true;
	for (unsigned i = 0; i < talk->beside_count; i++)
		if (same_name(name, span_of(talk->beside[i].name)))
			return true;
	return false;
}

/* Fields that the talk did not send, and that say who made them. */
static void judge_own_fields(struct reverse_battery *battery, const struct talk *talk,
			     const struct ask_head *head)
{
	static const char *const names[] = {"Server",        "Via",          "X-Cache",      "X-Cache-Lookup",
					    "X-Squid-Error", "X-Powered-By", "Proxy-Status", "X-Served-By"};

	for (unsigned i = 0; i < head->count; i++) {
		const struct wire_field *field = &head->fields[i];
		struct audit_finding finding = {.title = SPAN("names the proxy's own software"),
						.id = "proxy.software",
						.sight = AUDIT_SEEN,
						.needs = TALK_MASKED,
						.advice = "tell the proxy not to say what it is (nginx: "
							  "more_clear_headers; Caddy: header -Server)"};
		bool known = false;

		for (size_t k = 0; k < ARRAY_LENGTH(names); k++)
			known = known || same_name(field->name, span_of(names[k]));
		if (talk && is_of(talk, field->name) && !product_in(field->value, battery->arena))
			continue;
		if (!known)
			continue;
		if (same_name(field->name, SPAN("Proxy-Status"))) {
			finding.id = "proxy.status"; /* RFC 9209 2: by a name that its administrator chose */
			finding.title = SPAN("an error is told with the proxy's name");
			finding.needs = AUDIT_NO_GRADE;
			finding.advice = NULL;
		} else if (!product_in(field->value, battery->arena)) {
			finding.id = "proxy.field";
			finding.title = SPAN("a field tells that there is a proxy");
			finding.needs = AUDIT_NO_GRADE;
			finding.advice = NULL;
		}
		reverse_find(battery, &finding, "%.*s: %.*s", SPAN_ARG(field->name), SPAN_ARG(field->value));
	}
}

/* What names the server in a field that is none of the talk's. */
static void judge_rest(struct reverse_battery *battery, const struct talk *talk, const struct ask_head *head)
{
	struct span which;

	for (unsigned i = 0; i < head->count; i++) {
		const struct wire_field *field = &head->fields[i];
		const struct audit_finding finding = {.id = "inside.elsewhere",
						      .title = SPAN("its name in a field that it did not send"),
						      .sight = AUDIT_SEEN,
						      .needs = TALK_THIN};

		if (!is_of(talk, field->name) && talker_is_named(battery->target->talker, field->value, &which))
			reverse_find(battery, &finding, "%.*s: %.*s", SPAN_ARG(field->name),
				     SPAN_ARG(field->value));
	}
	judge_own_fields(battery, talk, head);
}

/* ---- the rest of an answer ---- */

static void judge_reason(struct reverse_battery *battery, const struct ask_head *head)
{
	struct audit_finding finding = {.id = "reason.text",
					.title = SPAN("the reason phrase of the status line"),
					.needs = TALK_QUIET};

	if (battery->version == ASK_HTTP2)
		return; /* RFC 9113 8.3.2: there is none */
	if (span_search(head->reason, SPAN("aud-node")) >= 0) {
		finding.sight = AUDIT_SEEN;
		finding.advice = "canonical reason phrases (Guise: mask.reasons)";
		reverse_find(battery, &finding, "%u %.*s", head->status, SPAN_ARG(head->reason));
	} else {
		audit_report_add(battery->report, &finding);
	}
}

static void judge_body(struct reverse_battery *battery, const struct talk *talk, const struct ask_answer *answer)
{
	bool page = strcmp(talk->name, "page") == 0;
	struct audit_finding finding = {.id = page ? "body.page" : "body.error",
					.title = page ? SPAN("its name in a page") :
							SPAN("its name in an error page or a stack trace"),
					.needs = TALK_SAME};
	struct span which;

	if (talker_is_named(battery->target->talker, answer->body, &which)) {
		finding.sight = AUDIT_SEEN;
		finding.advice = "filter bodies (Guise: mask.leaks.body: rewrite), or mend the application";
		reverse_find(battery, &finding, "\"%.*s\" in the body of %u", SPAN_ARG(which),
			     answer->final.status);
	} else {
		audit_report_add(battery->report, &finding);
	}
}

void reverse_judge_talk(struct reverse_battery *battery, const struct talk *talk,
			const struct ask_answer *answer)
{
	const struct ask_head *head = &answer->final;

	for (unsigned i = 0; i < talk->count; i++)
		judge_field(battery, &talk->fields[i], head, head->status);
	for (unsigned i = 0; i < talk->beside_count; i++) {
		if (talk->form == TALK_TRAILERS)
			judge_field(battery, &talk->beside[i], &answer->trailers, head->status);
		for (unsigned k = 0; k < answer->interim_count; k++)
			judge_field(battery, &talk->beside[i], &answer->interim[k], head->status);
		if (talk->form == TALK_INTERIM && answer->interim_count == 0)
			judge_field(battery, &talk->beside[i], &(struct ask_head){0}, head->status);
	}
	judge_rest(battery, talk, head);
	judge_rest(battery, talk, &answer->trailers);
	if (strcmp(talk->name, "reason") == 0)
		judge_reason(battery, head);
	if (talk->body && strchr(talk->body, '{'))
		judge_body(battery, talk, answer);
}

/* ---- pages of the proxy ---- */

void reverse_judge_page(struct reverse_battery *battery, const char *id, const char *title,
			const struct ask_answer *answer)
{
	struct audit_finding finding = {.id = id, .title = span_of(title), .needs = TALK_THIN};
	struct span which;
	const char *product = product_in(answer->body, battery->arena);
	bool named = talker_is_named(battery->target->talker, answer->body, &which);

	for (unsigned i = 0; i < answer->final.count && !named; i++)
		named = talker_is_named(battery->target->talker, answer->final.fields[i].value, &which);
	judge_own_fields(battery, NULL, &answer->final);
	finding.sight = named || product ? AUDIT_SEEN : AUDIT_UNSEEN;
	if (named) {
		reverse_find(battery, &finding, "\"%.*s\" in the answer (%u)", SPAN_ARG(which),
			     answer->final.status);
	} else if (product) {
		finding.needs = TALK_MASKED;
		reverse_find(battery, &finding, "\"%s\" in the page (%u)", product, answer->final.status);
	} else if (answer->final.status) {
		reverse_find(battery, &finding, "%u", answer->final.status);
	} else {
		reverse_find(battery, &finding, "no answer");
	}
}

/* ---- what the server learns ---- */

void reverse_judge_request(struct reverse_battery *battery, const struct wire_message *request)
{
	static const char *const names[] = {"X-Forwarded-For",    "Forwarded",
					    "X-Real-IP",          "X-Forwarded-Host",
					    "X-Forwarded-Proto",  "X-Forwarded-Port",
					    "X-Forwarded-Server", "Via"};

	for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
		struct span value = wire_field_find(request, names[i]);
		const struct audit_finding finding = {
			.id = (const char *)arena_format(battery->arena, "server.%s", names[i]).at,
			.title = span_of(names[i]),
			.sight = AUDIT_SEEN,
			.needs = AUDIT_NO_GRADE};

		if (value.at && finding.id)
			reverse_find(battery, &finding, "%.*s", SPAN_ARG(value));
	}
}
