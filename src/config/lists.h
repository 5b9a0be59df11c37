/*
 * Lists of names and networks (`lists`), from their files: at start, and again when one has changed. Main thread.
 */
#ifndef GUISE_CONFIG_LISTS_H
#define GUISE_CONFIG_LISTS_H

#include "config/snapshot.h"
#include "route/list_file.h"

enum { LISTS_FILE_MOST = 1024 * 1024 * 1024 }; /* bytes */

/*
 * Reads all of them into snapshot->lists. A list that cannot be read is an error; lines that are of no use are warned of. False: out of memory.
 */
WARN_UNUSED bool lists_load(struct snapshot *snapshot, const char *base, struct diagnostics *diagnostics);
void lists_release(struct snapshot *snapshot);

/*
 * What the file has now. NULL, and why not (static, or in the arena), when it cannot be read, has no entry among lines that are none, or nothing at
 * all, which is what a file has that is just being written.
 */
WARN_UNUSED struct domain_list *lists_read(const struct list *list, struct memory *memory,
					   struct arena *arena, struct list_report *report, const char **why);

uint64_t lists_signature(const struct list *list, uint64_t *node); /* as files_signature */

/* "12 names, 3 networks; 2 lines are of no use, the first is line 7: ..." In the arena. */
const char *lists_describe(const struct domain_list *table, const struct list_report *report,
			   struct arena *arena);

#endif
