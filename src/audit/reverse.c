/*
 * The battery of a reverse proxy's audit. See reverse.h. The audit's main thread; answers are given on the observer's.
 */
#include "audit/reverse_internal.h"

#include <errno.h>

enum {
	OBSERVED_MS = 200, /* a request that was answered has been noted by then */
};

static const struct audit_group groups[] = {
	{"version", "Versions of HTTP", "spoken"},
	{"route", "Routes", "asked"},
	{"inside", "Names and addresses", NULL},
	{"reference", "References to the server", NULL},
	{"policy", "Policies that name the server", NULL},
	{"trace", "TRACE", NULL},
	{"page", "Pages of the proxy itself", NULL},
	{"software", "Software", NULL},
	{"node", "Nodes", NULL},
	{"reason", "Reason phrases", NULL},
	{"order", "Orders to the proxy", NULL},
	{"interim", "Interim responses", NULL},
	{"trailer", "Trailers", NULL},
	{"timing", "Timing", NULL},
	{"proxy", "The proxy", NULL},
	{"same", "What tells nodes apart", NULL},
	{"body", "Bodies", NULL},
	{"needed", "What applications need", "passes"},
	{"works", "What has to work", "works"},
	{"server", "What the server is told", NULL},
	{NULL, NULL, NULL},
};

const struct audit_scale reverse_audit_scale = {
	.kind = "reverse",
	.grades = {[TALK_THIN] = {"thin", "neither a name nor an address of a server is told"},
		   [TALK_QUIET] = {"quiet",
				   "neither a server's name or address nor its software and nodes are told"},
		   [TALK_MASKED] = {"masked",
				    "nothing is told of servers' names, software, nodes, timing and internals"},
		   [TALK_SAME] = {"same",
				  "nothing is told of servers, nor can they be told apart, bodies included"}},
	.count = TALK_SAME + 1,
	.groups = groups,
};

void reverse_answer(void *owner, const struct observer_message *message, struct observer_reply *reply)
{
	const struct wire_message *http = &message->http;
	struct talker_request request;

	if (message->kind != OBSERVER_REQUEST)
		return;
	request = (struct talker_request){.method = http->method,
					  .target = http->target,
					  .range = wire_field_find(http, "Range"),
					  .if_none_match = wire_field_find(http, "If-None-Match"),
					  .head = http->head};
	reply->bytes = talker_answer(owner, &request, reply->arena, &reply->close);
}

/* ---- asking ---- */

static struct ask_way way_of(const struct reverse_battery *battery)
{
	const struct reverse_target *target = battery->target;

	return (struct ask_way){.server = &target->proxy,
				.from = target->from,
				.tls = target->tls,
				.version = battery->version};
}

/* A target that asks for the talk, and its token. */
static struct span target_of(struct reverse_battery *battery, const char *talk, struct span *token)
{
	*token = arena_format(battery->arena, "%s.h%d.%u.%llx", talk, battery->version + 1, ++battery->number,
			      (unsigned long long)deadline_now());
	return token->at ? arena_format(battery->arena, "%.*s?audit=%.*s", SPAN_ARG(battery->target->path),
					SPAN_ARG(*token)) :
			   *token;
}

static bool ask_for(struct reverse_battery *battery, const char *method, const char *talk,
		    const struct wire_field *field, struct ask_answer *answer, struct span *token)
{
	struct ask_way way = way_of(battery);
	struct ask request = {.method = span_of(method),
			      .target = target_of(battery, talk, token),
			      .host = battery->target->host};

	if (field)
		request.fields[request.count++] = *field;
	request.fields[request.count++] = (struct wire_field){SPAN("accept"), SPAN("*/*")};
	request.fields[request.count++] = (struct wire_field){SPAN("te"), SPAN("trailers")};
	return ask(&way, &request, battery->arena, answer, deadline_now() + battery->target->timeout);
}

/* ---- single probes ---- */

static void probe_talk(struct reverse_battery *battery, const struct talk *talk)
{
	struct ask_answer answer;
	struct span token;

	if (ask_for(battery, "GET", talk->name, NULL, &answer, &token) || talk->form == TALK_PLAIN)
		reverse_judge_talk(battery, talk, &answer);
}

