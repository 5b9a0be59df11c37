/*
 * bench-balance: what picking a server costs, and what it is good for.
 *
 * First the time of one pick in nanoseconds, for each algorithm, for groups of several sizes, with equal and with varied weights: idle, and
 * with requests that come and go, where the time includes telling the algorithm of both. Medians over rounds, in which the algorithms take
 * turns. Then a simulation in virtual time: ten queueing servers, one of them ten times as slow.
 *
 * Usage: bench-balance [-q]     -q: few rounds, to see that it works
 *
 * One thread. Exit status 1 when an algorithm found nobody, or when one that looks at loads or latencies does not beat round robin in the
 * 99th percentile.
 */
#include "balance/balance.h"
#include "unit/balance/simulation.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
	ALGORITHMS_MAX = 16,
	ROUNDS_MAX = 31,
	PICKS = 1 << 16,   /* in a round */
	HELD = 4096,       /* requests under way, in the busy rounds at most; a power of two */
	SERVER_SIZE = 256, /* bytes from one counter to the next: they lie in larger objects */
};

/* A counter as it lies in a server's object: in a cache line of its own. */
struct server {
	_Alignas(64) atomic_uint in_flight;
	char rest[SERVER_SIZE - sizeof(atomic_uint)];
};

struct bench {
	struct memory memory;
	struct random random;
	struct balance balance;
	struct balance_entry *entries;
	struct server *servers;
	unsigned count;
	uint64_t keys;
	unsigned missed;
	unsigned held[HELD];
};

/* Of the processor: what others do meanwhile is not counted. */
static double now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static void start(struct bench *bench, const struct balance_ops *ops, unsigned count, bool varied)
{
	memset(bench, 0, sizeof(*bench));
	memory_init(&bench->memory, 0);
	random_init(&bench->random);
	bench->count = count;
	bench->entries = calloc(count, sizeof(*bench->entries));
	bench->servers = aligned_alloc(64, count * sizeof(*bench->servers));
	ENSURE(bench->entries && bench->servers);
	memset(bench->servers, 0, count * sizeof(*bench->servers));
	for (unsigned i = 0; i < count; i++)
		bench->entries[i] = (struct balance_entry){
			.id = i * UINT64_C(7919),
			.weight = varied ? (1 + i * 37 % 100) * 256 : 256,
			.available = true,
			.in_flight = &bench->servers[i].in_flight,
			.latency_us = 1000 + i % 7,
			.latency_at_us = 1,
		};
	ENSURE(balance_init(&bench->balance, &(struct balance_options){
						     .ops = ops,
						     .memory = &bench->memory,
						     .random = &bench->random,
						     .entries = bench->entries,
						     .count = count,
						     .bound = 125,
					     }));
}

static void stop(struct bench *bench)
{
	balance_fini(&bench->balance);
	free(bench->entries);
	free(bench->servers);
}

/* The multiplication is what stands here for hashing a key; it costs a nanosecond. */
static unsigned pick(struct bench *bench)
{
	const struct balance_query query = {.hash = ++bench->keys * UINT64_C(0x9e3779b97f4a7c15),
					    .now_us = 1000000 + bench->keys};
	int index = balance_pick(&bench->balance, &query);

	if (index != BALANCE_NONE)
		return (unsigned)index;
	bench->missed++;
	return 0;
}

static double idle_round(struct bench *bench)
{
	double begin = now_ns();

	for (unsigned i = 0; i < PICKS; i++)
		(void)pick(bench);
	return (now_ns() - begin) / PICKS;
}

static void begin(struct bench *bench, unsigned index)
{
	atomic_fetch_add_explicit(&bench->servers[index].in_flight, 1, memory_order_relaxed);
	balance_on_in_flight(&bench->balance, index);
}

static void end(struct bench *bench, unsigned index)
{
	atomic_fetch_sub_explicit(&bench->servers[index].in_flight, 1, memory_order_relaxed);
	balance_on_in_flight(&bench->balance, index);
	balance_on_latency(&bench->balance, index, 1000 + index % 7, 1000000 + bench->keys);
}

