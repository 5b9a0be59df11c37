/*
 * What the files of allowances share: entries and the shards that they are found in.
 */
#ifndef GUISE_ACCOUNT_ALLOWANCE_INTERNAL_H
#define GUISE_ACCOUNT_ALLOWANCE_INTERNAL_H

#include "account/allowance.h"
#include "account/bucket.h"
#include "core/list.h"
#include "core/map.h"

#include <pthread.h>
#include <stdalign.h>

enum {
	ALLOWANCE_SHARDS = 16,
	ALLOWANCE_KEY_MOST = 256,
};

/* Bytes of one period of the calendar. */
struct quota {
	atomic_uint_fast64_t total,
		base; /* counted ever, and when the period began: what is used is the difference */
	atomic_int_fast64_t start_ms, end_ms; /* of the period; written under the shard's lock, after `base` */
};

/* One user or address. */
struct allowance_entry {
	struct link idle; /* among those that nobody uses, the longest unused first */
	uint64_t uses;    /* under the shard's lock */
	uint64_t began_us;
	struct bucket requests, both, one_way[2]; /* by enum allowance_direction */
	struct quota quota;
	uint32_t key_len;
	uint8_t key[];
};

struct allowance_shard {
	alignas(64) pthread_mutex_t lock;
	struct map entries; /* by key */
	struct link idle;
	uint64_t idle_count;
};

struct allowance {
	struct memory *memory;
	atomic_uint references;             /* lists that have it, and uses */
	struct allowance_settings settings; /* its name is ours */
	char name[80];
	struct rate requests, both, one_way[2];
	uint64_t seed;
	atomic_uint_fast64_t granted, refused[ALLOWANCE_ANSWERS], delayed, throttled, dropped;
	struct allowance_shard shards[ALLOWANCE_SHARDS];
};

static inline void allowance_count(atomic_uint_fast64_t *counter)
{
	atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

/* ---- allowance_quota.c ---- */

/* Bytes used in the period that it is now. Under the shard's lock or not: `locked`. */
uint64_t allowance_quota_used(const struct allowance *allowance, struct allowance_shard *shard,
			      struct allowance_entry *entry, int64_t wall_ms, bool locked);

/* ---- allowance_entries.c ---- */

/* References one; NULL: out of memory. */
WARN_UNUSED struct allowance *allowance_new(struct memory *memory, const struct allowance_settings *settings);
void allowance_release(struct allowance *allowance);
/* Who asks, as bytes; how many. */
size_t allowance_key(const struct allowance *allowance, const struct allowance_asker *asker,
		     uint8_t key[static ALLOWANCE_KEY_MOST]);
struct allowance_shard *allowance_shard(struct allowance *allowance, struct span key);
/* Found or made, under the lock. NULL: out of memory. */
WARN_UNUSED struct allowance_entry *allowance_entry_get(struct allowance *allowance,
							struct allowance_shard *shard, struct span key,
							uint64_t now_us);
/* One use more, or less. Under the lock. */
void allowance_entry_use(struct allowance_shard *shard, struct allowance_entry *entry);
/* Nobody has it, but it was asked for. */
void allowance_entry_touch(struct allowance_shard *shard, struct allowance_entry *entry);
void allowance_entry_leave(struct allowance *allowance, struct allowance_shard *shard,
			   struct allowance_entry *entry);

#endif
