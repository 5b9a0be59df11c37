/*
 * A request and its response over either version of HTTP. See ask.h.
 */
#include "audit/ask.h"

#include "http/h2/visit.h"

#include <stdio.h>

struct span ask_field(const struct ask_head *head, const char *name)
{
	for (unsigned i = 0; i < head->count; i++)
		if (span_equal_nocase(head->fields[i].name, span_of(name)))
			return head->fields[i].value;
	return (struct span){0};
}

static bool fail(struct ask_answer *answer, const char *why)
{
	(void)snprintf(answer->why, sizeof(answer->why), "%s", why);
	return false;
}

/* Where a head goes that begins now. NULL: there have been too many. */
static struct ask_head *head_of(struct ask_answer *answer, unsigned status)
{
	if (answer->final.status)
		return &answer->trailers;
	if (status >= 200 || status == 101)
		return &answer->final;
	return answer->interim_count < ASK_INTERIM_MOST ? &answer->interim[answer->interim_count++] : NULL;
}

/* The host without its port, and a literal address of IPv6 without its brackets. */
static struct span name_of(struct span host)
{
	struct span name, rest;

	if (host.len && host.at[0] == '[')
		(void)span_cut(span_from(host, 1), ']', &name, &rest);
	else
		(void)span_cut(host, ':', &name, &rest);
	return name;
}

static bool open_way(struct wire *wire, const struct ask_way *way, struct span name, uint64_t deadline)
{
	struct tls_blocking_client options = {
		.name = name, .alpn = way->version == ASK_HTTP2 ? TLS_BLOCKING_HTTP2 : TLS_BLOCKING_HTTP1};

	if (!wire_open_proxy(wire, way->server, &way->from, SPAN(""), deadline))
		return false;
	return !way->tls || wire_tls(wire, &options, deadline);
}

/* ---- HTTP/1.1 ---- */

static bool copy_fields(struct ask_head *head, const struct wire_message *message, struct arena *arena)
{
	head->fields = arena_zalloc(arena, message->count + 1, sizeof(*head->fields));
	if (!head->fields)
		return false;
	memcpy(head->fields, message->fields, message->count * sizeof(*head->fields));
	head->count = message->count;
	return true;
}

/* RFC 9112 4: what stands behind the status */
static struct span reason_of(struct span start)
{
	struct span version, rest, status, reason;

	(void)span_cut(start, ' ', &version, &rest);
	(void)span_cut(rest, ' ', &status, &reason);
	return reason;
}

static bool take_message(struct ask_answer *answer, const struct wire_message *message, struct arena *arena)
{
	struct ask_head *head = head_of(answer, message->status);
	struct wire_message trailers;
	struct span text;

	if (!head)
		return fail(answer, "too many interim responses");
	head->status = message->status;
	head->reason = reason_of(message->start);
	if (!copy_fields(head, message, arena))
		return fail(answer, "out of memory");
	if (head != &answer->final)
		return true;
	answer->body = message->body;
	answer->complete = message->complete;
	if (message->trailers.len == 0)
		return true;
	text = arena_join(arena, (const struct span[]){SPAN("trailers\r\n"), message->trailers}, 2);
	if (!text.at)
		return fail(answer, "out of memory");
	wire_message_parse(text, &trailers);
	return copy_fields(&answer->trailers, &trailers, arena) || fail(answer, "out of memory");
}

static bool receive_http1(struct wire *wire, struct span method, struct arena *arena,
			  struct ask_answer *answer, uint64_t deadline)
{
	while (!answer->final.status) {
		struct wire_message message;

		if (!wire_read(wire, method, true, arena, &message, deadline))
			return fail(answer, wire->why);
		if (!take_message(answer, &message, arena))
			return false;
	}
	return true;
}

static struct span write_http1(const struct ask *ask, struct arena *arena)
{
	struct span text = arena_format(arena, "%.*s %.*s HTTP/1.1\r\nHost: %.*s\r\nConnection: close\r\n",
					SPAN_ARG(ask->method), SPAN_ARG(ask->target), SPAN_ARG(ask->host));

	for (unsigned i = 0; text.at && i < ask->count; i++)
		text = arena_format(arena, "%.*s%.*s: %.*s\r\n", SPAN_ARG(text),
				    SPAN_ARG(ask->fields[i].name), SPAN_ARG(ask->fields[i].value));
	return text.at ? arena_format(arena, "%.*s\r\n", SPAN_ARG(text)) : text;
}

/* ---- HTTP/2 ---- */

struct visitor {
	struct arena *arena;
	struct ask_answer *answer;
	struct ask_head block; /* that is being received */
	unsigned room;
	bool ended;
	uint32_t code;
};

/* The block that was received goes to where it belongs. */
static void visitor_settle(struct visitor *visitor)
{
	struct ask_head *head = visitor->block.fields ? head_of(visitor->answer, visitor->block.status) : NULL;

	if (head)
		*head = visitor->block;
	visitor->block = (struct ask_head){0};
}

static void on_block(void *owner)
{
	struct visitor *visitor = owner;

	visitor_settle(visitor);
	visitor->block.fields = arena_zalloc(visitor->arena, WIRE_FIELDS_MOST, sizeof(*visitor->block.fields));
}

