/*
 * Counts of wrong logins. See brake.h. A table of sets, as in cache.c; an entry is found by a keyed hash, so that nobody can choose whose place
 * he takes.
 */
#include "account/brake.h"

#include "core/random.h"

#include <pthread.h>
#include <xxhash.h>

enum {
	BRAKE_SHARDS = 16,
	BRAKE_SETS = 128,
	BRAKE_WAYS = 8,        /* 16384 entries */
	BRAKE_AGAIN_MS = 1000, /* to wait while another one is looked at */
};

/* Who is known stays so for longer than who has failed. */
static const uint64_t known_for = UINT64_C(7) * 24 * 3600 * 1000;

struct brake_entry {
	uint64_t key;   /* 0: empty */
	uint64_t last;  /* when something was counted, ms */
	uint64_t hold;  /* until then nothing is looked at */
	uint64_t wrong; /* what was, the last time */
	uint32_t failures;
	uint16_t looking; /* so many are being looked at */
	bool known;       /* of an address and a user: they have logged in */
};

struct brake_shard {
	pthread_mutex_t lock;
	struct brake_entry sets[BRAKE_SETS][BRAKE_WAYS];
};

struct brake {
	struct memory *memory;
	uint64_t seed;
	struct brake_shard shards[BRAKE_SHARDS];
};

struct brake *brake_new(struct memory *memory)
{
	struct brake *brake = memory_alloc(memory, sizeof(*brake));

	if (!brake)
		return NULL;
	memset(brake, 0, sizeof(*brake));
	brake->memory = memory;
	random_secret(&brake->seed, sizeof(brake->seed));
	for (unsigned i = 0; i < BRAKE_SHARDS; i++)
		pthread_mutex_init(&brake->shards[i].lock, NULL);
	return brake;
}

void brake_free(struct brake *brake)
{
	if (!brake)
		return;
	for (unsigned i = 0; i < BRAKE_SHARDS; i++)
		pthread_mutex_destroy(&brake->shards[i].lock);
	memory_free(brake->memory, brake, sizeof(*brake));
}

/* ---- who ---- */

struct brake_keys brake_keys(const struct brake *brake, const struct address *address, struct span user,
			     uint64_t what)
{
	struct address plain = address_unmap(address);
	uint64_t where = XXH3_64bits_withSeed(plain.ip, address_subscriber(&plain), brake->seed + plain.family);
	uint64_t who = XXH3_64bits_withSeed(user.at, user.len, ~brake->seed);
	const uint64_t both[] = {where, who};

	return (struct brake_keys){
		.address = where | 1,
		.user = who | 1,
		.both = XXH3_64bits_withSeed(both, sizeof(both), brake->seed) | 1,
		.what = what | 1,
	};
}

/* ---- entries ---- */

static struct brake_shard *shard_of(struct brake *brake, uint64_t key)
{
	return &brake->shards[key >> 60 & (BRAKE_SHARDS - 1)];
}

static struct brake_entry *set_of(struct brake_shard *shard, uint64_t key)
{
	return shard->sets[key >> 32 & (BRAKE_SETS - 1)];
}

static struct brake_entry *entry_find(struct brake_shard *shard, uint64_t key)
{
	struct brake_entry *set = set_of(shard, key);

	for (unsigned i = 0; i < BRAKE_WAYS; i++)
		if (set[i].key == key)
			return &set[i];
	return NULL;
}

/* The less it is, the sooner the entry makes room. */
static uint64_t worth(const struct brake_entry *entry)
{
	uint64_t until = entry->hold > entry->last ? entry->hold : entry->last;

	if (entry->key == 0)
		return 0;
	return entry->known ? until + known_for : until;
}

static struct brake_entry *entry_make(struct brake_shard *shard, uint64_t key, uint64_t now)
{
	struct brake_entry *entry = entry_find(shard, key), *set = set_of(shard, key);

	if (entry)
		return entry;
	entry = &set[0];
	for (unsigned i = 1; i < BRAKE_WAYS; i++)
		if (worth(&set[i]) < worth(entry))
			entry = &set[i];
	*entry = (struct brake_entry){.key = key, .last = now};
	return entry;
}

/* ---- one count ---- */

static void forget(struct brake_entry *entry, const struct brake_settings *settings, uint64_t now)
{
	if (entry->failures && now >= entry->hold && now - entry->last >= settings->forget)
		entry->failures = 0;
}

/*
 * ms to wait; 0: none. Of one name (`one`) no more are looked at at a time than may be wrong; of an address there may be many who
 * are right, as long as they were not wrong.
 */
static uint64_t entry_wait(const struct brake_entry *entry, const struct brake_settings *settings, bool one,
			   uint64_t now)
{
	uint64_t counted = (uint64_t)entry->failures + (one ? entry->looking : 0);

	if (now < entry->hold)
		return entry->hold - now;
	return entry->looking && counted >= settings->failures ? BRAKE_AGAIN_MS : 0;
}

static uint64_t hold_for(const struct brake_settings *settings, uint32_t failures)
{
	uint64_t beyond = failures - settings->failures, hold = settings->delay;

	while (beyond-- > 0 && hold < settings->longest)
		hold *= 2;
	return hold < settings->longest ? hold : settings->longest;
}

