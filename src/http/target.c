/*
 * Request targets and authorities (RFC 9112 3.2, RFC 3986). Called by codecs and by the configuration; pure but for the arena.
 */
#include "http/target.h"
#include "http/char.h"
#include "net/address.h"

enum { HOST_MOST = 253, LABEL_MOST = 63 }; /* RFC 1035 2.3.4, without the root */

static bool refuse(struct error *error, const char *text)
{
	*error = error_make(ERROR_BAD_TARGET, text);
	return false;
}

static bool out_of_memory(struct error *error)
{
	*error = error_make(ERROR_MEMORY, NULL);
	return false;
}

/* The bytes in lower case; as they are when they already are. NULL at: out of memory. */
static struct span lowered(struct span text, struct arena *arena)
{
	size_t upper = 0;
	while (upper < text.len && ascii_lower(text.at[upper]) == text.at[upper])
		upper++;
	if (upper == text.len)
		return text;
	uint8_t *copy = arena_alloc(arena, text.len);
	if (!copy)
		return (struct span){0};
	for (size_t i = 0; i < text.len; i++)
		copy[i] = ascii_lower(text.at[i]);
	return span_make(copy, text.len);
}

/* RFC 3986 3.2.3: port = *DIGIT; what follows the colon. Empty is as if there were none (RFC 9110 4.2.1, RFC 3986 6.2.3). */
static const char *port_parse(struct span text, uint16_t *port)
{
	uint64_t number;
	*port = 0;
	if (text.len == 0)
		return NULL;
	if (!span_to_u64(text, &number))
		return "the port is not a number";
	if (number == 0 || number > UINT16_MAX)
		return "the port is not between 1 and 65535";
	*port = (uint16_t)number;
	return NULL;
}

/* WHATWG URL, "ends in a number": other programs would read such a name as an IPv4 address. */
static bool is_number(struct span label)
{
	if (label.len >= 2 && label.at[0] == '0' && (label.at[1] | 0x20) == 'x')
		return http_char_run(span_from(label, 2), HTTP_CHAR_HEX) == label.len - 2;
	for (size_t i = 0; i < label.len; i++)
		if (!ascii_is_digit(label.at[i]))
			return false;
	return true;
}

/* Why the name is none, or NULL. *last becomes its last label. */
static const char *name_check(struct span name, struct span *last)
{
	if (name.len == 0)
		return "empty host";
	if (name.len > HOST_MOST)
		return "the host is longer than 253 bytes";
	size_t start = 0;
	for (size_t i = 0; i <= name.len; i++) {
		if (i < name.len && name.at[i] != '.') {
			if (!http_char_is(name.at[i], HTTP_CHAR_HOST))
				return "a byte that no host name has";
			continue;
		}
		if (i == start)
			return "an empty label in the host name";
		if (i - start > LABEL_MOST)
			return "a label of the host name is longer than 63 bytes";
		*last = span_make(name.at + start, i - start);
		start = i + 1;
	}
	return NULL;
}

static const char *host_parse_name(struct span name, struct http_authority *authority)
{
	struct span last = {0};
	struct address address;
	bool rooted = name.len > 1 && name.at[name.len - 1] == '.';
	if (rooted)
		name.len--;
	const char *why = name_check(name, &last);
	if (why)
		return why;
	if (is_number(last)) {
		if (rooted || !address_parse_ip(name, &address) || address.family != ADDRESS_V4)
			return "the host ends in a number and is no IPv4 address";
		memcpy(authority->ip, address.ip, 4);
		authority->ip_family = ADDRESS_V4;
	}
	authority->host = name;
	return NULL;
}

/* RFC 3986 3.2.2, IP-literal; `text` begins with '['. *rest becomes what follows the ']'. */
static const char *host_parse_literal(struct span text, struct http_authority *authority, struct span *rest)
{
	struct address address;
	ptrdiff_t close = span_find(text, ']');
	if (close < 0)
		return "no ']' after an IPv6 address";
	authority->host = span_make(text.at + 1, (size_t)close - 1);
	*rest = span_from(text, (size_t)close + 1);
	if (!address_parse_ip(authority->host, &address) || address.family != ADDRESS_V6)
		return "no IPv6 address between the brackets";
	memcpy(authority->ip, address.ip, 16);
	authority->ip_family = ADDRESS_V6;
	return NULL;
}

