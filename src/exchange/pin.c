/*
 * A pin is one allocation with its key behind it; it is the owner of its session. See pin.h; on the worker of both connections.
 */
#include "exchange/pin.h"

struct pin {
	struct link link;
	struct pins *pins; /* NULL: the client's connection has ended */
	struct session *session;
	struct worker *worker;
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

static void pin_leave(struct pin *pin)
{
	if (pin->pins)
		pin->pins->count--;
	pin->pins = NULL;
	list_remove(&pin->link);
}

static void pin_on_gone(struct session *session)
{
	struct pin *pin = session->owner;
	struct pins *pins = pin->pins;

	pin_leave(pin);
	loop_retire(&pin->worker->loop, &pin->retire);
	if (pins && pins->on_lost)
		pins->on_lost(pins);
}

static void pin_on_ready(struct session *session)
{
	const struct pin *pin = session->owner;

	if (!pin->pins || pin->worker->draining)
		session_discard(session);
}

static const struct session_owner_ops pin_ops = {.on_ready = pin_on_ready, .on_gone = pin_on_gone};

/* The client is not told: it is our doing. One on which something runs ends with that. */
static void pin_end(struct pin *pin)
{
	pin_leave(pin);
	session_discard(pin->session);
}

void pins_init(struct pins *pins, void (*on_lost)(struct pins *pins))
{
	list_init(&pins->all);
	pins->count = 0;
	pins->on_lost = on_lost;
}

void pins_end(struct pins *pins)
{
	while (!list_empty(&pins->all))
		pin_end(CONTAINER_OF(pins->all.next, struct pin, link));
}

/* ---- pinning ---- */

static struct pin *pin_of(struct link *link)
{
	return CONTAINER_OF(link, struct pin, link);
}

static bool pin_is_idle(const struct pin *pin)
{
	return pin->session->running == 0;
}

/* The one that was not used for longest goes. False: all of them are in use. */
static bool pins_make_room(struct pins *pins)
{
	if (pins->count < PINS_MOST)
		return true;
	for (struct link *link = pins->all.next; link != &pins->all; link = link->next) {
		if (!pin_is_idle(pin_of(link)))
			continue;
		pin_end(pin_of(link));
		return true;
	}
	return false;
}

/* NULL: no room, or out of memory. */
static struct pin *pin_new(struct worker *worker, struct pins *pins, struct span key)
{
	struct pin *pin =
		pins && pins_make_room(pins) ? memory_alloc(worker->memory, sizeof(*pin) + key.len) : NULL;

	if (!pin)
		return NULL;
	*pin = (struct pin){.pins = pins, .worker = worker, .key_len = key.len};
	memcpy(pin->key, key.at, key.len);
	loop_task_init(&pin->retire, pin_free);
	list_push(&pins->all, &pin->link);
	pins->count++;
	return pin;
}

void session_pin(struct session *session, struct worker *worker, struct pins *pins, struct span key)
{
	struct pin *pin = NULL;

	if (session->pinned)
		return;
	if (session->running <= 1) /* or others run on it that may not be this client's */
		pin = pin_new(worker, pins, key);
	session->owner_ops->on_gone(session); /* who had it so far forgets it */
	session->pinned = true;
	session->owner = pin;
	session->owner_ops = pin ? &pin_ops : &session_alone_ops;
	if (pin)
		pin->session = session;
}

/* ---- what is there ---- */

static bool pin_begins(const struct pin *pin, struct span prefix)
{
	return pin->key_len >= prefix.len && memcmp(pin->key, prefix.at, prefix.len) == 0;
}

/* `whole`: it is all of the key. */
static struct pin *pins_look(const struct pins *pins, struct span prefix, bool whole)
{
	if (!pins || prefix.len == 0)
		return NULL;
	for (struct link *link = pins->all.next; link != &pins->all; link = link->next) {
		struct pin *pin = pin_of(link);
		if (pin_is_idle(pin) && pin_begins(pin, prefix) && (!whole || pin->key_len == prefix.len))
			return pin;
	}
	return NULL;
}

struct session *pins_take(struct pins *pins, struct span key)
{
	struct pin *pin = pins_look(pins, key, true);

	if (!pin)
		return NULL;
	list_remove(&pin->link);
	list_push(&pins->all, &pin->link);
	return pin->session;
}

struct span pins_find(const struct pins *pins, struct span prefix)
{
	const struct pin *pin = pins_look(pins, prefix, false);

	return pin ? span_make(pin->key, pin->key_len) : (struct span){0};
}
