/*
 * Where the datagrams of an association may go. A target (an address or a name, and a port) is judged when the first datagram for it comes, like the
 * target of a CONNECT: the rules, then, once the name is resolved, the rules and the egress guard for each address; the first address that may be sent
 * to is where all its datagrams go, and nobody but who has that address and port may answer. A verdict holds for UDP_JUDGED_MS.
 *
 * Targets are the association's, on its worker; what is forgotten is freed at the end of the turn.
 */
#include "http/target.h"
#include "proxy/udp_internal.h"

#include <stdio.h>

enum target_state {
	TARGET_NEW,
	TARGET_ASKING, /* waits for its name, and datagrams for it */
	TARGET_OPEN,   /* has a peer */
	TARGET_AGAIN,  /* has a peer, and its name is asked for once more */
	TARGET_SHUT,   /* denied */
	TARGET_GONE,
};

struct udp_target {
	struct udp_association *association;
	struct link link; /* association->recent */
	struct udp_peer *peer;
	uint64_t judged;        /* loop clock, ms */
	struct address literal; /* family ADDRESS_NONE: a name; with the port */
	uint16_t port;
	uint8_t state;         /* enum target_state */
	struct span key, host; /* in bytes[] */
	struct resolver_query query;
	struct link waiting; /* struct udp_waiting */
	struct loop_task retire;
	uint8_t bytes[];
};

struct udp_waiting {
	struct link link;
	size_t len;
	uint8_t bytes[];
};

static const uint8_t target_moves[] = {
	[TARGET_NEW] = 1 << TARGET_ASKING | 1 << TARGET_OPEN | 1 << TARGET_SHUT | 1 << TARGET_GONE,
	[TARGET_ASKING] = 1 << TARGET_OPEN | 1 << TARGET_SHUT | 1 << TARGET_GONE,
	[TARGET_OPEN] = 1 << TARGET_OPEN | 1 << TARGET_AGAIN | 1 << TARGET_SHUT | 1 << TARGET_GONE,
	[TARGET_AGAIN] = 1 << TARGET_OPEN | 1 << TARGET_SHUT | 1 << TARGET_GONE,
	[TARGET_SHUT] = 1 << TARGET_GONE,
};

static void target_set_state(struct udp_target *target, enum target_state state)
{
	ENSURE(target->state != TARGET_GONE && target_moves[target->state] & 1 << state);
	target->state = (uint8_t)state;
}

static struct memory *memory_of(const struct udp_association *association)
{
	return association->exchange->worker->memory;
}

static struct loop *loop_of(const struct udp_association *association)
{
	return &association->exchange->worker->loop;
}

/* ---- peers ---- */

static void peer_key(const struct address *address, const struct datagram_socket *socket, uint8_t *key)
{
	key[0] = address->family;
	memcpy(key + 1, address->ip, 16);
	key[17] = (uint8_t)(address->port >> 8);
	key[18] = (uint8_t)address->port;
	memcpy(key + 19, &socket, sizeof(socket));
}

static void peer_on_retire(struct loop_task *task)
{
	struct udp_peer *peer = CONTAINER_OF(task, struct udp_peer, retire);

	memory_free(memory_of(peer->association), peer, sizeof(*peer));
}

/* One target less leads to it; NULL is fine. */
static void peer_release(struct udp_peer *peer)
{
	if (!peer || --peer->targets > 0)
		return;
	(void)map_remove(&peer->association->peers, span_make(peer->key, sizeof(peer->key)));
	loop_retire(loop_of(peer->association), &peer->retire);
}

/* One target more leads there by this socket. NULL: out of memory. */
static struct udp_peer *peer_hold(struct udp_association *association, const struct address *address,
				  struct datagram_socket *socket)
{
	struct socks_place place = {.address = *address};
	uint8_t key[UDP_PEER_KEY], head[SOCKS_DATAGRAM_HEAD_MOST];

	peer_key(address, socket, key);
	struct udp_peer *peer = map_get(&association->peers, span_make(key, sizeof(key)));
	if (peer) {
		peer->targets++;
		return peer;
	}
	peer = memory_alloc(memory_of(association), sizeof(*peer));
	if (!peer)
		return NULL;
	*peer = (struct udp_peer){
		.association = association, .address = *address, .socket = socket, .targets = 1};
	memcpy(peer->key, key, sizeof(key));
	peer->head_len = (uint8_t)socks_datagram_head_write(&place, head);
	ENSURE(peer->head_len <= UDP_HEAD_MOST);
	memcpy(peer->head, head, peer->head_len);
	loop_task_init(&peer->retire, peer_on_retire);
	if (map_put(&association->peers, span_make(peer->key, sizeof(peer->key)), peer))
		return peer;
	memory_free(memory_of(association), peer, sizeof(*peer));
	return NULL;
}

