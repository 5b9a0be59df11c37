/*
 * Which way a connection leaves by. Choosing needs no memory of who was given what: it is arithmetic on who asks, the time, and the exit's addresses, so that
 * all workers agree without asking each other.
 */
#include "upstream/exit.h"

#include "balance/keyed.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

enum {
	ASIDE_MS = 10 * 1000,           /* how long a source that could not be bound to is passed over */
	ASIDE_SAID_MS = 10 * 60 * 1000, /* it is said again when it is so for longer than this */
	COUNTED_BITS =
		32, /* of a prefix with at most so many bits left all addresses are used before one is used again */
};

struct exit_source {
	atomic_uint_fast64_t aside_until; /* loop clock, ms */
	atomic_uint_fast64_t said_until;
};

struct exit {
	const struct exit_plan *plan;
	struct exit_source *v4, *v6; /* beside the plan's */
	atomic_uint_fast32_t turn;   /* connections so far, of `rotate` and of a prefix */
	uint64_t secret;             /* so that nobody can tell the addresses of a prefix beforehand */
};

struct exits {
	size_t count;
	struct exit *items;
};

struct exits *exits_new(struct arena *arena, const struct exit_plan *plans, size_t count)
{
	struct exits *exits = arena_zalloc(arena, 1, sizeof(*exits));

	if (exits)
		exits->items = arena_zalloc(arena, count + 1, sizeof(*exits->items));
	if (!exits || !exits->items)
		return NULL;
	exits->count = count;
	for (size_t i = 0; i < count; i++) {
		struct exit *exit = &exits->items[i];
		exit->plan = &plans[i];
		exit->v4 = arena_zalloc(arena, plans[i].v4.count + 1, sizeof(*exit->v4));
		exit->v6 = arena_zalloc(arena, plans[i].v6.count + 1, sizeof(*exit->v6));
		if (!exit->v4 || !exit->v6)
			return NULL;
		random_secret(&exit->secret, sizeof(exit->secret));
	}
	return exits;
}

const char *exit_name(const struct exits *exits, uint32_t exit)
{
	return exit == EXIT_NONE ? NULL : exits->items[exit].plan->name;
}

/* ---- who asks ---- */

/* The same in every process. */
static uint64_t hash_client(const struct address *client)
{
	struct address who = address_unmap(client);

	return keyed_mix(span_hash(span_make(who.ip, address_subscriber(&who)), who.family));
}

static uint64_t hash_address(const struct address *address)
{
	return keyed_mix(span_hash(span_make(address->ip, address->family == ADDRESS_V4 ? 4 : 16), 0));
}

/* Which of the spans of time of `sticky` it is now; those of different people do not begin together. */
static uint64_t slot_of(uint64_t who, int64_t wall_ms, uint64_t sticky)
{
	return ((uint64_t)wall_ms + who % sticky) / sticky;
}

/* ---- one of several ---- */

struct choice {
	const struct exit_sources *sources;
	struct exit_source *states;
	uint64_t now; /* loop clock, ms */
};

static bool is_aside(const struct choice *choice, uint32_t index)
{
	return choice->now < atomic_load_explicit(&choice->states[index].aside_until, memory_order_relaxed);
}

/* The first from `index` on that is not aside; `index` when all are. */
static uint32_t first_good(const struct choice *choice, uint32_t index)
{
	for (uint32_t i = 0; i < choice->sources->count; i++) {
		uint32_t at = (index + i) % choice->sources->count;
		if (!is_aside(choice, at))
			return at;
	}
	return index;
}

/* Rendezvous hashing: each key has an order of its own in which it likes the addresses, so that one that goes moves only those who had it. */
static uint32_t by_key(const struct choice *choice, uint64_t key)
{
	uint64_t best = 0, best_good = 0;
	uint32_t first = 0, first_that_works = UINT32_MAX;

	for (uint32_t i = 0; i < choice->sources->count; i++) {
		uint64_t score = keyed_hash(key, hash_address(&choice->sources->items[i]));
		bool good = !is_aside(choice, i);
		if (i == 0 || score > best) {
			best = score;
			first = i;
		}
		if (good && (first_that_works == UINT32_MAX || score > best_good)) {
			best_good = score;
			first_that_works = i;
		}
	}
	return first_that_works == UINT32_MAX ? first : first_that_works;
}

static uint32_t choose_one(const struct exit_plan *plan, const struct choice *choice, uint64_t key)
{
	if (plan->choose == EXIT_ROTATE)
		return first_good(choice, (uint32_t)(key % choice->sources->count));
	return by_key(choice, key);
}

/* ---- a prefix ---- */

