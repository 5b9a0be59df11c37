/*
 * See leaks.h. On the exchange's worker.
 */
#include "proxy/leaks.h"

#include "exchange/filter.h"
#include "proxy/proxy_internal.h"

#include <stdio.h>

enum {
	LINES_A_SECOND = 8, /* lines of one listener */
	TERM_SHOWN = 80,    /* bytes */
};

/* ---- of whom ---- */

const struct leak_guard *leaks_guard(const struct proxy_exchange *p)
{
	if (p->listener->face != PROXY_REVERSE || !p->match.route || !p->hand_over.named)
		return NULL;
	return reverse_mask_leaks(p->match.route->mask);
}

static bool group_has(const void *owner, const struct address *address)
{
	return upstream_has_address(owner, address);
}

struct inside_now leaks_others(const struct proxy_exchange *p)
{
	const struct upstream_group *group = p->hand_over.group;

	return group->view && group->view->found ? (struct inside_now){group_has, group} :
						   (struct inside_now){0};
}

struct leak_server leaks_server(const struct exchange *x, const struct proxy_exchange *p,
				struct address *address)
{
	const struct fleet_server *fleet = p->hand_over.named->fleet;
	bool connected = x->up && p->session && p->session->conn;
	struct leak_server server = {.name = fleet->host, .others = leaks_others(p)};

	*address = address_unmap(connected ? &p->session->conn->peer : &fleet->address);
	if (address->family == ADDRESS_V4 || address->family == ADDRESS_V6)
		server.address = address;
	if (span_find(server.name, '.') <= 0)
		server.name = (struct span){0};
	return server;
}

struct leak_public leaks_site(const struct exchange *x, const struct proxy_exchange *p)
{
	struct reverse_mask_view view = reverse_mask_view(x, p);
	struct leak_public site;

	reverse_mask_public(p->match.route->mask, &view, &site.scheme, &site.authority);
	return site;
}

/* ---- the log ---- */

/* How many were not told since the last line; UINT64_MAX: this one is not either. */
static uint64_t tally_add(struct exchange *x, const struct proxy_exchange *p)
{
	struct leak_tally *tally = p->listener->leaks;

	if (!tally || !log_wants(x->worker->log, LOG_WARNING))
		return UINT64_MAX;
	atomic_fetch_add_explicit(&tally->found, 1, memory_order_relaxed);
	if (pace_allows(&tally->pace, LINES_A_SECOND, x->worker->loop.now))
		return atomic_exchange_explicit(&tally->silent, 0, memory_order_relaxed);
	atomic_fetch_add_explicit(&tally->silent, 1, memory_order_relaxed);
	return UINT64_MAX;
}

static COLD void say(struct exchange *x, const struct proxy_exchange *p, struct span where, struct span term,
		     const char *what, uint64_t silent)
{
	char more[48] = "";

	if (silent)
		(void)snprintf(more, sizeof(more), "; %llu more since the last line",
			       (unsigned long long)silent);
	term.len = size_min(term.len, TERM_SHOWN);
	log_say(x->worker->log, LOG_WARNING, "%.*s: leak: route %u, server %.*s, %.*s says \"%.*s\": %s%s",
		SPAN_ARG(p->listener->text), p->match.route->index, SPAN_ARG(p->server_text), SPAN_ARG(where),
		SPAN_ARG(term), what, more);
}

void leaks_tell(struct exchange *x, struct proxy_exchange *p, struct span where, const struct leak *leak,
		enum leak_done done)
{
	uint64_t silent = tally_add(x, p);

	p->leaks++;
	if (silent != UINT64_MAX)
		say(x, p, where, leak->term, leak_done_name(done), silent);
}

void leaks_tell_blind(struct exchange *x, struct proxy_exchange *p, const char *why)
{
	uint64_t silent = tally_add(x, p);

	if (silent != UINT64_MAX)
		log_say(x->worker->log, LOG_WARNING,
			"%.*s: leak: route %u, server %.*s: content is not looked at: %s",
			SPAN_ARG(p->listener->text), p->match.route->index, SPAN_ARG(p->server_text), why);
}

/* ---- heads ---- */

static void on_leak(void *owner, struct span where, const struct leak *leak, enum leak_done done)
{
	struct proxy_exchange *p = owner;

	leaks_tell(p->exchange, p, where, leak, done);
}

static enum leak_verdict guard_fields(struct exchange *x, struct proxy_exchange *p,
				      const struct leak_guard *guard, struct http_fields *fields,
				      struct span *reason)
{
	struct address address;
	struct leak_server server = leaks_server(x, p, &address);
	struct leak_public site;
	struct leak_context context = {.server = &server, .site = &site, .on_leak = on_leak, .owner = p};
	enum leak_verdict verdict;

	if (!leak_guard_suspects(guard, &server, fields, *reason))
		return LEAK_VERDICT_GO_ON;
	site = leaks_site(x, p);
	verdict = leak_guard_fields(guard, fields, &context);
	return verdict == LEAK_VERDICT_GO_ON ? leak_guard_reason(guard, reason, &context) : verdict;
}

bool leak_guard_head(struct exchange *x, struct proxy_exchange *p)
{
	const struct leak_guard *guard = leaks_guard(p);
	enum leak_verdict verdict;

	if (!guard || guard->heads == LEAK_OFF)
		return true;
	verdict = guard_fields(x, p, guard, &x->response.fields, &x->response.reason);
	p->leaked |= verdict == LEAK_VERDICT_BLOCK;
	return verdict == LEAK_VERDICT_GO_ON;
}

/* ---- trailers ---- */

static enum filter_result stop_run(struct flow_filter *filter, struct chunk_queue *in,
				   struct chunk_queue *out, size_t room, bool end)
{
	return FILTER_BROKEN;
}

struct leak_stop {
	struct flow_filter filter;
	struct exchange *x;
};

static void stop_on_broken(struct flow_filter *filter)
{
	exchange_abort(CONTAINER_OF(filter, struct leak_stop, filter)->x, &(struct error){.code = ERROR_LEAK});
}

static void stop_on_off(struct flow_filter *filter)
{
}

static const struct flow_filter_ops stop_ops = {
	.run = stop_run, .on_broken = stop_on_broken, .on_off = stop_on_off};

/* The head is out, and the stream that has read the trailers is at work: the end of the flow is what breaks. */
static void stop_at_end(struct exchange *x)
{
	struct leak_stop *stop = arena_zalloc(&x->arena, 1, sizeof(*stop));

	if (x->response_body.filter || !stop)
		return; /* p->leaked tells the filter that is there; without memory the trailers are empty, and no more */
	stop->x = x;
	flow_filter_start(&x->response_body, &stop->filter, &stop_ops);
}

void leak_guard_trailers(struct exchange *x, struct proxy_exchange *p, struct http_fields *trailers)
{
	const struct leak_guard *guard = leaks_guard(p);
	struct span reason = {0};

	if (!guard || guard->heads == LEAK_OFF)
		return;
	switch (guard_fields(x, p, guard, trailers, &reason)) {
	case LEAK_VERDICT_GO_ON:
		break;
	case LEAK_VERDICT_BLOCK:
		trailers->count = 0;
		p->leaked = true;
		stop_at_end(x);
		break;
	case LEAK_VERDICT_NO_MEMORY:
		trailers->count = 0; /* nothing is said rather than too much */
		break;
	}
}