static void probe_death(struct reverse_battery *battery, const char *talk, const char *id, const char *title)
{
	struct ask_answer answer;
	struct span token;

	(void)ask_for(battery, "GET", talk, NULL, &answer, &token);
	reverse_judge_page(battery, id, title, &answer);
}

/* RFC 9110 9.3.8: what came to the server would be told to the client. */
static void probe_trace(struct reverse_battery *battery)
{
	const struct wire_field secret = {SPAN("x-audit-secret"), SPAN("aud-s3cret-47")};
	struct audit_finding finding = {.id = "trace.echo",
					.title = SPAN("a request comes back as the server got it"),
					.needs = TALK_THIN};
	struct ask_answer answer;
	struct span token;

	(void)ask_for(battery, "TRACE", "chatter", &secret, &answer, &token);
	finding.sight = span_search(answer.body, secret.value) >= 0 ? AUDIT_SEEN : AUDIT_UNSEEN;
	finding.advice = "refuse TRACE";
	if (answer.final.status)
		reverse_find(battery, &finding, "%u", answer.final.status);
	else
		reverse_find(battery, &finding, "no answer");
}

/* With the validator that the client was given, the server knows its own again (RFC 9110 13.1.2). */
static void probe_conditional(struct reverse_battery *battery)
{
	struct audit_finding finding = {.id = "works.conditional",
					.title = SPAN("a conditional request is answered 304"),
					.needs = AUDIT_NO_GRADE};
	struct wire_field condition = {SPAN("if-none-match"), SPAN("")};
	struct ask_answer answer = {0};
	struct span token;

	if (ask_for(battery, "GET", "same", NULL, &answer, &token))
		condition.value = ask_field(&answer.final, "ETag");
	if (!condition.value.len)
		finding.sight = AUDIT_ALTERED;
	else if (!ask_for(battery, "GET", "same", &condition, &answer, &token) || answer.final.status != 304)
		finding.sight = AUDIT_ALTERED;
	reverse_find(battery, &finding, condition.value.len ? "%u for ETag %.*s" : "no ETag came",
		     answer.final.status, SPAN_ARG(condition.value));
}

/* RFC 9110 14.2 */
static void probe_range(struct reverse_battery *battery)
{
	const struct wire_field range = {SPAN("range"), SPAN("bytes=2-5")};
	struct audit_finding finding = {
		.id = "works.range", .title = SPAN("a part can be asked for"), .needs = AUDIT_NO_GRADE};
	struct ask_answer answer;
	struct span token;
	bool done = ask_for(battery, "GET", "same", &range, &answer, &token);

	if (!done || answer.final.status != 206 || !span_equal(answer.body, SPAN("2345")))
		finding.sight = AUDIT_ALTERED;
	reverse_find(battery, &finding, "%u", answer.final.status);
}

static void probe_body(struct reverse_battery *battery)
{
	struct audit_finding finding = {
		.id = "works.body", .title = SPAN("a body arrives as it was sent"), .needs = AUDIT_NO_GRADE};
	const struct talk *talk = talk_find(SPAN("needed"));
	struct ask_answer answer;
	struct span token;

	if (!ask_for(battery, "GET", talk->name, NULL, &answer, &token) || !answer.complete ||
	    !span_equal(answer.body, span_of(talk->body)))
		finding.sight = AUDIT_ALTERED;
	reverse_find(battery, &finding, "%zu bytes", answer.body.len);
}

/* ---- requests that no server should get ---- */

