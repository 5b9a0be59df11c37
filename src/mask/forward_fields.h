/*
 * The fields that forward masks know by name. Immutable.
 */
#ifndef GUISE_MASK_FORWARD_FIELDS_H
#define GUISE_MASK_FORWARD_FIELDS_H

/*
 * Rows of a name_set (name_set.h): fields by which proxies, content networks and carriers tell servers who the client is, or that they are there
 * themselves. Nothing that a client's own program sends for its own purposes is among them. Ends with NULL.
 */
extern const char *const forward_telling[];

/*
 * What browsers and other usual programs send of their own: the fields that pass where unknown ones do not. Ends with NULL.
 */
extern const char *const forward_usual[];

#endif
