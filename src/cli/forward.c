/*
 * guise forward: one forward listener without a file.
 */
#include "cli/command_internal.h"
#include "cli/face.h"
#include "net/address.h"

enum { OPTION_LISTEN, OPTION_MASK, OPTION_OPEN, OPTION_ALLOW, OPTION_LOG };

struct choice {
	struct face_values listen, allow;
	const char *mask, *log;
	bool open;
};

static const char *const masks[] = {"transparent", "anonymous", "elite", NULL};

static bool take(const struct command *command, struct choice *choice, int option, const char *argument)
{
	struct network network;

	switch (option) {
	case OPTION_LISTEN:
		return face_add(command, "listen", &choice->listen, argument);
	case OPTION_MASK:
		choice->mask = argument;
		return face_check_choice(command, "mask", argument, masks);
	case OPTION_OPEN:
		choice->open = true;
		return true;
	case OPTION_ALLOW:
		if (!network_parse(span_of(argument), &network)) {
			command_usage(command,
				      "--allow takes an address or a network such as 10.0.0.0/8, not \"%s\"",
				      argument);
			return false;
		}
		return face_add(command, "allow", &choice->allow, argument);
	default:
		choice->log = argument;
		return face_check_choice(command, "log", argument, face_logs);
	}
}

static int start(const struct choice *choice)
{
	struct start_yaml yaml;

	if (!start_yaml_open(&yaml))
		return EXIT_FAILED;
	fputs("forward: [{", yaml.out);
	face_write_list(&yaml, "listen", &choice->listen);
	if (choice->mask)
		fprintf(yaml.out, ", mask: %s", choice->mask);
	if (choice->open)
		fputs(", open: true", yaml.out);
	if (choice->allow.count > 0) {
		fputs(", rules: [{allow: {", yaml.out);
		face_write_list(&yaml, "addresses", &choice->allow);
		fputs("}}, {allow: {}}]", yaml.out);
	}
	fputs("}]\n", yaml.out);
	face_write_log(&yaml, choice->log);
	return start_yaml_run(&yaml);
}

static int run(const struct command *command, int argc, char **argv)
{
	struct choice choice = {.open = false};
	const char *argument;
	int option, status = EXIT_USAGE;

	while ((option = command_option_next(command, argc, argv, &argument, &status)) >= 0)
		if (!take(command, &choice, option, argument))
			return EXIT_USAGE;
	if (option == COMMAND_STOP)
		return status;
	if (!face_check_listen(command, &choice.listen))
		return EXIT_USAGE;
	return start(&choice);
}

static const struct command_option options[] = {
	[OPTION_LISTEN] = {"listen", 'l', "ADDRESS",
			   "ADDRESS:PORT, :PORT (all addresses) or unix:/path; port 0 is any. Repeatable."},
	[OPTION_MASK] = {"mask", 'm', "MASK", "transparent, anonymous or elite."},
	[OPTION_OPEN] = {"open", 0, NULL, "Start even if anybody beyond this machine could use it."},
	[OPTION_ALLOW] = {"allow", 0, "NETWORK",
			  "A target that is not public and may be reached all the same. Repeatable."},
	[OPTION_LOG] = {"log", 0, "FORMAT", "The access log: off, json or combined."},
	{NULL, 0, NULL, NULL},
};

const struct command command_forward = {
	.name = "forward",
	.summary = "Run a forward proxy without a file.",
	.synopsis = "--listen ADDRESS [--mask MASK] [--open] [--allow NETWORK]... [--log FORMAT]",
	.text = "Asks on behalf of clients: plain requests and CONNECT tunnels. Targets that are not public addresses are refused\n"
		"unless --allow names them.\n",
	.example = "    guise forward --listen 127.0.0.1:3128\n"
		   "    curl -x http://127.0.0.1:3128 https://www.example.org/\n",
	.options = options,
	.run = run,
};