static void probe_strangers(struct reverse_battery *battery)
{
	struct ask_way way = way_of(battery);
	uint64_t timeout = battery->target->timeout;
	struct ask unknown = {
		.method = SPAN("GET"), .target = SPAN("/aud-nowhere"), .host = SPAN("nobody.invalid")};
	struct ask_answer answer;

	/* Whoever sends all to one server has no page of its own here: what came of the server's is not looked at. */
	if (ask(&way, &unknown, battery->arena, &answer, deadline_now() + timeout) && answer.final.status != 200)
		reverse_judge_page(battery, "page.unknown", "a host that is not served", &answer);
	if (battery->version != ASK_HTTP1)
		return;
	if (!ask_raw(&way, battery->target->host, SPAN("GET /\x01 HTTP/1.1\r\nHost: a b\r\nbad field\r\n\r\n"),
		     battery->arena, &answer, deadline_now() + timeout))
		answer.final.status = 0;
	reverse_judge_page(battery, "page.malformed", "a malformed request", &answer);
}

/* ---- one version ---- */

static const char *version_id(const struct reverse_battery *battery)
{
	return battery->version == ASK_HTTP2 ? "version.h2" : "version.h1";
}

/* Whether requests come through at all; what the server is told with them. */
static bool probe_way(struct reverse_battery *battery)
{
	struct audit_finding finding = {.id = version_id(battery),
					.title = battery->version == ASK_HTTP2 ? SPAN("HTTP/2") :
										 SPAN("HTTP/1.1"),
					.needs = AUDIT_NO_GRADE};
	const struct observer_message *message;
	struct ask_answer answer = {0};
	struct span token;
	bool answered = ask_for(battery, "GET", "needed", NULL, &answer, &token);

	message = token.at ? observer_wait(battery->target->observer, token, 0, deadline_now() + OBSERVED_MS) :
			     NULL;
	if (answered && message) {
		reverse_find(battery, &finding, "%u", answer.final.status);
		reverse_judge_request(battery, &message->http);
		return true;
	}
	finding.sight = AUDIT_UNTESTED;
	if (answered)
		reverse_find(battery, &finding, "the proxy answered %u, and no request came to the server",
			     answer.final.status);
	else
		reverse_find(battery, &finding, "%s", answer.why[0] ? answer.why : "no answer");
	return false;
}

static void probe_all(struct reverse_battery *battery)
{
	for (const struct talk *talk = talks; talk->name; talk++)
		if (talk->form != TALK_DIES && talk->form != TALK_BREAKS && talk->form != TALK_GARBAGE)
			probe_talk(battery, talk);
	probe_trace(battery);
	probe_body(battery);
	probe_conditional(battery);
	probe_range(battery);
	probe_strangers(battery);
	/* Last: a proxy may take the server for dead now. */
	probe_death(battery, "garbage", "page.garbage", "the server answers what is no HTTP");
	probe_death(battery, "breaks", "page.broken", "the server closes in the middle of a body");
	probe_death(battery, "dies", "page.dead", "the server closes without an answer");
}

bool reverse_battery(const struct reverse_target *target, struct arena *arena, struct audit_report *report)
{
	bool any = false;

	for (int version = ASK_HTTP1; version <= ASK_HTTP2; version++) {
		struct reverse_battery battery = {target, arena, report, (enum ask_version)version, 0};

		if (version == ASK_HTTP2 && !target->tls && !target->clear_http2) {
			reverse_find(&battery,
				     &(struct audit_finding){.id = "version.h2",
							     .title = SPAN("HTTP/2"),
							     .sight = AUDIT_UNTESTED,
							     .needs = AUDIT_NO_GRADE},
				     "is spoken over TLS: give an https URL");
			continue;
		}
		if (!probe_way(&battery))
			continue;
		probe_all(&battery);
		any = true;
	}
	return any;
}

void reverse_without_server(const struct reverse_target *target, struct arena *arena,
			    struct audit_report *report)
{
	struct reverse_battery battery = {target, arena, report, ASK_HTTP1, 0};

	probe_death(&battery, "needed", "page.refused", "nobody listens where the server was");
}

/* ---- the whole audit ---- */

struct span reverse_split(struct span text, uint16_t *port)
{
	uint64_t number = 0;
	size_t colon = text.len;

	*port = 0;
	while (colon > 0 && ascii_is_digit(text.at[colon - 1]))
		colon--;
	if (colon > 0 && colon < text.len && text.at[colon - 1] == ':' &&
	    span_to_u64(span_from(text, colon), &number) && number <= UINT16_MAX) {
		*port = (uint16_t)number;
		text = span_first(text, colon - 1);
	}
	if (text.len >= 2 && text.at[0] == '[' && text.at[text.len - 1] == ']')
		text = span_make(text.at + 1, text.len - 2);
	return text;
}

