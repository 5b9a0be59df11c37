/*
 * HTTP/2 messages. The first byte chooses what comes; then fields: a name, 1F, a value, 1E; what follows a 1D is trailers. What is accepted
 * must mean the same when it is written to HTTP/1 and read there, when it is listed for HTTP/2 and read again, and when it goes from the
 * one to the other and back: nothing smuggles.
 */
#include "fuzz_h1.h"

#include "http/h2/message.h"
#include "http/h2/message_write.h"

enum {
	FLAG_RESPONSE = 1,
	FLAG_ENDED = 2,
	FLAG_NO_EXTENDED = 4,
	FLAG_HEAD = 8,
	FLAG_CONNECT = 16,
	FLAG_KEY = 32
};

static const struct h1_limits h1_roomy = {.request_line = 8192, .field_line = 8192, .fields = 80, .head = 65536};

static struct h2_message_rules rules_of(unsigned flags)
{
	return (struct h2_message_rules){
		.request_line = 1024,
		.field_line = 512,
		.fields = 16,
		.head = 4096,
		.extended_connect = !(flags & FLAG_NO_EXTENDED),
		.scheme = SPAN("https"),
	};
}

/* What a list adds must fit as well. */
static const struct h2_message_rules roomy = {
	.request_line = 8192,
	.field_line = 8192,
	.fields = 80,
	.head = 65536,
	.extended_connect = true,
	.scheme = {(const uint8_t *)"https", 5},
};

struct fuzz {
	struct fuzz_h1 h1;
	struct h2_message message;
	struct http_head head;
	struct http_fields trailers;
	unsigned flags;
	enum http_method method; /* of the request that a response answers, as it was sent */
};

/* ---- reading ---- */

/* The field is gone right after: what is kept must be a copy. */
static void take_field(struct h2_message *message, struct span name, struct span value)
{
	static uint8_t bytes[1 << 16];
	if (name.len + value.len > sizeof(bytes))
		return;
	if (name.len)
		memcpy(bytes, name.at, name.len);
	if (value.len)
		memcpy(bytes + name.len, value.at, value.len);
	h2_message_field(message, span_make(bytes, name.len), span_make(bytes + name.len, value.len));
	memset(bytes, 0xff, name.len + value.len);
}

static void take_input(struct h2_message *message, struct span input)
{
	while (input.len) {
		struct span field, name, value;
		span_cut(input, 0x1e, &field, &input);
		span_cut(field, 0x1f, &name, &value);
		take_field(message, name, value);
	}
}

static bool end(struct fuzz *fuzz, struct h2_message *message, bool ended)
{
	struct error error = ERROR_OK;
	bool good = h2_message_end(message, ended, &error);
	ENSURE(good == !error_is(&error));
	ENSURE(good || message->response == (error_status(&error) == 502));
	ENSURE(good || (error_status(&error) >= 400 && error.code != ERROR_MEMORY));
	return good;
}

static void read_list(struct fuzz *fuzz, const struct h2_fields *list, struct http_head *head)
{
	struct h2_message message;
	enum h2_message_kind kind = fuzz->message.response ? H2_MESSAGE_RESPONSE : H2_MESSAGE_REQUEST;
	h2_message_init(&message, kind, head, fuzz->method, &fuzz->h1.arena, &roomy);
	for (uint32_t i = 0; i < list->count; i++)
		take_field(&message, list->items[i].name, list->items[i].value);
	ENSURE(end(fuzz, &message, (fuzz->flags & FLAG_ENDED) != 0));
	ENSURE(message.extended == fuzz->message.extended);
	ENSURE(h2_message_is_tunnel(&message) == h2_message_is_tunnel(&fuzz->message));
}

/* ---- comparing ---- */

static void check_lists(const struct h2_fields *a, const struct h2_fields *b)
{
	ENSURE(a->count == b->count);
	for (uint32_t i = 0; i < a->count; i++) {
		ENSURE(span_equal(a->items[i].name, b->items[i].name));
		ENSURE(span_equal(a->items[i].value, b->items[i].value));
		ENSURE(a->items[i].sensitive == b->items[i].sensitive);
	}
}

static void check_requests(const struct http_head *a, const struct http_head *b)
{
	ENSURE(a->method == b->method && span_equal(a->method_text, b->method_text));
	ENSURE(span_equal(a->authority, b->authority) && span_equal(a->path, b->path));
	ENSURE(span_equal(a->scheme, b->scheme) && a->target_form == b->target_form);
	ENSURE(span_equal(a->host.host, b->host.host) && a->host.port == b->host.port);
	ENSURE(a->host.ip_family == b->host.ip_family && memcmp(a->host.ip, b->host.ip, 16) == 0);
	ENSURE(a->expect_continue == b->expect_continue && a->te_trailers == b->te_trailers);
	ENSURE(span_equal(a->protocol, b->protocol));
	ENSURE(http_head_has_body(a) == http_head_has_body(b) && a->length == b->length);
	ENSURE((a->body == HTTP_BODY_STREAMED) == (b->body == HTTP_BODY_STREAMED));
	fuzz_h1_check_fields(&a->fields, &b->fields);
}

