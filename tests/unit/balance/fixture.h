/*
 * What the tests of the room share: entries with counters, a balance over them, and picks that are counted.
 */
#ifndef GUISE_TESTS_BALANCE_FIXTURE_H
#define GUISE_TESTS_BALANCE_FIXTURE_H

#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stddef.h>
#include <cmocka.h>

#include "balance/balance.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fixture {
	struct memory memory;
	struct random random;
	struct balance balance;
	struct balance_options options;
	struct balance_entry *entries;
	atomic_uint *in_flight;
	unsigned *picked;
	uint64_t keys; /* drawn so far */
};

static inline const struct balance_ops *algorithm(const char *name)
{
	for (size_t i = 0; balance_algorithms[i]; i++)
		if (strcmp(balance_algorithms[i]->name, name) == 0)
			return balance_algorithms[i];
	fail_msg("no algorithm %s", name);
	return NULL;
}

/* Chance that is the same in every run. */
static inline void seed(struct random *random, uint64_t number)
{
	for (int i = 0; i < 4; i++)
		random->state[i] = (number + 1) * UINT64_C(0x9e3779b97f4a7c15) +
				   (uint64_t)i * UINT64_C(0xd1342543de82ef95);
	for (int i = 0; i < 16; i++)
		(void)random_next(random);
}

/* An id as of a server; nothing that lies evenly. */
static inline uint64_t server_id(unsigned number)
{
	return UINT64_C(10007) * number + 80;
}

/* `weights` repeat when there are more entries. Weights are in units of the configuration; 256 parts each. */
static inline void fixture_prepare(struct fixture *fixture, const char *name, const unsigned *weights,
				   unsigned kinds, unsigned count)
{
	memset(fixture, 0, sizeof(*fixture));
	memory_init(&fixture->memory, 0);
	seed(&fixture->random, count);
	fixture->entries = calloc(count + 1, sizeof(*fixture->entries));
	fixture->in_flight = calloc(count + 1, sizeof(*fixture->in_flight));
	fixture->picked = calloc(count + 1, sizeof(*fixture->picked));
	assert_true(fixture->entries && fixture->in_flight && fixture->picked);
	for (unsigned i = 0; i < count; i++)
		fixture->entries[i] = (struct balance_entry){
			.id = server_id(i),
			.weight = weights[i % kinds] * 256,
			.available = true,
			.in_flight = &fixture->in_flight[i],
		};
	fixture->options = (struct balance_options){
		.ops = algorithm(name),
		.memory = &fixture->memory,
		.random = &fixture->random,
		.entries = fixture->entries,
		.count = count,
	};
}

static inline void fixture_start(struct fixture *fixture, const char *name, const unsigned *weights,
				 unsigned kinds, unsigned count)
{
	fixture_prepare(fixture, name, weights, kinds, count);
	assert_true(balance_init(&fixture->balance, &fixture->options));
}

/* All memory came back. */
static inline void fixture_end(struct fixture *fixture)
{
	balance_fini(&fixture->balance);
	assert_int_equal(atomic_load(&fixture->memory.used), 0);
	free(fixture->entries);
	free(fixture->in_flight);
	free(fixture->picked);
}

/* A hash as a key has it; `number` names the key. */
static inline uint64_t key_hash(uint64_t number)
{
	number = (number + 1) * UINT64_C(0x9e3779b97f4a7c15);
	number = (number ^ number >> 32) * UINT64_C(0xd6e8feb86659fd93);
	return number ^ number >> 32;
}

static inline int pick_avoiding(struct fixture *fixture, const unsigned *avoid, unsigned count)
{
	const struct balance_query query = {
		.avoid = avoid,
		.avoid_count = count,
		.hash = key_hash(fixture->keys++),
		.now_us = 1000000 + fixture->keys,
	};
	int index = balance_pick(&fixture->balance, &query);

	assert_in_range(index + 1, 0, fixture->options.count);
	return index;
}

static inline int pick(struct fixture *fixture)
{
	return pick_avoiding(fixture, NULL, 0);
}

static inline void begin(struct fixture *fixture, unsigned index)
{
	atomic_fetch_add(&fixture->in_flight[index], 1);
	balance_on_in_flight(&fixture->balance, index);
}

static inline void end(struct fixture *fixture, unsigned index)
{
	atomic_fetch_sub(&fixture->in_flight[index], 1);
	balance_on_in_flight(&fixture->balance, index);
}

static inline void set_in_flight(struct fixture *fixture, unsigned index, unsigned value)
{
	atomic_store(&fixture->in_flight[index], value);
	balance_on_in_flight(&fixture->balance, index);
}

/* Picks `times`, none of which may find nobody, and counts. */
static inline void pick_many(struct fixture *fixture, unsigned times)
{
	memset(fixture->picked, 0, (fixture->options.count + 1) * sizeof(*fixture->picked));
	for (unsigned i = 0; i < times; i++) {
		int index = pick(fixture);

		assert_int_not_equal(index, BALANCE_NONE);
		fixture->picked[index]++;
	}
}

/* In hundredths of a percent of `times`, by how much the worst entry's share is off its weight's. */
static inline unsigned worst_share(const struct fixture *fixture, unsigned times)
{
	double total = 0, worst = 0;

	for (unsigned i = 0; i < fixture->options.count; i++)
		if (fixture->entries[i].available)
			total += fixture->entries[i].weight;
	for (unsigned i = 0; i < fixture->options.count; i++) {
		double fair = fixture->entries[i].available ? fixture->entries[i].weight / total : 0;
		double off = (double)fixture->picked[i] / times - fair;

		if (off < 0)
			off = -off;
		worst = off > worst ? off : worst;
	}
	return (unsigned)(worst * 10000);
}

#endif
