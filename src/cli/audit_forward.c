/*
 * guise audit forward.
 */
#include "audit/forward.h"

#include "cli/audit.h"
#include "cli/command_internal.h"

enum {
	OPTION_PROXY,
	OPTION_USER,
	OPTION_FROM,
	OPTION_LISTEN,
	OPTION_NAME,
	OPTION_DNS_LISTEN,
	OPTION_EXPECT,
	OPTION_FORMAT,
	OPTION_TIMEOUT,
};

enum { TIMEOUT = 3000 }; /* ms */

struct choice {
	struct forward_audit_options audit;
	const char *expect;
	enum audit_format format;
	unsigned users, from;
};

static int take(const struct command *command, void *of, int option, const char *argument)
{
	struct choice *choice = of;
	struct forward_audit_options *audit = &choice->audit;

	switch (option) {
	case OPTION_PROXY:
		audit->proxy = argument;
		return EXIT_GOOD;
	case OPTION_USER:
		return audit_take_user(command, audit->users, &choice->users, argument);
	case OPTION_FROM:
		if (choice->from == ARRAY_LENGTH(audit->from))
			return command_usage(command, "there are two clients: --from is given twice at most");
		return audit_take_address(command, "from", argument, false, &audit->from[choice->from++]);
	case OPTION_LISTEN:
		return audit_take_address(command, "listen", argument, false, &audit->listen);
	case OPTION_NAME:
		audit->name = argument;
		return EXIT_GOOD;
	case OPTION_DNS_LISTEN:
		return audit_take_address(command, "dns-listen", argument, true, &audit->dns_listen);
	case OPTION_EXPECT:
		choice->expect = argument;
		return audit_check_grade(command, &forward_audit_scale, argument);
	case OPTION_FORMAT:
		return audit_check_format(command, argument, &choice->format);
	default:
		return audit_take_timeout(command, argument, &audit->timeout);
	}
}

static const char *audit(void *of, struct arena *arena, struct audit_report *report)
{
	const struct choice *choice = of;

	return forward_audit_run(&choice->audit, arena, report);
}

static int run(const struct command *command, int argc, char **argv)
{
	struct choice choice = {.audit = {.timeout = TIMEOUT}};
	struct audit_job job = {.scale = &forward_audit_scale, .run = audit, .choice = &choice};
	int status;

	if (!audit_take_all(command, argc, argv, take, &choice, &status))
		return status;
	if (!choice.audit.proxy)
		return command_usage(command, "--proxy is missing, as in --proxy http://127.0.0.1:3128");
	job.subject = choice.audit.proxy;
	job.expect = choice.expect;
	job.format = choice.format;
	return audit_one(command, &job);
}

static const struct command_option options[] = {
	[OPTION_PROXY] = {"proxy", 'p', "URL",
			  "The proxy: http, https, socks4a or socks5, as in http://127.0.0.1:3128."},
	[OPTION_USER] = {"user", 'u', "NAME:PASSWORD",
			 "Who asks, where the proxy wants to know. A second one is another client."},
	[OPTION_FROM] = {"from", 0, "ADDRESS",
			 "An address of this machine to ask from. A second one is another client."},
	[OPTION_LISTEN] = {"listen", 'l', "ADDRESS",
			   "The observer's address. Default: that of this machine towards the proxy."},
	[OPTION_NAME] = {"name", 0, "HOST",
			 "A name of that address that the proxy knows. Default: the address."},
	[OPTION_DNS_LISTEN] =
		{"dns-listen", 0, "ADDRESS",
		 "Be a name server there, ADDRESS:PORT: what does the proxy ask? It must be its resolver."},
	[OPTION_EXPECT] = {"expect", 'e', "GRADE",
			   "transparent, anonymous or elite (default): what is less is a leak."},
	[OPTION_FORMAT] = {"format", 'f', "FORMAT", "text (default), json or junit."},
	[OPTION_TIMEOUT] = {"timeout", 't', "SECONDS", "For one probe; default 3."},
	{NULL, 0, NULL, NULL},
};

const struct command command_audit_forward = {
	.name = "audit forward",
	.summary = "Show what a forward proxy tells servers of its clients.",
	.synopsis =
		"--proxy URL [--user NAME:PASSWORD] [--from ADDRESS] [--listen ADDRESS] [--name HOST] [--dns-listen ADDRESS] [--expect GRADE] [--format FORMAT] [--timeout SECONDS]",
	.text = "Plays a server, sends requests through the proxy to it, and prints what it could learn of the client and of the proxy. The proxy may be any; it\n"
		"has to let its clients reach the observer. The exit status is 0 when the proxy is as good as expected, else 1. See docs/audit.md.\n",
	.example =
		"    guise forward --listen 127.0.0.1:3128 --allow 127.0.0.0/8\n"
		"    guise audit forward --proxy http://127.0.0.1:3128\n"
		"    guise audit forward --proxy socks5://proxy.example:1080 --user kim:secret --expect anonymous --format junit\n",
	.options = options,
	.run = run,
};
