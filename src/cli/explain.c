/*
 * guise explain: what would become of a request, from the configuration alone or as a running Guise sees it.
 */
#include "admin/explain.h"

#include "cli/admin_client.h"
#include "cli/command_internal.h"
#include "cli/explain_print.h"
#include "cli/start.h"
#include "server/offline.h"

#include <getopt.h>
#include <stdlib.h>

enum {
	OPTION_CONFIG,
	OPTION_HEADER,
	OPTION_METHOD,
	OPTION_CLIENT,
	OPTION_USER,
	OPTION_VIA,
	OPTION_LISTENER,
	OPTION_ADMIN,
	OPTION_JSON,
};

struct question {
	struct explain_ask ask;
	const char *file, *admin;
	bool json;
};

/* ---- options ---- */

/* False: a usage error was said. */
static bool take_header(const struct command *command, struct explain_ask *ask, const char *text)
{
	struct span name, value;

	if (ask->header_count == EXPLAIN_HEADERS_MOST) {
		command_usage(command, "more than %d fields are not explained", EXPLAIN_HEADERS_MOST);
		return false;
	}
	if (!span_cut(span_of(text), ':', &name, &value)) {
		command_usage(command, "--header: \"%s\" is no field, as in \"Name: value\"", text);
		return false;
	}
	ask->headers[ask->header_count++] = span_of(text);
	return true;
}

static bool take_via(const struct command *command, struct explain_ask *ask, const char *text)
{
	ask->forward = strcmp(text, "forward") == 0;
	if (!ask->forward && strcmp(text, "reverse") != 0) {
		command_usage(command, "--via: it is \"forward\" or \"reverse\", not \"%s\"", text);
		return false;
	}
	return true;
}

static bool take_admin(const struct command *command, struct question *question, const char *text)
{
	const char *why = admin_client_check(text);

	if (why)
		command_usage(command, "--admin: %s", why);
	question->admin = text;
	return !why;
}

static bool take_option(const struct command *command, struct question *question, int option,
			const char *argument)
{
	struct explain_ask *ask = &question->ask;

	switch (option) {
	case OPTION_CONFIG:
		question->file = argument;
		return true;
	case OPTION_HEADER:
		return take_header(command, ask, argument);
	case OPTION_METHOD:
		ask->method = span_of(argument);
		return true;
	case OPTION_CLIENT:
		ask->client = span_of(argument);
		return true;
	case OPTION_USER:
		ask->user = span_of(argument);
		return true;
	case OPTION_VIA:
		return take_via(command, ask, argument);
	case OPTION_LISTENER:
		ask->listener = span_of(argument);
		return true;
	case OPTION_ADMIN:
		return take_admin(command, question, argument);
	default:
		question->json = true;
		return true;
	}
}

/* ---- from the configuration alone ---- */

static bool ask_offline(const struct command *command, const struct question *question,
			struct offline *offline, struct arena *arena, struct span *text)
{
	struct explain_wrong wrong;
	struct json json;

	json_start(&json, arena);
	if (!explain_write(offline_admin(offline), offline_worker(offline), &question->ask, &json, &wrong)) {
		fprintf(stderr, "guise %s: %.*s\n", command->name, SPAN_ARG(wrong.text));
		return false;
	}
	*text = json_end(&json);
	return text->at;
}

static bool answer_offline(const struct command *command, const struct question *question, const char *file,
			   struct arena *arena, struct span *text)
{
	struct offline *offline;
	struct start start;
	bool good = false;

	start_load(&start, file, false);
	if (start.snapshot) {
		offline = offline_new(start.snapshot);
		if (offline)
			good = ask_offline(command, question, offline, arena, text);
		else
			fprintf(stderr, "guise %s: out of memory\n", command->name);
		offline_free(offline);
	}
	start_fini(&start);
	return good;
}

/* ---- as a running Guise sees it ---- */

static struct span add_argument(struct span target, const char *name, struct span value, struct arena *arena)
{
	struct span encoded = admin_client_encode(value, arena);

	if (!target.at || !encoded.at || value.len == 0)
		return encoded.at ? target : encoded;
	return arena_format(arena, "%.*s%s%s=%.*s", SPAN_ARG(target), span_find(target, '?') < 0 ? "?" : "&",
			    name, SPAN_ARG(encoded));
}

static struct span target_of(const struct explain_ask *ask, struct arena *arena)
{
	struct span target = SPAN("/explain");

