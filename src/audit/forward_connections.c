/*
 * Connections: from which address the server sees them come, whether they stay, whether two clients share one. See forward.h. The audit's thread.
 */
#include "audit/forward_internal.h"

/*
 * Asks on an open connection, or opens it; again on another one where it has been closed meanwhile. The number of the server's connection; 0: it did not get there.
 */
static uint64_t ask_on(struct forward_audit *audit, unsigned client, struct wire *wire,
		       struct forward_probe *probe)
{
	bool used = wire->fd >= 0;

	*probe = (struct forward_probe){.client = client, .wire = wire};
	if (!used && !forward_open(audit, client, wire))
		return 0;
	if (!forward_ask(audit, probe) &&
	    (!used || !forward_open(audit, client, wire) || !forward_ask(audit, probe)))
		return 0;
	forward_inspect(audit, probe);
	return probe->seen->connection->number;
}

static void audit_source(struct forward_audit *audit, const struct forward_probe *probe)
{
	static const char id[] = "source.address", title[] = "Where connections come from";
	const struct forward_client *client = &audit->clients[probe->client];
	const struct address *peer = &probe->seen->connection->peer;
	struct address own = address_unmap(&client->address), proxy = address_unmap(&client->proxy.address);
	char text[ADDRESS_TEXT];
	struct span saw = span_make(text, address_format_ip(peer, text));

	if (!address_equal_ip(&own, peer))
		forward_add(audit, id, title, AUDIT_UNSEEN, GRADE_ANONYMOUS, saw, NULL);
	else if (address_equal_ip(&own, &proxy))
		forward_add(audit, id, title, AUDIT_UNTESTED, GRADE_ANONYMOUS,
			    SPAN("client and proxy have the same address: ask from another one (--from)"),
			    NULL);
	else
		forward_add(
			audit, id, title, AUDIT_SEEN, GRADE_ANONYMOUS, saw,
			"the proxy takes the client's address for its own connections (TPROXY, \"usesrc clientip\", \"proxy_bind ... transparent\")");
}

static void audit_keeping(struct forward_audit *audit)
{
	struct forward_probe first, second;
	struct wire wire;
	uint64_t numbers[2];

	wire_init(&wire);
	numbers[0] = ask_on(audit, 0, &wire, &first);
	if (numbers[0])
		audit_source(audit, &first);
	second = (struct forward_probe){.wire = &wire};
	bool kept = numbers[0] && first.response.keep_alive && forward_ask(audit, &second);
	numbers[1] = kept ? second.seen->connection->number : 0;
	wire_close(&wire);
	forward_add(audit, "connection.client", "The client's connection stays open",
		    numbers[1] ? AUDIT_UNSEEN : AUDIT_ALTERED, AUDIT_NO_GRADE,
		    numbers[1] ? forward_nothing : SPAN("no: one request each"), NULL);
	if (numbers[1])
		forward_add(audit, "connection.server", "The server's connection stays open", AUDIT_UNSEEN,
			    AUDIT_NO_GRADE,
			    numbers[0] == numbers[1] ? forward_nothing : SPAN("no: one request each"), NULL);
}

/*
 * One client asks and stays, the other asks; then both have gone and come again. Whoever finds a connection that the other had before shares it.
 */
static void audit_sharing(struct forward_audit *audit)
{
	static const char id[] = "connection.shared", title[] = "Two clients on one connection";
	enum { TURNS = 6 };
	uint64_t numbers[2][TURNS];
	struct forward_probe probe;
	struct wire wires[2];
	uint64_t shared = 0;
	unsigned seen = 0;

	if (!audit->two) {
		forward_add(audit, id, title, AUDIT_UNTESTED, GRADE_ELITE,
			    audit->clients[0].proxy.user.len ?
				    SPAN("there is one client only: give a second --user") :
				    SPAN("there is one client only: give a second --from"),
			    NULL);
		return;
	}
	wire_init(&wires[0]);
	wire_init(&wires[1]);
	for (unsigned turn = 0; turn < TURNS; turn++) {
		for (unsigned client = 0; client < 2; client++) {
			numbers[client][turn] = ask_on(audit, client, &wires[client], &probe);
			seen += numbers[client][turn] != 0;
			if (turn % 2 || !probe.response.keep_alive)
				wire_close(&wires[client]);
		}
	}
	wire_close(&wires[0]);
	wire_close(&wires[1]);
	for (unsigned a = 0; a < TURNS; a++)
		for (unsigned b = 0; b < TURNS; b++)
			if (numbers[0][a] && numbers[0][a] == numbers[1][b])
				shared = numbers[0][a];
	if (seen < 2 * TURNS)
		forward_add(audit, id, title, AUDIT_UNTESTED, GRADE_ELITE, forward_outcome(audit, &probe),
			    NULL);
	if (shared || seen == 2 * TURNS)
		forward_add(
			audit, id, title, shared ? AUDIT_SEEN : AUDIT_UNSEEN, GRADE_ELITE,
			shared ? SPAN("requests of both came over one connection") : (struct span){0},
			"keep connections to servers for one client each (Guise: \"mask: elite\"; Squid: \"server_persistent_connections off\")");
}

void forward_audit_connections(struct forward_audit *audit)
{
	audit_keeping(audit);
	if (parent_speaks_http(&audit->clients[0].proxy))
		audit_sharing(audit);
}
