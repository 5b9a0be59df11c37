/*
 * guise audit: of a configuration; those of a kind have options of their own.
 */
#include "audit/config.h"
#include "audit/forward.h"
#include "audit/reverse.h"
#include "cli/audit.h"
#include "cli/command_internal.h"
#include "cli/start.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum { OPTION_CONFIG, OPTION_USER, OPTION_EXPECT, OPTION_FORMAT, OPTION_TIMEOUT };

enum { TIMEOUT = 3000 }; /* ms */

struct choice {
	const char *file;
	struct config_audit_options audit;
	enum audit_format format;
	unsigned users;
};

static bool has_grade(const struct audit_scale *scale, const char *name)
{
	for (unsigned i = 0; i < scale->count; i++)
		if (strcmp(scale->grades[i].name, name) == 0)
			return true;
	return false;
}

/* A grade says by its name which face it is for. */
static int take_grade(const struct command *command, struct config_audit_options *audit, const char *grade)
{
	if (has_grade(&forward_audit_scale, grade))
		audit->expect_forward = grade;
	else if (has_grade(&reverse_audit_scale, grade))
		audit->expect_reverse = grade;
	else
		return command_usage(
			command,
			"--expect takes transparent, anonymous or elite for forward listeners, and thin, "
			"quiet, masked or same for reverse ones, not \"%s\"",
			grade);
	return EXIT_GOOD;
}

static int take(const struct command *command, void *of, int option, const char *argument)
{
	struct choice *choice = of;
	struct config_audit_options *audit = &choice->audit;

	switch (option) {
	case OPTION_CONFIG:
		choice->file = argument;
		return EXIT_GOOD;
	case OPTION_USER:
		return audit_take_user(command, audit->users, &choice->users, argument);
	case OPTION_EXPECT:
		return take_grade(command, audit, argument);
	case OPTION_FORMAT:
		return audit_check_format(command, argument, &choice->format);
	default:
		return audit_take_timeout(command, argument, &audit->timeout);
	}
}

static int report_all(const struct config_audit *audit, enum audit_format format)
{
	const struct audit_report *reports[CONFIG_AUDIT_REPORTS];
	bool passed = true, tested = false;

	for (unsigned i = 0; i < audit->count; i++) {
		reports[i] = audit->reports[i];
		tested |= !reports[i]->skipped;
		passed = audit_report_passed(reports[i]) && passed;
	}
	if (!audit_reports_print(reports, audit->count, stdout, format, command_colour(stdout))) {
		fputs("guise: the report could not be written\n", stderr);
		return EXIT_FAILED;
	}
	if (!tested)
		fputs("guise: nothing of this configuration could be tested\n", stderr);
	return passed && tested ? EXIT_GOOD : EXIT_FAILED;
}

static int audit(struct choice *choice, struct start *start)
{
	struct config_audit result;
	struct memory memory;
	struct arena arena;
	int status = EXIT_FAILED;

	memory_init(&memory, 0);
	arena_init(&arena, &memory, NULL, NULL, 0);
	choice->audit.snapshot = start->snapshot;
	if (config_audit_run(&choice->audit, &arena, &result))
		status = report_all(&result, choice->format);
	else
		fprintf(stderr, "guise: %s\n%s%s", result.why, result.advice ? result.advice : "",
			result.advice ? "\n" : "");
	arena_fini(&arena);
	return status;
}

static int run(const struct command *command, int argc, char **argv)
{
	struct choice choice = {.audit = {.timeout = TIMEOUT}};
	struct start start;
	int status;
	const struct command *kind = argc > 1 ? audit_kind(argv[1]) : NULL;

	signal(SIGPIPE, SIG_IGN); /* connections that are probed end as they like */
	if (kind)
		return kind->run(kind, argc - 1, argv + 1);
	if (argc > 1 && argv[1][0] != '-')
		return command_usage(command,
				     "there is no audit called \"%s\"; there are forward, reverse, and -c FILE",
				     argv[1]);
	if (!audit_take_all(command, argc, argv, take, &choice, &status))
		return status;
	choice.file = start_file(command, choice.file, &status);
	if (!choice.file)
		return status;
	start_load(&start, choice.file, false);
	status = start.snapshot ? audit(&choice, &start) : EXIT_FAILED;
	start_fini(&start);
	return status;
}

static const struct command_option options[] = {
	[OPTION_CONFIG] = {"config", 'c', "FILE", "The configuration; - is standard input."},
	[OPTION_USER] = {"user", 'u', "NAME:PASSWORD",
			 "Who asks forward listeners that want to know. A second one is another client."},
	[OPTION_EXPECT] =
		{"expect", 'e', "GRADE",
		 "transparent, anonymous or elite (default) of forward listeners; thin, quiet, masked (default) or same of reverse ones."},
	[OPTION_FORMAT] = {"format", 'f', "FORMAT", "text (default), json or junit."},
	[OPTION_TIMEOUT] = {"timeout", 't', "SECONDS", "For one probe; default 3."},
	{NULL, 0, NULL, NULL},
};

const struct command command_audit = {
	.name = "audit",
	.summary = "Show what a proxy lets others learn: of clients, or of servers.",
	.synopsis =
		"forward|reverse --proxy URL [OPTION]... | -c FILE [--user NAME:PASSWORD] [--expect GRADE]... [--format FORMAT] [--timeout SECONDS]",
	.text = "Sends probes through a proxy, Guise or any other, to an observer that plays the other end, and prints each channel by which somebody could learn\n"
		"what the proxy is there to hide, what was seen on it, and a grade. \"guise audit forward --help\" and \"guise audit reverse --help\" tell more.\n"
		"\n"
		"With -c it is a configuration of Guise that is audited, on its real data path: it runs in a network namespace in which every address is local, and servers,\n"
		"name servers and origins are played by the observer; nothing outside is reached or changed. Each forward and each reverse listener is audited, route by\n"
		"route; what cannot be is said to be not tested, with the reason. This needs the right to make a network namespace.\n"
		"The exit status is 1 when a channel leaks.\n",
	.example = "    guise audit forward --proxy http://127.0.0.1:3128\n"
		   "    guise audit reverse --proxy https://shop.example --origin-listen 10.0.0.7:8080\n"
		   "    guise audit -c guise.yaml --user kim:secret --format junit\n",
	.options = options,
	.operands = 1,
	.run = run,
};
