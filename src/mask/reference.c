/*
 * Which hosts are servers, and one reference by itself: Location, Refresh. See reference.h.
 */
#include "http/char.h"
#include "http/target.h"
#include "mask/reference_internal.h"

enum { HOST_MOST = 255 };

/* ---- text that grows ---- */

void reference_add(struct reference_text *text, struct span more)
{
	if (!text->arena) {
		text->len += more.len;
		return;
	}
	if (more.len > text->room - text->len && !text->failed) {
		size_t room = 2 * (text->len + more.len) + 64;
		uint8_t *at = arena_alloc(text->arena, room);

		text->failed = !at;
		if (at && text->len)
			memcpy(at, text->at, text->len);
		text->at = at ? at : text->at;
		text->room = at ? room : text->room;
	}
	if (text->failed || more.len == 0)
		return;
	memcpy(text->at + text->len, more.at, more.len);
	text->len += more.len;
}

enum reference_fate reference_finish(const struct reference_text *text, struct span *value)
{
	if (text->failed)
		return REFERENCE_MEMORY;
	*value = span_trim(span_make(text->at, text->len));
	return value->len ? REFERENCE_CHANGED : REFERENCE_GOES;
}

size_t reference_quoted_end(struct span text, size_t at)
{
	for (at++; at < text.len && text.at[at] != '"'; at++)
		at += text.at[at] == '\\';
	return size_min(at + 1, text.len);
}

/* ---- hosts ---- */

static struct span without_dot(struct span host)
{
	return host.len > 1 && host.at[host.len - 1] == '.' ? span_first(host, host.len - 1) : host;
}

static bool is_server(const struct reference_map *map, struct span host)
{
	struct address address;

	if (span_equal_nocase(host, map->server) || span_equal_nocase(host, map->said))
		return true;
	if ((map->address || map->others.has) &&
	    (host.at[0] == ':' || http_char_is(host.at[0], HTTP_CHAR_HEX)) && address_parse_ip(host, &address) &&
	    ((map->address && address_equal_ip(&address, map->address)) ||
	     inside_now_has(&map->others, &address)))
		return true;
	return map->inside && inside_has(map->inside, host);
}

/*
 * What the client asked for is no secret to it, and no server's name either: were it one, whoever guesses names could tell by what becomes of them. With the
 * server's own port behind it it is none that the client could use.
 */
enum reference_host reference_judge(const struct reference_map *map, struct span host, uint16_t port)
{
	host = without_dot(host);
	if (host.len == 0)
		return HOST_ELSEWHERE;
	bool own_port = port && port == map->server_port;
	if (span_equal_nocase(host, map->asked))
		return own_port && port != map->asked_port ? HOST_INSIDE : HOST_ASKED;
	if (span_equal_nocase(host, map->host))
		return HOST_PUBLIC;
	return is_server(map, host) ? HOST_INSIDE : HOST_ELSEWHERE;
}

static bool is_below(struct span host, struct span name)
{
	struct address address;

	return host.len > name.len + 1 && host.at[host.len - name.len - 1] == '.' &&
	       span_equal_nocase(span_from(host, host.len - name.len), name) &&
	       !address_parse_ip(host, &address);
}

bool reference_is_above(const struct reference_map *map, struct span name)
{
	name = without_dot(name);
	if (name.len == 0 || is_below(map->asked, name) || is_below(map->host, name))
		return false;
	if (is_below(map->server, name) || is_below(map->said, name))
		return true;
	/* Few values have names that are neither the client's nor a server's; so no table is kept for them. */
	for (const struct inside_host *host = map->inside ? inside_first(map->inside) : NULL; host;
	     host = inside_next(host))
		if (is_below(inside_host(host), name))
			return true;
	return false;
}

uint16_t reference_port(struct span text)
{
	uint32_t port = 0;
	size_t i = 1;

	if (text.len < 2 || text.at[0] != ':')
		return 0;
	for (; i < text.len && ascii_is_digit(text.at[i]) && port <= UINT16_MAX; i++)
		port = port * 10 + (uint32_t)(text.at[i] - '0');
	return i > 1 && port <= UINT16_MAX ? (uint16_t)port : 0;
}

/* Programs find the host of "http:host" too (WHATWG URL 4.4). */
static bool ends_in_scheme(struct span text)
{
	return span_equal_nocase(span_from(text, text.len - size_min(text.len, 5)), SPAN("http:")) ||
	       span_equal_nocase(span_from(text, text.len - size_min(text.len, 6)), SPAN("https:"));
}

