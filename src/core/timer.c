/*
 * The wheel. A slot of level L spans 64^L ms. A timer sits at the lowest level whose 64 slots reach its time;
 * when the cursor comes to the start of its slot it moves to a lower level, or fires. One thread's own.
 */
#include "core/timer.h"

enum { SLOT_BITS = 6, SLOT_MASK = TIMER_SLOTS - 1 };

static const uint64_t wheel_span = (uint64_t)1 << (SLOT_BITS * TIMER_LEVELS);

void timer_wheel_init(struct timer_wheel *wheel, uint64_t now)
{
	*wheel = (struct timer_wheel){.now = now, .cursor = now};
	list_init(&wheel->due);
	for (unsigned level = 0; level < TIMER_LEVELS; level++) {
		for (unsigned slot = 0; slot < TIMER_SLOTS; slot++)
			list_init(&wheel->slots[level][slot]);
	}
}

/* Into the slot where its time (> cursor) will be looked at. */
static void insert(struct timer_wheel *wheel, struct timer *timer)
{
	/* Beyond the wheel's reach: the farthest slot, where it will be looked at and put back. */
	uint64_t delta = timer->expires - wheel->cursor;
	uint64_t time = delta < wheel_span ? timer->expires : wheel->cursor + wheel_span - 1;
	unsigned level = (unsigned)(63 - __builtin_clzll(time - wheel->cursor)) / SLOT_BITS;
	unsigned slot = (time >> (SLOT_BITS * level)) & SLOT_MASK;
	list_push(&wheel->slots[level][slot], &timer->link);
	wheel->occupied[level] |= (uint64_t)1 << slot;
}

static void clear_bit_of(struct timer_wheel *wheel, const struct link *head)
{
	const struct link *slots = &wheel->slots[0][0];
	uintptr_t offset = (uintptr_t)head - (uintptr_t)slots;
	if (offset >= sizeof(wheel->slots))
		return; /* in `due`, or among those that fire right now */
	size_t index = offset / sizeof(*slots);
	wheel->occupied[index / TIMER_SLOTS] &= ~((uint64_t)1 << (index % TIMER_SLOTS));
}

static void unlink_timer(struct timer_wheel *wheel, struct timer *timer)
{
	const struct link *neighbour = timer->link.next;
	bool alone = neighbour == timer->link.prev;
	list_remove(&timer->link);
	if (alone)
		clear_bit_of(wheel, neighbour);
}

void timer_place(struct timer_wheel *wheel, struct timer *timer, uint64_t expires)
{
	timer_stop(wheel, timer);
	wheel->active++;
	if (expires == wheel->now) {
		timer->expires = expires;
		list_push(&wheel->due, &timer->link);
		return;
	}
	timer->expires = expires > wheel->now ? expires : UINT64_MAX; /* a delay beyond the end of time */
	insert(wheel, timer);
}

void timer_stop(struct timer_wheel *wheel, struct timer *timer)
{
	if (!timer_active(timer))
		return;
	unlink_timer(wheel, timer);
	timer->expires = 0;
	wheel->active--;
}

/* When the cursor will come to the next occupied slot of the level; UINT64_MAX without one. */
static uint64_t level_next(const struct timer_wheel *wheel, unsigned level)
{
	uint64_t bits = wheel->occupied[level];
	if (bits == 0)
		return UINT64_MAX;
	uint64_t position = wheel->cursor >> (SLOT_BITS * level);
	unsigned first = (unsigned)(position + 1) & SLOT_MASK;
	uint64_t turned = bits >> first | bits << (-first & SLOT_MASK);
	uint64_t distance = (uint64_t)__builtin_ctzll(turned) + 1;
	return (position + distance) << (SLOT_BITS * level);
}

static uint64_t wheel_next(const struct timer_wheel *wheel)
{
	uint64_t next = UINT64_MAX;
	for (unsigned level = 0; level < TIMER_LEVELS; level++) {
		uint64_t at = level_next(wheel, level);
		if (at < next)
			next = at;
	}
	return next;
}

static void move_list(struct link *to, struct link *from)
{
	list_init(to);
	if (list_empty(from))
		return;
	*to = *from;
	to->next->prev = to->prev->next = to;
	list_init(from);
}

/* Those of the list whose time has come fire; those that were moved meanwhile go to their slots. */
static void fire(struct timer_wheel *wheel, struct link *list)
{
	struct link *link;
	while ((link = list_pop(list))) {
		struct timer *timer = CONTAINER_OF(link, struct timer, link);
		if (timer->expires > wheel->cursor) {
			insert(wheel, timer);
			continue;
		}
		timer->expires = 0;
		wheel->active--;
		timer->on_expire(timer);
	}
}

/* Empties the slots that begin at `time`. */
static void fire_slots(struct timer_wheel *wheel, uint64_t time)
{
	struct link lists[TIMER_LEVELS];
	for (unsigned level = 0; level < TIMER_LEVELS; level++) {
		list_init(&lists[level]);
		if (level_next(wheel, level) != time)
			continue;
		unsigned slot = (time >> (SLOT_BITS * level)) & SLOT_MASK;
		wheel->occupied[level] &= ~((uint64_t)1 << slot);
		move_list(&lists[level], &wheel->slots[level][slot]);
	}
	wheel->cursor = time;
	for (unsigned level = 0; level < TIMER_LEVELS; level++)
		fire(wheel, &lists[level]);
}

void timer_wheel_advance(struct timer_wheel *wheel, uint64_t now)
{
	struct link due;
	ENSURE(now >= wheel->now);
	wheel->now = now;
	move_list(&due, &wheel->due);
	fire(wheel, &due);
	for (;;) {
		uint64_t next = wheel_next(wheel);
		if (next > now)
			break;
		fire_slots(wheel, next);
	}
	wheel->cursor = now;
}

uint64_t timer_wheel_wait(const struct timer_wheel *wheel)
{
	if (wheel->active == 0)
		return UINT64_MAX;
	return list_empty(&wheel->due) ? wheel_next(wheel) - wheel->now : 0;
}
