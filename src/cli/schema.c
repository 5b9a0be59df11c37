/*
 * guise schema: the table of settings, for editors and for people.
 */
#include "cli/command_internal.h"
#include "cli/face.h"
#include "config/reference.h"

#include <stdlib.h>

static const char *const formats[] = {"json", "markdown", NULL};

static int run(const struct command *command, int argc, char **argv)
{
	const char *argument, *format = "json";
	int option, status = EXIT_USAGE;
	char *schema;

	while ((option = command_option_next(command, argc, argv, &argument, &status)) >= 0) {
		format = argument;
		if (!face_check_choice(command, "format", format, formats))
			return EXIT_USAGE;
	}
	if (option == COMMAND_STOP)
		return status;
	if (strcmp(format, "markdown") == 0) {
		reference_markdown(stdout);
		return fflush(stdout) == 0 ? EXIT_GOOD : EXIT_FAILED;
	}
	schema = reference_schema();
	if (!schema) {
		fputs("guise: out of memory\n", stderr);
		return EXIT_FAILED;
	}
	puts(schema);
	free(schema);
	return fflush(stdout) == 0 ? EXIT_GOOD : EXIT_FAILED;
}

static const struct command_option options[] = {
	{"format", 'f', "FORMAT", "json (a JSON Schema, the default) or markdown (the reference page)."},
	{NULL, 0, NULL, NULL},
};

const struct command command_schema = {
	.name = "schema",
	.summary = "Print a JSON Schema of the configuration, for editors.",
	.synopsis = "[--format FORMAT]",
	.text = "Prints what a configuration may hold. With the YAML language server, a first line such as\n"
		"\"# yaml-language-server: $schema=guise.schema.json\" makes an editor complete and check keys.\n",
	.example = "    guise schema > guise.schema.json\n",
	.options = options,
	.run = run,
};