/* A short label by itself is a word like any other: it is a host only where one has to stand. */
static bool stands_as_host(struct span text, size_t start, size_t end)
{
	uint8_t before = start > 0 ? text.at[start - 1] : 0;

	if (span_find(span_make(text.at + start, end - start), '.') >= 0)
		return true;
	return before == '/' || before == '\\' || before == '@' ||
	       (before == ':' && ends_in_scheme(span_first(text, start))) ||
	       (before == '"' && reference_port(span_from(text, end)));
}

bool reference_mentions(const struct reference_map *map, struct span text)
{
	for (size_t i = 0; i < text.len; i++) {
		struct span rest = span_from(text, i);
		size_t run = http_char_run(rest, HTTP_CHAR_HOST);
		ptrdiff_t close = rest.at[0] == '[' ? span_find(rest, ']') : -1;

		if (close > 1 &&
		    reference_judge(map, span_make(rest.at + 1, (size_t)close - 1),
				    reference_port(span_from(rest, (size_t)close + 1))) == HOST_INSIDE)
			return true;
		if (run == 0)
			continue;
		if (stands_as_host(text, i, i + run) &&
		    reference_judge(map, span_first(rest, run), reference_port(span_from(rest, run))) ==
			    HOST_INSIDE)
			return true;
		i += run - 1;
	}
	return false;
}

/* ---- paths ---- */

/*
 * What begins with `from` although `to` is above it has come from an application that knows where it is seen: that is left alone, or it would be there twice.
 */
bool reference_path(const struct reference_map *map, struct span path, struct span *public)
{
	struct span from = map->from, to = map->to, rest = {0};

	if (from.len == 0 || (span_starts_with(from, to) && span_starts_with(path, from)))
		return false;
	if (span_starts_with(path, to)) {
		rest = span_from(path, to.len);
	} else if (to.len == path.len + 1 && to.at[path.len] == '/' && span_starts_with(to, path)) {
		/* "/v2" for "/v2/": the same place but for the slash, which the public one then has not either */
		from.len -= from.len > 1 && from.at[from.len - 1] == '/';
	} else {
		return false;
	}
	*public = arena_join(map->arena, (struct span[]){from, rest}, 2);
	return true;
}

/* ---- one reference ---- */

enum shape {
	SHAPE_RELATIVE, /* from where it stands, or a scheme that has no hosts */
	SHAPE_PATH,     /* "/path" */
	SHAPE_NETWORK,  /* "//host/path" */
	SHAPE_ABSOLUTE, /* "http://host/path", or another scheme */
	SHAPE_ODD,      /* programs differ in what it is */
};

struct reference {
	enum shape shape;
	bool http;          /* its scheme is http or https */
	bool secure;        /* https */
	struct span before; /* what stands before path: scheme and authority */
	struct span scheme, host;
	uint16_t port;            /* 0: none */
	struct span path, after;  /* after: query and fragment */
	uint8_t plain[HOST_MOST]; /* where the host was percent-encoded: without that */
};

static bool is_scheme(struct span text)
{
	if (text.len == 0 || !ascii_is_alpha(text.at[0]))
		return false;
	for (size_t i = 1; i < text.len; i++)
		if (!ascii_is_alpha(text.at[i]) && !ascii_is_digit(text.at[i]) && text.at[i] != '+' &&
		    text.at[i] != '-' && text.at[i] != '.')
			return false;
	return true;
}

static bool is_slash(struct span text, size_t at)
{
	return at < text.len && (text.at[at] == '/' || text.at[at] == '\\');
}

/* RFC 3986 3.2.2: programs decode what is percent-encoded in a name. False: it cannot be one. */
static bool decode_host(struct reference *reference)
{
	struct span host = reference->host;
	size_t len = 0;

	if (span_find(host, '%') < 0)
		return host.len > 0;
	for (size_t i = 0; i < host.len && len < sizeof(reference->plain); i++) {
		int byte = host.at[i] == '%' ? http_percent_byte(span_from(host, i)) : host.at[i];

		if (byte < 0)
			return false;
		i += host.at[i] == '%' ? 2 : 0;
		reference->plain[len++] = (uint8_t)byte;
	}
	reference->host = span_make(reference->plain, len);
	return len > 0;
}

