/*
 * What is seen in an interval: each server's share of failures and errors, and its mean latency, beside the others'. Also tells the log when a server
 * takes requests again. See outlier.h; on the control thread, from the counters of all workers.
 */
#include "upstream/fleet_internal.h"
#include "upstream/group.h"
#include "upstream/outlier_internal.h"

#include <stdio.h>

/* Sums over workers. */
struct seen {
	uint64_t answers, bad, latency_us; /* `bad`: not answered, or with an error */
	uint64_t failures;
};

struct watched_server {
	struct fleet_server *server; /* the roster's */
	struct seen total, interval;
	bool out; /* as the log has it */
};

struct watched_group {
	struct worker *worker;
	struct fleet_group *group;
	struct roster *roster; /* held; NULL: nothing was seen yet */
	struct watched_server *servers;
	struct timer timer;
};

struct outliers {
	struct worker *worker;
	size_t count, size;
	struct watched_group groups[];
};

/* ---- counting ---- */

static struct seen sum_of(const struct fleet_server *server, unsigned counters)
{
	struct fleet_sums sums = fleet_server_sums(server, counters);

	return (struct seen){
		.answers = sums.answers,
		.bad = sums.failures + sums.errors,
		.latency_us = sums.latency_us,
		.failures = sums.failures,
	};
}

static void seen_add(struct seen *sum, const struct seen *more)
{
	sum->answers += more->answers;
	sum->bad += more->bad;
	sum->latency_us += more->latency_us;
	sum->failures += more->failures;
}

static struct seen seen_without(const struct seen *sum, const struct seen *less)
{
	return (struct seen){
		.answers = sum->answers - less->answers,
		.bad = sum->bad - less->bad,
		.latency_us = sum->latency_us - less->latency_us,
		.failures = sum->failures - less->failures,
	};
}

static uint64_t finished(const struct seen *seen)
{
	return seen->answers + seen->failures;
}

/* ---- who the servers are ---- */

static struct watched_server *watched_find(const struct watched_group *watched,
					   const struct fleet_server *server)
{
	for (unsigned i = 0; watched->roster && i < watched->roster->count; i++)
		if (watched->servers[i].server == server)
			return &watched->servers[i];
	return NULL;
}

static void watched_forget(struct watched_group *watched)
{
	if (watched->servers)
		memory_free(watched->worker->memory, watched->servers,
			    watched->roster->count * sizeof(*watched->servers));
	roster_release(watched->roster);
	watched->roster = NULL;
	watched->servers = NULL;
}

/* Takes the group's roster over. False: out of memory, and what was known stays. */
static bool watched_follow(struct watched_group *watched)
{
	struct roster *roster = fleet_roster(watched->group);
	size_t size = roster->count * sizeof(*watched->servers);
	struct watched_server *servers = NULL;

	if (roster == watched->roster) {
		roster_release(roster);
		return true;
	}
	if (size && !(servers = memory_alloc(watched->worker->memory, size))) {
		roster_release(roster);
		return false;
	}
	for (unsigned i = 0; i < roster->count; i++) {
		struct fleet_server *server = roster->members[i].server;
		const struct watched_server *known = watched_find(watched, server);
		servers[i] =
			known ? *known :
				(struct watched_server){.server = server,
							.total = sum_of(server, watched->group->fleet->seats)};
	}
	watched_forget(watched);
	watched->roster = roster;
	watched->servers = servers;
	return true;
}

/* ---- judging ---- */

static bool is_enough(const struct outlier_settings *settings, uint64_t count)
{
	return count > 0 && count >= settings->requests;
}

/* Percentage points that the server's share of bad ones is above the others'; 0: it is not, or too little is known. */
static uint64_t rate_excess(const struct outlier_settings *settings, const struct seen *own,
			    const struct seen *others)
{
	uint64_t count = finished(own), other_count = finished(others);

	if (!settings->error_rate || !is_enough(settings, count) || !is_enough(settings, other_count))
		return 0;
	uint64_t rate = own->bad * 100 / count, other_rate = others->bad * 100 / other_count;
	return rate >= other_rate + settings->error_rate ? rate - other_rate : 0;
}

/* The server's mean as a percentage of the others'; 0: it is less than what is put up with, or too little is known. */
static uint64_t latency_excess(const struct outlier_settings *settings, const struct seen *own,
			       const struct seen *others)
{
	if (!settings->latency || !is_enough(settings, own->answers) || !is_enough(settings, others->answers))
		return 0;
	uint64_t mean = own->latency_us / own->answers, other_mean = others->latency_us / others->answers;
	uint64_t percent = mean * 100 / size_max(other_mean, 1);
	return percent >= settings->latency ? percent : 0;
}

typedef uint64_t excess_fn(const struct outlier_settings *settings, const struct seen *own,
			   const struct seen *others);

