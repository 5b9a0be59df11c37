/*
 * The one place that reads files for a configuration: the configuration itself, `file:` values, /etc/hosts. Control
 * thread or start-up only. (Kept apart so that a process with other rights can take it over.)
 */
#ifndef GUISE_CONFIG_FILES_H
#define GUISE_CONFIG_FILES_H

#include "core/arena.h"

enum { FILES_MAX_SIZE = 16 * 1024 * 1024 }; /* bytes of one file */

/*
 * Reads a whole regular file (or pipe) into the arena, with a NUL after it that is not counted. A relative path is relative to
 * `base`, a directory ("" or NULL: the current one); "-" as path with a NULL base is standard input. NULL: good; else why not,
 * static or in the arena.
 */
WARN_UNUSED const char *files_read(struct arena *arena, const char *base, const char *path,
				   struct span *content);

/* The same for a file that a configuration names; one whose `base` is NULL may name none. */
WARN_UNUSED const char *files_read_named(struct arena *arena, const char *base, const char *path,
					 struct span *content);

/*
 * Changes when the file does: which one it is, how large, when it was written. `node`: which one it is alone. 0: it cannot be looked at. Any
 * thread; nothing is read.
 */
uint64_t files_signature(const char *base, const char *path, uint64_t *node);

/* A path as files_read opens it; in the arena, or `path` itself. NULL: out of memory. */
WARN_UNUSED const char *files_path(struct arena *arena, const char *base, const char *path);

/* The directory of a path, "" if it names none; in the arena. NULL: out of memory. */
WARN_UNUSED const char *files_directory(struct arena *arena, const char *path);

#endif