/* Four requests for each server are under way; each new one ends one that was begun at some time before. */
static double busy_round(struct bench *bench)
{
	unsigned held = bench->count * 4 < HELD ? bench->count * 4 : HELD;

	for (unsigned i = 0; i < held; i++)
		begin(bench, bench->held[i] = pick(bench));
	double began = now_ns();
	for (unsigned i = 0; i < PICKS; i++) {
		unsigned slot = (unsigned)((random_next(&bench->random) >> 32) * held >> 32);
		end(bench, bench->held[slot]);
		bench->held[slot] = pick(bench);
		begin(bench, bench->held[slot]);
	}
	double took = (now_ns() - began) / PICKS;
	for (unsigned i = 0; i < held; i++)
		end(bench, bench->held[i]);
	return took;
}

static double median(double *samples, unsigned count)
{
	qsort(samples, count, sizeof(*samples), simulation_compare);
	return samples[count / 2];
}

/* One line of the table for each algorithm. False: somebody was not found. */
static bool time_picks(unsigned count, bool varied, unsigned rounds)
{
	static double idle[ALGORITHMS_MAX][ROUNDS_MAX], busy[ALGORITHMS_MAX][ROUNDS_MAX];
	static struct bench bench[ALGORITHMS_MAX];
	unsigned missed = 0;

	for (unsigned a = 0; balance_algorithms[a]; a++)
		start(&bench[a], balance_algorithms[a], count, varied);
	for (unsigned round = 0; round < rounds; round++)
		for (unsigned a = 0; balance_algorithms[a]; a++) {
			(void)idle_round(&bench[a]); /* warms the caches */
			idle[a][round] = idle_round(&bench[a]);
			busy[a][round] = busy_round(&bench[a]);
		}
	for (unsigned a = 0; balance_algorithms[a]; a++) {
		printf("%-12s %8u %-8s %10.1f %18.1f\n", balance_names[a], count, varied ? "varied" : "equal",
		       median(idle[a], rounds), median(busy[a], rounds));
		missed += bench[a].missed;
		stop(&bench[a]);
	}
	fflush(stdout);
	return missed == 0;
}

static bool simulate(unsigned requests, double load)
{
	static const char *const judged[] = {"least_conn", "p2c", "ewma"};
	double round_robin = 0;
	bool good = true;

	printf("\nTen servers, the first of them ten times as slow as the others (1 ms on average, 4 requests at a time);\n"
	       "load %.0f %% of what all can do, %u requests\n",
	       load * 100, requests);
	printf("%-12s %10s %10s %10s %10s %14s\n", "", "mean ms", "p50 ms", "p99 ms", "p999 ms", "to slow one");
	for (unsigned a = 0; balance_algorithms[a] && !balance_algorithms[a]->keyed; a++) {
		struct simulation simulation = {
			.ops = balance_algorithms[a],
			.servers = 10,
			.slow = 10,
			.service_us = 1000,
			.load = load,
			.requests = requests,
			.seed = 1,
		};
		simulation_run(&simulation);
		printf("%-12s %10.2f %10.2f %10.2f %10.2f %13.2f%%\n", balance_names[a],
		       simulation.mean / 1000, simulation.p50 / 1000, simulation.p99 / 1000,
		       simulation.p999 / 1000, 100.0 * simulation.picked[0] / requests);
		round_robin = a == 0 ? simulation.p99 : round_robin;
		for (size_t i = 0; i < ARRAY_LENGTH(judged); i++)
			if (strcmp(judged[i], balance_names[a]) == 0 && simulation.p99 >= round_robin)
				good = false;
	}
	printf("least_conn, p2c and ewma %s round robin in p99\n", good ? "beat" : "DO NOT ALL BEAT");
	return good;
}

int main(int argc, char **argv)
{
	static const unsigned counts[] = {3, 10, 100, 1000};
	/* At the lowest, the slow server can bear its turns of round robin; at the others it has more and more to do. */
	static const double loads[] = {0.08, 0.6, 0.8};
	bool quick = false, good = true;
	int option;

	while ((option = getopt(argc, argv, "q")) != -1) {
		if (option != 'q')
			return 2;
		quick = true;
	}
	printf("%-12s %8s %-8s %10s %18s\n", "ns", "servers", "weights", "pick", "begin, pick, end");
	for (size_t i = 0; i < ARRAY_LENGTH(counts); i++)
		for (int varied = 0; varied < 2; varied++)
			good = time_picks(counts[i], varied, quick ? 3 : ROUNDS_MAX) && good;
	for (size_t i = 0; i < ARRAY_LENGTH(loads); i++)
		good = simulate(quick ? 100000 : 1000000, loads[i]) && good;
	return good ? 0 : 1;
}
