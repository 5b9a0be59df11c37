/*
 * guise forward: one forward listener without a file.
 */
#include "cli/command_internal.h"
#include "cli/face.h"
#include "net/address.h"

enum {
	OPTION_LISTEN,
	OPTION_MASK,
	OPTION_OPEN,
	OPTION_ALLOW,
	OPTION_BLOCK,
	OPTION_USERS,
	OPTION_PARENT,
	OPTION_LOG
};

struct choice {
	struct face_values listen, allow, block, parent;
	const char *mask, *users, *log;
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
	case OPTION_BLOCK:
		return face_add(command, "block", &choice->block, argument);
	case OPTION_USERS:
		choice->users = argument;
		return true;
	case OPTION_PARENT:
		return face_add(command, "parent", &choice->parent, argument);
	default:
		choice->log = argument;
		return face_check_choice(command, "log", argument, face_logs);
	}
}

/* What is blocked, then what is opened, then everything else; all that is let pass goes through the parents. */
static void write_rules(struct start_yaml *yaml, const struct choice *choice)
{
	const char *proxy = choice->parent.count > 0 ? ", proxy: parents" : "";

	if (choice->allow.count == 0 && choice->block.count == 0 && choice->parent.count == 0)
		return;
	fputs(", rules: [", yaml->out);
	for (size_t i = 0; i < choice->block.count; i++)
		fprintf(yaml->out, "{name: block, deny: {lists: block%zu}}, ", i);
	if (choice->allow.count > 0) {
		fputs("{allow: {", yaml->out);
		face_write_list(yaml, "addresses", &choice->allow);
		fprintf(yaml->out, "}%s}, ", proxy);
	}
	fprintf(yaml->out, "{allow: {}%s}]", proxy);
}

/* What the rules call by name. */
static void write_sections(struct start_yaml *yaml, const struct choice *choice)
{
	if (choice->block.count > 0)
		fputs("lists:\n", yaml->out);
	for (size_t i = 0; i < choice->block.count; i++) {
		fprintf(yaml->out, "  block%zu: ", i);
		start_yaml_value(yaml, choice->block.items[i]);
		fputc('\n', yaml->out);
	}
	if (choice->parent.count > 0) {
		fputs("parents: {", yaml->out);
		face_write_list(yaml, "parents", &choice->parent);
		fputs("}\n", yaml->out);
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
	if (choice->users) {
		fputs(", users: {file: ", yaml.out);
		start_yaml_value(&yaml, choice->users);
		fputc('}', yaml.out);
	}
	write_rules(&yaml, choice);
	fputs("}]\n", yaml.out);
	write_sections(&yaml, choice);
	face_write_log(&yaml, choice->log);
	return start_yaml_run(&yaml, ".");
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
	[OPTION_BLOCK] = {"block", 'b', "FILE",
			  "A list of domains or networks that nobody may reach, or a hosts file. Repeatable."},
	[OPTION_USERS] =
		{"users", 'u', "FILE",
		 "Who may use it: an htpasswd file (htpasswd -B makes one). Default: everybody who can reach it."},
	[OPTION_PARENT] =
		{"parent", 'p', "URL",
		 "A proxy to go through: http, https, socks4a or socks5; the first one that works. Repeatable."},
	[OPTION_LOG] = {"log", 0, "FORMAT", "The access log: off, json or combined."},
	{NULL, 0, NULL, NULL},
};

const struct command command_forward = {
	.name = "forward",
	.summary = "Run a forward proxy without a file.",
	.synopsis =
		"--listen ADDRESS [--mask MASK] [--users FILE] [--open] [--allow NETWORK]... [--block FILE]... [--parent URL]... [--log FORMAT]",
	.text = "Asks on behalf of clients: plain requests, CONNECT tunnels and SOCKS, all on one port. Targets that are not public\n"
		"addresses are refused unless --allow names them. What these options do not say, a file does: see guise run.\n",
	.example =
		"    guise forward --listen 127.0.0.1:3128\n"
		"    curl -x http://127.0.0.1:3128 https://www.example.org/\n"
		"    curl -x socks5h://127.0.0.1:3128 https://www.example.org/\n"
		"    guise forward --listen :3128 --users users.htpasswd --block ads.txt --parent socks5://127.0.0.1:9050\n",
	.options = options,
	.run = run,
};
