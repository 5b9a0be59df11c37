/*
 * How many connections clients have open: in all, and for each address (IPv6: each /64). Shared by the workers; asked once when a
 * connection comes and once when it goes.
 */
#ifndef GUISE_SERVER_CLIENTS_H
#define GUISE_SERVER_CLIENTS_H

#include "core/map.h"
#include "net/address.h"

#include <pthread.h>
#include <stdatomic.h>

enum { CLIENT_SHARDS = 64 };

struct client_shard {
	pthread_mutex_t lock;
	struct map counts; /* address key -> struct client_count */
};

struct clients {
	struct memory *memory;
	uint64_t most, most_per_address;
	atomic_uint_fast64_t open;
	uint64_t seed;
	struct client_shard shards[CLIENT_SHARDS];
};

enum clients_verdict {
	CLIENTS_ADMITTED, /* counted: clients_leave must follow, with the same address */
	CLIENTS_FULL,     /* as many as the process may have */
	CLIENTS_TOO_MANY, /* as many as this address may have, or no memory to count it */
};

void clients_init(struct clients *clients, struct memory *memory, uint64_t most, uint64_t most_per_address);
void clients_fini(struct clients *clients);
/* An address of no family, for who is not known yet, counts in the sum alone. */
WARN_UNUSED enum clients_verdict clients_enter(struct clients *clients, const struct address *address);
/* Who entered without an address turns out to have this one, with which it leaves. False: as many as that address may have. */
WARN_UNUSED bool clients_name(struct clients *clients, const struct address *address);
void clients_leave(struct clients *clients, const struct address *address);
/* Room for another connection. */
bool clients_have_room(const struct clients *clients);

#endif
