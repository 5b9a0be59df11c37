/*
 * From the settings of upstream groups to plans. See upstreams.h.
 */
#include "config/upstreams.h"

/* The group's timeouts with the global ones where it has none of its own. */
static struct upstream_timeouts plan_timeouts(const struct timeouts_settings *global,
					      const struct upstream_timeouts *own)
{
	return (struct upstream_timeouts){
		.connect = own->connect ? own->connect : global->connect,
		.handshake = own->handshake ? own->handshake : global->handshake,
		.response = own->response ? own->response : global->response,
		.pool = own->pool ? own->pool : global->pool,
	};
}

bool upstreams_plan(struct snapshot *snapshot)
{
	const struct settings *settings = &snapshot->settings;
	size_t count = settings->upstreams.count;
	struct upstream_plan *plans = arena_zalloc(&snapshot->arena, count + 1, sizeof(*plans));

	if (!plans)
		return false;
	snapshot->upstreams = settings->upstreams.items;
	snapshot->upstream_count = count;
	snapshot->plans = plans;
	for (size_t i = 0; i < count; i++)
		plans[i] = (struct upstream_plan){
			.settings = &snapshot->upstreams[i],
			.limits = &settings->limits,
			.timeouts = plan_timeouts(&settings->timeouts, &snapshot->upstreams[i].timeouts),
		};
	return true;
}
