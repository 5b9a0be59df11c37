/*
 * Fields of requests: which get to the server that a client's address, number or login stands in, or that tell of a proxy; which the proxy adds; which of the
 * client's own it loses. See forward.h. The audit's thread.
 *
 * The list is the audit's own, not that of the mask: what checks a list must not be made of it.
 */
#include "audit/forward_internal.h"

#include <stdio.h>

/* What a field is about, and what stands in one that a client sends for a test. */
enum about {
	ABOUT_ADDRESS, /* who asks */
	ABOUT_PERSON,  /* a subscriber, a device, a login */
	ABOUT_PROXY,   /* that there is a proxy */
};

struct known {
	const char *name;
	enum about about;
	const char *value; /* NULL: as the kind has it */
};

static const char *const values[] = {
	[ABOUT_ADDRESS] = "198.51.100.77",
	[ABOUT_PERSON] = "41790000077",
	[ABOUT_PROXY] = "audit-hop",
};

static const struct known known_fields[] = {
	{"X-Forwarded-For", ABOUT_ADDRESS, NULL},
	{"Forwarded", ABOUT_ADDRESS, "for=198.51.100.77;by=audit-hop"},
	{"Via", ABOUT_PROXY, "1.1 audit-hop"},
	{"X-Real-IP", ABOUT_ADDRESS, NULL},
	{"X-Client-IP", ABOUT_ADDRESS, NULL},
	{"Client-IP", ABOUT_ADDRESS, NULL},
	{"True-Client-IP", ABOUT_ADDRESS, NULL},
	{"CF-Connecting-IP", ABOUT_ADDRESS, NULL},
	{"Fastly-Client-IP", ABOUT_ADDRESS, NULL},
	{"Fly-Client-IP", ABOUT_ADDRESS, NULL},
	{"X-Cluster-Client-IP", ABOUT_ADDRESS, NULL},
	{"X-Original-Forwarded-For", ABOUT_ADDRESS, NULL},
	{"X-Originating-IP", ABOUT_ADDRESS, "[198.51.100.77]"},
	{"X-Remote-IP", ABOUT_ADDRESS, NULL},
	{"X-Remote-Addr", ABOUT_ADDRESS, NULL},
	{"Remote-Addr", ABOUT_ADDRESS, NULL},
	{"X-ProxyUser-IP", ABOUT_ADDRESS, NULL},
	{"Proxy-Client-IP", ABOUT_ADDRESS, NULL},
	{"WL-Proxy-Client-IP", ABOUT_ADDRESS, NULL},
	{"HTTP-X-Forwarded-For", ABOUT_ADDRESS, NULL},
	{"HTTP-Client-IP", ABOUT_ADDRESS, NULL},
	{"HTTP-Forwarded", ABOUT_ADDRESS, NULL},
	{"X-Forwarded", ABOUT_ADDRESS, NULL},
	{"Forwarded-For", ABOUT_ADDRESS, NULL},
	{"Z-Forwarded-For", ABOUT_ADDRESS, NULL},
	{"X-Azure-ClientIP", ABOUT_ADDRESS, NULL},
	{"X-Azure-SocketIP", ABOUT_ADDRESS, NULL},
	{"X-Envoy-External-Address", ABOUT_ADDRESS, NULL},
	{"X-AppEngine-User-IP", ABOUT_ADDRESS, NULL},
	{"Incap-Client-IP", ABOUT_ADDRESS, NULL},
	{"Ali-CDN-Real-IP", ABOUT_ADDRESS, NULL},
	{"CDN-Src-IP", ABOUT_ADDRESS, NULL},
	{"X-Coming-From", ABOUT_ADDRESS, NULL},
	{"Coming-From", ABOUT_ADDRESS, NULL},
	{"X-SourceIP", ABOUT_ADDRESS, NULL},
	{"X-Nokia-IPAddress", ABOUT_ADDRESS, NULL},
	{"X-MSISDN", ABOUT_PERSON, NULL},
	{"MSISDN", ABOUT_PERSON, NULL},
	{"X-Nokia-MSISDN", ABOUT_PERSON, NULL},
	{"X-Up-Calling-Line-ID", ABOUT_PERSON, NULL},
	{"X-Up-Subno", ABOUT_PERSON, NULL},
	{"X-H3G-MSISDN", ABOUT_PERSON, NULL},
	{"X-Network-Info", ABOUT_PERSON, "GPRS,41790000077,198.51.100.77"},
	{"X-IMSI", ABOUT_PERSON, NULL},
	{"X-IMEI", ABOUT_PERSON, NULL},
	{"X-ACR", ABOUT_PERSON, NULL},
	{"X-UIDH", ABOUT_PERSON, NULL},
	{"X-Authenticated-User", ABOUT_PERSON, "audit-person"},
	{"X-Remote-User", ABOUT_PERSON, "audit-person"},
	{"Client-Cert", ABOUT_PERSON, ":YXVkaXQtcGVyc29u:"},
	{"Proxy-Connection", ABOUT_PROXY, "keep-alive"},
	{"Proxy-Status", ABOUT_PROXY, NULL},
	{"X-Via", ABOUT_PROXY, NULL},
	{"X-Proxy-ID", ABOUT_PROXY, NULL},
	{"X-Proxy-Connection", ABOUT_PROXY, "keep-alive"},
	{"Xroxy-Connection", ABOUT_PROXY, NULL},
	{"X-Forwarded-Host", ABOUT_PROXY, "audit-inner.invalid"},
	{"X-Forwarded-Proto", ABOUT_PROXY, "http"},
	{"X-Forwarded-Port", ABOUT_PROXY, "8080"},
	{"X-Forwarded-Server", ABOUT_PROXY, "audit-inner.invalid"},
	{"X-Forwarded-By", ABOUT_PROXY, NULL},
	{"X-BlueCoat-Via", ABOUT_PROXY, NULL},
	{"X-Squid-Request-ID", ABOUT_PROXY, NULL},
	{"X-IWProxy-Remote-Addr", ABOUT_PROXY, NULL},
	{"MT-Proxy-ID", ABOUT_PROXY, NULL},
	{"Surrogate-Capability", ABOUT_PROXY, "audit-hop=\"Surrogate/1.0\""},
	{"CDN-Loop", ABOUT_PROXY, NULL},
	{"CF-Ray", ABOUT_PROXY, NULL},
	{"CF-Visitor", ABOUT_PROXY, "{\"scheme\":\"http\"}"},
	{"CF-IPCountry", ABOUT_PROXY, "CH"},
};

