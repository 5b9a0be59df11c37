/*
 * Addresses with ports that some threads keep and all may ask for. Entries are embedded in what they belong to, so that to add one cannot fail. Who asks
 * mostly learns from one atomic that there is nothing; else there is a lock, held for a few comparisons. Any thread.
 *
 * An address may be in the set many times, by as many entries. IPv4-mapped ones are the IPv4 ones that they are.
 */
#ifndef GUISE_NET_ADDRESS_SET_H
#define GUISE_NET_ADDRESS_SET_H

#include "core/list.h"
#include "core/memory.h"
#include "net/address.h"

struct address_set;

struct address_entry {
	struct link link; /* the set's; next is NULL: in none */
	struct address address;
};

WARN_UNUSED struct address_set *address_set_new(struct memory *memory); /* NULL: out of memory */
void address_set_free(struct address_set *set); /* all entries have been removed; NULL is fine */

/* The entry, zero before, stays where it is until it is removed. Of a unix socket it is not added, which is fine for _remove. */
void address_set_add(struct address_set *set, struct address_entry *entry, const struct address *address);
void address_set_remove(struct address_set *set, struct address_entry *entry);

bool address_set_has(struct address_set *set, const struct address *address);
/* For the one who adds and removes: an entry with this address; NULL: there is none. */
struct address_entry *address_set_find(struct address_set *set, const struct address *address);

#endif