static void entry_fail(struct brake_entry *entry, const struct brake_settings *settings, uint64_t what,
		       uint64_t now)
{
	forget(entry, settings, now);
	if (entry->wrong == what && entry->failures)
		return;
	entry->wrong = what;
	entry->failures += entry->failures < UINT32_MAX;
	entry->last = now;
	if (entry->failures >= settings->failures)
		entry->hold = now + hold_for(settings, entry->failures);
}

static uint64_t count_enter(struct brake *brake, const struct brake_settings *settings, uint64_t key,
			    bool one, uint64_t now)
{
	struct brake_shard *shard = shard_of(brake, key);

	pthread_mutex_lock(&shard->lock);
	struct brake_entry *entry = entry_make(shard, key, now);
	forget(entry, settings, now);
	uint64_t wait = entry_wait(entry, settings, one, now);
	if (wait == 0 && entry->looking < UINT16_MAX)
		entry->looking++;
	pthread_mutex_unlock(&shard->lock);
	return wait;
}

static void count_leave(struct brake *brake, const struct brake_settings *settings, uint64_t key,
			uint64_t what, bool failed, uint64_t now)
{
	struct brake_shard *shard = shard_of(brake, key);

	pthread_mutex_lock(&shard->lock);
	struct brake_entry *entry = failed ? entry_make(shard, key, now) : entry_find(shard, key);
	if (entry && entry->looking)
		entry->looking--;
	if (failed)
		entry_fail(entry, settings, what, now);
	pthread_mutex_unlock(&shard->lock);
}

static enum brake_state count_look(struct brake *brake, const struct brake_settings *settings, uint64_t key,
				   uint64_t what, bool one, uint64_t now, uint64_t *wait)
{
	struct brake_shard *shard = shard_of(brake, key);
	enum brake_state state = BRAKE_FREE;

	pthread_mutex_lock(&shard->lock);
	struct brake_entry *entry = entry_find(shard, key);
	if (entry) {
		forget(entry, settings, now);
		*wait = entry_wait(entry, settings, one, now);
		if (*wait)
			state = BRAKE_HELD;
		else if (entry->failures && entry->wrong == what)
			state = BRAKE_REPEATED;
	}
	pthread_mutex_unlock(&shard->lock);
	return state;
}

/* ---- who is known ---- */

static bool is_known(struct brake *brake, uint64_t both)
{
	struct brake_shard *shard = shard_of(brake, both);

	pthread_mutex_lock(&shard->lock);
	const struct brake_entry *entry = entry_find(shard, both);
	bool known = entry && entry->known;
	pthread_mutex_unlock(&shard->lock);
	return known;
}

static void become_known(struct brake *brake, uint64_t both, uint64_t now)
{
	struct brake_shard *shard = shard_of(brake, both);

	pthread_mutex_lock(&shard->lock);
	struct brake_entry *entry = entry_make(shard, both, now);
	entry->known = true;
	entry->failures = 0;
	entry->hold = 0;
	entry->last = now;
	pthread_mutex_unlock(&shard->lock);
}

/* ---- all of it ---- */

enum brake_state brake_look(struct brake *brake, const struct brake_settings *settings,
			    struct brake_keys *keys, uint64_t now, uint64_t *wait)
{
	*wait = 0;
	if (settings->failures == 0)
		return BRAKE_FREE;
	keys->known = is_known(brake, keys->both);
	if (keys->known)
		return count_look(brake, settings, keys->both, keys->what, true, now, wait);
	enum brake_state state = count_look(brake, settings, keys->address, keys->what, false, now, wait);
	if (state == BRAKE_FREE)
		state = count_look(brake, settings, keys->user, keys->what, true, now, wait);
	return state;
}

uint64_t brake_enter(struct brake *brake, const struct brake_settings *settings,
		     const struct brake_keys *keys, uint64_t now)
{
	if (settings->failures == 0)
		return 0;
	if (keys->known)
		return count_enter(brake, settings, keys->both, true, now);
	uint64_t wait = count_enter(brake, settings, keys->address, false, now);
	if (wait)
		return wait;
	wait = count_enter(brake, settings, keys->user, true, now);
	if (wait)
		count_leave(brake, settings, keys->address, keys->what, false, now);
	return wait;
}

void brake_leave(struct brake *brake, const struct brake_settings *settings, const struct brake_keys *keys,
		 enum brake_outcome outcome, uint64_t now)
{
	bool failed = outcome == BRAKE_WRONG;

	if (settings->failures == 0)
		return;
	if (keys->known) {
		count_leave(brake, settings, keys->both, keys->what, failed, now);
	} else {
		count_leave(brake, settings, keys->address, keys->what, failed, now);
		count_leave(brake, settings, keys->user, keys->what, failed, now);
	}
	if (outcome == BRAKE_GOOD)
		become_known(brake, keys->both, now);
}

void brake_pass(struct brake *brake, const struct brake_settings *settings, const struct brake_keys *keys,
		uint64_t now)
{
	if (settings->failures && !keys->known)
		become_known(brake, keys->both, now);
}
