/*
 * Exits: by which address and interface each connection of the forward face leaves. One object for the process, shared by all workers: what changes in it
 * is atomic. Every worker comes to the same address for the same user.
 *
 * A source that cannot be bound to (its address has left the machine) is set aside for a while, with one line in the error log, and the exit's others are
 * used; without any that works a socket cannot be made, and the request fails: nothing ever leaves by another way than the one that was asked for.
 */
#ifndef GUISE_UPSTREAM_EXIT_H
#define GUISE_UPSTREAM_EXIT_H

#include "core/worker.h"
#include "net/way.h"
#include "upstream/exit_settings.h"

struct exits;

#define EXIT_NONE UINT32_MAX /* as the system chooses; the same as RULE_NONE */

/* `plans` are borrowed. NULL: out of memory. */
WARN_UNUSED struct exits *exits_new(struct arena *arena, const struct exit_plan *plans, size_t count);

/*
 * The way of one new connection (or of one association's sockets) by this exit, an index in the snapshot's list or EXIT_NONE: *way, for way_socket,
 * conn_connect, dial_start, connector_start on this worker. `user` may be empty. Once for each connection, not for each try of an address: a prefix gives
 * a fresh address each time. Cheap; no system call.
 */
void exit_choose(struct exits *exits, uint32_t exit, struct worker *worker, struct span user,
		 const struct address *client, struct net_way *way);

/* For logs; NULL for EXIT_NONE. */
const char *exit_name(const struct exits *exits, uint32_t exit);

/*
 * Tries to bind to each of the addresses and interfaces, as at start: `say` is told what does not work now (a text that lives as long as the call).
 */
typedef void exit_say_fn(void *owner, const char *text);
void exits_probe(struct exits *exits, exit_say_fn *say, void *owner);

#endif
