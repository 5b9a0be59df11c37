/*
 * The talk with one parent. See parent_talk.h. On the worker of who has the connection.
 */
#include "upstream/parent_talk.h"

#include "http/h1/parse.h"
#include "socks/message.h"

static void talk_set_state(struct parent_talk *talk, enum parent_talk_state state)
{
	static const uint8_t legal[] = {
		[PARENT_TALK_IDLE] = 1 << PARENT_TALK_HEAD | 1 << PARENT_TALK_METHOD |
				     1 << PARENT_TALK_REPLY | 1 << PARENT_TALK_OPEN | 1 << PARENT_TALK_FAILED,
		[PARENT_TALK_HEAD] = 1 << PARENT_TALK_OPEN | 1 << PARENT_TALK_FAILED,
		[PARENT_TALK_METHOD] = 1 << PARENT_TALK_LOGIN | 1 << PARENT_TALK_REPLY |
				       1 << PARENT_TALK_OPEN | 1 << PARENT_TALK_FAILED,
		[PARENT_TALK_LOGIN] = 1 << PARENT_TALK_REPLY | 1 << PARENT_TALK_OPEN | 1 << PARENT_TALK_FAILED,
		[PARENT_TALK_REPLY] = 1 << PARENT_TALK_OPEN | 1 << PARENT_TALK_FAILED,
		[PARENT_TALK_OPEN] = 0,
		[PARENT_TALK_FAILED] = 0,
	};

	ENSURE(legal[talk->state] >> state & 1);
	talk->state = (uint8_t)state;
}

static void talk_fail(struct parent_talk *talk, enum parent_blame blame, enum error_code code, const char *text)
{
	talk_set_state(talk, PARENT_TALK_FAILED);
	talk->blame = (uint8_t)blame;
	talk->error = error_make(code, text);
}

static void talk_malformed(struct parent_talk *talk, const char *why)
{
	talk_fail(talk, PARENT_BLAME_PARENT, ERROR_PARENT_MALFORMED, why);
}

static struct span talk_no_memory(struct parent_talk *talk)
{
	talk_fail(talk, PARENT_BLAME_NOBODY, ERROR_MEMORY, NULL);
	return (struct span){0};
}

void parent_talk_init(struct parent_talk *talk, const struct parent_server *server, struct memory *memory,
		      const struct address *address, struct span host, uint16_t port)
{
	*talk = (struct parent_talk){
		.server = server,
		.memory = memory,
		.host = host,
		.address = *address,
		.port = port,
	};
	talk->address.port = port;
}

void parent_talk_fini(struct parent_talk *talk)
{
	if (talk->bytes)
		memory_free(talk->memory, talk->bytes, talk->capacity);
	talk->bytes = NULL;
	talk->len = talk->capacity = 0;
}

/* ---- what is said ---- */

/* RFC 9110 9.3.6, RFC 9112 3.2.3: the target in authority-form, a literal IPv6 address in brackets. */
static struct span say_connect(struct parent_talk *talk, struct arena *arena)
{
	static const struct span login = SPAN("Proxy-Authorization: "), end = SPAN("\r\n");
	struct span authorization = talk->server->authorization;
	char text[ADDRESS_TEXT];
	struct span target = talk->address.family == ADDRESS_NONE ?
				     arena_format(arena, "%.*s:%u", SPAN_ARG(talk->host), talk->port) :
				     arena_copy(arena, span_make(text, address_format(&talk->address, text)));
	const struct span parts[] = {
		SPAN("CONNECT "),
		target,
		SPAN(" HTTP/1.1\r\nHost: "),
		target,
		end,
		authorization.len ? login : (struct span){0},
		authorization,
		authorization.len ? end : (struct span){0},
		end,
	};

	if (!target.at)
		return (struct span){0};
	return arena_join(arena, parts, ARRAY_LENGTH(parts));
}

static struct span say_request(struct parent_talk *talk, struct arena *arena, enum socks_version version)
{
	struct socks_request request = {
		.place = {.address = talk->address, .name = talk->host},
		.command = SOCKS_CONNECT,
		.user = version == SOCKS_VERSION_4 ? talk->server->user : (struct span){0},
	};
	uint8_t out[SOCKS_MESSAGE_MOST] UNINITIALISED;
	char text[ADDRESS_TEXT];

	/* Version 4 has no place for an IPv6 address; 4A has one for a name, and names of addresses are understood by most. */
	if (version == SOCKS_VERSION_4 && talk->address.family == ADDRESS_V6) {
		request.place.name = span_make(text, address_format_ip(&talk->address, text));
		request.place.address = (struct address){.family = ADDRESS_NONE, .port = talk->port};
	}
	size_t len = socks_request_write(version, &request, out);
	if (len == 0) {
		talk_fail(talk, PARENT_BLAME_TARGET, ERROR_UNREACHABLE,
			  "the target cannot be named in the parent's protocol");
		return (struct span){0};
	}
	return arena_copy(arena, span_make(out, len));
}

