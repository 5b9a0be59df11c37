/*
 * The control thread: one for the process, beside the workers. It carries no client's traffic; it finds out who the servers of the groups are and how
 * they are, and publishes that through the fleet. It is a worker with all rooms but the one for clients' connections, so that whatever a
 * worker can do towards a server (resolve, connect, TLS, HTTP) can be done here too. Its index is the number of workers.
 *
 * A part of it, health checks say, is made of
 *   part_start(worker): on the main thread, before the control thread runs: loop_timer_start for the first thing to do. NULL: out of memory;
 *   part_look(part, group): on the control thread, when the fleet had this group looked at: its roster may be another one;
 *   part_stop(part): on the main thread, after the control thread has ended: cancels what is in progress. The rooms are still there,
 *   and one more turn follows in which what was retired is freed.
 * To add one: a member of struct control, and a line in each of control_new, control_on_look and control_free.
 *
 * Order of things: it starts before the workers and before the banner, and ends when all of them have ended, so that servers are looked after
 * while exchanges drain. It posts letters to workers; no worker waits for it.
 */
#ifndef GUISE_SERVER_CONTROL_H
#define GUISE_SERVER_CONTROL_H

#include "core/base.h"

struct server;
struct control;
struct discovery_list;

/* The functions are the main thread's. */
WARN_UNUSED struct control *control_new(struct server *server); /* after the fleet; NULL: out of memory or descriptors */
WARN_UNUSED bool control_start(struct control *control); /* false: no thread */
/*
 * Runs its loop here, before it is started, until all names have been answered, so that the first requests find servers; `most_ms` at the most.
 */
void control_settle(struct control *control, uint64_t most_ms);
/* The file of a group says this now. Takes the list in any case. False: out of memory. */
WARN_UNUSED bool control_replace_servers(struct control *control, size_t group, struct discovery_list *list);
void control_join(struct control *control); /* tells it to end, and waits; harmless when it does not run; NULL is fine */
/* After it and all workers were joined, and before the workers' rooms and mailboxes end. NULL is fine. */
void control_free(struct control *control);

#endif