const char forward_own_fields[] =
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36\r\n"
	"Accept: text/html,application/xhtml+xml;q=0.9,*/*;q=0.8\r\n"
	"Accept-Language: de-CH,de;q=0.8,en;q=0.5\r\n"
	"Accept-Encoding: gzip, deflate\r\n"
	"Referer: http://audit-before.invalid/page?of=audit\r\n"
	"Cookie: audit=cookie-0123; other=value\r\n"
	"Authorization: Bearer audit-own-token\r\n"
	"Origin: http://audit-before.invalid\r\n"
	"DNT: 1\r\n"
	"Cache-Control: no-cache\r\n"
	"Range: bytes=0-1023\r\n"
	"If-None-Match: \"audit-tag\"\r\n"
	"Sec-Fetch-Mode: navigate\r\n"
	"X-Requested-With: audit\r\n"
	"X-Audit-Version: 10.20.30.40\r\n";

static const char drop_advice[] =
	"drop these fields from requests, whoever sent them (Guise: \"mask: elite\", its default; Squid: \"via off\", \"forwarded_for delete\", and \"request_header_access NAME deny all\" for each; Tinyproxy: \"DisableViaHeader Yes\", and a filter before it for the rest)";
static const char login_advice[] =
	"what a client tells the proxy of itself must end there: never forward Proxy-Authorization (Squid: no \"login=PASS\" and no \"login=PROXYPASS\" towards servers)";

