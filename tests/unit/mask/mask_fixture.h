/*
 * What tests of masks share beyond those of routes: fields as text, addresses.
 */
#ifndef GUISE_TESTS_MASK_FIXTURE_H
#define GUISE_TESTS_MASK_FIXTURE_H

#include "route/route_fixture.h"

#include "net/address.h"

/* "Name: value\n" for each field that is there. */
static inline void assert_fields(const struct http_fields *fields, const char *text)
{
	static char got[8192];
	const struct http_field *field;
	uint32_t index = 0;
	size_t len = 0;

	got[0] = '\0';
	while ((field = http_fields_next(fields, &index)))
		len += (size_t)snprintf(got + len, sizeof(got) - len, "%.*s: %.*s\n", SPAN_ARG(field->name),
					SPAN_ARG(field->value));
	assert_string_equal(got, text);
}

static inline struct address ip(const char *text)
{
	struct address address = {.family = ADDRESS_NONE};

	if (strcmp(text, "unix") == 0)
		return (struct address){.family = ADDRESS_UNIX};
	assert_true(address_parse_ip(span_of(text), &address));
	return address;
}

#endif
