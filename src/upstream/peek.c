/*
 * See peek.h.
 */
#include "upstream/peek.h"

#include "upstream/group_internal.h"

bool upstream_may_pick(const struct upstream_server *server, const struct upstream_query *query)
{
	const struct upstream_view *view = server->group->view;
	unsigned avoid[UPSTREAM_TRIED_MOST];
	struct balance_query wanted = upstream_balance_query(server->group, server->tier, query, avoid);

	return !server->gone && balance_may_pick(&view->tiers[server->tier].balance, server->index, &wanted);
}

/* Algorithms that go by a key can be asked: the answer is the same each time, and nobody's turn is used up. */
static struct upstream_server *peek_keyed(struct upstream_group *group, unsigned at,
					  const struct upstream_query *query)
{
	struct upstream_tier *tier = &group->view->tiers[at];
	unsigned avoid[UPSTREAM_TRIED_MOST];
	struct balance_query wanted = upstream_balance_query(group, at, query, avoid);
	int index = balance_pick(&tier->balance, &wanted);

	return index == BALANCE_NONE ? NULL : tier->servers[index];
}

static enum upstream_pick peek_tier(struct upstream_group *group, unsigned at,
				    const struct upstream_query *query, struct upstream_server **server)
{
	struct upstream_tier *tier = &group->view->tiers[at];
	unsigned candidates = 0;

	for (unsigned i = 0; i < tier->count; i++)
		if (upstream_may_pick(tier->servers[i], query)) {
			*server = tier->servers[i];
			candidates++;
		}
	if (candidates == 0)
		return upstream_tier_is_full(tier, query) ? UPSTREAM_FULL : UPSTREAM_NONE;
	if (tier->balance.options.ops->keyed)
		*server = peek_keyed(group, at, query);
	else if (candidates > 1)
		*server = NULL;
	return UPSTREAM_PICKED;
}

static bool has_room(const struct upstream_server *server)
{
	unsigned most = server->fleet->most;

	return most == 0 || atomic_load_explicit(&server->fleet->in_flight, memory_order_relaxed) < most;
}

void upstream_peek(struct upstream_group *group, const struct upstream_query *query, struct upstream_peek *peek)
{
	*peek = (struct upstream_peek){.pick = UPSTREAM_NONE};
	upstream_group_refresh(group);
	if (query->sticky) {
		struct upstream_server *server = upstream_pick_sticky(group, query);
		if (server && has_room(server)) {
			*peek = (struct upstream_peek){UPSTREAM_PICKED, server->tier, server, true};
			return;
		}
	}
	for (unsigned i = 0; i < group->view->tier_count && peek->pick == UPSTREAM_NONE; i++)
		if (group->view->tiers[i].usable) {
			peek->tier = i;
			peek->pick = peek_tier(group, i, query, &peek->server);
		}
}
