/*
 * Entries of allowances: found by who asks, kept while they are used, and as long after that as there is room.
 */
#include "account/allowance_internal.h"
#include "core/random.h"

#include <stdio.h>

enum {
	PORTION_LEAST = 1024,
	PORTION_MOST = 64 * 1024,
	PORTIONS = 16, /* in a second: what a slow rate is smooth with */
	IDLE_MOST = ALLOWANCE_REMEMBERED / ALLOWANCE_SHARDS,
	NAME_WHOLE = 200, /* bytes of a user's name that stand in a key as they are */
};

/* ---- rates ---- */

static size_t portion_of(uint64_t bytes_per_second)
{
	return size_max(PORTION_LEAST, size_min(bytes_per_second / PORTIONS, PORTION_MOST));
}

static struct rate rate_of_bytes(uint64_t bytes_per_second)
{
	return (struct rate){
		.amount = bytes_per_second,
		.period_us = 1000 * 1000,
		/* Two portions of a slow rate; an eighth of a second of a fast one: timers that are late by less lose nothing. */
		.depth = size_max(2 * portion_of(bytes_per_second), bytes_per_second / 8),
	};
}

size_t allowance_portion(const struct allowance_use *use, enum allowance_direction direction)
{
	const struct rate *rates[] = {&use->allowance->both, &use->allowance->one_way[direction]};
	size_t portion = PORTION_MOST;

	for (unsigned i = 0; i < ARRAY_LENGTH(rates); i++)
		if (rates[i]->amount)
			portion = size_min(portion, portion_of(rates[i]->amount));
	return portion;
}

/* ---- the allowance ---- */

struct allowance *allowance_new(struct memory *memory, const struct allowance_settings *settings)
{
	struct allowance *allowance = memory_alloc(memory, sizeof(*allowance));

	if (!allowance)
		return NULL;
	memset(allowance, 0, sizeof(*allowance));
	allowance->memory = memory;
	atomic_init(&allowance->references, 1);
	allowance->settings = *settings;
	snprintf(allowance->name, sizeof(allowance->name), "%s", settings->name.text);
	allowance->settings.name.text = allowance->name;
	allowance->requests = (struct rate){
		.amount = settings->requests,
		.period_us = settings->per * 1000,
		.depth = settings->burst ? settings->burst : settings->requests,
	};
	allowance->both = rate_of_bytes(settings->bandwidth);
	allowance->one_way[ALLOWANCE_UP] = rate_of_bytes(settings->upload);
	allowance->one_way[ALLOWANCE_DOWN] = rate_of_bytes(settings->download);
	random_secret(&allowance->seed, sizeof(allowance->seed));
	for (unsigned i = 0; i < ALLOWANCE_SHARDS; i++) {
		struct allowance_shard *shard = &allowance->shards[i];
		pthread_mutex_init(&shard->lock, NULL);
		map_init(&shard->entries, memory);
		list_init(&shard->idle);
	}
	return allowance;
}

static void entry_free(struct allowance *allowance, struct allowance_entry *entry)
{
	memory_free(allowance->memory, entry, sizeof(*entry) + entry->key_len);
}

void allowance_release(struct allowance *allowance)
{
	if (atomic_fetch_sub_explicit(&allowance->references, 1, memory_order_acq_rel) != 1)
		return;
	for (unsigned i = 0; i < ALLOWANCE_SHARDS; i++) {
		struct allowance_shard *shard = &allowance->shards[i];
		size_t cursor = 0;
		struct map_entry *each;

		while ((each = map_next(&shard->entries, &cursor)))
			entry_free(allowance, each->value);
		map_fini(&shard->entries);
		pthread_mutex_destroy(&shard->lock);
	}
	memory_free(allowance->memory, allowance, sizeof(*allowance));
}

/* ---- who ---- */

static size_t key_of_user(const struct allowance *allowance, struct span user, uint8_t *key)
{
	size_t len = size_min(user.len, NAME_WHOLE);

	key[0] = 'u';
	memcpy(key + 1, user.at, len);
	if (user.len <= NAME_WHOLE)
		return 1 + len;
	uint64_t hash = span_hash(user, allowance->seed);
	memcpy(key + 1 + len, &hash, sizeof(hash));
	return 1 + len + sizeof(hash);
}

/* All who come by unix sockets are one. */
static size_t key_of_address(const struct address *client, uint8_t *key)
{
	struct address plain = address_unmap(client);
	size_t len = address_subscriber(&plain);

	key[0] = plain.family;
	memcpy(key + 1, plain.ip, len);
	return 1 + len;
}

size_t allowance_key(const struct allowance *allowance, const struct allowance_asker *asker,
		     uint8_t key[static ALLOWANCE_KEY_MOST])
{
	if (allowance->settings.by == ALLOWANCE_BY_NOBODY)
		return 0;
	if (allowance->settings.by == ALLOWANCE_BY_USER && asker->user.len)
		return key_of_user(allowance, asker->user, key);
	return key_of_address(asker->client, key);
}

/* ---- entries ---- */

struct allowance_shard *allowance_shard(struct allowance *allowance, struct span key)
{
	uint64_t hash = span_hash(key, allowance->seed);

	return &allowance->shards[(hash ^ hash >> 32) % ALLOWANCE_SHARDS];
}

/* The longest unused ones go, down to what may be remembered. */
static void entries_bound(struct allowance *allowance, struct allowance_shard *shard)
{
	while (shard->idle_count > IDLE_MOST) {
		struct allowance_entry *entry =
			CONTAINER_OF(list_pop(&shard->idle), struct allowance_entry, idle);
		shard->idle_count--;
		map_remove(&shard->entries, span_make(entry->key, entry->key_len));
		entry_free(allowance, entry);
	}
}

struct allowance_entry *allowance_entry_get(struct allowance *allowance, struct allowance_shard *shard,
					    struct span key, uint64_t now_us)
{
	struct allowance_entry *entry = map_get(&shard->entries, key);

	if (entry)
		return entry;
	entry = memory_alloc(allowance->memory, sizeof(*entry) + key.len);
	if (!entry)
		return NULL;
	memset(entry, 0, sizeof(*entry));
	entry->began_us = now_us;
	entry->key_len = (uint32_t)key.len;
	if (key.len)
		memcpy(entry->key, key.at, key.len);
	list_init(&entry->idle);
	if (!map_put(&shard->entries, span_make(entry->key, key.len), entry)) {
		entry_free(allowance, entry);
		return NULL;
	}
	list_push(&shard->idle, &entry->idle);
	shard->idle_count++;
	entries_bound(allowance, shard);
	return entry;
}

void allowance_entry_use(struct allowance_shard *shard, struct allowance_entry *entry)
{
	if (entry->uses++ > 0)
		return;
	list_remove(&entry->idle);
	shard->idle_count--;
}

void allowance_entry_touch(struct allowance_shard *shard, struct allowance_entry *entry)
{
	if (entry->uses > 0)
		return;
	list_remove(&entry->idle);
	list_push(&shard->idle, &entry->idle);
}

void allowance_entry_leave(struct allowance *allowance, struct allowance_shard *shard,
			   struct allowance_entry *entry)
{
	if (--entry->uses > 0)
		return;
	list_push(&shard->idle, &entry->idle);
	shard->idle_count++;
	entries_bound(allowance, shard);
}
