/*
 * guise version.
 */
#include "cli/command_internal.h"

static int run(const struct command *command, int argc, char **argv)
{
	const char *argument;
	int status = EXIT_USAGE;

	if (command_option_next(command, argc, argv, &argument, &status) != COMMAND_DONE)
		return status;
	puts("guise " GUISE_VERSION);
	return fflush(stdout) == 0 ? EXIT_GOOD : EXIT_FAILED;
}

static const struct command_option options[] = {{NULL, 0, NULL, NULL}};

const struct command command_version = {
	.name = "version",
	.summary = "Print the version.",
	.synopsis = "",
	.text = "Prints the name and the version, and nothing else.\n",
	.example = "    guise version\n",
	.options = options,
	.run = run,
};
