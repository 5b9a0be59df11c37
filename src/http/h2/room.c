/*
 * What each worker needs for HTTP/2 connections of both sides.
 */
#include "http/h2/h2_internal.h"

#include "http/h2/h2_sides.h"

enum {
	CONNECTIONS_KEPT = 256,       /* free connection objects held for reuse */
	ACKNOWLEDGEMENTS = 1000,      /* of PING and SETTINGS that wait to be written */
	HEAD_SENT_MOST = 1024 * 1024, /* bytes: more than any limits.head */
};

const char h2_preface[H2_PREFACE_LENGTH + 1] = NGHTTP2_CLIENT_MAGIC;

/* ---- options ---- */

static bool options_init(struct h2_room *room)
{
	if (nghttp2_option_new(&room->server_option) != 0 || nghttp2_option_new(&room->client_option) != 0)
		return false;
	nghttp2_option *both[] = {room->server_option, room->client_option};
	for (unsigned i = 0; i < ARRAY_LENGTH(both); i++) {
		nghttp2_option_set_no_auto_window_update(both[i], 1);
		nghttp2_option_set_no_http_messaging(both[i], 1); /* message.c is stricter, and says why */
		nghttp2_option_set_no_closed_streams(both[i], 1);
		nghttp2_option_set_max_outbound_ack(both[i], ACKNOWLEDGEMENTS);
		nghttp2_option_set_max_send_header_block_length(both[i], HEAD_SENT_MOST);
	}
	nghttp2_option_set_builtin_recv_extension_type(room->server_option, NGHTTP2_PRIORITY_UPDATE);
	return true;
}

bool h2_room_init(struct worker *worker)
{
	struct h2_room *room = memory_alloc(worker->memory, sizeof(*room));
	if (!room)
		return false;
	*room = (struct h2_room){0};
	h2_allocator_init(&room->allocator, worker->memory);
	pool_init(&room->servers, worker->memory, sizeof(struct h2_server), CONNECTIONS_KEPT);
	pool_init(&room->clients, worker->memory, sizeof(struct h2_client), CONNECTIONS_KEPT);
	list_init(&room->open);
	worker->slots[WORKER_SLOT_H2] = room;
	return options_init(room) && h2_callbacks_init(room);
}

void h2_room_fini(struct worker *worker)
{
	struct h2_room *room = h2_room(worker);
	if (!room)
		return;
	nghttp2_session_callbacks_del(room->callbacks);
	nghttp2_option_del(room->server_option);
	nghttp2_option_del(room->client_option);
	h2_allocator_fini(&room->allocator);
	pool_fini(&room->servers);
	pool_fini(&room->clients);
	memory_free(worker->memory, room, sizeof(*room));
	worker->slots[WORKER_SLOT_H2] = NULL;
}
