/*
 * The rooms that every thread with a loop has, in the order in which they are set up and taken down. On the main thread, before the other
 * thread starts and after it has ended.
 */
#include "server/server_internal.h"

#include "exchange/exchange.h"
#include "http/h1/server.h"
#include "http/h2/server.h"
#include "proxy/entrance.h"
#include "socks/server.h"
#include "tls/server.h"
#include "upstream/group.h"
#include "upstream/parent.h"

bool rooms_init(struct worker *worker, const struct server *server, uint64_t handshakes)
{
	return conn_room_init(worker) && tls_room_init(worker, handshakes) &&
	       resolver_init(worker, &server->resolver) && exchange_room_init(worker) &&
	       h1_room_init(worker) && h2_room_init(worker) && socks_room_init(worker) &&
	       upstream_room_init(worker, server->fleet) && parents_attach(worker, server->parents);
}

void rooms_fini(struct worker *worker)
{
	upstream_room_fini(worker);
	if (worker->slots[WORKER_SLOT_RESOLVER])
		resolver_fini(worker);
	/* What was retired in the last turn, or is closed now, goes before the rooms whose pools it goes back to. */
	loop_settle(&worker->loop);
	entrance_room_fini(worker);
	socks_room_fini(worker);
	h2_room_fini(worker);
	h1_room_fini(worker);
	exchange_room_fini(worker);
	if (worker->slots[WORKER_SLOT_NET])
		conn_room_fini(worker);
	loop_settle(&worker->loop);
	client_log_fini(worker);
}