bool reverse_talker(struct talker *talker, struct span inside, const struct address *address,
		    struct span public, struct arena *arena)
{
	char text[ADDRESS_TEXT];
	uint16_t port;

	*talker = (struct talker){.public = public};
	talker->address = arena_copy(arena, span_make(text, address_format(address, text)));
	talker->plain = arena_copy(arena, span_make(text, address_format_ip(address, text)));
	talker->inside = inside.len ? inside : talker->address;
	talker->host = talker->address.at ? reverse_split(talker->inside, &port) : talker->inside;
	return talker->address.at && talker->plain.at;
}

static void hide_nothing_public(struct talker *talker, const struct parent_server *proxy)
{
	struct address address;

	if (address_parse_ip(talker->plain, &address) && address_equal_ip(&address, &proxy->address))
		talker->plain = (struct span){0};
}

static void run_hosts(struct reverse_target *target, const struct reverse_audit_options *options,
		      struct arena *arena, struct audit_report *report)
{
	bool any = false;

	if (options->host_count == 0)
		any = reverse_battery(target, arena, report);
	for (unsigned i = 0; i < options->host_count; i++) {
		target->host = span_of(options->hosts[i]);
		target->label = options->host_count > 1 ? target->host : (struct span){0};
		any = reverse_battery(target, arena, report) || any;
	}
	if (!any)
		audit_report_fail(report, "no request that was sent to the proxy came to the server",
				  "the proxy has to use the address of --origin-listen as its server, over HTTP, for "
				  "every path of the host that is asked for (--host)");
}

/* The URL is one of a site, not of a forward proxy: without a port it is 80 or 443, and Host has none (RFC 9110 4.2, 7.2). */
static void use_as_site(struct reverse_target *target, struct span url)
{
	uint16_t port;

	if (span_ends_with(url, SPAN("/")))
		url.len--;
	target->tls = target->proxy.kind == PARENT_HTTPS;
	target->proxy.kind = PARENT_HTTP;
	target->host = target->proxy.place;
	(void)reverse_split(url, &port);
	if (port)
		return;
	while (target->host.at[target->host.len - 1] != ':')
		target->host.len--;
	target->host.len--;
	target->proxy.port = target->proxy.address.port = target->tls ? 443 : 80;
}

const char *reverse_audit_run(const struct reverse_audit_options *options, struct arena *arena,
			      struct audit_report *report)
{
	struct talker talker = {0};
	struct observer_options observing = {.answer = reverse_answer, .owner = &talker};
	struct reverse_target target = {.path = SPAN("/"), .talker = &talker, .timeout = options->timeout};
	struct address bound;
	const char *why = parent_url_parse(span_of(options->proxy), arena, &target.proxy);

	if (why)
		return why;
	if (!parent_speaks_http(&target.proxy) || target.proxy.user.len)
		return "the proxy is an http or https URL, without a user";
	use_as_site(&target, span_of(options->proxy));
	if (options->host_count)
		target.host = span_of(options->hosts[0]);
	/* TLS for proxies that take any certificate; who speaks in clear is answered in clear. */
	observing.authority = tls_authority_new(&why);
	target.observer = observing.authority ? observer_new(&observing, &why) : NULL;
	if (!target.observer || !observer_listen(target.observer, &options->listen, &bound)) {
		audit_report_fail(report, target.observer ? strerror(errno) : why,
				  "--origin-listen is an address of this machine that nobody listens on");
	} else if (!reverse_talker(&talker, span_of(options->inside), &bound, target.host, arena)) {
		audit_report_fail(report, "out of memory", NULL);
	} else {
		hide_nothing_public(&talker, &target.proxy);
		run_hosts(&target, options, arena, report);
	}
	observer_free(target.observer);
	tls_authority_free(observing.authority);
	if (!report->failure)
		reverse_without_server(&target, arena, report);
	return NULL;
}
