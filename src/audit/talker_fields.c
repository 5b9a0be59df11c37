/*
 * What servers say of themselves, in fields that are really met. Not the list that Guise's own mask goes by: an audit that used it would prove little.
 */
#include "audit/talker_internal.h"

#define SECRET(id, name, value)                                                                              \
	{                                                                                                    \
		id, NULL, name, value, NULL, TALK_SECRET, TALK_QUIET                                         \
	}
#define DEEP(id, name, value)                                                                                \
	{                                                                                                    \
		id, NULL, name, value, NULL, TALK_SECRET, TALK_MASKED                                        \
	}
#define NEEDED(name, value)                                                                                  \
	{                                                                                                    \
		"needed." name, NULL, name, value, NULL, TALK_NEEDED, TALK_NO_GRADE                          \
	}

static const struct talk_field chatter[] = {
	SECRET("software.server", "Server", "Aud/2.4.57 (Unix) mod_audit"),
	SECRET("software.powered-by", "X-Powered-By", "AudPHP/8.1.2-1ubuntu2"),
	SECRET("software.aspnet", "X-AspNet-Version", "4.0.30319"),
	SECRET("software.aspnetmvc", "X-AspNetMvc-Version", "5.2"),
	SECRET("software.generator", "X-Generator", "Audpal 10 (https://www.drupal.org)"),
	SECRET("software.drupal-cache", "X-Drupal-Cache", "HIT-aud"),
	SECRET("software.drupal-dynamic", "X-Drupal-Dynamic-Cache", "MISS-aud"),
	SECRET("software.redirect-by", "X-Redirect-By", "AudPress"),
	SECRET("software.litespeed", "X-Litespeed-Cache", "hit-aud"),
	SECRET("software.pagespeed", "X-Mod-Pagespeed", "1.13.35.2-aud"),
	SECRET("software.page-speed", "X-Page-Speed", "1.13.35.2-aud"),
	SECRET("software.varnish", "X-Varnish", "32770 4591-aud"),
	SECRET("software.owa", "X-OWA-Version", "15.2.1118.40"),
	SECRET("software.sharepoint", "MicrosoftSharePointTeamServices", "16.0.0.5372"),
	SECRET("software.jenkins", "X-Jenkins", "2.401.1-aud"),
	SECRET("software.jenkins-session", "X-Jenkins-Session", "aud4711"),
	SECRET("software.liferay", "Liferay-Portal", "Audray Community Edition 7.4"),
	SECRET("software.rack-cache", "X-Rack-Cache", "miss-aud"),
	SECRET("software.magento", "X-Magento-Cache-Debug", "MISS-aud"),
	SECRET("software.php-version", "X-PHP-Version", "8.1.2-aud"),
	SECRET("software.technology", "X-Powered-CMS", "AudCMS 3"),
	SECRET("node.backend-server", "X-Backend-Server", "aud-node-7"),
	SECRET("node.backend", "X-Backend", "aud-node-7"),
	SECRET("node.served-by", "X-Served-By", "aud-node-7"),
	SECRET("node.server-name", "X-Server-Name", "aud-node-7"),
	SECRET("node.server", "X-Server", "aud-node-7"),
	SECRET("node.host", "X-Host", "aud-node-7"),
	SECRET("node.hostname", "X-Hostname", "aud-node-7"),
	SECRET("node.node", "X-Node", "aud-node-7"),
	SECRET("node.upstream", "X-Upstream", "aud-node-7"),
	SECRET("node.instance", "X-Instance-Id", "i-0aud5d7e"),
	SECRET("node.pod", "X-Pod-Name", "aud-6d4cf56db6-x7x2p"),
	SECRET("node.fe-server", "X-FEServer", "AUDNODE7"),
	SECRET("node.be-server", "X-BEServer", "AUDNODE7"),
	SECRET("node.be-target", "X-CalculatedBETarget", "audnode7.corp.local"),
	SECRET("node.diag-info", "X-DiagInfo", "AUDNODE7"),
	SECRET("node.via", "Via", "1.1 aud-node-7 (Audcache/6)"),
	SECRET("node.amz-cf-id", "X-Amz-Cf-Id", "aud5VkQ=="),
	SECRET("node.amz-cf-pop", "X-Amz-Cf-Pop", "FRA56-aud"),
	SECRET("node.cf-ray", "CF-Ray", "7d0aud-FRA"),
	SECRET("node.azure-ref", "X-Azure-Ref", "0aud9ZA=="),
	SECRET("node.fastly", "X-Fastly-Request-ID", "aud42"),
	DEEP("timing.runtime", "X-Runtime", "0.4711aud"),
	DEEP("timing.server-timing", "Server-Timing", "audb;dur=53, app;dur=47.2"),
	DEEP("timing.envoy", "X-Envoy-Upstream-Service-Time", "4711"),
	DEEP("timing.kong-upstream", "X-Kong-Upstream-Latency", "4712"),
	DEEP("timing.kong-proxy", "X-Kong-Proxy-Latency", "4713"),
	DEEP("timing.response-time", "X-Response-Time", "47.11ms"),
	DEEP("timing.cache", "X-Cache", "HIT from aud-node-7"),
	DEEP("timing.cache-hits", "X-Cache-Hits", "4714"),
	DEEP("timing.cache-lookup", "X-Cache-Lookup", "HIT from aud-node-7:3128"),
	DEEP("timing.cache-status", "Cache-Status", "audcache; hit; ttl=376"),
	DEEP("timing.timer", "X-Timer", "S1660000000.4711,VS0,VE47"),
	DEEP("inside.debug-token", "X-Debug-Token", "aud0f1"),
	DEEP("inside.debug-token-link", "X-Debug-Token-Link", "/_profiler/aud0f1"),
	DEEP("inside.debug", "X-Debug", "aud=1"),
	DEEP("inside.envoy-operation", "X-Envoy-Decorator-Operation", "aud.default.svc:80/*"),
	DEEP("inside.application-context", "X-Application-Context", "aud:prod:8080"),
	DEEP("inside.b3", "X-B3-TraceId", "463ac35c9f6413ad48485a3953bb6aud"),
	DEEP("inside.amzn-trace", "X-Amzn-Trace-Id", "Root=1-67891233-aud"),
	DEEP("inside.proxy-status", "Proxy-Status", "aud-node-7; error=connection_timeout"),
	DEEP("inside.chromelogger", "X-ChromeLogger-Data", "aud=="),
};

