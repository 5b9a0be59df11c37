/*
 * Lists of networks. See peers.h.
 */
#include "net/peers.h"

static bool is_unix(struct span text)
{
	return span_equal(text, SPAN("unix:"));
}

const char *peers_check(const char *text, size_t len)
{
	struct network network;

	if (is_unix(span_make(text, len)) || network_parse(span_make(text, len), &network))
		return NULL;
	return "not an address or network: write 192.0.2.1, 10.0.0.0/8 or 2001:db8::/32, with the bits after the prefix zero";
}

bool peers_compile(const struct setting_strings *list, struct arena *arena, struct diagnostics *diagnostics,
		   struct peers *peers)
{
	bool good = true;

	*peers = (struct peers){.networks = arena_zalloc(arena, list->count + 1, sizeof(*peers->networks))};
	if (!peers->networks) {
		diagnostics_error(diagnostics, list->place, "out of memory");
		return false;
	}
	for (size_t i = 0; i < list->count; i++) {
		const struct setting_string *item = &list->items[i];
		struct span text = span_make(item->text, item->len);
		if (is_unix(text)) {
			peers->unix_peers = true;
		} else if (network_parse(text, &peers->networks[peers->count])) {
			peers->count++;
		} else {
			diagnostics_error(diagnostics, item->place, "\"%s\" is not an address or network",
					  item->text);
			good = false;
		}
	}
	return good;
}

bool peers_have(const struct peers *peers, const struct address *address)
{
	if (address->family == ADDRESS_UNIX)
		return peers->unix_peers;
	if (peers->count == 0) /* most often */
		return false;
	struct address plain = address_unmap(address);
	if (plain.family == ADDRESS_NONE)
		return false;
	for (size_t i = 0; i < peers->count; i++)
		if (network_contains(&peers->networks[i], &plain))
			return true;
	return false;
}
