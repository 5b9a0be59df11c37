/*
 * Questions whose answers are not cached here. c-ares cannot be told to forget a question, so that each one is an object of its own, which ends when c-ares
 * has answered and whoever asked has been told, or has gone. See resolver_records.h.
 */
/* What newer versions offer instead of ares_query is not there in 1.18. */
#define CARES_NO_DEPRECATED

#include "net/resolver_records.h"

#include "net/resolver_internal.h"

enum {
	QUESTIONS_MOST = 8192, /* at a time: see MOST_ASKED in resolver.c */
	CLASS_IN = 1,
	TYPE_SRV = 33,
};

struct resolver_question {
	struct link link; /* in resolver->questions */
	struct resolver *resolver;
	struct worker *worker;
	struct resolver_request *request; /* NULL: cancelled */
	enum resolver_kind kind;
	bool asked; /* c-ares has it */
	struct loop_task ready, retire;
	struct resolver_records *records; /* NULL until there are any */
	char name[RESOLVER_MAX_NAME + 2]; /* room for a dot and NUL */
};

static struct resolver *resolver_of(const struct worker *worker)
{
	return worker->slots[WORKER_SLOT_RESOLVER];
}

static void question_free(struct loop_task *task)
{
	struct resolver_question *question = CONTAINER_OF(task, struct resolver_question, retire);
	struct memory *memory = question->worker->memory;

	if (question->records)
		memory_free(memory, question->records, sizeof(*question->records));
	memory_free(memory, question, sizeof(*question));
}

static void question_end(struct resolver_question *question)
{
	list_remove(&question->link);
	question->resolver->question_count--;
	loop_retire(&question->worker->loop, &question->retire);
}

static void question_tell(struct loop_task *task)
{
	static const struct resolver_records no_memory = {.outcome = RESOLVER_BROKEN, .why = "out of memory"};
	struct resolver_question *question = CONTAINER_OF(task, struct resolver_question, ready);
	struct resolver_request *request = question->request;

	question_end(question);
	question->request = NULL;
	if (!request)
		return;
	request->question = NULL;
	request->on_records(request, question->records ? question->records : &no_memory);
}

/* ---- answers ---- */

/* No server listens there, or more than one does. */
static bool address_is_of_one(const struct address *address)
{
	static const uint8_t none[16] = {0}, all[4] = {255, 255, 255, 255};

	if (address->family == ADDRESS_V4)
		return (address->ip[0] & 0xf0) != 0xe0 && memcmp(address->ip, none, 4) != 0 &&
		       memcmp(address->ip, all, 4) != 0;
	return address->family == ADDRESS_V6 && address->ip[0] != 0xff && memcmp(address->ip, none, 16) != 0;
}

static void records_add(struct resolver_records *records, const struct address *address)
{
	for (unsigned i = 0; i < records->count; i++)
		if (address_equal(&records->addresses[i], address))
			return;
	if (records->count == RESOLVER_MOST_RECORDS)
		records->cut = true;
	else
		records->addresses[records->count++] = *address;
}

static void records_merge(struct resolver_records *records, const struct ares_addrinfo *result,
			  const struct resolver *resolver)
{
	for (const struct ares_addrinfo_cname *cname = result->cnames; cname; cname = cname->next)
		records->ttl = size_min(records->ttl, cname->ttl < 0 ? 0 : (uint64_t)cname->ttl);
	for (const struct ares_addrinfo_node *node = result->nodes; node; node = node->ai_next) {
		struct address address;
		if (!resolver_node_address(resolver, node, &address) || !address_is_of_one(&address))
			continue;
		records_add(records, &address);
		records->ttl = size_min(records->ttl, node->ai_ttl < 0 ? 0 : (uint64_t)node->ai_ttl);
	}
}

static enum resolver_outcome outcome_of(int status)
{
	switch (status) {
	case ARES_SUCCESS:
	case ARES_ENODATA:
	case ARES_ENOTFOUND:
		return RESOLVER_NOTHING;
	default:
		return RESOLVER_BROKEN;
	}
}

static const char *why_of(int status)
{
	switch (status) {
	case ARES_SUCCESS:
	case ARES_ENODATA:
		return "there is no such record";
	case ARES_ENOTFOUND:
		return "there is no such name";
	case ARES_ETIMEOUT:
		return "the name servers did not answer in time";
	default:
		return "the name servers could not answer";
	}
}

/* Room for what came. NULL: nobody wants it, or out of memory. */
static struct resolver_records *question_answered(struct resolver_question *question, int status)
{
	question->asked = false;
	if (question->resolver->ending)
		return NULL;
	loop_soon(&question->worker->loop, &question->ready);
	if (!question->request)
		return NULL;
	struct resolver_records *records = memory_alloc(question->worker->memory, sizeof(*records));
	if (!records)
		return NULL;
	records->outcome = outcome_of(status);
	records->why = why_of(status);
	records->ttl = UINT32_MAX;
	records->count = 0;
	records->cut = records->withdrawn = false;
	return question->records = records;
}