/* Names and addresses in fields that nobody has on a list, and in places where they are hard to see. */
static const struct talk_field named[] = {
	{"inside.unknown-name", "its name in a field that no list knows", "X-Aud-Whatever",
	 "answered by {inside} in Frankfurt", NULL, TALK_INSIDE, TALK_THIN},
	{"inside.unknown-address", "its address in a field that no list knows", "X-Aud-Elsewhere",
	 "peer={address};ok", NULL, TALK_INSIDE, TALK_THIN},
	{"inside.underscore", "its name under a name with \"_\"", "X_Aud_Upper", "{inside}", NULL,
	 TALK_INSIDE, TALK_THIN},
	{"inside.odd-case", "its name in odd case", "x-AUD-casE", "HTTP://{inside}/", NULL, TALK_INSIDE,
	 TALK_THIN},
};

/* What is evaluated by some proxies, and for them alone: a response of its own, as it may be replaced by what they do. */
static const struct talk_field orders[] = {
	SECRET("order.accel-buffering", "X-Accel-Buffering", "no"),
	SECRET("order.accel-expires", "X-Accel-Expires", "4711"),
	SECRET("order.accel-limit-rate", "X-Accel-Limit-Rate", "47110000"),
	SECRET("order.accel-charset", "X-Accel-Charset", "aud-8"),
};

static const struct talk_field files[] = {
	SECRET("order.accel-redirect", "X-Accel-Redirect", "/aud/protected/file"),
	SECRET("order.sendfile", "X-Sendfile", "/var/www/aud/file"),
	SECRET("order.lighttpd-send-file", "X-LIGHTTPD-send-file", "/var/www/aud/file"),
	SECRET("order.reproxy", "X-Reproxy-URL", "/aud/file"),
};

#define MENDED(id, title, name, value, mark)                                                                 \
	{                                                                                                    \
		id, title, name, value, mark, TALK_MENDED, TALK_THIN                                         \
	}

static const struct talk_field references[] = {
	MENDED("reference.content-location", NULL, "Content-Location", "http://{inside}/aud/page?x=1",
	       "/aud/page?x=1"),
	MENDED("reference.refresh", NULL, "Refresh", "5; url=http://{inside}/aud/next", "/aud/next"),
	MENDED("reference.link", NULL, "Link", "<http://{address}/aud/style.css>; rel=preload",
	       "/aud/style.css"),
	MENDED("reference.cookie", "Set-Cookie with its Domain", "Set-Cookie",
	       "audsid=s3cret; Domain={host}; Path=/; HttpOnly", "audsid=s3cret"),
};