/* The worst of those that are not left out; NULL: none is bad. */
static struct watched_server *find_worst(const struct watched_group *watched, const struct seen *all,
					 excess_fn *excess)
{
	const struct outlier_settings *settings = &watched->group->plan->settings->outliers;
	struct watched_server *worst = NULL;
	uint64_t most = 0;

	for (unsigned i = 0; i < watched->roster->count; i++) {
		struct watched_server *one = &watched->servers[i];
		struct seen others = seen_without(all, &one->interval);
		uint64_t by = excess(settings, &one->interval, &others);
		if (by <= most || atomic_load(&one->server->ejected_until) > watched->worker->loop.now)
			continue;
		most = by;
		worst = one;
	}
	return worst;
}

/* The worst ones first, until no more may be left out. What was judged says no more about the others. */
static void judge(const struct watched_group *watched, struct seen *all, excess_fn *excess, const char *what)
{
	struct watched_server *worst;
	char why[128];

	while ((worst = find_worst(watched, all, excess))) {
		const struct seen *own = &worst->interval;
		struct seen others = seen_without(all, own);
		(void)snprintf(why, sizeof(why),
			       "%s: %llu of %llu failed, %llu us on average; others: %llu of %llu, %llu us",
			       what, (unsigned long long)own->bad, (unsigned long long)finished(own),
			       (unsigned long long)(own->latency_us / size_max(own->answers, 1)),
			       (unsigned long long)others.bad, (unsigned long long)finished(&others),
			       (unsigned long long)(others.latency_us / size_max(others.answers, 1)));
		if (!outlier_eject(watched->group, worst->server, watched->worker, why))
			return;
		*all = others;
		worst->interval = (struct seen){0};
	}
}

/* ---- each interval ---- */

static void tell_returns(const struct watched_group *watched)
{
	const struct setting_string *name = &watched->group->plan->settings->name;

	for (unsigned i = 0; i < watched->roster->count; i++) {
		struct watched_server *one = &watched->servers[i];
		bool out = atomic_load(&one->server->ejected_until) > watched->worker->loop.now;
		if (one->out && !out)
			log_say(watched->worker->log, LOG_INFO, "group %.*s: server %.*s takes requests again",
				(int)name->len, name->text, SPAN_ARG(one->server->text));
		one->out = out;
	}
}

static struct seen count_interval(const struct watched_group *watched)
{
	struct seen all = {0};

	for (unsigned i = 0; i < watched->roster->count; i++) {
		struct watched_server *one = &watched->servers[i];
		struct seen now = sum_of(one->server, watched->group->fleet->seats);
		one->interval = seen_without(&now, &one->total);
		one->total = now;
		seen_add(&all, &one->interval);
	}
	return all;
}

static void watched_look(struct watched_group *watched)
{
	if (!watched_follow(watched))
		return;
	tell_returns(watched);
	struct seen all = count_interval(watched);
	judge(watched, &all, rate_excess, "failures and errors");
	judge(watched, &all, latency_excess, "latency");
	tell_returns(watched);
}

static void watched_on_time(struct timer *timer)
{
	struct watched_group *watched = CONTAINER_OF(timer, struct watched_group, timer);

	watched_look(watched);
	loop_timer_start(&watched->worker->loop, timer, watched->group->plan->settings->outliers.interval);
}

static bool is_wanted(const struct outlier_settings *settings)
{
	return settings->connects || settings->failures || settings->errors || settings->error_rate ||
	       settings->latency;
}

struct outliers *outliers_start(struct worker *worker)
{
	size_t count = upstream_group_count(worker);
	size_t size = sizeof(struct outliers) + count * sizeof(struct watched_group);
	struct outliers *outliers = memory_alloc(worker->memory, size);

	if (!outliers)
		return NULL;
	memset(outliers, 0, size);
	outliers->worker = worker;
	outliers->count = count;
	outliers->size = size;
	for (size_t i = 0; i < count; i++) {
		struct watched_group *watched = &outliers->groups[i];
		watched->worker = worker;
		watched->group = upstream_group(worker, i)->fleet;
		timer_init(&watched->timer, watched_on_time);
		if (!is_wanted(&watched->group->plan->settings->outliers))
			continue;
		if (!watched_follow(watched)) {
			outliers_stop(outliers);
			return NULL;
		}
		loop_timer_start(&worker->loop, &watched->timer,
				 watched->group->plan->settings->outliers.interval);
	}
	return outliers;
}

void outliers_stop(struct outliers *outliers)
{
	if (!outliers)
		return;
	for (size_t i = 0; i < outliers->count; i++) {
		loop_timer_stop(&outliers->worker->loop, &outliers->groups[i].timer);
		watched_forget(&outliers->groups[i]);
	}
	memory_free(outliers->worker->memory, outliers, outliers->size);
}
