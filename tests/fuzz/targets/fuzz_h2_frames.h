/*
 * The play of fuzz_h2.h, and the frames that it makes: heads in HPACK without an index or Huffman, and whatever belongs around them.
 */
#ifndef GUISE_FUZZ_H2_FRAMES_H
#define GUISE_FUZZ_H2_FRAMES_H

#include "../../support/stage.h"

#include "http/websocket.h"

enum { STEPS_MOST = 300, FRAME_MOST = 20 * 1024, FRAME_HEAD = 9, STREAMS_JUDGED = 256 };

enum frame_type {
	FRAME_DATA,
	FRAME_HEADERS,
	FRAME_PRIORITY,
	FRAME_RST_STREAM,
	FRAME_SETTINGS,
	FRAME_PUSH_PROMISE,
	FRAME_PING,
	FRAME_GOAWAY,
	FRAME_WINDOW_UPDATE,
	FRAME_CONTINUATION,
	FRAME_PRIORITY_UPDATE = 16,
};

enum { END_STREAM = 1, ACK = 1, END_HEADERS = 4, PADDED = 8 };

struct script {
	const uint8_t *at, *end;
};

struct side {
	uint32_t last; /* stream that was opened last; by the client */
	bool ready;    /* its preface has been sent */
	size_t judged; /* bytes of what it heard */
	bool garbled;  /* it heard something else than HTTP/2 */
	uint8_t ended[STREAMS_JUDGED];
};

struct play {
	struct stage *stage;
	struct script script;
	bool by_server; /* frames of the script come from servers */
	struct side clients[2], servers[STAGE_SERVERS];
	unsigned client, server; /* who speaks now */
	uint8_t frame[FRAME_MOST];
	size_t len;
};

static uint8_t take(struct play *play)
{
	return play->script.at < play->script.end ? *play->script.at++ : 0;
}

/* ---- frames ---- */

static void put(struct play *play, const void *bytes, size_t len)
{
	len = size_min(len, sizeof(play->frame) - play->len);
	if (len)
		memcpy(play->frame + play->len, bytes, len);
	play->len += len;
}

static void put_byte(struct play *play, unsigned byte)
{
	put(play, &(uint8_t){(uint8_t)byte}, 1);
}

static void put_u32(struct play *play, uint32_t number)
{
	for (int shift = 24; shift >= 0; shift -= 8)
		put_byte(play, number >> shift);
}

/* Its length is put in by frame_end. */
static size_t frame_begin(struct play *play, unsigned type, unsigned flags, uint32_t stream)
{
	size_t start = play->len;

	put(play, "\0\0", 3);
	put_byte(play, type);
	put_byte(play, flags);
	put_u32(play, stream);
	return start;
}

static void frame_end(struct play *play, size_t start)
{
	size_t len = play->len - start - FRAME_HEAD;

	if (play->len < start + FRAME_HEAD)
		return;
	play->frame[start] = (uint8_t)(len >> 16);
	play->frame[start + 1] = (uint8_t)(len >> 8);
	play->frame[start + 2] = (uint8_t)len;
}

/* RFC 7541 6.2.2, without Huffman */
static void put_text(struct play *play, struct span text)
{
	if (text.len < 127) {
		put_byte(play, (unsigned)text.len);
	} else {
		size_t rest = text.len - 127;
		put_byte(play, 127);
		for (; rest >= 128; rest >>= 7)
			put_byte(play, (unsigned)(rest | 128) & 255);
		put_byte(play, (unsigned)rest);
	}
	put(play, text.at, text.len);
}

static void put_field(struct play *play, struct span name, struct span value)
{
	put_byte(play, 0);
	put_text(play, name);
	put_text(play, value);
}

/* "name value\n"... */
static void put_fields(struct play *play, const char *text)
{
	struct span rest = span_of(text), line, name, value;

	while (rest.len && span_cut(rest, '\n', &line, &rest)) {
		span_cut(line, ' ', &name, &value);
		put_field(play, name, value);
	}
}

#define REQUEST(method, path) ":method " method "\n:scheme http\n:authority a.test\n:path " path "\n"
#define WEBSOCKET(path) REQUEST("CONNECT", path) ":protocol websocket\nsec-websocket-version 13\n"

static const char *const requests[] = {
	REQUEST("GET", "/"),
	REQUEST("POST", "/"),
	REQUEST("GET", "/hello"),
	REQUEST("GET", "/two"),
	REQUEST("POST", "/two"),
	REQUEST("POST", "/") "content-length 5\n",
	REQUEST("POST", "/two") "content-length 5\nte trailers\n",
	":method CONNECT\n:authority a.test:443\n",
	WEBSOCKET("/"),
	WEBSOCKET("/two"),
	"x-trailer 1\n",
	REQUEST("HEAD", "/two") "priority u=1, i\n",
	REQUEST("POST", "/") "expect 100-continue\n",
	REQUEST("GET", "/") "X-Upper 1\n",
	REQUEST("POST", "/hello"),
	":method GET\n:scheme http\n:authority a.test\n:path http://a.test/\n",
};

static const char *const responses[] = {
	":status 200\n",           ":status 200\ncontent-length 5\n",
	":status 103\nlink </>\n", ":status 204\n",
	":status 404\n",           "grpc-status 0\n",
	":status 100\n",           ":status 304\n",
	":status 101\n",           ":status 500\ncontent-length 0\n",
};

#endif
