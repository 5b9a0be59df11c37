/*
 * Request heads. What is accepted is written, and must then be accepted again, mean the same and be written the same: a head has one
 * meaning and one spelling. What is written holds no byte that could end a line elsewhere.
 */
#include "fuzz_h1.h"

static const struct h1_limits limits = {.request_line = 4096, .field_line = 4096, .fields = 64, .head = 16384};
/* What the writer adds must fit as well. */
static const struct h1_limits roomy = {.request_line = 8192, .field_line = 8192, .fields = 80, .head = 65536};

static void check_written(struct fuzz_h1 *fuzz, struct span text)
{
	size_t scanned = 0;
	ENSURE(h1_head_end(text, &scanned) == text.len);
	for (size_t i = 0; i < text.len; i++) {
		ENSURE(text.at[i] != 0);
		if (text.at[i] == '\r')
			ENSURE(i + 1 < text.len && text.at[i + 1] == '\n');
		if (text.at[i] == '\n')
			ENSURE(i > 0 && text.at[i - 1] == '\r');
	}
}

static bool parse(struct fuzz_h1 *fuzz, struct span bytes, const struct h1_limits *within,
		  struct http_head *head, struct h1_framing *framing)
{
	struct error error = ERROR_OK;
	bool good = h1_request_parse(fuzz_h1_copy(fuzz, bytes), &fuzz->arena, within, SPAN("http"), head,
				     framing, &error);
	ENSURE(good == !error_is(&error));
	ENSURE(good || (error_status(&error) >= 400 && error.code < ERROR_CODES));
	return good;
}

static struct h1_write how_of(const struct http_head *head, const struct h1_framing *framing)
{
	return (struct h1_write){
		.connection = framing->keep_alive ? H1_CONNECTION_NONE : H1_CONNECTION_CLOSE,
		.chunked = framing->chunked,
		.absolute_form = head->target_form == HTTP_TARGET_ABSOLUTE,
		.upgrade = framing->upgrade,
		.te_trailers = head->te_trailers,
	};
}

static struct span write(struct fuzz_h1 *fuzz, const struct http_head *head, const struct h1_framing *framing)
{
	struct chunk_queue queue;
	struct h1_write how = how_of(head, framing);
	chunk_queue_init(&queue);
	ENSURE(h1_request_write(&fuzz->buffers, &queue, head, &how));
	return fuzz_h1_take(fuzz, &queue);
}

static void check_same(const struct http_head *a, const struct http_head *b)
{
	ENSURE(a->method == b->method && span_equal(a->method_text, b->method_text));
	ENSURE(span_equal(a->authority, b->authority) && span_equal(a->path, b->path));
	ENSURE(span_equal(a->host.host, b->host.host) && a->host.port == b->host.port);
	ENSURE(a->host.ip_family == b->host.ip_family && memcmp(a->host.ip, b->host.ip, 16) == 0);
	ENSURE(a->expect_continue == b->expect_continue && a->te_trailers == b->te_trailers);
	ENSURE(span_equal(a->protocol, b->protocol));
	ENSURE(http_head_has_body(a) == http_head_has_body(b) && a->length == b->length);
	ENSURE((a->body == HTTP_BODY_STREAMED) == (b->body == HTTP_BODY_STREAMED));
	fuzz_h1_check_fields(&a->fields, &b->fields);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span input = span_make(data, size);
	struct fuzz_h1 fuzz;
	struct http_head first, second;
	struct h1_framing first_framing, second_framing;
	struct error error;
	fuzz_h1_init(&fuzz);
	size_t whole = fuzz_h1_check_end(input, false, &limits);
	(void)h1_head_is_hopeless(input, &limits, false, &error);
	bool good = parse(&fuzz, input, &limits, &first, &first_framing);
	ENSURE(!good || whole == size);
	if (good && first.authority.len) {
		struct span text = write(&fuzz, &first, &first_framing);
		check_written(&fuzz, text);
		ENSURE(parse(&fuzz, text, &roomy, &second, &second_framing));
		check_same(&first, &second);
		ENSURE(span_equal(write(&fuzz, &second, &second_framing), text));
	}
	fuzz_h1_fini(&fuzz);
	return 0;
}
