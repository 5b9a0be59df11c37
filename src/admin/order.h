/*
 * An order for one server, as the body of a POST: {"state": "drain", "weight": 3}. Pure.
 */
#ifndef GUISE_ADMIN_ORDER_H
#define GUISE_ADMIN_ORDER_H

#include "core/arena.h"
#include "upstream/fleet.h"

struct order {
	bool has_state, has_weight;
	enum fleet_order state;
	unsigned weight; /* 0: as configured ("weight": null) */
};

enum { ORDER_WRONG_MOST = 200 };

struct order_wrong {
	char field[40]; /* empty: the whole */
	char text[ORDER_WRONG_MOST];
};

/* False: *wrong says what is wrong with it. */
WARN_UNUSED bool order_parse(struct span body, struct order *order, struct order_wrong *wrong);

#endif
