/*
 * The rows of `resolver`. Read by the config room while a snapshot is built.
 */
#include "net/resolver_settings.h"

#include "net/address.h"

static const char *const families[] = {"any", "ipv4", "ipv6", NULL};

static const char *check_server(const char *text, size_t len)
{
	struct span all = span_make(text, len);
	struct address address;

	if (address_parse_ip(all, &address))
		return NULL;
	if (address_parse(all, &address) && address.family != ADDRESS_UNIX)
		return address.port ? NULL : "port 0 is no port of a name server";
	return "a name server is given by its address, as in 192.0.2.53, 192.0.2.53:5353 or [2001:db8::53]:53";
}

const struct setting resolver_rows[] = {
	{
		.key = "servers",
		.kind = SETTING_STRINGS,
		.offset = offsetof(struct resolver_keys, servers),
		.check = check_server,
		.summary = "The name servers to ask, by address and, if not 53, port. None: those of /etc/resolv.conf.",
		.example = "[192.0.2.53, \"[2001:db8::53]:5353\"]",
	},
	{
		.key = "hosts",
		.kind = SETTING_BOOL,
		.offset = offsetof(struct resolver_keys, hosts),
		.fallback = "true",
		.summary = "Whether names in /etc/hosts count; it is read once, at start.",
		.example = "false",
	},
	{
		.key = "family",
		.kind = SETTING_CHOICE,
		.offset = offsetof(struct resolver_keys, family),
		.fallback = "any",
		.choices = families,
		.summary = "Which addresses of a name are used.",
		.example = "ipv4",
	},
	{
		.key = "timeout",
		.kind = SETTING_TIME,
		.offset = offsetof(struct resolver_keys, timeout),
		.fallback = "2s",
		.min = 1,
		.max = 60000,
		.summary = "How long one try waits for an answer.",
		.example = "500ms",
	},
	{
		.key = "attempts",
		.kind = SETTING_COUNT,
		.offset = offsetof(struct resolver_keys, attempts),
		.fallback = "3",
		.min = 1,
		.max = 10,
		.summary = "How often a question is asked before it has failed.",
		.example = "2",
	},
	{.key = NULL},
};
