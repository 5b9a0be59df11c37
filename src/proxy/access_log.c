/*
 * One line for each exchange, formatted straight into the worker's log ring. Nothing a peer sent can end a line or forge a member: what is not plain
 * ASCII is escaped.
 */
#include "proxy/hedge.h"
#include "proxy/proxy_internal.h"
#include "proxy/udp_internal.h"
#include "upstream/exit.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

enum {
	TEXT_MOST = 1024, /* of one thing that a peer chose, as it is written */
	SECRETS_SHOWN = 4,
	TEXTS_MOST = 21, /* such things in a line */
	LINE_MOST = (TEXTS_MOST + 1) * TEXT_MOST,
	ESCAPED_MOST = 6, /* bytes of one escape */
	SCHEME_MOST = 16,
};

/* Writes into a reserved piece of the ring; what does not fit is left out (it is sized so that everything does). */
struct line {
	uint8_t *at, *end;
};

static void line_add(struct line *line, struct span text)
{
	size_t len = size_min(text.len, (size_t)(line->end - line->at));

	if (len)
		memcpy(line->at, text.at, len);
	line->at += len;
}

static void line_byte(struct line *line, uint8_t byte)
{
	if (line->at < line->end)
		*line->at++ = byte;
}

/* Decimal; fraction > 0 puts a point before that many last digits. */
static void line_number(struct line *line, uint64_t value, unsigned fraction)
{
	uint8_t digits[24];
	size_t at = sizeof(digits);
	unsigned done = 0;

	do {
		if (fraction && done == fraction)
			digits[--at] = '.';
		digits[--at] = (uint8_t)('0' + value % 10);
		value /= 10;
		done++;
	} while (value || done <= fraction);
	line_add(line, span_make(digits + at, sizeof(digits) - at));
}

static void line_escape(struct line *line, uint8_t byte)
{
	static const char hex[] = "0123456789abcdef";

	if (byte == '"' || byte == '\\') {
		line_byte(line, '\\');
		line_byte(line, byte);
	} else {
		line_add(line, SPAN("\\u00"));
		line_byte(line, (uint8_t)hex[byte >> 4]);
		line_byte(line, (uint8_t)hex[byte & 15]);
	}
}

/* `least`: what is below is escaped, 0x20 or 0x21. */
static void line_text_from(struct line *line, struct span text, uint8_t least)
{
	const uint8_t *start = line->at;

	for (size_t i = 0; i < text.len && line->at - start <= TEXT_MOST - ESCAPED_MOST; i++) {
		uint8_t byte = text.at[i];
		if (byte >= least && byte < 0x7f && byte != '"' && byte != '\\')
			line_byte(line, byte);
		else
			line_escape(line, byte);
	}
}

static void line_text(struct line *line, struct span text)
{
	line_text_from(line, text, 0x20);
}

/* ,"key":"text" */
static void line_member(struct line *line, struct span key, struct span text)
{
	line_add(line, key);
	line_byte(line, '"');
	line_text(line, text);
	line_byte(line, '"');
}

/* ,"key":number */
static void line_count(struct line *line, struct span key, uint64_t value)
{
	line_add(line, key);
	line_number(line, value, 0);
}

/* ---- what is said ---- */

static void line_address(struct line *line, const struct exchange *x, const struct proxy_exchange *p)
{
	char text[ADDRESS_TEXT];
	size_t len = client_log_text(x->worker, p->listener->service.log_addresses, &p->origin.client, text);

	line_text(line, span_make(text, len));
}

/* Where a query or a fragment begins, or the end. */
static size_t place_end(struct span text)
{
	size_t end = 0;

	while (end < text.len && text.at[end] != '?' && text.at[end] != '#')
		end++;
	return end;
}

/*
 * What is not to be read of a place, which has no path before it, from `start` on: the user and the password that a refused target may hold (RFC 9110
 * 4.2.4). Of one with a question mark before its "@", and nobody knows whether that is in the password, everything. How many bytes.
 */
static size_t place_user(struct span text, size_t start, bool whole)
{
	size_t end = start, at = start;

	while (end < text.len && text.at[end] != '/' && text.at[end] != '?' && text.at[end] != '#') {
		if (text.at[end] == '@')
			at = end;
		end++;
	}
	if (at == start && !whole && end < text.len && text.at[end] != '/' && span_find(text, '@') >= 0)
		return end - start;
	return at - start;
}

