/*
 * The egress guard. Any thread.
 */
#include "route/guard.h"

#include <stdio.h>
#include <stdlib.h>

static bool is_wildcard(const struct address *address)
{
	static const uint8_t zero[16];

	return memcmp(address->ip, zero, address->family == ADDRESS_V4 ? 4 : 16) == 0;
}

/*
 * An address of this machine, as a listener on a wildcard address hears it. To connect to the unspecified address
 * reaches this machine too.
 */
static bool is_local(const struct guard_own *own, const struct address *target)
{
	struct address bare = *target;

	if (target->family == ADDRESS_V4 && (target->ip[0] == 127 || is_wildcard(target)))
		return true;
	if (target->family == ADDRESS_V6 &&
	    (is_wildcard(target) || memcmp(target->ip, &in6addr_loopback, sizeof(target->ip)) == 0))
		return true;
	bare.port = 0;
	return own->interfaces && address_set_has(own->interfaces, &bare);
}

bool guard_is_own(const struct guard_own *own, const struct address *target)
{
	struct address plain = address_unmap(target);

	for (size_t i = 0; i < own->listener_count; i++) {
		struct address listener = address_unmap(&own->listeners[i]);

		if (listener.port != plain.port ||
		    (listener.family != ADDRESS_V4 && listener.family != ADDRESS_V6))
			continue;
		if (address_equal_ip(&listener, &plain))
			return true;
		/* 0.0.0.0 as a target reaches a listener on 127.0.0.1, and the other way round. */
		if ((is_wildcard(&listener) || is_wildcard(&plain)) && is_local(own, &plain))
			return true;
	}
	return false;
}

static int name_compare(const void *left, const void *right)
{
	const struct guard_name *a = left, *b = right;
	int order = memcmp(a->host.at, b->host.at, size_min(a->host.len, b->host.len));

	if (order == 0 && a->host.len != b->host.len)
		order = a->host.len < b->host.len ? -1 : 1;
	return order ? order : (int)a->port - (int)b->port;
}

void guard_names_sort(struct guard_name *names, size_t count)
{
	if (count)
		qsort(names, count, sizeof(*names), name_compare);
}

bool guard_is_server(const struct guard_own *own, const struct address *target, struct span host)
{
	struct guard_name asked = {.host = host, .port = target->port};

	if (own->servers && address_set_has(own->servers, target))
		return true;
	return own->name_count && host.len &&
	       bsearch(&asked, own->names, own->name_count, sizeof(asked), name_compare);
}

static bool is_broadcast(const struct guard_own *own, const struct address *target)
{
	struct address bare = *target;

	bare.port = 0;
	return own->broadcasts && address_set_has(own->broadcasts, &bare);
}

static void explain(struct guard_verdict *verdict, const struct address *target)
{
	const struct special_range *special = verdict->special;
	const char *quote = target->family == ADDRESS_V6 ? "\"" : ""; /* "::1" would be a key to YAML */
	char ip[ADDRESS_TEXT], why[GUARD_TEXT / 2];

	ip[size_min(address_format_ip(target, ip), sizeof(ip) - 1)] = '\0';
	switch (verdict->outcome) {
	case GUARD_OWN:
		snprintf(why, sizeof(why), "is where this process listens (port %u)", target->port);
		break;
	case GUARD_SERVER:
		snprintf(why, sizeof(why), "is an upstream server or a parent of this process (port %u)",
			 target->port);
		break;
	case GUARD_BROADCAST:
		snprintf(why, sizeof(why), "is for everybody on a network of this machine (broadcast)");
		break;
	case GUARD_SPECIAL:
	case GUARD_ALLOW:
	case GUARD_RULE:
		snprintf(why, sizeof(why), "is not public (%.70s, %.30s)", special->name, special->rfc);
		break;
	}
	snprintf(verdict->text, sizeof(verdict->text),
		 "%.45s %.127s; to open it, add a rule: allow: {addresses: [%s%.45s%s]}", ip, why, quote, ip,
		 quote);
}

struct guard_verdict guard_judge(const struct rules *rules, const struct guard_own *own,
				 const struct rule_query *query)
{
	struct guard_verdict verdict = {.outcome = GUARD_ALLOW};
	struct address target = *query->address;

	target.port = query->port;
	verdict.verdict = rules_judge(rules, query);
	if (verdict.verdict.outcome != VERDICT_ALLOW) {
		verdict.outcome = GUARD_RULE;
		verdict_describe(&verdict.verdict, verdict.text);
		return verdict;
	}
	if (verdict.verdict.by_address)
		return verdict;
	verdict.special = address_special(&target);
	if (verdict.special)
		verdict.outcome = GUARD_SPECIAL;
	if (own && is_broadcast(own, &target))
		verdict.outcome = GUARD_BROADCAST;
	if (own && guard_is_server(own, &target, query->host))
		verdict.outcome = GUARD_SERVER;
	if (own && guard_is_own(own, &target))
		verdict.outcome = GUARD_OWN;
	if (verdict.outcome != GUARD_ALLOW)
		explain(&verdict, &target);
	return verdict;
}

size_t guard_filter(const struct rules *rules, const struct guard_own *own, const struct rule_query *query,
		    struct address *addresses, size_t count, struct guard_verdict *verdict)
{
	struct guard_verdict first = {.outcome = GUARD_RULE};
	size_t kept = 0;

	for (size_t i = 0; i < count; i++) {
		struct rule_query one = *query;
		struct guard_verdict judged;

		addresses[i].port = query->port;
		one.address = &addresses[i];
		judged = guard_judge(rules, own, &one);
		if (i == 0 || (kept == 0 && judged.outcome == GUARD_ALLOW))
			first = judged;
		if (judged.outcome == GUARD_ALLOW && judged.verdict.rule == first.verdict.rule)
			addresses[kept++] = addresses[i];
	}
	if (verdict)
		*verdict = first;
	return kept;
}
