/*
 * Who is believed: a list of networks, and "unix:" for whoever connects to a unix socket. Compiled once from the configuration,
 * immutable afterwards; any thread.
 */
#ifndef GUISE_NET_PEERS_H
#define GUISE_NET_PEERS_H

#include "core/diagnostic.h"
#include "net/address.h"

struct peers {
	struct network *networks; /* in the arena that it was compiled in */
	size_t count;
	bool unix_peers; /* "unix:" is in the list */
};

/* NULL, or why the text is no item of such a list (static text). A setting's `check`. */
const char *peers_check(const char *text, size_t len);

/* False after diagnostics. */
WARN_UNUSED bool peers_compile(const struct setting_strings *list, struct arena *arena,
			       struct diagnostics *diagnostics, struct peers *peers);

/* Whether the address is one of them; an IPv4 address in IPv6's clothes is looked at as what it is. */
bool peers_have(const struct peers *peers, const struct address *address);

#endif