/*
 * A host, a target, or a Referer. Users and passwords are nobody's to read; nor are queries, unless the administrator wants them: a mark says that there was
 * one. What was refused may even have a fragment.
 */
static void line_place(struct line *line, const struct proxy_exchange *p, struct span text)
{
	ptrdiff_t slashes = span_search(text, SPAN("://"));
	size_t start = slashes < 0 || slashes > SCHEME_MOST ? 0 : (size_t)slashes + 3;
	bool whole = p->listener->log_queries;
	size_t hidden = text.len && text.at[0] != '/' ? place_user(text, start, whole) : 0;

	if (hidden) {
		line_text(line, span_first(text, start));
		line_byte(line, '*');
		text = span_from(text, start + hidden);
	}
	size_t end = whole ? text.len : place_end(text);
	line_text(line, span_first(text, end));
	if (end < text.len) {
		line_byte(line, text.at[end]);
		line_byte(line, '*');
	}
}

/* As the client asked; on tcp listeners the name, if any. */
static void line_target(struct line *line, const struct exchange *x, const struct proxy_exchange *p)
{
	if (p->listener->face == PROXY_TCP) {
		line_text(line, p->authority.len ? p->authority : SPAN("-"));
		return;
	}
	if (p->listener->face == PROXY_REVERSE) {
		line_place(line, p, p->path);
		return;
	}
	if (x->request.method == HTTP_METHOD_CONNECT || http_version_is_socks(x->request.version)) {
		line_place(line, p, p->authority);
		return;
	}
	if (x->request.target_form == HTTP_TARGET_ABSOLUTE) {
		line_text(line, x->request.scheme);
		line_add(line, SPAN("://"));
		line_text(line, p->authority);
	}
	line_place(line, p, p->path);
}

static struct span protocol_name(const struct exchange *x)
{
	switch (x->request.version) {
	case HTTP_VERSION_SOCKS4:
		return SPAN("SOCKS4");
	case HTTP_VERSION_SOCKS5:
		return SPAN("SOCKS5");
	case HTTP_VERSION_10:
		return SPAN("HTTP/1.0");
	case HTTP_VERSION_11:
		return SPAN("HTTP/1.1");
	case HTTP_VERSION_2:
		return SPAN("HTTP/2");
	default:
		return SPAN("-");
	}
}

/* YYYY-MM-DDThh:mm:ss.mmmZ */
static void line_time(struct line *line, int64_t wall_ms)
{
	time_t seconds = (time_t)(wall_ms / 1000);
	struct tm tm;
	char text[40];

	gmtime_r(&seconds, &tm);
	size_t len = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	line_add(line, span_make(text, len));
	line_byte(line, '.');
	unsigned ms = (unsigned)(wall_ms % 1000);
	line_byte(line, (uint8_t)('0' + ms / 100));
	line_byte(line, (uint8_t)('0' + ms / 10 % 10));
	line_byte(line, (uint8_t)('0' + ms % 10));
	line_byte(line, 'Z');
}

static void line_error(struct line *line, const struct exchange *x, const struct proxy_exchange *p)
{
	if (!error_is(&x->error)) {
		line_add(line, SPAN(",\"error\":null"));
		return;
	}
	line_add(line, SPAN(",\"error\":\""));
	line_text(line, span_of(error_text(&x->error)));
	if (x->error.system) {
		line_add(line, SPAN(": "));
		const char *description = strerrordesc_np(x->error.system);
		line_text(line, span_of(description ? description : "unknown error"));
	}
	if (p->detail.len) {
		line_add(line, SPAN(": "));
		line_text(line, p->detail);
	}
	line_byte(line, '"');
}

static struct span face_name(const struct proxy_listener *listener)
{
	switch (listener->face) {
	case PROXY_FORWARD:
		return SPAN("forward");
	case PROXY_REVERSE:
		return SPAN("reverse");
	case PROXY_TCP:
	case PROXY_ADMIN: /* not reached: has no exchange of this room */
		break;
	}
	return SPAN("tcp");
}

/*
 * What became of a request of a forward listener: "allow"; "deny": by a rule; "guard": its address is not for clients; "login": who asked was not known;
 * "limit": it was too much; "none": it failed before anybody had judged it, or while a rule waited for its address.
 */