/* ---- names ---- */

/* As a server may read them: without case, "_" as "-". */
static bool same_name(struct span a, struct span b)
{
	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++) {
		uint8_t x = a.at[i] == '_' ? '-' : ascii_lower(a.at[i]);
		uint8_t y = b.at[i] == '_' ? '-' : ascii_lower(b.at[i]);
		if (x != y)
			return false;
	}
	return true;
}

static const struct known *known_find(struct span name)
{
	for (size_t i = 0; i < ARRAY_LENGTH(known_fields); i++)
		if (same_name(name, span_of(known_fields[i].name)))
			return &known_fields[i];
	return NULL;
}

static const char *known_value(const struct known *known)
{
	return known->value ? known->value : values[known->about];
}

/* "field.x-forwarded-for" */
static void known_id(const struct known *known, char id[64])
{
	int len = snprintf(id, 64, "field.%s", known->name);

	for (int i = 0; i < len && i < 63; i++)
		id[i] = (char)ascii_lower((uint8_t)id[i]);
}

/* Was it sent so, by name and value? */
static const struct wire_field *sent_field(const struct forward_probe *probe, struct span name)
{
	for (unsigned i = 0; i < probe->sent.count; i++)
		if (same_name(probe->sent.fields[i].name, name))
			return &probe->sent.fields[i];
	return NULL;
}

/* Framing, and what lies between two hops (RFC 9112 6, 9.3): every sender has its own. */
static bool is_framing(struct span name)
{
	static const char *const names[] = {"Host", "Connection", "Content-Length", "Transfer-Encoding", "TE"};

	for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
		if (same_name(name, span_of(names[i])))
			return true;
	return false;
}

/* ---- what arrived ---- */

static struct span line_of(struct forward_audit *audit, const struct wire_field *field)
{
	struct span line =
		arena_format(audit->arena, "%.*s: %.*s", SPAN_ARG(field->name), SPAN_ARG(field->value));

	return line.at ? line : field->name;
}

/*
 * From which grade on it must not be there. What the proxy says of its own client makes the difference between transparent and anonymous, as the usual terms have
 * it; what it says of itself, or passes on of what others said, that between anonymous and elite.
 */
static unsigned needs_of(const struct forward_audit *audit, const struct forward_probe *probe,
			 const struct wire_field *field)
{
	return forward_names_client(audit, probe->client, field->value) ? GRADE_ANONYMOUS : GRADE_ELITE;
}

static void inspect_known(struct forward_audit *audit, const struct forward_probe *probe,
			  const struct known *known, const struct wire_field *field,
			  const struct wire_field *sent)
{
	const char *how = !sent                                 ? "added" :
			  span_equal(sent->value, field->value) ? "passed on" :
								  "made of what was sent";
	struct audit_finding finding = {
		.title = span_of(known->name),
		.saw = arena_format(audit->arena, "%s: %.*s", how, SPAN_ARG(field->value)),
		.sight = AUDIT_SEEN,
		.needs = needs_of(audit, probe, field),
		.advice = drop_advice,
		.minor = true,
	};
	char id[64];

	known_id(known, id);
	finding.id = id;
	audit_report_add(audit->report, &finding);
}

static void inspect_login(struct forward_audit *audit, const struct forward_probe *probe,
			  const struct wire_field *field)
{
	struct span user = audit->clients[probe->client].proxy.user;

	if (same_name(field->name, SPAN("Proxy-Authorization")))
		forward_add(audit, "credential.proxy-authorization", "The proxy's login", AUDIT_SEEN,
			    user.len ? GRADE_TRANSPARENT : GRADE_ELITE,
			    user.len ? field->name : SPAN("passed on, though the proxy asks for none"),
			    login_advice);
	else if (user.len > 3 && span_search(field->value, user) >= 0)
		forward_add(audit, "credential.user", "The user's name at the proxy", AUDIT_SEEN,
			    GRADE_ANONYMOUS, line_of(audit, field), login_advice);
}

