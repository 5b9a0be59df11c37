/*
 * Rules looked at one by one and in order, for who says something about them: explanations, and the proxy.pac that is made from them. What is
 * decided, rules_judge alone decides.
 */
#ifndef GUISE_ROUTE_RULE_VIEW_H
#define GUISE_ROUTE_RULE_VIEW_H

#include "route/domain.h"
#include "route/rule.h"

struct port_range {
	uint16_t first, last;
};

struct port_list {
	struct port_range *items;
	size_t count;
};

struct network_list {
	struct network *items;
	size_t count;
};

/* All borrowed from the rules. A condition without members is not given, and holds. */
struct rule_view {
	bool allow;
	struct setting_place place;
	struct span name;                     /* as in struct verdict */
	const struct rule_settings *settings; /* as it was written */
	enum rule_pac pac;
	const struct rule_actions *actions;
	const struct domain_pattern *domains; /* but for those with "*" inside of labels, which are `others` */
	size_t domain_count;
	const struct network_list *addresses;
	const struct port_list *ports;
	unsigned schemes; /* 1 << enum rule_scheme; 0: any */
	bool others; /* it has conditions besides: a request may have all of the above, and the rule not hold for it */
};

size_t rules_count(const struct rules *rules);
void rules_at(const struct rules *rules, size_t index, struct rule_view *view); /* index < rules_count */

/* ---- why a rule decides, or does not ---- */

enum rule_holds {
	RULE_HOLDS_NOT,
	RULE_HOLDS,
	RULE_HOLDS_UNKNOWN, /* depends on the address, which is not known yet */
};

enum { RULE_CONDITIONS = 12 };

struct rule_condition {
	const char *what; /* its key in the configuration */
	struct span text; /* what is asked for, as it was written; in the arena */
	enum rule_holds holds;
};

/* Those that the rule has, in the order of the reference page. False: out of memory. */
WARN_UNUSED bool rules_explain(const struct rules *rules, size_t index, const struct rule_query *query,
			       struct arena *arena, struct rule_condition conditions[RULE_CONDITIONS],
			       size_t *count);

#endif