const struct udp_peer *udp_peer_find(const struct udp_association *association,
				     const struct datagram_socket *socket, const struct address *address)
{
	uint8_t key[UDP_PEER_KEY];

	peer_key(address, socket, key);
	return map_get(&association->peers, span_make(key, sizeof(key)));
}

/* ---- datagrams that wait for a name ---- */

static void waiting_add(struct udp_target *target, struct span data)
{
	struct udp_association *association = target->association;
	struct udp_waiting *waiting = NULL;

	if (association->waiting < UDP_WAITING && association->waiting_bytes + data.len <= UDP_WAITING_BYTES)
		waiting = memory_alloc(memory_of(association), sizeof(*waiting) + data.len);
	if (!waiting) {
		association->tally.dropped++;
		return;
	}
	waiting->len = data.len;
	if (data.len)
		memcpy(waiting->bytes, data.at, data.len);
	list_push(&target->waiting, &waiting->link);
	association->waiting++;
	association->waiting_bytes += data.len;
}

static bool waiting_send(struct udp_target *target, struct udp_waiting *waiting)
{
	struct udp_association *association = target->association;
	struct datagram datagram = {waiting->bytes, waiting->len, target->peer->address};

	if (!udp_may_pass(association, target->peer, false, datagram.len) ||
	    datagram_send(target->peer->socket, &datagram, 1) == 0)
		return false;
	association->tally.sent++;
	association->exchange->request_body.total += datagram.len;
	return true;
}

/* What waits leaves where the target leads now, or is counted in `lost` where it leads nowhere. */
static void waiting_end(struct udp_target *target, uint64_t *lost)
{
	struct udp_association *association = target->association;
	struct link *link;

	while ((link = list_pop(&target->waiting))) {
		struct udp_waiting *waiting = CONTAINER_OF(link, struct udp_waiting, link);
		if (lost)
			++*lost;
		else if (!waiting_send(target, waiting))
			association->tally.dropped++;
		association->waiting--;
		association->waiting_bytes -= waiting->len;
		memory_free(memory_of(association), waiting, sizeof(*waiting) + waiting->len);
	}
}

/* ---- the end of a target ---- */

static size_t target_size(const struct udp_target *target)
{
	return sizeof(*target) + target->key.len + target->host.len;
}

static void target_on_retire(struct loop_task *task)
{
	struct udp_target *target = CONTAINER_OF(task, struct udp_target, retire);

	memory_free(memory_of(target->association), target, target_size(target));
}

static void target_forget(struct udp_target *target)
{
	struct udp_association *association = target->association;

	if (target->state == TARGET_ASKING || target->state == TARGET_AGAIN)
		resolver_cancel(&target->query);
	target_set_state(target, TARGET_GONE);
	waiting_end(target, &association->tally.dropped);
	peer_release(target->peer);
	target->peer = NULL;
	list_remove(&target->link);
	(void)map_remove(&association->targets, target->key);
	association->target_count--;
	loop_retire(loop_of(association), &target->retire);
}

/* ---- judging ---- */

static struct rule_query target_query(const struct udp_target *target, const struct address *address)
{
	struct rule_query query = forward_query(target->association->exchange, target->association->p, address);

	query.host = target->host;
	query.port = target->port;
	return query;
}

/* The first denial of an association stands in its line of the access log: who opens a hundred doors is shown at the first. */
static void note_denial(struct udp_target *target, const struct guard_verdict *verdict)
{
	struct udp_association *association = target->association;
	struct udp_tally *tally = &association->tally;

	if (tally->denial.at)
		return;
	tally->denial = arena_format(&association->exchange->arena, "%.*s port %u: %s",
				     SPAN_ARG(target->host), target->port, verdict->text);
}

static void target_shut(struct udp_target *target, const struct guard_verdict *verdict)
{
	note_denial(target, verdict);
	target_set_state(target, TARGET_SHUT);
	target->judged = loop_of(target->association)->now;
	peer_release(target->peer);
	target->peer = NULL;
	waiting_end(target, &target->association->tally.denied);
}

enum judgement { JUDGED_GOOD, JUDGED_DENIED, JUDGED_NO_WAY };

