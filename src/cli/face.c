/*
 * What `guise forward` and `guise reverse` share. See face.h.
 */
#include "cli/face.h"

#include "config/listen.h"

#include <string.h>

const char *const face_logs[] = {"off", "json", "combined", NULL};

bool face_add(const struct command *command, const char *option, struct face_values *values, const char *value)
{
	if (values->count == FACE_MOST) {
		command_usage(command, "--%s is given more than %d times", option, FACE_MOST);
		return false;
	}
	values->items[values->count++] = value;
	return true;
}

bool face_check_listen(const struct command *command, const struct face_values *listen)
{
	if (listen->count == 0) {
		command_usage(command, "where? --listen ADDRESS is missing");
		return false;
	}
	for (size_t i = 0; i < listen->count; i++) {
		struct address address;
		bool dual;
		const char *why = listen_parse(span_of(listen->items[i]), &address, &dual);
		if (why) {
			command_usage(command, "--listen: %s: \"%s\"", why, listen->items[i]);
			return false;
		}
	}
	return true;
}

bool face_check_choice(const struct command *command, const char *option, const char *value,
		       const char *const *choices)
{
	const char *near;
	char list[200];
	size_t used = 0;

	for (size_t i = 0; choices[i]; i++)
		if (strcmp(value, choices[i]) == 0)
			return true;
	for (size_t i = 0; choices[i] && used < sizeof(list); i++)
		used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s",
					 i == 0 ? "" : (choices[i + 1] ? ", " : " or "), choices[i]);
	near = strlen(value) <= 64 ? diagnostics_suggest(value, choices) : NULL;
	command_usage(command, "--%s takes %s, not \"%s\"%s%s%s", option, list, value,
		      near ? ", did you mean \"" : "", near ? near : "", near ? "\"?" : "");
	return false;
}

void face_write_list(struct start_yaml *yaml, const char *key, const struct face_values *values)
{
	fprintf(yaml->out, "%s: [", key);
	for (size_t i = 0; i < values->count; i++) {
		if (i > 0)
			fputs(", ", yaml->out);
		start_yaml_value(yaml, values->items[i]);
	}
	fputc(']', yaml->out);
}

void face_write_log(struct start_yaml *yaml, const char *log)
{
	if (!log)
		return;
	if (strcmp(log, "off") == 0)
		fputs("log: {access: off}\n", yaml->out);
	else
		fprintf(yaml->out, "log: {format: %s}\n", log);
}
