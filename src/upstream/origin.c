/*
 * The table of origins. An origin is one allocation with its key behind it.
 */
#include "upstream/origin.h"

#include "upstream/room_internal.h"

/* One client's, as far as it is known who that is; one allocation with its key behind it. */
struct partition {
	struct idle_share share; /* of the worker's idle connections */
	uint32_t origins;
	size_t key_len;
	uint8_t key[];
};

struct origin {
	struct session_pool pool;
	struct origins *origins;
	struct partition *partition;
	size_t key_len;
	uint8_t key[];
};

enum {
	ORIGIN_HOST_MOST = 255,
	ORIGIN_USER_MOST = 1024,
	/* family and address, or accounts and user */
	PARTITION_KEY_MOST = 1 + sizeof(void *) + ORIGIN_USER_MOST,
	/* port, ways, trust, length of host, host, partition */
	ORIGIN_KEY_MOST = 2 + 4 + 4 + sizeof(void *) + 1 + ORIGIN_HOST_MOST + PARTITION_KEY_MOST,
};

/* ---- partitions ---- */

static void partition_free(struct origins *origins, struct partition *partition)
{
	memory_free(origins->worker->memory, partition, sizeof(*partition) + partition->key_len);
}

static void partition_leave(struct origins *origins, struct partition *partition)
{
	if (--partition->origins > 0)
		return;
	map_remove(&origins->partitions, span_make(partition->key, partition->key_len));
	partition_free(origins, partition);
}

/* With one more origin. NULL: out of memory. */
static struct partition *partition_join(struct origins *origins, struct span key)
{
	struct partition *partition = map_get(&origins->partitions, key);

	if (!partition) {
		partition = memory_alloc(origins->worker->memory, sizeof(*partition) + key.len);
		if (!partition)
			return NULL;
		partition->origins = 0;
		partition->key_len = key.len;
		memcpy(partition->key, key.at, key.len);
		idle_share_init(&partition->share, &origins->idle);
		if (!map_put(&origins->partitions, span_make(partition->key, key.len), partition)) {
			partition_free(origins, partition);
			return NULL;
		}
	}
	partition->origins++;
	return partition;
}

/* ---- the table ---- */

static void origin_free(struct origin *origin)
{
	struct origins *origins = origin->origins;

	map_remove(&origins->map, span_make(origin->key, origin->key_len));
	partition_leave(origins, origin->partition);
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
	map_init(&origins->partitions, worker->memory);
	idle_shares_init(&origins->idle);
}

void origins_fini(struct origins *origins)
{
	size_t cursor = 0;
	struct map_entry *entry;

	while ((entry = map_next(&origins->map, &cursor))) {
		struct origin *origin = entry->value;
		session_pool_fini(&origin->pool);
		origin_free(origin);
	}
	map_fini(&origins->map);
	map_fini(&origins->partitions);
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

/* ---- keys ---- */

static uint8_t *key_put(uint8_t *to, const void *bytes, size_t len)
{
	if (len)
		memcpy(to, bytes, len);
	return to + len;
}

/* Who asks, as bytes: nothing that one client chooses makes it another's. */
static uint8_t *partition_key(uint8_t *to, const struct origin_place *place)
{
	if (place->user.len) {
		*to++ = UINT8_MAX; /* no family */
		to = key_put(to, &place->accounts, sizeof(place->accounts));
		return key_put(to, place->user.at, place->user.len);
	}
	struct address who = address_unmap(place->client);

	*to++ = who.family;
	return key_put(to, who.ip, address_subscriber(&who));
}

/* The place as bytes, and within them who asks; empty: it has names that are too long. */
struct origin_key {
	struct span all, who; /* borrowed */
};

static struct origin_key origin_key(uint8_t bytes[ORIGIN_KEY_MOST], const struct origin_place *place)
{
	uint8_t *to = bytes;

	if (place->host.len > ORIGIN_HOST_MOST || place->user.len > ORIGIN_USER_MOST)
		return (struct origin_key){0};
	to = key_put(to, &place->port, sizeof(place->port));
	to = key_put(to, &place->via, sizeof(place->via));
	to = key_put(to, &place->exit, sizeof(place->exit));
	to = key_put(to, &place->trust, sizeof(place->trust));
	*to++ = (uint8_t)place->host.len;
	to = key_put(to, place->host.at, place->host.len);
	uint8_t *who = to;
	to = partition_key(to, place);
	return (struct origin_key){.all = span_make(bytes, (size_t)(to - bytes)),
				   .who = span_make(who, (size_t)(to - who))};
}

static struct origin *origin_new(struct origins *origins, const struct origin_key *key)
{
	struct memory *memory = origins->worker->memory;
	size_t size = sizeof(struct origin) + key->all.len;
	struct partition *partition = partition_join(origins, key->who);
	struct origin *origin = partition ? memory_alloc(memory, size) : NULL;

	if (!origin)
		goto fail;
	origin->origins = origins;
	origin->partition = partition;
	origin->key_len = key->all.len;
	memcpy(origin->key, key->all.at, key->all.len);
	session_pool_init(&origin->pool, origins->worker, ORIGIN_KEEP, origin_on_empty);
	origin->pool.share = &partition->share;
	if (map_put(&origins->map, span_make(origin->key, origin->key_len), origin))
		return origin;
fail:
	memory_free(memory, origin, size);
	if (partition)
		partition_leave(origins, partition);
	return NULL;
}

/* ---- connections ---- */

struct session *origin_take(struct worker *worker, const struct origin_place *place, struct pins *pins, bool own)
{
	struct origins *origins = &upstream_room(worker)->origins;
	uint8_t bytes[ORIGIN_KEY_MOST] UNINITIALISED;
	struct origin_key key = origin_key(bytes, place);

	struct session *session = pins_take(pins, key.all);
	struct origin *origin = session || own || !key.all.len ? NULL : map_get(&origins->map, key.all);
	return origin ? session_pool_take(&origin->pool) : session;
}

void origin_pin(struct session *session, struct exchange *x)
{
	if (session->pinned)
		return;
	const struct origin *origin = CONTAINER_OF(session->owner, struct origin, pool);

	session_pin(session, x, span_make(origin->key, origin->key_len));
}

struct session *origin_adopt(struct worker *worker, const struct origin_place *place, struct conn *conn,
			     const struct h1_client_settings *settings)
{
	struct origins *origins = &upstream_room(worker)->origins;
	uint8_t bytes[ORIGIN_KEY_MOST] UNINITIALISED;
	struct origin_key key = origin_key(bytes, place);

	if (key.all.len == 0 || origins->map.count >= ORIGINS_MOST)
		return NULL;
	struct origin *origin = map_get(&origins->map, key.all);
	if (!origin)
		origin = origin_new(origins, &key);
	if (!origin)
		return NULL;
	struct session *session = h1_client_open(conn, settings, &session_pool_owner_ops, &origin->pool);
	if (session)
		session_pool_add(&origin->pool, session);
	else if (origin->pool.open == 0)
		origin_free(origin);
	return session;
}
