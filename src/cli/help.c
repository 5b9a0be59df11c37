/*
 * guise help: the list of subcommands, or one of them.
 */
#include "cli/command_internal.h"

#include <string.h>

static const struct command_option options[] = {{NULL, 0, NULL, NULL}};

static int run(const struct command *command, int argc, char **argv)
{
	const struct command *about = NULL;

	if (argc > 2)
		return command_usage(command, "unexpected argument \"%s\"", argv[2]);
	if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
		about = command;
	} else if (argc == 2 && argv[1][0] == '-') {
		return command_usage(command, "unknown option \"%s\"", argv[1]);
	} else if (argc == 2) {
		about = command_find(argv[1]);
		if (!about)
			return command_unknown(argv[1]);
	}
	command_help(stdout, about);
	return fflush(stdout) == 0 ? EXIT_GOOD : EXIT_FAILED;
}

const struct command command_help_command = {
	.name = "help",
	.summary = "List the commands, or show how one is used.",
	.synopsis = "[COMMAND]",
	.text = "Without a command, lists them all.\n",
	.example = "    guise help forward\n",
	.options = options,
	.run = run,
};
