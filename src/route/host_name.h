/*
 * The host that a client asks for, prepared once for all conditions of all rules that look at names: in lower case, without the dot at its end, taken apart
 * into labels. Pure.
 */
#ifndef GUISE_ROUTE_HOST_NAME_H
#define GUISE_ROUTE_HOST_NAME_H

#include "net/address.h"
#include "route/domain.h"

enum { HOST_LABELS_MOST = (DOMAIN_MAX + 1) / 2 };

struct host_name {
	uint8_t len;    /* 0: there is none, or it is longer than any name; nothing holds for it */
	uint8_t labels; /* 0: a literal */
	uint8_t starts[HOST_LABELS_MOST]; /* where each label begins */
	uint8_t text[DOMAIN_MAX];
};

/* `host`: a name or a literal without brackets. A literal is written as RFC 5952 and RFC 3986 have it, whatever its spelling was. */
void host_name_read(struct host_name *name, struct span host);

static inline struct span host_name_text(const struct host_name *name)
{
	return span_make(name->text, name->len);
}

/* The last `labels` of its labels, from 1 to all of them. */
static inline struct span host_name_tail(const struct host_name *name, unsigned labels)
{
	return span_from(host_name_text(name), name->starts[name->labels - labels]);
}

#endif