static void check_responses(const struct http_head *a, const struct http_head *b)
{
	ENSURE(a->status == b->status && a->body == b->body);
	ENSURE(a->length == b->length && a->length_known == b->length_known);
	ENSURE(span_equal(a->protocol, b->protocol));
	fuzz_h1_check_fields(&a->fields, &b->fields);
}

/* ---- HTTP/1 ---- */

/* Nothing but the ends of lines can be taken for one. */
static void check_written(struct span text)
{
	size_t scanned = 0;
	ENSURE(h1_head_end(text, &scanned) == text.len);
	for (size_t i = 0; i < text.len; i++) {
		ENSURE(text.at[i] != 0);
		ENSURE(text.at[i] != '\r' || (i + 1 < text.len && text.at[i + 1] == '\n'));
		ENSURE(text.at[i] != '\n' || (i > 0 && text.at[i - 1] == '\r'));
	}
}

static void request_by_h1(struct fuzz *fuzz, const struct http_head *head, bool absolute,
			  struct http_head *again)
{
	struct chunk_queue queue;
	struct h1_framing framing;
	struct error error = ERROR_OK;
	struct h1_write how = {
		.chunked = head->body == HTTP_BODY_STREAMED,
		.absolute_form = absolute,
		.upgrade = head->protocol.len > 0,
		.te_trailers = head->te_trailers,
	};
	chunk_queue_init(&queue);
	ENSURE(h1_request_write(&fuzz->h1.buffers, &queue, head, &how));
	struct span text = fuzz_h1_take(&fuzz->h1, &queue);
	check_written(text);
	ENSURE(h1_request_parse(text, &fuzz->h1.arena, &h1_roomy, head->scheme, again, &framing, &error));
	ENSURE(framing.chunked == how.chunked && framing.upgrade == how.upgrade && framing.keep_alive);
	/* What stands in which form is not part of the message. */
	again->target_form = head->target_form;
}

static void response_by_h1(struct fuzz *fuzz, const struct http_head *head, struct http_head *again)
{
	struct chunk_queue queue;
	struct h1_framing framing;
	struct error error = ERROR_OK;
	struct h1_write how = {.chunked = head->body == HTTP_BODY_STREAMED, .upgrade = head->status == 101};
	chunk_queue_init(&queue);
	ENSURE(h1_response_write(&fuzz->h1.buffers, &queue, head, &how, (struct span){0}));
	struct span text = fuzz_h1_take(&fuzz->h1, &queue);
	check_written(text);
	ENSURE(h1_response_parse(text, &fuzz->h1.arena, &h1_roomy, fuzz->method, again, &framing, &error));
	ENSURE(framing.chunked == how.chunked && framing.keep_alive);
}

/* ---- messages ---- */

static void check_request(struct fuzz *fuzz)
{
	const struct http_head *head = &fuzz->head;
	struct http_head again, h1;
	struct h2_fields list, second;
	ENSURE(head->authority.len && head->host.host.len);
	ENSURE(!fuzz->message.extended || h2_request_is_websocket(head));
	ENSURE(h2_request_list(head, fuzz->message.extended, &fuzz->h1.arena, &list));
	read_list(fuzz, &list, &again);
	check_requests(head, &again);
	ENSURE(h2_request_list(&again, fuzz->message.extended, &fuzz->h1.arena, &second));
	check_lists(&list, &second);
	request_by_h1(fuzz, head, true, &h1);
	check_requests(head, &h1);
	request_by_h1(fuzz, head, false, &h1);
	check_requests(head, &h1);
	if (head->body == HTTP_BODY_NONE)
		h1.body = HTTP_BODY_NONE; /* HTTP/1 says Content-Length: 0 for some methods */
	ENSURE(h2_request_is_websocket(&h1) == fuzz->message.extended);
	ENSURE(h2_request_list(&h1, fuzz->message.extended, &fuzz->h1.arena, &second));
	check_lists(&list, &second);
}

static void check_switch(struct fuzz *fuzz)
{
	struct http_head request = {0}, h1;
	struct h2_fields list;
	http_fields_init(&request.fields, &fuzz->h1.arena);
	if (fuzz->flags & FLAG_KEY)
		ENSURE(http_fields_add(&request.fields, HTTP_FIELD_OTHER, SPAN("Sec-WebSocket-Key"),
				       SPAN("dGhlIHNhbXBsZSBub25jZQ==")));
	ENSURE(h2_response_switch(&fuzz->head, &request, &fuzz->h1.arena));
	fuzz->method = HTTP_METHOD_GET;
	response_by_h1(fuzz, &fuzz->head, &h1);
	check_responses(&fuzz->head, &h1);
	ENSURE(!(fuzz->flags & FLAG_KEY) == !http_fields_find_name(&h1.fields, SPAN("sec-websocket-accept")));
	ENSURE(h2_response_list(&h1, (struct span){0}, &fuzz->h1.arena, &list));
	ENSURE(span_equal(list.items[0].value, SPAN("200")));
}

