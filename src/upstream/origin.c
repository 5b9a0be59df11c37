/*
 * The table of origins. An origin is one allocation with its key behind it.
 */
#include "upstream/origin.h"

#include "upstream/room_internal.h"

struct origin {
	struct session_pool pool;
	struct origins *origins;
	size_t key_len;
	uint8_t key[];
};

enum {
	ORIGIN_HOST_MOST = 255,
	ORIGIN_KEY_MOST = 1 + 16 + 2 + ORIGIN_HOST_MOST, /* family, address, port, host */
};

static void origin_free(struct origin *origin)
{
	struct origins *origins = origin->origins;

	map_remove(&origins->map, span_make(origin->key, origin->key_len));
	memory_free(origins->worker->memory, origin, sizeof(*origin) + origin->key_len);
}

static void origin_on_empty(struct session_pool *pool)
{
	origin_free(CONTAINER_OF(pool, struct origin, pool));
}

void origins_init(struct origins *origins, struct worker *worker)
{
	origins->worker = worker;
	map_init(&origins->map, worker->memory);
	list_init(&origins->rest.all);
	origins->rest.count = 0;
	origins->rest.most = ORIGINS_IDLE;
}

void origins_fini(struct origins *origins)
{
	size_t cursor = 0;
	struct map_entry *entry;

	while ((entry = map_next(&origins->map, &cursor))) {
		struct origin *origin = entry->value;
		session_pool_fini(&origin->pool);
		memory_free(origins->worker->memory, origin, sizeof(*origin) + origin->key_len);
	}
	map_fini(&origins->map);
}

void origins_drain(struct origins *origins)
{
	size_t cursor = 0;
	struct map_entry *entry;

	while ((entry = map_next(&origins->map, &cursor))) {
		struct origin *origin = entry->value;
		session_pool_drain(&origin->pool);
	}
}

/* Everything that must be equal for two requests to share a connection. */
static size_t origin_key(uint8_t key[ORIGIN_KEY_MOST], const struct address *client, struct span host,
			 uint16_t port)
{
	struct address who = address_unmap(client);
	size_t len = 0;

	key[len++] = who.family;
	memcpy(key + len, who.ip, sizeof(who.ip));
	len += sizeof(who.ip);
	key[len++] = (uint8_t)(port >> 8);
	key[len++] = (uint8_t)port;
	memcpy(key + len, host.at, host.len);
	return len + host.len;
}

static struct origin *origin_new(struct origins *origins, struct span key)
{
	struct origin *origin = memory_alloc(origins->worker->memory, sizeof(*origin) + key.len);

	if (!origin)
		return NULL;
	origin->origins = origins;
	origin->key_len = key.len;
	memcpy(origin->key, key.at, key.len);
	session_pool_init(&origin->pool, origins->worker, ORIGIN_KEEP, origin_on_empty);
	origin->pool.rest = &origins->rest;
	if (map_put(&origins->map, span_make(origin->key, key.len), origin))
		return origin;
	memory_free(origins->worker->memory, origin, sizeof(*origin) + key.len);
	return NULL;
}

struct session *origin_take(struct worker *worker, const struct address *client, struct span host, uint16_t port)
{
	struct origins *origins = &upstream_room(worker)->origins;
	uint8_t key[ORIGIN_KEY_MOST];

	if (host.len > ORIGIN_HOST_MOST)
		return NULL;
	struct origin *origin = map_get(&origins->map, span_make(key, origin_key(key, client, host, port)));
	return origin ? session_pool_take(&origin->pool) : NULL;
}

struct session *origin_adopt(struct worker *worker, const struct address *client, struct span host,
			     uint16_t port, struct conn *conn, const struct h1_client_settings *settings)
{
	struct origins *origins = &upstream_room(worker)->origins;
	uint8_t bytes[ORIGIN_KEY_MOST];

	if (host.len > ORIGIN_HOST_MOST || origins->map.count >= ORIGINS_MOST)
		return NULL;
	struct span key = span_make(bytes, origin_key(bytes, client, host, port));
	struct origin *origin = map_get(&origins->map, key);
	if (!origin)
		origin = origin_new(origins, key);
	if (!origin)
		return NULL;
	struct session *session = h1_client_open(conn, settings, &session_pool_owner_ops, &origin->pool);
	if (session)
		session_pool_add(&origin->pool, session);
	else if (origin->pool.open == 0)
		origin_free(origin);
	return session;
}
