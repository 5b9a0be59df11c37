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

enum {
	PINS_MOST = 8, /* of one connection of a client: to so many places at a time */
	PINS_IDLE_MOST =
		1024, /* on which nothing runs, of all clients, on a worker: then the one that is idle for longest ends */
};

struct pin;

/* The upstream sessions of one connection of a client. Zero has none, and is all that most ever have. */
struct pins {
	struct pin *first; /* the one that was used last */
};

/* The client's connection has ended, or is for something else now. Sessions on which exchanges run end with those. */
void pins_end(struct pins *pins);

/*
 * Nobody but the connection of the exchange's client has the session from now on, as the one to the place that `key` (copied) stands for. The exchange runs on it.
 * If that connection can have none (pins of struct client), or no more, or for want of memory, it is nobody's, and ends with what runs on it.
 */
void session_pin(struct session *session, struct exchange *x, struct span key);

/* A session to this place on which nothing runs, to be opened or discarded at once; NULL: there is none. `pins` may be NULL, as below. */
struct session *pins_take(struct pins *pins, struct span key);
/* The key of one on which nothing runs, that begins so; empty: there is none. Lives as long as the pin. */
struct span pins_find(const struct pins *pins, struct span prefix);

/* Ends the one on this worker whose key begins so and that is idle for longest: its connection is needed for others. False: there is none. */
bool pins_close_idle(struct worker *worker, struct span prefix);

/* For sessions that are for one exchange only, or for those that run on them already. */
extern const struct session_owner_ops session_alone_ops;

#endif
