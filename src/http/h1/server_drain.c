/*
 * The end of a worker: which clients' HTTP/1 connections end at once, and which with their exchange.
 */
#include "http/h1/h1_internal.h"

enum { FIRST_REQUEST_MS = 1000 }; /* behind a TLS handshake */

/* Who has just shaken hands has most likely a request on its way, which would be lost. */
static bool h1_server_expects_request(const struct h1_server *server)
{
	uint64_t opened = server->read_deadline - server->service->timeouts->idle;

	return server->client.tls && server->served == 0 && server->read_deadline &&
	       server->worker->loop.now - opened < FIRST_REQUEST_MS;
}

void h1_server_drain(struct worker *worker)
{
	struct link *head = &h1_room(worker)->open, *next;

	for (struct link *link = head->next; link != head; link = next) {
		struct h1_server *server = CONTAINER_OF(link, struct h1_server, link);
		next = link->next;
		if (server->state == H1_SERVER_IDLE && !server->pending.block &&
		    !h1_server_expects_request(server))
			h1_server_close(server);
	}
}

void h1_server_cut(struct worker *worker)
{
	struct link *head = &h1_room(worker)->open, *next;

	for (struct link *link = head->next; link != head; link = next) {
		struct h1_server *server = CONTAINER_OF(link, struct h1_server, link);
		next = link->next;
		if (server->pair)
			exchange_abort(server->pair->exchange, &(struct error){.code = ERROR_DRAINING});
		else
			h1_server_close(server);
	}
}
