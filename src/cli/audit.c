/*
 * What the audits of the command line share. See audit.h.
 */
#include "cli/audit.h"

#include "cli/command_internal.h"

#include <stdlib.h>
#include <string.h>

enum { TIMEOUT_MOST = 60 }; /* s */

static const struct command *const audits[] = {&command_audit_forward, &command_audit_reverse, NULL};

/* Prints it to the standard output; the exit status. */
static int finish(const struct audit_report *report, enum audit_format format)
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

int audit_take_user(const struct command *command, const char *users[2], unsigned *count, const char *text)
{
	if (*count == 2)
		return command_usage(command, "there are two clients: --user is given twice at most");
	users[(*count)++] = text;
	return EXIT_GOOD;
}

bool audit_take_all(const struct command *command, int argc, char **argv, audit_take_fn *take, void *choice,
		    int *status)
{
	const char *argument;
	int option;

	*status = EXIT_USAGE;
	while ((option = command_option_next(command, argc, argv, &argument, status)) >= 0) {
		*status = take(command, choice, option, argument);
		if (*status != EXIT_GOOD)
			return false;
	}
	return option != COMMAND_STOP;
}

int audit_one(const struct command *command, const struct audit_job *job)
{
	struct memory memory;
	struct arena arena;
	struct audit_report report;
	const char *why;
	int status;

	memory_init(&memory, 0);
	arena_init(&arena, &memory, NULL, NULL, 0);
	audit_report_init(&report, job->scale, job->subject, &arena);
	if (job->expect && !audit_report_expect(&report, job->expect))
		report.incomplete = true;
	why = job->run(job->choice, &arena, &report);
	status = why ? command_usage(command, "--proxy: %s", why) : finish(&report, job->format);
	arena_fini(&arena);
	return status;
}

const struct command *audit_kind(const char *name)
{
	for (size_t i = 0; audits[i]; i++)
		if (strcmp(name, strchr(audits[i]->name, ' ') + 1) == 0)
			return audits[i];
	return NULL;
}
