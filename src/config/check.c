/*
 * Checks across the parts of a configuration. See check.h.
 */
#include "config/check.h"

#include "config/listen.h"
#include "config/node.h"
#include "route/rule_view.h"
#include "route/split.h"

static const struct setting_strings *listen_of(const struct snapshot *snapshot,
					       const struct snapshot_listener *listener)
{
	const struct settings *settings = &snapshot->settings;

	switch (listener->face) {
	case SNAPSHOT_FORWARD:
		return &((const struct forward_settings *)settings->forward.items)[listener->index].listen;
	case SNAPSHOT_REVERSE:
		return &((const struct reverse_settings *)settings->reverse.items)[listener->index].listen;
	case SNAPSHOT_TCP:
		break;
	case SNAPSHOT_ADMIN:
		return &settings->admin.listen;
	}
	return &((const struct tcp_settings *)settings->tcp.items)[listener->index].listen;
}

/* False: out of memory. */
static bool parse_addresses(struct snapshot *snapshot, struct snapshot_listener *listener,
			    struct diagnostics *diagnostics)
{
	const struct setting_strings *listen = listen_of(snapshot, listener);

	listener->addresses = arena_zalloc(&snapshot->arena, listen->count + 1, sizeof(*listener->addresses));
	if (!listener->addresses)
		return false;
	if (listen->count == 0 && listen->place.line != 0 && diagnostics->errors == 0)
		diagnostics_error(diagnostics, listen->place, "\"listen\" has no address");
	for (size_t i = 0; i < listen->count; i++) {
		const struct setting_string *text = &listen->items[i];
		struct snapshot_address *to = &listener->addresses[listener->address_count];
		const char *why = listen_parse(span_make(text->text, text->len), &to->address, &to->dual);
		to->text = text->text;
		to->place = text->place;
		if (why)
			diagnostics_error(diagnostics, text->place, "\"listen\" cannot be \"%s\": %s",
					  node_quote(diagnostics->arena, span_make(text->text, text->len)),
					  why);
		else
			listener->address_count++;
	}
	return true;
}

/* Two sockets for the same address would share its connections by chance. */
static void find_same(const struct snapshot_address *const *all, size_t count, struct diagnostics *diagnostics)
{
	for (size_t i = 1; i < count; i++)
		for (size_t j = 0; j < i; j++) {
			if (!listen_same(&all[i]->address, all[i]->dual, &all[j]->address, all[j]->dual))
				continue;
			diagnostics_error(diagnostics, all[i]->place,
					  "\"listen\": %s is taken already, by the listener on line %u",
					  node_quote(diagnostics->arena, span_of(all[i]->text)),
					  all[j]->place.line);
			break;
		}
}

static void check_addresses(struct snapshot *snapshot, struct diagnostics *diagnostics)
{
	const struct snapshot_address *all[CHECK_MAX_ADDRESSES];
	size_t count = 0;

	for (size_t i = 0; i < snapshot->listener_count; i++)
		for (size_t j = 0; j < snapshot->listeners[i].address_count; j++) {
			if (count == CHECK_MAX_ADDRESSES) {
				diagnostics_error(diagnostics, snapshot->listeners[i].addresses[j].place,
						  "too many addresses to listen on: %d are the most",
						  CHECK_MAX_ADDRESSES);
				return;
			}
			all[count++] = &snapshot->listeners[i].addresses[j];
		}
	find_same(all, count, diagnostics);
}

static bool is_of_this_machine(const struct snapshot_address *where)
{
	struct address address = address_unmap(&where->address);

	return address.family == ADDRESS_UNIX || address_is_loopback(&address);
}

/* ---- parents ---- */

static bool is_at(const struct snapshot_address *listener, const struct parent_server *server)
{
	static const uint8_t any[16] = {0};
	struct address address = address_unmap(&listener->address), parent = address_unmap(&server->address);

	if (address.port != server->port || address.port == 0 || parent.family == ADDRESS_NONE)
		return false;
	if (address_equal_ip(&address, &parent))
		return true;
	return memcmp(address.ip, any, sizeof(any)) == 0 && address_is_loopback(&parent);
}

static const struct parent_server *parent_at(const struct parent_plan *plan,
					     const struct snapshot_listener *listener)
{
	for (uint32_t i = 0; i < plan->count; i++)
		for (size_t j = 0; j < listener->address_count; j++)
			if (is_at(&listener->addresses[j], &plan->servers[i]))
				return &plan->servers[i];
	return NULL;
}

/* A rule of this listener sends requests to the same one: with a mask that sends no Via they would go round for ever. */
static void check_rule_loop(const struct snapshot *snapshot, const struct snapshot_listener *listener,
			    const struct setting_strings *proxy, struct diagnostics *diagnostics)
{
	for (size_t i = 0; i < proxy->count; i++)
		for (uint32_t j = 0; j < snapshot->parents.count; j++) {
			const struct parent_plan *plan = &snapshot->parents.items[j];
			const struct setting_string *name = &proxy->items[i];
			const struct parent_server *server =
				span_equal(plan->name, span_make(name->text, name->len)) ?
					parent_at(plan, listener) :
					NULL;
			if (server)
				diagnostics_error(
					diagnostics, name->place,
					"the parent \"%s\" is this listener itself (%.*s): requests would come back",
					name->text, SPAN_ARG(server->text));
		}
}

static void check_loops(const struct snapshot *snapshot, struct diagnostics *diagnostics)
{
	for (size_t i = 0; i < snapshot->listener_count; i++) {
		const struct snapshot_listener *listener = &snapshot->listeners[i];
		for (size_t j = 0; listener->rules && j < rules_count(listener->rules); j++) {
			struct rule_view view;
			rules_at(listener->rules, j, &view);
			check_rule_loop(snapshot, listener, &view.settings->proxy, diagnostics);
		}
	}
}

