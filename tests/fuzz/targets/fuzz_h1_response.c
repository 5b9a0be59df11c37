/*
 * Response heads. The first byte chooses the method of the request. What is accepted is written, and must then be accepted again, mean
 * the same and be written the same.
 */
#include "fuzz_h1.h"

#include "http/connection_auth.h"

static const struct h1_limits limits = {.request_line = 4096, .field_line = 4096, .fields = 64, .head = 16384};
/* What the writer adds must fit as well. */
static const struct h1_limits roomy = {.request_line = 8192, .field_line = 8192, .fields = 80, .head = 65536};

static bool parse(struct fuzz_h1 *fuzz, struct span bytes, const struct h1_limits *within,
		  enum http_method method, struct http_head *head, struct h1_framing *framing)
{
	struct error error = ERROR_OK;
	bool good = h1_response_parse(fuzz_h1_copy(fuzz, bytes), &fuzz->arena, within, method, head, framing,
				      &error);
	ENSURE(good == !error_is(&error));
	ENSURE(good || error_status(&error) == 502);
	return good;
}

static struct span write(struct fuzz_h1 *fuzz, const struct http_head *head, const struct h1_framing *framing)
{
	struct chunk_queue queue;
	struct h1_write how = {
		.connection = framing->keep_alive ? H1_CONNECTION_NONE : H1_CONNECTION_CLOSE,
		.chunked = framing->chunked,
		.upgrade = framing->upgrade,
	};
	chunk_queue_init(&queue);
	ENSURE(h1_response_write(&fuzz->buffers, &queue, head, &how, SPAN("Sun, 06 Nov 1994 08:49:37 GMT")));
	return fuzz_h1_take(fuzz, &queue);
}

static void check_same(const struct http_head *a, const struct http_head *b)
{
	ENSURE(a->status == b->status && a->body == b->body);
	ENSURE(a->length == b->length && a->length_known == b->length_known);
	ENSURE(span_equal(a->protocol, b->protocol));
	ENSURE(http_challenges_bind(&a->fields) == http_challenges_bind(&b->fields));
	ENSURE(a->reason.len == 0 || span_equal(a->reason, b->reason));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum http_method methods[] = {HTTP_METHOD_GET, HTTP_METHOD_HEAD, HTTP_METHOD_CONNECT};
	struct fuzz_h1 fuzz;
	struct http_head first, second;
	struct h1_framing first_framing, second_framing;
	struct error error;
	if (size == 0)
		return 0;
	enum http_method method = methods[data[0] % ARRAY_LENGTH(methods)];
	struct span input = span_make(data + 1, size - 1);
	fuzz_h1_init(&fuzz);
	size_t whole = fuzz_h1_check_end(input, true, &limits);
	(void)h1_head_is_hopeless(input, &limits, true, &error);
	bool good = parse(&fuzz, input, &limits, method, &first, &first_framing);
	ENSURE(!good || whole == input.len);
	if (good) {
		struct span text = write(&fuzz, &first, &first_framing);
		ENSURE(parse(&fuzz, text, &roomy, method, &second, &second_framing));
		check_same(&first, &second);
		ENSURE(span_equal(write(&fuzz, &second, &second_framing), text));
	}
	fuzz_h1_fini(&fuzz);
	return 0;
}