	target = add_argument(target, "url", ask->url, arena);
	target = add_argument(target, "method", ask->method, arena);
	target = add_argument(target, "client", ask->client, arena);
	target = add_argument(target, "user", ask->user, arena);
	target = add_argument(target, "listener", ask->listener, arena);
	target = add_argument(target, "via", ask->forward ? SPAN("forward") : SPAN(""), arena);
	for (size_t i = 0; i < ask->header_count; i++)
		target = add_argument(target, "header", ask->headers[i], arena);
	return target;
}

static bool answer_running(const struct command *command, const struct question *question,
			   struct arena *arena, struct span *text)
{
	struct span target = target_of(&question->ask, arena);
	struct admin_answer answer;
	const char *why = "out of memory";

	if (target.at)
		why = admin_client_get(question->admin, target, arena, &answer);
	if (why) {
		fprintf(stderr, "guise %s: %s\n", command->name, why);
		return false;
	}
	if (answer.status != 200) {
		explain_print_refusal(stderr, answer.body, answer.status);
		return false;
	}
	*text = answer.body;
	return true;
}

/* ---- all of it ---- */

static int print(const struct question *question, struct span text)
{
	bool good = true;

	if (question->json)
		fwrite(text.at, 1, text.len, stdout);
	else
		good = explain_print(stdout, text, question->admin != NULL, command_colour(stdout));
	if (!good)
		fputs("guise explain: the answer cannot be read\n", stderr);
	return good && fflush(stdout) == 0 ? EXIT_GOOD : EXIT_FAILED;
}

static int answer(const struct command *command, const struct question *question)
{
	const char *file = NULL;
	struct memory memory;
	struct arena arena;
	struct span text = {0};
	int status = EXIT_FAILED;
	bool good;

	if (!question->admin) {
		file = start_file(command, question->file, &status);
		if (!file)
			return status;
	}
	memory_init(&memory, 0);
	arena_init(&arena, &memory, NULL, NULL, 0);
	good = question->admin ? answer_running(command, question, &arena, &text) :
				 answer_offline(command, question, file, &arena, &text);
	status = good ? print(question, text) : EXIT_FAILED;
	arena_fini(&arena);
	return status;
}

static int run(const struct command *command, int argc, char **argv)
{
	struct question question = {0};
	const char *argument;
	int option, status = EXIT_FAILED;

	while ((option = command_option_next(command, argc, argv, &argument, &status)) >= 0)
		if (!take_option(command, &question, option, argument))
			return EXIT_USAGE;
	if (option == COMMAND_STOP)
		return status;
	if (optind == argc)
		return command_usage(command, "which URL? As in \"guise explain http://example.com/\"");
	if (question.admin && question.file)
		return command_usage(command, "--admin asks a running Guise, which has its configuration: "
					      "it does not go with --config");
	question.ask.url = span_of(argv[optind]);
	return answer(command, &question);
}

static const struct command_option options[] = {
	[OPTION_CONFIG] = {"config", 'c', "FILE",
			   "The configuration; - is standard input. Default: " START_DEFAULT_FILE},
	[OPTION_HEADER] = {"header", 'H', "FIELD",
			   "\"Name: value\", a field of the request; any number of them."},
	[OPTION_METHOD] = {"method", 'X', "METHOD", "Default: GET"},
	[OPTION_CLIENT] = {"client", 0, "ADDRESS", "Who asks. Default: 127.0.0.1"},
	[OPTION_USER] = {"user", 0, "NAME", "Who that is, to a forward listener with \"users\"."},
	[OPTION_VIA] = {"via", 0, "FACE", "forward: through a listener of the forward face."},
	[OPTION_LISTENER] = {"listener", 0, "NAME",
			     "This one: \"reverse[0]\", or its address as the banner says it."},
	[OPTION_ADMIN] = {"admin", 0, "ADDRESS", "Ask the Guise whose \"admin\" listens there."},
	[OPTION_JSON] = {"json", 0, NULL, "For programs."},
	{NULL, 0, NULL, NULL},
};

const struct command command_explain = {
	.name = "explain",
	.summary = "Show what would become of a request.",
	.synopsis = "[-c FILE | --admin ADDRESS] [OPTION]... URL",
	.text = "Which listener takes the request, which route or rule decides and why, what servers would be told, which of them\n"
		"would be picked and why. Nothing is sent anywhere and nobody is looked up. From the configuration alone all servers\n"
		"are taken for well; with --admin, a running Guise says how they are.\n",
	.example = "    guise explain -c guise.yaml http://shop.example:8080/cart\n"
		   "    guise explain -c guise.yaml -X POST -H 'Cookie: uid=7' http://shop.example:8080/orders\n"
		   "    guise explain -c guise.yaml --via forward https://example.com/\n"
		   "    guise explain --admin 127.0.0.1:9900 --json http://shop.example:8080/cart\n",
	.options = options,
	.operands = 1,
	.run = run,
};
