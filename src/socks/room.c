/*
 * What each worker needs for SOCKS connections.
 */
#include "socks/socks_internal.h"

enum { CONNECTIONS_KEPT = 1024 }; /* free connection objects held for reuse */

bool socks_room_init(struct worker *worker)
{
	struct socks_room *room = memory_alloc(worker->memory, sizeof(*room));

	if (!room)
		return false;
	*room = (struct socks_room){0};
	pool_init(&room->servers, worker->memory, sizeof(struct socks_server), CONNECTIONS_KEPT);
	list_init(&room->open);
	worker->slots[WORKER_SLOT_SOCKS] = room;
	return true;
}

void socks_room_fini(struct worker *worker)
{
	struct socks_room *room = socks_room(worker);

	if (!room)
		return;
	pool_fini(&room->servers);
	memory_free(worker->memory, room, sizeof(*room));
	worker->slots[WORKER_SLOT_SOCKS] = NULL;
}
