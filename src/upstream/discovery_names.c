/*
 * Names with the addresses that are known of them, shared by all groups that use them. Each family is asked for by itself, as long as its own answer
 * holds. See discovery.h.
 */
#include "upstream/discovery_internal.h"

#include <stdlib.h>

enum {
	QUESTIONS = RESOLVER_ASK_SEARCH + 1,
	/* Between two questions for a family that the name does not have, while it has the other: as long as that holds, within bounds. */
	NOTHING_LEAST_MS = 5000,
	NOTHING_MOST_MS = 60000,
};

enum outcome { UNDECIDED, FOUND, NOTHING, BROKEN };

struct question {
	struct discovery_name *name;
	struct timer timer; /* asks again */
	struct resolver_request request;
	enum outcome outcome;
	const char *why;
	unsigned failures; /* in a row */
	bool stale;      /* that there is nothing was said of both families: there may be something by now */
	uint64_t number; /* of the last answer, among those of the name */
	uint64_t delay;  /* ms: how long the last answer holds */
};

struct discovery_name {
	struct discovery *discovery;
	struct link uses;                     /* struct discovery_use */
	struct question questions[QUESTIONS]; /* by enum resolver_kind */
	struct discovery_addresses families[DISCOVERY_FAMILIES];
	struct loop_task retire;
	bool fixed;     /* known without asking */
	bool searching; /* its addresses were found in a search domain */
	bool decided;
	bool failing;     /* said so */
	uint64_t answers; /* so far */
	size_t len;
	char text[];
};

static struct span name_text(const struct discovery_name *name)
{
	return span_make(name->text, name->len);
}

uint64_t discovery_delay(uint64_t ttl)
{
	if (ttl < DISCOVERY_TTL_LEAST_MS / 1000)
		return DISCOVERY_TTL_LEAST_MS;
	return ttl > DISCOVERY_TTL_MOST_MS / 1000 ? DISCOVERY_TTL_MOST_MS : ttl * 1000;
}

uint64_t discovery_back_off(unsigned failures)
{
	uint64_t delay = DISCOVERY_AGAIN_MS;

	while (--failures && delay < DISCOVERY_AGAIN_MOST_MS)
		delay *= 2;
	return delay;
}

/* ---- what is known ---- */

const struct discovery_addresses *discovery_name_addresses(const struct discovery_name *name, unsigned family)
{
	return &name->families[family];
}

bool discovery_name_decided(const struct discovery_name *name)
{
	return name->decided;
}

const char *discovery_name_why(const struct discovery_name *name)
{
	const char *why = "there is no answer yet";

	for (unsigned i = 0; i < QUESTIONS; i++) {
		if (name->questions[i].outcome == BROKEN)
			return name->questions[i].why;
		if (name->questions[i].outcome == NOTHING)
			why = name->questions[i].why;
	}
	return why;
}

static void addresses_drop(struct memory *memory, struct discovery_addresses *addresses)
{
	if (addresses->items)
		memory_free(memory, addresses->items, addresses->count * sizeof(*addresses->items));
	*addresses = (struct discovery_addresses){0};
}

static int address_compare(const void *left, const void *right)
{
	const struct address *a = left, *b = right;

	return memcmp(a->ip, b->ip, sizeof(a->ip));
}

static bool addresses_same(const struct discovery_addresses *a, const struct discovery_addresses *b)
{
	if (a->count != b->count)
		return false;
	for (unsigned i = 0; i < a->count; i++)
		if (!address_equal(&a->items[i], &b->items[i]))
			return false;
	return true;
}

/* Name servers turn their answers round: they are sorted, so that this is no change. False: out of memory. */
static bool addresses_take(struct memory *memory, struct discovery_addresses *to,
			   const struct resolver_records *records, uint8_t family, bool *changed)
{
	struct discovery_addresses fresh = {0};

	for (unsigned i = 0; i < records->count; i++)
		fresh.count += records->addresses[i].family == family;
	if (fresh.count) {
		fresh.items = memory_alloc(memory, fresh.count * sizeof(*fresh.items));
		if (!fresh.items)
			return false;
	}
	for (unsigned i = 0, at = 0; i < records->count; i++)
		if (records->addresses[i].family == family)
			fresh.items[at++] = records->addresses[i];
	if (fresh.count)
		qsort(fresh.items, fresh.count, sizeof(*fresh.items), address_compare);
	if (addresses_same(to, &fresh)) {
		addresses_drop(memory, &fresh);
		return true;
	}
	addresses_drop(memory, to);
	*to = fresh;
	*changed = true;
	return true;
}

