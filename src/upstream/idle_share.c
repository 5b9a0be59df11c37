/*
 * Shares stand in the list of their level, and move by one level at a time: so the highest level is never searched for. See idle_share.h; on one worker.
 */
#include "upstream/idle_share.h"

void idle_shares_init(struct idle_shares *all)
{
	all->count = 0;
	all->most = IDLE_SHARES_MOST;
	all->highest = 0;
	for (size_t i = 0; i < ARRAY_LENGTH(all->levels); i++)
		list_init(&all->levels[i]);
}

void idle_share_init(struct idle_share *share, struct idle_shares *all)
{
	*share = (struct idle_share){.all = all};
	list_init(&share->level);
	list_init(&share->idle);
}

/* There are never more than one too many. */
static struct link *idle_shares_level(struct idle_shares *all, uint32_t count)
{
	return &all->levels[size_min(count, ARRAY_LENGTH(all->levels) - 1)];
}

static void idle_share_set_count(struct idle_share *share, uint32_t count)
{
	struct idle_shares *all = share->all;

	list_remove(&share->level);
	share->count = count;
	if (count > 0)
		list_push(idle_shares_level(all, count), &share->level);
	if (count > all->highest)
		all->highest = count;
	/* By one at most: the share that left the highest level has gone to the next lower one. */
	else if (all->highest > 0 && list_empty(idle_shares_level(all, all->highest)))
		all->highest--;
}

void idle_share_add(struct idle_share *share, struct session *session)
{
	struct idle_shares *all = share->all;

	list_push(&share->idle, &session->rest);
	idle_share_set_count(share, share->count + 1);
	if (++all->count <= all->most)
		return;
	struct idle_share *largest =
		CONTAINER_OF(idle_shares_level(all, all->highest)->next, struct idle_share, level);
	session_discard(CONTAINER_OF(largest->idle.next, struct session, rest));
}

void idle_share_remove(struct idle_share *share, struct session *session)
{
	list_remove(&session->rest);
	idle_share_set_count(share, share->count - 1);
	share->all->count--;
}
