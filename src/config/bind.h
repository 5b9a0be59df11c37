/*
 * From a YAML tree to a settings struct, by the rows of the table: defaults, types, units, bounds, environment variables,
 * `file:` values. Every mistake becomes a diagnostic with its place, and binding goes on. Start-up and control thread.
 */
#ifndef GUISE_CONFIG_BIND_H
#define GUISE_CONFIG_BIND_H

#include "config/node.h"

struct bind {
	struct arena *arena; /* what the struct points to lives here */
	struct diagnostics *diagnostics;
	const char *base;   /* directory that relative `file:` paths start from; NULL: `file:` is refused */
	bool out_of_memory; /* set when an allocation failed: the struct is not to be used */
};

/*
 * Fills `object`, cleared memory of the struct that `rows` describe. What is not in the tree gets its default; a
 * value that is wrong is reported and leaves the default. `shorthand` names the row that a scalar or a list stands for, or NULL.
 */
void bind_struct(struct bind *bind, const struct setting *rows, const char *shorthand, void *object,
		 const struct node *node, const char *name);

/* One value by itself, for the tests of the table's examples. */
void bind_setting(struct bind *bind, const struct setting *row, void *object, const struct node *node);

#endif