static bool name_take(struct discovery_name *name, unsigned kind, const struct resolver_records *records,
		      bool *changed)
{
	static const uint8_t families[] = {[DISCOVERY_V4] = ADDRESS_V4, [DISCOVERY_V6] = ADDRESS_V6};
	struct memory *memory = name->discovery->worker->memory;

	for (unsigned i = 0; i < DISCOVERY_FAMILIES; i++)
		if ((kind == i || kind == RESOLVER_ASK_SEARCH) &&
		    !addresses_take(memory, &name->families[i], records, families[i], changed))
			return false;
	return true;
}

/* ---- asking ---- */

static bool name_wants(const struct discovery_name *name, unsigned kind)
{
	enum resolver_family family = resolver_family(name->discovery->worker);

	return !(kind == RESOLVER_ASK_V4 && family == RESOLVER_V6_ONLY) &&
	       !(kind == RESOLVER_ASK_V6 && family == RESOLVER_V4_ONLY);
}

static void question_later(struct question *question, uint64_t delay)
{
	loop_timer_start(&question->name->discovery->worker->loop, &question->timer, delay);
}

static void question_fail(struct question *question, enum outcome outcome, const char *why)
{
	question->outcome = outcome;
	question->why = why;
	question->failures++;
	question_later(question, discovery_back_off(question->failures));
}

static void name_judge(struct discovery_name *name, bool changed);
static resolver_records_fn question_on_records;

/* What comes of it is told later; when it could not be asked, it has failed. */
static void question_ask(struct question *question)
{
	struct discovery_name *name = question->name;
	enum resolver_kind kind = (enum resolver_kind)(question - name->questions);

	if (question->request.question)
		return;
	loop_timer_stop(&name->discovery->worker->loop, &question->timer);
	if (!resolver_request(name->discovery->worker, kind, name_text(name), &question->request,
			      question_on_records))
		question_fail(question, BROKEN, "too many names are being looked up");
}

static void question_on_timer(struct timer *timer)
{
	struct question *question = CONTAINER_OF(timer, struct question, timer);

	question_ask(question);
	name_judge(question->name, false);
}

/* A name with a dot is asked for as it stands; one without, and one that is not found so, in the search domains. */
static void name_ask(struct discovery_name *name)
{
	bool dot = span_find(name_text(name), '.') >= 0;

	if (!dot) {
		question_ask(&name->questions[RESOLVER_ASK_SEARCH]);
		return;
	}
	for (unsigned i = 0; i < DISCOVERY_FAMILIES; i++)
		if (name_wants(name, i))
			question_ask(&name->questions[i]);
}

/* A name server says that there is neither family. */
static bool name_has_nothing(const struct discovery_name *name)
{
	for (unsigned i = 0; i < DISCOVERY_FAMILIES; i++)
		if (name_wants(name, i) && name->questions[i].outcome != NOTHING)
			return false;
	return true;
}

/* ---- what came ---- */

/*
 * IPv4 addresses decide alone: the others stand by for them. Where there are none, all must have been answered.
 */
static bool name_is_decided(const struct discovery_name *name)
{
	const struct question *questions = name->questions;

	if (questions[RESOLVER_ASK_SEARCH].request.question)
		return name->decided;
	if (questions[RESOLVER_ASK_SEARCH].outcome != UNDECIDED || questions[RESOLVER_ASK_V4].outcome == FOUND)
		return true;
	for (unsigned i = 0; i < DISCOVERY_FAMILIES; i++)
		if (name_wants(name, i) && questions[i].outcome == UNDECIDED)
			return false;
	return true;
}

static bool name_is_failing(const struct discovery_name *name)
{
	if (name->fixed || name->searching || span_find(name_text(name), '.') < 0)
		return name->questions[RESOLVER_ASK_SEARCH].outcome != FOUND;
	if (name->questions[RESOLVER_ASK_V4].outcome == BROKEN ||
	    name->questions[RESOLVER_ASK_V6].outcome == BROKEN)
		return true;
	return name_has_nothing(name);
}

