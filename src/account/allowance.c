/*
 * See allowance.h. Any thread.
 */
#include "account/allowance.h"

#include "account/allowance_internal.h"

struct allowances {
	struct memory *memory;
	size_t count;
	struct allowance *items[];
};

/* ---- all of them ---- */

static struct allowance *find(const struct allowances *allowances, const char *name)
{
	for (size_t i = 0; allowances && i < allowances->count; i++)
		if (strcmp(allowances->items[i]->name, name) == 0)
			return allowances->items[i];
	return NULL;
}

static bool is_same(const struct allowance_settings *a, const struct allowance_settings *b)
{
	return a->by == b->by && a->requests == b->requests && a->per == b->per && a->burst == b->burst &&
	       a->delay == b->delay && a->bandwidth == b->bandwidth && a->upload == b->upload &&
	       a->download == b->download && a->connections == b->connections && a->quota == b->quota &&
	       a->period == b->period;
}

/* Whoever used bytes of this period has used them under new settings too. False: out of memory. */
static bool carry_shard(struct allowance *to, struct allowance_shard *from)
{
	size_t cursor = 0;
	struct map_entry *each;

	while ((each = map_next(&from->entries, &cursor))) {
		struct allowance_entry *old = each->value;
		struct allowance_entry *entry =
			allowance_entry_get(to, allowance_shard(to, each->key), each->key, old->began_us);
		if (!entry)
			return false;
		atomic_store(&entry->quota.total,
			     atomic_load(&old->quota.total) - atomic_load(&old->quota.base));
		atomic_store(&entry->quota.start_ms, atomic_load(&old->quota.start_ms));
		atomic_store(&entry->quota.end_ms, atomic_load(&old->quota.end_ms));
	}
	return true;
}

static bool carry(struct allowance *to, struct allowance *from)
{
	bool good = true;

	if (to->settings.by != from->settings.by || to->settings.period != from->settings.period ||
	    !to->settings.quota || !from->settings.quota)
		return true;
	for (unsigned i = 0; i < ALLOWANCE_SHARDS && good; i++) {
		pthread_mutex_lock(&from->shards[i].lock);
		good = carry_shard(to, &from->shards[i]);
		pthread_mutex_unlock(&from->shards[i].lock);
	}
	return good;
}

static struct allowance *take_over(struct memory *memory, const struct allowance_settings *settings,
				   struct allowance *old)
{
	if (old && is_same(&old->settings, settings)) {
		atomic_fetch_add_explicit(&old->references, 1, memory_order_relaxed);
		return old;
	}
	struct allowance *allowance = allowance_new(memory, settings);
	if (!allowance || !old || carry(allowance, old))
		return allowance;
	allowance_release(allowance);
	return NULL;
}

struct allowances *allowances_new(struct memory *memory, const struct setting_list *settings,
				  struct allowances *previous)
{
	const struct allowance_settings *items = settings->items;
	size_t size = sizeof(struct allowances) + settings->count * sizeof(struct allowance *);
	struct allowances *allowances = memory_alloc(memory, size);

	if (!allowances)
		return NULL;
	*allowances = (struct allowances){.memory = memory};
	for (size_t i = 0; i < settings->count; i++) {
		allowances->items[i] = take_over(memory, &items[i], find(previous, items[i].name.text));
		if (!allowances->items[i]) {
			for (size_t j = 0; j < i; j++)
				allowance_release(allowances->items[j]);
			memory_free(memory, allowances, size);
			return NULL;
		}
	}
	allowances->count = settings->count;
	return allowances;
}

void allowances_free(struct allowances *allowances)
{
	if (!allowances)
		return;
	for (size_t i = 0; i < allowances->count; i++)
		allowance_release(allowances->items[i]);
	memory_free(allowances->memory, allowances,
		    sizeof(*allowances) + allowances->count * sizeof(struct allowance *));
}

