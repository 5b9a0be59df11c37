/*
 * Another authority for all that is verified. See believe.h. Main thread.
 */
#include "config/believe.h"

static bool believe(struct tls_trust *trust, struct span pem, const char **why)
{
	return !trust || tls_trust_add(trust, pem, why);
}

/* A store that several things share gets it several times, which changes nothing. */
bool snapshot_believe(struct snapshot *snapshot, struct span pem, const char **why)
{
	bool done = believe(snapshot->system_trust, pem, why) && believe(snapshot->later_trust, pem, why);

	for (size_t i = 0; i < snapshot->upstream_count && done; i++)
		done = believe(snapshot->plans[i].trust, pem, why);
	for (uint32_t i = 0; i < snapshot->parents.count && done; i++)
		done = believe(snapshot->parents.items[i].trust, pem, why);
	for (size_t i = 0; i < snapshot->listener_count && done; i++)
		done = believe(snapshot->listeners[i].trust, pem, why);
	return done;
}
