/*
 * The audit of a forward proxy from its beginning to its end. See forward.h. The audit's thread; answers of the observer are made on its own.
 */
#include "audit/forward_internal.h"

#include "core/random.h"

#include <errno.h>
#include <stdio.h>

static const struct audit_group groups[] = {
	{"field", "Fields of requests: who asks, and through what", NULL},
	{"credential", "Logins", NULL},
	{"hop", "Between client and proxy alone", NULL},
	{"own", "The client's own fields", "kept"},
	{"shape", "Shape of requests", "kept"},
	{"method", "Methods", "passes"},
	{"version", "Versions", "passes"},
	{"response", "The way back: what a page can read", NULL},
	{"error", "Answers of the proxy itself", NULL},
	{"source", "Source", NULL},
	{"connection", "Connections", "good"},
	{"tunnel", "Tunnels", "kept"},
	{"tls", "TLS in tunnels", "kept"},
	{"dns", "Names", "good"},
	{NULL, NULL, NULL},
};

const struct audit_scale forward_audit_scale = {
	.kind = "forward",
	.grades = {{"transparent", "the server can learn who asks"},
		   {"anonymous", "the server can learn that there is a proxy, and not who asks"},
		   {"elite", "the server learns neither who asks nor that there is a proxy"}},
	.count = 3,
	.groups = groups,
};

/* ---- the observer ---- */

/* What every request is answered with: fields that must get back to the client, and one that must not. */
static void answer(void *of, const struct observer_message *message, struct observer_reply *reply)
{
	static const char head[] = "HTTP/1.1 200 OK\r\n"
				   "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
				   "Server: audit-origin/1\r\n"
				   "Content-Type: text/plain\r\n"
				   "ETag: \"audit-tag-2\"\r\n"
				   "Cache-Control: no-store\r\n"
				   "Set-Cookie: audit=1; Path=/\r\n"
				   "X-Audit-Own: kept\r\n"
				   "Connection: x-audit-hop\r\n"
				   "X-Audit-Hop: between us\r\n"
				   "Content-Length: ";
	bool trace = span_equal(message->http.method, SPAN("TRACE"));
	struct span body = trace ? message->http.head : SPAN("seen\n");

	if (span_equal(message->http.method, SPAN("HEAD")))
		reply->bytes = arena_format(reply->arena, "%s%zu\r\n\r\n", head, body.len);
	else
		reply->bytes = arena_format(reply->arena, "%s%zu\r\n\r\n%.*s", head, body.len, SPAN_ARG(body));
}

static bool fail_listen(struct forward_audit *audit, const char *what, const struct address *address)
{
	char text[ADDRESS_TEXT], why[256];

	snprintf(why, sizeof(why), "the observer cannot listen on %.*s%s: %s",
		 (int)address_format(address, text), text, what, strerror(errno));
	audit_report_fail(audit->report, why, "--listen names another address of this machine.");
	return false;
}

/* TLS on 443, to which most proxies let tunnels go, where that can be had. */
static bool start_observer(struct forward_audit *audit, const struct address *own)
{
	const struct observer_options options = {.answer = answer, .authority = audit->authority};
	const struct address *dns = &audit->options->dns_listen;
	struct address listen = *own;
	const char *why;

	audit->observer = observer_new(&options, &why);
	if (!audit->observer) {
		audit_report_fail(audit->report, why, NULL);
		return false;
	}
	if (!observer_listen(audit->observer, &listen, &audit->plain))
		return fail_listen(audit, "", &listen);
	listen.port = 443;
	if (!observer_listen(audit->observer, &listen, &audit->secure)) {
		listen.port = 0;
		if (!observer_listen(audit->observer, &listen, &audit->secure))
			return fail_listen(audit, "", &listen);
	}
	if (dns->family != ADDRESS_NONE &&
	    !observer_listen_dns(audit->observer, dns, &audit->plain, &audit->names))
		return fail_listen(audit, " as a name server", dns);
	return true;
}

/* ---- both clients ---- */

static const char *read_login(struct forward_client *client, const char *user, struct arena *arena)
{
	struct span name, password;

	if (user) {
		if (!span_cut(span_of(user), ':', &name, &password))
			return "--user takes NAME:PASSWORD";
		client->proxy.user = name;
		client->proxy.password = password;
	}
	return parent_login_prepare(&client->proxy, arena);
}

static const char *read_proxy(struct forward_audit *audit)
{
	const struct forward_audit_options *options = audit->options;
	const char *why = NULL;

	for (unsigned i = 0; i < 2 && !why; i++) {
		struct forward_client *client = &audit->clients[i];
		why = parent_url_parse(span_of(options->proxy), audit->arena, &client->proxy);
		if (!why)
			why = read_login(client, options->users[i] ? options->users[i] : options->users[0],
					 audit->arena);
		client->from = options->from[i].family != ADDRESS_NONE ? options->from[i] : options->from[0];
	}
	return why;
}

/* For a proxy that knows its users a client is a user, wherever from. */
static bool are_two(const struct forward_audit *audit)
{
	const struct forward_client *one = &audit->clients[0], *other = &audit->clients[1];

	if (one->proxy.user.len || other->proxy.user.len)
		return !span_equal(one->proxy.user, other->proxy.user);
	return other->from.family != ADDRESS_NONE && !address_equal_ip(&one->from, &other->from);
}

