/*
 * The rows of `parents`. What they say is put together in parent_plan.c.
 */
#include "upstream/parent_settings.h"

#include "upstream/settings.h"

const char *parent_check_name(const char *text, size_t len)
{
	if (len == 0 || len > 64)
		return "the name of a parent has 1 to 64 bytes";
	if (span_equal(span_make(text, len), SPAN("direct")))
		return "\"direct\" is what rules call no parent at all";
	for (size_t i = 0; i < len; i++)
		if ((uint8_t)text[i] <= ' ' || (uint8_t)text[i] >= 0x7f)
			return "the name of a parent has neither spaces nor bytes beyond ASCII";
	return NULL;
}

static const char *check_credential(const char *text, size_t len)
{
	if (len == 0 || len > 255)
		return "what proves to a parent who we are has 1 to 255 bytes";
	return NULL;
}

static const char *check_target(const char *text, size_t len)
{
	const char *why = upstream_check_address(text, len);

	if (!why && (span_starts_with(span_make(text, len), SPAN("unix:")) ||
		     span_starts_with(span_make(text, len), SPAN("srv:"))))
		why = "the target of a check is HOST:PORT";
	return why;
}

static const struct setting parent_health_rows[] = {
	{
		.key = "interval",
		.kind = SETTING_TIME,
		.offset = offsetof(struct parent_health_settings, interval),
		.fallback = "10s",
		.min = 10,
		.max = UINT64_C(86400000),
		.summary = "From one check of a server to the next.",
		.example = "5s",
	},
	{
		.key = "timeout",
		.kind = SETTING_TIME,
		.offset = offsetof(struct parent_health_settings, timeout),
		.fallback = "5s",
		.min = 10,
		.max = UINT64_C(86400000),
		.summary = "How long each step of a check may take: to connect, to greet, to reach the target.",
		.example = "2s",
	},
	{
		.key = "target",
		.kind = SETTING_TEXT,
		.offset = offsetof(struct parent_health_settings, target),
		.check = check_target,
		.summary = "Where the server must be able to connect to, `HOST:PORT`. Without it a check ends when the server is connected to and "
			   "has shaken hands: TLS with `https`, the login with `socks5`.",
		.example = "\"origin.example:443\"",
	},
	{.key = NULL},
};

const struct setting parent_rows[] = {
	{
		.key = "servers",
		.kind = SETTING_STRINGS,
		.offset = offsetof(struct parent_settings, servers),
		.required = true,
		.summary = "URLs of proxies that do the same, tried in this order: `http://`, `https://` (TLS to the proxy), `socks4a://` or "
			   "`socks5://`, then `HOST:PORT` and, before it, maybe `USER:PASSWORD@`.",
		.example = "[\"https://a.proxy:3128\", \"https://b.proxy:3128\"]",
	},
	{
		.key = "via",
		.kind = SETTING_TEXT,
		.offset = offsetof(struct parent_settings, via),
		.summary = "The parent through which these servers are reached: several in a row, at most four.",
		.example = "tor",
	},
	{
		.key = "user",
		.kind = SETTING_TEXT,
		.offset = offsetof(struct parent_settings, user),
		.check = check_credential,
		.file_ok = true,
		.summary = "As whom to log in at the servers whose URL does not say it. To `socks4a` it is the user id.",
		.example = "guise",
	},
	{
		.key = "password",
		.kind = SETTING_TEXT,
		.offset = offsetof(struct parent_settings, password),
		.check = check_credential,
		.file_ok = true,
		.summary = "The password that goes with `user`. A line end behind it is no part of it.",
		.example = "secret",
	},
	{
		.key = "health",
		.kind = SETTING_STRUCT,
		.offset = offsetof(struct parent_settings, health),
		.place_offset = offsetof(struct parent_settings, health) +
				offsetof(struct parent_health_settings, place),
		.rows = parent_health_rows,
		.summary = "Checks of each server, made once for the whole process; `{}` is enough.",
		.example = "{interval: 5s, timeout: 2s, target: \"origin.example:443\"}",
	},
	{
		.key = "tls",
		.kind = SETTING_STRUCT,
		.offset = offsetof(struct parent_settings, tls),
		.place_offset =
			offsetof(struct parent_settings, tls) + offsetof(struct tls_upstream_settings, place),
		.rows = tls_upstream_rows,
		.summary = "TLS with servers of kind `https`. Without it their certificates must be good for the host in the URL, by the system's "
			   "store.",
		.example = "{ca: ca.pem, name: proxy.internal}",
	},
	{.key = NULL},
};