/* A field that was not sent, or not with this value. */
static void inspect_changed(struct forward_audit *audit, const struct forward_probe *probe,
			    const struct wire_field *field, bool added)
{
	inspect_login(audit, probe, field);
	if (forward_names_client(audit, probe->client, field->value))
		forward_add(audit, "field.client-address", "The client's address, in any field", AUDIT_SEEN,
			    GRADE_ANONYMOUS, line_of(audit, field), drop_advice);
	if (added && !is_framing(field->name) && !known_find(field->name) &&
	    !same_name(field->name, SPAN("Proxy-Authorization")))
		forward_add(audit, "field.added", "Fields that nobody sent", AUDIT_SEEN, GRADE_ELITE,
			    line_of(audit, field),
			    "the proxy shows itself by what it adds: let it add nothing");
}

void forward_inspect(struct forward_audit *audit, const struct forward_probe *probe)
{
	const struct wire_message *seen = &probe->seen->http;

	for (unsigned i = 0; i < seen->count; i++) {
		const struct wire_field *field = &seen->fields[i], *sent = sent_field(probe, field->name);
		const struct known *known = known_find(field->name);
		if (known)
			inspect_known(audit, probe, known, field, sent);
		if (!sent || !span_equal(sent->value, field->value) ||
		    same_name(field->name, SPAN("Proxy-Authorization")))
			inspect_changed(audit, probe, field, !sent);
	}
	if (forward_names_client(audit, probe->client, seen->target) &&
	    !forward_names_client(audit, probe->client, probe->sent.target))
		forward_add(audit, "field.client-address", "The client's address, in any field", AUDIT_SEEN,
			    GRADE_ANONYMOUS, seen->start, NULL);
}

/* ---- fields that a client sends, or a proxy before this one ---- */

static void known_outcome(struct forward_audit *audit, const struct known *known, bool tested, struct span why)
{
	struct audit_finding finding = {
		.title = span_of(known->name),
		.sight = tested ? AUDIT_UNSEEN : AUDIT_UNTESTED,
		.needs = GRADE_ELITE,
		.saw = tested ? forward_nothing : why,
		.minor = true,
	};
	char id[64];

	known_id(known, id);
	finding.id = id;
	audit_report_add(audit->report, &finding);
}

/* So many at once: some proxies refuse heads with a hundred fields. */
static void send_known(struct forward_audit *audit, size_t from, size_t to)
{
	char text[2048];
	struct forward_probe probe = {.method = NULL};
	size_t len = 0;

	for (size_t i = from; i < to; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s: %s\r\n", known_fields[i].name,
					known_value(&known_fields[i]));
	probe.fields = span_make(text, len);
	bool seen = forward_ask(audit, &probe);
	if (seen)
		forward_inspect(audit, &probe);
	struct span outcome = forward_outcome(audit, &probe);
	for (size_t i = from; i < to; i++)
		known_outcome(audit, &known_fields[i], seen, outcome);
	if (!seen && !probe.response.status && outcome.at)
		audit_report_fail(audit->report, (const char *)outcome.at,
				  "The proxy has answered before. What it would do with the fields that it did not "
				  "answer at all is not known, and so no grade.");
}

/* The line of a head that this stands in. */
static struct span line_with(struct span head, struct span text)
{
	struct span before, line = head;

	while (span_cut(line, '\n', &before, &line))
		if (span_search(before, text) >= 0)
			return span_trim(before.len && before.at[before.len - 1] == '\r' ?
						 span_first(before, before.len - 1) :
						 before);
	return line;
}

