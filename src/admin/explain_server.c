/*
 * Of an explained request that goes on to a group: its servers, which of them would be picked and why, what follows when one fails.
 */
#include "admin/explain_internal.h"
#include "admin/upstreams.h"
#include "route/split.h"
#include "upstream/peek.h"

static const struct upstream_query nobody_tried;

/* ---- split, mirror ---- */

static struct span group_name(const struct admin *admin, uint32_t index)
{
	return explain_text(&fleet_plan(fleet_group_at(admin->fleet, index))->settings->name);
}

static void write_split(struct json *json, const struct admin *admin, const struct explain *explain,
			const struct split *split)
{
	uint32_t before = 0;

	json_open(json, "split", '{');
	json_put_bool(json, "by_lot", explain->by_lot);
	json_open(json, "groups", '[');
	for (uint32_t i = 0; i < split->count; i++) {
		json_open(json, NULL, '{');
		json_put_text(json, "name", group_name(admin, split->shares[i].group));
		json_put_number(json, "weight", split->shares[i].end - before);
		json_close(json, '}');
		before = split->shares[i].end;
	}
	json_close(json, ']');
	json_close(json, '}');
}

static void write_mirror(struct json *json, const struct admin *admin, const struct route *route)
{
	if (!route || !route->mirror_percent) {
		json_put_null(json, "mirror");
		return;
	}
	json_open(json, "mirror", '{');
	json_put_text(json, "name", group_name(admin, route->mirror_group));
	json_put_number(json, "percent", route->mirror_percent);
	json_close(json, '}');
}

/* ---- servers ---- */

/* Why it is not picked, for the first reason that there is; zero: it may be. */
static struct span why_not(const struct explain *explain, const struct upstream_server *server,
			   struct arena *arena)
{
	const struct upstream_group *group = explain->group;
	const struct upstream_tier *tier = &group->view->tiers[server->tier];
	const struct fleet_server *fleet = server->fleet;
	uint64_t now = group->worker->loop.now, ejected = atomic_load(&fleet->ejected_until);

	switch ((enum fleet_order)atomic_load(&fleet->order)) {
	case FLEET_MAINTENANCE:
		return SPAN("in maintenance, by order");
	case FLEET_DRAIN:
		return SPAN("drains, by order");
	case FLEET_READY:
		break;
	}
	if (!tier->entries[server->index].available) {
		if (atomic_load(&fleet->health) == FLEET_DOWN)
			return SPAN("down, as its checks say");
		if (ejected > now)
			return arena_format(arena, "taken out for what was seen of it, for another %llu ms",
					    (unsigned long long)(ejected - now));
	}
	if (explain->pick == UPSTREAM_PICKED && server->tier > explain->tier)
		return arena_format(arena, "those of tier %u come first", explain->tier);
	if (!tier->usable)
		return SPAN("too few of its tier are well");
	if (!upstream_may_pick(server, &nobody_tried))
		return SPAN("has as many requests as it may have");
	return (struct span){0};
}

static void write_server(struct json *json, const struct explain *explain, const struct upstream_server *server)
{
	struct span why = why_not(explain, server, json->arena);
	bool picked = explain->sticky && explain->server == server;

	json_open(json, NULL, '{');
	json_put_text(json, "server", server->fleet->text);
	json_put_number(json, "tier", server->tier);
	json_put_bool(json, "may", picked || why.len == 0);
	if (why.len && !picked)
		json_put_text(json, "why_not", why);
	if (explain->listener->face == PROXY_REVERSE)
		json_put_text(json, "host", explain_host(explain, server->fleet));
	json_close(json, '}');
}

static bool has_written(const struct upstream_view *view, struct span written)
{
	for (unsigned i = 0; i < view->count; i++)
		if (span_equal(view->servers[i]->fleet->written, written))
			return true;
	return false;
}

/* Names that have no addresses here: not looked up, or without an answer. */
static void write_names(struct json *json, const struct upstream_group *group)
{
	const struct upstream_server_settings *servers = group->settings->servers.items;

	json_open(json, "not_looked_up", '[');
	for (size_t i = 0; i < group->settings->servers.count; i++)
		if (!has_written(group->view, explain_text(&servers[i].address)))
			json_put_text(json, NULL, explain_text(&servers[i].address));
	json_close(json, ']');
}

static void write_servers(struct json *json, const struct explain *explain)
{
	const struct upstream_view *view = explain->group->view;

	json_open(json, "servers", '[');
	for (unsigned i = 0; i < view->count; i++)
		write_server(json, explain, view->servers[i]);
	json_close(json, ']');
	write_names(json, explain->group);
}

