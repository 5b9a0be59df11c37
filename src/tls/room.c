/*
 * The room's part of a worker: scratch buffers, handshakes in progress. Set up before the worker runs, taken apart after its connections are closed.
 */
#include "tls/server.h"

#include "tls/tls_internal.h"

#include <openssl/err.h>

enum { KEEP_CONNS = 1024 };

static void room_free(struct tls_room *room)
{
	struct memory *memory = room->worker->memory;

	BIO_free(room->bio);
	BIO_meth_free(room->method);
	memory_free(memory, room->in, TLS_IN);
	memory_free(memory, room->out, TLS_OUT);
	memory_free(memory, room->plain, TLS_RECORD);
	pool_fini(&room->conns);
	memory_free(memory, room, sizeof(*room));
}

bool tls_room_init(struct worker *worker, uint64_t handshakes)
{
	struct tls_room *room = memory_alloc(worker->memory, sizeof(*room));

	if (!room)
		return false;
	*room = (struct tls_room){.worker = worker, .handshakes_most = handshakes};
	pool_init(&room->conns, worker->memory, sizeof(struct tls), KEEP_CONNS);
	list_init(&room->handshakes);
	room->in = memory_alloc(worker->memory, TLS_IN);
	room->out = memory_alloc(worker->memory, TLS_OUT);
	room->plain = memory_alloc(worker->memory, TLS_RECORD);
	room->method = tls_bio_method();
	room->bio = room->method ? BIO_new(room->method) : NULL;
	if (!room->in || !room->out || !room->plain || !room->bio) {
		ERR_clear_error();
		room_free(room);
		return false;
	}
	BIO_set_data(room->bio, room);
	BIO_set_init(room->bio, 1);
	worker->slots[WORKER_SLOT_TLS] = room;
	return true;
}

void tls_room_fini(struct worker *worker)
{
	struct tls_room *room = tls_room(worker);

	if (!room)
		return;
	ENSURE(list_empty(&room->handshakes));
	room_free(room);
	worker->slots[WORKER_SLOT_TLS] = NULL;
}
