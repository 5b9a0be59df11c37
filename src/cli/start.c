/*
 * Loading a configuration and starting the server with it. See start.h.
 */
#include "cli/start.h"

#include "config/report.h"
#include "server/server.h"

#include <stdlib.h>
#include <unistd.h>

const char *start_file(const struct command *command, const char *given, int *status)
{
	if (given)
		return given;
	if (access(START_DEFAULT_FILE, F_OK) == 0)
		return START_DEFAULT_FILE;
	*status = command_usage(command,
				"which configuration? -c FILE names it; without, it is %s, which is not there",
				START_DEFAULT_FILE);
	return NULL;
}

static void start_init(struct start *start)
{
	memory_init(&start->memory, 0);
	arena_init(&start->arena, &start->memory, NULL, NULL, 0);
	diagnostics_init(&start->diagnostics, &start->arena, NULL);
	start->snapshot = NULL;
}

void start_load(struct start *start, const char *file, bool warnings)
{
	start_init(start);
	start->snapshot = snapshot_load(file, &start->memory, &start->diagnostics);
	report_print(stderr, &start->diagnostics, warnings, command_colour(stderr));
}

void start_fini(struct start *start)
{
	snapshot_release(start->snapshot);
	arena_fini(&start->arena);
}

int start_server(struct start *start)
{
	struct server_options options = {0};

	return server_run(start->snapshot, &options);
}

bool start_yaml_open(struct start_yaml *yaml)
{
	*yaml = (struct start_yaml){0};
	yaml->out = open_memstream(&yaml->text, &yaml->len);
	if (!yaml->out)
		fputs("guise: out of memory\n", stderr);
	return yaml->out;
}

void start_yaml_value(struct start_yaml *yaml, const char *value)
{
	fputc('"', yaml->out);
	for (; *value; value++) {
		if (value[0] == '$' && value[1] == '{')
			fputc('$', yaml->out); /* an option is no place for variables: the shell has its own */
		if (*value == '"' || *value == '\\')
			fputc('\\', yaml->out);
		if ((unsigned char)*value < 0x20)
			fprintf(yaml->out, "\\x%02x", (unsigned char)*value);
		else
			fputc(*value, yaml->out);
	}
	fputc('"', yaml->out);
}

int start_yaml_run(struct start_yaml *yaml, const char *base)
{
	struct start start;
	int status = EXIT_FAILED;

	start_init(&start);
	if (fclose(yaml->out) != 0) {
		fputs("guise: out of memory\n", stderr);
	} else {
		start.snapshot = snapshot_from_yaml(span_make(yaml->text, yaml->len), base, &start.memory,
						    &start.diagnostics);
		report_print(stderr, &start.diagnostics, true, command_colour(stderr));
		if (start.snapshot)
			status = start_server(&start);
	}
	free(yaml->text);
	start_fini(&start);
	return status;
}
