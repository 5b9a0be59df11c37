/*
 * The subcommands: one table, one file each; and what they share: options, help, usage errors. Main thread.
 */
#ifndef GUISE_CLI_COMMAND_H
#define GUISE_CLI_COMMAND_H

#include "core/base.h"

#include <stdio.h>

enum { EXIT_GOOD = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

struct command_option {
	const char *name;     /* long, without "--" */
	char letter;          /* short, or 0 */
	const char *argument; /* "FILE", or NULL: it takes none */
	const char *help;
};

struct command {
	const char *name;
	const char *summary;                  /* one line, for the list */
	const char *synopsis;                 /* what follows "guise NAME " */
	const char *text;                     /* a paragraph or two for --help; ends with a newline */
	const char *example;                  /* lines of a shell, each ending with a newline */
	const struct command_option *options; /* ends with name == NULL; --help comes by itself */
	int operands; /* arguments that are no options, at most: argv[optind] and on, after COMMAND_DONE */
	int (*run)(const struct command *command, int argc,
		   char **argv); /* argv[0] is the name; the exit status */
};

extern const struct command *const commands[]; /* NULL-terminated */

/* Runs what the arguments of main ask for; the exit status. */
int command_dispatch(int argc, char **argv);

enum { COMMAND_DONE = -1, COMMAND_STOP = -2 };

/*
 * The index of the next option in command->options, its argument in *argument; COMMAND_DONE after the last one; COMMAND_STOP: help was printed
 * or a usage error, and the command ends with *status. More arguments that are no options than command->operands are usage errors.
 */
WARN_UNUSED int command_option_next(const struct command *command, int argc, char **argv,
				    const char **argument, int *status);

/* Says what is wrong and where help is; EXIT_USAGE. */
int command_usage(const struct command *command, const char *format, ...) PRINTF_LIKE(2, 3);

void command_help(FILE *out, const struct command *command); /* NULL: of the whole program */
const struct command *command_find(const char *name);        /* NULL: there is none */
/* "guise: unknown command "chekc", did you mean "check"?"; EXIT_USAGE. */
int command_unknown(const char *name);

/* Whether escape sequences for colours make sense there: a terminal, and NO_COLOR is not set (no-color.org). */
bool command_colour(FILE *out);

#endif
