/*
 * See inside.h.
 */
#include "mask/inside.h"

#include "core/map.h"

enum { HOST_MOST = 255 }; /* bytes of a name (RFC 1035 2.3.4) */

struct inside_host {
	struct inside_host *next;
	struct span host; /* as inside_spell has it */
	uint16_t port;
};

struct inside {
	struct arena *arena;
	struct map hosts; /* by inside_host.host */
	struct inside_host *first, **last;
};

struct inside *inside_new(struct arena *arena)
{
	struct inside *inside = arena_zalloc(arena, 1, sizeof(*inside));

	if (!inside)
		return NULL;
	inside->arena = arena;
	inside->last = &inside->first;
	map_init(&inside->hosts, arena->memory);
	return inside;
}

void inside_free(struct inside *inside)
{
	if (inside)
		map_fini(&inside->hosts);
}

/* One spelling of each host: an address as it is usually written, a name in lower case and without a dot at its end. Empty: it is none. */
static struct span inside_spell(struct span host, char text[static HOST_MOST])
{
	struct address address;

	if (host.len > 0 && host.at[host.len - 1] == '.')
		host.len--;
	if (host.len == 0 || host.len > HOST_MOST)
		return (struct span){0};
	if (address_parse_ip(host, &address)) {
		address = address_unmap(&address);
		return span_make(text, address_format_ip(&address, text));
	}
	for (size_t i = 0; i < host.len; i++)
		text[i] = (char)ascii_lower(host.at[i]);
	return span_make(text, host.len);
}

bool inside_add(struct inside *inside, struct span host, uint16_t port)
{
	char text[HOST_MOST];
	struct span spelt = inside_spell(host, text);
	struct inside_host *entry;

	if (spelt.len == 0)
		return true;
	if (map_get(&inside->hosts, spelt))
		return true;
	entry = arena_zalloc(inside->arena, 1, sizeof(*entry));
	spelt = arena_copy(inside->arena, spelt);
	if (!entry || !spelt.at)
		return false;
	entry->host = spelt;
	entry->port = port;
	*inside->last = entry;
	inside->last = &entry->next;
	return map_put(&inside->hosts, spelt, entry);
}

bool inside_has(const struct inside *inside, struct span host)
{
	char text[HOST_MOST];
	struct span spelt = inside_spell(host, text);

	return spelt.len > 0 && map_get(&inside->hosts, spelt);
}

const struct inside_host *inside_first(const struct inside *inside)
{
	return inside->first;
}

const struct inside_host *inside_next(const struct inside_host *host)
{
	return host->next;
}

struct span inside_host(const struct inside_host *host)
{
	return host->host;
}
