/*
 * Shares of groups: their rows, how they are compiled, and which one a request is in. See split.h. Pure but for the lot.
 */
#include "route/split.h"

#include "route/router_internal.h"

enum {
	SHARES_MOST = 100,
	WEIGHT_MOST = 1000,
};

const struct setting share_rows[] = {
	{
		.key = "group",
		.kind = SETTING_TEXT,
		.offset = offsetof(struct share_settings, group),
		.required = true,
		.summary = "The name of an upstream group, a key of `upstreams`.",
		.example = "canary",
	},
	{
		.key = "weight",
		.kind = SETTING_COUNT,
		.offset = offsetof(struct share_settings, weight),
		.fallback = "1",
		.max = WEIGHT_MOST,
		.summary = "Its share, in proportion to the weights of the others. 0: it gets nothing.",
		.example = "5",
	},
	{.key = NULL},
};

/* ---- compiling ---- */

static bool has_share(const struct split_share *shares, uint32_t count, uint32_t group)
{
	for (uint32_t i = 0; i < count; i++)
		if (shares[i].group == group)
			return true;
	return false;
}

static bool compile_share(struct split *split, struct split_share *shares, const struct share_settings *item,
			  const char *const *groups, struct diagnostics *diagnostics)
{
	struct split_share *share = &shares[split->count];

	if (!item->group.text) /* it was said that it is missing */
		return true;
	if (!route_group_find(groups, item->group.text, item->group.place, diagnostics, &share->group))
		return false;
	if (has_share(shares, split->count, share->group)) {
		diagnostics_error(diagnostics, item->group.place,
				  "\"to\" has the upstream \"%s\" twice: give it one weight", item->group.text);
		return false;
	}
	split->total += (uint32_t)item->weight;
	share->end = split->total;
	split->count++;
	return true;
}

static bool compile_shares(struct split *split, struct split_share *shares, const struct setting_list *to,
			   const char *const *groups, struct diagnostics *diagnostics)
{
	const struct share_settings *items = to->items;
	bool good = true;

	for (size_t i = 0; i < to->count; i++)
		good = compile_share(split, shares, &items[i], groups, diagnostics) && good;
	if (split->count == to->count && split->total == 0) {
		diagnostics_error(diagnostics, to->place,
				  "nothing would go anywhere: all weights of \"to\" are 0");
		return false;
	}
	return good;
}

static void compile_key(struct split *split, const struct setting_string *by, struct diagnostics *diagnostics)
{
	if (!by->len)
		return;
	if (split->count == 1)
		diagnostics_warning(diagnostics, by->place, "\"split_by\" does nothing: \"to\" has one group");
	/* It was checked when it was read. */
	split->keyed = request_key_parse(span_make(by->text, by->len), &split->key);
}

bool split_compile(const struct destination_settings *settings, const char *const *groups, struct arena *arena,
		   struct diagnostics *diagnostics, uint32_t *group, const struct split **split)
{
	const struct setting_list *to = &settings->to;

	if (to->count == 0 || to->count > SHARES_MOST) {
		diagnostics_error(diagnostics, to->place, "\"to\" has %s: it takes one to %d",
				  to->count ? "too many upstreams" : "no upstream", SHARES_MOST);
		return false;
	}
	struct split *made = arena_zalloc(arena, 1, sizeof(*made));
	struct split_share *shares = arena_zalloc(arena, to->count, sizeof(*shares));
	if (!made || !shares) {
		diagnostics_error(diagnostics, to->place, "out of memory");
		return false;
	}
	made->shares = shares;
	if (!compile_shares(made, shares, to, groups, diagnostics))
		return false;
	compile_key(made, &settings->split_by, diagnostics);
	*group = shares[0].group;
	*split = made->count > 1 ? made : NULL;
	return true;
}

/* ---- choosing ---- */

/*
 * Hashes of the same key also decide which server of a group is next (upstreams' `hash`). Unless the two are made independent, all clients on the small
 * side would meet in one corner of the ring there. The finalizer of MurmurHash3.
 */
static uint64_t remix(uint64_t hash)
{
	hash ^= UINT64_C(0x9e3779b97f4a7c15);
	hash = (hash ^ hash >> 33) * UINT64_C(0xff51afd7ed558ccd);
	hash = (hash ^ hash >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
	return hash ^ hash >> 33;
}

static uint32_t position(const struct split *split, const struct http_head *head,
			 const struct address *client, struct random *random)
{
	uint64_t hash;

	if (split->keyed && request_key_hash(&split->key, head, client, &hash))
		return (uint32_t)((remix(hash) >> 32) * split->total >> 32);
	return random_below(random, split->total);
}

uint32_t split_choose(const struct split *split, const struct http_head *head, const struct address *client,
		      struct random *random)
{
	uint32_t at = position(split, head, client, random);
	const struct split_share *share = split->shares;

	while (at >= share->end)
		share++;
	return share->group;
}
