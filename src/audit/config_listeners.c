/*
 * Each listener of a configuration, audited as if it were anybody's. See config.h. Main thread.
 */
#include "audit/config_internal.h"
#include "audit/forward.h"
#include "audit/reverse.h"
#include "route/domain.h"

/* Where clients come from: two of RFC 5737's addresses, which are nobody's. */
static const struct address clients[] = {{.family = ADDRESS_V4, .ip = {198, 51, 100, 7}},
					 {.family = ADDRESS_V4, .ip = {198, 51, 100, 8}}};

#define ORIGIN_NAME "origin.audit.example"

enum { ORIGIN_PORT = 80 };

/* ---- reports ---- */

static const struct audit_scale *scale_of(const struct snapshot_listener *listener)
{
	return listener->face == SNAPSHOT_FORWARD ? &forward_audit_scale : &reverse_audit_scale;
}

struct audit_report *stage_report(struct stage *stage, const struct snapshot_listener *listener)
{
	struct config_audit *audit = stage->audit;
	bool forward = listener->face == SNAPSHOT_FORWARD;
	struct audit_report *report = arena_zalloc(stage->arena, 1, sizeof(*report));
	const char *expect = forward ? stage->options->expect_forward : stage->options->expect_reverse;
	const char *subject = (const char *)arena_format(stage->arena, "%s[%u], %s",
							 forward ? "forward" : "reverse", listener->index,
							 listener->addresses[0].text)
				      .at;

	if (!report || !subject || audit->count == CONFIG_AUDIT_REPORTS) {
		audit->why = "there are too many listeners, or memory ran out";
		return NULL;
	}
	audit_report_init(report, scale_of(listener), subject, stage->arena);
	if (!expect && !forward)
		expect = REVERSE_AUDIT_BAR;
	if (expect && !audit_report_expect(report, expect))
		report->incomplete = true;
	audit->reports[audit->count++] = report;
	return report;
}

void stage_leave_out(struct stage *stage, const struct snapshot_listener *listener, const char *why)
{
	struct audit_report *report;

	if (listener->face == SNAPSHOT_TCP)
		return;
	report = stage_report(stage, listener);
	if (report)
		audit_report_skip(report, why);
}

/* ---- what stands in the way ---- */

/* NULL: a client can simply connect. */
static const char *why_closed(const struct snapshot_listener *listener, const struct address *from)
{
	if (listener->tls && listener->tls->settings->clients.verify == TLS_CLIENT_REQUIRED)
		return "its clients need a certificate, which the audit has none of";
	if (peers_have(&listener->proxy_protocol, from))
		return "its clients send a PROXY header, which the audit does not";
	return NULL;
}

static const char *url_of(struct stage *stage, const struct snapshot_listener *listener)
{
	char text[ADDRESS_TEXT];
	size_t len = address_format(&listener->addresses[0].address, text);

	return (const char *)arena_format(stage->arena, "http%s://%.*s", listener->tls ? "s" : "", (int)len,
					  text)
		.at;
}

/* ---- the forward face ---- */

static bool has_parents(const struct forward_settings *settings)
{
	const struct rule_settings *rules = settings->rules.items;

	for (size_t i = 0; i < settings->rules.count; i++)
		for (size_t k = 0; k < rules[i].proxy.count; k++)
			if (strcmp(rules[i].proxy.items[k].text, "direct") != 0)
				return true;
	return false;
}

/* From within the networks that may ask, where those are named. */
static void choose_clients(const struct forward_settings *settings, struct address from[2])
{
	struct network network;

	from[0] = clients[0];
	from[1] = clients[1];
	if (settings->sources.count == 0 ||
	    !network_parse(span_make(settings->sources.items[0].text, settings->sources.items[0].len), &network))
		return;
	from[0] = from[1] = network.address;
	if (network.prefix + 2 > (network.address.family == ADDRESS_V4 ? 32 : 128))
		return;
	size_t last = network.address.family == ADDRESS_V4 ? 3 : 15;
	from[0].ip[last] += 1;
	from[1].ip[last] += 2;
}

