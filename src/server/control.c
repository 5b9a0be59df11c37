/*
 * See control.h. Set up on the main thread, taken apart there when the thread has ended.
 */
#include "server/control.h"

#include "server/own.h"
#include "server/server_internal.h"
#include "tls/server.h"
#include "upstream/discovery.h"
#include "upstream/health.h"
#include "upstream/outlier.h"
#include "upstream/parent_check.h"

struct control {
	struct worker worker;
	struct server *server;
	pthread_t thread;
	bool started;
	struct letter order; /* to end */
	struct discovery *discovery;
	struct health *health;
	struct outliers *outliers;
	struct parent_checks *parent_checks;
	struct own *own;
};

/* Something has changed in a group, and its view here is up to date. */
static void control_on_look(void *owner, size_t group)
{
	struct control *control = owner;

	health_look(control->health, group);
}

struct control *control_new(struct server *server)
{
	struct control *control = arena_zalloc(&server->arena, 1, sizeof(*control));
	struct log_ring *ring = log_ring_new(server->log, LOG_RING);

	if (!control || !ring || !worker_init(&control->worker, server->worker_count, &server->memory, ring))
		return NULL;
	control->server = server;
	if (!rooms_init(&control->worker, server, 1))
		goto fail;
	control->discovery = discovery_start(&control->worker, server->fleet);
	control->health = health_start(&control->worker);
	control->outliers = outliers_start(&control->worker);
	control->parent_checks = parent_checks_start(&control->worker);
	control->own = own_start(&control->worker, server);
	if (!control->discovery || !control->health || !control->outliers || !control->parent_checks ||
	    !control->own)
		goto fail;
	upstream_on_look(&control->worker, control_on_look, control);
	return control;
fail:
	control_free(control);
	return NULL;
}

static void *control_main(void *argument)
{
	struct control *control = argument;

	loop_run(&control->worker.loop);
	return NULL;
}

bool control_start(struct control *control)
{
	control->started = pthread_create(&control->thread, NULL, control_main, control) == 0;
	return control->started;
}

static void on_order(struct letter *letter, void *owner)
{
	struct worker *worker = owner;

	worker->draining = true;
	loop_stop(&worker->loop);
}

static uint64_t control_clock(struct control *control)
{
	loop_turn(&control->worker.loop, 0);
	return control->worker.loop.now;
}

void control_settle(struct control *control, uint64_t most_ms)
{
	enum { TURN_MS = 20 };
	uint64_t end = control_clock(control) + most_ms;

	while (!(discovery_settled(control->discovery) && own_settled(control->own)) &&
	       control->worker.loop.now < end)
		loop_turn(&control->worker.loop, TURN_MS);
}

/* ---- lists of servers ---- */

/* From the main thread; freed where it is opened. */
struct list_letter {
	struct letter letter;
	struct control *control;
	size_t group;
	struct discovery_list *list;
};

static void on_list(struct letter *letter, void *owner)
{
	struct list_letter *self = CONTAINER_OF(letter, struct list_letter, letter);
	struct control *control = self->control;

	if (control->worker.loop.stopping) /* opened after the end: discovery is no more */
		discovery_list_free(self->list);
	else
		discovery_replace(control->discovery, self->group, self->list);
	memory_free(control->worker.memory, self, sizeof(*self));
}

bool control_replace_servers(struct control *control, size_t group, struct discovery_list *list)
{
	struct list_letter *letter = memory_alloc(control->worker.memory, sizeof(*letter));

	if (!letter) {
		discovery_list_free(list);
		return false;
	}
	*letter = (struct list_letter){
		.letter = {.open = on_list},
		.control = control,
		.group = group,
		.list = list,
	};
	mailbox_post(&control->worker.mailbox, &letter->letter);
	return true;
}

/* ---- the end ---- */

void control_join(struct control *control)
{
	if (!control || !control->started)
		return;
	control->order.open = on_order;
	mailbox_post(&control->worker.mailbox, &control->order);
	pthread_join(control->thread, NULL);
	control->started = false;
}

void control_free(struct control *control)
{
	if (!control)
		return;
	parent_checks_stop(control->parent_checks);
	own_stop(control->own);
	outliers_stop(control->outliers);
	health_stop(control->health);
	discovery_stop(control->discovery);
	rooms_fini(&control->worker);
	if (control->worker.slots[WORKER_SLOT_TLS])
		tls_room_fini(&control->worker);
	worker_fini(&control->worker);
}
