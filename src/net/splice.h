/*
 * Moves bytes between two plain connections inside the kernel (splice(2) through a pipe for each direction). Used by
 * tunnels once both flows are empty and a direction has shown bulk. On the connections' worker.
 *
 * splice(2) knows no MSG_NOSIGNAL: the process must ignore SIGPIPE.
 */
#ifndef GUISE_NET_SPLICE_H
#define GUISE_NET_SPLICE_H

#include "net/conn.h"

struct splice;

struct splice_ops {
	/* Bytes moved since the last call, for counters and idle timers; at most once a turn and direction. */
	void (*on_moved)(struct splice *splice, uint64_t a_to_b, uint64_t b_to_a);
	/*
	 * Both directions have ended (FIN passed on both ways), or one side broke: *error tells, ERROR_NONE for a good end. The
	 * splice is gone with it; the connections have their owner back, no ops, and are good to be closed, reset or lingered.
	 */
	void (*on_done)(struct splice *splice, const struct error *error);
};

/*
 * Takes over the reading and writing of both connections (conn_is_plain must hold for both) until on_done or splice_stop;
 * half-close is passed on. A connection whose end has been told already (a_ended, b_ended: that side sent its FIN) keeps
 * that state. NULL: pipes not to be had (then go on copying). `owner` is for the caller.
 */
WARN_UNUSED struct splice *splice_start(struct conn *a, struct conn *b, bool a_ended, bool b_ended,
					const struct splice_ops *ops, void *owner);
void *splice_owner(const struct splice *splice);
/* Ends without callbacks; bytes in the pipes are lost. The connections stay open, owned by the caller, and are only good to close. */
void splice_stop(struct splice *splice);

#endif
