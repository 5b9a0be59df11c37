/*
 * The audit of a configuration from its beginning to its end. See config.h.
 */
#include "audit/config_internal.h"

static void audit_listeners(struct stage *stage)
{
	const struct snapshot *snapshot = stage->snapshot;

	for (size_t i = 0; i < snapshot->listener_count; i++)
		if (snapshot->listeners[i].face == SNAPSHOT_REVERSE)
			stage_audit_reverse(stage, &snapshot->listeners[i]);
	/* Ports that servers had are the origins' now. */
	stage_end_servers(stage);
	for (size_t i = 0; i < snapshot->listener_count; i++)
		if (snapshot->listeners[i].face == SNAPSHOT_FORWARD)
			stage_audit_forward(stage, &snapshot->listeners[i]);
}

bool config_audit_run(const struct config_audit_options *options, struct arena *arena,
		      struct config_audit *audit)
{
	struct stage *stage = arena_zalloc(arena, 1, sizeof(*stage));

	*audit = (struct config_audit){.why = "out of memory"};
	if (!stage)
		return false;
	audit->why = NULL;
	stage->options = options;
	stage->audit = audit;
	stage->arena = arena;
	stage->snapshot = options->snapshot;
	if (stage_begin(stage) && stage->snapshot->listener_count > 0)
		audit_listeners(stage);
	stage_end(stage);
	if (!audit->why && audit->count == 0)
		audit->why = "the configuration has no listener of the forward or the reverse face";
	return !audit->why;
}
