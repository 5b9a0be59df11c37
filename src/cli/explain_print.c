/*
 * See explain_print.h. A column of what it is about, and beside it what is said of that.
 */
#include "cli/explain_print.h"

#include <jansson.h>
#include <stdarg.h>
#include <string.h>

enum { COLUMN = 11 };

struct printer {
	FILE *out;
	bool colour, running;
	const char *subject; /* for the next line, then none */
};

static const char bold[] = "\033[1m", green[] = "\033[32m", red[] = "\033[31m", dim[] = "\033[2m",
		  plain[] = "\033[0m";

/* ---- what is in it ---- */

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

static long long number_of(const json_t *object, const char *key)
{
	return (long long)json_integer_value(json_object_get(object, key));
}

static bool is_true(const json_t *object, const char *key)
{
	return json_is_true(json_object_get(object, key));
}

static bool has(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	return value && !json_is_null(value) && !(json_is_array(value) && json_array_size(value) == 0);
}

static bool is(const json_t *object, const char *key, const char *text)
{
	return strcmp(text_of(object, key), text) == 0;
}

/* ---- lines ---- */

/* What a peer or a file chose does nothing to the terminal. */
static void put_safe(struct printer *printer, const char *text)
{
	for (; *text; text++)
		fputc((unsigned char)*text < 0x20 || *text == 0x7f ? '?' : *text, printer->out);
}

static void put_colour(struct printer *printer, const char *sequence)
{
	if (printer->colour)
		fputs(sequence, printer->out);
}

static void line(struct printer *printer, const char *colour, const char *format, ...) PRINTF_LIKE(3, 4);

static void line(struct printer *printer, const char *colour, const char *format, ...)
{
	char text[2048];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	put_colour(printer, bold);
	fprintf(printer->out, "%-*s", COLUMN, printer->subject);
	put_colour(printer, plain);
	if (colour)
		put_colour(printer, colour);
	put_safe(printer, text);
	if (colour)
		put_colour(printer, plain);
	fputc('\n', printer->out);
	printer->subject = "";
}

/* " (guise.yaml:3:5)" */
static const char *place_of(const json_t *object, char room[512])
{
	if (!has(object, "place"))
		return "";
	snprintf(room, 512, " (%.500s)", text_of(object, "place"));
	return room;
}

/* ---- who listens ---- */

static void print_listener(struct printer *printer, const json_t *all)
{
	const json_t *listener = json_object_get(all, "listener"), *other;
	char place[512];
	size_t i;

	printer->subject = "listener";
	line(printer, NULL, "%s on %s%s: %s", text_of(listener, "name"), text_of(listener, "address"),
	     place_of(listener, place), text_of(listener, "why"));
	json_array_foreach(json_object_get(listener, "others"), i, other)
	{
		line(printer, dim, "%s would take it too: which one does is a matter of addresses",
		     json_string_value(other) ? json_string_value(other) : "");
	}
	if (has(all, "client")) {
		printer->subject = "client";
		if (has(all, "user"))
			line(printer, NULL, "%s, the user \"%s\"", text_of(all, "client"),
			     text_of(all, "user"));
		else
			line(printer, NULL, "%s", text_of(all, "client"));
	}
}

/* ---- routes and rules ---- */

static void print_near(struct printer *printer, const json_t *near)
{
	const json_t *failed = json_array_get(json_object_get(near, "failed"), 0);
	char place[512];

	line(printer, dim, "not route %lld%s: %s has to be %s", number_of(near, "index"),
	     place_of(near, place), text_of(failed, "what"), text_of(failed, "text"));
}

static void print_route(struct printer *printer, const json_t *all)
{
	const json_t *route = json_object_get(all, "route"), *item;
	char place[512];
	size_t i;

	if (!route)
		return;
	printer->subject = "route";
	if (json_is_null(route)) {
		line(printer, NULL, "none%s", is(all, "phase", "route") ? "" : ": it does not come to that");
	} else {
		line(printer, NULL, "route %lld%s%s", number_of(route, "index"), place_of(route, place),
		     has(route, "conditions") ? "" : ": takes everything");
		json_array_foreach(json_object_get(route, "conditions"), i, item)
		{
			bool holds = is_true(item, "holds");
			line(printer, holds ? green : red, "%s %s %s", holds ? "+" : "-",
			     text_of(item, "what"), text_of(item, "text"));
		}
	}
	json_array_foreach(json_object_get(all, "nearly"), i, item)
	{
		print_near(printer, item);
	}
}

