/*
 * Exits of listeners, and what goes with interception. See exits.h.
 */
#include "config/exits.h"

#include "config/node.h"

/* "", or ": did you mean \"pool\"?" */
static const char *suggestion(const struct snapshot *snapshot, const char *name, struct diagnostics *diagnostics)
{
	const struct exit_settings *exits = snapshot->settings.exits.items;
	size_t count = snapshot->settings.exits.count;
	const char **names = arena_zalloc(diagnostics->arena, count + 1, sizeof(*names));

	for (size_t i = 0; names && i < count; i++)
		names[i] = exits[i].name.text;
	const char *near = names ? diagnostics_suggest(name, names) : NULL;
	if (!near)
		return "";
	struct span text = arena_format(diagnostics->arena, ": did you mean \"%s\"?", near);
	return text.at ? (const char *)text.at : "";
}

uint32_t exits_find(const struct snapshot *snapshot, const struct setting_string *name,
		    struct diagnostics *diagnostics)
{
	const struct exit_settings *exits = snapshot->settings.exits.items;
	struct span wanted = span_make(name->text, name->len);

	for (size_t i = 0; i < snapshot->settings.exits.count; i++)
		if (span_equal(wanted, span_make(exits[i].name.text, exits[i].name.len)))
			return (uint32_t)i;
	diagnostics_error(diagnostics, name->place, "there is no exit \"%s\" in \"exits\"%s",
			  node_quote(diagnostics->arena, wanted),
			  suggestion(snapshot, name->text, diagnostics));
	return RULE_NONE;
}

void exits_bind(const struct snapshot *snapshot, struct snapshot_listener *listener,
		const struct forward_settings *settings, struct diagnostics *diagnostics)
{
	listener->exit = settings->exit.len ? exits_find(snapshot, &settings->exit, diagnostics) : RULE_NONE;
}

/* A unix socket has no address that somebody was on the way to. */
static void check_listen(const struct forward_settings *settings, struct diagnostics *diagnostics)
{
	for (size_t i = 0; i < settings->listen.count; i++) {
		const struct setting_string *listen = &settings->listen.items[i];
		if (span_starts_with(span_make(listen->text, listen->len), SPAN("unix:")))
			diagnostics_error(
				diagnostics, listen->place,
				"\"intercept\" needs listeners on addresses: nothing is redirected to a unix socket");
	}
}

void intercept_check(const struct forward_settings *settings, struct diagnostics *diagnostics)
{
	const struct entrance_settings *entrance = &settings->entrance;

	if (settings->intercept == INTERCEPT_OFF) {
		if (settings->intercept_destination_place.line)
			diagnostics_error(
				diagnostics, settings->intercept_destination_place,
				"\"intercept_destination\" goes with \"intercept: redirect\" or \"intercept: tproxy\"");
		return;
	}
	if (entrance->tls.place.line)
		diagnostics_error(
			diagnostics, entrance->tls.place,
			"\"tls\" does not go with \"intercept\": clients that know of no proxy speak TLS with the server, "
			"whose certificate is not here");
	if (entrance->proxy_protocol.count)
		diagnostics_error(
			diagnostics, entrance->proxy_protocol.place,
			"\"proxy_protocol\" does not go with \"intercept\": clients that know of no proxy send no header");
	if (entrance->http2 == HTTP2_CLEAR)
		diagnostics_error(
			diagnostics, entrance->http2_place,
			"\"http2: clear\" does not go with \"intercept\": what begins so goes on as it is");
	if (settings->pac.place.line && settings->pac.enabled)
		diagnostics_error(
			diagnostics, settings->pac.place,
			"\"pac\" does not go with \"intercept\": what clients that know of no proxy ask for is a server's");
	if (settings->users.file.len || settings->users.certificates)
		diagnostics_error(
			diagnostics, settings->users.place,
			"\"users\" of a listener that intercepts has \"networks\" alone: clients that know of no "
			"proxy cannot be asked who they are");
	check_listen(settings, diagnostics);
}
