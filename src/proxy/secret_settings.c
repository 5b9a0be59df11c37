/*
 * The rows of `secrets`. Read by the config room while a snapshot is built.
 */
#include "proxy/secret_settings.h"

#include "http/field.h"

const char *secret_check_name(const char *text, size_t len)
{
	if (len == 0)
		return "the name of a secret is empty";
	return len > 128 ? "the name of a secret is longer than 128 bytes" : NULL;
}

/*
 * What frames a message, says where it goes, or is between hops is the codecs' to write (RFC 9110 7.6.1, 7.2).
 */
static const char *check_field(const char *text, size_t len)
{
	struct span name = span_make(text, len);

	if (!http_is_token(name))
		return "the name of a field has letters, digits and some of !#$%&'*+-.^_`|~";
	switch (http_field_identify(name)) {
	case HTTP_FIELD_CONNECTION:
	case HTTP_FIELD_CONTENT_LENGTH:
	case HTTP_FIELD_EXPECT:
	case HTTP_FIELD_HOST:
	case HTTP_FIELD_HTTP2_SETTINGS:
	case HTTP_FIELD_KEEP_ALIVE:
	case HTTP_FIELD_MAX_FORWARDS:
	case HTTP_FIELD_PROXY_AUTHENTICATE:
	case HTTP_FIELD_PROXY_AUTHENTICATION_INFO:
	case HTTP_FIELD_PROXY_AUTHORIZATION:
	case HTTP_FIELD_PROXY_CONNECTION:
	case HTTP_FIELD_TE:
	case HTTP_FIELD_TRAILER:
	case HTTP_FIELD_TRANSFER_ENCODING:
	case HTTP_FIELD_UPGRADE:
	case HTTP_FIELD_VIA:
		return "this field frames messages or says where they go: it cannot carry a secret";
	default:
		return NULL;
	}
}

static const char *check_prefix(const char *text, size_t len)
{
	return http_is_field_value(span_make(text, len)) ? NULL : "a field cannot hold control bytes";
}

const struct setting secret_rows[] = {
	{
		.key = "hosts",
		.kind = SETTING_STRINGS,
		.offset = offsetof(struct secret_settings, hosts),
		.required = true,
		.summary = "Whom the secret is for: names (or addresses), each exactly as requests ask for it, at the scheme's own port or at the one "
			   "that is given. No patterns: a secret goes to nobody who is not named.",
		.example = "[api.shop.example, \"files.shop.example:8443\"]",
	},
	{
		.key = "field",
		.kind = SETTING_TEXT,
		.offset = offsetof(struct secret_settings, field),
		.fallback = "Authorization",
		.check = check_field,
		.summary = "The field that carries it. Whatever a client sends in a field of this name is dropped.",
		.example = "X-Api-Key",
	},
	{
		.key = "prefix",
		.kind = SETTING_TEXT,
		.offset = offsetof(struct secret_settings, prefix),
		.check = check_prefix,
		.summary = "What stands in the field before the value, its space included.",
		.example = "\"Bearer \"",
	},
	{
		.key = "value",
		.kind = SETTING_TEXT,
		.offset = offsetof(struct secret_settings, value),
		.required = true,
		.summary = "The secret, or `file:PATH`: the file's text without the end of its last line. A file is looked at every second, and "
			   "its new text counts from then on.",
		.example = "\"file:tokens/shop\"",
	},
	{
		.key = "tls",
		.kind = SETTING_BOOL,
		.offset = offsetof(struct secret_settings, tls),
		.fallback = "false",
		.summary =
			"Requests that ask for `http` at these hosts leave as `https`, so that a client that cannot be told of a "
			"certificate can ask in clear and the secret still only leaves inside TLS. The rules are asked about both.",
		.example = "true",
	},
	{
		.key = "clear",
		.kind = SETTING_BOOL,
		.offset = offsetof(struct secret_settings, clear),
		.fallback = "false",
		.summary = "Adds the secret to requests that leave without TLS, too: anybody on the way can read it. Without this, they go "
			   "out without it.",
		.example = "true",
	},
	{.key = NULL},
};
