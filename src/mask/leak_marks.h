/*
 * Whether a text is worth a scan for leaks: most have no dot, and most dots stand between other bytes than those of what is looked for. Compiled with the
 * snapshot, immutable; any thread.
 */
#ifndef GUISE_MASK_LEAK_MARKS_H
#define GUISE_MASK_LEAK_MARKS_H

#include "mask/inside.h"

/* The server of the current try: it may have come from DNS or from a file, and be in no configuration. */
struct leak_server {
	const struct address *address; /* NULL: not known, or it is no IP address */
	struct span name;              /* empty: it has none */
	struct inside_now others;      /* of its group */
};

/* What stands around the first dot of what is looked for. */
struct leak_marks {
	bool everywhere;    /* there is something without a dot: each text is worth it */
	bool colons;        /* there may be addresses of IPv6 */
	bool digits;        /* any dot between digits counts */
	uint64_t dots[256]; /* a bit for the byte before and the one behind */
};

void leak_marks_add(struct leak_marks *marks, uint8_t before, uint8_t behind);

/* For the texts of one response. */
struct leak_look {
	const struct leak_marks *marks;
	bool colons, digits;  /* as of marks, or for the server and the others of its group */
	size_t name, address; /* of the server, like a bit of leak_marks.dots; SIZE_MAX: none */
};

/* `server` may be NULL; it is needed no longer than the call. */
struct leak_look leak_look_at(const struct leak_marks *marks, const struct leak_server *server);

/* False: there is none in the text. True: a scan will tell. */
bool leak_look_finds(const struct leak_look *look, struct span text);

#endif