/* The numbers below 2^bits, each once, in an order that the secret makes. */
static uint64_t permute(uint64_t number, unsigned bits, uint64_t secret)
{
	uint64_t mask = (UINT64_C(1) << bits) - 1;

	for (unsigned round = 0; round < 4; round++) {
		uint64_t key = keyed_hash(secret, round);
		number = (number * (key | 1) + (key >> 32)) & mask; /* an odd factor: reversible */
		number ^= number >> (bits / 2);
	}
	return number;
}

/* Writes the low `bits` of an address, which are zero. */
static void write_low_bits(struct address *address, unsigned bits, const uint64_t words[2])
{
	for (unsigned bit = 0; bit < bits; bit++)
		if (words[bit / 64] >> bit % 64 & 1)
			address->ip[15 - bit / 8] |= (uint8_t)(1U << bit % 8);
}

/*
 * Whether an interface identifier means something of its own: the subnet's routers (RFC 4291 2.6.1), or reserved anycast addresses (RFC 2526 2: the
 * highest 128, and those in the modified EUI-64 format).
 */
static bool is_reserved(const uint64_t words[2], unsigned bits)
{
	uint64_t low_mask = bits >= 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1;
	uint64_t low = words[0] & low_mask;

	if (low == 0)
		return true;
	if (bits >= 64 && low >> 7 == UINT64_C(0xfdffffffffffff80) >> 7)
		return true;
	return bits > 8 && low >> 7 == low_mask >> 7;
}

/* ---- the way ---- */

static void set_aside(struct exit *exit, struct exit_source *state, struct worker *worker,
		      const struct address *source, int number)
{
	uint64_t now = worker->loop.now;
	uint_fast64_t said = atomic_load_explicit(&state->said_until, memory_order_relaxed);
	char text[ADDRESS_TEXT];

	atomic_store_explicit(&state->aside_until, now + ASIDE_MS, memory_order_relaxed);
	/* One worker says it. */
	if (now < said || !atomic_compare_exchange_strong(&state->said_until, &said, now + ASIDE_SAID_MS))
		return;
	if (worker->log)
		log_say(worker->log, LOG_WARNING,
			"exit \"%s\": cannot leave by %.*s: %s; it is passed over until that works",
			exit->plan->name, (int)address_format_ip(source, text), text,
			number == EADDRNOTAVAIL ? "this machine does not have the address" :
						  strerrordesc_np(number));
}

/* See net_way_unbound_fn. The failed one is set aside; the next is whichever the same rule would choose now. */
static bool exit_on_unbound(const struct net_way *way, struct address *source, int number)
{
	struct exit *exit = way->owner;
	bool v4 = source->family == ADDRESS_V4;
	struct choice choice = {
		.sources = v4 ? &exit->plan->v4 : &exit->plan->v6,
		.states = v4 ? exit->v4 : exit->v6,
		.now = way->worker->loop.now,
	};

	for (uint32_t i = 0; i < choice.sources->count; i++)
		if (address_equal_ip(&choice.sources->items[i], source))
			set_aside(exit, &choice.states[i], way->worker, source, number);
	if (choice.sources->count == 0)
		return false;
	uint32_t next = choose_one(exit->plan, &choice, way->key);
	*source = choice.sources->items[next];
	return !is_aside(&choice, next);
}

/* Who wants to leave, by which exit. */
struct leaving {
	struct exit *exit;
	struct worker *worker;
	uint64_t who; /* the user, else the client */
	uint64_t key; /* of several addresses: the same for all connections that are to have the same */
};

static struct address prefix_address(const struct leaving *leaving)
{
	struct exit *exit = leaving->exit;
	const struct exit_plan *plan = exit->plan;
	unsigned bits = 128 - plan->prefix.prefix;
	struct address address = plan->prefix.address;
	uint64_t words[2] = {0}, key = 0;

	if (plan->sticky)
		key = keyed_hash(leaving->who,
				 slot_of(leaving->who, leaving->worker->loop.wall_ms, plan->sticky));
	do {
		if (plan->sticky) {
			key = keyed_mix(key + 1);
			words[0] = keyed_mix(key ^ exit->secret);
			words[1] = keyed_hash(key, exit->secret);
		} else if (bits <= COUNTED_BITS) {
			uint64_t turn = atomic_fetch_add_explicit(&exit->turn, 1, memory_order_relaxed);
			words[0] = permute(turn, bits, exit->secret);
		} else {
			words[0] = random_next(&leaving->worker->random);
			words[1] = random_next(&leaving->worker->random);
		}
	} while (is_reserved(words, bits));
	write_low_bits(&address, bits, words);
	return address;
}