/* One address: if it may be sent to, the target leads there from now on. */
static enum judgement target_try(struct udp_target *target, const struct address *address,
				 struct guard_verdict *verdict)
{
	struct udp_association *association = target->association;
	const struct proxy_listener *listener = association->p->listener;
	struct rule_query query = target_query(target, address);

	*verdict = guard_judge(listener->rules, listener->own, &query);
	if (verdict->outcome != GUARD_ALLOW)
		return JUDGED_DENIED;
	const struct rule_actions *actions = verdict->verdict.actions;
	if (!forward_goes_direct(actions)) {
		snprintf(verdict->text, sizeof(verdict->text),
			 "its rule names parents, and no parent takes datagrams");
		return JUDGED_DENIED;
	}
	/* The very address that was judged, in the form that its packets have. */
	struct address to = address_unmap(address);
	to.port = target->port;
	struct datagram_socket *socket = udp_source_for(association, actions, (enum address_family)to.family);
	struct udp_peer *peer = socket ? peer_hold(association, &to, socket) : NULL;
	if (!peer)
		return JUDGED_NO_WAY;
	if (!peer->actions)
		peer->actions = actions;
	peer_release(target->peer);
	target->peer = peer;
	return JUDGED_GOOD;
}

/* Where a name leads now, if that is still among the answers, else the first of them that may be sent to. */
static void target_choose(struct udp_target *target, const struct address *addresses, unsigned count)
{
	struct guard_verdict verdict, refused = {0};
	enum judgement judgement = JUDGED_NO_WAY;
	bool denied = false;
	unsigned first = 0;

	for (unsigned i = 0; i < count && target->peer; i++)
		if (address_equal_ip(&addresses[i], &target->peer->address))
			first = i;
	for (unsigned i = 0; i < count && judgement != JUDGED_GOOD; i++) {
		judgement = target_try(target, &addresses[(first + i) % count], &verdict);
		if (judgement == JUDGED_DENIED && !denied)
			refused = verdict;
		denied = denied || judgement == JUDGED_DENIED;
	}
	if (judgement == JUDGED_GOOD) {
		target_set_state(target, TARGET_OPEN);
		target->judged = loop_of(target->association)->now;
		waiting_end(target, NULL);
	} else if (denied) {
		target_shut(target, &refused);
	} else {
		target_forget(target);
	}
}

static void target_on_answer(struct resolver_query *query, const struct resolver_answer *answer,
			     const struct error *error)
{
	struct udp_target *target = CONTAINER_OF(query, struct udp_target, query);

	if (answer) {
		target_choose(target, answer->addresses, answer->count);
	} else if (target->state == TARGET_AGAIN) {
		/* What it resolved to once is good as long as nobody knows better. */
		target_set_state(target, TARGET_OPEN);
		target->judged = loop_of(target->association)->now;
	} else {
		target_forget(target);
	}
}

/* By the rules as far as they can tell without an address, so that nobody hears of a name that is denied; then its addresses. */
static void target_judge_name(struct udp_target *target)
{
	struct worker *worker = target->association->exchange->worker;
	struct rule_query query = target_query(target, NULL);
	struct guard_verdict verdict = {
		.outcome = GUARD_RULE,
		.verdict = rules_judge(target->association->p->listener->rules, &query),
	};
	struct error error = {0};

	if (verdict.verdict.outcome == VERDICT_DENY) {
		verdict_describe(&verdict.verdict, verdict.text);
		target_shut(target, &verdict);
		return;
	}
	const struct resolver_answer *answer = resolver_known(worker, target->host, &error);
	if (answer)
		target_choose(target, answer->addresses, answer->count);
	else if (!error_is(&error) &&
		 resolver_ask(worker, target->host, &target->query, target_on_answer, &error))
		target_set_state(target, target->peer ? TARGET_AGAIN : TARGET_ASKING);
	else
		target_forget(target);
}

static void target_judge(struct udp_target *target)
{
	if (target->literal.family == ADDRESS_NONE)
		target_judge_name(target);
	else
		target_choose(target, &target->literal, 1);
}

/* ---- new ones ---- */

static bool place_of_address(const struct address *address, uint16_t port, struct arena *arena,
			     struct http_authority *authority)
{
	char text[ADDRESS_TEXT];

	*authority = (struct http_authority){
		.port = port,
		.ip_family = address->family,
		.host = arena_copy(arena, span_make(text, address_format_ip(address, text))),
	};
	memcpy(authority->ip, address->ip, sizeof(authority->ip));
	return authority->host.at != NULL;
}

