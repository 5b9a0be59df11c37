/*
 * The rows of one exit, and what becomes of them. Read by the config room while a snapshot is built.
 */
#include "upstream/exit_settings.h"

#include <net/if.h>

#define DAY UINT64_C(86400000)

static const char *const chooses[] = {"user", "client", "random", "rotate", NULL}; /* enum exit_choose */
static const char *const families[] = {"any", "ipv4", "ipv6", NULL};               /* enum exit_family */

static const char *check_address(const char *text, size_t len)
{
	struct address address;

	if (!address_parse_ip(span_make(text, len), &address))
		return "not an address: write 192.0.2.1 or 2001:db8::1 (a network for IPv6 is a \"prefix\")";
	address = address_unmap(&address);
	if (memcmp(address.ip, &in6addr_any, address.family == ADDRESS_V4 ? 4 : 16) == 0)
		return "the unspecified address stands for no address in particular; leave it out to let the system choose";
	return NULL;
}

static const char *check_prefix(const char *text, size_t len)
{
	struct network network;

	if (!network_parse(span_make(text, len), &network))
		return "not a network: write 2001:db8:1::/64, with the bits after the prefix zero";
	if (network.address.family != ADDRESS_V6)
		return "fresh addresses need a network of IPv6; addresses of IPv4 are named one by one in \"addresses\"";
	if (network.prefix > EXIT_PREFIX_LONGEST)
		return "there are too few addresses in it: a prefix has at most 120 bits";
	return network.prefix == 0 ? "a prefix has at least 1 bit" : NULL;
}

static const char *check_interface(const char *text, size_t len)
{
	struct span name = span_make(text, len);

	if (len == 0 || len >= IFNAMSIZ)
		return "the name of an interface has 1 to 15 characters";
	for (size_t i = 0; i < len; i++)
		if (name.at[i] <= ' ' || name.at[i] == '/' || name.at[i] == ':' || name.at[i] == 0x7f)
			return "the name of an interface has no space, \"/\" or \":\"";
	return NULL;
}

const struct setting exit_rows[] = {
	{
		.key = "addresses",
		.kind = SETTING_STRINGS,
		.offset = offsetof(struct exit_settings, addresses),
		.check = check_address,
		.summary = "Addresses of this machine, of IPv4 or IPv6 or both: connections leave by one of the target's family. A target of a "
			   "family without one cannot be reached. An address that the machine does not have (any more) is "
			   "passed over until it has.",
		.example = "[192.0.2.1, 192.0.2.2, \"2001:db8::1\"]",
	},
	{
		.key = "choose",
		.kind = SETTING_CHOICE,
		.offset = offsetof(struct exit_settings, choose),
		.fallback = "user",
		.choices = chooses,
		.place_offset = offsetof(struct exit_settings, choose_place),
		.summary =
			"Which of several addresses: the one of the `user` (who has no name counts by their address), the one of the "
			"`client`'s address, one at `random`, or the next (`rotate`). Users and clients keep theirs over restarts, "
			"and an address that is added or taken away moves only those that have it. Of IPv6 clients the first 64 bits count.",
		.example = "random",
	},
	{
		.key = "sticky",
		.kind = SETTING_TIME,
		.offset = offsetof(struct exit_settings, sticky),
		.fallback = "off",
		.min = 1000,
		.max = 365 * DAY,
		.word = "off",
		.word_value = 0,
		.place_offset = offsetof(struct exit_settings, sticky_place),
		.summary = "How long a user (who has no name: a client's address) keeps what was chosen by `random` or `rotate`, or out of "
			   "a `prefix`. `off`: each connection has its own.",
		.example = "10m",
	},
	{
		.key = "interface",
		.kind = SETTING_TEXT,
		.offset = offsetof(struct exit_settings, interface),
		.check = check_interface,
		.summary = "The only interface that connections leave by (SO_BINDTODEVICE), whatever the routes say.",
		.example = "eth1",
	},
	{
		.key = "prefix",
		.kind = SETTING_TEXT,
		.offset = offsetof(struct exit_settings, prefix),
		.check = check_prefix,
		.summary = "A network of IPv6 that is routed to this machine: each connection has a fresh address in it, taken at random. The "
			   "machine need not have it on an interface (IPV6_FREEBIND).",
		.example = "\"2001:db8:1::/64\"",
	},
	{
		.key = "family",
		.kind = SETTING_CHOICE,
		.offset = offsetof(struct exit_settings, family),
		.fallback = "any",
		.choices = families,
		.place_offset = offsetof(struct exit_settings, family_place),
		.summary = "Which targets can be reached by it: those of `ipv4`, of `ipv6`, or `any` that it has addresses for.",
		.example = "ipv4",
	},
	{.key = NULL},
};

/* ---- compiling ---- */

struct compiling {
	const struct exit_settings *settings;
	struct exit_plan *plan;
	struct arena *arena;
	struct diagnostics *diagnostics;
};