static struct address source_of(const struct leaving *leaving, enum address_family family)
{
	const struct exit_plan *plan = leaving->exit->plan;
	bool v4 = family == ADDRESS_V4;
	struct choice choice = {
		.sources = v4 ? &plan->v4 : &plan->v6,
		.states = v4 ? leaving->exit->v4 : leaving->exit->v6,
		.now = leaving->worker->loop.now,
	};

	if (v4 ? plan->v4_left_out : plan->v6_left_out)
		return (struct address){0};
	if (choice.sources->count)
		return choice.sources->items[choose_one(plan, &choice, leaving->key)];
	if (!v4 && plan->prefix.address.family == ADDRESS_V6)
		return prefix_address(leaving);
	return (struct address){.family = (uint8_t)family}; /* any, of that family */
}

static uint64_t key_of(const struct leaving *leaving, const struct address *client)
{
	struct exit *exit = leaving->exit;
	uint64_t sticky = exit->plan->sticky;
	bool rotate = exit->plan->choose == EXIT_ROTATE;

	if (exit->plan->choose == EXIT_BY_USER)
		return leaving->who;
	if (exit->plan->choose == EXIT_BY_CLIENT)
		return hash_client(client);
	if (sticky) {
		uint64_t slot = slot_of(leaving->who, leaving->worker->loop.wall_ms, sticky);
		return rotate ? leaving->who + slot : keyed_hash(leaving->who, slot);
	}
	return rotate ? atomic_fetch_add_explicit(&exit->turn, 1, memory_order_relaxed) :
			random_next(&leaving->worker->random);
}

void exit_choose(struct exits *exits, uint32_t index, struct worker *worker, struct span user,
		 const struct address *client, struct net_way *way)
{
	*way = (struct net_way){0};
	if (index == EXIT_NONE)
		return;
	ENSURE(index < exits->count);
	struct exit *exit = &exits->items[index];
	const struct exit_plan *plan = exit->plan;
	struct leaving leaving = {.exit = exit, .worker = worker};

	way->interface = plan->interface;
	way->bound = plan->v4.count || plan->v6.count || plan->v4_left_out || plan->v6_left_out ||
		     plan->prefix.address.family != ADDRESS_NONE;
	if (!way->bound)
		return;
	leaving.who = user.len ? keyed_mix(span_hash(user, 1)) : hash_client(client);
	leaving.key = key_of(&leaving, client);
	way->source_v4 = source_of(&leaving, ADDRESS_V4);
	way->source_v6 = source_of(&leaving, ADDRESS_V6);
	way->freebind = plan->prefix.address.family != ADDRESS_NONE;
	way->on_unbound = exit_on_unbound;
	way->worker = worker;
	way->owner = exit;
	way->key = leaving.key;
}

/* ---- at start ---- */

struct probe {
	const struct exit *exit;
	exit_say_fn *say;
	void *owner;
};

static void probe_one(const struct probe *probe, const struct address *source)
{
	bool v4 = source->family == ADDRESS_V4;
	struct net_way way = {.bound = true, .interface = probe->exit->plan->interface};
	char place[ADDRESS_TEXT + 16], text[256];

	*(v4 ? &way.source_v4 : &way.source_v6) = *source;
	int fd = way_socket(&way, (enum address_family)source->family, SOCK_STREAM);
	if (fd >= 0) {
		close(fd);
		return;
	}
	int number = errno;
	struct error error = way_error(&way, number);
	if (number == ENODEV)
		snprintf(place, sizeof(place), "interface %s", way.interface);
	else
		place[address_format_ip(source, place)] = '\0';
	snprintf(text, sizeof(text), "exit \"%s\": nothing can leave by %s now: %s", probe->exit->plan->name,
		 place,
		 number == EADDRNOTAVAIL ? "this machine does not have the address" : error_text(&error));
	probe->say(probe->owner, text);
}

void exits_probe(struct exits *exits, exit_say_fn *say, void *owner)
{
	for (size_t i = 0; i < exits->count; i++) {
		const struct exit_plan *plan = exits->items[i].plan;
		struct probe probe = {.exit = &exits->items[i], .say = say, .owner = owner};
		for (uint32_t j = 0; j < plan->v4.count; j++)
			probe_one(&probe, &plan->v4.items[j]);
		for (uint32_t j = 0; j < plan->v6.count; j++)
			probe_one(&probe, &plan->v6.items[j]);
		if (plan->interface && plan->v4.count + plan->v6.count == 0)
			probe_one(&probe, &(struct address){.family = ADDRESS_V4});
	}
}
