/*
 * See domain_list.h. Open addressing: each slot has a part of the hash, so that a name's text is looked at only where that agrees, and which names the entry
 * stands for.
 */
#include "route/domain_list_internal.h"

#include "core/random.h"

#include <stdlib.h>
#include <xxhash.h>

enum {
	SLOTS_EACH = 2, /* for each entry: a name that is not there meets an empty slot at the second look, on average */
	BATCH = 8, /* tails whose slots are fetched together */
};

struct slot {
	uint32_t tag;  /* 30 bits of the hash << 2 | enum domain_reach; 0: empty */
	uint32_t name; /* where its length stands in `names` */
};

struct domain_list {
	struct memory *memory;
	struct list_bytes names, v4, v6; /* ranges are sorted, and apart from each other */
	struct slot *slots;
	uint64_t slot_count, count, seed;
	uint64_t depths[2]; /* numbers of labels that entries have */
};

static size_t slots_size(const struct domain_list *list)
{
	return (size_t)list->slot_count * sizeof(struct slot);
}

void domain_list_free(struct domain_list *list)
{
	if (!list)
		return;
	list_bytes_free(&list->names, list->memory);
	list_bytes_free(&list->v4, list->memory);
	list_bytes_free(&list->v6, list->memory);
	if (list->slots)
		memory_free(list->memory, list->slots, slots_size(list));
	memory_free(list->memory, list, sizeof(*list));
}

/* ---- names ---- */

static struct span name_of(const struct domain_list *list, uint32_t name)
{
	return span_make(list->names.at + name + 1, list->names.at[name]);
}

static uint64_t hash_of(const struct domain_list *list, struct span name)
{
	return XXH3_64bits_withSeed(name.at, name.len, list->seed);
}

static uint32_t tag_of(uint64_t hash)
{
	return (uint32_t)hash & ~(uint32_t)DOMAIN_BOTH;
}

/* The upper bits, of which tags have none. */
static uint64_t first_slot(const struct domain_list *list, uint64_t hash)
{
	return (uint64_t)((unsigned __int128)hash * list->slot_count >> 64);
}

static uint64_t next_slot(const struct domain_list *list, uint64_t at)
{
	return at + 1 == list->slot_count ? 0 : at + 1;
}

/* Half of the slots are empty: the walk ends. */
static struct slot *slot_find(const struct domain_list *list, struct span name, uint64_t hash)
{
	uint32_t tag = tag_of(hash);
	uint64_t at = first_slot(list, hash);

	while (list->slots[at].tag != 0) {
		struct slot *slot = &list->slots[at];
		if ((slot->tag & ~(uint32_t)DOMAIN_BOTH) == tag && span_equal(name_of(list, slot->name), name))
			return slot;
		at = next_slot(list, at);
	}
	return &list->slots[at];
}

static unsigned labels_of(struct span name)
{
	unsigned labels = 1;

	for (size_t i = 0; i < name.len; i++)
		labels += name.at[i] == '.';
	return labels;
}

static void slots_fill(struct domain_list *list)
{
	const uint8_t *names = list->names.at;

	for (size_t at = 0; at < list->names.len;) {
		enum domain_reach reach = names[at] == ENTRY_EXACT ? DOMAIN_EXACT :
					  names[at] == ENTRY_BELOW ? DOMAIN_BELOW :
								     DOMAIN_BOTH;
		at += reach != DOMAIN_BOTH;
		struct span name = name_of(list, (uint32_t)at);
		uint64_t hash = hash_of(list, name);
		struct slot *slot = slot_find(list, name, hash);
		unsigned labels = labels_of(name);

		list->count += slot->tag == 0;
		list->depths[labels / 64] |= (uint64_t)1 << labels % 64;
		if (slot->tag == 0)
			*slot = (struct slot){tag_of(hash), (uint32_t)at};
		slot->tag |= reach;
		at += 1 + name.len;
	}
}

static bool depth_taken(const struct domain_list *list, unsigned labels)
{
	return list->depths[labels / 64] >> labels % 64 & 1;
}

struct tails {
	struct span names[BATCH];
	uint64_t hashes[BATCH];
	unsigned count;
};

static void tails_add(struct tails *tails, const struct domain_list *list, struct span name)
{
	uint64_t hash = hash_of(list, name);

	__builtin_prefetch(&list->slots[first_slot(list, hash)]);
	tails->names[tails->count] = name;
	tails->hashes[tails->count++] = hash;
}

static bool tails_found(struct tails *tails, const struct domain_list *list, const struct host_name *host)
{
	for (unsigned i = 0; i < tails->count; i++) {
		enum domain_reach reach = tails->names[i].len == host->len ? DOMAIN_EXACT : DOMAIN_BELOW;
		if (slot_find(list, tails->names[i], tails->hashes[i])->tag & reach)
			return true;
	}
	tails->count = 0;
	return false;
}