/* Where the origin is: a name of its own, which is in no list of the machine's addresses. */
static bool place_origin(struct stage *stage, struct forward_audit_options *forward)
{
	if (!dns_names_address(&stage->names, SPAN(ORIGIN_NAME), DNS_TYPE_A, &forward->listen))
		return false;
	forward->listen.port = ORIGIN_PORT;
	forward->name = ORIGIN_NAME;
	if (!stage->resolvers)
		forward->dns_listen = stage->resolver[0];
	return true;
}

void stage_audit_forward(struct stage *stage, const struct snapshot_listener *listener)
{
	const struct forward_settings *settings =
		(const struct forward_settings *)stage->snapshot->settings.forward.items + listener->index;
	struct audit_report *report = stage_report(stage, listener);
	struct forward_audit_options forward = {.proxy = url_of(stage, listener),
						.users = {stage->options->users[0], stage->options->users[1]},
						.timeout = stage->options->timeout};
	const char *why;

	if (!report)
		return;
	choose_clients(settings, forward.from);
	if (listener->users && !forward.users[1]) /* a user is one client, wherever from */
		forward.from[1] = (struct address){.family = ADDRESS_NONE};
	why = why_closed(listener, &forward.from[0]);
	if (!why && has_parents(settings))
		why = "its rules send requests to parent proxies: audit those on their own";
	if (!why && listener->users && !forward.users[0])
		why = "its clients log in: --user NAME:PASSWORD";
	if (why) {
		audit_report_skip(report, why);
		return;
	}
	why = forward.proxy && place_origin(stage, &forward) ?
		      forward_audit_run(&forward, stage->arena, report) :
		      "out of memory";
	if (why)
		audit_report_fail(report, why, NULL);
}

/* ---- the reverse face ---- */

/* One route, as a client would have to ask to be led by it. */
struct way {
	const struct route_settings *settings;
	struct span host, path;
	struct talker talker;
};

static const char *find_host(struct stage *stage, struct way *way)
{
	const struct setting_strings *hosts = &way->settings->host;
	struct domain_pattern pattern;
	const char *why;

	way->host = SPAN("public.audit.example");
	if (hosts->count == 0)
		return NULL;
	why = domain_pattern_parse(span_make(hosts->items[0].text, hosts->items[0].len), stage->arena,
				   &pattern);
	if (why)
		return why;
	way->host = pattern.reach & DOMAIN_EXACT ?
			    pattern.name :
			    arena_format(stage->arena, "audit.%.*s", SPAN_ARG(pattern.name));
	return way->host.at ? NULL : "out of memory";
}

static const char *find_path(struct stage *stage, struct way *way)
{
	const struct setting_strings *paths = &way->settings->path;

	way->path = SPAN("/");
	for (size_t i = 0; i < paths->count; i++) {
		struct span text = span_make(paths->items[i].text, paths->items[i].len);

		if (text.len == 0 || text.at[0] == '~')
			continue;
		if (span_ends_with(text, SPAN("*")))
			text.len--;
		way->path = arena_copy(stage->arena, text);
		return way->path.at ? NULL : "out of memory";
	}
	return paths->count ? "its path is a pattern, of which the audit knows no example" : NULL;
}

static bool takes_get(const struct setting_strings *methods)
{
	for (size_t i = 0; i < methods->count; i++)
		if (strcmp(methods->items[i].text, "GET") == 0)
			return true;
	return methods->count == 0;
}

