/*
 * Which schemes they are, and where they stand. See connection_auth.h; on any thread.
 */
#include "http/connection_auth.h"

/* The schemes of [MS-NTHT] and [MS-N2HT], and what else is done by the same interface (SSPI). */
static bool is_connection_scheme(struct span scheme)
{
	const struct span schemes[] = {SPAN("NTLM"), SPAN("Negotiate"), SPAN("Nego2"), SPAN("Kerberos")};

	for (size_t i = 0; i < ARRAY_LENGTH(schemes); i++)
		if (span_equal_nocase(scheme, schemes[i]))
			return true;
	return false;
}

/* RFC 9110 11.1: the scheme is a token, and what follows it stands behind blanks. */
static struct span scheme_of(struct span value)
{
	size_t len = 0;

	while (len < value.len && value.at[len] != ' ' && value.at[len] != '\t')
		len++;
	return span_first(value, len);
}

bool http_credentials_bind(const struct http_fields *request)
{
	const struct http_field *field;
	uint32_t at = 0;

	if (!http_fields_find(request, HTTP_FIELD_AUTHORIZATION))
		return false;
	while ((field = http_fields_next(request, &at)))
		if (field->id == HTTP_FIELD_AUTHORIZATION && is_connection_scheme(scheme_of(field->value)))
			return true;
	return false;
}

/* RFC 9110 11.6.1: challenges are a list, whose members may be parameters of the challenge before them. */
static bool challenges_bind(struct span value)
{
	struct span member;

	while (http_list_next(&value, &member))
		if (is_connection_scheme(scheme_of(member)))
			return true;
	return false;
}

bool http_challenges_bind(const struct http_fields *response)
{
	const struct http_field *field;
	uint32_t at = 0;

	while ((field = http_fields_next(response, &at))) {
		if (span_equal_nocase(field->name, SPAN("Persistent-Auth")))
			return true;
		if ((field->id == HTTP_FIELD_PROXY_AUTHENTICATE ||
		     span_equal_nocase(field->name, SPAN("WWW-Authenticate"))) &&
		    challenges_bind(field->value))
			return true;
	}
	return false;
}