static void name_say(struct discovery_name *name)
{
	struct log_ring *log = name->discovery->worker->log;
	bool failing = name->decided && name_is_failing(name);

	if (failing == name->failing)
		return;
	name->failing = failing;
	if (!failing)
		log_say(log, LOG_INFO, "name \"%s\": there is an answer again", name->text);
	else if (name->families[DISCOVERY_V4].count || name->families[DISCOVERY_V6].count)
		log_say(log, LOG_WARNING, "name \"%s\": %s: the last good answer stays in use", name->text,
			discovery_name_why(name));
	else
		log_say(log, LOG_WARNING, "name \"%s\": %s: there is no server behind it", name->text,
			discovery_name_why(name));
}

static void name_judge(struct discovery_name *name, bool changed)
{
	struct memory *memory = name->discovery->worker->memory;

	/* One family has gone for good where the other was seen since; when both have, what was known stays. */
	for (unsigned i = 0; i < DISCOVERY_FAMILIES && !name->searching; i++) {
		const struct question *own = &name->questions[i], *other = &name->questions[1 - i];
		if (own->outcome != NOTHING || own->stale || other->outcome != FOUND ||
		    other->number < own->number)
			continue;
		changed = changed || name->families[i].count;
		addresses_drop(memory, &name->families[i]);
	}
	if (!name->decided && name_is_decided(name)) {
		name->decided = true;
		name->discovery->undecided--;
		changed = true;
	}
	name_say(name);
	for (struct link *link = name->uses.next; changed && link != &name->uses; link = link->next)
		discovery_look(CONTAINER_OF(link, struct discovery_use, link)->group);
}

/* The search domains have it: the name as it stands is not asked for any more. */
static void name_search(struct discovery_name *name)
{
	name->searching = true;
	for (unsigned i = 0; i < DISCOVERY_FAMILIES; i++) {
		resolver_request_cancel(&name->questions[i].request);
		loop_timer_stop(&name->discovery->worker->loop, &name->questions[i].timer);
		name->questions[i].outcome = UNDECIDED;
	}
}

static void question_found(struct question *question, const struct resolver_records *records, bool *changed)
{
	struct discovery_name *name = question->name;
	unsigned kind = (unsigned)(question - name->questions);
	struct question *other = kind < DISCOVERY_FAMILIES ? &name->questions[1 - kind] : NULL;

	if (!name_take(name, kind, records, changed)) {
		question_fail(question, BROKEN, "out of memory");
		return;
	}
	question->outcome = FOUND;
	question->failures = 0;
	question->delay = discovery_delay(records->ttl);
	question_later(question, question->delay);
	if (!other)
		name_search(name);
	else if (other->stale)
		question_ask(other);
}

/* Where else the name may be looked for, now that it is not here. */
static void question_elsewhere(struct question *question, bool was_found)
{
	struct discovery_name *name = question->name;
	struct question *search = &name->questions[RESOLVER_ASK_SEARCH];

	if (question == search) {
		if (span_find(name_text(name), '.') < 0)
			return;
		loop_timer_stop(&name->discovery->worker->loop, &search->timer); /* after the name as it stands */
		if (name->searching)
			name_ask(name);
		name->searching = false;
		return;
	}
	struct question *other = &name->questions[1 - (question - name->questions)];
	bool both = name_wants(name, (unsigned)(other - name->questions));
	if (name_has_nothing(name)) {
		question->stale = other->stale = both;
		if (resolver_searches(name->discovery->worker))
			question_ask(search);
	}
	if (was_found && both) {
		question_ask(other); /* it may have moved there */
	} else if (other->outcome == FOUND) {
		question->failures = 0;
		question_later(question, size_min(size_max(other->delay, NOTHING_LEAST_MS), NOTHING_MOST_MS));
	}
}