/* Does this part of a request get there, spelt in some way that a list of names might miss? */
static void spelt(struct forward_audit *audit, const char *id, const char *title, const char *lines,
		  const char *value)
{
	struct forward_probe probe = {.fields = span_of(lines)};

	if (!forward_ask(audit, &probe)) {
		forward_add(audit, id, title, probe.response.status ? AUDIT_UNSEEN : AUDIT_UNTESTED,
			    GRADE_ANONYMOUS, forward_outcome(audit, &probe), NULL);
		return;
	}
	struct span head = probe.seen->http.head;
	bool there = span_search(head, span_of(value)) >= 0;
	forward_add(audit, id, title, there ? AUDIT_SEEN : AUDIT_UNSEEN, GRADE_ELITE,
		    there ? line_with(head, span_of(value)) : (struct span){0}, drop_advice);
}

static void audit_spellings(struct forward_audit *audit)
{
	spelt(audit, "field.odd-case", "Known names in any case", "x-FORWARDED-fOR: 198.51.100.78\r\n",
	      "198.51.100.78");
	spelt(audit, "field.underscores", "Known names with underscores",
	      "X_Forwarded_For: 198.51.100.79\r\n", "198.51.100.79");
	spelt(audit, "field.repeated", "Known names twice",
	      "X-Real-IP: 198.51.100.80\r\nX-Audit: between\r\nX-Real-IP: 198.51.100.80\r\n", "198.51.100.80");
	spelt(audit, "field.folded", "Known names over two lines", "X-Forwarded-For:\r\n 198.51.100.81\r\n",
	      "198.51.100.81");
	spelt(audit, "field.space-before-colon", "Known names with a blank behind",
	      "X-Real-IP : 198.51.100.82\r\n", "198.51.100.82");
}

/* A name that nobody knows, with the very address that the client comes from. */
static void audit_own_address(struct forward_audit *audit)
{
	static const char id[] = "field.unknown-name";
	static const char title[] = "The client's address, by an unknown name";
	const struct address *address = &audit->clients[0].address;
	char ip[ADDRESS_TEXT], line[ADDRESS_TEXT + 32];
	struct span text = span_make(ip, address_format_ip(address, ip));
	int len = snprintf(line, sizeof(line), "X-Audit-Place: %.*s\r\n", SPAN_ARG(text));
	const struct special_range *special = address_special(address);
	struct forward_probe probe = {.fields = span_make(line, (size_t)len)};

	if (special && strcmp(special->name, "Loopback") == 0) {
		forward_add(audit, id, title, AUDIT_UNTESTED, GRADE_ELITE,
			    SPAN("the client is on the loopback interface, whose addresses tell nobody apart"),
			    NULL);
		return;
	}
	if (!forward_ask(audit, &probe)) {
		forward_add(audit, id, title, AUDIT_UNTESTED, GRADE_ELITE, forward_outcome(audit, &probe),
			    NULL);
		return;
	}
	struct span value = wire_field_find(&probe.seen->http, "X-Audit-Place");
	forward_add(
		audit, id, title, value.at ? AUDIT_SEEN : AUDIT_UNSEEN, GRADE_ELITE, value,
		"drop fields whose value is the client's exact address, whatever their name (Guise: \"client_address: true\")");
}

/* ---- the client's own ---- */

static void own_field(struct forward_audit *audit, const struct forward_probe *probe,
		      const struct wire_field *sent)
{
	char name[64], id[80];
	int len = snprintf(name, sizeof(name), "%.*s", SPAN_ARG(sent->name));

	for (int i = 0; i <= len && i < (int)sizeof(name); i++)
		name[i] = (char)ascii_lower((uint8_t)name[i]);
	snprintf(id, sizeof(id), "own.%s", name);
	struct span value = wire_field_find(&probe->seen->http, name);
	bool kept = value.at && span_equal(value, sent->value);
	const struct audit_finding finding = {
		.id = id,
		.title = sent->name,
		.saw = kept     ? forward_nothing :
		       value.at ? value :
				  SPAN("dropped"),
		.sight = kept ? AUDIT_UNSEEN : AUDIT_ALTERED,
		.needs = AUDIT_NO_GRADE,
		.minor = true,
	};
	audit_report_add(audit->report, &finding);
}

