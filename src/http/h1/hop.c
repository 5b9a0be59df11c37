/*
 * The fields that belong to one connection: Connection and what it nominates, Upgrade (RFC 9110 7.6.1, 7.8).
 * Pure but for the arena; called by the parser only.
 */
#include "http/h1/parse_internal.h"

enum {
	NOMINATIONS_MOST = 32, /* each costs a walk over the fields */
	PROTOCOLS_MOST = 8,
};

/* The next member of a list of tokens: no quoted strings, so that no quote can hide a comma. */
static bool token_next(struct span *rest, struct span *token)
{
	while (rest->len) {
		struct span member;
		span_cut(*rest, ',', &member, rest);
		*token = span_trim(member);
		if (http_is_token(*token))
			return true;
	}
	return false;
}

/* True when the option is one that this codec acts on by itself. */
static bool option_known(struct h1_message *message, struct span option)
{
	if (span_equal_nocase(option, SPAN("keep-alive"))) {
		message->keep_alive = true; /* the field Keep-Alive is dropped in any case */
		return true;
	}
	if (span_equal_nocase(option, SPAN("upgrade")))
		return message->option_upgrade = true;
	if (span_equal_nocase(option, SPAN("te")))
		return message->option_te = true;
	if (span_equal_nocase(option, SPAN("close")))
		return message->close = true; /* the field Close is dropped in any case */
	return false;
}

/* What a connection may never take away from a message: its host and its length. */
static bool is_essential(struct span option)
{
	enum http_field_id id = http_field_identify(option);
	return id == HTTP_FIELD_HOST || id == HTTP_FIELD_CONTENT_LENGTH || id == HTTP_FIELD_TRANSFER_ENCODING;
}

bool h1_connection_read(struct h1_message *message, struct span value)
{
	struct http_fields *fields = &message->head->fields;
	struct span rest = value, option;
	unsigned before = message->nominations;
	while (token_next(&rest, &option)) {
		if (option_known(message, option))
			continue;
		if (is_essential(option))
			return h1_refuse(message,
					 "Connection nominates Host, Content-Length or Transfer-Encoding");
		message->nominations++;
	}
	if (message->nominations == before)
		return true;
	if (message->nominations > NOMINATIONS_MOST)
		return h1_too_large(message, "too many connection options");
	/* Kept, dropped, for h1_nominated_drop: fields nominated may come before or after, or as trailers. */
	if (!http_fields_add_known(fields, HTTP_FIELD_CONNECTION, value))
		return h1_fail(message, ERROR_MEMORY, NULL);
	fields->items[fields->count - 1].dropped = true;
	return true;
}

/* Drops from `fields` what the Connection fields among `items` nominate (RFC 9110 7.6.1). */
void h1_nominated_drop(struct http_fields *fields, const struct http_field *items, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		struct span rest = items[i].value, option;
		if (items[i].id != HTTP_FIELD_CONNECTION)
			continue;
		while (token_next(&rest, &option))
			http_fields_drop_name(fields, option);
	}
}

/*
 * A protocol that would carry requests past the proxy unseen (HTTP/2 in clear, HTTP by another name, TLS of RFC 2817) is never
 * offered to the other side.
 */
static bool protocol_may_pass(struct span protocol)
{
	static const struct span never[] = {
		{(const uint8_t *)"h2c", 3},
		{(const uint8_t *)"h2", 2},
		{(const uint8_t *)"http", 4},
		{(const uint8_t *)"tls", 3},
	};
	struct span name, version;
	bool versioned = span_cut(protocol, '/', &name, &version);
	if (!http_is_token(name) || (versioned && !http_is_token(version)))
		return false;
	for (size_t i = 0; i < ARRAY_LENGTH(never); i++)
		if (span_equal_nocase(name, never[i]))
			return false;
	return true;
}

/* RFC 9110 7.8. What may pass is gathered in head->protocol; the rest is left out, as if it had not been offered. */
bool h1_upgrade_read(struct h1_message *message, struct span value)
{
	struct http_head *head = message->head;
	while (value.len) {
		struct span member;
		span_cut(value, ',', &member, &value);
		member = span_trim(member);
		if (!protocol_may_pass(member) || message->protocols == PROTOCOLS_MOST)
			continue;
		if (message->protocols++ == 0) {
			head->protocol = member;
			continue;
		}
		head->protocol =
			arena_format(message->arena, "%.*s, %.*s", SPAN_ARG(head->protocol), SPAN_ARG(member));
		if (!head->protocol.at)
			return h1_fail(message, ERROR_MEMORY, NULL);
	}
	return true;
}

/* When all fields are read: persistence (RFC 9112 9.3), Upgrade and TE, which count only when Connection names them. */
void h1_persistence_settle(struct h1_message *message)
{
	struct http_head *head = message->head;
	bool current = head->version == HTTP_VERSION_11;
	if (message->nominations)
		h1_nominated_drop(&head->fields, head->fields.items, head->fields.count);
	message->framing->keep_alive = !message->close && (current || message->keep_alive);
	message->framing->upgrade = current && message->option_upgrade && head->protocol.len;
	if (!message->framing->upgrade)
		head->protocol = (struct span){0};
	head->te_trailers = current && message->option_te && message->te_trailers;
}
