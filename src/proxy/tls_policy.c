/*
 * What a client's TLS means for its requests: which hosts may be asked for on this connection, what servers are told of its certificate, what
 * browsers are told of the site; and the answer to who speaks plain HTTP to a port that speaks TLS.
 */
#include "core/base64.h"
#include "mask/name.h"
#include "proxy/proxy_internal.h"
#include "tls/store.h"

/*
 * RFC 9110 7.4, 15.5.20, RFC 9113 9.1.2: a client that reuses a connection for another host, or asks another host than it named in the handshake, must
 * not get an answer that the certificate of this connection does not stand for. Forward listeners are asked for anybody's hosts.
 */
enum phase_result phase_misdirected(struct exchange *x, struct proxy_exchange *p)
{
	const struct tls_info *tls = x->client->tls;
	struct span host = x->request.host.host;

	if (!tls || !tls->identity || host.len == 0 || tls_identity_serves(tls->identity, host))
		return PHASE_NEXT;
	return phase_fail(
		x, ERROR_MISDIRECTED,
		"the certificate of this connection is not for that host: make another connection for it");
}

bool tls_policy_response(const struct exchange *x, const struct proxy_exchange *p, struct http_fields *fields)
{
	/* RFC 6797 7.2: never in clear. */
	if (p->listener->hsts.len == 0 || !x->client->tls)
		return true;
	return http_fields_set(fields, HTTP_FIELD_STRICT_TRANSPORT_SECURITY,
			       http_field_name(HTTP_FIELD_STRICT_TRANSPORT_SECURITY), p->listener->hsts);
}

/* A byte sequence of structured fields (RFC 8941 3.3.5) with the certificate's DER (RFC 9440 2.1). Zero: out of memory. */
static struct span certificate_text(struct arena *arena, struct span der)
{
	size_t len = base64_length(der.len);
	char *text = arena_alloc(arena, len + 2);

	if (!text)
		return (struct span){0};
	text[0] = text[len + 1] = ':';
	base64_encode(der, text + 1);
	return span_make(text, len + 2);
}

void tls_policy_drop(struct http_fields *fields, bool keep_known)
{
	struct http_field *field;
	uint32_t index = 0;

	while ((field = http_fields_next(fields, &index))) {
		bool known = field->id == HTTP_FIELD_CLIENT_CERT || field->id == HTTP_FIELD_CLIENT_CERT_CHAIN;
		if (known ? !keep_known :
			    mask_name_is(field->name, SPAN("client-cert")) ||
				    mask_name_is(field->name, SPAN("client-cert-chain")))
			field->dropped = true;
	}
}

bool tls_policy_request(struct exchange *x, struct proxy_exchange *p)
{
	struct http_fields *fields = &x->request.fields;
	const struct tls_info *tls = x->client->tls;
	struct span text;

	bool believed = http_fields_find(fields, HTTP_FIELD_CLIENT_CERT) &&
			forwarded_trusts(p->listener->forwarded, &x->client->address);

	/* RFC 9440 4: whoever believes the field must be sure that no client can send it. */
	tls_policy_drop(fields, believed);
	if (believed)
		return true;
	if (!p->listener->pass_certificate || !tls || tls->client_certificate.len == 0)
		return true;
	text = certificate_text(&x->arena, tls->client_certificate);
	return text.at && http_fields_add_known(fields, HTTP_FIELD_CLIENT_CERT, text);
}

/* ---- plain HTTP on a port that speaks TLS ---- */

/* The request was understood, but nothing that is said in clear here is answered. */
static void plain_on_request(struct exchange *x)
{
	x->close_after = true;
	exchange_fail(x, &(struct error){.code = ERROR_PLAIN_HTTP});
}

static void plain_on_refused(struct exchange *x, const struct error *error)
{
	if (error_source(error) == ERROR_SOURCE_CLIENT)
		x->error = error_make(ERROR_PLAIN_HTTP, NULL);
	proxy_exchange_ops.on_refused(x, &x->error);
}

/* There is no up stream that could call these. */
static void plain_on_response(struct exchange *x)
{
	exchange_abort(x, &(struct error){.code = ERROR_INTERNAL});
}

static void plain_on_up_failed(struct exchange *x, const struct error *error)
{
	exchange_abort(x, error);
}

static void plain_on_end(struct exchange *x)
{
	proxy_exchange_ops.on_end(x);
}

const struct exchange_ops proxy_plain_ops = {
	.on_request = plain_on_request,
	.on_response = plain_on_response,
	.on_up_failed = plain_on_up_failed,
	.on_refused = plain_on_refused,
	.on_end = plain_on_end,
};
