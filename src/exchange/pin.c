/*
 * A pin is one allocation with its key behind it; it is the owner of its session. See pin.h; on the worker of both connections.
 */
#include "exchange/pin.h"

#include "exchange/exchange_internal.h"

struct pin {
	struct pin *next;
	struct pins *pins; /* NULL: the client's connection has ended */
	void (*on_lost)(struct pins *pins);
	struct session *session;
	struct worker *worker;
	struct link idle; /* in the worker's list; alone while something runs */
	struct loop_task retire;
	size_t key_len;
	uint8_t key[];
};

/* ---- of nobody ---- */

static void alone_on_ready(struct session *session)
{
	if (session->running == 0)
		session->ops->close(session);
}

static void alone_on_gone(struct session *session)
{
}

const struct session_owner_ops session_alone_ops = {.on_ready = alone_on_ready, .on_gone = alone_on_gone};

/* ---- ends ---- */

static void pin_free(struct loop_task *task)
{
	struct pin *pin = CONTAINER_OF(task, struct pin, retire);

	memory_free(pin->worker->memory, pin, sizeof(*pin) + pin->key_len);
}

static void pin_set_idle(struct pin *pin, bool idle)
{
	struct exchange_room *room = exchange_room(pin->worker);

	if (list_empty(&pin->idle) != idle)
		return;
	if (idle)
		list_push(&room->idle_pins, &pin->idle);
	else
		list_remove(&pin->idle);
	room->idle_pin_count += idle ? 1 : UINT32_MAX;
}

static void pin_leave(struct pin *pin)
{
	struct pin **at = pin->pins ? &pin->pins->first : NULL;

	while (at && *at != pin)
		at = &(*at)->next;
	if (at)
		*at = pin->next;
	pin->pins = NULL;
	pin_set_idle(pin, false);
}

static void pin_on_gone(struct session *session)
{
	struct pin *pin = session->owner;
	struct pins *pins = pin->pins;

	pin_leave(pin);
	loop_retire(&pin->worker->loop, &pin->retire);
	if (pins && pin->on_lost)
		pin->on_lost(pins);
}

static void pin_on_ready(struct session *session)
{
	struct pin *pin = session->owner;
	const struct exchange_room *room = exchange_room(pin->worker);

	if (session->running > 0)
		return;
	if (!pin->pins || pin->worker->draining) {
		session_discard(session);
		return;
	}
	pin_set_idle(pin, true);
	if (room->idle_pin_count > PINS_IDLE_MOST)
		(void)pins_close_idle(pin->worker, (struct span){0});
}

static const struct session_owner_ops pin_ops = {.on_ready = pin_on_ready, .on_gone = pin_on_gone};

/* The client is not told: it is our doing. One on which something runs ends with that. */
static void pin_end(struct pin *pin)
{
	pin_leave(pin);
	session_discard(pin->session);
}

void pins_end(struct pins *pins)
{
	while (pins->first)
		pin_end(pins->first);
}

/* ---- pinning ---- */

static bool pin_is_idle(const struct pin *pin)
{
	return pin->session->running == 0;
}

static void pin_put_first(struct pins *pins, struct pin *pin)
{
	pin->pins = pins;
	pin->next = pins->first;
	pins->first = pin;
}

/* The one that was not used for longest goes. False: all of them are in use. */
static bool pins_make_room(struct pins *pins)
{
	struct pin *oldest = NULL;
	unsigned count = 0;

	for (struct pin *pin = pins->first; pin; pin = pin->next) {
		count++;
		if (pin_is_idle(pin))
			oldest = pin;
	}
	if (count >= PINS_MOST && oldest)
		pin_end(oldest);
	return count < PINS_MOST || oldest;
}

/* NULL: no room, or out of memory. */
static struct pin *pin_new(struct exchange *x, struct session *session, struct span key)
{
	struct pins *pins = x->client->pins;
	struct pin *pin = NULL;

	if (pins && pins_make_room(pins))
		pin = memory_alloc(x->worker->memory, sizeof(*pin) + key.len);
	if (!pin)
		return NULL;
	*pin = (struct pin){
		.on_lost = x->down ? x->down->ops->pin_lost : NULL,
		.session = session,
		.worker = x->worker,
		.key_len = key.len,
	};
	memcpy(pin->key, key.at, key.len);
	loop_task_init(&pin->retire, pin_free);
	list_init(&pin->idle);
	pin_put_first(pins, pin);
	return pin;
}

void session_pin(struct session *session, struct exchange *x, struct span key)
{
	struct pin *pin = NULL;

	if (session->pinned)
		return;
	if (session->running <= 1) /* or others run on it that may not be this client's */
		pin = pin_new(x, session, key);
	session->owner_ops->on_gone(session); /* who had it so far forgets it */
	session->pinned = true;
	session->owner = pin;
	session->owner_ops = pin ? &pin_ops : &session_alone_ops;
}

/* ---- what is there ---- */

static bool pin_begins(const struct pin *pin, struct span prefix)
{
	return pin->key_len >= prefix.len && span_equal(span_make(pin->key, prefix.len), prefix);
}

/* `whole`: it is all of the key. */
static struct pin *pins_look(const struct pins *pins, struct span prefix, bool whole)
{
	struct pin *pin = pins && prefix.len ? pins->first : NULL;

	while (pin && (!pin_is_idle(pin) || !pin_begins(pin, prefix) || (whole && pin->key_len != prefix.len)))
		pin = pin->next;
	return pin;
}

struct session *pins_take(struct pins *pins, struct span key)
{
	struct pin *pin = pins_look(pins, key, true);

	if (!pin)
		return NULL;
	pin_leave(pin);
	pin_put_first(pins, pin);
	return pin->session;
}

bool pins_close_idle(struct worker *worker, struct span prefix)
{
	const struct link *all = &exchange_room(worker)->idle_pins;

	for (struct link *link = all->next; link != all; link = link->next) {
		struct pin *pin = CONTAINER_OF(link, struct pin, idle);
		if (!pin_begins(pin, prefix))
			continue;
		session_discard(pin->session);
		return true;
	}
	return false;
}

struct span pins_find(const struct pins *pins, struct span prefix)
{
	const struct pin *pin = pins_look(pins, prefix, false);

	return pin ? span_make(pin->key, pin->key_len) : (struct span){0};
}
