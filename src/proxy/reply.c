/*
 * Answers of our own: errors in the form that the client reads best, and the answer to TRACE. What they say of a failure never names what the
 * mask hides.
 */
#include "account/accounts.h"
#include "proxy/proxy_internal.h"

void reply_begin(struct exchange *x, unsigned status)
{
	x->response = (struct http_head){.status = (uint16_t)status, .version = HTTP_VERSION_11};
	x->response.reason = span_of(http_status_reason(status));
	http_fields_init(&x->response.fields, &x->arena);
}

enum reply_form { REPLY_PLAIN, REPLY_HTML, REPLY_JSON };

/* A browser asks for HTML, a program gets RFC 9457's problem details; whoever opens a tunnel wants a line to print. */
static enum reply_form reply_form(const struct exchange *x)
{
	const struct http_field *accept = http_fields_find(&x->request.fields, HTTP_FIELD_ACCEPT);

	if (x->request.method == HTTP_METHOD_CONNECT)
		return REPLY_PLAIN;
	if (accept && span_search(accept->value, SPAN("text/html")) >= 0)
		return REPLY_HTML;
	return REPLY_JSON;
}

static const char *const reply_types[] = {
	[REPLY_PLAIN] = "text/plain; charset=utf-8",
	[REPLY_HTML] = "text/html; charset=utf-8",
	[REPLY_JSON] = "application/problem+json",
};

/* For JSON, and for a String of a structured field: texts have no control bytes, quotes are what they may have. Zero: out of memory. */
static struct span reply_quote(struct exchange *x, struct span text)
{
	uint8_t *out = arena_alloc(&x->arena, 2 * text.len + 1);
	size_t len = 0;

	if (!out)
		return (struct span){0};
	for (size_t i = 0; i < text.len; i++) {
		if (text.at[i] == '"' || text.at[i] == '\\')
			out[len++] = '\\';
		out[len++] = text.at[i];
	}
	return span_make(out, len);
}

/* For HTML: what the configuration gives as a reason is text, whatever is in it. Zero: out of memory. */
static struct span reply_escape(struct exchange *x, struct span text)
{
	enum { LONGEST = sizeof("&quot;") - 1 };
	uint8_t *out = arena_alloc(&x->arena, LONGEST * text.len + 1);
	size_t len = 0;

	if (!out)
		return (struct span){0};
	for (size_t i = 0; i < text.len; i++) {
		struct span sign = text.at[i] == '&' ? SPAN("&amp;") :
				   text.at[i] == '<' ? SPAN("&lt;") :
				   text.at[i] == '>' ? SPAN("&gt;") :
				   text.at[i] == '"' ? SPAN("&quot;") :
						       span_make(text.at + i, 1);
		memcpy(out + len, sign.at, sign.len);
		len += sign.len;
	}
	return span_make(out, len);
}

static struct span reply_html(struct exchange *x, unsigned status, struct span text)
{
	const char *title = http_status_reason(status);

	return arena_format(
		&x->arena,
		"<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>%u %s</title>\n"
		"<style>body{font:1rem/1.5 system-ui,sans-serif;max-width:36rem;margin:15vh auto;padding:0 1rem;"
		"color-scheme:light dark}</style>\n<h1>%u %s</h1>\n%.*s</html>\n",
		status, title, status, title, SPAN_ARG(text));
}

struct span reply_status_body(struct exchange *x, unsigned status, struct span *type)
{
	enum reply_form form = reply_form(x);
	const char *title = http_status_reason(status);

	*type = span_of(reply_types[form]);
	switch (form) {
	case REPLY_PLAIN:
		return arena_format(&x->arena, "%u %s\n", status, title);
	case REPLY_HTML:
		return reply_html(x, status, SPAN(""));
	case REPLY_JSON:
		break;
	}
	return arena_format(&x->arena, "{\"status\":%u,\"title\":\"%s\"}\n", status, title);
}

static struct span reply_error_body(struct exchange *x, enum reply_form form, const struct error *error,
				    struct span detail)
{
	unsigned status = error_status(error);
	const char *title = http_status_reason(status);

	switch (form) {
	case REPLY_PLAIN:
		return arena_format(&x->arena, "%u %s: %.*s\n", status, title, SPAN_ARG(detail));
	case REPLY_HTML:
		detail = reply_escape(x, detail);
		detail = detail.at ? arena_format(&x->arena, "<p>%.*s.</p>\n", SPAN_ARG(detail)) : detail;
		return detail.at ? reply_html(x, status, detail) : detail;
	case REPLY_JSON:
		break;
	}
	detail = reply_quote(x, detail);
	if (!detail.at)
		return detail;
	return arena_format(&x->arena,
			    "{\"status\":%u,\"title\":\"%s\",\"error\":\"%s\",\"detail\":\"%.*s\"}\n", status,
			    title, error_proxy_status(error), SPAN_ARG(detail));
}

/* Methods that a face serves (RFC 9110 15.5.6: a 405 must say). */
static const struct span reverse_allow = {(const uint8_t *)"GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH",
					  sizeof("GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH") - 1};

