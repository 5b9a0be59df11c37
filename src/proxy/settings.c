/*
 * The rows of `log`. Read by the config room while a snapshot is built.
 */
#include "proxy/settings.h"

#include "core/span.h"

static const char *const formats[] = {"json", "combined", NULL};
static const char *const levels[] = {"error", "warning", "info", "debug", NULL};
static const char *const addresses[] = {"auto", "full", "truncated", "hash", "none", NULL};
static const char *const queries[] = {"auto", "full", "redacted", NULL};

/* Something without a slash is rather a misspelt word than a file beside wherever Guise was started. */
static const char *check_output(const char *text, size_t len)
{
	struct span all = span_make(text, len);

	if (span_equal(all, SPAN("stdout")) || span_equal(all, SPAN("stderr")) || span_equal(all, SPAN("off")))
		return NULL;
	if (span_find(all, '/') < 0 && span_find(all, '.') < 0)
		return "expected stdout, stderr, off or the path of a file, as in /var/log/guise/access.log or ./access.log";
	return NULL;
}

const struct setting log_rows[] = {
	{
		.key = "access",
		.kind = SETTING_TEXT,
		.offset = offsetof(struct log_settings, access),
		.fallback = "stdout",
		.check = check_output,
		.summary = "Where one line for each exchange goes: `stdout`, `stderr`, `off` or the path of a file, "
			   "to which is appended.",
		.example = "/var/log/guise/access.log",
	},
	{
		.key = "error",
		.kind = SETTING_TEXT,
		.offset = offsetof(struct log_settings, error),
		.fallback = "stderr",
		.check = check_output,
		.summary = "Where everything else goes: `stdout`, `stderr`, `off` or the path of a file.",
		.example = "/var/log/guise/error.log",
	},
	{
		.key = "format",
		.kind = SETTING_CHOICE,
		.offset = offsetof(struct log_settings, format),
		.fallback = "json",
		.choices = formats,
		.summary = "The access log's lines: `json`, an object each, or `combined`, as Apache and nginx write them.",
		.example = "combined",
	},
	{
		.key = "level",
		.kind = SETTING_CHOICE,
		.offset = offsetof(struct log_settings, level),
		.fallback = "info",
		.choices = levels,
		.summary = "The least important messages that the error log shows.",
		.example = "warning",
	},
	{
		.key = "addresses",
		.kind = SETTING_CHOICE,
		.offset = offsetof(struct log_settings, addresses),
		.fallback = "auto",
		.choices = addresses,
		.summary = "How clients' addresses are logged, wherever they are: `full`, `truncated` (the first 24 bits of IPv4, 48 of IPv6), "
			   "`hash` (16 digits that stand for a client until the key changes; all of an IPv6 /64 is one), `none`, or `auto`: "
			   "truncated on forward listeners, full on others ([logs.md](logs.md)).",
		.example = "truncated",
	},
	{
		.key = "hash_rotation",
		.kind = SETTING_TIME,
		.offset = offsetof(struct log_settings, hash_rotation),
		.fallback = "1d",
		.min = 1000,
		.max = UINT64_C(366) * 24 * 3600 * 1000,
		.summary = "How long one key of `addresses: hash` is in use, from the start on; then it is forgotten, and every client "
			   "has another hash.",
		.example = "1h",
	},
	{
		.key = "queries",
		.kind = SETTING_CHOICE,
		.offset = offsetof(struct log_settings, queries),
		.fallback = "auto",
		.choices = queries,
		.summary = "What logs say of the query of a target or of a Referer: `redacted`, that there was one (`?*`), or `full`. "
			   "`auto` is `redacted`.",
		.example = "full",
	},
	{.key = NULL},
};
