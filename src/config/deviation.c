/*
 * The deliberate deviations that depend on the configuration.
 */
#include "config/deviation.h"

static bool elite(const struct snapshot_listener *listener)
{
	return listener->face == SNAPSHOT_FORWARD && forward_mask_kind(listener->mask) == FORWARD_ELITE;
}

static bool cuts_referer(const struct snapshot_listener *listener)
{
	return listener->face == SNAPSHOT_FORWARD && forward_mask_cuts_referer(listener->mask);
}

static bool reverse(const struct snapshot_listener *listener)
{
	return listener->face == SNAPSHOT_REVERSE;
}

const struct deviation deviations[] = {
	{"RFC 9110 7.6.3", "an elite forward proxy sends no Via", "mask: anonymous", elite},
	{"RFC 9110 10.1.3", "Referer is cut or dropped", "referer: full", cuts_referer},
	{"RFC 9110 9.3.8", "a reverse listener answers TRACE with 405", NULL, reverse},
	{NULL, NULL, NULL, NULL},
};

bool deviation_in_force(const struct deviation *deviation, const struct snapshot *snapshot)
{
	for (size_t i = 0; i < snapshot->listener_count; i++)
		if (deviation->applies(&snapshot->listeners[i]))
			return true;
	return false;
}
