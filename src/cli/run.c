/*
 * guise run: what a configuration file says.
 */
#include "cli/command_internal.h"
#include "cli/start.h"

static int run(const struct command *command, int argc, char **argv)
{
	const char *argument, *file = NULL;
	struct start start;
	int option, status = EXIT_FAILED;

	while ((option = command_option_next(command, argc, argv, &argument, &status)) >= 0)
		file = argument;
	if (option == COMMAND_STOP)
		return status;
	file = start_file(command, file, &status);
	if (!file)
		return status;
	start_load(&start, file, true);
	status = start.snapshot ? start_server(&start) : EXIT_FAILED;
	start_fini(&start);
	return status;
}

static const struct command_option options[] = {
	{"config", 'c', "FILE", "The configuration; - is standard input. Default: " START_DEFAULT_FILE},
	{NULL, 0, NULL, NULL},
};

const struct command command_run = {
	.name = "run",
	.summary = "Run the proxy that a configuration file describes.",
	.synopsis = "-c FILE",
	.text = "Reads the configuration, binds all listeners, says on standard error what listens where, and then\n"
		"\"guise: ready\". SIGTERM and SIGINT end it: exchanges in flight may end within timeouts.drain.\n",
	.example = "    guise run -c guise.yaml\n",
	.options = options,
	.run = run,
};
