/*
 * The rows of `tls` of a listener and of `tls` of an upstream group. Read by the config room while a snapshot is built.
 */
#include "tls/settings.h"

#define DAY UINT64_C(86400000)

static const char *const version_names[] = {
	[TLS_VERSION_12] = "1.2",
	[TLS_VERSION_13] = "1.3",
	NULL,
};

static const char *const verify_names[] = {
	[TLS_CLIENT_NONE] = "none",
	[TLS_CLIENT_OPTIONAL] = "optional",
	[TLS_CLIENT_REQUIRED] = "required",
	NULL,
};

static const char *check_path(const char *text, size_t len)
{
	return len == 0 ? "the path of a file is empty" : NULL;
}

/* What a server's certificate may be for: a host name or an address, without a port. */
static const char *check_peer_name(const char *text, size_t len)
{
	if (len == 0 || len > 253)
		return "a name has 1 to 253 characters";
	for (size_t i = 0; i < len; i++) {
		uint8_t byte = (uint8_t)text[i];
		if (byte <= ' ' || byte >= 0x7f || byte == '/' || byte == '*')
			return "this is the name of one host, or an address, as it stands in its certificate";
	}
	return NULL;
}

static const struct setting certificate_rows[] = {
	{
		.key = "certificate",
		.kind = SETTING_TEXT,
		.offset = offsetof(struct tls_certificate_settings, certificate),
		.required = true,
		.check = check_path,
		.summary = "A PEM file: the certificate first, then those that lead to its authority.",
		.example = "site.pem",
	},
	{
		.key = "key",
		.kind = SETTING_TEXT,
		.offset = offsetof(struct tls_certificate_settings, key),
		.check = check_path,
		.summary = "A PEM file with the private key, not protected by a password. Without it the key is in the "
			   "certificate's file.",
		.example = "site.key",
	},
	{
		.key = "ocsp",
		.kind = SETTING_TEXT,
		.offset = offsetof(struct tls_certificate_settings, ocsp),
		.check = check_path,
		.summary = "A file with an OCSP response in DER, which is stapled to the certificate for as long as it "
			   "is valid.",
		.example = "site.ocsp",
	},
	{.key = NULL},
};

static const struct setting clients_rows[] = {
	{
		.key = "verify",
		.kind = SETTING_CHOICE,
		.offset = offsetof(struct tls_clients_settings, verify),
		.fallback = "none",
		.choices = verify_names,
		.summary = "Whether clients are asked for a certificate. `optional`: one without is served, one with a "
			   "wrong one is not. `required`: one without is not served.",
		.example = "required",
	},
	{
		.key = "ca",
		.kind = SETTING_TEXT,
		.offset = offsetof(struct tls_clients_settings, ca),
		.check = check_path,
		.summary = "A PEM file with the authorities that may sign certificates of clients.",
		.example = "clients.pem",
	},
	{
		.key = "pass",
		.kind = SETTING_BOOL,
		.offset = offsetof(struct tls_clients_settings, pass),
		.fallback = "false",
		.summary = "Hand the client's verified certificate on to the server in the field Client-Cert "
			   "(RFC 9440). Without it, and always when a client sends one itself, the field is taken out.",
		.example = "true",
	},
	{.key = NULL},
};

static const struct setting hsts_rows[] = {
	{
		.key = "max_age",
		.kind = SETTING_TIME,
		.offset = offsetof(struct tls_hsts_settings, max_age),
		.fallback = "0s",
		.max = 3650 * DAY,
		.summary = "For how long browsers may use nothing but TLS for this host (RFC 6797). `0s`: the field is "
			   "not sent.",
		.example = "365d",
	},
	{
		.key = "subdomains",
		.kind = SETTING_BOOL,
		.offset = offsetof(struct tls_hsts_settings, subdomains),
		.fallback = "false",
		.summary = "The same for all hosts below this one.",
		.example = "true",
	},
	{
		.key = "preload",
		.kind = SETTING_BOOL,
		.offset = offsetof(struct tls_hsts_settings, preload),
		.fallback = "false",
		.summary = "Agree to the host's being on the list that browsers are shipped with. It is hard to get off "
			   "that list.",
		.example = "true",
	},
	{.key = NULL},
};

