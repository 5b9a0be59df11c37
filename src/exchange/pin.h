/*
 * Upstream connections that belong to one client's connection. There are servers that authenticate a connection and not a request (NTLM, Negotiate): whatever comes
 * on it later is the client's who has logged in. So such a session leaves its pool for good, and only exchanges of the same client's connection are given it, one
 * at a time; it ends with that connection at the latest.
 *
 * A codec has the pins of a client's connection, and ends them with it; who hands exchanges over pins sessions. On one worker.
 */
#ifndef GUISE_EXCHANGE_PIN_H
#define GUISE_EXCHANGE_PIN_H

#include "exchange/session.h"

enum { PINS_MOST = 8 }; /* of one connection of a client: to so many places at a time */

/* The upstream sessions of one connection of a client. */
struct pins {
	struct link all; /* struct pin, the one that was used last at the end */
	uint32_t count;
	/* One has ended by itself: what the client believes to be authenticated is so no more. At any moment; nothing is freed inside. May be NULL. */
	void (*on_lost)(struct pins *pins);
};

void pins_init(struct pins *pins, void (*on_lost)(struct pins *pins));
/* The client's connection has ended, or is for something else now. Sessions on which exchanges run end with those. Harmless when there are none. */
void pins_end(struct pins *pins);

/*
 * Nobody but `pins` has the session from now on, as the one to the place that `key` (copied) stands for. An exchange runs on it, or it was taken for one. Without
 * pins (NULL), memory, or room among them it is nobody's, and ends with what runs on it.
 */
void session_pin(struct session *session, struct worker *worker, struct pins *pins, struct span key);

/* A session to this place on which nothing runs, to be opened or discarded at once; NULL: there is none. `pins` may be NULL, as below. */
struct session *pins_take(struct pins *pins, struct span key);
/* The key of one on which nothing runs, that begins so; empty: there is none. Lives as long as the pin. */
struct span pins_find(const struct pins *pins, struct span prefix);

/* For sessions that are for one exchange only, or for those that run on them already. */
extern const struct session_owner_ops session_alone_ops;

#endif
