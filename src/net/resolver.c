/*
 * Lookups: one for each name that is being asked for, however many wait for it. Owned by the worker's resolver, called by whoever
 * needs an address, on the worker.
 *
 * IPv4 and IPv6 addresses are asked for by separate questions, so that servers that never answer one of them do not hold up the
 * other: the first addresses wait only 50 ms for the rest (RFC 8305 3), which then goes to the cache.
 */
#include "net/resolver_internal.h"

enum {
	RESOLUTION_DELAY_MS = 50, /* RFC 8305 8 */
	MOST_WAITING = 10000,
	MOST_ASKED = 8192, /* names; c-ares has 65536 numbers for its questions, and loops for ever when all are in use */
	FAILED_SECONDS = 5, /* the name or its addresses do not exist */
	BROKEN_SECONDS = 1, /* nobody could say */
	V6_PROBE_MS = 60000,
	HOSTS_SECONDS = 24 * 60 * 60,
};

struct lookup {
	struct link waiting; /* struct resolver_query */
	struct link link;    /* in resolver->lookups */
	struct resolver *resolver;
	struct worker *worker;
	struct timer timer;     /* the end of patience: with the servers, or with the second family */
	struct loop_task ready; /* soon: all questions are answered */
	struct loop_task retire;
	struct resolver_answer answer;
	struct error error;
	uint64_t ttl;      /* s, the shortest seen */
	uint8_t questions; /* that c-ares has not answered */
	bool known;        /* made from what was known: no question, not in resolver->asked */
	bool searched;     /* the search domains were tried */
	bool broken;       /* some question got no answer, neither yes nor no */
	bool late;         /* ... by a timeout */
	bool ended;
	size_t len;
	char name[RESOLVER_MAX_NAME + 2]; /* room for a dot and NUL */
};

static struct resolver *resolver_of(const struct worker *worker)
{
	return worker->slots[WORKER_SLOT_RESOLVER];
}

static struct span name_of(const struct lookup *lookup)
{
	return span_make(lookup->name, lookup->len);
}

bool resolver_wants(const struct resolver *resolver, const struct address *address)
{
	switch (resolver->settings.family) {
	case RESOLVER_V4_ONLY:
		return address->family == ADDRESS_V4;
	case RESOLVER_V6_ONLY:
		return address->family == ADDRESS_V6;
	default:
		return true;
	}
}

static void order(struct resolver *resolver, struct resolver_answer *answer)
{
	uint64_t now = resolver->worker->loop.now;

	if (!resolver->probed || now - resolver->probed > V6_PROBE_MS) {
		resolver->prefers_v6 = resolver_channel_v6_routed();
		resolver->probed = now ? now : 1;
	}
	resolver_answer_order(answer, resolver->prefers_v6);
}

/* --- telling --- */

static void unlink_query(struct resolver *resolver, struct resolver_query *query)
{
	list_remove(&query->link);
	query->lookup = NULL;
	resolver->waiting--;
}

/* Tells all that wait by now. Whoever asks again from its callback comes to a list of its own. */
static void tell(struct lookup *lookup, const struct resolver_answer *answer, const struct error *error)
{
	struct resolver *resolver = lookup->resolver;
	struct link all;

	list_init(&all);
	while (!list_empty(&lookup->waiting))
		list_push(&all, list_pop(&lookup->waiting));
	while (!list_empty(&all)) {
		struct resolver_query *query = CONTAINER_OF(all.next, struct resolver_query, link);
		unlink_query(resolver, query);
		query->on_answer(query, answer, error);
	}
}

static struct error failure_of(const struct lookup *lookup)
{
	if (lookup->late)
		return error_make(ERROR_DNS_TIMEOUT, NULL);
	return error_make(ERROR_DNS_FAILED, lookup->broken ? "the name servers could not answer" : NULL);
}

