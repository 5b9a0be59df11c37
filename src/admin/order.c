/*
 * See order.h; and the resource that takes it.
 */
#include "admin/order.h"

#include "admin/admin_internal.h"
#include "admin/upstreams.h"
#include "core/diagnostic.h"
#include "upstream/orders.h"

#include <jansson.h>
#include <stdio.h>

static const char *const fields[] = {"state", "weight", NULL};
static const char *const states[] = {"ready", "drain", "maintenance", NULL};

static bool wrong_because(struct order_wrong *wrong, const char *field, const char *text)
{
	snprintf(wrong->field, sizeof(wrong->field), "%.*s", (int)sizeof(wrong->field) - 1, field);
	snprintf(wrong->text, sizeof(wrong->text), "%s", text);
	return false;
}

static bool read_state(const json_t *value, struct order *order, struct order_wrong *wrong)
{
	const char *near;

	order->has_state = true;
	if (!json_is_string(value))
		return wrong_because(wrong, "state", "a state is ready, drain or maintenance");
	if (fleet_order_parse(span_make(json_string_value(value), json_string_length(value)), &order->state))
		return true;
	near = json_string_length(value) <= 32 ? diagnostics_suggest(json_string_value(value), states) : NULL;
	(void)wrong_because(wrong, "state", "a state is ready, drain or maintenance");
	if (near)
		snprintf(wrong->text, sizeof(wrong->text),
			 "a state is ready, drain or maintenance; did you mean \"%s\"?", near);
	return false;
}

static bool read_weight(const json_t *value, struct order *order, struct order_wrong *wrong)
{
	order->has_weight = true;
	if (json_is_null(value))
		return true;
	if (!json_is_integer(value) || json_integer_value(value) < 1 ||
	    json_integer_value(value) > FLEET_WEIGHT_MOST)
		return wrong_because(wrong, "weight",
				     "a weight is a whole number from 1 to 256, or null for the configured one");
	order->weight = (unsigned)json_integer_value(value);
	return true;
}

static bool wrong_field(const char *field, struct order_wrong *wrong)
{
	const char *near = strlen(field) < sizeof(wrong->field) ? diagnostics_suggest(field, fields) : NULL;

	(void)wrong_because(wrong, field, "an order has \"state\" and \"weight\", and nothing else");
	if (near)
		snprintf(wrong->text, sizeof(wrong->text), "there is no such field; did you mean \"%s\"?",
			 near);
	return false;
}

static bool read_object(json_t *object, struct order *order, struct order_wrong *wrong)
{
	const char *key;
	json_t *value;

	if (!json_is_object(object))
		return wrong_because(wrong, "", "an order is an object, as in {\"state\": \"drain\"}");
	json_object_foreach(object, key, value)
	{
		bool good = strcmp(key, "state") == 0  ? read_state(value, order, wrong) :
			    strcmp(key, "weight") == 0 ? read_weight(value, order, wrong) :
							 wrong_field(key, wrong);
		if (!good)
			return false;
	}
	if (!order->has_state && !order->has_weight)
		return wrong_because(wrong, "", "an order says \"state\", \"weight\" or both");
	return true;
}

bool order_parse(struct span body, struct order *order, struct order_wrong *wrong)
{
	json_error_t error;
	json_t *object = json_loadb((const char *)body.at, body.len, JSON_REJECT_DUPLICATES, &error);

	*order = (struct order){0};
	*wrong = (struct order_wrong){0};
	if (!object) {
		snprintf(wrong->text, sizeof(wrong->text), "not JSON: line %d, column %d: %.120s", error.line,
			 error.column, error.text);
		return false;
	}
	bool good = read_object(object, order, wrong);
	json_decref(object);
	return good;
}

/* ---- the resource ---- */

static void order_give(struct admin_call *call, struct fleet_group *group, struct fleet_server *server,
		       const struct order *order)
{
	const struct worker *worker = call->x->worker;
	struct json json;

	if (order->has_weight)
		(void)fleet_weight_set(group, server, order->weight, worker);
	if (order->has_state)
		(void)fleet_order_set(group, server, order->state, worker);
	json_start(&json, &call->x->arena);
	if (upstreams_write_server(&json, NULL, group, server->text, worker->loop.now))
		admin_reply(call, &json);
	else
		admin_refuse(call, 404, NULL, "the server has left the upstream in this moment");
}

void admin_server_post(struct admin_call *call)
{
	struct fleet_group *group = admin_group(call, call->part[0]);
	struct order_wrong wrong;
	struct order order;

	if (!group)
		return;
	struct fleet_server *server = fleet_server_find(group, call->part[1]);
	if (!server) {
		admin_refuse(call, 404, NULL, "the upstream \"%.*s\" has no server \"%.*s\" now",
			     SPAN_ARG(call->part[0]), SPAN_ARG(call->part[1]));
		return;
	}
	if (order_parse(call->body, &order, &wrong))
		order_give(call, group, server, &order);
	else
		admin_refuse(call, 400, wrong.field[0] ? wrong.field : NULL, "%s", wrong.text);
	fleet_server_release(server);
}
