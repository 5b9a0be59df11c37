/*
 * See address_set.h: a hash table of a fixed size, each row of which says how many entries it has.
 */
#include "net/address_set.h"

#include <pthread.h>
#include <stdatomic.h>

enum { ROWS = 1024 };

struct row {
	struct link entries;
	atomic_uint count;
};

struct address_set {
	struct memory *memory;
	pthread_mutex_t lock; /* around lists of entries */
	uint64_t seed;
	struct row rows[ROWS];
};

struct address_set *address_set_new(struct memory *memory)
{
	struct address_set *set = memory_alloc(memory, sizeof(*set));

	if (!set)
		return NULL;
	set->memory = memory;
	set->seed = (uintptr_t)set;
	pthread_mutex_init(&set->lock, NULL);
	for (unsigned i = 0; i < ROWS; i++) {
		list_init(&set->rows[i].entries);
		atomic_init(&set->rows[i].count, 0);
	}
	return set;
}

void address_set_free(struct address_set *set)
{
	if (!set)
		return;
	pthread_mutex_destroy(&set->lock);
	memory_free(set->memory, set, sizeof(*set));
}

/* `address` is unmapped. */
static struct row *row_of(struct address_set *set, const struct address *address)
{
	return &set->rows[address_hash_ip(address, set->seed ^ address->port) % ROWS];
}

static bool is_ip(const struct address *address)
{
	return address->family == ADDRESS_V4 || address->family == ADDRESS_V6;
}

void address_set_add(struct address_set *set, struct address_entry *entry, const struct address *address)
{
	if (!is_ip(address))
		return;
	entry->address = address_unmap(address);
	struct row *row = row_of(set, &entry->address);
	pthread_mutex_lock(&set->lock);
	list_push(&row->entries, &entry->link);
	atomic_fetch_add(&row->count, 1);
	pthread_mutex_unlock(&set->lock);
}

void address_set_remove(struct address_set *set, struct address_entry *entry)
{
	if (!entry->link.next)
		return;
	struct row *row = row_of(set, &entry->address);
	pthread_mutex_lock(&set->lock);
	list_remove(&entry->link);
	entry->link.next = NULL;
	atomic_fetch_sub(&row->count, 1);
	pthread_mutex_unlock(&set->lock);
}

struct address_entry *address_set_find(struct address_set *set, const struct address *address)
{
	struct address plain = address_unmap(address);
	struct address_entry *found = NULL;

	if (!is_ip(&plain))
		return NULL;
	struct row *row = row_of(set, &plain);
	if (atomic_load_explicit(&row->count, memory_order_acquire) == 0)
		return NULL;
	pthread_mutex_lock(&set->lock);
	for (struct link *link = row->entries.next; link != &row->entries && !found; link = link->next) {
		struct address_entry *entry = CONTAINER_OF(link, struct address_entry, link);
		if (entry->address.port == plain.port && address_equal_ip(&entry->address, &plain))
			found = entry;
	}
	pthread_mutex_unlock(&set->lock);
	return found;
}

bool address_set_has(struct address_set *set, const struct address *address)
{
	return address_set_find(set, address) != NULL;
}