/* May come from inside ares_getaddrinfo. */
static void on_addresses(void *owner, int status, int timeouts, struct ares_addrinfo *result)
{
	struct resolver_question *question = owner;
	struct resolver_records *records = question_answered(question, status);

	if (records && status == ARES_SUCCESS && result) {
		records_merge(records, result, question->resolver);
		if (records->count)
			records->outcome = RESOLVER_FOUND;
	}
	if (result)
		ares_freeaddrinfo(result);
}

/* May come from inside ares_query. */
static void on_message(void *owner, int status, int timeouts, unsigned char *message, int len)
{
	struct resolver_records *records = question_answered(owner, status);

	if (!records || status != ARES_SUCCESS || !message || len < 0)
		return;
	if (!resolver_services_parse(span_make(message, (size_t)len), records)) {
		records->outcome = RESOLVER_BROKEN;
		records->why = "the answer is malformed";
	}
}

/* ---- asking ---- */

static int family_of(const struct resolver_question *question)
{
	enum resolver_family family = question->resolver->settings.family;

	if (question->kind == RESOLVER_ASK_SEARCH)
		return family == RESOLVER_V4_ONLY ? AF_INET :
		       family == RESOLVER_V6_ONLY ? AF_INET6 :
						    AF_UNSPEC;
	return question->kind == RESOLVER_ASK_V4 ? AF_INET : AF_INET6;
}

static void question_ask(struct resolver_question *question)
{
	struct resolver *resolver = question->resolver;
	struct ares_addrinfo_hints hints = {
		.ai_family = family_of(question),
		.ai_socktype = SOCK_STREAM,
		.ai_flags = ARES_AI_NOSORT,
	};

	question->asked = true;
	if (question->kind == RESOLVER_ASK_SERVICES)
		ares_query(resolver->channel, question->name, CLASS_IN, TYPE_SRV, on_message, question);
	else
		ares_getaddrinfo(resolver->channel, question->name, NULL, &hints, on_addresses, question);
	resolver_channel_arm(resolver);
}

bool resolver_request(struct worker *worker, enum resolver_kind kind, struct span name,
		      struct resolver_request *request, resolver_records_fn *on_records)
{
	struct resolver *resolver = resolver_of(worker);
	char lower[RESOLVER_MAX_NAME];

	*request = (struct resolver_request){.on_records = on_records};
	if (!resolver_name_check(name, lower) || resolver->question_count >= QUESTIONS_MOST)
		return false;
	struct resolver_question *question = memory_alloc(worker->memory, sizeof(*question));
	if (!question)
		return false;
	*question = (struct resolver_question){
		.resolver = resolver,
		.worker = worker,
		.request = request,
		.kind = kind,
	};
	memcpy(question->name, lower, name.len);
	if (kind != RESOLVER_ASK_SEARCH)
		question->name[name.len] = '.';
	loop_task_init(&question->ready, question_tell);
	loop_task_init(&question->retire, question_free);
	list_push(&resolver->questions, &question->link);
	resolver->question_count++;
	request->question = question;
	question_ask(question);
	return true;
}

void resolver_request_cancel(struct resolver_request *request)
{
	if (request->question)
		request->question->request = NULL;
	request->question = NULL;
}

void resolver_records_fini(struct resolver *resolver)
{
	while (!list_empty(&resolver->questions)) {
		struct resolver_question *question =
			CONTAINER_OF(resolver->questions.next, struct resolver_question, link);
		if (question->request)
			question->request->question = NULL;
		question->request = NULL;
		question_end(question);
	}
}

/* ---- without asking ---- */

bool resolver_fixed(struct worker *worker, struct span name, struct resolver_records *records)
{
	const struct resolver *resolver = resolver_of(worker);
	char lower[RESOLVER_MAX_NAME];
	struct error error;

	*records = (struct resolver_records){.outcome = RESOLVER_NOTHING, .why = "this is no host name"};
	if (!resolver_name_check(name, lower))
		return true;
	name = span_make(lower, name.len);
	const struct resolver_answer *answer = resolver_name_special(name, resolver->settings.family, &error);
	if (!answer && error_is(&error)) {
		records->why = error.text ? error.text : "there is no such name";
		return true;
	}
	if (!answer && resolver->settings.hosts)
		answer = map_get(resolver->settings.hosts, name);
	for (unsigned i = 0; answer && i < answer->count; i++)
		if (resolver_wants(resolver, &answer->addresses[i]))
			records_add(records, &answer->addresses[i]);
	if (records->count)
		records->outcome = RESOLVER_FOUND;
	return records->count > 0;
}

enum resolver_family resolver_family(const struct worker *worker)
{
	return resolver_of(worker)->settings.family;
}

bool resolver_searches(const struct worker *worker)
{
	return resolver_of(worker)->searches;
}