static struct span verdict_name(const struct exchange *x, const struct proxy_exchange *p)
{
	enum verdict_outcome outcome = p->forward.verdict.outcome;

	if (x->error.code == ERROR_DENIED)
		return SPAN("deny");
	if (x->error.code == ERROR_TARGET_PROHIBITED)
		return SPAN("guard");
	if (x->error.code == ERROR_LOGIN_REQUIRED || x->error.code == ERROR_LOGIN_BRAKED)
		return SPAN("login");
	if (error_status(&x->error) == 429)
		return SPAN("limit");
	if (outcome == VERDICT_ALLOW || (outcome == VERDICT_NEEDS_ADDRESS && p->server_text.len))
		return SPAN("allow");
	return SPAN("none");
}

static struct span rule_name(const struct exchange *x, const struct proxy_exchange *p)
{
	const struct verdict *verdict = &p->forward.verdict;

	if (x->error.code == ERROR_DENIED && verdict->rule == VERDICT_NO_RULE)
		return verdict->reason == VERDICT_BY_SOURCE ? SPAN("sources") : SPAN("default");
	return verdict->name;
}

/* Who asked, as far as it has proved to be anybody. */
static void line_user(struct line *line, const struct proxy_exchange *p)
{
	if (p->listener->face == PROXY_FORWARD && p->forward.user.len)
		line_text_from(line, p->forward.user, 0x21);
	else
		line_byte(line, '-');
}

/* ,"key":"text" if there is any */
static void line_member_if(struct line *line, struct span key, struct span text)
{
	if (text.len)
		line_member(line, key, text);
}

/* ,"secrets":["a"] */
static void line_secrets(struct line *line, const struct proxy_exchange *p)
{
	struct span name;

	for (size_t i = 0; i < SECRETS_SHOWN && (name = forward_secret_name(p, i)).len; i++)
		line_member(line, i ? SPAN(",") : SPAN(",\"secrets\":["), name);
	if (p->forward.secrets)
		line_byte(line, ']');
}

/* What a forward listener is asked about later: by which rule, which way, with what. */
static void line_verdict(struct line *line, const struct exchange *x, const struct proxy_exchange *p)
{
	line_member(line, SPAN(",\"verdict\":"), verdict_name(x, p));
	line_member_if(line, SPAN(",\"rule\":"), rule_name(x, p));
	line_secrets(line, p);
	line_member_if(line, SPAN(",\"parent\":"), p->forward.parent);
	if (p->forward.way.bound || p->forward.way.interface)
		line_member(line, SPAN(",\"exit\":"), span_of(exit_name(p->listener->exits, p->forward.exit)));
	line_member_if(line, SPAN(",\"source\":"), p->forward.source_text);
	if (p->forward.tells_address)
		line_add(line, SPAN(",\"tells_address\":true"));
}

/* Of an association of SOCKS: what became of its datagrams, and why the first that was denied was. */
static void line_udp(struct line *line, const struct udp_tally *tally)
{
	line_count(line, SPAN(",\"udp\":{\"sent\":"), tally->sent);
	line_count(line, SPAN(",\"received\":"), tally->received);
	line_count(line, SPAN(",\"denied\":"), tally->denied);
	line_count(line, SPAN(",\"dropped\":"), tally->dropped);
	line_member_if(line, SPAN(",\"denial\":"), tally->denial);
	line_byte(line, '}');
}

/* What only a message of HTTP has. */
static void line_request(struct line *line, const struct exchange *x, const struct proxy_exchange *p)
{
	line_member(line, SPAN(",\"method\":"), x->request.method_text);
	line_add(line, SPAN(",\"target\":\""));
	line_target(line, x, p);
	line_byte(line, '"');
	line_member(line, SPAN(",\"protocol\":"), protocol_name(x));
	if (x->client->tls)
		line_member(line, SPAN(",\"tls\":"), span_of(x->client->tls->version));
	line_add(line, SPAN(",\"host\":\""));
	line_place(line, p, p->authority);
	line_byte(line, '"');
}

