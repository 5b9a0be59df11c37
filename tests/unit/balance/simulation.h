/*
 * A simulation of queueing servers behind a balancer, in virtual time and with seeded chance: requests arrive at random (Poisson), each server
 * works on a few at a time for a random (exponential) time, and what is too much waits in its queue. For the test and for the bench.
 */
#ifndef GUISE_TESTS_BALANCE_SIMULATION_H
#define GUISE_TESTS_BALANCE_SIMULATION_H

#include "balance/balance.h"

#include <stdlib.h>

enum {
	SIMULATION_SERVERS = 16,
	SIMULATION_SLOTS = 4, /* requests that a server works on at a time */
};

struct simulation {
	const struct balance_ops *ops;
	unsigned servers;
	unsigned slow;     /* the first one takes so many times as long; 1: as long as the others */
	double service_us; /* mean, of the others */
	double load;       /* of all that could be served, in 0..1 */
	unsigned requests; /* that are measured; as many as a tenth before them are not */
	uint64_t seed;
	/* The result, in microseconds. */
	double mean, p50, p99, p999;
	unsigned picked[SIMULATION_SERVERS];
};

/* When a slot of a server ends its last request, and which requests are under way, ordered by their ends. */
struct simulation_event {
	double end, begin;
	unsigned server;
};

struct simulation_state {
	struct random random;
	struct simulation_event *heap;
	unsigned under_way;
	double free_at[SIMULATION_SERVERS][SIMULATION_SLOTS];
	atomic_uint in_flight[SIMULATION_SERVERS];
	double *latencies;
	unsigned measured;
};

/* With a mean of 1: -ln of a number in (0, 1]. By a series, so that the figures are the same with every C library. */
static inline double simulation_exponential(struct random *random)
{
	double x = 1 - (double)(random_next(random) >> 11) * 0x1p-53, halvings = 0;

	for (; x < 0.5; x *= 2)
		halvings++;
	double y = (1 - x) / (1 + x), square = y * y, sum = 0;
	for (int i = 13; i > 0; i -= 2)
		sum = sum * square + 1.0 / i;
	return halvings * 0.69314718055994531 + 2 * y * sum;
}

static inline void simulation_push(struct simulation_state *state, struct simulation_event event)
{
	unsigned at = state->under_way++;

	for (; at > 0 && state->heap[(at - 1) / 2].end > event.end; at = (at - 1) / 2)
		state->heap[at] = state->heap[(at - 1) / 2];
	state->heap[at] = event;
}

static inline struct simulation_event simulation_pop(struct simulation_state *state)
{
	struct simulation_event first = state->heap[0], last = state->heap[--state->under_way];
	unsigned at = 0;

	for (;;) {
		unsigned child = 2 * at + 1;
		if (child >= state->under_way)
			break;
		if (child + 1 < state->under_way && state->heap[child + 1].end < state->heap[child].end)
			child++;
		if (state->heap[child].end >= last.end)
			break;
		state->heap[at] = state->heap[child];
		at = child;
	}
	state->heap[at] = last;
	return first;
}

/* A request that comes at `now` to a server takes the slot that is free first; when it will be answered. */
static inline double simulation_serve(struct simulation_state *state, const struct simulation *simulation,
				      unsigned server, double now)
{
	double *slot = &state->free_at[server][0];

	for (int i = 1; i < SIMULATION_SLOTS; i++)
		if (state->free_at[server][i] < *slot)
			slot = &state->free_at[server][i];
	double begin = *slot > now ? *slot : now;
	double mean = server == 0 ? simulation->service_us * simulation->slow : simulation->service_us;
	*slot = begin + mean * simulation_exponential(&state->random);
	return *slot;
}

static inline int simulation_compare(const void *one, const void *other)
{
	double a = *(const double *)one, b = *(const double *)other;

	return (a > b) - (a < b);
}

/* What is answered until `now`. */
static inline void simulation_answers(struct simulation_state *state, struct balance *balance, double now)
{
	while (state->under_way > 0 && state->heap[0].end <= now) {
		struct simulation_event event = simulation_pop(state);

		atomic_fetch_sub_explicit(&state->in_flight[event.server], 1, memory_order_relaxed);
		balance_on_in_flight(balance, event.server);
		balance_on_latency(balance, event.server, (uint64_t)(event.end - event.begin),
				   (uint64_t)event.end);
	}
}

static inline void simulation_requests(struct simulation *simulation, struct simulation_state *state,
				       struct balance *balance)
{
	double capacity = simulation->servers - 1 + 1.0 / simulation->slow;
	double gap = simulation->service_us / (capacity * SIMULATION_SLOTS * simulation->load), now = 1e6;
	unsigned warm = simulation->requests / 10;

	for (unsigned i = 0; i < warm + simulation->requests; i++) {
		now += gap * simulation_exponential(&state->random);
		simulation_answers(state, balance, now);
		int index = balance_pick(balance, &(struct balance_query){.now_us = (uint64_t)now});
		ENSURE(index != BALANCE_NONE);
		atomic_fetch_add_explicit(&state->in_flight[index], 1, memory_order_relaxed);
		balance_on_in_flight(balance, (unsigned)index);
		double end = simulation_serve(state, simulation, (unsigned)index, now);
		simulation_push(state, (struct simulation_event){end, now, (unsigned)index});
		if (i < warm)
			continue;
		simulation->picked[index]++;
		state->latencies[state->measured++] = end - now;
	}
}

static inline void simulation_run(struct simulation *simulation)
{
	struct balance_entry entries[SIMULATION_SERVERS] = {0};
	struct simulation_state state = {0};
	unsigned all = simulation->requests + simulation->requests / 10;
	struct memory memory;
	struct balance balance;
	double sum = 0;

	ENSURE(simulation->servers <= SIMULATION_SERVERS);
	memory_init(&memory, 0);
	for (int i = 0; i < 4; i++)
		state.random.state[i] = simulation->seed * UINT64_C(0x9e3779b97f4a7c15) +
					(uint64_t)i * UINT64_C(0xd1342543de82ef95);
	for (int i = 0; i < 16; i++)
		(void)random_next(&state.random);
	state.heap = calloc(all, sizeof(*state.heap));
	state.latencies = calloc(all, sizeof(*state.latencies));
	ENSURE(state.heap && state.latencies);
	for (unsigned i = 0; i < simulation->servers; i++)
		entries[i] = (struct balance_entry){
			.id = i, .weight = 256, .available = true, .in_flight = &state.in_flight[i]};
	ENSURE(balance_init(&balance, &(struct balance_options){
					      .ops = simulation->ops,
					      .memory = &memory,
					      .random = &state.random,
					      .entries = entries,
					      .count = simulation->servers,
				      }));
	simulation_requests(simulation, &state, &balance);
	balance_fini(&balance);
	qsort(state.latencies, state.measured, sizeof(*state.latencies), simulation_compare);
	for (unsigned i = 0; i < state.measured; i++)
		sum += state.latencies[i];
	simulation->mean = sum / state.measured;
	simulation->p50 = state.latencies[state.measured / 2];
	simulation->p99 = state.latencies[(uint64_t)state.measured * 99 / 100];
	simulation->p999 = state.latencies[(uint64_t)state.measured * 999 / 1000];
	free(state.heap);
	free(state.latencies);
}

#endif
