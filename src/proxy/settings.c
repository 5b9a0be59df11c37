/*
 * The rows of `log`. Read by the config room while a snapshot is built.
 */
#include "proxy/settings.h"

#include "core/span.h"

static const char *const formats[] = {"json", "combined", NULL};
static const char *const levels[] = {"error", "warning", "info", "debug", NULL};
static const char *const addresses[] = {"auto", "full", "truncated", "none", NULL};

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
		.summary = "How clients' addresses are logged: `full`, `truncated` (the first 24 bits of IPv4, 48 of IPv6), `none`, "
			   "or `auto`: truncated on forward listeners, full on reverse listeners.",
		.example = "truncated",
	},
	{.key = NULL},
};
