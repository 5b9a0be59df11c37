/*
 * guise audit reverse.
 */
#include "audit/reverse.h"

#include "cli/audit.h"
#include "cli/command_internal.h"
#include "cli/face.h"

enum {
	OPTION_PROXY,
	OPTION_ORIGIN_LISTEN,
	OPTION_HOST,
	OPTION_INSIDE,
	OPTION_EXPECT,
	OPTION_FORMAT,
	OPTION_TIMEOUT,
};

enum { TIMEOUT = 3000 }; /* ms */

struct choice {
	struct reverse_audit_options audit;
	struct face_values hosts;
	const char *expect;
	enum audit_format format;
};

static int take(const struct command *command, void *of, int option, const char *argument)
{
	struct choice *choice = of;
	struct reverse_audit_options *audit = &choice->audit;

	switch (option) {
	case OPTION_PROXY:
		audit->proxy = argument;
		return EXIT_GOOD;
	case OPTION_ORIGIN_LISTEN:
		return audit_take_address(command, "origin-listen", argument, true, &audit->listen);
	case OPTION_HOST:
		return face_add(command, "host", &choice->hosts, argument) ? EXIT_GOOD : EXIT_USAGE;
	case OPTION_INSIDE:
		audit->inside = argument;
		return EXIT_GOOD;
	case OPTION_EXPECT:
		choice->expect = argument;
		return audit_check_grade(command, &reverse_audit_scale, argument);
	case OPTION_FORMAT:
		return audit_check_format(command, argument, &choice->format);
	default:
		return audit_take_timeout(command, argument, &audit->timeout);
	}
}

static const char *audit(void *of, struct arena *arena, struct audit_report *report)
{
	struct choice *choice = of;

	choice->audit.hosts = choice->hosts.items;
	choice->audit.host_count = (unsigned)choice->hosts.count;
	return reverse_audit_run(&choice->audit, arena, report);
}

static int run(const struct command *command, int argc, char **argv)
{
	struct choice choice = {.audit = {.timeout = TIMEOUT}};
	struct audit_job job = {.scale = &reverse_audit_scale, .run = audit, .choice = &choice};
	int status;

	if (!audit_take_all(command, argc, argv, take, &choice, &status))
		return status;
	if (!choice.audit.proxy)
		return command_usage(command, "--proxy is missing, as in --proxy https://shop.example");
	if (choice.audit.listen.family == ADDRESS_NONE)
		return command_usage(command, "--origin-listen is missing: the address that the proxy has as its "
					      "server, as in --origin-listen 127.0.0.1:8080");
	job.subject = choice.audit.proxy;
	job.expect = choice.expect ? choice.expect : REVERSE_AUDIT_BAR;
	job.format = choice.format;
	return audit_one(command, &job);
}

static const struct command_option options[] = {
	[OPTION_PROXY] = {"proxy", 'p', "URL", "The proxy: http or https, as in https://shop.example."},
	[OPTION_ORIGIN_LISTEN] = {"origin-listen", 'l', "ADDRESS",
				  "Be its server there, ADDRESS:PORT. The proxy must be configured to use it."},
	[OPTION_HOST] = {"host", 0, "NAME",
			 "The host to ask for; may be given many times. Default: that of the URL."},
	[OPTION_INSIDE] = {"inside", 0, "HOST:PORT",
			   "The name by which the proxy knows the server. Default: ADDRESS."},
	[OPTION_EXPECT] = {"expect", 'e', "GRADE",
			   "thin, quiet, masked (default) or same: what is less is a leak."},
	[OPTION_FORMAT] = {"format", 'f', "FORMAT", "text (default), json or junit."},
	[OPTION_TIMEOUT] = {"timeout", 't', "SECONDS", "For one request; default 3."},
	{NULL, 0, NULL, NULL},
};

const struct command command_audit_reverse = {
	.name = "audit reverse",
	.summary = "Show what a reverse proxy tells clients of its servers.",
	.synopsis =
		"--proxy URL --origin-listen ADDRESS [--host NAME]... [--inside HOST:PORT] [--expect GRADE] [--format FORMAT] [--timeout SECONDS]",
	.text = "Plays the most talkative server there is, asks for what it says through the proxy over HTTP/1.1 and HTTP/2, and prints what a client could learn of\n"
		"servers, and what applications need and did not get. The proxy may be any; it has to be configured to use ADDRESS as the server of all that is asked\n"
		"for, over plain HTTP or, where it takes any certificate, TLS. The exit status is 0 when the proxy is as good as expected, else 1. See docs/audit.md.\n",
	.example =
		"    guise reverse --listen :8000 --to 127.0.0.1:9000\n"
		"    guise audit reverse --proxy http://127.0.0.1:8000 --origin-listen 127.0.0.1:9000\n"
		"    guise audit reverse --proxy https://shop.example --origin-listen 10.0.0.7:8080 --inside app-7.internal:8080\n",
	.options = options,
	.run = run,
};
