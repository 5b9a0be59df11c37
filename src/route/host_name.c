/*
 * See host_name.h.
 */
#include "route/host_name.h"

/* Names whose last label is a number are no names (http/target.h), and never get here; what has a colon is IPv6. */
static bool read_literal(struct host_name *name, struct span host)
{
	char text[ADDRESS_TEXT];
	struct address address;
	uint8_t last = host.at[host.len - 1];

	if (!ascii_is_digit(last) && span_find(host, ':') < 0)
		return false;
	if (!address_parse_ip(host, &address))
		return false;
	name->len = (uint8_t)address_format_ip(&address, text);
	memcpy(name->text, text, name->len);
	return true;
}

void host_name_read(struct host_name *name, struct span host)
{
	name->len = 0;
	name->labels = 0;
	if (host.len > 0 && host.at[host.len - 1] == '.')
		host.len--;
	if (host.len == 0 || host.len > DOMAIN_MAX || read_literal(name, host))
		return;
	name->starts[name->labels++] = 0;
	for (size_t i = 0; i < host.len; i++) {
		name->text[i] = ascii_lower(host.at[i]);
		if (host.at[i] != '.')
			continue;
		if (i == name->starts[name->labels - 1] || i + 1 == host.len) {
			name->labels =
				0; /* an empty label: no parser here lets it through, and no list can name it */
			return;
		}
		name->starts[name->labels++] = (uint8_t)(i + 1);
	}
	name->len = (uint8_t)host.len;
}
