/*
 * The value of `listen`: where to listen. Pure.
 */
#ifndef GUISE_CONFIG_LISTEN_H
#define GUISE_CONFIG_LISTEN_H

#include "net/address.h"

/*
 * "ADDRESS:PORT", "[IPV6]:PORT", ":PORT" (then *dual, and the address is [::]), "unix:/path", "unix:@name". A unix path points into
 * `text`, which must be NUL-terminated. NULL: good; else why not (static text).
 */
WARN_UNUSED const char *listen_parse(struct span text, struct address *address, bool *dual);

/* Whether both cannot be bound: the same port of the same address. Port 0 never is. */
bool listen_same(const struct address *a, bool a_dual, const struct address *b, bool b_dual);

#endif
