/*
 * The configuration's limits as the parser wants them.
 */
#ifndef GUISE_HTTP_H1_LIMITS_H
#define GUISE_HTTP_H1_LIMITS_H

#include "exchange/settings.h"
#include "http/h1/parse.h"

static inline uint32_t h1_limit_from(uint64_t value)
{
	return value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
}

static inline struct h1_limits h1_limits_from(const struct limits_settings *limits)
{
	return (struct h1_limits){
		.request_line = h1_limit_from(limits->request_line),
		.field_line = h1_limit_from(limits->field_line),
		.fields = h1_limit_from(limits->fields),
		.head = h1_limit_from(limits->head),
	};
}

#endif
