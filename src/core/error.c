/*
 * The error table made readable. Pure functions, any thread.
 */
#include "core/error.h"

struct error_row {
	enum error_source source;
	unsigned status;
	const char *name, *proxy_status, *text;
};

static const struct error_row rows[ERROR_CODES] = {
#define ROW(code, name, source, status, proxy_status, text)                                                  \
	[ERROR_##code] = {ERROR_SOURCE_##source, status, name, proxy_status, text},
	ERROR_TABLE(ROW)
#undef ROW
};

static const char *const source_names[] = {
	[ERROR_SOURCE_NONE] = "none",     [ERROR_SOURCE_CLIENT] = "client",
	[ERROR_SOURCE_SERVER] = "server", [ERROR_SOURCE_RESOLVER] = "resolver",
	[ERROR_SOURCE_CONFIG] = "config", [ERROR_SOURCE_SELF] = "self",
};

static const struct error_row *row_of(unsigned code)
{
	ENSURE(code < ERROR_CODES);
	return &rows[code];
}

enum error_source error_source(const struct error *error)
{
	return row_of(error->code)->source;
}

const char *error_source_name(enum error_source source)
{
	ENSURE((unsigned)source < ARRAY_LENGTH(source_names));
	return source_names[source];
}

unsigned error_status(const struct error *error)
{
	return row_of(error->code)->status;
}

const char *error_proxy_status(const struct error *error)
{
	return row_of(error->code)->proxy_status;
}

const char *error_text(const struct error *error)
{
	return error->text ? error->text : row_of(error->code)->text;
}

const char *error_name(enum error_code code)
{
	return row_of((unsigned)code)->name;
}