/* RFC 1928 3: with credentials, those alone. */
static struct span say_greeting(struct parent_talk *talk, struct arena *arena)
{
	const uint8_t method = talk->server->user.len ? SOCKS_METHOD_PASSWORD : SOCKS_METHOD_NONE;
	uint8_t out[SOCKS_MESSAGE_MOST] UNINITIALISED;

	return arena_copy(arena, span_make(out, socks_greeting_write(span_make(&method, 1), out)));
}

static struct span say_login(struct parent_talk *talk, struct arena *arena)
{
	const struct socks_login login = {talk->server->user, talk->server->password};
	uint8_t out[SOCKS_MESSAGE_MOST] UNINITIALISED;

	return arena_copy(arena, span_make(out, socks_login_write(&login, out)));
}

struct span parent_talk_begin(struct parent_talk *talk, struct arena *arena)
{
	static const struct span nothing = {(const uint8_t *)"", 0};
	struct span say = nothing;

	switch (talk->server->kind) {
	case PARENT_HTTP:
	case PARENT_HTTPS:
		if (talk->port)
			say = say_connect(talk, arena);
		talk_set_state(talk, talk->port ? PARENT_TALK_HEAD : PARENT_TALK_OPEN);
		break;
	case PARENT_SOCKS4A:
		if (talk->port)
			say = say_request(talk, arena, SOCKS_VERSION_4);
		if (talk->state == PARENT_TALK_IDLE)
			talk_set_state(talk, talk->port ? PARENT_TALK_REPLY : PARENT_TALK_OPEN);
		break;
	case PARENT_SOCKS5:
		say = say_greeting(talk, arena);
		talk_set_state(talk, PARENT_TALK_METHOD);
		break;
	}
	if (!say.at && talk->state != PARENT_TALK_FAILED)
		return talk_no_memory(talk);
	return say;
}

/* ---- what HTTP answers ---- */

/*
 * RFC 9209 2.3: what the parent says of where it was to go. Errors of its own (proxy_internal_error, connection_limit_reached, http_request_denied and
 * the like) are not among them.
 */
static bool says_target(const struct http_head *head)
{
	static const char *const of_target[] = {
		"dns_timeout",
		"dns_error",
		"destination_not_found",
		"destination_unavailable",
		"destination_ip_unroutable",
		"connection_refused",
		"connection_terminated",
		"connection_timeout",
		"tls_protocol_error",
	};
	const struct http_field *field = http_fields_find_name(&head->fields, SPAN("proxy-status"));
	ptrdiff_t at = field ? span_search(field->value, SPAN("error=")) : -1;
	/* Squid's way to say so. */
	const struct http_field *squid = http_fields_find_name(&head->fields, SPAN("x-squid-error"));

	if (squid && (span_starts_with(squid->value, SPAN("ERR_CONNECT_FAIL")) ||
		      span_starts_with(squid->value, SPAN("ERR_DNS_FAIL"))))
		return true;
	for (size_t i = 0; at >= 0 && i < ARRAY_LENGTH(of_target); i++)
		if (span_starts_with(span_from(field->value, (size_t)at + 6), span_of(of_target[i])))
			return true;
	return false;
}

static void talk_refused(struct parent_talk *talk, const struct http_head *head)
{
	unsigned status = head->status;

	if (status == 407 || status == 401) /* Tinyproxy's word for wrong ones */
		talk_fail(talk, PARENT_BLAME_PARENT, ERROR_PARENT_LOGIN,
			  talk->server->user.len ? NULL : "the parent proxy wants to know who we are");
	else if (status >= 500 && says_target(head))
		talk_fail(talk, PARENT_BLAME_TARGET, ERROR_UNREACHABLE,
			  "the parent proxy cannot reach the target");
	else if (status >= 500)
		talk_fail(talk, PARENT_BLAME_MAYBE, ERROR_PARENT_FAILED,
			  "the parent proxy answered CONNECT with 5xx");
	else if (status == 408 || status == 429)
		talk_fail(talk, PARENT_BLAME_MAYBE, ERROR_PARENT_FAILED, "the parent proxy has too much to do");
	else if (status >= 400)
		talk_fail(talk, PARENT_BLAME_WISH, ERROR_PARENT_REFUSED,
			  "the parent proxy answered CONNECT with 4xx");
	else
		talk_fail(talk, PARENT_BLAME_PARENT, ERROR_PARENT_MALFORMED,
			  "an answer to CONNECT is 2xx, 4xx or 5xx");
}

