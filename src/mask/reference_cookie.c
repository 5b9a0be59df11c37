/*
 * Set-Cookie (RFC 6265 5.2): for which host and path a client keeps a cookie. See reference.h.
 */
#include "mask/reference_internal.h"

#include "net/address.h"

/* The name's prefix asks for "Path=/" and no Domain (RFC 6265bis 4.1.3.2): browsers take it with nothing else. */
static bool is_host_cookie(struct span pair)
{
	return pair.len >= 7 && span_equal_nocase(span_first(pair, 7), SPAN("__Host-"));
}

/*
 * RFC 6265 5.2.3: a dot in front means nothing. A name above the server's is its network's; browsers would refuse it for the public name. An address, or no
 * public name, needs no Domain: the cookie is then for the host that it came from.
 */
static enum reference_fate rewrite_domain(const struct reference_map *map, struct span *domain)
{
	struct span host = *domain;
	struct address address;

	if (host.len && host.at[0] == '.')
		host = span_from(host, 1);
	if (reference_judge(map, host, 0) != HOST_INSIDE && !reference_is_above(map, host))
		return REFERENCE_STAYS;
	if (map->host.len == 0 || address_parse_ip(map->host, &address))
		return REFERENCE_GOES;
	*domain = map->host;
	return REFERENCE_CHANGED;
}

static enum reference_fate rewrite_path(const struct reference_map *map, struct span *path)
{
	struct span public;

	if (!reference_path(map, *path, &public))
		return REFERENCE_STAYS;
	*path = public;
	return public.at ? REFERENCE_CHANGED : REFERENCE_MEMORY;
}

/* One attribute: `value` is what stands behind its "=". */
static enum reference_fate rewrite_attribute(const struct reference_map *map, struct span pair,
					     struct span name, struct span *value)
{
	if (span_equal_nocase(name, SPAN("domain")))
		return rewrite_domain(map, value);
	if (span_equal_nocase(name, SPAN("path")) && !is_host_cookie(pair))
		return rewrite_path(map, value);
	return REFERENCE_STAYS;
}

/* Whether the attribute is one of the two, by its first letter: most are not. */
static bool may_change(struct span attribute)
{
	size_t at = 0;

	while (at < attribute.len && (attribute.at[at] == ' ' || attribute.at[at] == '\t'))
		at++;
	return at < attribute.len && ((attribute.at[at] | 0x20) == 'd' || (attribute.at[at] | 0x20) == 'p');
}

enum reference_fate reference_cookie(const struct reference_map *map, struct span *value)
{
	struct reference_text text = {.arena = map->arena};
	struct span pair, rest, attribute, name, given;
	size_t taken = 0; /* bytes of *value that are in `text`, or left out; 0: none, all stays so far */

	(void)span_cut(*value, ';', &pair, &rest);
	while (rest.len > 0) {
		(void)span_cut(rest, ';', &attribute, &rest);
		size_t start = (size_t)(attribute.at - value->at) - 1; /* with its ";" */
		size_t end = start + 1 + attribute.len;

		if (!may_change(attribute))
			continue;
		(void)span_cut(attribute, '=', &name, &given);
		name = span_trim(name);
		given = span_trim(given);
		struct span old = given;
		enum reference_fate fate = rewrite_attribute(map, pair, name, &given);
		if (fate == REFERENCE_MEMORY)
			return fate;
		if (fate == REFERENCE_STAYS)
			continue;
		reference_add(&text, span_make(value->at + taken, start - taken));
		taken = end;
		if (fate == REFERENCE_CHANGED) {
			size_t before = (size_t)(old.at - value->at);
			reference_add(&text, span_make(value->at + start, before - start));
			reference_add(&text, given);
			reference_add(&text, span_make(old.at + old.len, end - before - old.len));
		}
	}
	if (taken == 0)
		return REFERENCE_STAYS;
	reference_add(&text, span_from(*value, taken));
	return reference_finish(&text, value);
}