static void question_on_records(struct resolver_request *request, const struct resolver_records *records)
{
	struct question *question = CONTAINER_OF(request, struct question, request);
	bool was_found = question->outcome == FOUND, changed = false;

	question->number = ++question->name->answers;
	question->stale = false;
	switch (records->outcome) {
	case RESOLVER_FOUND:
		question_found(question, records, &changed);
		break;
	case RESOLVER_NOTHING:
		question_fail(question, NOTHING, records->why);
		question_elsewhere(question, was_found);
		break;
	case RESOLVER_BROKEN:
		question_fail(question, BROKEN, records->why);
		break;
	}
	name_judge(question->name, changed);
}

/* ---- using ---- */

static void name_free(struct loop_task *task)
{
	struct discovery_name *name = CONTAINER_OF(task, struct discovery_name, retire);
	struct memory *memory = name->discovery->worker->memory;

	for (unsigned i = 0; i < DISCOVERY_FAMILIES; i++)
		addresses_drop(memory, &name->families[i]);
	memory_free(memory, name, sizeof(*name) + name->len + 1);
}

static void name_end(struct discovery_name *name)
{
	struct discovery *discovery = name->discovery;

	(void)map_remove(&discovery->names, name_text(name));
	for (unsigned i = 0; i < QUESTIONS; i++) {
		resolver_request_cancel(&name->questions[i].request);
		loop_timer_stop(&discovery->worker->loop, &name->questions[i].timer);
	}
	if (!name->decided)
		discovery->undecided--;
	loop_retire(&discovery->worker->loop, &name->retire);
}

/* What needs no question. False: out of memory. */
static bool name_begin(struct discovery_name *name)
{
	struct memory *memory = name->discovery->worker->memory;
	struct resolver_records *records = memory_alloc(memory, sizeof(*records));
	bool changed = false;

	if (!records)
		return false;
	name->fixed = name->decided = resolver_fixed(name->discovery->worker, name_text(name), records);
	bool good = !name->fixed || name_take(name, RESOLVER_ASK_SEARCH, records, &changed);
	name->questions[RESOLVER_ASK_SEARCH].why = records->why;
	if (name->fixed)
		name->questions[RESOLVER_ASK_SEARCH].outcome = records->outcome == RESOLVER_FOUND ? FOUND :
												    NOTHING;
	memory_free(memory, records, sizeof(*records));
	return good;
}

/* NULL: out of memory. */
static struct discovery_name *name_new(struct discovery *discovery, struct span host)
{
	struct discovery_name *name = memory_alloc(discovery->worker->memory, sizeof(*name) + host.len + 1);

	if (!name)
		return NULL;
	memset(name, 0, sizeof(*name));
	name->discovery = discovery;
	name->len = host.len;
	for (size_t i = 0; i < host.len; i++)
		name->text[i] = (char)ascii_lower(host.at[i]);
	name->text[host.len] = '\0';
	list_init(&name->uses);
	loop_task_init(&name->retire, name_free);
	for (unsigned i = 0; i < QUESTIONS; i++) {
		name->questions[i].name = name;
		timer_init(&name->questions[i].timer, question_on_timer);
	}
	if (!name_begin(name) || !map_put(&discovery->names, name_text(name), name)) {
		name_free(&name->retire);
		return NULL;
	}
	discovery->undecided += !name->decided;
	return name;
}

bool discovery_use_start(struct discovery_use *use, struct discovery_group *group, struct span host)
{
	struct discovery *discovery = group->discovery;
	char lower[RESOLVER_MAX_NAME];
	struct span key = span_make(lower, host.len);

	ENSURE(host.len <= sizeof(lower)); /* checked where it was written, or where the answer was read */
	for (size_t i = 0; i < host.len; i++)
		lower[i] = (char)ascii_lower(host.at[i]);
	struct discovery_name *name = map_get(&discovery->names, key);
	bool fresh = !name;
	if (!name)
		name = name_new(discovery, key);
	if (!name)
		return false;
	*use = (struct discovery_use){.name = name, .group = group};
	list_push(&name->uses, &use->link);
	if (!fresh)
		return true;
	if (!name->fixed)
		name_ask(name);
	name_judge(name, false);
	return true;
}

void discovery_use_stop(struct discovery_use *use)
{
	struct discovery_name *name = use->name;

	if (!name)
		return;
	use->name = NULL;
	list_remove(&use->link);
	if (list_empty(&name->uses))
		name_end(name);
}
