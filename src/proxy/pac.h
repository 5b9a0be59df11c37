/*
 * The proxy auto-configuration script of a forward listener, made from its rules, and what it is asked for with: browsers fetch /proxy.pac, or
 * /wpad.dat where they look for a proxy by themselves. Part of a snapshot, immutable.
 *
 * A script says how a browser goes to a host: directly, or through the proxy. What the rules decide by things that a script cannot know (users, lists,
 * times, sources and the like) is left to the proxy: such rules are passed over, and what no rule sends directly goes to the proxy.
 */
#ifndef GUISE_PROXY_PAC_H
#define GUISE_PROXY_PAC_H

#include "core/diagnostic.h"
#include "route/rule_view.h"

struct pac;

enum { PAC_MOST = 1024 * 1024 }; /* bytes of a script: browsers take no larger ones */

/*
 * In the arena. What is wrong with `settings`, and rules that a script cannot have, become diagnostics. NULL: after errors, or out of memory, which is said.
 */
WARN_UNUSED struct pac *pac_compile(const struct pac_settings *settings, const struct rules *rules,
				    struct arena *arena, struct diagnostics *diagnostics);

/* "HOST:PORT" by which browsers reach the listener, if the configuration says it; else empty. */
struct span pac_address(const struct pac *pac);

/*
 * The whole script, in the arena, for a listener that is reached by `address` ("HOST:PORT"), over TLS, with SOCKS. ->at is NULL: out of memory.
 */
struct span pac_script(const struct pac *pac, struct span address, bool tls, bool socks, struct arena *arena);

#endif
