/*
 * The rows of the masks of forward listeners. Immutable.
 */
#include "mask/name_set.h"
#include "mask/settings.h"

static const char *const kinds[] = {"transparent", "anonymous", "elite", NULL};
static const char *const unknowns[] = {"pass", "allowlist", NULL};
static const char *const referers[] = {"full", "origin", "same_origin", "none", NULL};

static const char *check_value(const char *text, size_t len)
{
	struct span value = span_make(text, len);

	if (span_trim(value).len == 0)
		return "a field without a value is none; \"drop\" names fields that are not sent";
	return http_is_field_value(value) ? NULL : "no control bytes can stand in a field";
}

const struct setting forward_mask_rows[] = {
	{
		.key = "kind",
		.kind = SETTING_CHOICE,
		.offset = offsetof(struct forward_mask_settings, kind),
		.fallback = "elite",
		.choices = kinds,
		.summary = "What servers learn: `transparent` who asks (Via, X-Forwarded-For, Forwarded), `anonymous` that there is a proxy "
			   "(Via) and not for whom, `elite` neither.",
		.example = "anonymous",
	},
	{
		.key = "unknown",
		.kind = SETTING_CHOICE,
		.offset = offsetof(struct forward_mask_settings, unknown),
		.fallback = "pass",
		.choices = unknowns,
		.summary = "Fields of requests that no list knows: `pass`, or `allowlist`, which lets through only what browsers and other usual "
			   "programs send, and what `keep` names.",
		.example = "allowlist",
	},
	{
		.key = "keep",
		.kind = SETTING_STRINGS,
		.offset = offsetof(struct forward_mask_settings, keep),
		.check = name_set_check_row,
		.summary = "Fields of requests that pass although the mask would drop them by name; a `*` at the end stands for any rest.",
		.example = "[X-Client-Version, CF-IPCountry]",
	},
	{
		.key = "drop",
		.kind = SETTING_STRINGS,
		.offset = offsetof(struct forward_mask_settings, drop),
		.check = name_set_check_row,
		.summary = "Fields of requests that are dropped too, by every kind of mask; a `*` at the end stands for any rest.",
		.example = "[X-Corp-Id, X-Internal-*]",
	},
	{
		.key = "client_address",
		.kind = SETTING_BOOL,
		.offset = offsetof(struct forward_mask_settings, client_address),
		.fallback = "true",
		.summary = "Drops a field of a request whose value holds the client's exact address, whatever the field's name; not with "
			   "`kind: transparent`, nor for clients on loopback.",
		.example = "false",
	},
	{
		.key = "order",
		.kind = SETTING_BOOL,
		.offset = offsetof(struct forward_mask_settings, order),
		.fallback = "false",
		.summary = "Sends the fields of requests in one order and in one spelling, whatever the client's are.",
		.example = "true",
	},
	{
		.key = "user_agent",
		.kind = SETTING_TEXT,
		.offset = offsetof(struct forward_mask_settings, user_agent),
		.check = check_value,
		.summary = "What User-Agent says in place of what the client says; unset: what the client says. It does not hide what else tells of a "
			   "browser, as its TLS handshake does.",
		.example = "\"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\"",
	},
	{
		.key = "accept_language",
		.kind = SETTING_TEXT,
		.offset = offsetof(struct forward_mask_settings, accept_language),
		.check = check_value,
		.summary = "What Accept-Language says in place of what the client says; unset: what the client says.",
		.example = "\"en-US,en;q=0.5\"",
	},
	{
		.key = "referer",
		.kind = SETTING_CHOICE,
		.offset = offsetof(struct forward_mask_settings, referer),
		.fallback = "full",
		.choices = referers,
		.summary = "Referer: `full` as it is, `origin` without path and query, `same_origin` only towards the origin that it names, `none` "
			   "never.",
		.example = "origin",
	},
	{
		.key = "cookies",
		.kind = SETTING_BOOL,
		.offset = offsetof(struct forward_mask_settings, cookies),
		.fallback = "true",
		.summary = "Lets cookies pass; `false` drops Cookie from requests and Set-Cookie from responses.",
		.example = "false",
	},
	{
		.key = "alt_svc",
		.kind = SETTING_BOOL,
		.offset = offsetof(struct forward_mask_settings, alt_svc),
		.fallback = "true",
		.summary = "Lets Alt-Svc of responses pass; `false` drops it, so that no client goes to an alternative past the proxy.",
		.example = "false",
	},
	{
		.key = "dnt",
		.kind = SETTING_BOOL,
		.offset = offsetof(struct forward_mask_settings, dnt),
		.fallback = "false",
		.summary = "Sends `DNT: 1` with every request.",
		.example = "true",
	},
	{
		.key = "gpc",
		.kind = SETTING_BOOL,
		.offset = offsetof(struct forward_mask_settings, gpc),
		.fallback = "false",
		.summary = "Sends `Sec-GPC: 1` (Global Privacy Control) with every request.",
		.example = "true",
	},
	{.key = NULL},
};
