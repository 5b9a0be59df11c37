/*
 * guise check: what is wrong with a configuration file, without starting anything.
 */
#include "cli/command_internal.h"
#include "cli/start.h"
#include "config/deviation.h"
#include "config/report.h"
#include "server/names.h"

enum { OPTION_CONFIG, OPTION_QUIET };

static void print_deviations(const struct snapshot *snapshot)
{
	bool first = true;

	for (const struct deviation *deviation = deviations; deviation->section; deviation++) {
		if (!deviation_in_force(deviation, snapshot))
			continue;
		if (first)
			puts("deliberate deviations in force (docs/deviations.md):");
		first = false;
		printf("  %s: %s", deviation->section, deviation->text);
		if (deviation->restore)
			printf("; \"%s\" restores the rule", deviation->restore);
		putchar('\n');
	}
}

/* A name may well resolve on the machine that the configuration is for, and not here: that is no mistake. */
static void warn_of_names(struct start *start)
{
	struct diagnostics names;

	diagnostics_init(&names, &start->arena, start->diagnostics.file);
	names_check(start->snapshot, &names);
	report_print(stderr, &names, true, command_colour(stderr));
}

static int run(const struct command *command, int argc, char **argv)
{
	const char *argument, *file = NULL;
	int option, status = EXIT_FAILED;
	struct start start;
	bool quiet = false;

	while ((option = command_option_next(command, argc, argv, &argument, &status)) >= 0) {
		if (option == OPTION_CONFIG)
			file = argument;
		else
			quiet = true;
	}
	if (option == COMMAND_STOP)
		return status;
	file = start_file(command, file, &status);
	if (!file)
		return status;
	start_load(&start, file, !quiet);
	if (start.snapshot && !quiet) {
		warn_of_names(&start);
		printf("%s: configuration is good\n", start.diagnostics.file);
		print_deviations(start.snapshot);
	}
	status = start.snapshot && fflush(stdout) == 0 ? EXIT_GOOD : EXIT_FAILED;
	start_fini(&start);
	return status;
}

static const struct command_option options[] = {
	[OPTION_CONFIG] = {"config", 'c', "FILE",
			   "The configuration; - is standard input. Default: " START_DEFAULT_FILE},
	[OPTION_QUIET] = {"quiet", 'q', NULL, "Print mistakes only: no warnings, nothing when all is well."},
	{NULL, 0, NULL, NULL},
};

const struct command command_check = {
	.name = "check",
	.summary = "Look for mistakes in a configuration file.",
	.synopsis = "-c FILE [--quiet]",
	.text = "Reads the configuration as \"run\" would, prints every mistake as FILE:LINE:COLUMN: TEXT on standard error,\n"
		"and starts nothing. Names of servers are asked for, and those that do not resolve here and now are warnings\n"
		"(with --quiet, none is asked for). The exit status is 0 when it is good and 1 when it is not.\n",
	.example = "    guise check -c guise.yaml\n",
	.options = options,
	.run = run,
};
