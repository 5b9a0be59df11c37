/*
 * The server side of HTTP/2 (RFC 9113): a client's connection with many exchanges at a time. Opened by whoever accepts, on TLS by ALPN or in
 * clear by prior knowledge; makes exchanges for its service. All on the connection's worker.
 */
#ifndef GUISE_HTTP_H2_SERVER_H
#define GUISE_HTTP_H2_SERVER_H

#include "exchange/exchange.h"

/* What each worker needs for both sides of HTTP/2. Slot WORKER_SLOT_H2. */
WARN_UNUSED bool h2_room_init(struct worker *worker);
void h2_room_fini(struct worker *worker);

/* "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" (RFC 9113 3.4). */
enum { H2_PREFACE_LENGTH = 24 };
extern const char h2_preface[H2_PREFACE_LENGTH + 1];

/* As h1_server_open: the connection preface is still to be read. */
WARN_UNUSED bool h2_server_open(struct conn *conn, const struct client *client, const struct service *service,
				client_gone_fn *on_gone, void *owner);

/* worker->draining was set: clients are told by GOAWAY, connections end when their last stream has. */
void h2_server_drain(struct worker *worker);
/* Cuts every connection of this worker. */
void h2_server_cut(struct worker *worker);

#endif
