/*
 * What a worker remembers of names: answers for their TTL, failures for a moment. Bounded; the least recently used goes
 * first. Entries are never changed in place and end by loop_retire, since answers are lent until the end of the turn.
 */
#include "net/resolver_internal.h"

enum { TTL_LEAST = 1, TTL_MOST = 24 * 60 * 60, LOOK_FOR_EXPIRED = 8 };

struct resolver_entry {
	struct link link; /* in cache->recent */
	struct loop_task retire;
	struct worker *worker;
	uint64_t expires; /* loop clock */
	struct error error;
	struct resolver_answer answer;
	size_t len;
	uint8_t name[];
};

static struct span name_of(const struct resolver_entry *entry)
{
	return span_make(entry->name, entry->len);
}

static void entry_free(struct resolver_entry *entry)
{
	memory_free(entry->worker->memory, entry, sizeof(*entry) + entry->len);
}

static void run_retire(struct loop_task *task)
{
	entry_free(CONTAINER_OF(task, struct resolver_entry, retire));
}

static void drop(struct resolver_cache *cache, struct resolver_entry *entry)
{
	(void)map_remove(&cache->names, name_of(entry));
	list_remove(&entry->link);
	loop_retire(&cache->worker->loop, &entry->retire);
}

void resolver_cache_init(struct resolver_cache *cache, struct worker *worker, size_t most)
{
	*cache = (struct resolver_cache){.worker = worker, .most = size_max(most, 1)};
	map_init(&cache->names, worker->memory);
	list_init(&cache->recent);
}

void resolver_cache_fini(struct resolver_cache *cache)
{
	while (!list_empty(&cache->recent))
		drop(cache, CONTAINER_OF(cache->recent.next, struct resolver_entry, link));
	map_fini(&cache->names);
}

bool resolver_cache_get(struct resolver_cache *cache, struct span name, const struct resolver_answer **answer,
			struct error *error)
{
	struct resolver_entry *entry = map_get(&cache->names, name);

	if (!entry)
		return false;
	if (entry->expires <= cache->worker->loop.now) {
		drop(cache, entry);
		return false;
	}
	list_remove(&entry->link);
	list_push(&cache->recent, &entry->link);
	*error = entry->error;
	*answer = error_is(&entry->error) ? NULL : &entry->answer;
	return true;
}

/* Room for one more: an expired one among the least recently used goes, or else the first of them. */
static void make_room(struct resolver_cache *cache)
{
	struct link *oldest = cache->recent.next, *link = oldest;

	if (cache->names.count < cache->most || list_empty(&cache->recent))
		return;
	for (unsigned i = 0; i < LOOK_FOR_EXPIRED && link != &cache->recent; i++, link = link->next) {
		if (CONTAINER_OF(link, struct resolver_entry, link)->expires <= cache->worker->loop.now) {
			oldest = link;
			break;
		}
	}
	drop(cache, CONTAINER_OF(oldest, struct resolver_entry, link));
}

void resolver_cache_put(struct resolver_cache *cache, struct span name, const struct resolver_answer *answer,
			struct error error, uint64_t seconds)
{
	struct resolver_entry *old = map_get(&cache->names, name);

	if (old)
		drop(cache, old);
	make_room(cache);
	struct resolver_entry *entry = memory_alloc(cache->worker->memory, sizeof(*entry) + name.len);
	if (!entry)
		return;
	seconds = seconds < TTL_LEAST ? TTL_LEAST : seconds > TTL_MOST ? TTL_MOST : seconds;
	*entry = (struct resolver_entry){
		.worker = cache->worker,
		.expires = cache->worker->loop.now + seconds * 1000,
		.error = error,
		.len = name.len,
	};
	if (answer)
		entry->answer = *answer;
	memcpy(entry->name, name.at, name.len);
	loop_task_init(&entry->retire, run_retire);
	if (!map_put(&cache->names, name_of(entry), entry)) {
		entry_free(entry);
		return;
	}
	list_push(&cache->recent, &entry->link);
}
