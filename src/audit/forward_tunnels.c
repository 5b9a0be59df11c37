/*
 * Tunnels: whether bytes, and the fingerprint of TLS in them, are the client's own; who resolves names. See forward.h. The audit's thread.
 */
#include "audit/forward_internal.h"

#include "audit/ja4.h"

#include <stdio.h>

/* One way to ask for a tunnel. */
struct kind {
	const char *name, *title;
	enum parent_kind kind;
};

static const struct kind kinds[] = {
	{"connect", "CONNECT", PARENT_HTTP},
	{"socks4a", "SOCKS 4A", PARENT_SOCKS4A},
	{"socks5", "SOCKS 5", PARENT_SOCKS5},
};

/* Opens it to the address, or, of family ADDRESS_NONE, to the host. False: *why, in the arena. */
static bool open_tunnel(struct forward_audit *audit, enum parent_kind kind, struct span host,
			const struct address *address, struct wire *wire, struct span *why)
{
	struct forward_client *client = &audit->clients[0];
	struct parent_server proxy = client->proxy;
	bool guess = kind != PARENT_HTTP && kind != proxy.kind;
	unsigned status = 0;

	/* The same listener, asked in another way, which it may not understand. */
	if (guess)
		proxy.kind = kind;
	wire_init(wire);
	if (wire_open_proxy(wire, &proxy, &client->from, TLS_BLOCKING_HTTP1, forward_deadline(audit)) &&
	    wire_tunnel(wire, &proxy, host, address, &status,
			guess ? forward_soon(audit) : forward_deadline(audit)))
		return true;
	*why = guess && !status ? SPAN("not spoken") :
	       status           ? arena_format(audit->arena, "refused with %u", status) :
				  arena_format(audit->arena, "%s", wire->why);
	wire_close(wire);
	return false;
}

/* Whether the proxy may speak this at all: SOCKS is tried where HTTP is plain, HTTP never where SOCKS was named. */
static bool may_speak(const struct forward_audit *audit, enum parent_kind kind)
{
	const struct parent_server *proxy = &audit->clients[0].proxy;

	if (kind == PARENT_HTTP)
		return parent_speaks_http(proxy);
	if (kind == PARENT_SOCKS4A && proxy->password.len)
		return false; /* it has no place for one */
	return proxy->kind != PARENT_HTTPS;
}

/* ---- bytes ---- */

static void judge_bytes(struct forward_audit *audit, const struct kind *kind, struct span sent,
			struct span seen, struct span back)
{
	char id[32], title[64];
	struct span saw = {0};
	enum audit_sight sight = AUDIT_UNSEEN;
	unsigned needs = GRADE_ELITE;

	snprintf(id, sizeof(id), "tunnel.%s", kind->name);
	snprintf(title, sizeof(title), "Bytes of %s tunnels", kind->title);
	if (!span_equal(sent, seen)) {
		sight = AUDIT_SEEN;
		saw = seen;
		if (forward_names_client(audit, 0, seen))
			needs = GRADE_ANONYMOUS;
	} else if (!span_equal(sent, back)) {
		sight = AUDIT_ALTERED;
		saw = back.len ? back : SPAN("nothing came back");
	}
	forward_add(audit, id, title, sight, needs, saw,
		    "the proxy sends something of its own into tunnels (a PROXY header?): let it send nothing");
}

