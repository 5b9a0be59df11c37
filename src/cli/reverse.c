/*
 * guise reverse: one reverse listener without a file.
 */
#include "cli/command_internal.h"
#include "cli/face.h"

enum { OPTION_LISTEN, OPTION_TO, OPTION_LOG };

static bool check_servers(const struct command *command, const struct face_values *to)
{
	if (to->count == 0) {
		command_usage(command, "to which server? --to ADDRESS is missing");
		return false;
	}
	for (size_t i = 0; i < to->count; i++) {
		const char *why = upstream_check_address(to->items[i], strlen(to->items[i]));
		if (why) {
			command_usage(command, "--to: %s: \"%s\"", why, to->items[i]);
			return false;
		}
	}
	return true;
}

static int start(const struct face_values *listen, const struct face_values *to, const char *log)
{
	struct start_yaml yaml;

	if (!start_yaml_open(&yaml))
		return EXIT_FAILED;
	fputs("reverse: [{", yaml.out);
	face_write_list(&yaml, "listen", listen);
	fputs(", routes: [{to: servers}]}]\nupstreams: {", yaml.out);
	face_write_list(&yaml, "servers", to);
	fputs("}\n", yaml.out);
	face_write_log(&yaml, log);
	return start_yaml_run(&yaml, NULL);
}

static int run(const struct command *command, int argc, char **argv)
{
	struct face_values listen = {.count = 0}, to = {.count = 0};
	const char *argument, *log = NULL;
	int option, status = EXIT_USAGE;

	while ((option = command_option_next(command, argc, argv, &argument, &status)) >= 0) {
		if (option == OPTION_LISTEN ? !face_add(command, "listen", &listen, argument) :
		    option == OPTION_TO     ? !face_add(command, "to", &to, argument) :
					      !face_check_choice(command, "log", log = argument, face_logs))
			return EXIT_USAGE;
	}
	if (option == COMMAND_STOP)
		return status;
	if (!face_check_listen(command, &listen) || !check_servers(command, &to))
		return EXIT_USAGE;
	return start(&listen, &to, log);
}

static const struct command_option options[] = {
	[OPTION_LISTEN] = {"listen", 'l', "ADDRESS",
			   "ADDRESS:PORT, :PORT (all addresses) or unix:/path; port 0 is any. Repeatable."},
	[OPTION_TO] = {"to", 't', "ADDRESS", "A server: HOST:PORT or unix:/path. Several share the load."},
	[OPTION_LOG] = {"log", 0, "FORMAT", "The access log: off, json or combined."},
	{NULL, 0, NULL, NULL},
};

const struct command command_reverse = {
	.name = "reverse",
	.summary = "Run a reverse proxy without a file.",
	.synopsis = "--listen ADDRESS --to ADDRESS [--to ADDRESS]... [--log FORMAT]",
	.text = "Answers on behalf of servers, which share the load.\n",
	.example = "    guise reverse --listen :8080 --to 127.0.0.1:3000 --to 127.0.0.1:3001\n",
	.options = options,
	.run = run,
};