/* What is known by now goes to the cache and to those that wait. */
static void publish(struct lookup *lookup)
{
	struct resolver *resolver = lookup->resolver;

	if (lookup->answer.count > 0) {
		order(resolver, &lookup->answer);
		resolver_cache_put(&resolver->cache, name_of(lookup), &lookup->answer, ERROR_OK, lookup->ttl);
		tell(lookup, &lookup->answer, &ERROR_OK);
		return;
	}
	struct error error = failure_of(lookup);
	resolver_cache_put(&resolver->cache, name_of(lookup), NULL, error,
			   lookup->broken ? BROKEN_SECONDS : FAILED_SECONDS);
	tell(lookup, NULL, &error);
}

static void end(struct lookup *lookup)
{
	struct loop *loop = &lookup->worker->loop;

	lookup->ended = true;
	loop_timer_stop(loop, &lookup->timer);
	list_remove(&lookup->link);
	loop_retire(loop, &lookup->retire);
}

static void run_retire(struct loop_task *task)
{
	struct lookup *lookup = CONTAINER_OF(task, struct lookup, retire);

	memory_free(lookup->worker->memory, lookup, sizeof(*lookup));
}

/* --- asking --- */

static void merge(struct lookup *lookup, const struct ares_addrinfo *result)
{
	for (const struct ares_addrinfo_cname *cname = result->cnames; cname; cname = cname->next) {
		if (cname->ttl >= 0 && (uint64_t)cname->ttl < lookup->ttl)
			lookup->ttl = (uint64_t)cname->ttl;
	}
	for (const struct ares_addrinfo_node *node = result->nodes; node; node = node->ai_next) {
		struct address address;
		if (!resolver_node_address(lookup->resolver, node, &address))
			continue;
		resolver_answer_add(&lookup->answer, &address);
		if (node->ai_ttl >= 0 && (uint64_t)node->ai_ttl < lookup->ttl)
			lookup->ttl = (uint64_t)node->ai_ttl;
	}
}

static void note_failure(struct lookup *lookup, int status)
{
	switch (status) {
	case ARES_SUCCESS:
	case ARES_ENODATA:
	case ARES_ENOTFOUND:
		return;
	case ARES_ETIMEOUT:
		lookup->late = true;
		lookup->broken = true;
		return;
	default:
		lookup->broken = true;
	}
}

/* c-ares has an answer to one question. May come from inside ares_getaddrinfo. */
static void on_addresses(void *owner, int status, int timeouts, struct ares_addrinfo *result)
{
	struct lookup *lookup = owner;
	struct loop *loop = &lookup->worker->loop;

	lookup->questions--;
	if (lookup->ended || lookup->resolver->ending)
		goto free;
	if (status == ARES_SUCCESS && result)
		merge(lookup, result);
	else
		note_failure(lookup, status);
	if (lookup->questions == 0)
		loop_soon(loop, &lookup->ready);
	else if (lookup->answer.count > 0 && !list_empty(&lookup->waiting))
		loop_timer_start(loop, &lookup->timer, RESOLUTION_DELAY_MS);
free:
	if (result)
		ares_freeaddrinfo(result);
}

static void ask(struct lookup *lookup, int family, bool absolute)
{
	struct ares_addrinfo_hints hints = {
		.ai_family = family,
		.ai_socktype = SOCK_STREAM,
		.ai_flags = ARES_AI_NOSORT,
	};

	lookup->name[lookup->len] = absolute ? '.' : 0;
	lookup->name[lookup->len + 1] = 0;
	ares_getaddrinfo(lookup->resolver->channel, lookup->name, NULL, &hints, on_addresses, lookup);
}

static int family_of(enum resolver_family family)
{
	return family == RESOLVER_V4_ONLY ? AF_INET : family == RESOLVER_V6_ONLY ? AF_INET6 : AF_UNSPEC;
}

/*
 * A name with a dot is asked for as it stands, by one question for each family. A name without, and one that turned out not to exist
 * like that, goes through the search domains, by one question for both, since the two must not end at different names.
 */
static void ask_all(struct lookup *lookup, bool search)
{
	enum resolver_family family = lookup->resolver->settings.family;

	lookup->searched = search;
	if (search) {
		lookup->questions = 1;
		ask(lookup, family_of(family), false);
	} else if (family == RESOLVER_ANY) {
		lookup->questions = 2;
		ask(lookup, AF_INET6, true);
		ask(lookup, AF_INET, true);
	} else {
		lookup->questions = 1;
		ask(lookup, family_of(family), true);
	}
	resolver_channel_arm(lookup->resolver);
}

