/*
 * How often allowances have had to say no, for the error log. Main thread.
 */
#include "account/allowance.h"
#include "server/server_internal.h"

#include <inttypes.h>

bool allowances_prepare(struct server *server)
{
	const struct setting_list *settings = &server->snapshot->settings.allowances;

	server->allowances = allowances_new(&server->memory, settings, NULL);
	server->allowances_said =
		arena_zalloc(&server->arena, settings->count + 1, sizeof(*server->allowances_said));
	return server->allowances && server->allowances_said;
}

bool allowances_watched(const struct server *server)
{
	return server->snapshot->settings.allowances.count > 0;
}

static uint64_t noes(const struct allowance_counts *counts)
{
	uint64_t sum = counts->delayed + counts->throttled + counts->dropped;

	for (unsigned i = ALLOWANCE_GRANTED + 1; i < ALLOWANCE_ANSWERS; i++)
		sum += counts->refused[i];
	return sum;
}

static void say(struct server *server, struct allowance *allowance, struct allowance_counts *said)
{
	struct allowance_counts now = allowance_counts(allowance);

	if (noes(&now) != noes(said))
		log_say(server->ring, LOG_INFO,
			"allowance %s: since it was last told of, refused %" PRIu64 " for requests, %" PRIu64
			" for connections, %" PRIu64 " for quota; held back %" PRIu64 " requests, %" PRIu64
			" portions; dropped %" PRIu64 " datagrams; granted %" PRIu64 "; %" PRIu64 " known",
			allowance_name(allowance),
			now.refused[ALLOWANCE_REQUESTS] - said->refused[ALLOWANCE_REQUESTS],
			now.refused[ALLOWANCE_CONNECTIONS] - said->refused[ALLOWANCE_CONNECTIONS],
			now.refused[ALLOWANCE_QUOTA] - said->refused[ALLOWANCE_QUOTA],
			now.delayed - said->delayed, now.throttled - said->throttled,
			now.dropped - said->dropped, now.granted - said->granted, now.entries);
	*said = now;
}

void allowances_say(struct server *server)
{
	for (uint32_t i = 0; i < server->snapshot->settings.allowances.count; i++)
		say(server, allowances_at(server->allowances, i), &server->allowances_said[i]);
}
