/*
 * What a peer may not do, and what it may not do often. Frames are looked at on their way to nghttp2, which passes over some in silence: frames
 * of unknown kinds, and of streams that are closed. Called by conn.c, on the connection's worker.
 */
#include "http/h2/h2_sides.h"

enum {
	CONTINUATIONS_MOST = 8, /* in one field block; nghttp2 gives up after as many, and says nothing */
	LATE_MS = 10000, /* after a reset of ours, frames that were on their way are no error (RFC 9113 5.1) */
	CLIENT_STREAM = 1, /* the bit that their numbers have */
};

void h2_guard_init(struct h2_guard *guard, bool server, uint64_t now_ms)
{
	*guard = (struct h2_guard){.server = server, .skip = server ? H2_PREFACE_LENGTH : 0};
	h2_budget_init(&guard->budget, now_ms);
}

/* ---- sending away ---- */

/* How logs name the peer: a client as its listener has it, a server in full. */
static enum log_addresses guard_log_addresses(struct h2_conn *h2)
{
	return h2->guard.server ? CONTAINER_OF(h2, struct h2_server, h2)->service->log_addresses :
				  LOG_ADDRESSES_FULL;
}

static void guard_send_away(struct h2_conn *h2, enum h2_abuse kind)
{
	struct h2_room *room = h2_room(h2->worker);
	char text[ADDRESS_TEXT];

	if (h2->ended || h2->guard.abused)
		return;
	h2->guard.abused = true;
	room->abuses[kind]++;
	size_t len = client_log_text(h2->worker, guard_log_addresses(h2), &h2->conn->peer, text);
	log_say(h2->worker->log, LOG_WARNING, "h2: %s from %.*s: connection closed (%llu so far)",
		h2_abuse_name(kind), (int)len, text, (unsigned long long)room->abuses[kind]);
	h2_conn_terminate(h2, NGHTTP2_ENHANCE_YOUR_CALM,
			  &(struct error){.code = h2->guard.server ? ERROR_ABUSE : ERROR_UPSTREAM_MALFORMED,
					  .text = h2_abuse_name(kind)});
}

void h2_conn_spend(struct h2_conn *h2, enum h2_abuse kind)
{
	if (!h2->ended && !h2->guard.abused && !h2_budget_spend(&h2->guard.budget, kind, h2->worker->loop.now))
		guard_send_away(h2, kind);
}

static void guard_error(struct h2_conn *h2, uint32_t code, const char *text)
{
	h2_conn_terminate(h2, code,
			  &(struct error){.code = h2->guard.server ? ERROR_MALFORMED_REQUEST :
								     ERROR_UPSTREAM_MALFORMED,
					  .text = text});
}

/* ---- frames, before nghttp2 has them ---- */

/* Of a stream that has been open, or could have been: a higher one has (RFC 9113 5.1.1). */
static bool guard_is_closed(const struct h2_conn *h2, int32_t id)
{
	return h2->guard.server && id & CLIENT_STREAM && id <= h2->guard.highest &&
	       !nghttp2_session_find_stream(h2->session, id);
}

/* RFC 9113 5.1, 6.1: an error, unless it crossed a reset or a GOAWAY of ours on its way. */
static void guard_on_late(struct h2_conn *h2)
{
	struct h2_guard *guard = &h2->guard;

	if (guard->leaving || (guard->reset_at && h2->worker->loop.now - guard->reset_at < LATE_MS))
		h2_conn_spend(h2, H2_ABUSE_LATE);
	else
		guard_error(h2, NGHTTP2_STREAM_CLOSED, "a frame on a stream that is closed");
}

static void guard_on_continuation(struct h2_conn *h2)
{
	if (++h2->guard.continuations > CONTINUATIONS_MOST)
		guard_send_away(h2, H2_ABUSE_CONTINUATION);
	else
		h2_conn_spend(h2, H2_ABUSE_CONTINUATION);
}