static void be_patient(struct lookup *lookup)
{
	const struct resolver_settings *settings = &lookup->resolver->settings;

	loop_timer_start(&lookup->worker->loop, &lookup->timer, settings->timeout_ms * settings->attempts);
}

static void run_ready(struct loop_task *task)
{
	struct lookup *lookup = CONTAINER_OF(task, struct lookup, ready);
	struct resolver *resolver = lookup->resolver;

	if (lookup->ended)
		return;
	if (lookup->known) {
		end(lookup);
		bool failed = error_is(&lookup->error);
		tell(lookup, failed ? NULL : &lookup->answer, &lookup->error);
		return;
	}
	if (lookup->answer.count == 0 && !lookup->broken && !lookup->searched && resolver->searches) {
		ask_all(lookup, true);
		return;
	}
	(void)map_remove(&resolver->asked, name_of(lookup));
	end(lookup);
	publish(lookup);
}

/* Enough waited. Questions that are still open stay so, and what they bring goes to the cache. */
static void on_timer(struct timer *timer)
{
	struct lookup *lookup = CONTAINER_OF(timer, struct lookup, timer);

	if (list_empty(&lookup->waiting) && lookup->answer.count == 0)
		return;
	if (lookup->answer.count == 0) {
		struct error error = error_make(ERROR_DNS_TIMEOUT, NULL);
		resolver_cache_put(&lookup->resolver->cache, name_of(lookup), NULL, error, BROKEN_SECONDS);
		tell(lookup, NULL, &error);
		return;
	}
	publish(lookup);
}

static struct lookup *lookup_new(struct resolver *resolver, struct span name)
{
	struct lookup *lookup = memory_alloc(resolver->worker->memory, sizeof(*lookup));

	if (!lookup)
		return NULL;
	*lookup = (struct lookup){
		.resolver = resolver,
		.worker = resolver->worker,
		.ttl = UINT64_MAX,
		.len = name.len,
	};
	memcpy(lookup->name, name.at, name.len);
	list_init(&lookup->waiting);
	timer_init(&lookup->timer, on_timer);
	loop_task_init(&lookup->ready, run_ready);
	loop_task_init(&lookup->retire, run_retire);
	list_push(&resolver->lookups, &lookup->link);
	return lookup;
}

/* --- what callers see --- */

static const struct resolver_answer *from_hosts(struct resolver *resolver, struct span name)
{
	const struct resolver_answer *hosts =
		resolver->settings.hosts ? map_get(resolver->settings.hosts, name) : NULL;
	struct resolver_answer some = {0};
	const struct resolver_answer *kept = NULL;
	struct error error;

	if (!hosts || resolver->settings.family == RESOLVER_ANY)
		return hosts;
	for (unsigned i = 0; i < hosts->count; i++) {
		if (resolver_wants(resolver, &hosts->addresses[i]))
			resolver_answer_add(&some, &hosts->addresses[i]);
	}
	if (some.count == hosts->count)
		return hosts;
	if (some.count == 0)
		return NULL; /* DNS may know one of the wanted family */
	resolver_cache_put(&resolver->cache, name, &some, ERROR_OK, HOSTS_SECONDS);
	return resolver_cache_get(&resolver->cache, name, &kept, &error) ? kept : NULL;
}

static const struct resolver_answer *known(struct resolver *resolver, struct span name, struct error *error)
{
	const struct resolver_answer *answer = resolver_name_special(name, resolver->settings.family, error);

	if (answer || error_is(error))
		return answer;
	if (resolver_cache_get(&resolver->cache, name, &answer, error))
		return answer;
	return from_hosts(resolver, name);
}

const struct resolver_answer *resolver_known(struct worker *worker, struct span name, struct error *error)
{
	char lower[RESOLVER_MAX_NAME];

	if (!resolver_name_check(name, lower)) {
		*error = error_make(ERROR_DNS_FAILED, "not a host name");
		return NULL;
	}
	return known(resolver_of(worker), span_make(lower, name.len), error);
}

