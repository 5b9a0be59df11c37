/*
 * Listen addresses. See listen.h.
 */
#include "config/listen.h"

static bool is_number(struct span text)
{
	for (size_t i = 0; i < text.len; i++)
		if (!ascii_is_digit(text.at[i]))
			return false;
	return text.len > 0;
}

static const char *parse_unix(struct span path)
{
	if (path.len < 2 || (path.at[0] != '/' && path.at[0] != '@'))
		return "the path of a unix socket begins with \"/\" (or \"@\"), as in unix:/run/guise.sock";
	if (path.len > sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1)
		return "the path of a unix socket is longer than 107 bytes";
	return NULL;
}

/* Why a text is no listen address, when it is none. */
static const char *explain(struct span text)
{
	struct address address;
	ptrdiff_t colon = -1;

	if (text.len == 0)
		return "expected ADDRESS:PORT, :PORT or unix:/path";
	if (is_number(text))
		return "expected ADDRESS:PORT; a port alone has a colon before it, in quotes, as in \":8080\"";
	if (span_search(text, SPAN("://")) >= 0)
		return "expected ADDRESS:PORT, without a scheme";
	if (address_parse_ip(text, &address))
		return address.family == ADDRESS_V6 ? "a port is missing, as in [::1]:8080" :
						      "a port is missing, as in 127.0.0.1:8080";
	for (size_t i = 0; i < text.len; i++)
		if (text.at[i] == ':')
			colon = (ptrdiff_t)i;
	if (colon < 0)
		return "expected ADDRESS:PORT, :PORT or unix:/path";
	if (colon == 1 && text.at[0] == '*')
		return "all addresses are written without \"*\", as in \":8080\"";
	if (span_equal_nocase(span_first(text, (size_t)colon), SPAN("localhost")))
		return "a listener takes an address, not a name: localhost is 127.0.0.1 or [::1]";
	if (!is_number(span_from(text, (size_t)colon + 1)))
		return "a port is a number from 0 to 65535";
	if (text.at[0] != '[' && !address_parse_ip(span_first(text, (size_t)colon), &address))
		return "a listener takes an IPv4 address, or an IPv6 address in brackets, before the port";
	return "expected ADDRESS:PORT with a port from 0 to 65535, :PORT or unix:/path";
}

const char *listen_parse(struct span text, struct address *address, bool *dual)
{
	uint64_t port;

	*dual = false;
	if (span_starts_with(text, SPAN("unix:"))) {
		const char *wrong = parse_unix(span_from(text, 5));
		if (wrong)
			return wrong;
		return address_parse(text, address) ? NULL : "expected unix:/path";
	}
	if (text.len > 1 && text.at[0] == ':' && is_number(span_from(text, 1))) {
		if (!span_to_u64(span_from(text, 1), &port) || port > 65535)
			return "a port is a number from 0 to 65535";
		*address = (struct address){.family = ADDRESS_V6, .port = (uint16_t)port};
		*dual = true;
		return NULL;
	}
	return address_parse(text, address) && address->family != ADDRESS_UNIX ? NULL : explain(text);
}

static bool is_any(const struct address *address)
{
	static const uint8_t zero[16];
	size_t len = address->family == ADDRESS_V4 ? 4 : 16;

	return address->family != ADDRESS_UNIX && memcmp(address->ip, zero, len) == 0;
}

bool listen_same(const struct address *a, bool a_dual, const struct address *b, bool b_dual)
{
	if (a->family == ADDRESS_UNIX || b->family == ADDRESS_UNIX)
		return a->family == b->family && span_equal(span_of(a->path), span_of(b->path));
	if (a->port == 0 || a->port != b->port)
		return false;
	if ((a_dual && is_any(b)) || (b_dual && is_any(a)))
		return true;
	return address_equal(a, b);
}
