/*
 * Good logins. See cache.h. A table of sets: a login may be in the set that its MAC names, in any place; a new one takes the place that
 * ends first.
 */
#include "account/cache.h"

#include "core/random.h"

#include <pthread.h>

enum { CACHE_SHARDS = 16, CACHE_SETS = 64, CACHE_WAYS = 8 }; /* 8192 logins */

struct cache_entry {
	struct login_mac mac;
	uint64_t ends; /* 0: empty */
};

struct cache_shard {
	pthread_mutex_t lock;
	struct cache_entry sets[CACHE_SETS][CACHE_WAYS];
};

struct login_cache {
	struct memory *memory;
	uint64_t lifetime;
	struct digest_mac *mac;
	struct cache_shard shards[CACHE_SHARDS];
};

struct login_cache *login_cache_new(struct memory *memory, uint64_t lifetime)
{
	struct login_cache *cache = memory_alloc(memory, sizeof(*cache));
	uint8_t key[DIGEST_MAC_KEY];

	if (!cache)
		return NULL;
	memset(cache, 0, sizeof(*cache));
	cache->memory = memory;
	cache->lifetime = lifetime;
	for (unsigned i = 0; i < CACHE_SHARDS; i++)
		pthread_mutex_init(&cache->shards[i].lock, NULL);
	random_secret(key, sizeof(key));
	cache->mac = digest_mac_new(key);
	explicit_bzero(key, sizeof(key));
	if (cache->mac)
		return cache;
	login_cache_free(cache);
	return NULL;
}

void login_cache_free(struct login_cache *cache)
{
	if (!cache)
		return;
	for (unsigned i = 0; i < CACHE_SHARDS; i++)
		pthread_mutex_destroy(&cache->shards[i].lock);
	digest_mac_free(cache->mac);
	memory_free(cache->memory, cache, sizeof(*cache));
}

bool login_cache_mac(const struct login_cache *cache, struct span hash, struct span name,
		     struct span password, struct login_mac *mac)
{
	const uint32_t lengths[] = {(uint32_t)hash.len, (uint32_t)name.len, (uint32_t)password.len};
	const struct span parts[] = {span_make(lengths, sizeof(lengths)), hash, name, password};

	return digest_mac_of(cache->mac, parts, ARRAY_LENGTH(parts), mac->bytes);
}

/* A MAC is as good as random: any of its bytes choose. */
static struct cache_shard *shard_of(struct login_cache *cache, const struct login_mac *mac)
{
	return &cache->shards[mac->bytes[0] % CACHE_SHARDS];
}

static struct cache_entry *set_of(struct cache_shard *shard, const struct login_mac *mac)
{
	return shard->sets[mac->bytes[1] % CACHE_SETS];
}

/* All bytes are looked at, whether they differ or not. */
static bool same(const struct login_mac *a, const struct login_mac *b)
{
	uint8_t differs = 0;

	for (size_t i = 0; i < sizeof(a->bytes); i++)
		differs |= (uint8_t)(a->bytes[i] ^ b->bytes[i]);
	return differs == 0;
}

bool login_cache_has(struct login_cache *cache, const struct login_mac *mac, uint64_t now)
{
	struct cache_shard *shard = shard_of(cache, mac);
	bool found = false;

	pthread_mutex_lock(&shard->lock);
	const struct cache_entry *set = set_of(shard, mac);
	for (unsigned i = 0; i < CACHE_WAYS; i++)
		found |= same(&set[i].mac, mac) & (set[i].ends > now);
	pthread_mutex_unlock(&shard->lock);
	return found;
}

void login_cache_add(struct login_cache *cache, const struct login_mac *mac, uint64_t now)
{
	struct cache_shard *shard = shard_of(cache, mac);

	if (cache->lifetime == 0)
		return;
	pthread_mutex_lock(&shard->lock);
	struct cache_entry *set = set_of(shard, mac), *place = &set[0];
	for (unsigned i = 0; i < CACHE_WAYS; i++) {
		if (same(&set[i].mac, mac)) {
			place = &set[i];
			break;
		}
		if (set[i].ends < place->ends)
			place = &set[i];
	}
	*place = (struct cache_entry){.mac = *mac, .ends = now + cache->lifetime};
	pthread_mutex_unlock(&shard->lock);
}