/* Who reaches the operator's interface may give orders; it asks for no proof of who that is. */
static void check_admin(const struct snapshot *snapshot, struct diagnostics *diagnostics)
{
	for (size_t i = 0; i < snapshot->listener_count; i++) {
		const struct snapshot_listener *listener = &snapshot->listeners[i];
		for (size_t j = 0; j < listener->address_count; j++)
			if (listener->face == SNAPSHOT_ADMIN && !is_of_this_machine(&listener->addresses[j]))
				diagnostics_error(
					diagnostics, listener->addresses[j].place,
					"\"admin\" cannot listen on %s: others than this machine could give orders there; "
					"it takes a loopback address, as in 127.0.0.1:9900, or unix:/path",
					listener->addresses[j].text);
	}
}

static bool has_traffic(const struct snapshot *snapshot)
{
	for (size_t i = 0; i < snapshot->listener_count; i++)
		if (snapshot->listeners[i].face != SNAPSHOT_ADMIN)
			return true;
	return false;
}

/* Nobody comes in who has not logged in, or whom the listener's own authority does not vouch for. */
static bool knows_clients(const struct snapshot_listener *listener)
{
	if (listener->users && !listener->users->open)
		return true;
	return listener->tls && listener->tls->settings->clients.verify == TLS_CLIENT_REQUIRED;
}

static void check_exposure(const struct snapshot *snapshot, struct diagnostics *diagnostics)
{
	const struct forward_settings *settings = snapshot->settings.forward.items;
	const char *remedy = diagnostics->file ?
				     "name its clients in \"sources\" or \"users\", or say \"open: true\"" :
				     "--open says that this is wanted";

	for (size_t i = 0; i < snapshot->listener_count; i++) {
		const struct snapshot_listener *listener = &snapshot->listeners[i];
		if (listener->face != SNAPSHOT_FORWARD || !listener->rules ||
		    settings[listener->index].open || knows_clients(listener))
			continue;
		for (size_t j = 0; j < listener->address_count; j++)
			if (rules_listener_exposed(listener->rules, &listener->addresses[j].address))
				diagnostics_error(
					diagnostics, listener->addresses[j].place,
					"on %s this would be an open proxy, for anybody who can reach it: %s",
					listener->addresses[j].text, remedy);
	}
}

/* A file may say that there are no servers now; a configuration may not. */
static void check_upstreams(const struct snapshot *snapshot, struct diagnostics *diagnostics)
{
	bool good = diagnostics->errors == 0; /* else they may be what was not understood */

	for (size_t i = 0; i < snapshot->upstream_count; i++) {
		const struct upstream_settings *upstream = &snapshot->upstreams[i];
		bool given = upstream->servers.place.line != 0;
		if (upstream->servers.count > 0 || upstream->file.len || !(given || good))
			continue;
		diagnostics_error(
			diagnostics, given ? upstream->servers.place : upstream->place,
			given ? "the upstream \"%s\" has no servers" :
				"the upstream \"%s\" has no servers: it has neither \"servers\" nor \"file\"",
			node_quote(diagnostics->arena, span_make(upstream->name.text, upstream->name.len)));
	}
}

static void use(bool *used, uint32_t group, const struct split *split)
{
	used[group] = true;
	for (uint32_t i = 0; split && i < split->count; i++)
		used[split->shares[i].group] = true;
}

/* Groups that no route names are rather forgotten than wanted. False: out of memory. */
static bool check_unused(struct snapshot *snapshot, struct diagnostics *diagnostics)
{
	bool *used = arena_zalloc(&snapshot->arena, snapshot->upstream_count + 1, sizeof(*used));

	if (!used)
		return false;
	for (size_t i = 0; i < snapshot->listener_count; i++) {
		const struct router *router = snapshot->listeners[i].router;
		const struct tcp_router *tcp = snapshot->listeners[i].tcp;
		for (size_t j = 0; router && j < router_count(router); j++) {
			const struct route *route = router_at(router, j);
			if (route->action == ROUTE_TO)
				use(used, route->group, route->split);
			if (route->mirror_percent)
				used[route->mirror_group] = true;
		}
		for (size_t j = 0; tcp && j < tcp_router_count(tcp); j++)
			use(used, tcp_router_at(tcp, j)->group, tcp_router_at(tcp, j)->split);
	}
	for (size_t i = 0; i < snapshot->upstream_count; i++)
		if (!used[i])
			diagnostics_warning(diagnostics, snapshot->upstreams[i].place,
					    "no route goes to the upstream \"%s\"",
					    node_quote(diagnostics->arena,
						       span_make(snapshot->upstreams[i].name.text,
								 snapshot->upstreams[i].name.len)));
	return true;
}

bool check_snapshot(struct snapshot *snapshot, struct diagnostics *diagnostics)
{
	static const struct setting_place beginning = {1, 1};

	for (size_t i = 0; i < snapshot->listener_count; i++)
		if (!parse_addresses(snapshot, &snapshot->listeners[i], diagnostics))
			return false;
	check_addresses(snapshot, diagnostics);
	check_exposure(snapshot, diagnostics);
	check_admin(snapshot, diagnostics);
	check_loops(snapshot, diagnostics);
	check_upstreams(snapshot, diagnostics);
	if (!has_traffic(snapshot) && diagnostics->errors == 0)
		diagnostics_error(diagnostics, beginning,
				  "nothing to do: there is no \"forward\", \"reverse\" or \"tcp\" listener");
	return diagnostics->errors != 0 || check_unused(snapshot, diagnostics);
}
