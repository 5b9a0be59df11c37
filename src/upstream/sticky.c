/*
 * Ids of servers, sealed. See sticky.h. The key is the group's, in the fleet: all workers understand each other's values.
 */
#include "upstream/sticky.h"

#include "core/base64.h"
#include "core/random.h"
#include "upstream/fleet_internal.h"
#include "upstream/group_internal.h"

enum { ID = 8 };

_Static_assert((ID + SEAL_ADDS) * 4 == STICKY_TEXT * 3, "base64 without a remainder");

#define STICKY_VERSION "guise sticky 1"

/* ---- keys ---- */

static bool has_secret(const struct fleet_group *group)
{
	return group->plan->settings->sticky.secret.len > 0;
}

bool fleet_sticky_init(struct fleet_group *group, const struct fleet_group *before)
{
	const struct setting_string *secret = &group->plan->settings->sticky.secret;

	if (has_secret(group))
		return seal_derive(span_make(secret->text, secret->len), SPAN(STICKY_VERSION),
				   group->sticky_key);
	/* Without a secret it is this process's, whatever configuration it has. */
	if (before && !has_secret(before))
		memcpy(group->sticky_key, before->sticky_key, sizeof(group->sticky_key));
	else
		random_secret(group->sticky_key, sizeof(group->sticky_key));
	return true;
}

/* ---- a worker's ---- */

bool upstream_sticky_init(struct upstream_group *group)
{
	const struct setting_string *name = &group->settings->name;
	struct memory *memory = group->worker->memory;
	size_t size = sizeof(STICKY_VERSION) + name->len;

	if (group->settings->sticky.cookie.len == 0)
		return true;
	uint8_t *context = memory_alloc(memory, size);
	if (!context)
		return false;
	memcpy(context, STICKY_VERSION, sizeof(STICKY_VERSION));
	memcpy(context + sizeof(STICKY_VERSION), name->text, name->len);
	group->sticky = seal_new(memory, group->fleet->sticky_key, span_make(context, size));
	memory_free(memory, context, size);
	return group->sticky != NULL;
}

void upstream_sticky_fini(struct upstream_group *group)
{
	seal_free(group->sticky);
	group->sticky = NULL;
}

/* ---- values ---- */

/* The same on machines of any byte order. */
static void put_id(uint64_t id, uint8_t bytes[ID])
{
	for (unsigned i = 0; i < ID; i++)
		bytes[i] = (uint8_t)(id >> (ID - 1 - i) * 8);
}

static uint64_t get_id(const uint8_t bytes[ID])
{
	uint64_t id = 0;

	for (unsigned i = 0; i < ID; i++)
		id = id << 8 | bytes[i];
	return id;
}

bool upstream_sticky_close(struct upstream_group *group, uint64_t id, char text[STICKY_TEXT])
{
	uint8_t plain[ID], sealed[ID + SEAL_ADDS];

	put_id(id, plain);
	if (!seal_close(group->sticky, span_make(plain, ID), sealed))
		return false;
	base64url_encode(span_make(sealed, sizeof(sealed)), text);
	return true;
}

bool upstream_sticky_open(struct upstream_group *group, struct span text, uint64_t *id)
{
	uint8_t plain[ID], sealed[ID + SEAL_ADDS];

	if (!base64url_decode(text, sealed, sizeof(sealed)) ||
	    !seal_open(group->sticky, span_make(sealed, sizeof(sealed)), plain))
		return false;
	*id = get_id(plain);
	return true;
}
