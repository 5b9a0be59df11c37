/*
 * The rows of `users`. Read by the config room while a snapshot is built.
 */
#include "account/settings.h"

#include "core/span.h"
#include "net/address.h"

#define SECOND UINT64_C(1000)
#define MINUTE (60 * SECOND)
#define DAY (24 * 60 * MINUTE)

const char *user_check_name(const char *text, size_t len)
{
	if (len == 0)
		return "the name of a user is empty";
	if (len > USER_NAME_MOST)
		return "the name of a user is longer than 255 bytes";
	for (size_t i = 0; i < len; i++) {
		uint8_t byte = (uint8_t)text[i];
		if (byte < 0x20 || byte == 0x7f)
			return "the name of a user has a control character";
		if (byte == ':')
			return "the name of a user has a colon, which ends a name in a login (RFC 7617 2)";
	}
	return NULL;
}

/* It stands in a quoted string (RFC 9110 5.6.4), as UTF-8. */
static const char *check_realm(const char *text, size_t len)
{
	if (len == 0 || len > 128)
		return "a realm has 1 to 128 bytes";
	for (size_t i = 0; i < len; i++)
		if ((uint8_t)text[i] < 0x20 || text[i] == 0x7f)
			return "a realm has no control characters";
	return NULL;
}

static const char *check_network(const char *text, size_t len)
{
	struct network network;

	if (network_parse(span_make(text, len), &network))
		return NULL;
	return "not an address or network: write 192.0.2.1, 10.0.0.0/8 or 2001:db8::/32, with the bits after the prefix zero";
}

static const struct setting network_rows[] = {
	{
		.key = "networks",
		.kind = SETTING_NETWORKS,
		.offset = offsetof(struct user_network_settings, networks),
		.required = true,
		.check = check_network,
		.summary = "Addresses or networks of clients.",
		.example = "[10.1.0.0/16]",
	},
	{.key = NULL},
};

static const struct setting brake_rows[] = {
	{
		.key = "failures",
		.kind = SETTING_COUNT,
		.offset = offsetof(struct brake_settings, failures),
		.fallback = "5",
		.min = 1,
		.max = 1000,
		.word = "unlimited",
		.word_value = 0,
		.summary = "So many wrong logins of an address (IPv6: of a /64) are free, and so many with the name of one user. "
			   "`unlimited`: there is no brake.",
		.example = "10",
	},
	{
		.key = "delay",
		.kind = SETTING_TIME,
		.offset = offsetof(struct brake_settings, delay),
		.fallback = "1s",
		.min = 10,
		.max = DAY,
		.summary = "How long after the last free one no login is looked at; doubled with each further wrong one.",
		.example = "2s",
	},
	{
		.key = "longest",
		.kind = SETTING_TIME,
		.offset = offsetof(struct brake_settings, longest),
		.fallback = "5m",
		.min = 10,
		.max = DAY,
		.summary = "What that grows to at the most.",
		.example = "1h",
	},
	{
		.key = "forget",
		.kind = SETTING_TIME,
		.offset = offsetof(struct brake_settings, forget),
		.fallback = "15m",
		.min = SECOND,
		.max = 7 * DAY,
		.summary = "Wrong logins are forgotten when so long no other has followed.",
		.example = "1h",
	},
	{.key = NULL},
};

const struct setting users_rows[] = {
	{
		.key = "file",
		.kind = SETTING_TEXT,
		.offset = offsetof(struct users_settings, file),
		.summary =
			"Names and hashes of passwords, as `htpasswd -B` and `mkpasswd` make them: `name:hash` in each line. bcrypt, "
			"SHA-512 and SHA-256 crypt, scrypt, yescrypt, and what else strong the system's crypt(3) knows; weak "
			"hashes are refused. Read again when it changes. Relative to the configuration's directory.",
		.example = "users.htpasswd",
	},
	{
		.key = "groups",
		.kind = SETTING_TEXT,
		.offset = offsetof(struct users_settings, groups),
		.summary = "Groups of users for rules: `group: user user` in each line; several lines of one group add up. Read again when "
			   "it changes.",
		.example = "groups.txt",
	},
	{
		.key = "realm",
		.kind = SETTING_TEXT,
		.offset = offsetof(struct users_settings, realm),
		.fallback = "Guise",
		.check = check_realm,
		.summary = "What a browser shows when it asks for the password.",
		.example = "Office",
	},
	{
		.key = "cache",
		.kind = SETTING_TIME,
		.offset = offsetof(struct users_settings, cache),
		.fallback = "5m",
		.max = DAY,
		.summary = "How long a password that was found to be good need not be verified again. 0s: each login is verified.",
		.example = "1m",
	},
	{
		.key = "certificates",
		.kind = SETTING_BOOL,
		.offset = offsetof(struct users_settings, certificates),
		.place_offset = offsetof(struct users_settings, certificates_place),
		.fallback = "false",
		.summary = "Clients with a certificate that `tls.clients` of the listener believes need no password: the user is the common "
			   "name of its subject, or, where it has none, its first e-mail address.",
		.example = "true",
	},
	{
		.key = "networks",
		.kind = SETTING_NAMED,
		.offset = offsetof(struct users_settings, networks),
		.rows = network_rows,
		.item_size = sizeof(struct user_network_settings),
		.place_offset = offsetof(struct user_network_settings, place),
		.shorthand = "networks",
		.check = user_check_name,
		.summary = "Clients of these networks need no password, and are the user of this name; the smallest network decides.",
		.example = "{printers: [10.1.7.0/24], ann: 10.1.0.9}",
	},
	{
		.key = "threads",
		.kind = SETTING_COUNT,
		.offset = offsetof(struct users_settings, threads),
		.fallback = "2",
		.min = 1,
		.max = 64,
		.summary = "Threads that verify passwords, besides the workers.",
		.example = "4",
	},
	{
		.key = "queue",
		.kind = SETTING_COUNT,
		.offset = offsetof(struct users_settings, queue),
		.fallback = "64",
		.min = 1,
		.max = 65536,
		.summary = "Passwords that wait to be verified, or are being. A login beyond them is answered with 503.",
		.example = "256",
	},
	{
		.key = "brake",
		.kind = SETTING_STRUCT,
		.offset = offsetof(struct users_settings, brake),
		.rows = brake_rows,
		.place_offset = offsetof(struct users_settings, brake.place),
		.summary = "What slows down who guesses passwords. Braked logins are answered with 429.",
		.example = "{failures: 10, longest: 1h}",
	},
	{.key = NULL},
};