/* The address that the proxy's name means, once for all; and our own towards it. False: it cannot be reached. */
static bool find_proxy(struct forward_audit *audit, struct address *own)
{
	union socket_address raw;
	socklen_t len = sizeof(raw);
	struct wire wire;
	bool open;

	wire_init(&wire);
	open = wire_open_proxy(&wire, &audit->clients[0].proxy, &audit->clients[0].from, TLS_BLOCKING_HTTP1,
			       forward_deadline(audit));
	if (open && getpeername(wire.fd, &raw.any, &len) == 0) {
		struct address address = address_from_socket(&raw, len);
		audit->clients[0].proxy.address = audit->clients[1].proxy.address = address;
		*own = wire_local(&wire);
		own->port = 0;
	}
	if (!open)
		audit_report_fail(audit->report, wire.why, "Is the proxy running, and is this its address?");
	wire_close(&wire);
	return open;
}

static bool is_loopback(const struct address *address)
{
	const struct special_range *special = address_special(address);

	return special && strcmp(special->name, "Loopback") == 0;
}

/* Where client and proxy are one machine, clients with addresses of their own can be told from the proxy, and from each other. */
static void choose_loopback(struct forward_audit *audit)
{
	const struct address *proxy = &audit->clients[0].proxy.address;

	if (audit->options->from[0].family != ADDRESS_NONE || proxy->family != ADDRESS_V4 ||
	    !is_loopback(proxy))
		return;
	for (unsigned i = 0; i < 2; i++)
		audit->clients[i].from =
			(struct address){.family = ADDRESS_V4, .ip = {127, 77, 0, (uint8_t)(2 + i)}};
}

/* ---- the first request ---- */

/* What to do when the observer was not reached. */
static void fail_first(struct forward_audit *audit, const struct forward_probe *probe)
{
	unsigned status = probe->response.status;
	struct span outcome = forward_outcome(audit, probe);
	char why[AUDIT_SAW_MOST], text[ADDRESS_TEXT], help[640];

	snprintf(why, sizeof(why), "the first request did not get to the observer at %.*s: %.*s",
		 SPAN_ARG(audit->place), SPAN_ARG(outcome));
	if (status == 407)
		snprintf(help, sizeof(help), "The proxy asks for a login: --user NAME:PASSWORD.");
	else
		snprintf(help, sizeof(help),
			 "The proxy must be let go to the observer, and the client to the proxy. Most keep clients from private addresses: Guise lets "
			 "them with \"--allow %.*s\" (or a rule \"allow: {addresses: [...]}\"), Squid with \"http_access allow\" before its \"deny "
			 "to_localhost\". Or --listen names an address of this machine that the proxy does let clients go to, and --from another one to "
			 "ask from.",
			 (int)address_format_ip(&audit->plain, text), text);
	audit_report_fail(audit->report, why, help);
}

/* One request that has to get there; with addresses chosen by us, and if those are not let in, with the system's. */
static bool first_request(struct forward_audit *audit)
{
	struct forward_probe probe = {.fields = SPAN("Accept: */*\r\n")};

	choose_loopback(audit);
	uint64_t began = deadline_now();
	if (forward_ask(audit, &probe)) {
		audit->pace = deadline_now() - began;
		return true;
	}
	if (audit->options->from[0].family == ADDRESS_NONE && audit->clients[0].from.family != ADDRESS_NONE) {
		audit->clients[0].from = audit->clients[1].from = (struct address){.family = ADDRESS_NONE};
		began = deadline_now();
		if (forward_ask(audit, &probe)) {
			audit->pace = deadline_now() - began;
			return true;
		}
	}
	fail_first(audit, &probe);
	return false;
}

static bool prepare(struct forward_audit *audit)
{
	struct address own = {.family = ADDRESS_NONE};
	const char *why;
	char text[ADDRESS_TEXT];

	audit->authority = tls_authority_new(&why);
	if (!audit->authority) {
		audit_report_fail(audit->report, why, NULL);
		return false;
	}
	if (!find_proxy(audit, &own))
		return false;
	if (audit->options->listen.family != ADDRESS_NONE)
		own = audit->options->listen;
	if (!start_observer(audit, &own))
		return false;
	audit->place =
		audit->options->name ?
			arena_format(audit->arena, "%s:%u", audit->options->name, audit->plain.port) :
			arena_format(audit->arena, "%.*s", (int)address_format(&audit->plain, text), text);
	if (!audit->place.at) {
		audit_report_fail(audit->report, "out of memory", NULL);
		return false;
	}
	return first_request(audit);
}

const char *forward_audit_run(const struct forward_audit_options *options, struct arena *arena,
			      struct audit_report *report)
{
	struct forward_audit *audit = arena_zalloc(arena, 1, sizeof(*audit));
	const char *why;

	if (!audit)
		return "out of memory";
	audit->options = options;
	audit->report = report;
	audit->arena = arena;
	random_secret(&audit->run, sizeof(audit->run));
	why = read_proxy(audit);
	if (why)
		return why;
	if (prepare(audit)) {
		audit->two = are_two(audit);
		forward_audit_connections(audit);
		if (parent_speaks_http(&audit->clients[0].proxy)) {
			forward_audit_fields(audit);
			forward_audit_messages(audit);
			forward_audit_errors(audit);
		}
		forward_audit_tunnels(audit);
	}
	observer_free(audit->observer);
	tls_authority_free(audit->authority);
	return NULL;
}