static void on_field(void *owner, struct span name, struct span value)
{
	struct visitor *visitor = owner;
	struct ask_head *block = &visitor->block;
	struct wire_field field = {arena_copy(visitor->arena, name), arena_copy(visitor->arena, value)};
	uint64_t status;

	if (!block->fields || !field.name.at || !field.value.at)
		return;
	if (span_equal(name, SPAN(":status"))) {
		if (span_to_u64(value, &status) && status < 1000)
			block->status = (unsigned)status;
		return;
	}
	if (block->count < WIRE_FIELDS_MOST)
		block->fields[block->count++] = field;
}

static void on_data(void *owner, struct span bytes)
{
	struct visitor *visitor = owner;
	struct span *body = &visitor->answer->body;

	visitor_settle(visitor);
	if (body->len + bytes.len <= WIRE_BODY_MOST)
		*body = arena_join(visitor->arena, (const struct span[]){*body, bytes}, 2);
}

static void on_end(void *owner, uint32_t code)
{
	struct visitor *visitor = owner;

	visitor_settle(visitor);
	visitor->ended = true;
	visitor->code = code;
}

static const struct h2_visit_ops visitor_ops = {on_block, on_field, on_data, on_end};

static bool send_output(struct wire *wire, struct h2_visit *visit, uint64_t deadline)
{
	struct span output;

	while ((output = h2_visit_output(visit)).len)
		if (!wire_send(wire, output, deadline))
			return false;
	return true;
}

/* Until the stream is over. */
static bool talk_http2(struct wire *wire, struct h2_visit *visit, struct visitor *visitor, uint64_t deadline)
{
	for (;;) {
		struct span waiting = wire_waiting(wire);

		if (waiting.len && !h2_visit_receive(visit, waiting))
			return fail(visitor->answer, "what came is no HTTP/2");
		wire_take(wire, waiting.len);
		if (!send_output(wire, visit, deadline))
			return fail(visitor->answer, wire->why);
		if (visitor->ended)
			return true;
		if (!wire_receive(wire, deadline))
			return fail(visitor->answer, wire->ended ? "the connection ended" : wire->why);
	}
}

static bool request_http2(struct h2_visit *visit, const struct ask *ask, struct span scheme)
{
	struct h2_visit_field fields[ASK_FIELDS_MOST + 4] = {
		{SPAN(":method"), ask->method},
		{SPAN(":scheme"), scheme},
		{SPAN(":authority"), ask->host},
		{SPAN(":path"), ask->target},
	};

	for (unsigned i = 0; i < ask->count; i++)
		fields[4 + i] = (struct h2_visit_field){ask->fields[i].name, ask->fields[i].value};
	return h2_visit_request(visit, fields, 4 + ask->count);
}

bool ask_http2(struct wire *wire, const struct ask *ask, struct span scheme, struct arena *arena,
	       struct ask_answer *answer, uint64_t deadline)
{
	struct visitor visitor = {.arena = arena, .answer = answer};
	struct h2_visit *visit;

	*answer = (struct ask_answer){.body = SPAN("")};
	if (wire->tls && !span_equal(tls_blocking_alpn(wire->tls), SPAN("h2")))
		return fail(answer, "HTTP/2 is not spoken there");
	visit = h2_visit_new(&visitor_ops, &visitor);
	if (!visit || !request_http2(visit, ask, scheme))
		(void)fail(answer, "out of memory");
	else
		(void)talk_http2(wire, visit, &visitor, deadline);
	h2_visit_free(visit);
	visitor_settle(&visitor);
	answer->complete = visitor.ended && visitor.code == 0;
	if (visitor.ended && visitor.code && !answer->why[0])
		(void)snprintf(answer->why, sizeof(answer->why), "the stream was reset (code %u)",
			       visitor.code);
	return answer->final.status != 0;
}

/* ---- both ---- */

bool ask(const struct ask_way *way, const struct ask *ask, struct arena *arena, struct ask_answer *answer,
	 uint64_t deadline)
{
	struct span text;
	struct wire wire;
	bool done;

	if (way->version == ASK_HTTP1) {
		text = write_http1(ask, arena);
		if (text.at)
			return ask_raw(way, ask->host, text, arena, answer, deadline);
		*answer = (struct ask_answer){0};
		return fail(answer, "out of memory");
	}
	*answer = (struct ask_answer){0};
	wire_init(&wire);
	done = open_way(&wire, way, name_of(ask->host), deadline) ?
		       ask_http2(&wire, ask, way->tls ? SPAN("https") : SPAN("http"), arena, answer, deadline) :
		       fail(answer, wire.why);
	wire_close(&wire);
	return done;
}

bool ask_raw(const struct ask_way *way, struct span host, struct span bytes, struct arena *arena,
	     struct ask_answer *answer, uint64_t deadline)
{
	struct span method, rest;
	struct wire wire;
	bool done;

	*answer = (struct ask_answer){0};
	(void)span_cut(bytes, ' ', &method, &rest);
	wire_init(&wire);
	done = open_way(&wire, way, name_of(host), deadline) && wire_send(&wire, bytes, deadline);
	done = done ? receive_http1(&wire, method, arena, answer, deadline) : fail(answer, wire.why);
	wire_close(&wire);
	return done;
}
