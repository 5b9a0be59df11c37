/*
 * The first moments of a client's connection. See entrance.h.
 */
#include "proxy/entrance.h"

#include "http/h1/server.h"
#include "proxy/tcp.h"

#include <unistd.h>

bool entrance_room_init(struct worker *worker)
{
	return tcp_room_init(worker);
}

void entrance_room_fini(struct worker *worker)
{
	tcp_room_fini(worker);
}

bool entrance_open(const struct proxy_listener *listener, struct worker *worker, int fd,
		   const struct address *peer, client_gone_fn *on_gone, void *owner)
{
	struct conn *conn = conn_open(worker, fd, peer, NULL, NULL);
	struct client client = {.address = *peer};

	if (!conn) {
		close(fd);
		return false;
	}
	if (listener->face == PROXY_TCP ? tcp_open(listener, conn, &client, on_gone, owner) :
					  h1_server_open(conn, &client, &listener->service, on_gone, owner))
		return true;
	conn_close(conn);
	return false;
}

void entrance_drain(struct worker *worker)
{
	h1_server_drain(worker);
	tcp_drain(worker);
}

void entrance_cut(struct worker *worker)
{
	h1_server_cut(worker);
	tcp_cut(worker);
}
