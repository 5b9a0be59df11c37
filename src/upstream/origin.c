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
	ORIGIN_USER_MOST = 1024,
	/* family, address, port, ways, trust, length of host, host, user */
	ORIGIN_KEY_MOST = 1 + 16 + 2 + 4 + 4 + sizeof(void *) + 1 + ORIGIN_HOST_MOST + ORIGIN_USER_MOST,
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

static uint8_t *key_put(uint8_t *to, const void *bytes, size_t len)
{
	if (len)
		memcpy(to, bytes, len);
	return to + len;
}

/* The place as bytes; 0: it has names that are too long. */
static size_t origin_key(uint8_t key[ORIGIN_KEY_MOST], const struct origin_place *place)
{
	struct address who = address_unmap(place->client);
	uint8_t *to = key;

	if (place->host.len > ORIGIN_HOST_MOST || place->user.len > ORIGIN_USER_MOST)
		return 0;
	*to++ = who.family;
	to = key_put(to, who.ip, sizeof(who.ip));
	to = key_put(to, &place->port, sizeof(place->port));
	to = key_put(to, &place->via, sizeof(place->via));
	to = key_put(to, &place->exit, sizeof(place->exit));
	to = key_put(to, &place->trust, sizeof(place->trust));
	*to++ = (uint8_t)place->host.len;
	to = key_put(to, place->host.at, place->host.len);
	to = key_put(to, place->user.at, place->user.len);
	return (size_t)(to - key);
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

struct session *origin_take(struct worker *worker, const struct origin_place *place)
{
	struct origins *origins = &upstream_room(worker)->origins;
	uint8_t bytes[ORIGIN_KEY_MOST] UNINITIALISED;
	struct span key = span_make(bytes, origin_key(bytes, place));
	struct origin *origin = key.len ? map_get(&origins->map, key) : NULL;

	return origin ? session_pool_take(&origin->pool) : NULL;
}

struct session *origin_adopt(struct worker *worker, const struct origin_place *place, struct conn *conn,
			     const struct h1_client_settings *settings)
{
	struct origins *origins = &upstream_room(worker)->origins;
	uint8_t bytes[ORIGIN_KEY_MOST] UNINITIALISED;
	struct span key = span_make(bytes, origin_key(bytes, place));

	if (key.len == 0 || origins->map.count >= ORIGINS_MOST)
		return NULL;
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
