/*
 * Many certificates by name. Made by whoever reads the files; afterwards immutable, read by all workers.
 */
#include "tls/store_internal.h"

#include "net/address.h"

#include <stdlib.h>

/* --- names --- */

static struct tls_name *name_of(struct tls_store *store, struct map *map, const char *key)
{
	struct tls_name *name = map_get(map, span_of(key));

	if (name)
		return name;
	name = calloc(1, sizeof(*name));
	if (!name)
		return NULL;
	name->key = strdup(key);
	if (!name->key || !map_put(map, span_of(name->key), name)) {
		free(name->key);
		free(name);
		return NULL;
	}
	name->next = store->names;
	store->names = name;
	return name;
}

/* Of two certificates of a kind for one name the first one counts. */
static bool index_identity(struct tls_store *store, struct tls_identity *identity)
{
	for (size_t i = 0; i < identity->name_count; i++) {
		const char *text = identity->names[i];
		bool wild = text[0] == '*' && text[1] == '.';
		struct tls_name *name =
			name_of(store, wild ? &store->wildcards : &store->exact, wild ? text + 1 : text);
		if (!name)
			return false;
		if (!name->set.of[identity->kind])
			name->set.of[identity->kind] = identity;
	}
	return true;
}

static bool has_name(const struct tls_identity *identity, const char *name)
{
	for (size_t i = 0; i < identity->name_count; i++) {
		if (strcmp(identity->names[i], name) == 0)
			return true;
	}
	return false;
}

static bool has_all_names(const struct tls_identity *identity, const struct tls_identity *of)
{
	for (size_t i = 0; i < of->name_count; i++) {
		if (!has_name(identity, of->names[i]))
			return false;
	}
	return of->name_count > 0;
}

static void choose_fallback(struct tls_store *store)
{
	const struct tls_identity *first = &store->identities[0];

	store->fallback.of[first->kind] = first;
	for (size_t i = 1; i < store->count; i++) {
		const struct tls_identity *one = &store->identities[i];
		if (!store->fallback.of[one->kind] && has_all_names(one, first))
			store->fallback.of[one->kind] = one;
	}
}

/* An address has one spelling in the maps. */
static struct span canonical(struct span name, char text[static ADDRESS_TEXT])
{
	struct address address;

	if (name.len > 2 && name.at[0] == '[' && name.at[name.len - 1] == ']')
		name = span_make(name.at + 1, name.len - 2);
	if (!address_parse_ip(name, &address))
		return name;
	return span_make(text, address_format_ip(&address, text));
}

bool tls_store_find(const struct tls_store *store, struct span name, struct tls_identity_set *set)
{
	char text[ADDRESS_TEXT];
	const struct tls_name *exact, *wild = NULL;
	ptrdiff_t dot;

	if (name.len > 0 && name.at[name.len - 1] == '.')
		name.len--;
	name = canonical(name, text);
	*set = store->fallback;
	if (name.len == 0)
		return false;
	exact = map_get(&store->exact, name);
	/* A wildcard stands for one whole label, the first (RFC 9525 6.3). */
	dot = span_find(name, '.');
	if (dot > 0)
		wild = map_get(&store->wildcards, span_from(name, (size_t)dot));
	if (!exact && !wild)
		return false;
	*set = exact ? exact->set : wild->set;
	for (unsigned i = 0; exact && wild && i < TLS_KEY_KINDS; i++) {
		if (!set->of[i])
			set->of[i] = wild->set.of[i];
	}
	return true;
}

static bool matches(const char *name, struct span host)
{
	if (name[0] == '*' && name[1] == '.') {
		ptrdiff_t dot = span_find(host, '.');
		return dot > 0 && span_equal(span_from(host, (size_t)dot), span_of(name + 1));
	}
	return span_equal(span_of(name), host);
}

bool tls_identity_serves(const struct tls_identity *identity, struct span host)
{
	char text[ADDRESS_TEXT];
	struct tls_identity_set set;

	if (host.len > 0 && host.at[host.len - 1] == '.')
		host.len--;
	host = canonical(host, text);
	for (size_t i = 0; i < identity->name_count; i++) {
		if (matches(identity->names[i], host))
			return true;
	}
	return !tls_store_find(identity->store, host, &set) &&
	       identity->store->fallback.of[identity->kind] == identity;
}

/* --- life --- */

static void store_free(struct tls_store *store)
{
	struct tls_name *next;

	for (struct tls_name *name = store->names; name; name = next) {
		next = name->next;
		free(name->key);
		free(name);
	}
	map_fini(&store->exact);
	map_fini(&store->wildcards);
	for (size_t i = 0; i < store->count; i++)
		tls_identity_fini(&store->identities[i]);
	free(store->identities);
	free(store);
}

struct tls_store *tls_store_new(const struct tls_material *items, size_t count, tls_complain_fn *complain,
				void *owner)
{
	struct tls_store *store = calloc(1, sizeof(*store));
	bool fine = count > 0;

	if (!store)
		return NULL;
	atomic_init(&store->references, 1);
	map_init(&store->exact, NULL);
	map_init(&store->wildcards, NULL);
	store->identities = calloc(count ? count : 1, sizeof(*store->identities));
	if (!store->identities)
		fine = false;
	for (size_t i = 0; store->identities && i < count; i++) {
		struct tls_identity *identity = &store->identities[store->count++];
		identity->store = store;
		if (!tls_identity_init(identity, &items[i], i, complain, owner) ||
		    !index_identity(store, identity))
			fine = false; /* the others are looked at all the same */
	}
	if (!fine) {
		store_free(store);
		return NULL;
	}
	choose_fallback(store);
	return store;
}

struct tls_store *tls_store_retain(struct tls_store *store)
{
	atomic_fetch_add_explicit(&store->references, 1, memory_order_relaxed);
	return store;
}

void tls_store_release(struct tls_store *store)
{
	if (store && atomic_fetch_sub_explicit(&store->references, 1, memory_order_acq_rel) == 1)
		store_free(store);
}
