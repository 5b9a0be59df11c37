/*
 * One request through the proxy. See forward_internal.h. The audit's thread.
 */
#include "audit/forward_internal.h"

#include "core/base64.h"

#include <stdio.h>

enum {
	AFTERWARDS = 200, /* ms for a request that was refused to get there all the same */
	PATIENCE_LEAST = 500,
	PATIENCE_TIMES = 10,
};

uint64_t forward_deadline(const struct forward_audit *audit)
{
	return deadline_now() + audit->options->timeout;
}

uint64_t forward_soon(const struct forward_audit *audit)
{
	uint64_t patience = PATIENCE_LEAST + PATIENCE_TIMES * audit->pace;

	return deadline_now() + (patience < audit->options->timeout ? patience : audit->options->timeout);
}

struct span forward_token(struct forward_audit *audit)
{
	return arena_format(audit->arena, "/%08x-%u-", audit->run, ++audit->serial);
}

void forward_add(struct forward_audit *audit, const char *id, const char *title, enum audit_sight sight,
		 unsigned needs, struct span saw, const char *advice)
{
	const struct audit_finding finding = {
		.id = id,
		.title = span_of(title),
		.saw = saw,
		.sight = sight,
		.needs = needs,
		.advice = advice,
	};

	audit_report_add(audit->report, &finding);
}

/* ---- asking ---- */

static bool speaks_http(const struct forward_audit *audit)
{
	return parent_speaks_http(&audit->clients[0].proxy);
}

bool forward_open(struct forward_audit *audit, unsigned client, struct wire *wire)
{
	struct forward_client *who = &audit->clients[client];
	uint64_t deadline = forward_deadline(audit);
	unsigned status;

	if (!wire_open_proxy(wire, &who->proxy, &who->from, TLS_BLOCKING_HTTP1, deadline))
		return false;
	who->address = wire_local(wire);
	who->address.port = 0;
	return speaks_http(audit) ||
	       wire_tunnel(wire, &who->proxy, (struct span){0}, &audit->plain, &status, deadline);
}

static struct span compose(struct forward_audit *audit, const struct forward_probe *probe, struct span token)
{
	const struct parent_server *proxy = &audit->clients[probe->client].proxy;
	bool http = speaks_http(audit);
	struct span place = probe->place.len ? probe->place : audit->place;
	bool login = http && proxy->authorization.len;

	return arena_format(audit->arena, "%s %s%.*s%.*s %s\r\nHost: %.*s\r\n%s%.*s%s%.*s\r\n",
			    probe->method ? probe->method : "GET", http ? "http://" : "",
			    http ? (int)place.len : 0, (const char *)place.at, SPAN_ARG(token),
			    probe->version ? probe->version : "HTTP/1.1", SPAN_ARG(place),
			    login ? "Proxy-Authorization: " : "", SPAN_ARG(proxy->authorization),
			    login ? "\r\n" : "", SPAN_ARG(probe->fields));
}

static void converse(struct forward_audit *audit, struct forward_probe *probe, struct wire *wire,
		     struct span head)
{
	uint64_t deadline = probe->soon ? forward_soon(audit) : forward_deadline(audit);

	if (!wire_send(wire, head, deadline) || (probe->body.len && !wire_send(wire, probe->body, deadline)) ||
	    !wire_read(wire, span_of(probe->method ? probe->method : "GET"), false, audit->arena,
		       &probe->response, deadline)) {
		probe->response.status = 0;
		memcpy(probe->why, wire->why, sizeof(probe->why));
	}
}

bool forward_ask(struct forward_audit *audit, struct forward_probe *probe)
{
	struct span token = forward_token(audit), head;
	struct wire own;

	probe->seen = NULL;
	probe->response = (struct wire_message){0};
	head = token.at ? compose(audit, probe, token) : token;
	if (!head.at)
		return false;
	wire_message_parse(head, &probe->sent);
	wire_init(&own);
	if (probe->wire || forward_open(audit, probe->client, &own))
		converse(audit, probe, probe->wire ? probe->wire : &own, head);
	else
		memcpy(probe->why, own.why, sizeof(probe->why));
	wire_close(&own);
	/* An answer of the observer's comes after its note. */
	bool sure = probe->response.status == 200;
	probe->seen = observer_wait(audit->observer, token, 0, deadline_now() + (sure ? 0 : AFTERWARDS));
	return probe->seen != NULL;
}

struct span forward_outcome(struct forward_audit *audit, const struct forward_probe *probe)
{
	if (probe->response.status)
		return arena_format(audit->arena, "the proxy answered \"%.*s\"",
				    SPAN_ARG(probe->response.start));
	return arena_format(audit->arena, "no answer: %s", probe->why);
}

/* ---- the client's address ---- */

/* Not a part of a longer number or name. */
static bool stands_alone(struct span text, size_t at, size_t len)
{
	uint8_t before = at ? text.at[at - 1] : ' ';
	uint8_t after = at + len < text.len ? text.at[at + len] : ' ';
	uint8_t behind = at + len + 1 < text.len ? text.at[at + len + 1] : ' ';

	if (ascii_is_digit(before) || ascii_is_alpha(before) || before == '.')
		return false;
	return !ascii_is_digit(after) && !ascii_is_alpha(after) && !(after == '.' && ascii_is_digit(behind));
}

static bool holds(struct span text, const char *what)
{
	struct span needle = span_of(what);

	for (size_t at = 0; at + needle.len <= text.len; at++)
		if (span_equal_nocase(span_first(span_from(text, at), needle.len), needle) &&
		    stands_alone(text, at, needle.len))
			return true;
	return false;
}

bool forward_names_client(const struct forward_audit *audit, unsigned client, struct span text)
{
	struct address address = address_unmap(&audit->clients[client].address);
	char plain[ADDRESS_TEXT] = {0}, coded[2 * ADDRESS_TEXT] = {0};

	if (address.family != ADDRESS_V4 && address.family != ADDRESS_V6)
		return false;
	size_t len = address_format_ip(&address, plain);
	if (holds(text, plain))
		return true;
	base64_encode(span_make(plain, len), coded);
	if (span_search(text, span_of(coded)) >= 0)
		return true;
	if (address.family != ADDRESS_V4)
		return false;
	snprintf(coded, sizeof(coded), "%02x%02x%02x%02x", address.ip[0], address.ip[1], address.ip[2],
		 address.ip[3]);
	if (holds(text, coded))
		return true;
	snprintf(coded, sizeof(coded), "%lu",
		 (unsigned long)address.ip[0] << 24 | (unsigned long)address.ip[1] << 16 |
			 (unsigned long)address.ip[2] << 8 | address.ip[3]);
	return holds(text, coded);
}
