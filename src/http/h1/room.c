/*
 * What each worker needs for HTTP/1 connections of both sides.
 */
#include "http/h1/h1_internal.h"

enum { CONNECTIONS_KEPT = 1024 }; /* free connection objects held for reuse */

bool h1_room_init(struct worker *worker)
{
	struct h1_room *room = memory_alloc(worker->memory, sizeof(*room));
	if (!room)
		return false;
	*room = (struct h1_room){0};
	pool_init(&room->servers, worker->memory, sizeof(struct h1_server), CONNECTIONS_KEPT);
	pool_init(&room->clients, worker->memory, sizeof(struct h1_client), CONNECTIONS_KEPT);
	list_init(&room->open);
	worker->slots[WORKER_SLOT_H1] = room;
	return true;
}

void h1_room_fini(struct worker *worker)
{
	struct h1_room *room = h1_room(worker);
	if (!room)
		return;
	pool_fini(&room->servers);
	pool_fini(&room->clients);
	memory_free(worker->memory, room, sizeof(*room));
	worker->slots[WORKER_SLOT_H1] = NULL;
}
