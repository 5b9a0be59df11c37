/*
 * guise audit: which audit it is; each has options of its own.
 */
#include "cli/audit.h"

#include "cli/command_internal.h"

#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum { TIMEOUT_MOST = 60 }; /* s */

static const struct command *const audits[] = {&command_audit_forward, &command_audit_reverse, NULL};

int audit_finish(const struct audit_report *report, enum audit_format format)
{
	if (!audit_report_print(report, stdout, format, command_colour(stdout))) {
		fputs("guise: the report could not be written\n", stderr);
		return EXIT_FAILED;
	}
	return audit_report_passed(report) ? EXIT_GOOD : EXIT_FAILED;
}

int audit_check_format(const struct command *command, const char *name, enum audit_format *format)
{
	if (audit_format_find(name, format))
		return EXIT_GOOD;
	return command_usage(command, "--format takes text, json or junit, not \"%s\"", name);
}

int audit_check_grade(const struct command *command, const struct audit_scale *scale, const char *grade)
{
	char known[128] = "";
	size_t len = 0;

	for (unsigned i = 0; i < scale->count; i++) {
		if (strcmp(scale->grades[i].name, grade) == 0)
			return EXIT_GOOD;
		len += (size_t)snprintf(known + len, sizeof(known) - len, "%s%s",
					i == 0               ? "" :
					i + 1 < scale->count ? ", " :
							       " or ",
					scale->grades[i].name);
	}
	return command_usage(command, "--expect takes %s, not \"%s\"", known, grade);
}

int audit_take_address(const struct command *command, const char *option, const char *text, bool port,
		       struct address *address)
{
	if (port ? address_parse(span_of(text), address) && address->family != ADDRESS_UNIX :
		   address_parse_ip(span_of(text), address))
		return EXIT_GOOD;
	return command_usage(command, "--%s takes an address of this machine, as in %s, not \"%s\"", option,
			     port ? "127.0.0.1:5353" : "192.0.2.7", text);
}

int audit_take_timeout(const struct command *command, const char *text, uint64_t *timeout)
{
	uint64_t seconds;

	if (!span_to_u64(span_of(text), &seconds) || seconds == 0 || seconds > TIMEOUT_MOST)
		return command_usage(command, "--timeout takes seconds, from 1 to %d, not \"%s\"",
				     TIMEOUT_MOST, text);
	*timeout = seconds * 1000;
	return EXIT_GOOD;
}

static int run(const struct command *command, int argc, char **argv)
{
	const char *argument;
	int status = EXIT_USAGE;

	signal(SIGPIPE, SIG_IGN); /* connections that are probed end as they like */
	for (size_t i = 0; argc > 1 && audits[i]; i++)
		if (strcmp(argv[1], strchr(audits[i]->name, ' ') + 1) == 0)
			return audits[i]->run(audits[i], argc - 1, argv + 1);
	if (command_option_next(command, argc, argv, &argument, &status) == COMMAND_STOP)
		return status;
	if (argc > 1)
		return command_usage(command, "there is no audit called \"%s\"; they are forward and reverse",
				     argv[1]);
	return command_usage(command, "which audit: forward or reverse?");
}

static const struct command_option options[] = {
	{NULL, 0, NULL, NULL},
};

const struct command command_audit = {
	.name = "audit",
	.summary = "Show what a proxy lets others learn: of clients, or of servers.",
	.synopsis = "forward|reverse --proxy URL [OPTION]...",
	.text = "Sends probes through a proxy, Guise or any other, to an observer that plays the other end, and prints each channel by which somebody could learn\n"
		"what the proxy is there to hide, what was seen on it, and a grade. \"guise audit forward --help\" and \"guise audit reverse --help\" tell more.\n"
		"The exit status is 1 when a channel leaks.\n",
	.example = "    guise audit forward --proxy http://127.0.0.1:3128\n",
	.options = options,
	.operands = 1,
	.run = run,
};