static void compile_address(struct compiling *compiling, struct address *v4, struct address *v6,
			    const struct setting_string *item)
{
	struct exit_plan *plan = compiling->plan;
	struct address address;

	if (!address_parse_ip(span_make(item->text, item->len), &address))
		return; /* it was said when it was read */
	address = address_unmap(&address);
	bool is_v4 = address.family == ADDRESS_V4;
	struct address *list = is_v4 ? v4 : v6;
	uint32_t *count = is_v4 ? &plan->v4.count : &plan->v6.count;
	for (uint32_t i = 0; i < *count; i++)
		if (address_equal_ip(&list[i], &address)) {
			diagnostics_error(compiling->diagnostics, item->place,
					  "the address %s is there twice", item->text);
			return;
		}
	list[(*count)++] = address;
}

/* False: out of memory. */
static bool compile_addresses(struct compiling *compiling)
{
	const struct setting_strings *given = &compiling->settings->addresses;
	struct address *v4 = arena_zalloc(compiling->arena, given->count + 1, sizeof(*v4));
	struct address *v6 = arena_zalloc(compiling->arena, given->count + 1, sizeof(*v6));

	if (!v4 || !v6)
		return false;
	compiling->plan->v4.items = v4;
	compiling->plan->v6.items = v6;
	if (given->count > EXIT_ADDRESSES_MOST) {
		diagnostics_error(compiling->diagnostics, given->place, "an exit has at most %d addresses",
				  EXIT_ADDRESSES_MOST);
		return true;
	}
	for (size_t i = 0; i < given->count; i++)
		compile_address(compiling, v4, v6, &given->items[i]);
	return true;
}

static void compile_family(struct compiling *compiling)
{
	const struct exit_settings *settings = compiling->settings;
	struct exit_plan *plan = compiling->plan;
	bool v4 = plan->v4.count > 0, v6 = plan->v6.count > 0 || plan->prefix.address.family == ADDRESS_V6;
	bool named = v4 || v6;

	plan->v4_left_out = settings->family == EXIT_IPV6 || (named && !v4);
	plan->v6_left_out = settings->family == EXIT_IPV4 || (named && !v6);
	if ((settings->family == EXIT_IPV4 && v6) || (settings->family == EXIT_IPV6 && v4))
		diagnostics_error(
			compiling->diagnostics, settings->family_place,
			"\"family: %s\" leaves addresses of the exit \"%s\" without use: it has some of IPv%d",
			families[settings->family], settings->name.text, settings->family == EXIT_IPV4 ? 6 : 4);
}

static void check_choice(const struct compiling *compiling)
{
	const struct exit_settings *settings = compiling->settings;
	bool prefix = compiling->plan->prefix.address.family != ADDRESS_NONE;

	if (settings->choose_place.line && settings->addresses.count == 0)
		diagnostics_error(compiling->diagnostics, settings->choose_place,
				  "\"choose\" is about \"addresses\", and the exit \"%s\" has none",
				  settings->name.text);
	if (settings->sticky && !prefix && (settings->addresses.count == 0 || settings->choose < EXIT_RANDOM))
		diagnostics_error(compiling->diagnostics, settings->sticky_place,
				  "\"sticky\" goes with \"choose: random\", \"choose: rotate\" or a \"prefix\"; "
				  "otherwise the same address is kept for ever");
}

/* False: out of memory. */
static bool compile_exit(struct compiling *compiling)
{
	const struct exit_settings *settings = compiling->settings;
	struct exit_plan *plan = compiling->plan;
	bool prefix = settings->prefix.len > 0;

	plan->name = settings->name.text;
	plan->interface = settings->interface.len ? settings->interface.text : NULL;
	plan->choose = (enum exit_choose)settings->choose;
	plan->sticky = settings->sticky;
	if (prefix && !network_parse(span_make(settings->prefix.text, settings->prefix.len), &plan->prefix))
		plan->prefix = (struct network){0}; /* it was said when it was read */
	if (!compile_addresses(compiling))
		return false;
	if (prefix && plan->v6.count > 0)
		diagnostics_error(
			compiling->diagnostics, settings->prefix.place,
			"the exit \"%s\" has a \"prefix\" and addresses of IPv6: connections leave by one or the other",
			settings->name.text);
	if (!prefix && !plan->interface && settings->addresses.count == 0 && settings->family == EXIT_ANY &&
	    compiling->diagnostics->errors == 0) /* else it may be what was not understood */
		diagnostics_error(compiling->diagnostics, settings->place,
				  "the exit \"%s\" says nothing: it takes \"addresses\", a \"prefix\", an "
				  "\"interface\" or a \"family\"",
				  settings->name.text);
	compile_family(compiling);
	check_choice(compiling);
	return true;
}

const struct exit_plan *exits_compile(const struct setting_list *settings, struct arena *arena,
				      struct diagnostics *diagnostics)
{
	struct exit_plan *plans = arena_zalloc(arena, settings->count + 1, sizeof(*plans));

	for (size_t i = 0; plans && i < settings->count; i++) {
		struct compiling compiling = {
			.settings = (const struct exit_settings *)settings->items + i,
			.plan = &plans[i],
			.arena = arena,
			.diagnostics = diagnostics,
		};
		if (!compile_exit(&compiling))
			return NULL;
	}
	return plans;
}
