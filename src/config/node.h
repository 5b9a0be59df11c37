/*
 * A YAML document as a tree in an arena: scalars, lists, mappings, each with its place. Start-up and control thread.
 *
 * What a configuration has no use for is refused here, with its place: several documents, foreign tags, keys that are not
 * scalars, keys given twice, NUL in text. Anchors and aliases work, merge keys (<<) too; a tree that aliases blow up
 * beyond NODE_MAX_COUNT nodes is refused, as is one deeper than NODE_MAX_DEPTH.
 */
#ifndef GUISE_CONFIG_NODE_H
#define GUISE_CONFIG_NODE_H

#include "core/diagnostic.h"
#include "core/span.h"

enum { NODE_MAX_DEPTH = 32, NODE_MAX_COUNT = 200000 };

enum node_kind { NODE_SCALAR, NODE_LIST, NODE_MAPPING };

struct node {
	enum node_kind kind;
	bool plain;    /* scalar: written without quotes */
	bool complete; /* list, mapping: false while its members are read: an alias to it would be endless */
	bool merged, dropped; /* member of a mapping: brought by a merge key; not there after all */
	uint32_t order;       /* among the members of its mapping */
	uint32_t weight;      /* nodes in it, aliases counted as often as they are used */
	struct setting_place place;
	struct span text;          /* scalar: NUL-terminated, without NUL inside */
	struct node *next;         /* in the mapping or list */
	struct node *target;       /* an alias stands here: its value is there */
	struct node *key;          /* member of a mapping: its key */
	struct node *first, **end; /* list, mapping: its members */
	size_t count;
};

/*
 * Reads one document. NULL: mistakes were added to `diagnostics`, or memory ran out (then none were). An empty
 * document is an empty mapping. `text` is UTF-8.
 */
WARN_UNUSED struct node *node_parse(struct arena *arena, struct span text, struct diagnostics *diagnostics);

/* The value that stands at a member: the member itself, or what its alias names. */
static inline const struct node *node_value(const struct node *member)
{
	return member->target ? member->target : member;
}

/* A plain scalar that means "nothing" in YAML: empty, ~ or null. */
bool node_is_null(const struct node *node);

/* "a list", "a mapping", "text" ... for messages. */
const char *node_kind_name(const struct node *node);

/* Bytes as they can stand in a message: at most 60 of them, control bytes escaped. In the arena; never NULL. */
const char *node_quote(struct arena *arena, struct span text);

#endif
