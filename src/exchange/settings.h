/*
 * What an exchange may take, in bytes, in number and in time: `limits` and `timeouts` of the configuration. Part of a
 * snapshot, immutable; read by workers.
 */
#ifndef GUISE_EXCHANGE_SETTINGS_H
#define GUISE_EXCHANGE_SETTINGS_H

#include "core/setting.h"

#define LIMIT_NONE UINT64_MAX /* "unlimited" */

/* Members are named as the keys. */
struct limits_settings {
	uint64_t memory;                  /* bytes for the process; 0 = auto */
	uint64_t connections;             /* downstream, whole process */
	uint64_t connections_per_address; /* downstream */
	uint64_t requests_per_connection;
	uint64_t streams;      /* HTTP/2, at a time, of one client connection */
	uint64_t handshakes;   /* TLS, of clients, in progress in the whole process */
	uint64_t request_line; /* bytes */
	uint64_t field_line;   /* bytes */
	uint64_t fields;       /* in number */
	uint64_t head;         /* bytes: request line and all fields */
	uint64_t body;         /* bytes of a request's body; LIMIT_NONE = unlimited */
	uint64_t flow;         /* bytes in flight of one direction of one exchange, at first */
	uint64_t udp_targets;  /* that one association of SOCKS remembers */
};

/* Milliseconds. */
struct timeouts_settings {
	uint64_t header;
	uint64_t handshake;
	uint64_t idle;
	uint64_t body;
	uint64_t total; /* 0 = off */
	uint64_t connect;
	uint64_t response;
	uint64_t tunnel;
	uint64_t udp;
	uint64_t bind;
	uint64_t pool;
	uint64_t drain;
};

extern const struct setting limits_rows[];   /* struct limits_settings */
extern const struct setting timeouts_rows[]; /* struct timeouts_settings */

#endif