bool domain_list_has_name(const struct domain_list *list, const struct host_name *host)
{
	struct tails tails;

	if (list->count == 0)
		return false;
	tails.count = 0;
	for (unsigned labels = 1; labels <= host->labels; labels++) {
		if (!depth_taken(list, labels))
			continue;
		tails_add(&tails, list, host_name_tail(host, labels));
		if (tails.count == BATCH && tails_found(&tails, list, host))
			return true;
	}
	return tails_found(&tails, list, host);
}

/* ---- networks ---- */

static int compare4(const void *a, const void *b)
{
	const struct range4 *one = a, *other = b;

	return one->first < other->first ? -1 : one->first > other->first;
}

static int compare6(const void *a, const void *b)
{
	return memcmp(((const struct range6 *)a)->first, ((const struct range6 *)b)->first, 16);
}

static void merge4(struct list_bytes *bytes)
{
	struct range4 *ranges = (struct range4 *)(void *)bytes->at;
	size_t count = bytes->len / sizeof(*ranges), kept = 0;

	if (count == 0)
		return;
	qsort(ranges, count, sizeof(*ranges), compare4);
	for (size_t i = 1; i < count; i++) {
		struct range4 *last = &ranges[kept];
		if (last->last == UINT32_MAX || ranges[i].first <= last->last + 1)
			last->last = last->last > ranges[i].last ? last->last : ranges[i].last;
		else
			ranges[++kept] = ranges[i];
	}
	bytes->len = (kept + 1) * sizeof(*ranges);
}

static void merge6(struct list_bytes *bytes)
{
	struct range6 *ranges = (struct range6 *)(void *)bytes->at;
	size_t count = bytes->len / sizeof(*ranges), kept = 0;

	if (count == 0)
		return;
	qsort(ranges, count, sizeof(*ranges), compare6);
	for (size_t i = 1; i < count; i++) {
		struct range6 *last = &ranges[kept];
		if (memcmp(ranges[i].first, last->last, 16) > 0)
			ranges[++kept] = ranges[i];
		else if (memcmp(last->last, ranges[i].last, 16) < 0)
			memcpy(last->last, ranges[i].last, 16);
	}
	bytes->len = (kept + 1) * sizeof(*ranges);
}

static bool has4(const struct list_bytes *bytes, uint32_t ip)
{
	const struct range4 *ranges = (const struct range4 *)(const void *)bytes->at;
	size_t low = 0, high = bytes->len / sizeof(*ranges);

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (ip < ranges[middle].first)
			high = middle;
		else if (ip > ranges[middle].last)
			low = middle + 1;
		else
			return true;
	}
	return false;
}

static bool has6(const struct list_bytes *bytes, const uint8_t *ip)
{
	const struct range6 *ranges = (const struct range6 *)(const void *)bytes->at;
	size_t low = 0, high = bytes->len / sizeof(*ranges);

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (memcmp(ip, ranges[middle].first, 16) < 0)
			high = middle;
		else if (memcmp(ip, ranges[middle].last, 16) > 0)
			low = middle + 1;
		else
			return true;
	}
	return false;
}

bool domain_list_has_networks(const struct domain_list *list)
{
	return list->v4.len || list->v6.len;
}

bool domain_list_has_address(const struct domain_list *list, const struct address *address)
{
	struct address plain = address_unmap(address);
	uint32_t ip;

	if (plain.family == ADDRESS_V6)
		return has6(&list->v6, plain.ip);
	memcpy(&ip, plain.ip, sizeof(ip));
	return plain.family == ADDRESS_V4 && has4(&list->v4, ntohl(ip));
}

/* ---- all of it ---- */

struct domain_list *domain_list_build(struct memory *memory, struct list_bytes *names, uint64_t count,
				      struct list_bytes *v4, struct list_bytes *v6)
{
	struct domain_list *list = memory_alloc(memory, sizeof(*list));

	if (!list)
		goto fail;
	*list = (struct domain_list){
		.memory = memory, .names = *names, .v4 = *v4, .v6 = *v6, .slot_count = count * SLOTS_EACH + 1};
	*names = *v4 = *v6 = (struct list_bytes){0};
	if (list->names.len > UINT32_MAX)
		goto fail;
	list->slots = memory_alloc(memory, slots_size(list));
	if (!list->slots)
		goto fail;
	memset(list->slots, 0, slots_size(list));
	random_secret(&list->seed, sizeof(list->seed));
	slots_fill(list);
	merge4(&list->v4);
	merge6(&list->v6);
	return list;
fail:
	domain_list_free(list);
	return NULL;
}

size_t domain_list_names(const struct domain_list *list)
{
	return (size_t)list->count;
}

size_t domain_list_networks(const struct domain_list *list)
{
	return list->v4.len / sizeof(struct range4) + list->v6.len / sizeof(struct range6);
}

size_t domain_list_bytes(const struct domain_list *list)
{
	return sizeof(*list) + slots_size(list) + list->names.room + list->v4.room + list->v6.room;
}
