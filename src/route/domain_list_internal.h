/*
 * What the table of a list and the reader of its file share.
 */
#ifndef GUISE_ROUTE_DOMAIN_LIST_INTERNAL_H
#define GUISE_ROUTE_DOMAIN_LIST_INTERNAL_H

#include "route/list_file.h"

/*
 * Entries stand one behind the other: the length of the name in one byte, and the name in lower case. One of these two before the length says that it does
 * not stand for itself and all below; no name is so long.
 */
enum { ENTRY_EXACT = 254, ENTRY_BELOW = 255 };

struct range4 {
	uint32_t first, last; /* host order */
};

struct range6 {
	uint8_t first[16], last[16];
};

/* Takes all bytes of the reader, in any case. NULL: out of memory. */
struct domain_list *domain_list_build(struct memory *memory, struct list_bytes *names, uint64_t count,
				      struct list_bytes *v4, struct list_bytes *v6);

void list_bytes_free(struct list_bytes *bytes, struct memory *memory);

#endif
