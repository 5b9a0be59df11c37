/*
 * The rows of a group that bound what it is asked for: retries, hedging, circuit breakers; and of stickiness. Read by the config room while a
 * snapshot is built.
 */
#include "upstream/settings.h"

#include "http/field.h"

#define DAY UINT64_C(86400000)

const struct setting retry_budget_rows[] = {
	{
		.key = "percent",
		.kind = SETTING_COUNT,
		.offset = offsetof(struct retry_budget_settings, percent),
		.fallback = "20",
		.max = 100,
		.summary = "Retries and hedges for each hundred requests.",
		.example = "10",
	},
	{
		.key = "per_second",
		.kind = SETTING_COUNT,
		.offset = offsetof(struct retry_budget_settings, per_second),
		.fallback = "10",
		.max = 1000000,
		.summary = "And so many each second, of all workers.",
		.example = "5",
	},
	{
		.key = "burst",
		.kind = SETTING_COUNT,
		.offset = offsetof(struct retry_budget_settings, burst),
		.fallback = "100",
		.min = 1,
		.max = 1000000,
		.summary = "How many may be saved up, of all workers.",
		.example = "50",
	},
	{.key = NULL},
};

const struct setting hedge_rows[] = {
	{
		.key = "percentile",
		.kind = SETTING_COUNT,
		.offset = offsetof(struct hedge_settings, percentile),
		.fallback = "off",
		.min = 50,
		.max = 99,
		.word = "off",
		.word_value = 0,
		.summary = "The second try begins when this percentage of the group's requests would have been answered.",
		.example = "95",
	},
	{
		.key = "minimum",
		.kind = SETTING_TIME,
		.offset = offsetof(struct hedge_settings, minimum),
		.fallback = "10ms",
		.min = 1,
		.max = DAY,
		.summary = "But not before this time.",
		.example = "20ms",
	},
	{.key = NULL},
};

const struct setting upstream_limit_rows[] = {
	{
		.key = "connections",
		.kind = SETTING_COUNT,
		.offset = offsetof(struct upstream_limits, connections),
		.fallback = "unlimited",
		.min = 1,
		.max = 10000000,
		.word = "unlimited",
		.word_value = 0,
		.summary = "Connections to the servers of the group. With so many, idle ones to other servers are closed to make room, and "
			   "requests wait for one to become free (`pending`, `timeouts.queue`).",
		.example = "500",
	},
	{
		.key = "requests",
		.kind = SETTING_COUNT,
		.offset = offsetof(struct upstream_limits, requests),
		.fallback = "unlimited",
		.min = 1,
		.max = 10000000,
		.word = "unlimited",
		.word_value = 0,
		.summary = "Requests (connections of `tcp` listeners) that servers are working on.",
		.example = "2000",
	},
	{
		.key = "pending",
		.kind = SETTING_COUNT,
		.offset = offsetof(struct upstream_limits, pending),
		.fallback = "128",
		.max = 1000000,
		.summary = "Requests that wait for a server with room (`max_connections`) or for a connection (`connections`). 0: none waits.",
		.example = "100",
	},
	{
		.key = "retries",
		.kind = SETTING_COUNT,
		.offset = offsetof(struct upstream_limits, retries),
		.fallback = "unlimited",
		.min = 1,
		.max = 1000000,
		.word = "unlimited",
		.word_value = 0,
		.summary = "Retries and hedges that are under way.",
		.example = "20",
	},
	{.key = NULL},
};

/* RFC 6265 4.1.1: a token. */
static const char *check_cookie(const char *text, size_t len)
{
	if (len == 0 || len > 64)
		return "the name of a cookie has 1 to 64 characters";
	return http_is_token(span_make(text, len)) ?
		       NULL :
		       "the name of a cookie has letters, digits and some of !#$%&'*+-.^_`|~";
}

static const char *check_secret(const char *text, size_t len)
{
	return len >= 16 ? NULL : "a secret has at least 16 bytes";
}

const struct setting sticky_rows[] = {
	{
		.key = "cookie",
		.kind = SETTING_TEXT,
		.offset = offsetof(struct sticky_settings, cookie),
		.required = true,
		.check = check_cookie,
		.summary = "The name of the cookie, one for each group. Its value tells a client nothing, and servers do not see it.",
		.example = "lb",
	},
	{
		.key = "secret",
		.kind = SETTING_TEXT,
		.offset = offsetof(struct sticky_settings, secret),
		.file_ok = true,
		.check = check_secret,
		.summary =
			"What cookies are sealed with, at least 16 bytes, or `file:PATH`. Machines that share it understand each "
			"other's cookies. Default: made at start, so that a restart forgets who belongs where.",
		.example = "\"a long secret nobody can guess\"",
	},
	{
		.key = "max_age",
		.kind = SETTING_TIME,
		.offset = offsetof(struct sticky_settings, max_age),
		.fallback = "session",
		.min = 1000,
		.max = 400 * DAY,
		.word = "session",
		.word_value = 0,
		.summary = "How long a browser keeps the cookie.",
		.example = "1d",
	},
	{.key = NULL},
};
