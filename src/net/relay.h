/*
 * Moves the bytes of a tunnel between two plain connections, both ways: little by copying, through a block that all share, much inside the
 * kernel, by splice(2) through a pipe. A direction holds a pipe only while bytes are in it, and memory only for what its sink would not take at once: a
 * tunnel that is silent has neither. On the connections' worker.
 *
 * splice(2) knows no MSG_NOSIGNAL: the process must ignore SIGPIPE.
 */
#ifndef GUISE_NET_RELAY_H
#define GUISE_NET_RELAY_H

#include "net/conn.h"

struct relay;

struct relay_ops {
	/* Bytes moved since the last call, for counters; at most once a turn. */
	void (*on_moved)(struct relay *relay, uint64_t a_to_b, uint64_t b_to_a);
	/*
	 * Both directions have ended, or one side broke: *error tells, ERROR_NONE for a good end. The relay is gone with it; the connections are the
	 * owner's again, have no ops, and are to be closed, or reset where it broke. (The FIN of the last direction to end is what closing sends.)
	 */
	void (*on_done)(struct relay *relay, const struct error *error);
};

/*
 * Takes over the reading and writing of both connections (conn_is_plain must hold for both) until on_done or relay_stop;
 * half-close is passed on. A connection whose end has been told already (a_ended, b_ended: that side sent its FIN) keeps
 * that state. NULL: out of memory (then go on as before). `owner` is for the caller.
 */
WARN_UNUSED struct relay *relay_start(struct conn *a, struct conn *b, bool a_ended, bool b_ended,
				      const struct relay_ops *ops, void *owner);
/* Somebody else is told from now on. Not from within its calls. */
void relay_give(struct relay *relay, const struct relay_ops *ops, void *owner);
void *relay_owner(const struct relay *relay); /* as it was given last */
/* Nothing is on its way between the two. For tests. */
bool relay_is_empty(const struct relay *relay);
/* Ends without callbacks; bytes on their way are lost. The connections stay open, the caller's, and are only good to close. */
void relay_stop(struct relay *relay);

#endif
