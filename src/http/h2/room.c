/*
 * What each worker needs for HTTP/2 connections of both sides.
 */
#include "http/h2/h2_internal.h"

#include "http/h2/h2_sides.h"

#include <malloc.h>
#include <stdlib.h>

enum {
	CONNECTIONS_KEPT = 256,  /* free connection objects held for reuse */
	ACKNOWLEDGEMENTS = 1000, /* of PING and SETTINGS that wait to be written */
};

const char h2_preface[H2_PREFACE_LENGTH + 1] = NGHTTP2_CLIENT_MAGIC;

/* ---- nghttp2's memory counts like ours; blocks know their size ---- */

static void *counted(struct memory *memory, void *block)
{
	if (!block || memory_take(memory, malloc_usable_size(block)))
		return block;
	free(block);
	return NULL;
}

static void *h2_malloc(size_t bytes, void *memory)
{
	return counted(memory, malloc(bytes));
}

static void *h2_calloc(size_t count, size_t bytes, void *memory)
{
	return counted(memory, calloc(count, bytes));
}

static void h2_free(void *block, void *memory)
{
	if (block)
		memory_give(memory, malloc_usable_size(block));
	free(block);
}

static void *h2_realloc(void *block, size_t bytes, void *memory)
{
	void *larger = h2_malloc(bytes, memory);

	if (!larger || !block)
		return larger;
	memcpy(larger, block, size_min(bytes, malloc_usable_size(block)));
	h2_free(block, memory);
	return larger;
}

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
	}
	nghttp2_option_set_builtin_recv_extension_type(room->server_option, NGHTTP2_PRIORITY_UPDATE);
	return true;
}

bool h2_room_init(struct worker *worker)
{
	struct h2_room *room = memory_alloc(worker->memory, sizeof(*room));
	if (!room)
		return false;
	*room = (struct h2_room){
		.allocator = {worker->memory, h2_malloc, h2_free, h2_calloc, h2_realloc},
	};
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
	pool_fini(&room->servers);
	pool_fini(&room->clients);
	memory_free(worker->memory, room, sizeof(*room));
	worker->slots[WORKER_SLOT_H2] = NULL;
}
