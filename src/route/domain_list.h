/*
 * A long list of host names and networks, as block lists are: built once from a file, then immutable and read by all threads. A million names of
 * 20 characters take 37 MB: their text, and a table of 16 bytes for each.
 *
 * A name in the list stands for itself and for all names below it. The table is found by a keyed hash of the name's tails, one for each
 * label; the text is compared, so that no name is taken for another one.
 */
#ifndef GUISE_ROUTE_DOMAIN_LIST_H
#define GUISE_ROUTE_DOMAIN_LIST_H

#include "core/memory.h"
#include "route/host_name.h"

struct domain_list;

void domain_list_free(struct domain_list *list); /* NULL is fine */

bool domain_list_has_name(const struct domain_list *list, const struct host_name *name); /* never a literal */
bool domain_list_has_address(const struct domain_list *list, const struct address *address);
bool domain_list_has_networks(const struct domain_list *list); /* it may have an address */

size_t domain_list_names(const struct domain_list *list);    /* entries, repeated ones once */
size_t domain_list_networks(const struct domain_list *list); /* what is next to each other is one */
size_t domain_list_bytes(const struct domain_list *list);    /* of memory */

#endif
