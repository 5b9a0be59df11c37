/*
 * The table of subcommands, dispatch and help.
 */
#include "cli/command.h"

#include "cli/command_internal.h"
#include "core/diagnostic.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const struct command *const commands[] = {
	&command_run,   &command_check,  &command_explain, &command_forward,      &command_reverse,
	&command_audit, &command_schema, &command_version, &command_help_command, NULL,
};

enum { OPTIONS_MAX = 16, VALUE_HELP = 1000, VALUE_FIRST = 1001 };

bool command_colour(FILE *out)
{
	const char *no = getenv("NO_COLOR"), *terminal = getenv("TERM");

	return (!no || !*no) && isatty(fileno(out)) && !(terminal && strcmp(terminal, "dumb") == 0);
}

const struct command *command_find(const char *name)
{
	for (size_t i = 0; commands[i]; i++)
		if (strcmp(commands[i]->name, name) == 0)
			return commands[i];
	return NULL;
}

int command_unknown(const char *name)
{
	const char *names[ARRAY_LENGTH(commands)] = {NULL}, *near;

	for (size_t i = 0; commands[i]; i++)
		names[i] = commands[i]->name;
	near = strlen(name) <= 64 ? diagnostics_suggest(name, names) : NULL;
	if (near)
		fprintf(stderr, "guise: unknown command \"%s\", did you mean \"%s\"?\n", name, near);
	else
		fprintf(stderr, "guise: unknown command \"%s\"; \"guise help\" lists those that there are\n",
			name);
	return EXIT_USAGE;
}

int command_usage(const struct command *command, const char *format, ...)
{
	va_list arguments;

	fprintf(stderr, "guise %s: ", command->name);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fprintf(stderr, "\n\"guise %s --help\" shows how it is used\n", command->name);
	return EXIT_USAGE;
}

static void help_option(FILE *out, const struct command_option *option)
{
	char text[80];

	snprintf(text, sizeof(text), "%s%c%s--%s%s%s", option->letter ? "-" : "",
		 option->letter ? option->letter : ' ', option->letter ? ", " : "   ", option->name,
		 option->argument ? " " : "", option->argument ? option->argument : "");
	fprintf(out, "  %-26s %s\n", text, option->help);
}

void command_help(FILE *out, const struct command *command)
{
	static const struct command_option help = {"help", 'h', NULL, "Show this."};

	if (!command) {
		fputs("Guise is an HTTP proxy with two faces: forward, on behalf of clients, and reverse, on behalf of servers.\n\n"
		      "usage: guise COMMAND [OPTION]...\n\n",
		      out);
		for (size_t i = 0; commands[i]; i++)
			fprintf(out, "  %-10s %s\n", commands[i]->name, commands[i]->summary);
		fputs("\n\"guise COMMAND --help\" tells more of each. For example:\n\n"
		      "    guise forward --listen 127.0.0.1:3128\n"
		      "    guise reverse --listen :8080 --to 127.0.0.1:3000\n"
		      "    guise run -c guise.yaml\n",
		      out);
		return;
	}
	fprintf(out, "usage: guise %s%s%s\n\n%s\n", command->name, *command->synopsis ? " " : "",
		command->synopsis, command->text);
	for (const struct command_option *option = command->options; option->name; option++)
		help_option(out, option);
	help_option(out, &help);
	fprintf(out, "\nFor example:\n\n%s", command->example);
}

static int usage_unknown_option(const struct command *command, const char *text)
{
	const char *names[OPTIONS_MAX + 2] = {"help"}, *near = NULL;
	char name[65];
	size_t count = 1, len = strcspn(text, "=");

	for (const struct command_option *option = command->options; option->name; option++)
		names[count++] = option->name;
	names[count] = NULL;
	if (strncmp(text, "--", 2) == 0 && len - 2 < sizeof(name)) {
		memcpy(name, text + 2, len - 2);
		name[len - 2] = '\0';
		near = diagnostics_suggest(name, names);
	}
	if (near)
		return command_usage(command, "unknown option \"%s\", did you mean \"--%s\"?", text, near);
	return command_usage(command, "unknown option \"%s\"", text);
}

/* getopt_long's tables from the command's. */
static void make_options(const struct command *command, char letters[2 * OPTIONS_MAX + 4],
			 struct option longs[OPTIONS_MAX + 2])
{
	size_t count = 0, used = 0;

	letters[used++] = ':'; /* a missing argument is told from an unknown option */
	letters[used++] = 'h';
	longs[count++] = (struct option){"help", no_argument, NULL, VALUE_HELP};
	for (const struct command_option *option = command->options; option->name; option++) {
		ENSURE(count <= OPTIONS_MAX);
		longs[count] = (struct option){option->name, option->argument ? required_argument : no_argument,
					       NULL, VALUE_FIRST + (int)(option - command->options)};
		count++;
		if (option->letter) {
			letters[used++] = option->letter;
			if (option->argument)
				letters[used++] = ':';
		}
	}
	longs[count] = (struct option){0};
	letters[used] = '\0';
}

static int option_of_letter(const struct command *command, int letter)
{
	for (int i = 0; command->options[i].name; i++)
		if (command->options[i].letter == letter)
			return i;
	return COMMAND_STOP;
}

int command_option_next(const struct command *command, int argc, char **argv, const char **argument, int *status)
{
	struct option longs[OPTIONS_MAX + 2];
	char letters[2 * OPTIONS_MAX + 4];
	int value, before = optind;

	make_options(command, letters, longs);
	opterr = 0;
	value = getopt_long(argc, argv, letters, longs, NULL);
	*argument = optarg;
	if (value == 'h' || value == VALUE_HELP) {
		command_help(stdout, command);
		*status = fflush(stdout) == 0 ? EXIT_GOOD : EXIT_FAILED;
		return COMMAND_STOP;
	}
	if (value == ':') {
		*status = command_usage(command, "\"%s\" needs an argument", argv[optind - 1]);
		return COMMAND_STOP;
	}
	if (value == '?') {
		/* optind stays within a group of short options */
		*status = usage_unknown_option(command, argv[optind > before ? optind - 1 : optind]);
		return COMMAND_STOP;
	}
	if (value == -1 && argc - optind > command->operands) {
		*status =
			command_usage(command, "unexpected argument \"%s\"", argv[optind + command->operands]);
		return COMMAND_STOP;
	}
	if (value == -1)
		return COMMAND_DONE;
	return value >= VALUE_FIRST ? value - VALUE_FIRST : option_of_letter(command, value);
}

int command_dispatch(int argc, char **argv)
{
	const struct command *command;

	if (argc < 2) {
		command_help(stderr, NULL);
		return EXIT_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
		command_help(stdout, NULL);
		return fflush(stdout) == 0 ? EXIT_GOOD : EXIT_FAILED;
	}
	if (strcmp(argv[1], "--version") == 0)
		return command_version.run(&command_version, 1, argv + 1);
	if (argv[1][0] == '-') {
		fprintf(stderr,
			"guise: a command comes first, not \"%s\"; \"guise help\" lists those that there are\n",
			argv[1]);
		return EXIT_USAGE;
	}
	command = command_find(argv[1]);
	return command ? command->run(command, argc - 1, argv + 1) : command_unknown(argv[1]);
}
