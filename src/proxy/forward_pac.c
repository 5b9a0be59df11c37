/*
 * Browsers that ask a forward listener for its proxy.pac. On the exchange's worker.
 */
#include "http/target.h"
#include "proxy/pac.h"
#include "proxy/proxy_internal.h"

#include <xxhash.h>

/*
 * Whether the listener is asked as a server, and not as a proxy: by origin-form. HTTP/2 has one form for both; there it is what names the place to which the
 * client has connected.
 */
static bool asks_listener(const struct exchange *x)
{
	const struct http_head *request = &x->request;
	const struct tls_info *tls = x->client->tls;

	if (request->target_form == HTTP_TARGET_ORIGIN)
		return true;
	return request->version == HTTP_VERSION_2 && request->target_form == HTTP_TARGET_ABSOLUTE && tls &&
	       tls->sni.len && span_equal(tls->sni, request->host.host) &&
	       span_equal(request->scheme, SPAN("https")) && forward_port(request) == x->client->local.port;
}

/* How the client reaches the listener: as configured, as it asked, else by where it has connected to. ->at is NULL: out of memory. */
static struct span reached_by(struct exchange *x, const struct pac *pac)
{
	const struct http_authority *host = &x->request.host;

	if (pac_address(pac).len)
		return pac_address(pac);
	if (host->host.len == 0) {
		char text[ADDRESS_TEXT];
		return arena_copy(&x->arena, span_make(text, address_format(&x->client->local, text)));
	}
	return arena_format(&x->arena, host->ip_family == ADDRESS_V6 ? "[%.*s]:%u" : "%.*s:%u",
			    SPAN_ARG(host->host), forward_port(&x->request));
}

static bool is_known(const struct exchange *x, struct span tag)
{
	const struct http_field *field = http_fields_find_name(&x->request.fields, SPAN("If-None-Match"));

	return field && span_search(field->value, tag) >= 0;
}

static bool add_fields(struct exchange *x, const struct proxy_exchange *p, struct span tag)
{
	struct http_fields *fields = &x->response.fields;

	return http_fields_add_known(fields, HTTP_FIELD_CONTENT_TYPE,
				     SPAN("application/x-ns-proxy-autoconfig")) &&
	       http_fields_add_known(fields, HTTP_FIELD_CACHE_CONTROL, SPAN("max-age=300")) &&
	       http_fields_add(fields, HTTP_FIELD_OTHER, SPAN("ETag"), tag) &&
	       http_fields_add(fields, HTTP_FIELD_OTHER, SPAN("X-Content-Type-Options"), SPAN("nosniff")) &&
	       tls_policy_response(x, p, fields);
}

enum phase_result forward_pac(struct exchange *x, struct proxy_exchange *p)
{
	const struct pac *pac = p->listener->pac;
	struct span path = http_path_only(x->request.path);
	bool tls = span_equal(x->service->scheme, SPAN("https")), socks = !x->service->accounts;

	if (!pac || !asks_listener(x) ||
	    (x->request.method != HTTP_METHOD_GET && x->request.method != HTTP_METHOD_HEAD) ||
	    !(span_equal(path, SPAN("/proxy.pac")) || span_equal(path, SPAN("/wpad.dat"))))
		return PHASE_NEXT;
	struct span address = reached_by(x, pac);
	struct span script = address.at ? pac_script(pac, address, tls, socks, &x->arena) : address;
	if (!script.at)
		return phase_fail(x, ERROR_MEMORY, NULL);
	struct span tag =
		arena_format(&x->arena, "\"%016llx\"", (unsigned long long)XXH3_64bits(script.at, script.len));
	reply_begin(x, tag.at && is_known(x, tag) ? 304 : 200);
	if (!tag.at || !add_fields(x, p, tag))
		return phase_fail(x, ERROR_MEMORY, NULL);
	exchange_reply(x, script);
	return PHASE_DONE;
}
