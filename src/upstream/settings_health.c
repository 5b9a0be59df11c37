/*
 * The rows of `health` and `outliers` of a group. Read by the config room while a snapshot is built.
 */
#include "upstream/settings.h"

#include "http/status_set.h"

#define DAY UINT64_C(86400000)

static const char *const kinds[] = {"http", "tcp", "tls", NULL}; /* enum health_kind */

static const char *check_path(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (text[i] <= ' ' || text[i] > '~' || text[i] == '#')
			return "a path has visible ASCII characters only; others are percent-encoded";
	return len > 0 && text[0] == '/' ? NULL : "a path begins with /";
}

static const char *check_host(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (text[i] <= ' ' || text[i] > '~' || text[i] == '/' || text[i] == '@')
			return "a Host field has a name or an address, and maybe a port";
	return len > 0 ? NULL : "a Host field is not empty";
}

const struct setting health_rows[] = {
	{
		.key = "kind",
		.kind = SETTING_CHOICE,
		.offset = offsetof(struct health_settings, kind),
		.fallback = "http",
		.choices = kinds,
		.summary = "`http`: a GET must be answered as it should be, in the HTTP and over the TLS that the group has. `tcp`: a "
			   "connection must come about. `tls`: and a TLS handshake.",
		.example = "tcp",
	},
	{
		.key = "path",
		.kind = SETTING_TEXT,
		.offset = offsetof(struct health_settings, path),
		.fallback = "/",
		.check = check_path,
		.summary = "What is asked for.",
		.example = "/healthz",
	},
	{
		.key = "host",
		.kind = SETTING_TEXT,
		.offset = offsetof(struct health_settings, host),
		.check = check_host,
		.summary = "The Host field. Default: the server's `address`.",
		.example = "api.example",
	},
	{
		.key = "status",
		.kind = SETTING_STRINGS,
		.offset = offsetof(struct health_settings, status),
		.check = status_set_check,
		.summary = "Statuses of a server that is well: `200`, `2xx`, `200-399`. Default: 200 to 399.",
		.example = "[200, 204]",
	},
	{
		.key = "body",
		.kind = SETTING_TEXT,
		.offset = offsetof(struct health_settings, body),
		.summary = "What the content must hold somewhere in its first 64 KiB.",
		.example = "ready",
	},
	{
		.key = "port",
		.kind = SETTING_COUNT,
		.offset = offsetof(struct health_settings, port),
		.min = 1,
		.max = 65535,
		.summary = "The port that is checked, if it is not the one that serves.",
		.example = "8081",
	},
	{
		.key = "interval",
		.kind = SETTING_TIME,
		.offset = offsetof(struct health_settings, interval),
		.fallback = "5s",
		.min = 10,
		.max = DAY,
		.summary = "From one check of a server to the next.",
		.example = "2s",
	},
	{
		.key = "timeout",
		.kind = SETTING_TIME,
		.offset = offsetof(struct health_settings, timeout),
		.fallback = "2s",
		.min = 1,
		.max = DAY,
		.summary = "How long a check may take, everything included.",
		.example = "1s",
	},
	{
		.key = "jitter",
		.kind = SETTING_COUNT,
		.offset = offsetof(struct health_settings, jitter),
		.fallback = "10",
		.max = 100,
		.summary = "Intervals are shorter by up to this percentage, by chance, so that checks do not all come at once.",
		.example = "20",
	},
	{
		.key = "rise",
		.kind = SETTING_COUNT,
		.offset = offsetof(struct health_settings, rise),
		.fallback = "2",
		.min = 1,
		.max = 1000,
		.summary = "Checks in a row that bring a server back.",
		.example = "3",
	},
	{
		.key = "fall",
		.kind = SETTING_COUNT,
		.offset = offsetof(struct health_settings, fall),
		.fallback = "3",
		.min = 1,
		.max = 1000,
		.summary = "Checks in a row that must fail before a server is left out.",
		.example = "2",
	},
	{.key = NULL},
};

const struct setting outlier_rows[] = {
	{
		.key = "connects",
		.kind = SETTING_COUNT,
		.offset = offsetof(struct outlier_settings, connects),
		.fallback = "3",
		.min = 1,
		.max = 1000000,
		.word = "off",
		.word_value = 0,
		.summary = "Failures to connect, in a row, after which a server is left out.",
		.example = "2",
	},
	{
		.key = "failures",
		.kind = SETTING_COUNT,
		.offset = offsetof(struct outlier_settings, failures),
		.fallback = "5",
		.min = 1,
		.max = 1000000,
		.word = "off",
		.word_value = 0,
		.summary = "Requests in a row that were not answered (not connected, broken, too late, malformed), or with a status of "
			   "`retry_on`.",
		.example = "10",
	},
	{
		.key = "errors",
		.kind = SETTING_COUNT,
		.offset = offsetof(struct outlier_settings, errors),
		.fallback = "off",
		.min = 1,
		.max = 1000000,
		.word = "off",
		.word_value = 0,
		.summary = "Answers in a row with a status from 500 to 599.",
		.example = "5",
	},
	{
		.key = "error_rate",
		.kind = SETTING_COUNT,
		.offset = offsetof(struct outlier_settings, error_rate),
		.fallback = "off",
		.min = 1,
		.max = 100,
		.word = "off",
		.word_value = 0,
		.summary = "Failures and errors among a server's requests in an interval, in percentage points above the other servers'.",
		.example = "30",
	},
	{
		.key = "latency",
		.kind = SETTING_COUNT,
		.offset = offsetof(struct outlier_settings, latency),
		.fallback = "off",
		.min = 101,
		.max = 100000,
		.word = "off",
		.word_value = 0,
		.summary = "A server's mean time to answer in an interval, as a percentage of the other servers'.",
		.example = "500",
	},
	{
		.key = "requests",
		.kind = SETTING_COUNT,
		.offset = offsetof(struct outlier_settings, requests),
		.fallback = "20",
		.min = 1,
		.max = 1000000,
		.summary = "Requests of a server in an interval, at least, for `error_rate` and `latency`.",
		.example = "50",
	},
	{
		.key = "interval",
		.kind = SETTING_TIME,
		.offset = offsetof(struct outlier_settings, interval),
		.fallback = "10s",
		.min = 100,
		.max = DAY,
		.summary = "How often `error_rate` and `latency` are looked at.",
		.example = "5s",
	},
	{
		.key = "eject",
		.kind = SETTING_TIME,
		.offset = offsetof(struct outlier_settings, eject),
		.fallback = "10s",
		.min = 1,
		.max = DAY,
		.summary = "How long a server is left out the first time; the second time in a row twice as long, and so on.",
		.example = "30s",
	},
	{
		.key = "eject_most",
		.kind = SETTING_TIME,
		.offset = offsetof(struct outlier_settings, eject_most),
		.fallback = "5m",
		.min = 1,
		.max = DAY,
		.summary = "And no longer than this.",
		.example = "1h",
	},
	{
		.key = "share",
		.kind = SETTING_COUNT,
		.offset = offsetof(struct outlier_settings, share),
		.fallback = "50",
		.max = 100,
		.summary = "The percentage of a group's servers that may be left out at a time for what was seen of them. A server alone never is.",
		.example = "30",
	},
	{.key = NULL},
};