/* The place as CONNECT would have it: a name that is none, or is an address in disguise, is refused (http/target.h). */
static bool place_read(const struct socks_place *place, struct arena *arena, struct http_authority *authority)
{
	uint16_t port = place->address.port;
	struct address literal;
	struct error error;

	if (port == 0)
		return false;
	if (place->address.family != ADDRESS_NONE)
		return place_of_address(&place->address, port, arena, authority);
	if (address_parse_ip(place->name, &literal))
		return place_of_address(&literal, port, arena, authority);
	/* Bytes that would mean something in HOST:PORT. */
	for (size_t i = 0; i < place->name.len; i++)
		if (place->name.at[i] == 0 || place->name.at[i] == ':' || place->name.at[i] == '[')
			return false;
	struct span whole = arena_format(arena, "%.*s:%u", SPAN_ARG(place->name), port);
	return whole.at && http_authority_parse(whole, arena, authority, &error);
}

static struct udp_target *target_make(struct udp_association *association, struct span key,
				      const struct http_authority *authority)
{
	struct udp_target *target =
		memory_alloc(memory_of(association), sizeof(*target) + key.len + authority->host.len);

	if (!target)
		return NULL;
	*target = (struct udp_target){.association = association, .port = authority->port};
	target->literal.family = authority->ip_family;
	target->literal.port = authority->port;
	memcpy(target->literal.ip, authority->ip, sizeof(target->literal.ip));
	memcpy(target->bytes, key.at, key.len);
	memcpy(target->bytes + key.len, authority->host.at, authority->host.len);
	target->key = span_make(target->bytes, key.len);
	target->host = span_make(target->bytes + key.len, authority->host.len);
	list_init(&target->waiting);
	list_init(&target->link);
	loop_task_init(&target->retire, target_on_retire);
	if (map_put(&association->targets, target->key, target))
		return target;
	memory_free(memory_of(association), target, target_size(target));
	return NULL;
}

/* Takes the place of the one that has not been used for longest, when there are as many as may be. NULL: out of memory, or no place at all. */
static struct udp_target *target_new(struct udp_association *association, struct span key,
				     const struct socks_place *place)
{
	uint8_t room[1024];
	struct arena arena;
	struct http_authority authority;
	struct udp_target *target = NULL;

	arena_init(&arena, memory_of(association), NULL, room, sizeof(room));
	if (place_read(place, &arena, &authority)) {
		if (association->target_count >= association->exchange->service->limits->udp_targets)
			target_forget(CONTAINER_OF(association->recent.next, struct udp_target, link));
		target = target_make(association, key, &authority);
	}
	arena_fini(&arena);
	if (!target)
		return NULL;
	association->target_count++;
	list_push(&association->recent, &target->link);
	target_judge(target);
	return target;
}

static struct udp_target *target_of(struct udp_association *association, struct span key,
				    const struct socks_place *place)
{
	struct udp_target *target = map_get(&association->targets, key);

	if (!target)
		return target_new(association, key, place);
	list_remove(&target->link);
	list_push(&association->recent, &target->link);
	if (loop_of(association)->now - target->judged < UDP_JUDGED_MS)
		return target;
	if (target->state == TARGET_SHUT) {
		target_forget(target);
		return target_new(association, key, place);
	}
	if (target->state == TARGET_OPEN)
		target_judge(target);
	return target;
}

const struct udp_peer *udp_target_peer(struct udp_association *association, struct span key,
				       const struct socks_datagram *datagram)
{
	struct udp_target *target = target_of(association, key, &datagram->place);

	switch (target ? target->state : TARGET_GONE) {
	case TARGET_OPEN:
	case TARGET_AGAIN:
		return target->peer;
	case TARGET_ASKING:
		waiting_add(target, datagram->data);
		return NULL;
	case TARGET_SHUT:
		association->tally.denied++;
		return NULL;
	default:
		association->tally.dropped++;
		return NULL;
	}
}

void udp_targets_init(struct udp_association *association)
{
	map_init(&association->targets, memory_of(association));
	map_init(&association->peers, memory_of(association));
	list_init(&association->recent);
}

void udp_targets_drop(struct udp_association *association)
{
	while (!list_empty(&association->recent))
		target_forget(CONTAINER_OF(association->recent.next, struct udp_target, link));
}

void udp_targets_fini(struct udp_association *association)
{
	map_fini(&association->targets);
	map_fini(&association->peers);
}