/* "office, then tor, then direct" */
static void print_names(struct printer *printer, const char *before, const char *between, const json_t *names)
{
	const json_t *name;
	char text[512] = "";
	size_t i, len = 0;

	json_array_foreach(names, i, name)
	{
		if (len < sizeof(text) - 100 && json_string_value(name))
			len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%.64s", len ? between : "",
						json_string_value(name));
	}
	if (len)
		line(printer, NULL, "%s%s", before, text);
}

/* Each of the choices in their order, with its servers. */
static void print_chains(struct printer *printer, const json_t *chains)
{
	const json_t *chain;
	size_t i;

	json_array_foreach(chains, i, chain)
	{
		const char *text = json_string_value(chain);
		line(printer, NULL, "%s%s%s", i ? "then " : "",
		     text && strcmp(text, "direct") != 0 ? "through " : "", text ? text : "");
	}
}

/* Where the rule that decides says how it goes on. */
static void print_way(struct printer *printer, const json_t *way)
{
	printer->subject = "way";
	if (has(way, "chains"))
		print_chains(printer, json_object_get(way, "chains"));
	else
		print_names(printer, "through ", ", then ", json_object_get(way, "proxy"));
	if (has(way, "exit"))
		line(printer, NULL, "exit %s", text_of(way, "exit"));
	if (has(way, "allowance"))
		line(printer, NULL, "allowance %s", text_of(way, "allowance"));
	print_names(printer, "secrets ", ", ", json_object_get(way, "secrets"));
}

static void print_tried(struct printer *printer, const json_t *rules)
{
	const json_t *rule, *condition;
	char place[512];
	size_t i, j;

	json_array_foreach(json_object_get(rules, "tried"), i, rule)
	{
		line(printer, is(rule, "holds", "no") ? dim : NULL, "%s %s%s: %s", text_of(rule, "action"),
		     text_of(rule, "name"), place_of(rule, place),
		     is(rule, "holds", "no")  ? "does not hold" :
		     is(rule, "holds", "yes") ? "holds" :
						"depends on the address");
		json_array_foreach(json_object_get(rule, "conditions"), j, condition)
		{
			bool yes = is(condition, "holds", "yes"), no = is(condition, "holds", "no");
			line(printer,
			     yes ? green :
			     no  ? red :
				   NULL,
			     "  %s %s %s",
			     yes ? "+" :
			     no  ? "-" :
				   "?",
			     text_of(condition, "what"), text_of(condition, "text"));
		}
	}
}

static void print_verdict(struct printer *printer, const json_t *rules)
{
	const char *verdict = text_of(rules, "verdict"), *colour = is(rules, "verdict", "allow") ? green : red;
	char place[512];

	printer->subject = "rules";
	if (is(rules, "verdict", "needs_address"))
		line(printer, NULL, "it depends on the address, which is looked up then");
	else if (is(rules, "by", "rule"))
		line(printer, colour, "%s, by %s%s", verdict, text_of(rules, "name"), place_of(rules, place));
	else if (is(rules, "by", "effort"))
		line(printer, red, "%s, by %s%s: a pattern of it took too many steps", verdict,
		     text_of(rules, "name"), place_of(rules, place));
	else if (is(rules, "by", "sources"))
		line(printer, red, "%s: the client is not in \"sources\"", verdict);
	else
		line(printer, colour, "%s, as no rule says otherwise", verdict);
}

static void print_rules(struct printer *printer, const json_t *all)
{
	const json_t *rules = json_object_get(all, "rules"), *guard = json_object_get(all, "guard");

	if (!rules)
		return;
	print_verdict(printer, rules);
	print_tried(printer, rules);
	if (has(rules, "way"))
		print_way(printer, json_object_get(rules, "way"));
	printer->subject = "guard";
	if (json_is_null(guard))
		line(printer, NULL, "judges the addresses, which are looked up then");
	else if (is_true(guard, "allow"))
		line(printer, green, "lets it through");
	else
		line(printer, red, "%s", has(guard, "why") ? text_of(guard, "why") : "the rules deny it");
}

