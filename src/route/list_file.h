/*
 * From the text of a list to its table. A line has one entry, in one of two ways:
 *
 *   plain   a name, which stands for itself and all names below it (".name" too); "=name" for itself alone, "*.name" for those below it alone;
 *           an address or a network
 *   hosts   an address, of whatever value, and names, as /etc/hosts has them; they are taken like plain ones, but those of one label (localhost)
 *           for themselves alone
 *
 * What follows "#" at the beginning of a line or after a blank is a comment. Lines end in LF or CRLF; a BOM is passed over. What is neither is counted, with the
 * first such lines by number, and left out. Text comes in pieces of any size; one thread.
 */
#ifndef GUISE_ROUTE_LIST_FILE_H
#define GUISE_ROUTE_LIST_FILE_H

#include "route/domain_list.h"

enum list_format {
	LIST_AUTO, /* line by line: with names behind an address it is a line of hosts */
	LIST_PLAIN,
	LIST_HOSTS,
};

enum {
	LIST_LINE_MOST = 4096, /* bytes; a longer one is wrong */
	LIST_WRONG_SHOWN = 3,
};

struct list_wrong {
	uint64_t line;   /* from 1 */
	const char *why; /* static */
};

struct list_report {
	uint64_t lines, comments;
	uint64_t wrong; /* lines that could not be used */
	struct list_wrong first[LIST_WRONG_SHOWN];
};

/* Something that grows by doubling. */
struct list_bytes {
	uint8_t *at;
	size_t len, room;
};

struct list_reader {
	struct memory *memory;
	enum list_format format;
	struct list_report report;
	struct list_bytes names;  /* entries: see domain_list_internal.h */
	struct list_bytes v4, v6; /* struct range4, struct range6 */
	uint64_t count;           /* of names */
	size_t pending;           /* bytes in `line` of one that has not ended */
	bool skips;               /* the rest of a line that is too long */
	bool full;                /* out of memory */
	uint8_t line[LIST_LINE_MOST];
};

/* `expected`: bytes of the text, as far as known. */
void list_reader_start(struct list_reader *reader, struct memory *memory, enum list_format format,
		       size_t expected);
void list_reader_feed(struct list_reader *reader, struct span text);
/* The table; NULL: out of memory. The reader is over in any case, but for its report. */
WARN_UNUSED struct domain_list *list_reader_finish(struct list_reader *reader);
void list_reader_drop(struct list_reader *reader); /* without a table */

#endif
