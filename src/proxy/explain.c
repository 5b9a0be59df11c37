/*
 * See explain.h. The exchange is a real one without streams; what it would tell its client is noted.
 */
#include "proxy/explain.h"

#include "http/h1/parse.h"
#include "proxy/proxy_internal.h"
#include "route/split.h"
#include "upstream/peek.h"

static struct explain *explain_of(const struct exchange *x)
{
	return CONTAINER_OF(x->service, struct explain, service);
}

/* ---- what the exchange reports ---- */

static void explain_on_refused(struct exchange *x, const struct error *error)
{
	struct explain *explain = explain_of(x);

	explain->end = EXPLAIN_REFUSED;
	explain->error = *error;
}

/* There is no up stream that could call these. */
static void explain_on_response(struct exchange *x)
{
	exchange_abort(x, &(struct error){.code = ERROR_INTERNAL});
}

static void explain_on_up_failed(struct exchange *x, const struct error *error)
{
	exchange_abort(x, error);
}

/* What the phases hold is in the exchange's arena; the one that would hold more is not run. */
static void explain_on_end(struct exchange *x)
{
	struct explain *explain = explain_of(x);

	if (explain->end == EXPLAIN_GOES_ON && error_is(&x->error)) {
		explain->end = EXPLAIN_REFUSED;
		explain->error = x->error;
	}
}

/* ---- through the phases ---- */

/* As it is now: fields that are edited later are kept as they were. False: out of memory. */
static bool keep_head(struct http_head *kept, const struct http_head *head, struct arena *arena)
{
	const struct http_fields *fields = &head->fields;

	*kept = *head;
	http_fields_init(&kept->fields, arena);
	for (uint32_t i = 0; i < fields->count; i++) {
		const struct http_field *field = &fields->items[i];
		if (!field->dropped && !http_fields_add(&kept->fields, field->id, field->name, field->value))
			return false;
	}
	return true;
}

static void explain_note(struct explain *explain, const struct proxy_exchange *p)
{
	explain->detail = p->detail;
	explain->client_text = p->origin.client_text;
	explain->user = p->forward.user;
	explain->match = p->match;
	explain->tcp_route = p->tcp_route;
	if (explain->end == EXPLAIN_ANSWERED && p->match.route && p->match.route->action == ROUTE_RESPOND)
		explain->body = p->match.route->respond.body;
}

static void explain_on_request(struct exchange *x)
{
	struct explain *explain = explain_of(x);
	struct proxy_exchange *p = proxy_attach(x);
	enum phase_result result = PHASE_NEXT;

	if (!p || !keep_head(&explain->before, &x->request, &x->arena)) {
		exchange_abort(x, &(struct error){.code = ERROR_MEMORY});
		return;
	}
	p->explained = true;
	const struct phase *phase = proxy_phases(p->listener);
	/* The last one reaches out. */
	while (phase[1].run && result == PHASE_NEXT) {
		explain->phase = phase->name;
		result = phase->run(x, p);
		phase++;
	}
	if (result == PHASE_DONE && explain->end == EXPLAIN_GOES_ON)
		explain->end = EXPLAIN_ANSWERED;
	explain_note(explain, p);
}

static const struct exchange_ops explain_ops = {
	.on_request = explain_on_request,
	.on_response = explain_on_response,
	.on_up_failed = explain_on_up_failed,
	.on_refused = explain_on_refused,
	.on_end = explain_on_end,
};

/* ---- reading ---- */

static uint32_t limit32(uint64_t limit)
{
	return limit < UINT32_MAX ? (uint32_t)limit : UINT32_MAX;
}

