/*
 * Services: SRV records, and the names of their targets. New records count when their targets have been answered, so that a service that moves has servers
 * all the time. See discovery.h.
 */
#include "upstream/discovery_internal.h"

#include <stdlib.h>

struct discovery_service {
	struct discovery_group *group;
	struct timer timer; /* asks again */
	struct resolver_request request;
	struct discovery_targets *targets, *next; /* `next` waits for its targets; NULL: none */
	struct loop_task retire;
	const char *why;
	unsigned failures; /* in a row */
	bool answered;     /* in one way or the other */
	bool failing;      /* said so */
	bool cut;          /* said so */
	size_t len;
	char text[];
};

/* ---- targets ---- */

static size_t targets_size(unsigned count)
{
	return sizeof(struct discovery_targets) + count * sizeof(struct discovery_target);
}

static void targets_free(struct discovery_service *service, struct discovery_targets *targets)
{
	if (!targets)
		return;
	for (unsigned i = 0; i < targets->count; i++)
		discovery_use_stop(&targets->items[i].use);
	memory_free(service->group->discovery->worker->memory, targets, targets_size(targets->count));
}

static int target_compare(const void *left, const void *right)
{
	const struct resolver_service *a = &((const struct discovery_target *)left)->record,
				      *b = &((const struct discovery_target *)right)->record;
	int order = (a->priority > b->priority) - (a->priority < b->priority);

	if (!order)
		order = memcmp(a->target, b->target, size_min(a->len, b->len));
	if (!order)
		order = (a->len > b->len) - (a->len < b->len);
	if (!order)
		order = (a->port > b->port) - (a->port < b->port);
	return order ? order : (a->weight > b->weight) - (a->weight < b->weight);
}

/* The records, sorted; no name is asked for yet. NULL: out of memory. */
static struct discovery_targets *targets_new(struct memory *memory, const struct resolver_records *records)
{
	struct discovery_targets *targets = memory_alloc(memory, targets_size(records->count));

	if (!targets)
		return NULL;
	memset(targets, 0, targets_size(records->count));
	targets->count = records->count;
	for (unsigned i = 0; i < records->count; i++)
		targets->items[i].record = records->services[i];
	if (targets->count)
		qsort(targets->items, targets->count, sizeof(*targets->items), target_compare);
	return targets;
}

static bool targets_same(const struct discovery_targets *a, const struct discovery_targets *b)
{
	if (!a || a->count != b->count)
		return false;
	for (unsigned i = 0; i < a->count; i++)
		if (target_compare(&a->items[i], &b->items[i]) != 0)
			return false;
	return true;
}

static bool targets_decided(const struct discovery_targets *targets)
{
	for (unsigned i = 0; i < targets->count; i++)
		if (!discovery_name_decided(targets->items[i].use.name))
			return false;
	return true;
}

static bool targets_have_any(const struct discovery_targets *targets)
{
	for (unsigned i = 0; i < targets->count; i++)
		for (unsigned family = 0; family < DISCOVERY_FAMILIES; family++)
			if (discovery_name_addresses(targets->items[i].use.name, family)->count)
				return true;
	return false;
}

/* ---- asking ---- */

static void service_say(struct discovery_service *service, bool failing)
{
	struct log_ring *log = service->group->discovery->worker->log;

	if (failing == service->failing)
		return;
	service->failing = failing;
	if (!failing)
		log_say(log, LOG_INFO, "service \"%s\": there is an answer again", service->text);
	else if (service->targets)
		log_say(log, LOG_WARNING, "service \"%s\": %s: the last good answer stays in use",
			service->text, service->why);
	else
		log_say(log, LOG_WARNING, "service \"%s\": %s: there is no server behind it", service->text,
			service->why);
}

static void service_fail(struct discovery_service *service, const char *why)
{
	service->why = why;
	service->failures++;
	loop_timer_start(&service->group->discovery->worker->loop, &service->timer,
			 discovery_back_off(service->failures));
	service_say(service, true);
}

