/*
 * One active check of one server, from the first packet to the verdict. On the control thread.
 */
#ifndef GUISE_UPSTREAM_HEALTH_PROBE_H
#define GUISE_UPSTREAM_HEALTH_PROBE_H

#include "exchange/subrequest.h"
#include "upstream/acquire.h"

enum { HEALTH_CONTENT_MOST = 64 * 1024 }; /* bytes that `body` is looked for in */

struct health_probe;

enum health_verdict {
	HEALTH_GOOD,
	HEALTH_BAD,
	HEALTH_UNKNOWN, /* the check could not be made: nothing was learnt of the server */
};

/* Over; the probe may be started again, but not inside. `why` (with all but HEALTH_GOOD) is valid in the call. */
typedef void health_probe_fn(struct health_probe *probe, enum health_verdict verdict, const char *why);

/* A text that is looked for in bytes that come in pieces (Knuth, Morris, Pratt). */
struct health_needle {
	struct span text; /* borrowed; empty: it is found at once */
	uint32_t *borders; /* borders[i]: the longest beginning of the text that also ends its first i + 1 bytes, shorter than those */
};

WARN_UNUSED bool health_needle_init(struct health_needle *needle, struct span text,
				    struct memory *memory); /* false: out of memory */
void health_needle_fini(struct health_needle *needle, struct memory *memory);
/* How much of the text has been found at the end of all bytes so far; `matched`: what this said before them, at first 0. text.len stays. */
size_t health_needle_feed(const struct health_needle *needle, size_t matched, struct span bytes);

struct health_probe {
	health_probe_fn *on_done; /* NULL: none is under way */
	const struct health_needle *needle;
	struct upstream_server *server;
	struct acquire acquire;
	struct subrequest *sub; /* NULL: nothing has been asked */
	struct timer deadline;
	size_t content, matched; /* bytes */
	uint16_t status;         /* that was answered; 0: none yet */
};

/* A member of something that stays where it is. */
void health_probe_init(struct health_probe *probe, struct upstream_server *server,
		       const struct health_needle *needle);
/* on_done follows once, and may do so before this returns. */
void health_probe_start(struct health_probe *probe, health_probe_fn *on_done);
/* Nothing is told any more; harmless when none is under way. */
void health_probe_cancel(struct health_probe *probe);

#endif