struct allowance *allowances_at(struct allowances *allowances, uint32_t index)
{
	ENSURE(index < allowances->count);
	return allowances->items[index];
}

const char *allowance_name(const struct allowance *allowance)
{
	return allowance->name;
}

/* ---- an exchange ---- */

/* The clock of another worker, that made the entry, may be a turn ahead. */
static uint64_t elapsed(const struct allowance_entry *entry, uint64_t now_us)
{
	return now_us > entry->began_us ? now_us - entry->began_us : 0;
}

static uint64_t until_renewal(struct allowance_entry *entry, int64_t wall_ms)
{
	int64_t end_ms = atomic_load(&entry->quota.end_ms);

	return end_ms > wall_ms ? (uint64_t)(end_ms - wall_ms) * 1000 : 0;
}

/* Under the lock. */
static enum allowance_answer entry_ask(struct allowance *allowance, struct allowance_shard *shard,
				       struct allowance_entry *entry, bool held,
				       const struct allowance_time *time, uint64_t *wait_us)
{
	const struct allowance_settings *settings = &allowance->settings;
	uint64_t most_us = held ? settings->delay * 1000 : 0;

	*wait_us = 0;
	if (settings->connections && entry->uses >= settings->connections)
		return ALLOWANCE_CONNECTIONS;
	if (settings->quota &&
	    allowance_quota_used(allowance, shard, entry, time->wall_ms, true) >= settings->quota) {
		*wait_us = until_renewal(entry, time->wall_ms);
		return ALLOWANCE_QUOTA;
	}
	*wait_us =
		bucket_take(&entry->requests, &allowance->requests, elapsed(entry, time->now_us), 1, most_us);
	if (*wait_us > most_us)
		return ALLOWANCE_REQUESTS;
	if (*wait_us)
		allowance_count(&allowance->delayed);
	return ALLOWANCE_GRANTED;
}

enum allowance_answer allowance_enter(struct allowance *allowance, const struct allowance_asker *asker,
				      bool held, const struct allowance_time *time, struct allowance_use *use,
				      uint64_t *wait_us)
{
	uint8_t bytes[ALLOWANCE_KEY_MOST];
	struct span key = span_make(bytes, allowance_key(allowance, asker, bytes));
	struct allowance_shard *shard = allowance_shard(allowance, key);
	enum allowance_answer answer = ALLOWANCE_MEMORY;

	*wait_us = 0;
	pthread_mutex_lock(&shard->lock);
	struct allowance_entry *entry = allowance_entry_get(allowance, shard, key, time->now_us);
	if (entry) {
		answer = entry_ask(allowance, shard, entry, held, time, wait_us);
		if (answer == ALLOWANCE_GRANTED)
			allowance_entry_use(shard, entry);
		else
			allowance_entry_touch(shard, entry);
	}
	pthread_mutex_unlock(&shard->lock);
	allowance_count(answer == ALLOWANCE_GRANTED ? &allowance->granted : &allowance->refused[answer]);
	if (answer != ALLOWANCE_GRANTED)
		return answer;
	atomic_fetch_add_explicit(&allowance->references, 1, memory_order_relaxed);
	*use = (struct allowance_use){.allowance = allowance, .entry = entry};
	return answer;
}

static struct allowance_shard *shard_of(const struct allowance_use *use)
{
	return allowance_shard(use->allowance, span_make(use->entry->key, use->entry->key_len));
}

void allowance_leave(struct allowance_use *use)
{
	struct allowance *allowance = use->allowance;

	if (!allowance)
		return;
	struct allowance_shard *shard = shard_of(use);
	pthread_mutex_lock(&shard->lock);
	allowance_entry_leave(allowance, shard, use->entry);
	pthread_mutex_unlock(&shard->lock);
	*use = (struct allowance_use){0};
	allowance_release(allowance);
}

/* ---- bytes ---- */

