/*
 * The accounts of a listener. See accounts.h.
 */
#include "account/accounts.h"

#include "account/accounts_internal.h"

#include <stdlib.h>

/* ---- the plan ---- */

static int compare_networks(const void *a, const void *b)
{
	const struct account_network *left = a, *right = b;

	return (int)right->network.prefix - (int)left->network.prefix;
}

static bool same_network(const struct network *a, const struct network *b)
{
	return a->prefix == b->prefix && a->address.family == b->address.family &&
	       memcmp(a->address.ip, b->address.ip, sizeof(a->address.ip)) == 0;
}

/* It cannot be told whose clients they are. */
static void find_same(const struct account_network *networks, size_t count, struct setting_place place,
		      struct diagnostics *diagnostics)
{
	for (size_t i = 0; i + 1 < count; i++)
		if (same_network(&networks[i].network, &networks[count - 1].network))
			diagnostics_error(diagnostics, place,
					  "\"networks\": this one is that of the user \"%.*s\" already",
					  SPAN_ARG(networks[i].user));
}

bool accounts_plan_networks(struct accounts_plan *plan, struct arena *arena, struct diagnostics *diagnostics)
{
	const struct setting_list *list = &plan->settings->networks;
	const struct user_network_settings *named = list->items;
	size_t most = 0, count = 0;

	for (size_t i = 0; i < list->count; i++)
		most += named[i].networks.count;
	struct account_network *networks = arena_zalloc(arena, most + 1, sizeof(*networks));
	if (!networks)
		return false;
	for (size_t i = 0; i < list->count; i++)
		for (size_t j = 0; j < named[i].networks.count; j++) {
			const struct setting_string *text = &named[i].networks.items[j];
			struct account_network *one = &networks[count];
			if (!network_parse(span_make(text->text, text->len), &one->network))
				continue; /* which was said when it was read */
			one->user = span_make(named[i].name.text, named[i].name.len);
			plan->open |= one->network.prefix == 0;
			count++;
			find_same(networks, count, text->place, diagnostics);
		}
	qsort(networks, count, sizeof(*networks), compare_networks);
	plan->networks = networks;
	plan->network_count = count;
	return true;
}

/* ---- life ---- */

/* Basic realm="...", charset="UTF-8" (RFC 7617 2.1), the realm as a quoted string (RFC 9110 5.6.4). */
static struct span make_challenge(struct arena *arena, const struct setting_string *realm)
{
	char *quoted = arena_alloc(arena, 2 * realm->len);
	size_t len = 0;

	if (!quoted)
		return (struct span){0};
	for (size_t i = 0; i < realm->len; i++) {
		if (realm->text[i] == '"' || realm->text[i] == '\\')
			quoted[len++] = '\\';
		quoted[len++] = realm->text[i];
	}
	return arena_format(arena, "Basic realm=\"%.*s\", charset=\"UTF-8\"", (int)len, quoted);
}

struct accounts *accounts_new(struct memory *memory, const struct accounts_plan *plan, struct brake *brake)
{
	const struct users_settings *settings = plan->settings;
	struct accounts *accounts = memory_alloc(memory, sizeof(*accounts));

	if (!accounts)
		return NULL;
	memset(accounts, 0, sizeof(*accounts));
	accounts->memory = memory;
	accounts->plan = plan;
	accounts->brake = brake;
	arena_init(&accounts->arena, memory, NULL, NULL, 0);
	atomic_init(&accounts->users, plan->users ? users_retain(plan->users) : NULL);
	accounts->challenge = make_challenge(&accounts->arena, &settings->realm);
	accounts->cache = login_cache_new(memory, settings->cache);
	accounts->verifier = verifier_new(memory, (unsigned)settings->threads, (unsigned)settings->queue,
					  &login_verifier_ops, accounts);
	if (accounts->challenge.at && accounts->cache && accounts->verifier)
		return accounts;
	accounts_free(accounts);
	return NULL;
}

bool accounts_start(struct accounts *accounts)
{
	if (!accounts_take_passwords(accounts))
		return true;
	accounts->started = true;
	return verifier_start(accounts->verifier);
}

void accounts_stop(struct accounts *accounts)
{
	if (accounts->started)
		verifier_stop(accounts->verifier);
	accounts->started = false;
}

void accounts_free(struct accounts *accounts)
{
	if (!accounts)
		return;
	verifier_free(accounts->verifier);
	login_cache_free(accounts->cache);
	users_release(atomic_load(&accounts->users));
	arena_fini(&accounts->arena);
	memory_free(accounts->memory, accounts, sizeof(*accounts));
}

struct users *accounts_replace(struct accounts *accounts, struct users *users)
{
	return atomic_exchange(&accounts->users, users);
}

/* ---- asking ---- */

bool accounts_take_passwords(const struct accounts *accounts)
{
	return accounts->plan->settings->file.len > 0;
}

struct span accounts_name(const struct accounts *accounts, const struct client *client)
{
	const struct accounts_plan *plan = accounts->plan;

	if (plan->settings->certificates && client->tls && client->tls->client_name.len)
		return client->tls->client_name;
	for (size_t i = 0; i < plan->network_count; i++)
		if (network_contains(&plan->networks[i].network, &client->address))
			return plan->networks[i].user;
	return (struct span){0};
}

bool accounts_have(const struct accounts *accounts, struct span user)
{
	const struct users *users = atomic_load_explicit(&accounts->users, memory_order_acquire);

	return users && users_hash(users, user);
}

bool accounts_in_group(const struct accounts *accounts, struct span user, struct span group)
{
	const struct users *users = accounts ? atomic_load_explicit(&accounts->users, memory_order_acquire) :
					       NULL;

	return users && user.len && users_in_group(users, user, group);
}

struct span accounts_challenge(const struct accounts *accounts)
{
	return accounts->challenge;
}
