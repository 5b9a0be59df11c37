/*
 * Between the files that bind values.
 */
#ifndef GUISE_CONFIG_BIND_INTERNAL_H
#define GUISE_CONFIG_BIND_INTERNAL_H

#include "config/bind.h"

/* Binds one scalar kind (BOOL, COUNT, SIZE, TIME, CHOICE, STRING); `node` may be of any kind: others are reported. */
void bind_scalar(struct bind *bind, const struct setting *row, void *object, const struct node *node);
void bind_strings(struct bind *bind, const struct setting *row, void *object, const struct node *node);
void bind_map(struct bind *bind, const struct setting *row, void *object, const struct node *node);

/* "WORKERS takes a whole number, not a list" */
void bind_wrong_type(struct bind *bind, const struct setting *row, const struct node *node);

/* The member of an object that the row describes. */
static inline void *bind_at(void *object, size_t offset)
{
	return (char *)object + offset;
}

/*
 * The text of a scalar with its environment variables (expand.c): `${NAME}`, `${NAME:-default}`, `$${` for a literal `${`. False:
 * reported. *substituted (may be NULL) tells whether there was one.
 */
WARN_UNUSED bool bind_expand(struct bind *bind, const struct node *node, struct span *text, bool *substituted);

#endif
