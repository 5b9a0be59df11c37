/*
 * See upstreams.h; and the resources that show it.
 */
#include "admin/upstreams.h"

#include "admin/admin_internal.h"
#include "balance/balance.h"
#include "upstream/orders.h"

static const char *health_name(unsigned health)
{
	switch ((enum fleet_health)health) {
	case FLEET_UNCHECKED:
		return "unchecked";
	case FLEET_UP:
		return "up";
	case FLEET_DOWN:
		break;
	}
	return "down";
}

static void write_sums(struct json *json, const struct fleet_sums *sums)
{
	json_put_number(json, "in_flight", sums->running);
	json_put_number(json, "requests", sums->requests);
	json_put_number(json, "answers", sums->answers);
	json_put_number(json, "errors", sums->errors);
	json_put_number(json, "failures", sums->failures);
	if (sums->answers)
		json_put_number(json, "mean_latency_us", sums->latency_us / sums->answers);
	else
		json_put_null(json, "mean_latency_us");
}

static void write_server(struct json *json, const char *key, const struct roster_member *member,
			 unsigned tier, unsigned workers, uint64_t now)
{
	const struct fleet_server *server = member->server;
	uint64_t ejected = atomic_load_explicit(&server->ejected_until, memory_order_relaxed);
	struct fleet_sums sums = fleet_server_sums(server, workers);
	char address[ADDRESS_TEXT];

	json_open(json, key, '{');
	json_put_text(json, "server", server->text);
	json_put_text(json, "written", server->written);
	if (server->address.family == ADDRESS_NONE)
		json_put_null(json, "address"); /* looked up at each connect */
	else
		json_put_text(json, "address", span_make(address, address_format(&server->address, address)));
	json_put_number(json, "tier", tier);
	json_put_number(json, "weight", roster_weight(member));
	json_put_number(json, "configured_weight", member->weight);
	if (server->most)
		json_put_number(json, "max_connections", server->most);
	else
		json_put_null(json, "max_connections");
	json_put_text(json, "state", span_of(fleet_order_name((enum fleet_order)atomic_load(&server->order))));
	json_put_text(json, "health", span_of(health_name(atomic_load(&server->health))));
	json_put_number(json, "ejected_ms", ejected > now ? ejected - now : 0);
	json_put_bool(json, "well", fleet_server_is_well(server, now));
	write_sums(json, &sums);
	json_close(json, '}');
}

/* All of them, or the one of that text; how many. */
static unsigned write_servers(struct json *json, const char *key, struct fleet_group *group,
			      const struct span *text, uint64_t now)
{
	struct roster *roster = fleet_roster(group);
	unsigned tier = 0, written = 0;

	for (unsigned i = 0; i < roster->count; i++) {
		const struct roster_member *member = &roster->members[i];
		tier += i > 0 && member->tier != roster->members[i - 1].tier;
		if (text && (written || !span_equal(member->server->text, *text)))
			continue;
		write_server(json, key, member, tier, fleet_group_workers(group), now);
		written++;
	}
	roster_release(roster);
	return written;
}

static void write_gauges(struct json *json, const struct fleet_group *group)
{
	static const char *const names[] = {
		[FLEET_CONNECTIONS] = "connections",
		[FLEET_REQUESTS] = "requests",
		[FLEET_PENDING] = "pending",
		[FLEET_RETRIES] = "retries",
	};

	json_open(json, "limits", '{');
	for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
		unsigned now, most;
		if (!fleet_gauge_read(group, (enum fleet_gauge)i, &now, &most)) {
			json_put_null(json, names[i]); /* without a limit, it is not counted */
			continue;
		}
		json_open(json, names[i], '{');
		json_put_number(json, "now", now);
		json_put_number(json, "most", most);
		json_close(json, '}');
	}
	json_close(json, '}');
}

static struct span text_of(const struct setting_string *text)
{
	return span_make(text->text, text->len);
}

void upstreams_write_group(struct json *json, const char *key, struct fleet_group *group, uint64_t now)
{
	const struct upstream_settings *settings = fleet_plan(group)->settings;
	const struct balance_ops *balance = balance_algorithms[settings->balance];

	json_open(json, key, '{');
	json_put_text(json, "name", text_of(&settings->name));
	json_put_text(json, "balance", span_of(balance->name));
	if (balance->keyed)
		json_put_text(json, "hash", text_of(&settings->hash));
	json_open(json, "servers", '[');
	(void)write_servers(json, NULL, group, NULL, now);
	json_close(json, ']');
	write_gauges(json, group);
	json_close(json, '}');
}

bool upstreams_write_server(struct json *json, const char *key, struct fleet_group *group, struct span text,
			    uint64_t now)
{
	return write_servers(json, key, group, &text, now) > 0;
}

/* ---- resources ---- */

void admin_upstreams_get(struct admin_call *call)
{
	struct fleet *fleet = call->admin->fleet;
	struct json json;

	json_start(&json, &call->x->arena);
	json_open(&json, NULL, '{');
	json_open(&json, "upstreams", '[');
	for (size_t i = 0; i < fleet_count(fleet); i++)
		upstreams_write_group(&json, NULL, fleet_group_at(fleet, i), call->x->worker->loop.now);
	json_close(&json, ']');
	json_close(&json, '}');
	admin_reply(call, &json);
}

void admin_upstream_get(struct admin_call *call)
{
	struct fleet_group *group = admin_group(call, call->part[0]);
	struct json json;

	if (!group)
		return;
	json_start(&json, &call->x->arena);
	upstreams_write_group(&json, NULL, group, call->x->worker->loop.now);
	admin_reply(call, &json);
}

void admin_server_get(struct admin_call *call)
{
	struct fleet_group *group = admin_group(call, call->part[0]);
	struct json json;

	if (!group)
		return;
	json_start(&json, &call->x->arena);
	if (upstreams_write_server(&json, NULL, group, call->part[1], call->x->worker->loop.now))
		admin_reply(call, &json);
	else
		admin_refuse(call, 404, NULL, "the upstream \"%.*s\" has no server \"%.*s\" now",
			     SPAN_ARG(call->part[0]), SPAN_ARG(call->part[1]));
}