/* Targets that are new are asked for, and come into use when they are known. False: out of memory. */
static bool service_await(struct discovery_service *service, struct discovery_targets *fresh)
{
	targets_free(service, service->next);
	service->next = fresh;
	for (unsigned i = 0; i < fresh->count; i++) {
		const struct resolver_service *record = &fresh->items[i].record;
		if (discovery_use_start(&fresh->items[i].use, service->group,
					span_make(record->target, record->len)))
			continue;
		targets_free(service, fresh);
		service->next = NULL;
		return false;
	}
	discovery_look(service->group);
	return true;
}

/* False: out of memory. */
static bool service_take(struct discovery_service *service, const struct resolver_records *records)
{
	struct worker *worker = service->group->discovery->worker;
	struct discovery_targets *fresh = targets_new(worker->memory, records);

	if (!fresh)
		return false;
	if (records->cut && !service->cut)
		log_say(worker->log, LOG_WARNING,
			"service \"%s\": there are more than %d records: the others are left out",
			service->text, RESOLVER_MOST_RECORDS);
	service->cut = records->cut;
	if (targets_same(service->next ? service->next : service->targets, fresh)) {
		targets_free(service, fresh);
		return true;
	}
	if (!targets_same(service->targets, fresh))
		return service_await(service, fresh);
	/* What was there before what is being waited for is there again. */
	targets_free(service, fresh);
	targets_free(service, service->next);
	service->next = NULL;
	return true;
}

static void service_on_records(struct resolver_request *request, const struct resolver_records *records)
{
	struct discovery_service *service = CONTAINER_OF(request, struct discovery_service, request);
	struct discovery *discovery = service->group->discovery;

	if (!service->answered)
		discovery->undecided--;
	service->answered = true;
	discovery_look(service->group);
	if (records->outcome != RESOLVER_FOUND) {
		service_fail(service, records->why);
		return;
	}
	if (!service_take(service, records)) {
		service_fail(service, "out of memory");
		return;
	}
	service->failures = 0;
	service->why = records->withdrawn ? "the service is not available, its records say" :
					    "its targets have no address";
	loop_timer_start(&discovery->worker->loop, &service->timer, discovery_delay(records->ttl));
	service_say(service, false);
}

static void service_ask(struct timer *timer)
{
	struct discovery_service *service = CONTAINER_OF(timer, struct discovery_service, timer);

	if (!resolver_request(service->group->discovery->worker, RESOLVER_ASK_SERVICES,
			      span_make(service->text, service->len), &service->request, service_on_records))
		service_fail(service, "it cannot be asked for");
}

/* ---- for its group ---- */

void discovery_service_settle(struct discovery_service *service)
{
	struct discovery_targets *next = service->next;

	if (!next || !targets_decided(next))
		return;
	if (next->count && service->targets && !targets_have_any(next))
		return;
	service->next = NULL;
	targets_free(service, service->targets);
	service->targets = next;
}

const struct discovery_targets *discovery_service_targets(const struct discovery_service *service)
{
	return service->targets;
}

bool discovery_service_decided(const struct discovery_service *service)
{
	return service->answered && (service->targets || !service->next || targets_decided(service->next));
}

const char *discovery_service_why(const struct discovery_service *service)
{
	return service->why;
}

static void service_free(struct loop_task *task)
{
	struct discovery_service *service = CONTAINER_OF(task, struct discovery_service, retire);

	memory_free(service->group->discovery->worker->memory, service, sizeof(*service) + service->len + 1);
}

/* NULL: out of memory. */
struct discovery_service *discovery_service_start(struct discovery_group *group, struct span name)
{
	struct discovery *discovery = group->discovery;
	struct discovery_service *service =
		memory_alloc(discovery->worker->memory, sizeof(*service) + name.len + 1);

	if (!service)
		return NULL;
	*service = (struct discovery_service){.group = group, .len = name.len, .why = "there is no answer yet"};
	memcpy(service->text, name.at, name.len);
	service->text[name.len] = '\0';
	timer_init(&service->timer, service_ask);
	loop_task_init(&service->retire, service_free);
	discovery->undecided++;
	service_ask(&service->timer);
	return service;
}

void discovery_service_stop(struct discovery_service *service)
{
	struct loop *loop = &service->group->discovery->worker->loop;

	if (!service->answered)
		service->group->discovery->undecided--;
	resolver_request_cancel(&service->request);
	loop_timer_stop(loop, &service->timer);
	targets_free(service, service->targets);
	targets_free(service, service->next);
	loop_retire(loop, &service->retire);
}