static void check_response(struct fuzz *fuzz)
{
	const struct http_head *head = &fuzz->head;
	struct http_head again, h1;
	struct h2_fields list, second;
	ENSURE(h2_response_list(head, (struct span){0}, &fuzz->h1.arena, &list));
	read_list(fuzz, &list, &again);
	check_responses(head, &again);
	ENSURE(h2_response_list(&again, (struct span){0}, &fuzz->h1.arena, &second));
	check_lists(&list, &second);
	response_by_h1(fuzz, head, &h1);
	check_responses(head, &h1);
	ENSURE(h2_response_list(&h1, (struct span){0}, &fuzz->h1.arena, &second));
	check_lists(&list, &second);
	if (h2_message_is_tunnel(&fuzz->message))
		check_switch(fuzz);
}

static void trailers_by_h1(struct fuzz *fuzz)
{
	struct chunk_queue queue;
	struct h1_body body;
	struct error error = ERROR_OK;
	struct http_head head = {.body = HTTP_BODY_STREAMED};
	static const struct http_fields none = {0};
	struct span data;
	chunk_queue_init(&queue);
	ENSURE(h1_last_chunk_write(&fuzz->h1.buffers, &queue, &fuzz->trailers));
	struct span text = fuzz_h1_take(&fuzz->h1, &queue);
	h1_body_init(&body, &head);
	ENSURE(h1_body_read(&body, &text, &data, &fuzz->h1.arena, &h1_roomy, false, &error) == H1_BODY_END);
	ENSURE(text.len == 0);
	fuzz_h1_check_fields(&fuzz->trailers, body.trailers ? body.trailers : &none);
}

static void check_trailers(struct fuzz *fuzz)
{
	struct h2_message message = fuzz->message;
	struct h2_fields list;
	struct http_fields again;
	trailers_by_h1(fuzz);
	ENSURE(h2_trailers_list(&fuzz->trailers, &fuzz->h1.arena, &list));
	message.rules = &roomy;
	h2_message_begin_trailers(&message, &again);
	for (uint32_t i = 0; i < list.count; i++)
		take_field(&message, list.items[i].name, list.items[i].value);
	ENSURE(end(fuzz, &message, true));
	fuzz_h1_check_fields(&fuzz->trailers, &again);
}

/* Data up to the length that was said, and not a byte more. */
static void check_data(const struct fuzz *fuzz)
{
	struct h2_message message = fuzz->message;
	if (!message.measured || http_status_is_interim(fuzz->head.status))
		return;
	ENSURE(h2_message_body_end(&message) == (message.left == 0));
	ENSURE(message.left == 0 || h2_message_data(&message, (size_t)message.left));
	ENSURE(h2_message_body_end(&message) && !h2_message_data(&message, 1));
}

static void run(struct fuzz *fuzz, struct span head, struct span trailers, bool trailed)
{
	struct h2_message_rules rules = rules_of(fuzz->flags);
	bool response = fuzz->flags & FLAG_RESPONSE;
	h2_message_init(&fuzz->message, response ? H2_MESSAGE_RESPONSE : H2_MESSAGE_REQUEST, &fuzz->head,
			fuzz->method, &fuzz->h1.arena, &rules);
	take_input(&fuzz->message, head);
	if (!end(fuzz, &fuzz->message, (fuzz->flags & FLAG_ENDED) != 0))
		return;
	check_data(fuzz);
	if (response)
		check_response(fuzz);
	else
		check_request(fuzz);
	if (!trailed)
		return;
	h2_message_begin_trailers(&fuzz->message, &fuzz->trailers);
	take_input(&fuzz->message, trailers);
	if (end(fuzz, &fuzz->message, true))
		check_trailers(fuzz);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz fuzz = {0};
	struct span head, trailers;
	if (size == 0)
		return 0;
	fuzz.flags = data[0];
	fuzz.method = fuzz.flags & FLAG_CONNECT ? HTTP_METHOD_CONNECT :
		      fuzz.flags & FLAG_HEAD    ? HTTP_METHOD_HEAD :
						  HTTP_METHOD_GET;
	bool trailed = span_cut(span_make(data + 1, size - 1), 0x1d, &head, &trailers);
	fuzz_h1_init(&fuzz.h1);
	run(&fuzz, head, trailers, trailed);
	fuzz_h1_fini(&fuzz.h1);
	return 0;
}
