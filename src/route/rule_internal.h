/*
 * What the files of forward rules share: rules as they are compiled, and how one is judged.
 */
#ifndef GUISE_ROUTE_RULE_INTERNAL_H
#define GUISE_ROUTE_RULE_INTERNAL_H

#include "route/domain_glob.h"
#include "route/lists.h"
#include "route/pattern.h"
#include "route/rule_view.h"
#include "route/times.h"

struct word_list {
	struct span *items;
	size_t count;
};

/* Names of hosts, in whatever way a rule gives them. */
struct rule_domains {
	struct domain_set set;
	struct domain_pattern *patterns; /* those of the set, as they were written */
	struct domain_glob *globs;
	size_t pattern_count, glob_count;
};

struct rule_patterns {
	struct pattern **items;
	size_t count;
};

struct rule_lists {
	const struct list **items;
	size_t count;
};

struct rule_times {
	struct week_time *items;
	size_t count;
};

/* One rule. A condition without members is not given, and holds. */
struct rule {
	const struct rule_settings *settings;
	const struct rule_match_settings *match; /* of those */
	bool allow;
	struct span name;
	const struct rule_actions *actions; /* the same for all rules that say the same */
	struct word_list users, groups, methods, listeners;
	struct network_list sources, addresses;
	struct rule_domains domains;
	struct rule_patterns regex;
	struct rule_lists lists;
	struct port_list ports;
	struct rule_times times;
	unsigned schemes; /* 1 << enum rule_scheme; 0: not given */
};

struct rules {
	struct rule *items;
	size_t count;
	bool any_allow;
	bool by_name; /* some rule looks at names */
	bool by_time;
	struct network_list sources; /* of the listener */
	struct pattern_list patterns;
	struct memory *memory;
	struct week_clock *clock; /* the one thing here that changes: what minute it is */
};

/* One question, with what several rules want to know of it. Lives while it is judged. */
struct rule_judge {
	const struct rules *rules;
	const struct rule_query *query;
	unsigned minute;         /* of the week; if a rule goes by time */
	struct host_name host;   /* if a rule goes by names */
	bool gave_up;            /* a pattern did: nobody knows whether it matches */
	const struct list *list; /* the one that has matched last */
};

extern const struct rule_actions rule_no_actions;

void rule_judge_start(struct rule_judge *judge, const struct rules *rules, const struct rule_query *query);

/* Each condition by itself; those that are not given hold. UNKNOWN: it depends on the address, which is not known yet. */
enum rule_holds rule_users_hold(const struct rule *rule, const struct rule_query *query);
enum rule_holds rule_groups_hold(const struct rule *rule, const struct rule_query *query);
enum rule_holds rule_sources_hold(const struct rule *rule, const struct rule_query *query);
enum rule_holds rule_domains_hold(const struct rule *rule, const struct rule_judge *judge);
enum rule_holds rule_regex_holds(const struct rule *rule, struct rule_judge *judge);
enum rule_holds rule_lists_hold(const struct rule *rule, struct rule_judge *judge);
enum rule_holds rule_addresses_hold(const struct rule *rule, const struct rule_query *query);
enum rule_holds rule_ports_hold(const struct rule *rule, const struct rule_query *query);
enum rule_holds rule_methods_hold(const struct rule *rule, const struct rule_query *query);
enum rule_holds rule_schemes_hold(const struct rule *rule, const struct rule_query *query);
enum rule_holds rule_times_hold(const struct rule *rule, const struct rule_judge *judge);
enum rule_holds rule_listeners_hold(const struct rule *rule, const struct rule_query *query);

/* All of them: NO as soon as one does not hold. */
enum rule_holds rule_holds(const struct rule *rule, struct rule_judge *judge);

#endif