/* userinfo, host and port (RFC 3986 3.2), of which the first is nobody's business. */
static bool read_authority(struct reference *reference, struct span authority)
{
	struct span rest;
	uint64_t port = 0;

	for (ptrdiff_t at; (at = span_find(authority, '@')) >= 0;)
		authority = span_from(authority, (size_t)at + 1);
	if (authority.len && authority.at[0] == '[') {
		ptrdiff_t close = span_find(authority, ']');
		if (close < 2)
			return false;
		reference->host = span_make(authority.at + 1, (size_t)close - 1);
		rest = span_from(authority, (size_t)close + 1);
	} else {
		ptrdiff_t colon = span_find(authority, ':');
		size_t end = colon < 0 ? authority.len : (size_t)colon;
		reference->host = span_first(authority, end);
		rest = span_from(authority, end);
	}
	if (rest.len > 1 && (!span_to_u64(span_from(rest, 1), &port) || port == 0 || port > UINT16_MAX))
		return false;
	reference->port = (uint16_t)port;
	return (rest.len == 0 || rest.at[0] == ':') && decode_host(reference);
}

/* `at`: where the authority begins. */
static enum shape read_after_slashes(struct reference *reference, struct span text, size_t at, enum shape shape)
{
	size_t end = at;

	if (is_slash(text, at))
		return SHAPE_ODD;
	while (end < text.len && text.at[end] != '/' && text.at[end] != '?' && text.at[end] != '#')
		if (text.at[end++] == '\\')
			return SHAPE_ODD;
	if (!read_authority(reference, span_make(text.at + at, end - at)))
		return SHAPE_ODD;
	reference->before = span_first(text, end);
	reference->path = span_from(text, end);
	return shape;
}

static enum shape read_shape(struct reference *reference, struct span text)
{
	ptrdiff_t colon = span_find(text, ':');
	struct span scheme = span_first(text, colon < 0 ? 0 : (size_t)colon);

	/* Browsers leave tabs out and take '\' for '/' (WHATWG URL 4.4). */
	if (span_find(text, '\t') >= 0)
		return SHAPE_ODD;
	if (is_scheme(scheme)) {
		size_t at = scheme.len + 1;

		reference->scheme = scheme;
		reference->secure = span_equal_nocase(scheme, SPAN("https"));
		reference->http = reference->secure || span_equal_nocase(scheme, SPAN("http"));
		if (span_starts_with(span_from(text, at), SPAN("//")))
			return read_after_slashes(reference, text, at + 2, SHAPE_ABSOLUTE);
		/* "host:port/path" has the shape of a scheme too */
		return reference->http || is_slash(text, at) || span_find(scheme, '.') >= 0 ? SHAPE_ODD :
											      SHAPE_RELATIVE;
	}
	if (is_slash(text, 0) && is_slash(text, 1))
		return span_starts_with(text, SPAN("//")) ?
			       read_after_slashes(reference, text, 2, SHAPE_NETWORK) :
			       SHAPE_ODD;
	reference->path = text;
	if (is_slash(text, 0))
		return text.at[0] == '/' ? SHAPE_PATH : SHAPE_ODD;
	return SHAPE_RELATIVE;
}

static void read_reference(struct reference *reference, struct span text)
{
	size_t end = 0;

	memset(reference, 0, offsetof(struct reference, plain));
	reference->shape = read_shape(reference, text);
	while (end < reference->path.len && reference->path.at[end] != '?' && reference->path.at[end] != '#')
		end++;
	reference->after = span_from(reference->path, end);
	reference->path = span_first(reference->path, end);
}

/* A path that another host would be read from where nothing stands before it (RFC 3986 4.2) is kept apart from it. */
static struct span guard_of(struct span before, struct span path)
{
	return before.len == 0 && is_slash(path, 0) && is_slash(path, 1) ? SPAN("/.") : (struct span){0};
}

static enum reference_fate put_together(const struct reference_map *map, struct span before, struct span path,
					struct span after, struct span *value)
{
	struct span whole;

	whole = arena_join(map->arena, (struct span[]){before, guard_of(before, path), path, after}, 4);
	if (!whole.at)
		return REFERENCE_MEMORY;
	*value = whole;
	return REFERENCE_CHANGED;
}

/*
 * Scheme and authority that stand for a server's. One that is not spoken to over TLS itself and sends a client from http to https means the public side: it
 * gets its way, without the port, which is that of http; or the client would come back for ever.
 */
static struct span public_before(const struct reference_map *map, const struct reference *reference)
{
	bool upgrade = reference->secure && !map->server_secure && span_equal(map->scheme, SPAN("http"));
	bool v6 = span_find(map->host, ':') >= 0;