static const struct talk_field moved[] = {
	MENDED("reference.location", NULL, "Location", "http://{inside}/aud/after?x=1&y=2",
	       "/aud/after?x=1&y=2"),
};

static const struct talk_field moved_address[] = {
	MENDED("reference.location-address", "Location with its address", "Location",
	       "http://{address}/aud/a", "/aud/a"),
};

static const struct talk_field moved_scheme[] = {
	MENDED("reference.location-scheme", "Location without a scheme", "Location", "//{inside}/aud/b",
	       "/aud/b"),
};

static const struct talk_field moved_inside[] = {
	{"needed.location-relative", "Location, relative", "Location", "/aud/relative?q=1", NULL, TALK_NEEDED,
	 TALK_NO_GRADE},
};

static const struct talk_field moved_away[] = {
	{"needed.location-elsewhere", "Location of somebody else", "Location",
	 "https://elsewhere.example/aud?u=1", NULL, TALK_NEEDED, TALK_NO_GRADE},
};

#define INSIDE(id, name, value)                                                                              \
	{                                                                                                    \
		id, NULL, name, value, NULL, TALK_INSIDE, TALK_THIN                                          \
	}

static const struct talk_field policies[] = {
	INSIDE("policy.allow-origin", "Access-Control-Allow-Origin", "http://{inside}"),
	INSIDE("policy.csp", "Content-Security-Policy",
	       "default-src 'self' http://{inside}; report-uri http://{address}/csp"),
	INSIDE("policy.csp-report-only", "Content-Security-Policy-Report-Only", "img-src {inside}"),
	INSIDE("policy.report-to", "Report-To",
	       "{\"group\":\"aud\",\"max_age\":10,\"endpoints\":[{\"url\":\"http://{inside}/r\"}]}"),
	INSIDE("policy.reporting-endpoints", "Reporting-Endpoints", "aud=\"http://{inside}/reports\""),
	INSIDE("policy.source-map", "SourceMap", "http://{inside}/aud.js.map"),
	INSIDE("policy.x-source-map", "X-SourceMap", "http://{address}/aud.js.map"),
	INSIDE("policy.alt-svc", "Alt-Svc", "h2=\"{inside}\"; ma=60"),
	INSIDE("policy.timing-allow-origin", "Timing-Allow-Origin", "http://{inside}"),
	INSIDE("policy.expect-ct", "Expect-CT", "max-age=1, report-uri=\"http://{inside}/ct\""),
};

static const struct talk_field needed[] = {
	NEEDED("Content-Type", "application/json"),
	NEEDED("Cache-Control", "private, max-age=60"),
	NEEDED("Vary", "X-Aud-Vary"),
	NEEDED("Last-Modified", "Tue, 01 Jul 2025 08:00:00 GMT"),
	NEEDED("Content-Language", "de-AT"),
	NEEDED("Content-Disposition", "attachment; filename=\"aud.json\""),
	NEEDED("X-Content-Type-Options", "nosniff"),
	NEEDED("X-Frame-Options", "DENY"),
	NEEDED("Referrer-Policy", "no-referrer"),
	NEEDED("Permissions-Policy", "camera=()"),
	NEEDED("Cross-Origin-Opener-Policy", "same-origin"),
	NEEDED("RateLimit-Limit", "100"),
	NEEDED("RateLimit-Remaining", "47"),
	NEEDED("X-RateLimit-Remaining", "47"),
	NEEDED("Deprecation", "@1688169599"),
	NEEDED("Sunset", "Wed, 11 Nov 2037 11:11:11 GMT"),
	NEEDED("grpc-status", "5"),
	NEEDED("grpc-message", "no such shop"),
	NEEDED("Accept-Patch", "text/aud"),
	NEEDED("Tus-Resumable", "1.0.0"),
	NEEDED("X-Total-Count", "4711"),
	NEEDED("Set-Cookie", "audlang=de; Path=/; SameSite=Lax"),
	{"needed.csp", "Content-Security-Policy that names nobody inside", "Content-Security-Policy",
	 "default-src 'self' https://cdn.example", NULL, TALK_NEEDED, TALK_NO_GRADE},
	{"needed.allow-origin", "Access-Control-Allow-Origin of somebody else", "Access-Control-Allow-Origin",
	 "https://partner.example", NULL, TALK_NEEDED, TALK_NO_GRADE},
};

static const struct talk_field login[] = {NEEDED("WWW-Authenticate", "Basic realm=\"aud\"")};
static const struct talk_field methods[] = {NEEDED("Allow", "GET, HEAD, PUT")};
static const struct talk_field later[] = {NEEDED("Retry-After", "47")};

