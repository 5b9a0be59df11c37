/*
 * Entity tags (RFC 9110 8.8.3) and lists of them, as conditions have them (RFC 9110 13.1). Pure; any thread.
 *
 * A tag is not a quoted string: a backslash in it is a byte like others, and so is a comma. What stands between the quotes may be any byte but a
 * quote here: servers write spaces, too.
 */
#ifndef GUISE_MASK_ENTITY_TAG_H
#define GUISE_MASK_ENTITY_TAG_H

#include "core/span.h"

struct entity_tag {
	bool weak;
	struct span opaque; /* between the quotes; may be empty */
};

/* The whole text is one tag. */
WARN_UNUSED bool entity_tag_parse(struct span text, struct entity_tag *tag);

enum entity_tag_member {
	ENTITY_TAG_END,
	ENTITY_TAG_ONE,   /* *tag */
	ENTITY_TAG_ANY,   /* "*" */
	ENTITY_TAG_OTHER, /* neither */
};

/* Walks the members of a list; start with *rest = the value. Empty members are skipped. */
enum entity_tag_member entity_tag_next(struct span *rest, struct entity_tag *tag);

#endif
