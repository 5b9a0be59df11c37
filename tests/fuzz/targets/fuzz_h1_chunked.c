/*
 * Chunked bodies: read at once, byte by byte, and in pieces whose sizes the input itself chooses, they give the same payload, the
 * same trailers, the same verdict and the same end. What was accepted, written again as one chunk, reads the same.
 */
#include "fuzz_h1.h"

static const struct h1_limits limits = {.request_line = 4096, .field_line = 1024, .fields = 16, .head = 4096};
/* Spelt canonically, trailers may be a little longer. */
static const struct h1_limits roomy = {.request_line = 8192, .field_line = 2048, .fields = 16, .head = 8192};

struct reading {
	enum h1_body_result result;
	struct span payload, rest;
	uint8_t code;
	const struct http_fields *trailers;
};

static struct reading read_pieces(struct fuzz_h1 *fuzz, struct span input, struct span sizes,
				  const struct h1_limits *within)
{
	struct http_head head = {.body = HTTP_BODY_STREAMED};
	struct h1_body body;
	struct error error = ERROR_OK;
	struct reading reading = {.result = H1_BODY_MORE, .rest = input};
	uint8_t *payload = arena_alloc(&fuzz->arena, input.len + 1);
	ENSURE(payload);
	h1_body_init(&body, &head);
	for (size_t turn = 0; reading.result == H1_BODY_MORE && reading.rest.len; turn++) {
		size_t size = sizes.len ? sizes.at[turn % sizes.len] % 13 + 1 : input.len;
		struct span piece = span_first(reading.rest, size_min(size, reading.rest.len)), in = piece,
			    data;
		do {
			reading.result = h1_body_read(&body, &in, &data, &fuzz->arena, within, false, &error);
			if (reading.result == H1_BODY_DATA) {
				ENSURE(data.len && data.at >= piece.at &&
				       data.at + data.len <= piece.at + piece.len);
				memcpy(payload + reading.payload.len, data.at, data.len);
				reading.payload.len += data.len;
			}
		} while (reading.result == H1_BODY_DATA);
		ENSURE(reading.result != H1_BODY_MORE || in.len == 0);
		reading.rest = span_from(reading.rest, piece.len - in.len);
	}
	ENSURE((reading.result == H1_BODY_BAD) == error_is(&error));
	ENSURE(body.total == reading.payload.len);
	reading.payload.at = payload;
	reading.code = error.code;
	reading.trailers = body.trailers;
	return reading;
}

static void check_same(const struct reading *a, const struct reading *b)
{
	static const struct http_fields none = {0};
	ENSURE(a->result == b->result && a->code == b->code);
	if (a->result == H1_BODY_BAD)
		return;
	ENSURE(span_equal(a->payload, b->payload));
	fuzz_h1_check_fields(a->trailers ? a->trailers : &none, b->trailers ? b->trailers : &none);
}

static struct span write(struct fuzz_h1 *fuzz, const struct reading *reading)
{
	struct chunk_queue out, payload;
	chunk_queue_init(&out);
	chunk_queue_init(&payload);
	ENSURE(chunk_queue_copy(&fuzz->buffers, &payload, reading->payload));
	ENSURE(h1_chunk_write(&fuzz->buffers, &out, &payload));
	ENSURE(h1_last_chunk_write(&fuzz->buffers, &out, reading->trailers));
	return fuzz_h1_take(fuzz, &out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t zero;
	struct span input = span_make(data, size);
	struct fuzz_h1 fuzz;
	fuzz_h1_init(&fuzz);
	struct reading whole = read_pieces(&fuzz, input, (struct span){0}, &limits);
	struct reading bytes = read_pieces(&fuzz, input, span_make(&zero, 1), &limits);
	struct reading pieces = read_pieces(&fuzz, input, input, &limits);
	check_same(&whole, &bytes);
	check_same(&whole, &pieces);
	ENSURE(whole.result != H1_BODY_END ||
	       (whole.rest.len == bytes.rest.len && whole.rest.len == pieces.rest.len));
	if (whole.result == H1_BODY_END) {
		struct reading again = read_pieces(&fuzz, write(&fuzz, &whole), (struct span){0}, &roomy);
		check_same(&whole, &again);
	}
	fuzz_h1_fini(&fuzz);
	return 0;
}