static void guard_on_frame(struct h2_conn *h2, const nghttp2_frame_hd *frame)
{
	struct h2_guard *guard = &h2->guard;

	switch (frame->type) {
	case NGHTTP2_DATA:
		if (guard_is_closed(h2, frame->stream_id))
			guard_on_late(h2);
		else if (frame->length == 0 && !(frame->flags & NGHTTP2_FLAG_END_STREAM))
			h2_conn_spend(h2, H2_ABUSE_EMPTY);
		break;
	case NGHTTP2_HEADERS:
		guard->continuations = 0;
		if (guard_is_closed(h2, frame->stream_id))
			guard_on_late(h2);
		else if (frame->stream_id & CLIENT_STREAM && frame->stream_id > guard->highest)
			guard->highest = frame->stream_id;
		break;
	case NGHTTP2_PRIORITY:
		if (frame->stream_id == 0) /* RFC 9113 6.3 */
			guard_error(h2, NGHTTP2_PROTOCOL_ERROR, "PRIORITY of no stream");
		h2_conn_spend(h2, H2_ABUSE_PRIORITY);
		break;
	case NGHTTP2_PRIORITY_UPDATE:
		h2_conn_spend(h2, H2_ABUSE_PRIORITY);
		break;
	case NGHTTP2_RST_STREAM:
		if (guard->server) /* a server resets what it was asked to do, which is no more than we ask */
			h2_conn_spend(h2, H2_ABUSE_RESET);
		break;
	case NGHTTP2_SETTINGS:
		if (!(frame->flags & NGHTTP2_FLAG_ACK))
			h2_conn_spend(h2, H2_ABUSE_SETTINGS);
		break;
	case NGHTTP2_PING:
		h2_conn_spend(h2, H2_ABUSE_PING);
		break;
	case NGHTTP2_WINDOW_UPDATE:
		h2_conn_spend(h2, H2_ABUSE_WINDOW);
		break;
	case NGHTTP2_CONTINUATION:
		guard_on_continuation(h2);
		break;
	default:
		h2_conn_spend(h2, H2_ABUSE_UNKNOWN);
	}
}

static nghttp2_frame_hd frame_of(const uint8_t *head)
{
	return (nghttp2_frame_hd){
		.length = (size_t)head[0] << 16 | (size_t)head[1] << 8 | head[2],
		.type = head[3],
		.flags = head[4],
		.stream_id = (int32_t)((uint32_t)(head[5] & 0x7f) << 24 | (uint32_t)head[6] << 16 |
				       (uint32_t)head[7] << 8 | head[8]),
	};
}

/* Whether it has to be known what became of the frames before this one. */
static bool needs_order(const struct h2_guard *guard, const nghttp2_frame_hd *frame)
{
	return guard->server && (frame->type == NGHTTP2_DATA || frame->type == NGHTTP2_HEADERS) &&
	       frame->stream_id <= guard->highest;
}

size_t h2_guard_next(struct h2_conn *h2, struct span bytes)
{
	struct h2_guard *guard = &h2->guard;
	size_t at = 0;

	while (at < bytes.len) {
		size_t here = size_min(guard->skip, bytes.len - at);
		guard->skip -= (uint32_t)here;
		at += here;
		size_t start = at;
		uint8_t held = guard->held;
		here = size_min((size_t)H2_FRAME_HEAD - held, bytes.len - at);
		memcpy(guard->head + held, bytes.at + at, here);
		guard->held = (uint8_t)(held + here);
		at += here;
		if (guard->held < H2_FRAME_HEAD)
			break;
		nghttp2_frame_hd frame = frame_of(guard->head);
		if (start > 0 && needs_order(guard, &frame)) {
			guard->held = held; /* it is looked at again, at the beginning */
			return start;
		}
		guard->held = 0;
		guard->skip = (uint32_t)frame.length;
		guard_on_frame(h2, &frame);
	}
	return bytes.len;
}

/* ---- what nghttp2 tells ---- */

void h2_guard_on_invalid(struct h2_conn *h2, int why)
{
	h2_conn_spend(h2, why == NGHTTP2_ERR_REFUSED_STREAM ? H2_ABUSE_REFUSED : H2_ABUSE_FAULT);
}

void h2_guard_on_received(struct h2_conn *h2, const nghttp2_frame *frame)
{
	const nghttp2_ext_priority_update *update = frame->ext.payload;
	bool ended = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;

	/* Padding, and nothing else. */
	if (frame->hd.type == NGHTTP2_DATA && frame->hd.length > 0 &&
	    frame->hd.length == frame->data.padlen && !ended)
		h2_conn_spend(h2, H2_ABUSE_EMPTY);
	if (frame->hd.type == NGHTTP2_PRIORITY_UPDATE && update->stream_id == 0) /* RFC 9218 7.1 */
		guard_error(h2, NGHTTP2_PROTOCOL_ERROR, "PRIORITY_UPDATE of no stream");
}

void h2_guard_on_sent(struct h2_conn *h2, const nghttp2_frame *frame)
{
	if (frame->hd.type == NGHTTP2_GOAWAY && frame->goaway.last_stream_id < INT32_MAX)
		h2->guard.leaving = true;
	if (frame->hd.type != NGHTTP2_RST_STREAM)
		return;
	h2->guard.reset_at = h2->worker->loop.now;
	/* RFC 9113 6.9.1 lets it be an error of the connection; 6.9.2 asks for one where SETTINGS are the cause. */
	if (frame->rst_stream.error_code == NGHTTP2_FLOW_CONTROL_ERROR)
		guard_error(h2, NGHTTP2_FLOW_CONTROL_ERROR, "a window larger than there may be");
}
