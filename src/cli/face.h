/*
 * Options that the subcommands of both faces have.
 */
#ifndef GUISE_CLI_FACE_H
#define GUISE_CLI_FACE_H

#include "cli/start.h"

enum { FACE_MOST = 256 }; /* times that one option may be given */

struct face_values {
	const char *items[FACE_MOST];
	size_t count;
};

/* Each false: a usage error was said. */
WARN_UNUSED bool face_add(const struct command *command, const char *option, struct face_values *values,
			  const char *value);
WARN_UNUSED bool face_check_listen(const struct command *command, const struct face_values *listen);
WARN_UNUSED bool face_check_choice(const struct command *command, const char *option, const char *value,
				   const char *const *choices);

/* `key: ["a", "b"]` within a flow mapping. */
void face_write_list(struct start_yaml *yaml, const char *key, const struct face_values *values);
/* The `log` of the configuration from --log, which may be NULL. */
void face_write_log(struct start_yaml *yaml, const char *log);

extern const char *const face_logs[]; /* choices of --log */

#endif