/* ---- the request ---- */

static void print_field(struct printer *printer, const char *colour, const char *sign, const json_t *field)
{
	const char *name = json_string_value(json_array_get(field, 0));
	const char *value = json_string_value(json_array_get(field, 1));

	line(printer, colour, "%s%s: %s", sign, name ? name : "", value ? value : "");
}

static void print_sent(struct printer *printer, const json_t *all)
{
	const json_t *received = json_object_get(all, "received"), *sent = json_object_get(all, "sent"), *field;
	size_t i;

	if (!sent)
		return;
	printer->subject = "request";
	if (json_is_null(sent)) {
		line(printer, NULL, "a tunnel to %s: what goes through it is not seen",
		     text_of(received, "host"));
		return;
	}
	if (is(received, "path", text_of(sent, "path")))
		line(printer, NULL, "%s %s, as it came", text_of(sent, "method"), text_of(sent, "path"));
	else
		line(printer, NULL, "%s %s, from %s", text_of(sent, "method"), text_of(sent, "path"),
		     text_of(received, "path"));
	if (!has(sent, "host"))
		line(printer, NULL, "Host: the server's own, from %s", text_of(received, "host"));
	else if (is(received, "host", text_of(sent, "host")))
		line(printer, NULL, "Host: %s, as it came", text_of(sent, "host"));
	else
		line(printer, NULL, "Host: %s, from %s", text_of(sent, "host"), text_of(received, "host"));
	json_array_foreach(json_object_get(all, "removed"), i, field)
	{
		print_field(printer, red, "- ", field);
	}
	json_array_foreach(json_object_get(all, "added"), i, field)
	{
		print_field(printer, green, "+ ", field);
	}
}

/* ---- servers ---- */

static void print_split(struct printer *printer, const json_t *all)
{
	const json_t *split = json_object_get(all, "split"), *mirror = json_object_get(all, "mirror"), *group;
	size_t i;

	if (has(all, "split")) {
		printer->subject = "split";
		line(printer, NULL, "%s",
		     is_true(split, "by_lot") ? "by lot; this is one outcome" : "by its key");
		json_array_foreach(json_object_get(split, "groups"), i, group)
		{
			line(printer, NULL, "%s, weight %lld", text_of(group, "name"),
			     number_of(group, "weight"));
		}
	}
	if (has(all, "mirror")) {
		printer->subject = "mirror";
		line(printer, NULL, "%s gets %lld %% of such requests too", text_of(mirror, "name"),
		     number_of(mirror, "percent"));
	}
}

/* How a running Guise finds the server: the group's list has it by the same name. */
static const json_t *state_of(const json_t *group, const char *server)
{
	const json_t *item;
	size_t i;

	json_array_foreach(json_object_get(group, "servers"), i, item)
	{
		if (is(item, "server", server))
			return item;
	}
	return NULL;
}

static void print_server(struct printer *printer, const json_t *group, const json_t *server)
{
	const json_t *state = state_of(group, text_of(server, "server"));
	bool may = is_true(server, "may");
	char how[200] = "";

	if (printer->running)
		snprintf(how, sizeof(how), ", %.40s, %lld in flight", text_of(state, "health"),
			 number_of(state, "in_flight"));
	line(printer, may ? green : red, "%s %s, tier %lld, weight %lld%s%s%s", may ? "+" : "-",
	     text_of(server, "server"), number_of(server, "tier"), number_of(state, "weight"), how,
	     may ? "" : ": ", text_of(server, "why_not"));
}