	if (map->authority.len == 0)
		return SPAN("");
	if (reference->shape == SHAPE_NETWORK)
		return arena_join(map->arena, (struct span[]){SPAN("//"), map->authority}, 2);
	if (upgrade)
		return arena_join(map->arena,
				  (struct span[]){v6 ? SPAN("https://[") : SPAN("https://"), map->host,
						  v6 ? SPAN("]") : SPAN("")},
				  3);
	return arena_join(map->arena, (struct span[]){map->scheme, SPAN("://"), map->authority}, 3);
}

static enum reference_fate to_public(const struct reference_map *map, const struct reference *reference,
				     struct span *value)
{
	struct span path = reference->path.len ? reference->path : SPAN("/"), public = path;
	struct span before = public_before(map, reference);

	if (!before.at || (reference_path(map, path, &public) && !public.at))
		return REFERENCE_MEMORY;
	return put_together(map, before, public, reference->after, value);
}

static enum reference_fate to_public_path(const struct reference_map *map, const struct reference *reference,
					  struct span *value)
{
	struct span public;

	if (!reference_path(map, reference->path, &public))
		return REFERENCE_STAYS;
	if (!public.at)
		return REFERENCE_MEMORY;
	return put_together(map, reference->before, public, reference->after, value);
}

enum reference_fate reference_location(const struct reference_map *map, struct span *value)
{
	struct reference reference;

	read_reference(&reference, *value);
	switch (reference.shape) {
	case SHAPE_RELATIVE:
		return REFERENCE_STAYS;
	case SHAPE_PATH:
		return to_public_path(map, &reference, value);
	case SHAPE_ODD:
		return reference_mentions(map, *value) ? REFERENCE_GOES : REFERENCE_STAYS;
	case SHAPE_NETWORK:
	case SHAPE_ABSOLUTE:
		break;
	}
	switch (reference_judge(map, reference.host, reference.port)) {
	case HOST_ASKED:
		return to_public_path(map, &reference, value);
	case HOST_INSIDE:
		if (reference.shape == SHAPE_ABSOLUTE && !reference.http)
			return REFERENCE_GOES; /* of a scheme that is not served here */
		return to_public(map, &reference, value);
	case HOST_PUBLIC:
	case HOST_ELSEWHERE:
		break;
	}
	return REFERENCE_STAYS;
}

/* ---- Refresh ---- */

static size_t skip_space(struct span text, size_t at)
{
	while (at < text.len && (text.at[at] == ' ' || text.at[at] == '\t'))
		at++;
	return at;
}

/* Where the URI is in "5; url='http://...'" (WHATWG HTML 4.2.5.3, the steps for shared declarative refresh). False: there is none, or it cannot be told. */
static bool refresh_uri(struct span value, struct span *uri)
{
	size_t at = skip_space(value, 0), mark, digits = at;
	ptrdiff_t close;

	while (at < value.len && (ascii_is_digit(value.at[at]) || value.at[at] == '.'))
		at++;
	mark = skip_space(value, at);
	if (at == digits || mark == value.len)
		return false;
	if (value.at[mark] != ';' && value.at[mark] != ',' && mark == at)
		return false;
	at = skip_space(value, mark + (value.at[mark] == ';' || value.at[mark] == ','));
	if (value.len - at >= 3 && span_equal_nocase(span_make(value.at + at, 3), SPAN("url"))) {
		mark = skip_space(value, at + 3);
		if (mark < value.len && value.at[mark] == '=')
			at = skip_space(value, mark + 1);
	}
	*uri = span_from(value, at);
	if (uri->len == 0 || (uri->at[0] != '"' && uri->at[0] != '\''))
		return uri->len > 0;
	close = span_find(span_from(*uri, 1), uri->at[0]);
	*uri = span_make(uri->at + 1, close < 0 ? uri->len - 1 : (size_t)close);
	return uri->len > 0;
}

enum reference_fate reference_refresh(const struct reference_map *map, struct span *value)
{
	struct span uri, given;
	enum reference_fate fate;

	if (!refresh_uri(*value, &uri))
		return reference_mentions(map, *value) ? REFERENCE_GOES : REFERENCE_STAYS;
	given = uri;
	fate = reference_location(map, &uri);
	if (fate != REFERENCE_CHANGED)
		return fate;
	struct span before = span_first(*value, (size_t)(given.at - value->at));
	struct span after = span_from(*value, before.len + given.len);
	return put_together(map, before, uri, after, value);
}