/* Where the fields that got there stand in another order, or are spelt in another case. */
static void own_shape(struct forward_audit *audit, const struct forward_probe *probe)
{
	const struct wire_message *sent = &probe->sent, *seen = &probe->seen->http;
	const struct wire_field *moved = NULL, *spelt_anew = NULL;
	unsigned last = 0;

	for (unsigned i = 0; i < seen->count; i++) {
		const struct wire_field *from = sent_field(probe, seen->fields[i].name);
		if (!from)
			continue;
		unsigned index = (unsigned)(from - sent->fields);
		if (index < last && !moved)
			moved = &seen->fields[i];
		last = index;
		if (!span_equal(from->name, seen->fields[i].name) && !spelt_anew)
			spelt_anew = &seen->fields[i];
	}
	forward_add(audit, "shape.order", "Order of fields", moved ? AUDIT_SEEN : AUDIT_UNSEEN, AUDIT_NO_GRADE,
		    moved ? arena_format(audit->arena, "another one: %.*s moved", SPAN_ARG(moved->name)) :
			    SPAN("the client's own"),
		    NULL);
	forward_add(audit, "shape.case", "Case of names", spelt_anew ? AUDIT_SEEN : AUDIT_UNSEEN,
		    AUDIT_NO_GRADE,
		    spelt_anew ? arena_format(audit->arena, "another one: %.*s", SPAN_ARG(spelt_anew->name)) :
				 SPAN("the client's own"),
		    NULL);
}

static void audit_own(struct forward_audit *audit)
{
	struct forward_probe probe = {.fields = span_of(forward_own_fields)};

	if (!forward_ask(audit, &probe)) {
		forward_add(audit, "own.fields", "The client's own fields", AUDIT_UNTESTED, AUDIT_NO_GRADE,
			    forward_outcome(audit, &probe), NULL);
		return;
	}
	forward_inspect(audit, &probe);
	for (unsigned i = 0; i < probe.sent.count; i++)
		if (!is_framing(probe.sent.fields[i].name) &&
		    !same_name(probe.sent.fields[i].name, SPAN("Proxy-Authorization")))
			own_field(audit, &probe, &probe.sent.fields[i]);
	own_shape(audit, &probe);
}

/* A login that the proxy did not ask for is for the proxy all the same (RFC 9110 11.7.2). */
static void audit_login(struct forward_audit *audit)
{
	struct forward_probe probe = {.fields = SPAN("Proxy-Authorization: Basic YXVkaXQ6c2VjcmV0\r\n")};

	if (audit->clients[0].proxy.authorization.len)
		probe.fields = (struct span){0}; /* it goes with every request */
	if (forward_ask(audit, &probe))
		forward_inspect(audit, &probe);
	forward_add(audit, "credential.proxy-authorization", "The proxy's login", AUDIT_UNSEEN,
		    GRADE_TRANSPARENT, probe.seen ? forward_nothing : forward_outcome(audit, &probe), NULL);
	if (audit->clients[0].proxy.user.len)
		forward_add(audit, "credential.user", "The user's name at the proxy", AUDIT_UNSEEN,
			    GRADE_ANONYMOUS, (struct span){0}, NULL);
}

void forward_audit_fields(struct forward_audit *audit)
{
	enum { AT_ONCE = 24 };

	for (size_t from = 0; from < ARRAY_LENGTH(known_fields); from += AT_ONCE)
		send_known(audit, from, size_min(from + AT_ONCE, ARRAY_LENGTH(known_fields)));
	audit_spellings(audit);
	audit_own_address(audit);
	audit_login(audit);
	audit_own(audit);
	/* Every request was looked at for these. */
	forward_add(audit, "field.client-address", "The client's address, in any field", AUDIT_UNSEEN,
		    GRADE_ANONYMOUS, (struct span){0}, NULL);
	forward_add(audit, "field.added", "Fields that nobody sent", AUDIT_UNSEEN, GRADE_ELITE,
		    (struct span){0}, NULL);
}
