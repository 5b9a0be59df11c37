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

/* Prints it to the standard output; the exit status. */
int audit_finish(const struct audit_report *report, enum audit_format format);

/* Each EXIT_GOOD, or a usage error was said. */
WARN_UNUSED int audit_check_format(const struct command *command, const char *name, enum audit_format *format);
WARN_UNUSED int audit_check_grade(const struct command *command, const struct audit_scale *scale,
				  const char *grade);
/* An address of this machine: with a port, or bare. */
WARN_UNUSED int audit_take_address(const struct command *command, const char *option, const char *text,
				   bool port, struct address *address);
/* Seconds, as ms. */
WARN_UNUSED int audit_take_timeout(const struct command *command, const char *text, uint64_t *timeout);

#endif
