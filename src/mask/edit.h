/*
 * Field edits of a route: remove, then set, then add. Compiled and checked with the snapshot, immutable; applied on
 * workers.
 */
#ifndef GUISE_MASK_EDIT_H
#define GUISE_MASK_EDIT_H

#include "mask/template.h"

struct edits;

/* Why no edit may touch this field, or NULL. */
const char *edit_untouchable(enum http_field_id id);

/*
 * False after diagnostics: a name that is no token, a value that is no template, or a field that belongs to framing
 * and the connection (Host, Content-Length, Transfer-Encoding, Connection, Keep-Alive, Proxy-Connection, TE, Trailer,
 * Upgrade). *edits is NULL when there is nothing to do.
 */
WARN_UNUSED bool edits_compile(const struct setting_pairs *set, const struct setting_pairs *add,
			       const struct setting_strings *remove, struct arena *arena,
			       struct diagnostics *diagnostics, const struct edits **edits);

/* `edits` may be NULL. Values are rendered into fields->arena. False: out of memory (fields may be edited in part). */
WARN_UNUSED bool edits_apply(const struct edits *edits, struct http_fields *fields,
			     const struct template_context *context);

/* Drops what the edits remove or set: for interim responses and trailers, which get no fields of ours. */
void edits_hide(const struct edits *edits, struct http_fields *fields);

#endif
