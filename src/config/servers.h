/*
 * Lists of servers that stand in files of their own: YAML or JSON (which is YAML), items as in `servers` of a group. Main thread.
 */
#ifndef GUISE_CONFIG_SERVERS_H
#define GUISE_CONFIG_SERVERS_H

#include "core/arena.h"
#include "core/diagnostic.h"
#include "upstream/plan.h"

enum {
	SERVERS_FILE_MOST = 4 * 1024 * 1024, /* bytes */
	SERVERS_MOST = 10000,
};

/*
 * The list in the text. False: the mistakes are in `diagnostics`, with places in this text; `servers` is then not to be used. The list lives in
 * the arena.
 */
WARN_UNUSED bool servers_parse(struct span text, struct arena *arena, struct diagnostics *diagnostics,
			       struct setting_list *servers);

/* The same for the file of a group, with what the group asks of its servers. Mistakes name the file. */
WARN_UNUSED bool servers_read(const struct upstream_plan *plan, struct arena *arena,
			      struct diagnostics *diagnostics, struct setting_list *servers);

/* Changes when the file does: which one it is, how large, when it was written. `node`: which one it is alone. 0: it cannot be looked at. */
uint64_t servers_signature(const struct upstream_plan *plan, uint64_t *node);

/* What a group asks of its servers beyond what each is by itself. */
void servers_check(const struct upstream_settings *settings, const struct setting_list *servers,
		   struct diagnostics *diagnostics);

#endif
