/*
 * The rows of one allowance. Read by the config room while a snapshot is built.
 */
#include "account/allowance_settings.h"

#include "core/span.h"

#define DAY UINT64_C(86400000)

enum { NAME_MOST = 64 };

static const char *const bys[] = {"user", "address", "all", NULL};   /* enum allowance_by */
static const char *const periods[] = {"hour", "day", "month", NULL}; /* enum allowance_period */

#define ROW_RATE(field, text, sample)                                                                        \
	{                                                                                                    \
		.key = #field, .kind = SETTING_SIZE, .offset = offsetof(struct allowance_settings, field),   \
		.fallback = "unlimited", .word = "unlimited", .word_value = 0, .min = 1024,                  \
		.max = ALLOWANCE_RATE_MOST, .summary = text, .example = sample,                              \
	}

const struct setting allowance_rows[] = {
	{
		.key = "by",
		.kind = SETTING_CHOICE,
		.offset = offsetof(struct allowance_settings, by),
		.fallback = "user",
		.choices = bys,
		.summary =
			"Who has the allowance each for themselves: every `user` (who has not logged in counts by their address), every "
			"`address` (of IPv6 the first 64 bits), or nobody: then it is one for `all` together.",
		.example = "address",
	},
	{
		.key = "requests",
		.kind = SETTING_COUNT,
		.offset = offsetof(struct allowance_settings, requests),
		.fallback = "unlimited",
		.word = "unlimited",
		.word_value = 0,
		.min = 1,
		.max = 1000000000,
		.summary = "Requests (tunnels count as one) in each `per`. What is more is answered with 429 and Retry-After.",
		.example = "10",
	},
	{
		.key = "per",
		.kind = SETTING_TIME,
		.offset = offsetof(struct allowance_settings, per),
		.fallback = "1s",
		.min = 1,
		.max = DAY,
		.place_offset = offsetof(struct allowance_settings, per_place),
		.summary = "The time in which there may be so many `requests`.",
		.example = "1m",
	},
	{
		.key = "burst",
		.kind = SETTING_COUNT,
		.offset = offsetof(struct allowance_settings, burst),
		.fallback = "auto",
		.word = "auto",
		.word_value = 0,
		.min = 1,
		.max = 1000000000,
		.place_offset = offsetof(struct allowance_settings, burst_place),
		.summary = "Requests that may come at once after a pause. `auto` is as many as `requests`.",
		.example = "20",
	},
	{
		.key = "delay",
		.kind = SETTING_TIME,
		.offset = offsetof(struct allowance_settings, delay),
		.fallback = "off",
		.word = "off",
		.word_value = 0,
		.min = 1,
		.max = 600000,
		.place_offset = offsetof(struct allowance_settings, delay_place),
		.summary = "How long a request that comes too soon may be held back until its time has come; only one that would have to wait for "
			   "longer is refused.",
		.example = "2s",
	},
	ROW_RATE(bandwidth, "Bytes per second, of both directions and all connections together.", "1 MiB"),
	ROW_RATE(upload, "Bytes per second from clients to servers.", "256 KiB"),
	ROW_RATE(download, "Bytes per second from servers to clients.", "2 MiB"),
	{
		.key = "connections",
		.kind = SETTING_COUNT,
		.offset = offsetof(struct allowance_settings, connections),
		.fallback = "unlimited",
		.word = "unlimited",
		.word_value = 0,
		.min = 1,
		.max = 100000000,
		.summary = "Requests and tunnels that may go on at a time. More are answered with 429.",
		.example = "20",
	},
	{
		.key = "quota",
		.kind = SETTING_SIZE,
		.offset = offsetof(struct allowance_settings, quota),
		.fallback = "unlimited",
		.word = "unlimited",
		.word_value = 0,
		.min = 1,
		.summary = "Bytes in each `period`, of both directions together: what the access log shows as `in` and `out`. When they are used up, "
			   "requests are answered with 429, and what is still going on ends.",
		.example = "10 GiB",
	},
	{
		.key = "period",
		.kind = SETTING_CHOICE,
		.offset = offsetof(struct allowance_settings, period),
		.fallback = "day",
		.choices = periods,
		.place_offset = offsetof(struct allowance_settings, period_place),
		.summary = "The time that `quota` is for: an `hour`, `day` or `month` of the calendar, in UTC.",
		.example = "month",
	},
	{.key = NULL},
};

const char *allowance_check_name(const char *text, size_t len)
{
	if (len == 0)
		return "the name of an allowance is empty";
	return len > NAME_MOST ? "the name of an allowance is longer than 64 bytes" : NULL;
}

/* A key that is there for another one, which is not there. */
static void check_needs(struct setting_place place, const char *key, const char *needed, bool there,
			struct diagnostics *diagnostics)
{
	if (place.line && !there)
		diagnostics_error(diagnostics, place, "\"%s\" does nothing without \"%s\"", key, needed);
}

void allowances_check(const struct setting_list *settings, struct diagnostics *diagnostics)
{
	const struct allowance_settings *items = settings->items;

	for (size_t i = 0; i < settings->count; i++) {
		const struct allowance_settings *one = &items[i];

		check_needs(one->per_place, "per", "requests", one->requests, diagnostics);
		check_needs(one->burst_place, "burst", "requests", one->requests, diagnostics);
		check_needs(one->delay_place, "delay", "requests", one->requests, diagnostics);
		check_needs(one->period_place, "period", "quota", one->quota, diagnostics);
		if (!one->requests && !one->bandwidth && !one->upload && !one->download &&
		    !one->connections && !one->quota)
			diagnostics_error(
				diagnostics, one->place,
				"allowance \"%s\" limits nothing: give it \"requests\", \"bandwidth\", \"upload\", \"download\", "
				"\"connections\" or \"quota\"",
				one->name.text);
	}
}

bool allowances_find(const struct setting_list *settings, const struct setting_string *name,
		     struct diagnostics *diagnostics, uint32_t *index)
{
	const struct allowance_settings *items = settings->items;
	const char **names = arena_zalloc(diagnostics->arena, settings->count + 1, sizeof(*names));

	for (size_t i = 0; i < settings->count; i++) {
		if (strcmp(items[i].name.text, name->text) == 0) {
			*index = (uint32_t)i;
			return true;
		}
		if (names)
			names[i] = items[i].name.text;
	}
	const char *near = names ? diagnostics_suggest(name->text, names) : NULL;
	if (near)
		diagnostics_error(diagnostics, name->place,
				  "there is no allowance \"%s\" under \"allowances\"; did you mean \"%s\"?",
				  name->text, near);
	else
		diagnostics_error(diagnostics, name->place,
				  "there is no allowance \"%s\" under \"allowances\"", name->text);
	return false;
}
