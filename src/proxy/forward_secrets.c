/*
 * Requests of the forward face get the secrets that the rule which lets them pass names, where they are for the host that is asked. The phase decides what has to be
 * decided before there is a connection; the values are put in when there is one, so that no phase shows them. On the exchange's worker.
 */
#include "http/target.h"
#include "proxy/proxy_internal.h"
#include "proxy/secrets.h"

/* One that the request has been given; in the arena. */
struct given_secret {
	struct given_secret *next;
	uint32_t index;
	struct span text, bare;
};

/* The next secret of the rule that is for the host, from *at on; NULL: there is none. */
static const struct secret_plan *next_secret(const struct exchange *x, const struct proxy_exchange *p,
					     uint32_t *at, uint32_t *index)
{
	const struct verdict *verdict = &p->forward.verdict;

	if (!p->listener->secrets || verdict->outcome != VERDICT_ALLOW || !verdict->actions)
		return NULL;
	while (*at < verdict->actions->secret_count) {
		*index = verdict->actions->secrets[(*at)++];
		const struct secret_plan *plan = secrets_plan_at(p->listener->secrets, *index);
		if (secret_is_for(plan, &x->request.host, x->request.scheme))
			return plan;
	}
	return NULL;
}

/* A request that Guise itself makes of what it is asked; whatever goes through a tunnel is the client's own. */
static bool is_request(const struct proxy_exchange *p)
{
	return p->forward.scheme == RULE_HTTP || p->forward.scheme == RULE_HTTPS;
}

/* A port that was spelt out though it goes without saying becomes that of the other scheme. */
static void drop_own_port(struct http_head *request)
{
	size_t len = request->authority.len;

	if (request->host.port != http_scheme_port(request->scheme))
		return;
	request->host.port = 0;
	while (len && request->authority.at[len - 1] != ':')
		len--;
	if (len)
		request->authority.len = len - 1;
}

/* The request leaves over TLS, if the rules let that pass too, and with this secret. */
static enum phase_result secure(struct exchange *x, struct proxy_exchange *p, uint32_t index)
{
	drop_own_port(&x->request);
	x->request.scheme = SPAN("https");
	p->forward.secure = true;
	p->forward.scheme = RULE_HTTPS;
	struct guard_verdict verdict = forward_judge(x, p);
	if (verdict.outcome != GUARD_ALLOW) {
		struct error error = forward_refusal(p, &verdict);
		exchange_fail(x, &error);
		return PHASE_DONE;
	}
	p->forward.verdict = verdict.verdict;
	for (uint32_t at = 0, other; next_secret(x, p, &at, &other);)
		if (other == index)
			return PHASE_NEXT;
	return phase_fail(x, ERROR_DENIED,
			  "what is asked for would leave as https, and that is not allowed with its secret");
}

enum phase_result forward_secrets(struct exchange *x, struct proxy_exchange *p)
{
	const struct secret_plan *plan;
	uint32_t at = 0, index;

	if (!is_request(p))
		return PHASE_NEXT;
	while ((plan = next_secret(x, p, &at, &index))) {
		/* RFC 9110 9.3.8: its answer would show the client what the server got. */
		if (x->request.method == HTTP_METHOD_TRACE)
			return phase_fail(x, ERROR_METHOD_NOT_ALLOWED, "TRACE would show a secret");
		if (plan->settings->tls && !p->forward.secure)
			return secure(x, p, index);
	}
	return PHASE_NEXT;
}

bool forward_secrets_late(const struct exchange *x, const struct proxy_exchange *p, struct error *error)
{
	const struct secret_plan *plan;
	uint32_t at = 0, index;

	while (is_request(p) && !p->forward.secure && (plan = next_secret(x, p, &at, &index))) {
		if (!plan->settings->tls)
			continue;
		*error = error_make(
			ERROR_DENIED,
			"this leaves over TLS alone, and by a rule that goes by addresses it has to be asked for as https");
		return false;
	}
	return true;
}

/* Servers behind CGI and the like take '_' for '-'. */
static bool same_name(struct span one, struct span other)
{
	if (one.len != other.len)
		return false;
	for (size_t i = 0; i < one.len; i++) {
		uint8_t a = ascii_lower(one.at[i]), b = ascii_lower(other.at[i]);
		if ((a == '_' ? '-' : a) != (b == '_' ? '-' : b))
			return false;
	}
	return true;
}

static bool give(struct exchange *x, struct proxy_exchange *p, const struct secret_plan *plan, uint32_t index)
{
	struct span name = span_make(plan->settings->field.text, plan->settings->field.len);
	struct given_secret *given = arena_zalloc(&x->arena, 1, sizeof(*given));
	struct http_fields *fields = &x->request.fields;
	struct http_field *field;
	uint32_t at = 0;

	if (!given || !secrets_get(p->listener->secrets, index, &x->arena, &given->text, &given->bare))
		return false;
	given->index = index;
	given->next = p->forward.secrets;
	p->forward.secrets = given;
	while ((field = http_fields_next(fields, &at)))
		field->dropped = same_name(field->name, name);
	return http_fields_add(fields, http_field_identify(name), name, given->text);
}

bool forward_give_secrets(struct exchange *x, struct proxy_exchange *p)
{
	const struct secret_plan *plan;
	uint32_t at = 0, index;

	forward_wipe_secrets(p);
	if (!is_request(p) || x->request.method == HTTP_METHOD_TRACE)
		return true;
	while ((plan = next_secret(x, p, &at, &index)))
		if ((p->forward.secure || plan->settings->clear) && !give(x, p, plan, index))
			return false;
	return true;
}

void forward_hide_secrets(const struct proxy_exchange *p, struct http_fields *fields)
{
	for (const struct given_secret *given = p->forward.secrets; given; given = given->next) {
		struct http_field *field;
		uint32_t at = 0;
		while ((field = http_fields_next(fields, &at)))
			if (span_search(field->value, given->bare) >= 0 ||
			    span_search(field->name, given->bare) >= 0)
				field->dropped = true;
	}
}

void forward_wipe_secrets(struct proxy_exchange *p)
{
	for (struct given_secret *given = p->forward.secrets; given; given = given->next)
		span_wipe(given->text);
	p->forward.secrets = NULL;
}

struct span forward_secret_name(const struct proxy_exchange *p, size_t index)
{
	const struct given_secret *given = p->forward.secrets;

	while (given && index--)
		given = given->next;
	if (!given)
		return (struct span){0};
	const struct setting_string *name =
		&secrets_plan_at(p->listener->secrets, given->index)->settings->name;
	return span_make(name->text, name->len);
}