bool allowance_meters(const struct allowance_use *use, enum allowance_direction direction)
{
	const struct allowance *allowance = use->allowance;

	return allowance &&
	       (allowance->settings.quota || allowance->both.amount || allowance->one_way[direction].amount);
}

bool allowance_is_spent(const struct allowance_use *use, const struct allowance_time *time)
{
	const struct allowance_settings *settings = &use->allowance->settings;

	return settings->quota && allowance_quota_used(use->allowance, shard_of(use), use->entry,
						       time->wall_ms, false) >= settings->quota;
}

uint64_t allowance_renewal_us(const struct allowance_use *use, const struct allowance_time *time)
{
	return until_renewal(use->entry, time->wall_ms);
}

/* Both buckets are paid; the one that takes longer decides. */
static uint64_t pay(const struct allowance_use *use, enum allowance_direction direction, size_t bytes,
		    uint64_t now_us)
{
	struct allowance *allowance = use->allowance;
	struct allowance_entry *entry = use->entry;
	uint64_t since = elapsed(entry, now_us);
	uint64_t both = bucket_take(&entry->both, &allowance->both, since, bytes, UINT64_MAX);
	uint64_t one_way = bucket_take(&entry->one_way[direction], &allowance->one_way[direction], since,
				       bytes, UINT64_MAX);

	atomic_fetch_add_explicit(&entry->quota.total, bytes, memory_order_relaxed);
	return both > one_way ? both : one_way;
}

uint64_t allowance_charge(const struct allowance_use *use, enum allowance_direction direction, size_t bytes,
			  const struct allowance_time *time)
{
	if (allowance_is_spent(use, time))
		return ALLOWANCE_NEVER;
	uint64_t wait_us = pay(use, direction, bytes, time->now_us);
	if (wait_us)
		allowance_count(&use->allowance->throttled);
	return wait_us;
}

void allowance_refund(const struct allowance_use *use, enum allowance_direction direction, size_t bytes)
{
	struct allowance *allowance = use->allowance;
	struct allowance_entry *entry = use->entry;

	bucket_refund(&entry->both, &allowance->both, bytes);
	bucket_refund(&entry->one_way[direction], &allowance->one_way[direction], bytes);
	atomic_fetch_sub_explicit(&entry->quota.total, bytes, memory_order_relaxed);
}

/* Nothing that was paid is still to be earned. */
static bool is_even(const struct allowance_use *use, enum allowance_direction direction, uint64_t now_us)
{
	struct allowance *allowance = use->allowance;
	struct allowance_entry *entry = use->entry;
	uint64_t since = elapsed(entry, now_us);

	return bucket_take(&entry->both, &allowance->both, since, 0, 0) == 0 &&
	       bucket_take(&entry->one_way[direction], &allowance->one_way[direction], since, 0, 0) == 0;
}

bool allowance_pass(const struct allowance_use *use, enum allowance_direction direction, size_t bytes,
		    const struct allowance_time *time)
{
	if (allowance_is_spent(use, time) || !is_even(use, direction, time->now_us)) {
		allowance_count(&use->allowance->dropped);
		return false;
	}
	(void)pay(use, direction, bytes, time->now_us);
	return true;
}

/* ---- counts ---- */

struct allowance_counts allowance_counts(struct allowance *allowance)
{
	struct allowance_counts counts = {
		.granted = atomic_load(&allowance->granted),
		.delayed = atomic_load(&allowance->delayed),
		.throttled = atomic_load(&allowance->throttled),
		.dropped = atomic_load(&allowance->dropped),
	};

	for (unsigned i = 0; i < ALLOWANCE_ANSWERS; i++)
		counts.refused[i] = atomic_load(&allowance->refused[i]);
	for (unsigned i = 0; i < ALLOWANCE_SHARDS; i++) {
		struct allowance_shard *shard = &allowance->shards[i];
		pthread_mutex_lock(&shard->lock);
		counts.entries += shard->entries.count;
		pthread_mutex_unlock(&shard->lock);
	}
	return counts;
}
