/*
 * Counting clients. One lock for each shard, held for a look-up: see docs on locks in ARCHITECTURE.md.
 */
#include "server/clients.h"

#include "core/random.h"

enum { CLIENT_KEY = 9 }; /* family, and what of the address says whose it is */

struct client_count {
	uint8_t key[CLIENT_KEY];
	uint64_t open;
};

void clients_init(struct clients *clients, struct memory *memory, uint64_t most, uint64_t most_per_address)
{
	clients->memory = memory;
	clients->most = most;
	clients->most_per_address = most_per_address;
	atomic_init(&clients->open, 0);
	random_secret(&clients->seed, sizeof(clients->seed));
	for (unsigned i = 0; i < CLIENT_SHARDS; i++) {
		pthread_mutex_init(&clients->shards[i].lock, NULL);
		map_init(&clients->shards[i].counts, memory);
	}
}

void clients_fini(struct clients *clients)
{
	for (unsigned i = 0; i < CLIENT_SHARDS; i++) {
		struct client_shard *shard = &clients->shards[i];
		size_t cursor = 0;
		struct map_entry *entry;
		while ((entry = map_next(&shard->counts, &cursor)))
			memory_free(clients->memory, entry->value, sizeof(struct client_count));
		map_fini(&shard->counts);
		pthread_mutex_destroy(&shard->lock);
	}
}

/* False: not counted by address. */
static bool client_key(const struct address *address, uint8_t key[CLIENT_KEY])
{
	struct address plain = address_unmap(address);

	memset(key, 0, CLIENT_KEY);
	key[0] = plain.family;
	memcpy(key + 1, plain.ip, address_subscriber(&plain));
	return address_subscriber(&plain) > 0;
}

static struct client_shard *client_shard(struct clients *clients, struct span key)
{
	return &clients->shards[span_hash(key, clients->seed) % CLIENT_SHARDS];
}

/* The count of a key, made when it is not there. NULL: out of memory. Under the shard's lock. */
static struct client_count *client_count(struct clients *clients, struct client_shard *shard, struct span key)
{
	struct client_count *count = map_get(&shard->counts, key);

	if (count)
		return count;
	count = memory_alloc(clients->memory, sizeof(*count));
	if (!count)
		return NULL;
	memcpy(count->key, key.at, key.len);
	count->open = 0;
	if (map_put(&shard->counts, span_make(count->key, key.len), count))
		return count;
	memory_free(clients->memory, count, sizeof(*count));
	return NULL;
}

static bool client_enter(struct clients *clients, const struct address *address)
{
	uint8_t bytes[CLIENT_KEY];
	bool admitted = false;

	if (!client_key(address, bytes))
		return true;
	struct span key = span_make(bytes, sizeof(bytes));
	struct client_shard *shard = client_shard(clients, key);
	pthread_mutex_lock(&shard->lock);
	struct client_count *count = client_count(clients, shard, key);
	if (count && count->open < clients->most_per_address) {
		count->open++;
		admitted = true;
	}
	pthread_mutex_unlock(&shard->lock);
	return admitted;
}

enum clients_verdict clients_enter(struct clients *clients, const struct address *address)
{
	if (atomic_fetch_add_explicit(&clients->open, 1, memory_order_relaxed) >= clients->most) {
		atomic_fetch_sub_explicit(&clients->open, 1, memory_order_relaxed);
		return CLIENTS_FULL;
	}
	if (client_enter(clients, address))
		return CLIENTS_ADMITTED;
	atomic_fetch_sub_explicit(&clients->open, 1, memory_order_relaxed);
	return CLIENTS_TOO_MANY;
}

bool clients_name(struct clients *clients, const struct address *address)
{
	return client_enter(clients, address);
}

void clients_leave(struct clients *clients, const struct address *address)
{
	uint8_t bytes[CLIENT_KEY];

	atomic_fetch_sub_explicit(&clients->open, 1, memory_order_relaxed);
	if (!client_key(address, bytes))
		return;
	struct span key = span_make(bytes, sizeof(bytes));
	struct client_shard *shard = client_shard(clients, key);
	pthread_mutex_lock(&shard->lock);
	struct client_count *count = map_get(&shard->counts, key);
	if (count && --count->open == 0) {
		map_remove(&shard->counts, key);
		memory_free(clients->memory, count, sizeof(*count));
	}
	pthread_mutex_unlock(&shard->lock);
}

bool clients_have_room(const struct clients *clients)
{
	return atomic_load_explicit(&clients->open, memory_order_relaxed) < clients->most;
}