/* The first server of the group says who it is; that is what the configuration has inside. */
static const char *find_server(struct stage *stage, const struct route *route, struct way *way)
{
	const struct setting_list *servers = &stage->snapshot->upstreams[route->group].servers;
	const struct upstream_server_settings *items = servers->items;
	struct talker *talker = &way->talker;
	struct address address;

	if (servers->count == 0)
		return "its group has no server in the file";
	struct span text = span_make(items[0].address.text, items[0].address.len);
	if (span_starts_with(text, SPAN("unix:")))
		return "its server is on a UNIX socket, which the audit cannot play";
	if (span_starts_with(text, SPAN("srv:")))
		return "its servers are found by SRV records: their names are the name server's";
	if (stage->snapshot->upstreams[route->group].http == UPSTREAM_HTTP_2)
		return "its server speaks HTTP/2 alone, which the audit does not play";
	if (!stage_server_address(stage, text, &address))
		return "out of memory";
	return reverse_talker(talker, text, &address, way->host, stage->arena) ? NULL : "out of memory";
}

static const char *find_way(struct stage *stage, const struct route *route, struct way *way)
{
	const char *why = find_host(stage, way);

	if (!why)
		why = find_path(stage, way);
	if (!why && !takes_get(&way->settings->method))
		why = "it takes no GET";
	if (!why && (way->settings->fields.count || way->settings->cookies.count))
		why = "it asks for fields or cookies";
	return why ? why : find_server(stage, route, way);
}

static void note_route(struct stage *stage, struct audit_report *report, const struct route *route,
		       enum audit_sight sight, struct span saw)
{
	struct span id = arena_format(stage->arena, "route.%u", route->index);
	const struct audit_finding finding = {
		.id = (const char *)id.at, .title = id, .saw = saw, .sight = sight, .needs = AUDIT_NO_GRADE};

	if (id.at)
		audit_report_add(report, &finding);
}

static bool audit_route(struct stage *stage, struct audit_report *report, struct reverse_target *target,
			const struct route *route, const struct route_settings *settings)
{
	struct way *way = arena_zalloc(stage->arena, 1, sizeof(*way));
	const char *why = "out of memory";
	bool done;

	if (way) {
		way->settings = settings;
		why = find_way(stage, route, way);
	}
	if (why) {
		note_route(stage, report, route, AUDIT_UNTESTED, span_of(why));
		return false;
	}
	target->host = way->host;
	target->path = way->path;
	target->label = arena_format(stage->arena, "route %u", route->index);
	target->talker = &way->talker;
	target->observer = stage->servers;
	atomic_store(&stage->talker, &way->talker);
	done = reverse_battery(target, stage->arena, report);
	note_route(stage, report, route, done ? AUDIT_UNSEEN : AUDIT_UNTESTED,
		   done ? arena_format(stage->arena, "%.*s%.*s", SPAN_ARG(way->host), SPAN_ARG(way->path)) :
			  SPAN("no request came to the server"));
	return done;
}

static void audit_routes(struct stage *stage, const struct snapshot_listener *listener,
			 struct audit_report *report, struct reverse_target *target)
{
	const struct reverse_settings *settings =
		(const struct reverse_settings *)stage->snapshot->settings.reverse.items + listener->index;
	const struct route_settings *routes = settings->routes.items;
	bool any = false;

	for (size_t i = 0; i < router_count(listener->router); i++) {
		const struct route *route = router_at(listener->router, i);

		if (route->action == ROUTE_TO)
			any = audit_route(stage, report, target, route, &routes[route->index]) || any;
	}
	if (!any)
		audit_report_skip(report, "no route of it could be tested");
}

void stage_audit_reverse(struct stage *stage, const struct snapshot_listener *listener)
{
	struct audit_report *report = stage_report(stage, listener);
	struct reverse_target target = {.tls = listener->tls != NULL,
					.clear_http2 = listener->http2 == HTTP2_CLEAR,
					.timeout = stage->options->timeout};
	const char *why, *url = url_of(stage, listener);

	if (!report)
		return;
	if (listener->addresses[0].address.family == ADDRESS_V4)
		target.from = clients[0];
	why = why_closed(listener, &target.from);
	if (why) {
		audit_report_skip(report, why);
		return;
	}
	why = url ? parent_url_parse(span_of(url), stage->arena, &target.proxy) : "out of memory";
	target.proxy.kind = PARENT_HTTP;
	if (why)
		audit_report_fail(report, why, NULL);
	else
		audit_routes(stage, listener, report, &target);
}
