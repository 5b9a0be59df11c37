/*
 * The running program: binds what the snapshot names, starts the workers, and ends them in good order.
 */
#ifndef GUISE_SERVER_SERVER_H
#define GUISE_SERVER_SERVER_H

#include "config/snapshot.h"

struct server_options {
	bool quiet; /* no banner but "guise: ready" */
};

/*
 * Runs until SIGTERM or SIGINT, then drains (timeouts.drain; a second signal cuts at once). The exit status: 0 after a drain, 1 when it
 * could not start (what and by which key was said on standard error). Call once, from the main thread, before any other
 * thread is started. The snapshot stays the caller's.
 */
int server_run(struct snapshot *snapshot, const struct server_options *options);

#endif
