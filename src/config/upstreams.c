/*
 * From the settings of upstream groups to plans. See upstreams.h.
 */
#include "config/upstreams.h"

#include "config/servers.h"
#include "config/servers_tls.h"
#include "net/proxy_protocol.h"

/* Reading the files of one group. */
struct reading {
	struct upstream_plan *plan;
	const char *base;
	struct arena *arena;
	struct diagnostics *diagnostics;
};

/* ---- a group ---- */

/* The file is looked at before it is read, so that a change in between is seen as one. */
static void plan_servers(struct reading *reading)
{
	struct upstream_plan *plan = reading->plan;
	uint64_t node;

	servers_check(plan->settings, &plan->settings->servers, reading->diagnostics);
	if (plan->settings->file.len == 0)
		return;
	plan->file_signature = servers_signature(plan, &node);
	if (!servers_read(plan, reading->arena, reading->diagnostics, &plan->file_servers))
		plan->file_servers.count = 0;
}

static void check_protocols(const struct upstream_settings *settings, struct diagnostics *diagnostics)
{
	if (settings->http == UPSTREAM_HTTP_2 && settings->proxy_protocol != PROXY_PROTOCOL_OFF)
		diagnostics_error(
			diagnostics, settings->proxy_protocol_place,
			"\"proxy_protocol\" does not go with \"http: 2\": a connection of HTTP/2 is for many "
			"clients, and the header names one");
}

/* The group's timeouts with the global ones where it has none of its own. */
static struct upstream_timeouts plan_timeouts(const struct timeouts_settings *global,
					      const struct upstream_timeouts *own)
{
	return (struct upstream_timeouts){
		.connect = own->connect ? own->connect : global->connect,
		.handshake = own->handshake ? own->handshake : global->handshake,
		.response = own->response ? own->response : global->response,
		.pool = own->pool ? own->pool : global->pool,
		.try_ = own->try_,
		.queue = own->queue,
	};
}

static void check_sticky(const struct sticky_settings *sticky, struct diagnostics *diagnostics)
{
	if (sticky->cookie.len && !sticky->secret.len)
		diagnostics_warning(
			diagnostics, sticky->cookie.place,
			"after a restart clients may go to other servers: cookies are sealed with a secret made at start "
			"(\"secret\" gives one that stays)");
}

/* What was checked when it was read. */
static void plan_hand_over(struct upstream_plan *plan)
{
	const struct upstream_settings *settings = plan->settings;

	if (!request_key_parse(span_make(settings->hash.text, settings->hash.len), &plan->hash))
		plan->hash = (struct request_key){.kind = REQUEST_KEY_CLIENT};
	status_set_from(&plan->retry_on, &settings->retry_on);
	status_set_from(&plan->well, &settings->health.status);
	if (settings->health.status.count == 0)
		status_set_add(&plan->well, SPAN("200-399"));
}

bool upstreams_plan(struct snapshot *snapshot, const char *base, struct diagnostics *diagnostics)
{
	const struct settings *settings = &snapshot->settings;
	size_t count = settings->upstreams.count;
	struct upstream_plan *plans = arena_zalloc(&snapshot->arena, count + 1, sizeof(*plans));

	if (!plans)
		return false;
	snapshot->upstreams = settings->upstreams.items;
	snapshot->upstream_count = count;
	snapshot->plans = plans;
	struct tls_files files = {snapshot, base, diagnostics};
	for (size_t i = 0; i < count; i++) {
		struct reading reading = {&plans[i], base, &snapshot->arena, diagnostics};
		plans[i] = (struct upstream_plan){
			.settings = &snapshot->upstreams[i],
			.limits = &settings->limits,
			.timeouts = plan_timeouts(&settings->timeouts, &snapshot->upstreams[i].timeouts),
			.base = base,
		};
		plan_hand_over(&plans[i]);
		if (plans[i].settings->tls.place.line)
			servers_tls_read(&files, &plans[i].settings->tls, &plans[i].trust,
					 &plans[i].certificate, &plans[i].key);
		plan_servers(&reading);
		check_protocols(&snapshot->upstreams[i], diagnostics);
		check_sticky(&snapshot->upstreams[i].sticky, diagnostics);
	}
	return true;
}

void upstreams_release(struct snapshot *snapshot)
{
	for (size_t i = 0; snapshot->plans && i < snapshot->upstream_count; i++) {
		servers_tls_release(snapshot->plans[i].trust, snapshot->plans[i].certificate,
				    snapshot->plans[i].key);
	}
}