static void audit_bytes(struct forward_audit *audit, const struct kind *kind)
{
	struct span token = forward_token(audit), why = {0}, back;
	struct span sent =
		arena_format(audit->arena, "%c%c%.*s\r\nX-Audit: bytes\r\n%c", 1, 0xff, SPAN_ARG(token), 2);
	const struct observer_message *seen;
	char id[32], title[64];
	struct wire wire;

	snprintf(id, sizeof(id), "tunnel.%s", kind->name);
	snprintf(title, sizeof(title), "Bytes of %s tunnels", kind->title);
	if (!sent.at)
		return;
	/* Proxies let tunnels go to 443 where to nowhere else. */
	if (!open_tunnel(audit, kind->kind, (struct span){0}, &audit->secure, &wire, &why)) {
		forward_add(audit, id, title, AUDIT_UNTESTED, GRADE_ELITE, why, NULL);
		return;
	}
	seen = wire_send(&wire, sent, forward_deadline(audit)) ?
		       observer_wait(audit->observer, token, 0, forward_deadline(audit)) :
		       NULL;
	(void)!wire_need(&wire, sent.len, forward_deadline(audit));
	back = wire_waiting(&wire);
	judge_bytes(audit, kind, sent, seen ? seen->raw : SPAN("nothing came"), back);
	wire_close(&wire);
}

/* ---- TLS ---- */

static void judge_hello(struct forward_audit *audit, const struct tls_blocking *tls, struct span seen)
{
	char own[JA4_TEXT], theirs[JA4_TEXT];
	struct span sent = tls_blocking_hello(tls);
	bool same;

	if (!ja4_of(sent, own) || !ja4_of(seen, theirs)) {
		forward_add(audit, "tls.ja4", "JA4 of the client", AUDIT_UNTESTED, GRADE_ELITE,
			    SPAN("no fingerprint of the ClientHello could be made"), NULL);
		return;
	}
	same = strcmp(own, theirs) == 0;
	forward_add(audit, "tls.ja4", "JA4 of the client", same ? AUDIT_UNSEEN : AUDIT_SEEN, GRADE_ELITE,
		    same ? span_of(own) : arena_format(audit->arena, "sent %s, got there %s", own, theirs),
		    "the proxy makes TLS connections of its own in tunnels: let it not intercept them");
	forward_add(audit, "tls.hello", "The ClientHello, byte by byte",
		    span_equal(sent, seen) ? AUDIT_UNSEEN : AUDIT_SEEN, GRADE_ELITE,
		    span_equal(sent, seen) ? forward_nothing : SPAN("another one than was sent"), NULL);
}

/* One request within TLS. */
static void ask_within(struct forward_audit *audit, struct wire *wire)
{
	struct span token = forward_token(audit);
	struct forward_probe probe = {.method = NULL};
	struct span head = arena_format(
		audit->arena, "GET %.*s HTTP/1.1\r\nHost: %.*s\r\n%sX-Forwarded-For: 198.51.100.85\r\n\r\n",
		SPAN_ARG(token), SPAN_ARG(audit->place), forward_own_fields);

	if (!token.at || !head.at)
		return;
	wire_message_parse(head, &probe.sent);
	if (!wire_send(wire, head, forward_deadline(audit)) ||
	    !wire_read(wire, SPAN("GET"), false, audit->arena, &probe.response, forward_deadline(audit)))
		return;
	probe.seen = observer_wait(audit->observer, token, 0, deadline_now());
	if (!probe.seen)
		return;
	judge_hello(audit, wire->tls, probe.seen->connection->hello);
	bool same = span_equal(head, probe.seen->http.head);
	forward_add(audit, "tls.request", "Requests within TLS", same ? AUDIT_UNSEEN : AUDIT_SEEN,
		    GRADE_ELITE, same ? forward_nothing : SPAN("were changed: the proxy reads them"), NULL);
}

static bool open_tls(struct forward_audit *audit, struct wire *wire, struct span ca, struct span *why)
{
	const struct tls_blocking_client options = {
		.name = SPAN("audit.invalid"), .alpn = TLS_BLOCKING_HTTP1, .ca = ca};
	const struct parent_server *proxy = &audit->clients[0].proxy;

	if (!open_tunnel(audit, proxy->kind == PARENT_HTTPS ? PARENT_HTTP : proxy->kind, (struct span){0},
			 &audit->secure, wire, why))
		return false;
	if (!wire->tls && wire_tls(wire, &options, forward_deadline(audit)))
		return true;
	*why = wire->tls ? SPAN("TLS within TLS to the proxy is not tried") :
			   arena_format(audit->arena, "%s", wire->why);
	wire_close(wire);
	return false;
}