static const struct h1_limits head_limits = {
	.request_line = 2048,
	.field_line = 8192,
	.fields = 100,
	.head = PARENT_HEAD_MOST,
};

/* A whole head. */
static void hear_head(struct parent_talk *talk, struct span bytes)
{
	struct error error = ERROR_OK;
	struct h1_framing framing;
	struct http_head head;
	struct arena arena;

	arena_init(&arena, talk->memory, NULL, NULL, 0);
	if (!h1_response_parse(bytes, &arena, &head_limits, HTTP_METHOD_CONNECT, &head, &framing, &error)) {
		if (error.code == ERROR_MEMORY)
			talk_fail(talk, PARENT_BLAME_NOBODY, ERROR_MEMORY, NULL);
		else
			talk_malformed(talk, error_text(&error));
	} else if (head.status < 200 && head.status != 101) {
		if (++talk->interim > PARENT_INTERIM_MOST)
			talk_malformed(talk, "too many interim responses");
	} else {
		talk->status = head.status;
		if (head.status >= 200 && head.status < 300)
			talk_set_state(talk, PARENT_TALK_OPEN);
		else
			talk_refused(talk, &head);
	}
	arena_fini(&arena);
}

/* ---- what SOCKS answers ---- */

static void talk_replied(struct parent_talk *talk, const struct socks_reply *reply)
{
	switch (reply->code) {
	case SOCKS_SUCCEEDED:
		talk_set_state(talk, PARENT_TALK_OPEN);
		return;
	case SOCKS_NOT_ALLOWED:
		talk_fail(talk, PARENT_BLAME_WISH, ERROR_PARENT_REFUSED,
			  "the parent proxy's rules do not allow it");
		return;
	case SOCKS_NETWORK_UNREACHABLE:
	case SOCKS_HOST_UNREACHABLE:
	case SOCKS_TTL_EXPIRED:
		talk_fail(talk, PARENT_BLAME_TARGET, ERROR_UNREACHABLE,
			  "the parent proxy cannot reach the target");
		return;
	case SOCKS_REFUSED:
		talk_fail(talk, PARENT_BLAME_TARGET, ERROR_CONNECT_REFUSED,
			  "the target refused the parent proxy's connection");
		return;
	case SOCKS_COMMAND_UNKNOWN:
	case SOCKS_ADDRESS_UNKNOWN:
		talk_fail(talk, PARENT_BLAME_PARENT, ERROR_PARENT_FAILED,
			  "the parent proxy does not know the command, or the kind of address");
		return;
	case SOCKS_FAILED:
		break;
	}
	talk_fail(talk, PARENT_BLAME_MAYBE, ERROR_PARENT_FAILED, "the parent proxy answered that it failed");
}

static enum socks_read hear_reply(struct parent_talk *talk, struct span bytes, size_t *used, const char **why)
{
	enum socks_version version = talk->server->kind == PARENT_SOCKS4A ? SOCKS_VERSION_4 : SOCKS_VERSION_5;
	struct socks_reply reply;
	enum socks_read read = socks_reply_read(version, bytes, &reply, used, why);

	if (read == SOCKS_DONE)
		talk_replied(talk, &reply);
	return read;
}

/* The login is over, if there was any: now for the target. */
static struct span ask_socks5(struct parent_talk *talk, struct arena *arena)
{
	struct span say = {(const uint8_t *)"", 0};

	if (talk->port)
		say = say_request(talk, arena, SOCKS_VERSION_5);
	if (talk->state == PARENT_TALK_FAILED)
		return say;
	talk_set_state(talk, talk->port ? PARENT_TALK_REPLY : PARENT_TALK_OPEN);
	return say.at ? say : talk_no_memory(talk);
}

static enum socks_read hear_method(struct parent_talk *talk, struct span bytes, struct arena *arena,
				   struct span *say, size_t *used, const char **why)
{
	uint8_t offered = talk->server->user.len ? SOCKS_METHOD_PASSWORD : SOCKS_METHOD_NONE, method;
	enum socks_read read = socks_method_read(bytes, &method, used, why);

	if (read != SOCKS_DONE)
		return read;
	if (method == SOCKS_METHOD_REFUSED) {
		talk_fail(talk, PARENT_BLAME_PARENT, ERROR_PARENT_LOGIN,
			  offered ? "the parent proxy does not log in by user and password" :
				    "the parent proxy wants to know who we are");
	} else if (method != offered) {
		talk_malformed(talk, "the parent proxy chose a method that was not offered"); /* RFC 1928 3 */
	} else if (method == SOCKS_METHOD_PASSWORD) {
		*say = say_login(talk, arena);
		talk_set_state(talk, PARENT_TALK_LOGIN);
		if (!say->at)
			*say = talk_no_memory(talk);
	} else {
		*say = ask_socks5(talk, arena);
	}
	return SOCKS_DONE;
}

