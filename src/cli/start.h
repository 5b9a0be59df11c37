/*
 * From a configuration to a running server: shared by the subcommands that start one, and by `check`, which does not.
 */
#ifndef GUISE_CLI_START_H
#define GUISE_CLI_START_H

#include "cli/command.h"
#include "config/snapshot.h"

#define START_DEFAULT_FILE "/etc/guise/guise.yaml"

/*
 * The file to read: `given`, or the default one if that is there. NULL: a usage error was said, and *status is set.
 */
const char *start_file(const struct command *command, const char *given, int *status);

struct start {
	struct memory memory;
	struct arena arena; /* the diagnostics' */
	struct diagnostics diagnostics;
	struct snapshot *snapshot; /* NULL: mistakes were printed */
};

/* Loads and prints what is wrong, on standard error; warnings when `warnings`. start_fini in any case. */
void start_load(struct start *start, const char *file, bool warnings);
void start_fini(struct start *start);

/* Runs the server until it is told to stop; the exit status. */
int start_server(struct start *start);

/*
 * Configurations made from options are written as YAML into a stream and read back the same way as a file. A value is quoted,
 * so that it stays one value whatever it holds.
 */
struct start_yaml {
	FILE *out;
	char *text;
	size_t len;
};

WARN_UNUSED bool start_yaml_open(struct start_yaml *yaml); /* false: out of memory */
void start_yaml_value(struct start_yaml *yaml, const char *value);
/* Reads what was written, and runs the server with it; files that it names are looked for from `base` on (NULL: it may name none). The exit status. */
int start_yaml_run(struct start_yaml *yaml, const char *base);

#endif
