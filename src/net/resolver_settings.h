/*
 * `resolver` of the configuration, as it is written there. (What a resolver itself needs, net/resolver.h, is made of it at start.)
 * Part of a snapshot, immutable.
 */
#ifndef GUISE_NET_RESOLVER_SETTINGS_H
#define GUISE_NET_RESOLVER_SETTINGS_H

#include "core/setting.h"

struct resolver_keys {
	struct setting_strings servers; /* "192.0.2.53", "192.0.2.53:5353", "[2001:db8::53]:53"; none: /etc/resolv.conf */
	bool hosts;                     /* /etc/hosts is read */
	int family;                     /* enum resolver_family (net/resolver.h) */
	uint64_t timeout;               /* ms, of one try */
	uint64_t attempts;
};

extern const struct setting resolver_rows[]; /* struct resolver_keys */

#endif
