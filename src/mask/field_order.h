/*
 * One order and one spelling for fields, so that neither tells which program wrote them. Pure.
 */
#ifndef GUISE_MASK_FIELD_ORDER_H
#define GUISE_MASK_FIELD_ORDER_H

#include "http/field.h"

/*
 * Sorts the fields by name and spells each name in one way: "X-Frame-Options". Fields of one name stay in their order (RFC 9110 5.3); those that were dropped are
 * gone. New names are in fields->arena. False: out of memory.
 */
WARN_UNUSED bool field_order_apply(struct http_fields *fields);

#endif