/* RFC 9110 10.2.3, in seconds; 0: nothing is said. */
static bool reply_retry_after(struct exchange *x, uint64_t seconds)
{
	struct span text;

	if (seconds == 0)
		return true;
	text = arena_format(&x->arena, "%llu", (unsigned long long)seconds);
	return text.at && http_fields_add(&x->response.fields, HTTP_FIELD_OTHER, SPAN("Retry-After"), text);
}

/*
 * "guise; error=http_request_denied", and what was written for the client in particular as `details` (RFC 9209 2.1.5), where that is ASCII, as Strings are
 * (RFC 9651 3.3.3). Zero: out of memory.
 */
static struct span reply_proxy_status(struct exchange *x, const struct proxy_exchange *p,
				      const struct error *error)
{
	struct span hint = p->hint;

	for (size_t i = 0; i < hint.len; i++)
		if (hint.at[i] < 0x20 || hint.at[i] > 0x7e)
			hint.len = 0;
	if (hint.len == 0)
		return arena_format(&x->arena, "%.*s; error=%s", SPAN_ARG(p->listener->name),
				    error_proxy_status(error));
	hint = reply_quote(x, hint);
	if (!hint.at)
		return hint;
	return arena_format(&x->arena, "%.*s; error=%s; details=\"%.*s\"", SPAN_ARG(p->listener->name),
			    error_proxy_status(error), SPAN_ARG(hint));
}

static bool reply_error_fields(struct exchange *x, const struct proxy_exchange *p, enum reply_form form,
			       const struct error *error)
{
	struct http_fields *fields = &x->response.fields;
	struct span status = reply_proxy_status(x, p, error);

	if (!status.at || !http_fields_add_known(fields, HTTP_FIELD_PROXY_STATUS, status) ||
	    !http_fields_add_known(fields, HTTP_FIELD_CONTENT_TYPE, span_of(reply_types[form])) ||
	    !http_fields_add_known(fields, HTTP_FIELD_CACHE_CONTROL, SPAN("no-store")) ||
	    !tls_policy_response(x, p, fields) || !reverse_mask_error(p, fields))
		return false;
	if (error_status(error) == 407 && !http_fields_add_known(fields, HTTP_FIELD_PROXY_AUTHENTICATE,
								 accounts_challenge(x->service->accounts)))
		return false;
	if (error_status(error) == 405 &&
	    !http_fields_add(fields, HTTP_FIELD_OTHER, SPAN("Allow"), reverse_allow))
		return false;
	return reply_retry_after(x, error_status(error) == 503 ? 1 : p->retry_after);
}

void reply_error(struct exchange *x, struct proxy_exchange *p, const struct error *error)
{
	enum reply_form form = reply_form(x);

	/* One byte is all that SOCKS has for an error, and its codec knows which. */
	if (http_version_is_socks(x->request.version)) {
		reply_begin(x, error_status(error));
		exchange_reply(x, (struct span){0});
		return;
	}
	struct span detail = p->hint.len ? p->hint : span_of(error_text(error));
	struct span body = reply_error_body(x, form, error, detail);

	reply_begin(x, error_status(error));
	if (!body.at || !reply_error_fields(x, p, form, error)) {
		exchange_abort(x, &(struct error){.code = ERROR_MEMORY});
		return;
	}
	exchange_reply(x, body);
}

/* The fields that a TRACE's answer leaves out: they are secrets of the client (RFC 9110 9.3.8). */
static bool trace_hides(const struct http_field *field)
{
	switch (field->id) {
	case HTTP_FIELD_AUTHORIZATION:
	case HTTP_FIELD_PROXY_AUTHORIZATION:
	case HTTP_FIELD_COOKIE:
		return true;
	default:
		return false;
	}
}

/* The request as it arrived here, as far as it may be shown (RFC 9110 9.3.8, message/http). */
static struct span trace_text(struct exchange *x)
{
	const struct http_head *request = &x->request;
	struct span *parts = arena_alloc(&x->arena, (4 * request->fields.count + 2) * sizeof(*parts));
	const struct http_field *field;
	uint32_t index = 0;
	unsigned count = 0;

	if (!parts)
		return (struct span){0};
	parts[count++] = arena_format(&x->arena, "TRACE %.*s://%.*s%.*s HTTP/1.1\r\nHost: %.*s\r\n",
				      SPAN_ARG(request->scheme), SPAN_ARG(request->authority),
				      SPAN_ARG(request->path), SPAN_ARG(request->authority));
	if (!parts[0].at)
		return parts[0];
	while ((field = http_fields_next(&request->fields, &index))) {
		if (trace_hides(field))
			continue;
		parts[count++] = field->name;
		parts[count++] = SPAN(": ");
		parts[count++] = field->value;
		parts[count++] = SPAN("\r\n");
	}
	parts[count++] = SPAN("\r\n");
	return arena_join(&x->arena, parts, count);
}

void reply_trace(struct exchange *x)
{
	struct span body = trace_text(x);

	reply_begin(x, 200);
	if (!body.at ||
	    !http_fields_add_known(&x->response.fields, HTTP_FIELD_CONTENT_TYPE, SPAN("message/http")))
		exchange_abort(x, &(struct error){.code = ERROR_MEMORY});
	else
		exchange_reply(x, body);
}