const struct setting tls_listener_rows[] = {
	{
		.key = "certificates",
		.kind = SETTING_LIST,
		.offset = offsetof(struct tls_listener_settings, certificates),
		.required = true,
		.rows = certificate_rows,
		.item_size = sizeof(struct tls_certificate_settings),
		.place_offset = offsetof(struct tls_certificate_settings, place),
		.shorthand = "certificate",
		.summary = "The certificates. Which one a client is shown is decided by the name that it asks for: one "
			   "for the very name, else one for `*.` and all but its first label, else the first of the "
			   "list. An RSA and an ECDSA certificate for the same name may stand side by side.",
		.example = "[{certificate: site.pem, key: site.key}, shop.pem]",
	},
	{
		.key = "minimum",
		.kind = SETTING_CHOICE,
		.offset = offsetof(struct tls_listener_settings, minimum),
		.fallback = "\"1.2\"",
		.choices = version_names,
		.summary = "The oldest version of TLS that is spoken.",
		.example = "\"1.3\"",
	},
	{
		.key = "strict_sni",
		.kind = SETTING_BOOL,
		.offset = offsetof(struct tls_listener_settings, strict_sni),
		.fallback = "false",
		.summary = "Show no certificate to a client that asks for no name, or for one that no certificate is "
			   "for: it gets the alert unrecognized_name.",
		.example = "true",
	},
	{
		.key = "tickets",
		.kind = SETTING_BOOL,
		.offset = offsetof(struct tls_listener_settings, tickets),
		.fallback = "true",
		.summary = "Let clients resume a session for up to twelve hours, by tickets whose key changes every hour.",
		.example = "false",
	},
	{
		.key = "clients",
		.kind = SETTING_STRUCT,
		.offset = offsetof(struct tls_listener_settings, clients),
		.rows = clients_rows,
		.place_offset = offsetof(struct tls_listener_settings, clients.place),
		.summary = "Certificates of clients.",
		.example = "{verify: required, ca: clients.pem}",
	},
	{
		.key = "hsts",
		.kind = SETTING_STRUCT,
		.offset = offsetof(struct tls_listener_settings, hsts),
		.rows = hsts_rows,
		.place_offset = offsetof(struct tls_listener_settings, hsts.place),
		.shorthand = "max_age",
		.summary = "Strict-Transport-Security in responses. A value alone is its max_age.",
		.example = "{max_age: 365d, subdomains: true}",
	},
	{.key = NULL},
};

const struct setting tls_upstream_rows[] = {
	{
		.key = "verify",
		.kind = SETTING_BOOL,
		.offset = offsetof(struct tls_upstream_settings, verify),
		.fallback = "true",
		.summary = "Whether the servers have to prove who they are. `false` is for tests: whoever is in between "
			   "can then read and change everything.",
		.example = "true",
	},
	{
		.key = "ca",
		.kind = SETTING_TEXT,
		.offset = offsetof(struct tls_upstream_settings, ca),
		.check = check_path,
		.summary = "A PEM file with the authorities that may sign certificates of the servers. Without it, the "
			   "system's store.",
		.example = "ca.pem",
	},
	{
		.key = "name",
		.kind = SETTING_TEXT,
		.offset = offsetof(struct tls_upstream_settings, name),
		.check = check_peer_name,
		.summary = "What the certificate must be for, and what is sent as SNI, instead of the host in the "
			   "server's address.",
		.example = "api.internal",
	},
	{
		.key = "sni",
		.kind = SETTING_BOOL,
		.offset = offsetof(struct tls_upstream_settings, sni),
		.fallback = "true",
		.summary = "Whether the name is sent (an address never is).",
		.example = "false",
	},
	{
		.key = "certificate",
		.kind = SETTING_TEXT,
		.offset = offsetof(struct tls_upstream_settings, certificate),
		.check = check_path,
		.summary = "A PEM file with our own certificate, for servers that ask for one.",
		.example = "me.pem",
	},
	{
		.key = "key",
		.kind = SETTING_TEXT,
		.offset = offsetof(struct tls_upstream_settings, key),
		.check = check_path,
		.summary = "Its key, without a password. Without it the key is in the certificate's file.",
		.example = "me.key",
	},
	{
		.key = "minimum",
		.kind = SETTING_CHOICE,
		.offset = offsetof(struct tls_upstream_settings, minimum),
		.fallback = "\"1.2\"",
		.choices = version_names,
		.summary = "The oldest version of TLS that is spoken.",
		.example = "\"1.3\"",
	},
	{.key = NULL},
};
