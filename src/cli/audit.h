/*
 * What the audits of the command line share.
 */
#ifndef GUISE_CLI_AUDIT_H
#define GUISE_CLI_AUDIT_H

#include "audit/report.h"
#include "cli/command.h"
#include "net/address.h"

/* Named "audit KIND"; run with the kind as argv[0]. */
extern const struct command command_audit_forward;
extern const struct command command_audit_reverse;
/* NULL: there is none of that kind. */
const struct command *audit_kind(const char *name);

/* What an option is for. EXIT_GOOD, or a usage error was said. */
typedef int audit_take_fn(const struct command *command, void *choice, int option, const char *argument);
/* All options. False: *status says how it ended. */
WARN_UNUSED bool audit_take_all(const struct command *command, int argc, char **argv, audit_take_fn *take,
				void *choice, int *status);

/* The audit itself. NULL, or why the proxy that was named cannot be one. */
typedef const char *audit_run_fn(void *choice, struct arena *arena, struct audit_report *report);

struct audit_job {
	const struct audit_scale *scale;
	const char *subject, *expect; /* expect: NULL is the best grade */
	enum audit_format format;
	audit_run_fn *run;
	void *choice;
};

/* One audit with its report; the exit status. */
int audit_one(const struct command *command, const struct audit_job *job);

/* Each EXIT_GOOD, or a usage error was said. */
WARN_UNUSED int audit_check_format(const struct command *command, const char *name, enum audit_format *format);
WARN_UNUSED int audit_check_grade(const struct command *command, const struct audit_scale *scale,
				  const char *grade);
/* NAME:PASSWORD of one of two clients; *count: how many there are already. */
WARN_UNUSED int audit_take_user(const struct command *command, const char *users[2], unsigned *count,
				const char *text);
/* An address of this machine: with a port, or bare. */
WARN_UNUSED int audit_take_address(const struct command *command, const char *option, const char *text,
				   bool port, struct address *address);
/* Seconds, as ms. */
WARN_UNUSED int audit_take_timeout(const struct command *command, const char *text, uint64_t *timeout);

#endif