/* A question for a name that nobody has asked for. NULL, and *why: out of memory, or too many at once. */
static struct lookup *lookup_ask(struct resolver *resolver, struct span name, struct error *why)
{
	*why = error_make(ERROR_OVERLOADED, "too many names are being looked up");
	if (resolver->asked.count >= MOST_ASKED)
		return NULL;
	*why = error_make(ERROR_MEMORY, NULL);
	struct lookup *lookup = lookup_new(resolver, name);
	if (!lookup)
		return NULL;
	if (!map_put(&resolver->asked, name_of(lookup), lookup)) {
		end(lookup);
		return NULL;
	}
	be_patient(lookup);
	ask_all(lookup, span_find(name, '.') < 0);
	return lookup;
}

/* The lookup that will tell about the name. NULL, and *why. */
static struct lookup *lookup_for(struct resolver *resolver, struct span name, struct error *why)
{
	struct error error;
	const struct resolver_answer *answer = known(resolver, name, &error);
	struct lookup *lookup = answer || error_is(&error) ? NULL : map_get(&resolver->asked, name);

	if (lookup) {
		if (!timer_active(&lookup->timer))
			be_patient(lookup);
		return lookup;
	}
	if (!answer && !error_is(&error))
		return lookup_ask(resolver, name, why);
	lookup = lookup_new(resolver, name);
	if (!lookup) {
		*why = error_make(ERROR_MEMORY, NULL);
		return NULL;
	}
	lookup->known = true;
	lookup->error = error;
	if (answer)
		lookup->answer = *answer;
	loop_soon(&resolver->worker->loop, &lookup->ready);
	return lookup;
}

bool resolver_ask(struct worker *worker, struct span name, struct resolver_query *query,
		  resolver_fn *on_answer, struct error *error)
{
	struct resolver *resolver = resolver_of(worker);
	char lower[RESOLVER_MAX_NAME];

	*query = (struct resolver_query){.on_answer = on_answer};
	list_init(&query->link);
	if (!resolver_name_check(name, lower)) {
		*error = error_make(ERROR_DNS_FAILED, "not a host name");
		return false;
	}
	if (resolver->waiting >= MOST_WAITING) {
		*error = error_make(ERROR_OVERLOADED, "too many names are being looked up");
		return false;
	}
	struct lookup *lookup = lookup_for(resolver, span_make(lower, name.len), error);
	if (!lookup)
		return false;
	query->lookup = lookup;
	list_push(&lookup->waiting, &query->link);
	resolver->waiting++;
	return true;
}

void resolver_cancel(struct resolver_query *query)
{
	struct lookup *lookup = query->lookup;

	if (lookup)
		unlink_query(lookup->resolver, query);
}

bool resolver_init(struct worker *worker, const struct resolver_settings *settings)
{
	struct resolver *resolver = memory_alloc(worker->memory, sizeof(*resolver));

	if (!resolver)
		return false;
	*resolver = (struct resolver){.worker = worker, .settings = *settings};
	resolver_cache_init(&resolver->cache, worker, settings->cache_entries);
	map_init(&resolver->asked, worker->memory);
	list_init(&resolver->sockets);
	list_init(&resolver->lookups);
	list_init(&resolver->questions);
	worker->slots[WORKER_SLOT_RESOLVER] = resolver;
	if (resolver_channel_open(resolver))
		return true;
	resolver_fini(worker);
	return false;
}

void resolver_fini(struct worker *worker)
{
	struct resolver *resolver = resolver_of(worker);

	resolver_channel_close(resolver);
	resolver_records_fini(resolver);
	while (!list_empty(&resolver->lookups)) {
		struct lookup *lookup = CONTAINER_OF(resolver->lookups.next, struct lookup, link);
		while (!list_empty(&lookup->waiting))
			unlink_query(resolver, CONTAINER_OF(lookup->waiting.next, struct resolver_query, link));
		end(lookup);
	}
	map_fini(&resolver->asked);
	resolver_cache_fini(&resolver->cache);
	memory_free(worker->memory, resolver, sizeof(*resolver));
	worker->slots[WORKER_SLOT_RESOLVER] = NULL;
}