static enum socks_read hear_login(struct parent_talk *talk, struct span bytes, struct arena *arena,
				  struct span *say, size_t *used, const char **why)
{
	bool good;
	enum socks_read read = socks_login_reply_read(bytes, &good, used, why);

	if (read == SOCKS_DONE && good)
		*say = ask_socks5(talk, arena);
	else if (read == SOCKS_DONE)
		talk_fail(talk, PARENT_BLAME_PARENT, ERROR_PARENT_LOGIN, NULL);
	return read;
}

/* ---- bytes ---- */

/* One answer. How many bytes it has; 0: it is not whole. */
static size_t hear(struct parent_talk *talk, struct span bytes, struct arena *arena, struct span *say)
{
	enum socks_read read = SOCKS_MORE;
	struct error error = ERROR_OK;
	const char *why = NULL;
	size_t used = 0;

	switch ((enum parent_talk_state)talk->state) {
	case PARENT_TALK_HEAD:
		used = h1_head_end(bytes, &talk->scanned);
		if (used != H1_INCOMPLETE)
			hear_head(talk, span_first(bytes, used));
		else if (h1_head_is_hopeless(bytes, &head_limits, true, &error))
			talk_malformed(talk, error_text(&error));
		talk->scanned = used ? 0 : talk->scanned;
		return used;
	case PARENT_TALK_METHOD:
		read = hear_method(talk, bytes, arena, say, &used, &why);
		break;
	case PARENT_TALK_LOGIN:
		read = hear_login(talk, bytes, arena, say, &used, &why);
		break;
	case PARENT_TALK_REPLY:
		read = hear_reply(talk, bytes, &used, &why);
		break;
	default:
		return 0;
	}
	if (read == SOCKS_BAD)
		talk_malformed(talk, why);
	return read == SOCKS_DONE ? used : 0;
}

static bool talk_waits(const struct parent_talk *talk)
{
	return talk->state != PARENT_TALK_OPEN && talk->state != PARENT_TALK_FAILED;
}

/* Keeps bytes of an answer that is not whole. */
static bool talk_keep(struct parent_talk *talk, struct span bytes)
{
	size_t wanted = talk->len + bytes.len, capacity = size_max(talk->capacity, PARENT_HEAD_FIRST);

	while (capacity < wanted)
		capacity *= 2;
	if (capacity > talk->capacity) {
		uint8_t *grown = memory_alloc(talk->memory, capacity);
		if (!grown)
			return false;
		if (talk->len)
			memcpy(grown, talk->bytes, talk->len);
		if (talk->bytes)
			memory_free(talk->memory, talk->bytes, talk->capacity);
		talk->bytes = grown;
		talk->capacity = capacity;
	}
	memcpy(talk->bytes + talk->len, bytes.at, bytes.len);
	talk->len = wanted;
	return true;
}

/*
 * The answers in what was kept and what has come, one after the other. A parent that answers what it has not been asked yet is not
 * to be believed: an answer that calls for another word of ours is the last one that has come.
 */
size_t parent_talk_feed(struct parent_talk *talk, struct span bytes, struct arena *arena, struct span *say)
{
	size_t before = talk->len, taken = size_min(bytes.len, PARENT_HEAD_MOST + 1), used = 0;
	struct span all = bytes;

	*say = (struct span){(const uint8_t *)"", 0};
	if (before > 0) {
		if (!talk_keep(talk, span_first(bytes, taken))) {
			(void)talk_no_memory(talk);
			return bytes.len;
		}
		all = span_make(talk->bytes, talk->len);
	}
	while (talk_waits(talk) && used < all.len && say->len == 0) {
		size_t step = hear(talk, span_from(all, used), arena, say);
		if (step == 0)
			break;
		used += step;
	}
	if (talk_waits(talk) && say->len > 0 && used < all.len)
		talk_malformed(talk, "the parent proxy answered before it was asked");
	if (!talk_waits(talk)) {
		talk->len = 0;
		return used - size_min(before, used);
	}
	if (before > 0) {
		memmove(talk->bytes, talk->bytes + used, all.len - used);
		talk->len = all.len - used;
	} else if (!talk_keep(talk, span_from(all, used))) {
		(void)talk_no_memory(talk);
	}
	return bytes.len;
}

bool parent_talk_is_greeting(const struct parent_talk *talk)
{
	return talk->state == PARENT_TALK_METHOD || talk->state == PARENT_TALK_LOGIN;
}