static void audit_tls(struct forward_audit *audit)
{
	static const char id[] = "tls.certificate", title[] = "The server's certificate";
	struct span why = {0};
	struct wire wire;

	if (open_tls(audit, &wire, tls_authority_pem(audit->authority), &why)) {
		forward_add(audit, id, title, AUDIT_UNSEEN, GRADE_ELITE, (struct span){0}, NULL);
		ask_within(audit, &wire);
		wire_close(&wire);
		return;
	}
	struct span first = why;
	if (audit->clients[0].proxy.kind != PARENT_HTTPS && open_tls(audit, &wire, (struct span){0}, &why)) {
		forward_add(audit, id, title, AUDIT_SEEN, GRADE_ELITE,
			    SPAN("another one: the proxy intercepts TLS"),
			    "let it tunnel TLS without opening it (Squid: no ssl_bump)");
		ask_within(audit, &wire);
		wire_close(&wire);
		return;
	}
	forward_add(audit, id, title, AUDIT_UNTESTED, GRADE_ELITE, first, NULL);
	forward_add(audit, "tls.ja4", "JA4 of the client", AUDIT_UNTESTED, GRADE_ELITE, first, NULL);
}

/* ---- names ---- */

/* The question that came for this name: what it told the name server. */
static void judge_question(struct forward_audit *audit, struct span token)
{
	const struct observer_message *question =
		observer_wait(audit->observer, span_from(token, 1), 0, deadline_now());

	if (!question)
		return;
	forward_add(audit, "dns.subnet", "The client's network, in questions for names",
		    question->subnet.len ? AUDIT_SEEN : AUDIT_UNSEEN, GRADE_ANONYMOUS,
		    question->subnet.len ? SPAN("EDNS client subnet (RFC 7871)") : (struct span){0},
		    "let the proxy's resolver not send EDNS client subnets (Unbound: no send-client-subnet)");
}

/* Does the proxy find a name itself that nobody but our name server knows? */
static void audit_name(struct forward_audit *audit, const struct kind *kind)
{
	struct span token = forward_token(audit), why = {0};
	struct address to = {.family = ADDRESS_NONE, .port = audit->secure.port};
	struct span host = arena_format(audit->arena, "%.*sx.audit.guise.test", SPAN_ARG(span_from(token, 1)));
	char id[32], title[64];
	struct wire wire;

	snprintf(id, sizeof(id), "dns.%s", kind->name);
	snprintf(title, sizeof(title), "Names in %s are the proxy's to find", kind->title);
	if (!token.at || !host.at)
		return;
	bool open = open_tunnel(audit, kind->kind, host, &to, &wire, &why);
	bool asked = observer_wait(audit->observer, span_from(token, 1), 0, deadline_now()) != NULL;
	if (open)
		wire_close(&wire);
	if (asked)
		judge_question(audit, token);
	forward_add(audit, id, title, asked ? AUDIT_UNSEEN : AUDIT_UNTESTED, AUDIT_NO_GRADE,
		    open && asked ? forward_nothing :
		    open          ? SPAN("another name server was asked than the observer") :
				    why,
		    NULL);
}

static void audit_names(struct forward_audit *audit)
{
	if (audit->names.family == ADDRESS_NONE) {
		forward_add(audit, "dns.names", "Who finds names", AUDIT_UNTESTED, AUDIT_NO_GRADE,
			    SPAN("give --dns-listen, and let the proxy ask that name server"), NULL);
		return;
	}
	for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++)
		if (may_speak(audit, kinds[i].kind))
			audit_name(audit, &kinds[i]);
}

void forward_audit_tunnels(struct forward_audit *audit)
{
	for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++)
		if (may_speak(audit, kinds[i].kind))
			audit_bytes(audit, &kinds[i]);
	audit_tls(audit);
	audit_names(audit);
}
