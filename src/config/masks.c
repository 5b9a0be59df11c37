/*
 * See masks.h.
 */
#include "config/masks.h"

/* "host:port", "[::1]:80"; "srv:name"; sockets have no name that anybody outside could use. */
static bool add_server(struct inside *inside, struct span written)
{
	struct address address;
	size_t colon = written.len;

	if (span_starts_with(written, SPAN("unix:")))
		return true;
	if (span_starts_with(written, SPAN("srv:")))
		return inside_add(inside, span_from(written, 4), 0);
	if (address_parse(written, &address)) {
		char text[ADDRESS_TEXT];
		return inside_add(inside, span_make(text, address_format_ip(&address, text)), address.port);
	}
	while (colon > 0 && written.at[colon - 1] != ':')
		colon--;
	uint64_t port = 0;
	if (colon == 0 || !span_to_u64(span_from(written, colon), &port))
		return inside_add(inside, written, 0);
	return inside_add(inside, span_first(written, colon - 1), (uint16_t)port);
}

bool masks_gather(struct snapshot *snapshot)
{
	snapshot->inside = inside_new(&snapshot->arena);
	if (!snapshot->inside)
		return false;
	for (size_t i = 0; i < snapshot->upstream_count; i++) {
		const struct setting_list *servers = &snapshot->upstreams[i].servers;
		const struct upstream_server_settings *items = servers->items;
		for (size_t j = 0; j < servers->count; j++)
			if (!add_server(snapshot->inside,
					span_make(items[j].address.text, items[j].address.len)))
				return false;
	}
	return true;
}
