/*
 * Resolve, judge, dial. On one worker.
 */
#include "upstream/connector.h"

static void connector_done(struct connector *connector, struct conn *conn, const struct error *error)
{
	connector->waiting = false;
	connector->dial = NULL;
	connector->ops->on_connected(connector, conn, error);
}

static void connector_tell_failure(struct loop_task *task)
{
	struct connector *connector = CONTAINER_OF(task, struct connector, fail);

	if (connector->waiting)
		connector_done(connector, NULL, &connector->error);
}

static void connector_fail(struct connector *connector, struct error error)
{
	error.unprocessed = true;
	connector->error = error;
	loop_soon(&connector->worker->loop, &connector->fail);
}

static void connector_on_dialled(void *owner, struct conn *conn, const struct error *error)
{
	connector_done(owner, conn, error);
}

static void connector_dial(struct connector *connector, struct address *addresses, unsigned count)
{
	struct error error = error_make(ERROR_DNS_FAILED, "the name has no address");

	if (connector->ops->filter && count)
		count = connector->ops->filter(connector, addresses, count, &error);
	if (count == 0) {
		connector_fail(connector, error);
		return;
	}
	connector->dial = dial_start(connector->worker, addresses, count, connector->way, connector->timeout,
				     connector_on_dialled, connector);
	if (!connector->dial)
		connector_fail(connector, error_make(ERROR_MEMORY, NULL));
}

static void connector_dial_answer(struct connector *connector, const struct resolver_answer *answer)
{
	struct address addresses[RESOLVER_MAX_ADDRESSES];

	for (unsigned i = 0; i < answer->count; i++) {
		addresses[i] = answer->addresses[i];
		addresses[i].port = connector->port;
	}
	connector_dial(connector, addresses, answer->count);
}

static void connector_on_answer(struct resolver_query *query, const struct resolver_answer *answer,
				const struct error *error)
{
	struct connector *connector = CONTAINER_OF(query, struct connector, query);

	if (answer)
		connector_dial_answer(connector, answer);
	else
		connector_fail(connector, *error);
}

void connector_start(struct connector *connector, struct worker *worker, const struct connector_ops *ops,
		     const struct address *address, struct span host, uint16_t port,
		     const struct net_way *way, uint64_t timeout_ms)
{
	*connector = (struct connector){
		.worker = worker, .ops = ops, .way = way, .timeout = timeout_ms, .port = port, .waiting = true};
	loop_task_init(&connector->fail, connector_tell_failure);
	if (address->family != ADDRESS_NONE) {
		struct address only = *address;
		connector_dial(connector, &only, 1);
		return;
	}
	struct error error = ERROR_OK;
	const struct resolver_answer *answer = resolver_known(worker, host, &error);
	if (answer)
		connector_dial_answer(connector, answer);
	else if (error_is(&error) ||
		 !resolver_ask(worker, host, &connector->query, connector_on_answer, &error))
		connector_fail(connector, error);
}

void connector_cancel(struct connector *connector)
{
	if (!connector->waiting)
		return;
	connector->waiting = false;
	if (connector->dial)
		dial_cancel(connector->dial);
	else
		resolver_cancel(&connector->query);
	connector->dial = NULL;
}
