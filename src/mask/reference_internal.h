/*
 * What the readers of references share.
 */
#ifndef GUISE_MASK_REFERENCE_INTERNAL_H
#define GUISE_MASK_REFERENCE_INTERNAL_H

#include "mask/reference.h"

enum reference_host {
	HOST_ELSEWHERE,
	HOST_ASKED,  /* what the client asked for */
	HOST_PUBLIC, /* what stands for servers outside */
	HOST_INSIDE, /* a server */
};

/* `host` without brackets, in any case; port 0: none was given. */
enum reference_host reference_judge(const struct reference_map *map, struct span host, uint16_t port);
/* ":8080" at the front of the text; 0: there is none. */
uint16_t reference_port(struct span text);
/* Whether a server is below this name, and nothing that the client may know is. */
bool reference_is_above(const struct reference_map *map, struct span name);
/* Whether any of the text names a server: hosts with a dot, addresses, and any host where a reference has one. */
bool reference_mentions(const struct reference_map *map, struct span text);

/* The path as the client knows it: with the route's prefix replaced back. False: it is the same. NULL at: out of memory. */
bool reference_path(const struct reference_map *map, struct span path, struct span *public);

/* Behind the closing quote of the quoted string that begins at `at`; or the end of the text. */
size_t reference_quoted_end(struct span text, size_t at);

/* A value that is being put together. */
struct reference_text {
	struct arena *arena; /* NULL: only counted */
	uint8_t *at;
	size_t len, room;
	bool failed; /* out of memory */
};

void reference_add(struct reference_text *text, struct span more);
/* The end of a reader that has put together `text`: *value, unless there was no memory; an empty one goes. */
enum reference_fate reference_finish(const struct reference_text *text, struct span *value);

#endif
