/*
 * See inflate.h.
 */
#include "http/inflate.h"

#include <zlib.h>

enum {
	WINDOW_BITS = 15,
	BITS_GZIP = 16 + WINDOW_BITS,
	BOMB_RATIO = 100,
	BOMB_LEAST = 1024 * 1024, /* bytes that are never too many */
};

struct inflater {
	struct memory *memory;
	z_stream stream;
	enum content_coding coding;
	bool began, ended;
	uint64_t in, out; /* bytes so far */
};

/* ---- what heads say ---- */

static enum content_coding coding_named(struct span name)
{
	if (span_equal_nocase(name, SPAN("gzip")) || span_equal_nocase(name, SPAN("x-gzip")))
		return CODING_GZIP;
	if (span_equal_nocase(name, SPAN("deflate")))
		return CODING_DEFLATE;
	return span_equal_nocase(name, SPAN("identity")) ? CODING_IDENTITY : CODING_OTHER;
}

enum content_coding content_coding_of(const struct http_fields *fields)
{
	enum content_coding coding = CODING_IDENTITY;
	const struct http_field *field;
	uint32_t index = 0;

	while ((field = http_fields_next(fields, &index))) {
		struct span rest = field->value, member;
		if (field->id != HTTP_FIELD_CONTENT_ENCODING)
			continue;
		while (http_list_next(&rest, &member)) {
			enum content_coding named = coding_named(member);
			if (named == CODING_IDENTITY)
				continue;
			coding = coding == CODING_IDENTITY ? named : CODING_OTHER;
		}
	}
	return coding;
}

/* Once for the length (`out` NULL), once to write. */
static size_t narrow_into(const struct http_fields *fields, uint8_t *out)
{
	const struct span name = SPAN("accept-encoding");
	const struct http_field *field;
	uint32_t index = 0;
	size_t len = 0;

	while ((field = http_fields_next(fields, &index))) {
		struct span rest = field->value, member, coding, weight;
		if (field->id != HTTP_FIELD_OTHER || !span_equal_nocase(field->name, name))
			continue;
		while (http_list_next(&rest, &member)) {
			span_cut(member, ';', &coding, &weight);
			if (coding_named(span_trim(coding)) == CODING_OTHER)
				continue;
			if (out && len)
				memcpy(out + len, ", ", 2);
			len += len ? 2 : 0;
			if (out)
				memcpy(out + len, member.at, member.len);
			len += member.len;
		}
	}
	return len;
}

struct span content_coding_narrow(const struct http_fields *fields, struct arena *arena)
{
	size_t len = narrow_into(fields, NULL);
	uint8_t *text = len ? arena_alloc(arena, len) : NULL;

	if (len == 0)
		return SPAN("identity");
	return text ? span_make(text, narrow_into(fields, text)) : (struct span){0};
}

/* ---- content ---- */

/* zlib frees without saying how much: it stands before each piece. */
static void *on_alloc(void *memory, unsigned items, unsigned size)
{
	size_t bytes = sizeof(max_align_t) + (size_t)items * size;
	uint8_t *block = memory_alloc(memory, bytes);

	if (!block)
		return NULL;
	memcpy(block, &bytes, sizeof(bytes));
	return block + sizeof(max_align_t);
}

static void on_free(void *memory, void *piece)
{
	uint8_t *block = (uint8_t *)piece - sizeof(max_align_t);
	size_t bytes;

	memcpy(&bytes, block, sizeof(bytes));
	memory_free(memory, block, bytes);
}

struct inflater *inflater_new(struct memory *memory, enum content_coding coding)
{
	struct inflater *inflater = memory_alloc(memory, sizeof(*inflater));

	if (!inflater)
		return NULL;
	*inflater = (struct inflater){.memory = memory, .coding = coding};
	inflater->stream.zalloc = on_alloc;
	inflater->stream.zfree = on_free;
	inflater->stream.opaque = memory;
	if (inflateInit2(&inflater->stream, coding == CODING_GZIP ? BITS_GZIP : WINDOW_BITS) == Z_OK)
		return inflater;
	memory_free(memory, inflater, sizeof(*inflater));
	return NULL;
}

void inflater_free(struct inflater *inflater)
{
	if (!inflater)
		return;
	inflateEnd(&inflater->stream);
	memory_free(inflater->memory, inflater, sizeof(*inflater));
}

/* RFC 9110 8.4.1.2: deflate is the zlib format; some servers leave its two bytes away. The first one tells (RFC 1950 2.2). */
static bool inflater_begin(struct inflater *inflater, uint8_t first)
{
	inflater->began = true;
	if (inflater->coding == CODING_GZIP || ((first & 0x0f) == Z_DEFLATED && first >> 4 <= 7))
		return true;
	return inflateReset2(&inflater->stream, -WINDOW_BITS) == Z_OK;
}

/* Behind the end: another member of gzip, or nothing that counts. */
static bool inflater_go_on(struct inflater *inflater, struct span *in)
{
	enum { MAGIC = 0x1f };

	if (inflater->coding == CODING_GZIP && in->at[0] == MAGIC && inflateReset(&inflater->stream) == Z_OK) {
		inflater->ended = false;
		return true;
	}
	*in = span_from(*in, in->len);
	return false;
}

static enum inflate_result inflater_step(struct inflater *inflater, struct span *in, uint8_t *out,
					 size_t room, size_t *made)
{
	z_stream *stream = &inflater->stream;
	int result;

	stream->next_in = (uint8_t *)(uintptr_t)in->at; /* read only */
	stream->avail_in = (unsigned)size_min(in->len, UINT32_MAX);
	stream->next_out = out;
	stream->avail_out = (unsigned)size_min(room, UINT32_MAX);
	result = inflate(stream, Z_NO_FLUSH);
	inflater->in += in->len - stream->avail_in;
	*in = span_from(*in, in->len - stream->avail_in);
	*made = room - stream->avail_out;
	inflater->out += *made;
	if (result == Z_STREAM_END)
		inflater->ended = true;
	else if (result == Z_MEM_ERROR)
		return INFLATE_MEMORY;
	else if (result != Z_OK && result != Z_BUF_ERROR)
		return INFLATE_BAD;
	return inflater->out > BOMB_LEAST && inflater->out / BOMB_RATIO > inflater->in ? INFLATE_BOMB :
											 INFLATE_GOOD;
}

enum inflate_result inflater_run(struct inflater *inflater, struct span *in, uint8_t *out, size_t room,
				 size_t *made)
{
	enum inflate_result result = INFLATE_GOOD;

	*made = 0;
	if (!inflater->began) {
		if (in->len == 0)
			return INFLATE_GOOD;
		if (!inflater_begin(inflater, in->at[0]))
			return INFLATE_BAD;
	}
	do {
		size_t step = 0;
		if (inflater->ended && (in->len == 0 || !inflater_go_on(inflater, in)))
			break;
		result = inflater_step(inflater, in, out + *made, room - *made, &step);
		*made += step;
	} while (result == INFLATE_GOOD && inflater->ended && in->len > 0);
	return result;
}

bool inflater_may_end(const struct inflater *inflater)
{
	return inflater->ended || !inflater->began;
}
