/*
 * The subcommands, each defined in the file of its name.
 */
#ifndef GUISE_CLI_COMMAND_INTERNAL_H
#define GUISE_CLI_COMMAND_INTERNAL_H

#include "cli/command.h"

extern const struct command command_run;
extern const struct command command_check;
extern const struct command command_audit;
extern const struct command command_explain;
extern const struct command command_forward;
extern const struct command command_reverse;
extern const struct command command_schema;
extern const struct command command_version;
extern const struct command command_help_command;

#endif