bool http_authority_parse(struct span text, struct arena *arena, struct http_authority *authority,
			  struct error *error)
{
	*authority = (struct http_authority){0};
	struct span rest;
	const char *why;
	if (text.len == 0)
		return refuse(error, "empty host");
	if (span_find(text, '@') >= 0)
		return refuse(error, "userinfo in the authority");
	if (text.at[0] == '[') {
		why = host_parse_literal(text, authority, &rest);
	} else {
		ptrdiff_t colon = span_find(text, ':');
		size_t end = colon < 0 ? text.len : (size_t)colon;
		rest = span_from(text, end);
		why = host_parse_name(span_first(text, end), authority);
	}
	if (!why && rest.len && rest.at[0] != ':')
		why = "text between the ']' and the port";
	if (!why && rest.len)
		why = port_parse(span_from(rest, 1), &authority->port);
	if (why)
		return refuse(error, why);
	authority->host = lowered(authority->host, arena);
	return authority->host.at ? true : out_of_memory(error);
}

/* Without the colon of an empty port. */
static struct span authority_spelling(struct span text)
{
	return text.len && text.at[text.len - 1] == ':' ? span_first(text, text.len - 1) : text;
}

bool http_authority_read(struct span text, struct arena *arena, struct http_head *head, struct error *error)
{
	head->authority = authority_spelling(text);
	return http_authority_parse(text, arena, &head->host, error);
}

/* RFC 9110 4.2: the scheme, in its canonical spelling; *rest becomes what follows "://". */
static const char *scheme_parse(struct span target, struct span *scheme, struct span *rest)
{
	static const struct span schemes[] = {
		{(const uint8_t *)"http", 4},
		{(const uint8_t *)"https", 5},
	};
	ptrdiff_t colon = span_find(target, ':');
	struct span after = span_from(target, colon < 0 ? target.len : (size_t)colon + 1);
	if (!span_starts_with(after, SPAN("//")))
		return "the target is neither a path nor an absolute URI";
	*rest = span_from(after, 2);
	for (size_t i = 0; i < ARRAY_LENGTH(schemes); i++) {
		if (span_equal_nocase(span_first(target, (size_t)colon), schemes[i])) {
			*scheme = schemes[i];
			return NULL;
		}
	}
	return "the scheme of the target is neither http nor https";
}

/* RFC 9112 3.2.2, and 3.2.4 for OPTIONS without a path. */
static bool absolute_parse(struct span target, struct arena *arena, struct http_head *head, struct error *error)
{
	struct span rest;
	const char *why = scheme_parse(target, &head->scheme, &rest);
	if (why)
		return refuse(error, why);
	size_t end = 0;
	while (end < rest.len && rest.at[end] != '/' && rest.at[end] != '?')
		end++;
	struct span path = span_from(rest, end);
	if (!http_authority_read(span_first(rest, end), arena, head, error))
		return false;
	head->target_form = HTTP_TARGET_ABSOLUTE;
	if (path.len == 0) {
		head->path = head->method == HTTP_METHOD_OPTIONS ? SPAN("*") : SPAN("/");
	} else if (path.at[0] == '?') {
		uint8_t *with_slash = arena_alloc(arena, path.len + 1);
		if (!with_slash)
			return out_of_memory(error);
		with_slash[0] = '/';
		memcpy(with_slash + 1, path.at, path.len);
		head->path = span_make(with_slash, path.len + 1);
	} else {
		head->path = path;
	}
	return true;
}

static const char *target_bytes_check(struct span target)
{
	size_t good = http_char_run(target, HTTP_CHAR_TARGET);
	if (good == target.len)
		return target.len ? NULL : "empty target";
	uint8_t byte = target.at[good];
	if (byte == '#')
		return "a fragment in the target";
	if (byte == ' ')
		return "a space in the target";
	return byte >= 0x80 ? "a byte beyond ASCII in the target" : "a control byte in the target";
}

bool http_target_parse(struct span target, struct arena *arena, struct http_head *head, struct error *error)
{
	const char *why = target_bytes_check(target);
	if (why)
		return refuse(error, why);
	if (head->method == HTTP_METHOD_CONNECT) { /* RFC 9112 3.2.3, RFC 9110 9.3.6 */
		if (!http_authority_read(target, arena, head, error))
			return false;
		if (head->host.port == 0)
			return refuse(error, "CONNECT without a port");
		head->target_form = HTTP_TARGET_AUTHORITY;
		head->path = span_make(target.at, 0);
		return true;
	}
	if (target.at[0] == '/') { /* RFC 9112 3.2.1 */
		head->target_form = HTTP_TARGET_ORIGIN;
		head->path = target;
		return true;
	}
	if (target.len == 1 && target.at[0] == '*') { /* RFC 9112 3.2.4 */
		if (head->method != HTTP_METHOD_OPTIONS)
			return refuse(error, "the target \"*\" is for OPTIONS alone");
		head->target_form = HTTP_TARGET_ASTERISK;
		head->path = target;
		return true;
	}
	return absolute_parse(target, arena, head, error);
}

uint16_t http_scheme_port(struct span scheme)
{
	return span_equal(scheme, SPAN("https")) ? 443 : 80;
}
