/*
 * The two sides of HTTP/2, for their own files and for the room that keeps pools of them.
 */
#ifndef GUISE_HTTP_H2_H2_SIDES_H
#define GUISE_HTTP_H2_H2_SIDES_H

#include "exchange/pin.h"
#include "http/h2/h2_internal.h"

enum h2_server_state {
	H2_SERVER_OPEN,
	H2_SERVER_WARNED,  /* a first GOAWAY says that there will be a last one (RFC 9113 6.8) */
	H2_SERVER_LEAVING, /* the last GOAWAY has been submitted: running streams go on */
};

struct h2_server {
	struct h2_conn h2;
	const struct service *service;
	struct client client;
	struct pins pins;
	client_gone_fn *on_gone;
	void *owner;
	uint64_t warned_at;     /* loop clock, ms */
	uint64_t head_began_at; /* loop clock, ms: a header block is not complete; 0: none is */
	uint32_t served;
	uint8_t state; /* enum h2_server_state */
};

struct h2_client {
	struct h2_conn h2;
	struct session session;
	struct h2_client_settings settings;
	bool settled; /* the server's first SETTINGS have come */
	bool gone;    /* the owner has been told */
};

#endif