static void line_json(struct line *line, const struct exchange *x, const struct proxy_exchange *p)
{
	bool tcp = p->listener->face == PROXY_TCP;

	line_add(line, SPAN("{\"time\":\""));
	line_time(line, x->worker->loop.wall_ms);
	line_byte(line, '"');
	line_member(line, SPAN(",\"face\":"), face_name(p->listener));
	line_member(line, SPAN(",\"listener\":"), p->listener->text);
	line_add(line, SPAN(",\"client\":\""));
	line_address(line, x, p);
	line_byte(line, '"');
	if (p->listener->face == PROXY_FORWARD)
		line_member_if(line, SPAN(",\"user\":"), p->forward.user);
	if (tcp)
		line_member(line, SPAN(",\"target\":"), p->authority);
	else
		line_request(line, x, p);
	if (p->match.route)
		line_count(line, SPAN(",\"route\":"), p->match.route->index);
	else if (p->tcp_route && tcp_router_by_name(p->listener->tcp))
		line_count(line, SPAN(",\"route\":"), p->tcp_route->index);
	if (p->listener->face == PROXY_FORWARD)
		line_verdict(line, x, p);
	if (p->server_text.len)
		line_member(line, SPAN(",\"server\":"), p->server_text);
	if (!tcp)
		line_count(line, SPAN(",\"status\":"), x->state == EXCHANGE_HEAD ? 0 : x->response.status);
	line_count(line, SPAN(",\"in\":"), x->request_body.total);
	line_count(line, SPAN(",\"out\":"), x->response_body.total);
	line_add(line, SPAN(",\"ms\":"));
	line_number(line, (x->worker->loop.now_us - x->began_us) / 10, 2);
	if (!tcp)
		line_add(line, p->reused ? SPAN(",\"reused\":true") : SPAN(",\"reused\":false"));
	if (p->listener->face != PROXY_FORWARD && p->hand_over.tries)
		line_count(line, SPAN(",\"tries\":"), p->hand_over.tries + 1);
	if (p->listener->face == PROXY_REVERSE && hedge_was_used(p))
		line_add(line, SPAN(",\"hedged\":true"));
	if (p->leaks)
		line_count(line, SPAN(",\"leaks\":"), p->leaks);
	if (p->forward.udp)
		line_udp(line, p->forward.udp);
	line_error(line, x, p);
	line_add(line, SPAN("}\n"));
}

static struct span field_of(const struct exchange *x, enum http_field_id id)
{
	const struct http_field *field = http_fields_find(&x->request.fields, id);

	return field ? field->value : SPAN("-");
}

/* Apache's combined format, as nginx writes it: ADDRESS - USER [TIME] "REQUEST" STATUS BYTES "REFERER" "AGENT" */
static void line_combined(struct line *line, const struct exchange *x, const struct proxy_exchange *p)
{
	time_t seconds = (time_t)(x->worker->loop.wall_ms / 1000);
	struct tm tm;
	char time_text[40];

	line_address(line, x, p);
	line_add(line, SPAN(" - "));
	line_user(line, p);
	gmtime_r(&seconds, &tm);
	line_add(line, span_make(time_text, strftime(time_text, sizeof(time_text),
						     " [%d/%b/%Y:%H:%M:%S +0000] \"", &tm)));
	line_text(line, p->listener->face == PROXY_TCP ? SPAN("-") : x->request.method_text);
	line_byte(line, ' ');
	line_target(line, x, p);
	line_byte(line, ' ');
	line_add(line, protocol_name(x));
	line_add(line, SPAN("\" "));
	line_number(line, x->response.status, 0);
	line_byte(line, ' ');
	line_number(line, x->response_body.total, 0);
	line_add(line, SPAN(" \""));
	line_place(line, p, field_of(x, HTTP_FIELD_REFERER));
	line_add(line, SPAN("\" \""));
	line_text(line, field_of(x, HTTP_FIELD_USER_AGENT));
	line_add(line, SPAN("\"\n"));
}

void access_log_write(const struct exchange *x, const struct proxy_exchange *p)
{
	struct log_ring *ring = x->worker->log;

	if (!log_access_on(ring))
		return;
	uint8_t *room = log_reserve(ring, LOG_STREAM_ACCESS, LINE_MOST);
	if (!room)
		return;
	struct line line = {.at = room, .end = room + LINE_MOST};
	if (p->listener->log_format == LOG_FORMAT_JSON)
		line_json(&line, x, p);
	else
		line_combined(&line, x, p);
	log_commit(ring, (size_t)(line.at - room));
}