/* Into x->request. False: *error tells. */
static bool explain_read(struct explain *explain, struct error *error)
{
	const struct limits_settings *limits = explain->service.limits;
	struct h1_limits h1 = {
		.request_line = limit32(limits->request_line),
		.field_line = limit32(limits->field_line),
		.fields = limit32(limits->fields),
		.head = limit32(limits->head),
	};
	struct exchange *x = explain->x;
	struct h1_framing framing;

	if (explain->listener->face == PROXY_TCP) {
		x->request.authority = explain->head;
		return true;
	}
	return h1_request_parse(explain->head, &x->arena, &h1, explain->service.scheme, &x->request, &framing,
				error);
}

/* A connection that has shaken hands, if that is what clients of the listener do first. */
static void explain_secure(struct explain *explain)
{
	bool secured = span_equal(explain->service.scheme, SPAN("https"));

	explain->tls = (struct tls_info){.version = "TLSv1.3", .cipher = "TLS_AES_128_GCM_SHA256"};
	explain->client.tls = secured ? &explain->tls : NULL;
}

/* ---- where it goes ---- */

static bool has_key(const struct request_key *key, const struct explain *explain, const struct address *client)
{
	uint64_t hash;

	return request_key_hash(key, explain->listener->face == PROXY_TCP ? NULL : &explain->before, client,
				&hash);
}

static void explain_pick(struct explain *explain)
{
	const struct proxy_exchange *p = proxy_exchange(explain->x);
	const struct split *split = explain->match.route ? explain->match.route->split :
							   explain->tcp_route->split;
	struct upstream_group *group = upstream_group(explain->worker, p->group);
	struct upstream_peek peek;

	explain->group = group;
	explain->by_lot = split && !(split->keyed && has_key(&split->key, explain, &p->origin.client));
	explain->keyed = balance_algorithms[group->settings->balance]->keyed;
	explain->by_key = explain->keyed && has_key(&group->plan->hash, explain, &p->origin.client);
	upstream_peek(group, &p->hand_over.query, &peek);
	explain->pick = peek.pick;
	explain->sticky = peek.sticky;
	explain->tier = peek.tier;
	explain->server = explain->keyed && !explain->by_key && !peek.sticky ? NULL : peek.server;
}

static void explain_judge(struct explain *explain)
{
	const struct http_head *request = &explain->before;

	if (request->host.host.len == 0)
		return;
	explain->judged = true;
	explain->guarded = request->host.ip_family != ADDRESS_NONE;
	explain->verdict = forward_judge(explain->x, proxy_exchange(explain->x));
}

struct rule_query explain_query(const struct explain *explain, struct address *literal)
{
	*literal = forward_literal(&explain->before);
	return forward_query(explain->x, proxy_exchange(explain->x),
			     literal->family == ADDRESS_NONE ? NULL : literal);
}

/* ---- all of it ---- */

bool explain_begin(struct explain *explain)
{
	const struct proxy_listener *listener = explain->listener;
	struct error error = ERROR_OK;

	explain->end = EXPLAIN_GOES_ON;
	explain->phase = "read";
	explain->service = listener->service;
	explain->service.ops = &explain_ops;
	explain_secure(explain);
	explain->x = exchange_new(explain->worker, &explain->service, &explain->client);
	if (!explain->x)
		return false;
	if (!explain_read(explain, &error)) {
		(void)keep_head(&explain->before, &explain->x->request, &explain->x->arena);
		exchange_refuse(explain->x, &error);
		return true;
	}
	exchange_begin(explain->x);
	if (explain->x->state == EXCHANGE_OVER)
		return true;
	if (listener->face == PROXY_FORWARD)
		explain_judge(explain);
	else if (explain->end == EXPLAIN_GOES_ON)
		explain_pick(explain);
	return true;
}

void explain_end(struct explain *explain)
{
	/* With an error that nobody logs; the exchange goes with the turn. */
	explain->end = EXPLAIN_ANSWERED;
	exchange_abort(explain->x, &(struct error){.code = ERROR_CLIENT_GONE});
	explain->x = NULL;
}

struct span explain_host(const struct explain *explain, const struct fleet_server *server)
{
	return reverse_host(proxy_exchange(explain->x), server);
}