/* ---- which one ---- */

/* How an algorithm decides among several, where that is nothing that can be told beforehand. */
static const struct {
	const char *balance, *why;
} decides[] = {
	{"round_robin", "in turn, by weight; whose turn it is differs from worker to worker"},
	{"least_conn", "the one with the fewest requests in flight for its weight"},
	{"random", "by lot, by weight"},
	{"p2c", "two are drawn by weight, and the less busy one of them is taken"},
	{"ewma", "two are drawn by weight, and the one that has answered faster, for its load, is taken"},
};

static const char *why_any(const char *balance)
{
	for (size_t i = 0; i < ARRAY_LENGTH(decides); i++)
		if (strcmp(decides[i].balance, balance) == 0)
			return decides[i].why;
	return "by its weight";
}

static void write_why(struct json *json, const struct explain *explain)
{
	const struct upstream_settings *settings = explain->group->settings;
	const char *balance = balance_algorithms[settings->balance]->name;
	struct span key = explain_text(&settings->hash);

	if (explain->pick == UPSTREAM_NONE)
		json_put_text(json, "why", SPAN("no server may be picked: 503, at once"));
	else if (explain->pick == UPSTREAM_FULL)
		json_put_text(json, "why", SPAN("all are busy: it waits for room, or gets 503"));
	else if (explain->sticky)
		json_put_format(json, "why", "the cookie %s says so", settings->sticky.cookie.text);
	else if (explain->keyed && explain->by_key)
		json_put_format(json, "why", "%s of %.*s", balance, SPAN_ARG(key));
	else if (explain->keyed)
		json_put_format(json, "why", "%s of %.*s, which the request does not have: by lot", balance,
				SPAN_ARG(key));
	else if (explain->server)
		json_put_text(json, "why", SPAN("it is the only one that may be picked"));
	else
		json_put_format(json, "why", "%s: %s", balance, why_any(balance));
}

static void write_pick(struct json *json, const struct explain *explain)
{
	static const char *const results[] = {
		[UPSTREAM_PICKED] = "picked", [UPSTREAM_FULL] = "full", [UPSTREAM_NONE] = "none"};

	json_open(json, "pick", '{');
	json_put_text(json, "result", span_of(results[explain->pick]));
	if (explain->server)
		json_put_text(json, "server", explain->server->fleet->text);
	else
		json_put_null(json, "server");
	write_why(json, explain);
	json_close(json, '}');
}

/* ---- and if it fails ---- */

static void write_timeout(struct json *json, const char *key, uint64_t ms)
{
	if (ms)
		json_put_number(json, key, ms);
	else
		json_put_null(json, key);
}

static void write_tries(struct json *json, const struct explain *explain)
{
	const struct upstream_settings *settings = explain->group->settings;
	const struct upstream_timeouts *timeouts = &explain->group->plan->timeouts;
	bool raw = explain->listener->face == PROXY_TCP;

	json_open(json, "tries", '{');
	json_put_number(json, "retries", settings->retries);
	/* RFC 9110 9.2.2; others are tried again only if it is sure that no server has seen them. */
	json_put_bool(json, "idempotent",
		      !raw && http_method_is_idempotent((enum http_method)explain->before.method));
	json_open(json, "retry_on", '[');
	for (size_t i = 0; i < settings->retry_on.count; i++)
		json_put_text(json, NULL, explain_text(&settings->retry_on.items[i]));
	json_close(json, ']');
	if (settings->hedge.percentile)
		json_put_number(json, "hedge_percentile", settings->hedge.percentile);
	else
		json_put_null(json, "hedge_percentile");
	json_open(json, "timeouts_ms", '{');
	write_timeout(json, "queue", timeouts->queue);
	write_timeout(json, "connect", timeouts->connect);
	write_timeout(json, "try", timeouts->try_);
	write_timeout(json, "response", timeouts->response);
	json_close(json, '}');
	json_close(json, '}');
}

void explain_write_servers(struct json *json, const struct admin *admin, const struct explain *explain)
{
	const struct split *split = explain->tcp_route ? explain->tcp_route->split :
							 explain->match.route->split;

	if (split)
		write_split(json, admin, explain, split);
	else
		json_put_null(json, "split");
	write_mirror(json, admin, explain->match.route);
	upstreams_write_group(json, "group", explain->group->fleet, explain->worker->loop.now);
	write_servers(json, explain);
	write_pick(json, explain);
	write_tries(json, explain);
}
