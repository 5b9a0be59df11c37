/*
 * The exits of the configuration: by which addresses and interfaces connections leave this machine. As written, and compiled. Part of a snapshot, immutable;
 * any thread.
 */
#ifndef GUISE_UPSTREAM_EXIT_SETTINGS_H
#define GUISE_UPSTREAM_EXIT_SETTINGS_H

#include "core/diagnostic.h"
#include "net/address.h"

/* Which address of several. In the order of the choices. */
enum exit_choose {
	EXIT_BY_USER,   /* each user has one; who has no name has one by their address */
	EXIT_BY_CLIENT, /* each client's address has one */
	EXIT_RANDOM,
	EXIT_ROTATE,
};

/* In the order of the choices. */
enum exit_family { EXIT_ANY, EXIT_IPV4, EXIT_IPV6 };

struct exit_settings {
	struct setting_string name; /* the key under `exits`; first, as SETTING_NAMED asks */
	struct setting_strings addresses;
	int choose;      /* enum exit_choose */
	uint64_t sticky; /* ms; 0: chosen anew for each connection */
	struct setting_string interface, prefix;
	int family; /* enum exit_family */
	struct setting_place place, choose_place, sticky_place, family_place;
};

struct exit_sources {
	const struct address *items;
	uint32_t count;
};

/* One exit, compiled. */
struct exit_plan {
	const char *name;
	struct exit_sources v4, v6;
	struct network prefix; /* family ADDRESS_NONE: none; else v6 has none */
	const char *interface; /* NULL: any */
	enum exit_choose choose;
	uint64_t sticky;               /* ms */
	bool v4_left_out, v6_left_out; /* targets of that family cannot be reached */
};

enum {
	EXIT_ADDRESSES_MOST = 1024, /* of one exit */
	EXIT_PREFIX_LONGEST = 120,  /* so that there are 256 addresses */
};

extern const struct setting exit_rows[]; /* struct exit_settings */

/* One plan for each of the settings (struct exit_settings), in their order; mistakes go to the diagnostics. NULL: out of memory. */
WARN_UNUSED const struct exit_plan *exits_compile(const struct setting_list *settings, struct arena *arena,
						  struct diagnostics *diagnostics);

#endif
