/*
 * See wire_h2.h. nghttp2 makes and reads the frames; bytes go through the wire.
 */
#include "audit/wire_h2.h"

#include "audit/wire_internal.h"

#include <nghttp2/nghttp2.h>

enum { FIELDS_MOST = 128, PSEUDO = 4, FRAMES_MOST = 4096 };

struct talk {
	struct wire *wire;
	struct arena *arena;
	struct wire_message *response;
	uint8_t *body; /* WIRE_BODY_MOST bytes, once there is something */
	int32_t stream;
	bool trailing; /* the final head has come */
	bool done, failed;
	uint32_t error; /* with which the stream was closed */
};

static void talk_fail(struct talk *talk, const char *why)
{
	talk->failed = true;
	(void)wire_fail(talk->wire, "%s", why);
}

static void add_field(struct talk *talk, struct span name, struct span value)
{
	struct wire_message *response = talk->response;
	const struct wire_field field = {arena_copy(talk->arena, name), arena_copy(talk->arena, value)};

	if (!field.name.at || !field.value.at)
		talk_fail(talk, "out of memory");
	else if (response->count < WIRE_FIELDS_MOST)
		response->fields[response->count++] = field;
}

static void add_trailer(struct talk *talk, struct span name, struct span value)
{
	const struct span parts[] = {talk->response->trailers, name, SPAN(": "), value, SPAN("\r\n")};

	talk->response->trailers = arena_join(talk->arena, parts, ARRAY_LENGTH(parts));
	if (!talk->response->trailers.at)
		talk_fail(talk, "out of memory");
}

/* ---- what nghttp2 calls; within nghttp2_session_mem_recv ---- */

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name_at,
		     size_t name_len, const uint8_t *value_at, size_t value_len, uint8_t flags, void *of)
{
	struct talk *talk = of;
	struct span name = span_make(name_at, name_len), value = span_make(value_at, value_len);
	uint64_t status = 0;

	if (frame->hd.stream_id != talk->stream || frame->hd.type != NGHTTP2_HEADERS)
		return 0;
	if (talk->trailing) {
		add_trailer(talk, name, value);
	} else if (span_equal(name, SPAN(":status"))) {
		talk->response->count = 0; /* those of an interim response */
		talk->response->status = span_to_u64(value, &status) ? (unsigned)status : 0;
	} else {
		add_field(talk, name, value);
	}
	return talk->failed ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *of)
{
	struct talk *talk = of;

	if (frame->hd.stream_id == talk->stream && frame->hd.type == NGHTTP2_HEADERS &&
	    talk->response->status >= 200)
		talk->trailing = true;
	return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *bytes, size_t len,
		   void *of)
{
	struct talk *talk = of;
	struct span *body = &talk->response->body;

	if (!talk->body)
		talk->body = arena_alloc(talk->arena, WIRE_BODY_MOST);
	if (!talk->body) {
		talk_fail(talk, "out of memory");
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	}
	len = size_min(len, WIRE_BODY_MOST - body->len);
	memcpy(talk->body + body->len, bytes, len);
	*body = span_make(talk->body, body->len + len);
	return 0;
}

static int on_close(nghttp2_session *session, int32_t stream, uint32_t error, void *of)
{
	struct talk *talk = of;

	if (stream == talk->stream) {
		talk->done = true;
		talk->error = error;
	}
	return 0;
}

static nghttp2_session *session_new(struct talk *talk)
{
	nghttp2_session_callbacks *callbacks = NULL;
	nghttp2_session *session = NULL;

	if (nghttp2_session_callbacks_new(&callbacks) != 0)
		return NULL;
	nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
	if (nghttp2_session_client_new(&session, callbacks, talk) != 0)
		session = NULL;
	nghttp2_session_callbacks_del(callbacks);
	return session;
}

/* ---- the talk ---- */

static nghttp2_nv pair(struct span name, struct span value)
{
	return (nghttp2_nv){(uint8_t *)name.at, (uint8_t *)value.at, name.len, value.len, NGHTTP2_NV_FLAG_NONE};
}

static bool submit(struct talk *talk, nghttp2_session *session, const struct wire_h2_request *request)
{
	nghttp2_nv fields[PSEUDO + FIELDS_MOST];
	size_t count = 0;

	fields[count++] = pair(SPAN(":method"), request->method);
	fields[count++] = pair(SPAN(":scheme"), request->scheme);
	fields[count++] = pair(SPAN(":authority"), request->authority);
	fields[count++] = pair(SPAN(":path"), request->path);
	for (unsigned i = 0; i < request->count && count < ARRAY_LENGTH(fields); i++)
		fields[count++] = pair(request->fields[i].name, request->fields[i].value);
	if (nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, NULL, 0) != 0)
		return false;
	talk->stream = nghttp2_submit_request(session, NULL, fields, count, NULL, NULL);
	return talk->stream > 0;
}

static bool send_all(struct talk *talk, nghttp2_session *session, uint64_t deadline)
{
	for (;;) {
		const uint8_t *bytes;
		ssize_t len = nghttp2_session_mem_send(session, &bytes);

		if (len <= 0)
			return len == 0;
		if (!wire_send(talk->wire, span_make(bytes, (size_t)len), deadline))
			return false;
	}
}

static bool converse(struct talk *talk, nghttp2_session *session, uint64_t deadline)
{
	for (unsigned i = 0; i < FRAMES_MOST && !talk->done; i++) {
		if (!send_all(talk, session, deadline) || !wire_receive(talk->wire, deadline))
			return false;
		struct span come = wire_waiting(talk->wire);
		ssize_t used = nghttp2_session_mem_recv(session, come.at, come.len);
		if (used < 0)
			return talk->failed ? false :
					      wire_fail(talk->wire, "what came is no HTTP/2: %s",
							nghttp2_strerror((int)used));
		wire_take(talk->wire, (size_t)used);
	}
	if (!talk->done)
		return wire_fail(talk->wire, "too much came without an end");
	if (talk->error != NGHTTP2_NO_ERROR || talk->response->status < 200)
		return wire_fail(talk->wire, "the stream was closed: %s", nghttp2_http2_strerror(talk->error));
	return true;
}

bool wire_h2_ask(struct wire *wire, const struct wire_h2_request *request, struct arena *arena,
		 struct wire_message *response, uint64_t deadline)
{
	struct talk talk = {.wire = wire, .arena = arena, .response = response};
	nghttp2_session *session = session_new(&talk);
	bool good = false;

	*response = (struct wire_message){.version = SPAN("HTTP/2")};
	if (session && submit(&talk, session, request))
		good = converse(&talk, session, deadline);
	else
		(void)wire_fail(wire, "out of memory");
	nghttp2_session_del(session);
	response->complete = good;
	return good;
}