static void print_servers(struct printer *printer, const json_t *all)
{
	const json_t *group = json_object_get(all, "group"), *pick = json_object_get(all, "pick"), *item;
	size_t i;

	printer->subject = "group";
	line(printer, NULL, "%s, %s%s%s", text_of(group, "name"), text_of(group, "balance"),
	     has(group, "hash") ? " of " : "", text_of(group, "hash"));
	json_array_foreach(json_object_get(all, "servers"), i, item)
	{
		print_server(printer, group, item);
	}
	json_array_foreach(json_object_get(all, "not_looked_up"), i, item)
	{
		line(printer, dim, "? %s, whose addresses are %s",
		     json_string_value(item) ? json_string_value(item) : "",
		     printer->running ? "not known now" : "looked up when Guise runs");
	}
	printer->subject = "server";
	if (has(pick, "server"))
		line(printer, NULL, "%s: %s", text_of(pick, "server"), text_of(pick, "why"));
	else
		line(printer, NULL, "%s%s", is(pick, "result", "picked") ? "one of those with +: " : "",
		     text_of(pick, "why"));
}

/* ---- tries ---- */

static void print_timeouts(struct printer *printer, const json_t *timeouts)
{
	const char *key;
	char text[512];
	size_t len = 0;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)timeouts, key, value)
	{
		if (!json_is_null(value) && len < sizeof(text) - 100)
			len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%.20s %lld ms",
						len ? ", " : "", key, (long long)json_integer_value(value));
	}
	if (len)
		line(printer, NULL, "%s", text);
}

static void print_tries(struct printer *printer, const json_t *all)
{
	const json_t *tries = json_object_get(all, "tries"), *status;
	char on[512] = "";
	size_t i, len = 0;

	json_array_foreach(json_object_get(tries, "retry_on"), i, status)
	{
		if (len < sizeof(on) - 40 && json_string_value(status))
			len += (size_t)snprintf(on + len, sizeof(on) - len, "%s%.20s",
						len ? ", " : ", also after ", json_string_value(status));
	}
	printer->subject = "retries";
	if (number_of(tries, "retries") == 0)
		line(printer, NULL, "none");
	else if (is_true(tries, "idempotent"))
		line(printer, NULL, "on %lld other%s%s", number_of(tries, "retries"),
		     number_of(tries, "retries") == 1 ? "" : "s", on);
	else
		line(printer, NULL, "on %lld other%s, if it is sure that the first one has not seen it",
		     number_of(tries, "retries"), number_of(tries, "retries") == 1 ? "" : "s");
	if (has(tries, "hedge_percentile"))
		line(printer, NULL, "hedged after what %lld %% of the answers take",
		     number_of(tries, "hedge_percentile"));
	printer->subject = "timeouts";
	print_timeouts(printer, json_object_get(tries, "timeouts_ms"));
}

/* ---- how it ends ---- */

static void print_answer(struct printer *printer, const json_t *all)
{
	const json_t *answer = json_object_get(all, "answer"), *error = json_object_get(all, "error"), *field;
	size_t i;

	if (error) {
		printer->subject = "refused";
		line(printer, red, "%lld, %s%s%s", number_of(error, "status"), text_of(error, "text"),
		     has(error, "detail") ? ": " : "", text_of(error, "detail"));
	}
	if (!answer)
		return;
	printer->subject = "answer";
	line(printer, NULL, "%lld, by Guise itself, %lld bytes", number_of(answer, "status"),
	     number_of(answer, "body_bytes"));
	json_array_foreach(json_object_get(answer, "fields"), i, field)
	{
		print_field(printer, NULL, "", field);
	}
}

bool explain_print(FILE *out, struct span text, bool running, bool colour)
{
	struct printer printer = {.out = out, .running = running, .colour = colour, .subject = ""};
	json_t *all = json_loadb((const char *)text.at, text.len, 0, NULL);
	bool good = json_is_object(all) && has(all, "listener");

	if (good) {
		print_listener(&printer, all);
		print_route(&printer, all);
		print_rules(&printer, all);
		print_answer(&printer, all);
		print_sent(&printer, all);
		if (has(all, "group")) {
			print_split(&printer, all);
			print_servers(&printer, all);
			print_tries(&printer, all);
		}
	}
	json_decref(all);
	return good;
}

void explain_print_refusal(FILE *out, struct span text, unsigned status)
{
	struct printer printer = {.out = out, .subject = ""};
	json_t *all = json_loadb((const char *)text.at, text.len, 0, NULL);

	fputs("guise explain: ", out);
	if (has(all, "error"))
		put_safe(&printer, text_of(all, "error"));
	else
		fprintf(out, "the interface answered with %u", status);
	fputc('\n', out);
	json_decref(all);
}
