/*
 * The place of a pin is the group and the id of the server, which stays the same while the server does: a pin holds neither of them.
 */
#include "upstream/pinned.h"

struct pinned_place {
	const struct upstream_group *group;
	uint64_t id;
};

static struct pinned_place place_of(const struct upstream_server *server)
{
	return (struct pinned_place){.group = server->group, .id = server->fleet->id};
}

static struct span key_of(const struct pinned_place *place)
{
	return span_make((const uint8_t *)place, sizeof(*place));
}

/* What all keys to servers of the group begin with. Borrows where the pointer is. */
static struct span group_of(const struct upstream_group *const *group)
{
	return span_make((const uint8_t *)group, sizeof(*group));
}

bool upstream_close_pinned(const struct upstream_group *group)
{
	return pins_close_idle(group->worker, group_of(&group));
}

uint64_t upstream_pinned(const struct upstream_group *group, const struct pins *pins)
{
	struct span key = pins_find(pins, group_of(&group));
	struct pinned_place place;

	if (key.len != sizeof(place))
		return 0;
	memcpy(&place, key.at, sizeof(place));
	return place.id;
}

struct session *upstream_take_pinned(const struct upstream_server *server, struct pins *pins)
{
	struct pinned_place place = place_of(server);

	return pins_take(pins, key_of(&place));
}

void upstream_pin(const struct upstream_server *server, struct session *session, struct exchange *x)
{
	struct pinned_place place = place_of(server);

	session_pin(session, x, key_of(&place));
}