static const struct talk_field hints[] = {
	{"interim.link", "Link of an early hint (103)", "Link", "<http://{inside}/aud/hint.css>; rel=preload",
	 NULL, TALK_INSIDE, TALK_THIN},
	{"interim.server", "Server of an early hint (103)", "Server", "Aud/2.4.57", NULL, TALK_SECRET,
	 TALK_QUIET},
};

static const struct talk_field behind[] = {
	{"trailer.backend", "X-Backend-Server in a trailer", "X-Backend-Server", "aud-node-7", NULL,
	 TALK_SECRET, TALK_QUIET},
	{"trailer.name", "its name in a trailer that no list knows", "X-Aud-Trailer", "by {inside}", NULL,
	 TALK_INSIDE, TALK_THIN},
	{"trailer.timing", "Server-Timing in a trailer", "Server-Timing", "audb;dur=53", NULL, TALK_SECRET,
	 TALK_MASKED},
};

static const struct talk_field sameness[] = {
	{"same.etag", "ETag made of an inode", "ETag", "\"47110aud-5f3-63b1c7d2\"", NULL, TALK_SECRET,
	 TALK_SAME},
	{"same.date", "Date of its own clock", "Date", "Tue, 01 Jul 2025 08:00:07 GMT", NULL, TALK_SECRET,
	 TALK_SAME},
};

#define FIELDS(list) .fields = (list), .count = ARRAY_LENGTH(list)
#define BESIDE(list) .beside = (list), .beside_count = ARRAY_LENGTH(list)
#define STACK_TRACE                                                                                          \
	"<h1>Internal error</h1><pre>Traceback: File \"/srv/aud/app.py\", line 4711\n"                       \
	"  connect to {inside} ({address}) failed</pre>"

const struct talk talks[] = {
	{.name = "chatter", .status = "200 OK", FIELDS(chatter), .body = "fine"},
	{.name = "named", .status = "200 OK", FIELDS(named), .body = "fine"},
	{.name = "orders", .status = "200 OK", FIELDS(orders), .body = "fine"},
	{.name = "files", .status = "200 OK", FIELDS(files), .body = "fine"},
	{.name = "references", .status = "200 OK", FIELDS(references), .body = "fine"},
	{.name = "moved", .status = "302 Found", FIELDS(moved), .body = ""},
	{.name = "moved-address", .status = "301 Moved Permanently", FIELDS(moved_address), .body = ""},
	{.name = "moved-scheme", .status = "307 Temporary Redirect", FIELDS(moved_scheme), .body = ""},
	{.name = "moved-inside", .status = "303 See Other", FIELDS(moved_inside), .body = ""},
	{.name = "moved-away", .status = "302 Found", FIELDS(moved_away), .body = ""},
	{.name = "policies", .status = "200 OK", FIELDS(policies), .body = "fine"},
	{.name = "needed", .status = "200 OK", FIELDS(needed), .body = "{\"fine\":true}"},
	{.name = "login", .status = "401 Unauthorized", FIELDS(login), .body = "who are you?"},
	{.name = "methods", .status = "405 Method Not Allowed", FIELDS(methods), .body = "not so"},
	{.name = "later", .status = "503 Service Unavailable", FIELDS(later), .body = "later"},
	{.name = "reason", .status = "200 Fine says aud-node-7", .body = "fine"},
	{.name = "interim", .status = "200 OK", BESIDE(hints), .body = "fine", .form = TALK_INTERIM},
	{.name = "trailers", .status = "200 OK", BESIDE(behind), .body = "fine", .form = TALK_TRAILERS},
	{.name = "same", .status = "200 OK", FIELDS(sameness), .body = "0123456789"},
	{.name = "not-found", .status = "404 Not Found", FIELDS(chatter), .body = "<h1>not on {inside}</h1>"},
	{.name = "error", .status = "500 Internal Server Error", FIELDS(chatter), .body = STACK_TRACE},
	{.name = "bad-gateway", .status = "502 Bad Gateway", FIELDS(chatter), .body = "no answer from {address}"},
	{.name = "page", .status = "200 OK", .body = "<a href=\"http://{inside}/x\">x</a> <!-- {address} -->"},
	{.name = "dies", .form = TALK_DIES},
	{.name = "breaks", .status = "200 OK", .body = "only the first half of it", .form = TALK_BREAKS},
	{.name = "garbage", .form = TALK_GARBAGE},
	{0},
};
