/*
 * A client over nghttp2's memory interface. See visit.h.
 */
#include "http/h2/visit.h"

#include <nghttp2/nghttp2.h>

#include <stdlib.h>

struct h2_visit {
	nghttp2_session *session;
	const struct h2_visit_ops *ops;
	void *owner;
	int32_t stream; /* of the request; 0: none has been made */
};

static int on_begin(nghttp2_session *session, const nghttp2_frame *frame, void *of)
{
	struct h2_visit *visit = of;

	if (frame->hd.stream_id == visit->stream)
		visit->ops->on_block(visit->owner);
	return 0;
}

static int on_field(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
		    size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags, void *of)
{
	struct h2_visit *visit = of;

	if (frame->hd.stream_id == visit->stream)
		visit->ops->on_field(visit->owner, span_make(name, name_len), span_make(value, value_len));
	return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *bytes, size_t len,
		   void *of)
{
	struct h2_visit *visit = of;

	if (stream == visit->stream)
		visit->ops->on_data(visit->owner, span_make(bytes, len));
	return 0;
}

static int on_close(nghttp2_session *session, int32_t stream, uint32_t code, void *of)
{
	struct h2_visit *visit = of;

	if (stream == visit->stream)
		visit->ops->on_end(visit->owner, code);
	return 0;
}

/* False: out of memory. */
static bool session_make(struct h2_visit *visit)
{
	const nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_ENABLE_PUSH, 0}};
	nghttp2_session_callbacks *callbacks = NULL;
	nghttp2_option *option = NULL;
	bool made = false;

	if (nghttp2_session_callbacks_new(&callbacks) != 0 || nghttp2_option_new(&option) != 0)
		goto end;
	nghttp2_option_set_no_http_messaging(option, 1);
	nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin);
	nghttp2_session_callbacks_set_on_header_callback(callbacks, on_field);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
	made = nghttp2_session_client_new2(&visit->session, callbacks, visit, option) == 0 &&
	       nghttp2_submit_settings(visit->session, NGHTTP2_FLAG_NONE, settings, ARRAY_LENGTH(settings)) ==
		       0;
end:
	nghttp2_session_callbacks_del(callbacks);
	nghttp2_option_del(option);
	return made;
}

struct h2_visit *h2_visit_new(const struct h2_visit_ops *ops, void *owner)
{
	struct h2_visit *visit = calloc(1, sizeof(*visit));

	if (!visit)
		return NULL;
	visit->ops = ops;
	visit->owner = owner;
	if (session_make(visit))
		return visit;
	h2_visit_free(visit);
	return NULL;
}

void h2_visit_free(struct h2_visit *visit)
{
	if (!visit)
		return;
	visit->stream = 0; /* nothing is told of what ends with the session */
	nghttp2_session_del(visit->session);
	free(visit);
}

bool h2_visit_request(struct h2_visit *visit, const struct h2_visit_field *fields, size_t count)
{
	nghttp2_nv pairs[H2_VISIT_FIELDS];
	int32_t stream;

	ENSURE(count <= ARRAY_LENGTH(pairs));
	for (size_t i = 0; i < count; i++)
		pairs[i] = (nghttp2_nv){(uint8_t *)fields[i].name.at, (uint8_t *)fields[i].value.at,
					fields[i].name.len, fields[i].value.len, NGHTTP2_NV_FLAG_NONE};
	stream = nghttp2_submit_request(visit->session, NULL, pairs, count, NULL, NULL);
	if (stream <= 0)
		return false;
	visit->stream = stream;
	return true;
}

bool h2_visit_receive(struct h2_visit *visit, struct span bytes)
{
	return nghttp2_session_mem_recv(visit->session, bytes.at, bytes.len) == (ssize_t)bytes.len;
}

struct span h2_visit_output(struct h2_visit *visit)
{
	const uint8_t *at = NULL;
	ssize_t len = nghttp2_session_mem_send(visit->session, &at);

	return span_make(at, len > 0 ? (size_t)len : 0);
}
