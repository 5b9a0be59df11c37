/*
 * See health_probe.h. A check is a connection of its own, which is closed when it is over.
 */
#include "upstream/health_probe.h"

#include "upstream/secure_internal.h"

#include <stdio.h>

enum { WHY_MOST = 160 };

static const struct health_settings *probe_settings(const struct health_probe *probe)
{
	return &probe->server->group->settings->health;
}

/* ---- the text in the content ---- */

bool health_needle_init(struct health_needle *needle, struct span text, struct memory *memory)
{
	*needle = (struct health_needle){.text = text};
	if (text.len == 0)
		return true;
	needle->borders = memory_alloc(memory, text.len * sizeof(*needle->borders));
	if (!needle->borders)
		return false;
	needle->borders[0] = 0;
	for (size_t i = 1; i < text.len; i++) {
		uint32_t length = needle->borders[i - 1];
		while (length > 0 && text.at[length] != text.at[i])
			length = needle->borders[length - 1];
		needle->borders[i] = length + (text.at[length] == text.at[i]);
	}
	return true;
}

void health_needle_fini(struct health_needle *needle, struct memory *memory)
{
	if (needle->borders)
		memory_free(memory, needle->borders, needle->text.len * sizeof(*needle->borders));
	needle->borders = NULL;
}

size_t health_needle_feed(const struct health_needle *needle, size_t matched, struct span bytes)
{
	for (size_t i = 0; i < bytes.len && matched < needle->text.len; i++) {
		while (matched > 0 && needle->text.at[matched] != bytes.at[i])
			matched = needle->borders[matched - 1];
		matched += needle->text.at[matched] == bytes.at[i];
	}
	return matched;
}

/* ---- the end ---- */

/* Lets go of everything. */
static void probe_end(struct health_probe *probe)
{
	probe->on_done = NULL;
	loop_timer_stop(&probe->server->group->worker->loop, &probe->deadline);
	acquire_cancel(&probe->acquire);
	if (probe->sub)
		subrequest_cancel(probe->sub);
	probe->sub = NULL;
}

static void probe_done(struct health_probe *probe, enum health_verdict verdict, const char *why)
{
	health_probe_fn *on_done = probe->on_done;

	probe_end(probe);
	on_done(probe, verdict, why);
}

static void probe_failed(struct health_probe *probe, const struct error *error)
{
	enum error_source source = error_source(error);
	bool theirs = source == ERROR_SOURCE_SERVER || source == ERROR_SOURCE_RESOLVER;
	struct error kind = error_make((enum error_code)error->code, NULL);
	char why[WHY_MOST];

	snprintf(why, sizeof(why), "%s%s%s", error_text(&kind), error->text ? ": " : "",
		 error->text ? error->text : "");
	probe_done(probe, theirs ? HEALTH_BAD : HEALTH_UNKNOWN, why);
}

static void probe_on_deadline(struct timer *timer)
{
	struct health_probe *probe = CONTAINER_OF(timer, struct health_probe, deadline);

	if (probe->acquire.attempt)
		probe_done(probe, HEALTH_BAD, "connect timeout");
	else if (probe->status == 0)
		probe_done(probe, HEALTH_BAD, "no answer in time");
	else
		probe_done(probe, HEALTH_BAD, "the answer took too long");
}

/* ---- what was answered ---- */

static void probe_judge(struct health_probe *probe)
{
	char why[WHY_MOST];

	if (probe->matched == probe->needle->text.len) {
		probe_done(probe, HEALTH_GOOD, NULL);
		return;
	}
	snprintf(why, sizeof(why), "%u, but the content does not hold \"%s\"", probe->status,
		 probe_settings(probe)->body.text);
	probe_done(probe, HEALTH_BAD, why);
}

static void probe_on_head(struct subrequest *sub)
{
	struct health_probe *probe = sub->owner;
	char why[WHY_MOST];

	probe->status = sub->x->response.status;
	if (status_set_has(&probe->server->group->plan->well, probe->status))
		return;
	snprintf(why, sizeof(why), "%u, not in status", probe->status);
	probe_done(probe, HEALTH_BAD, why);
}

static void probe_take(struct health_probe *probe, const struct chunk *chunk)
{
	for (; chunk && probe->content < HEALTH_CONTENT_MOST; chunk = chunk->next) {
		struct span bytes =
			span_make(chunk->at, size_min(chunk->len, HEALTH_CONTENT_MOST - probe->content));
		probe->content += bytes.len;
		probe->matched = health_needle_feed(probe->needle, probe->matched, bytes);
	}
}

/* The rest of the content is of no interest; how it ends is. */
static void probe_on_bytes(struct subrequest *sub)
{
	struct health_probe *probe = sub->owner;
	struct chunk_queue bytes = {0};

	flow_take(&sub->x->response_body, &bytes);
	probe_take(probe, bytes.first);
	chunk_queue_clear(&sub->x->worker->buffers, &bytes);
	if (probe->content >= HEALTH_CONTENT_MOST)
		probe_judge(probe);
	else
		subrequest_settle(sub, 0);
}

static void probe_on_end(struct subrequest *sub, const struct error *error)
{
	struct health_probe *probe = sub->owner;

	probe->sub = NULL;
	if (error)
		probe_failed(probe, error);
	else
		probe_judge(probe);
}

static const struct subrequest_ops probe_subrequest_ops = {
	.on_head = probe_on_head,
	.on_bytes = probe_on_bytes,
	.on_end = probe_on_end,
};

/* ---- what is asked ---- */

/* RFC 9110 7.2: the authority of what is asked for. Empty: out of memory. */
static struct span probe_host(const struct health_probe *probe, struct arena *arena)
{
	const struct health_settings *settings = probe_settings(probe);
	const struct fleet_server *server = probe->server->fleet;
	struct span host = server->written;
	size_t colon = host.len;

	if (settings->host.len)
		return span_make(settings->host.text, settings->host.len);
	if (server->address.family == ADDRESS_UNIX)
		return SPAN("localhost");
	if (settings->port == 0)
		return host;
	while (host.at[--colon] != ':') {
	}
	return arena_format(arena, "%.*s:%u", SPAN_ARG(span_first(host, colon)), (unsigned)settings->port);
}

static bool probe_fill(const struct health_probe *probe, struct exchange *x)
{
	const struct health_settings *settings = probe_settings(probe);
	struct http_head *request = &x->request;

	request->method = HTTP_METHOD_GET;
	request->method_text = SPAN("GET");
	request->target_form = HTTP_TARGET_ORIGIN;
	request->scheme = x->service->scheme;
	request->authority = probe_host(probe, &x->arena);
	request->path = span_make(settings->path.text, settings->path.len);
	request->version = HTTP_VERSION_11;
	request->body = HTTP_BODY_NONE;
	return request->authority.len > 0 && http_fields_add(&request->fields, HTTP_FIELD_USER_AGENT,
							     SPAN("User-Agent"), SPAN("guise-health"));
}

/* NULL: out of memory. */
static struct subrequest *probe_subrequest(struct health_probe *probe)
{
	static const struct timeouts_settings timeouts; /* the deadline is enough */
	static const struct client nobody;
	struct upstream_group *group = probe->server->group;
	struct service service = {
		.ops = &subrequest_plain_ops,
		.limits = group->plan->limits,
		.timeouts = &timeouts,
		.scheme = upstream_is_secure(group) ? SPAN("https") : SPAN("http"),
	};

	return subrequest_new(group->worker, &service, &nobody, &probe_subrequest_ops, probe);
}

static void probe_ask(struct health_probe *probe, struct session *session)
{
	struct error error = error_make(ERROR_MEMORY, NULL);

	probe->sub = probe_subrequest(probe);
	struct stream *stream = probe->sub && probe_fill(probe, probe->sub->x) ?
					session->ops->open(session, probe->sub->x) :
					NULL;
	if (!stream) {
		session_discard(session);
		probe_failed(probe, &error);
		return;
	}
	struct exchange *x = probe->sub->x;
	flow_finish(&x->request_body, NULL);
	exchange_begin(x);
	exchange_set_up(x, stream);
}

/* ---- the connection ---- */

static struct health_probe *probe_of(struct acquire *acquire)
{
	return CONTAINER_OF(acquire, struct health_probe, acquire);
}

static void probe_on_session(struct acquire *acquire, struct session *session)
{
	probe_ask(probe_of(acquire), session);
}

/* That it came about was the question. */
static void probe_on_conn(struct acquire *acquire, struct conn *conn)
{
	conn_linger(conn);
	probe_done(probe_of(acquire), HEALTH_GOOD, NULL);
}

static void probe_on_failed(struct acquire *acquire, const struct error *error)
{
	probe_failed(probe_of(acquire), error);
}

static const struct acquire_ops probe_acquire_ops = {
	.on_session = probe_on_session,
	.on_conn = probe_on_conn,
	.on_failed = probe_on_failed,
};

void health_probe_init(struct health_probe *probe, struct upstream_server *server,
		       const struct health_needle *needle)
{
	*probe = (struct health_probe){.server = server, .needle = needle};
	timer_init(&probe->deadline, probe_on_deadline);
}

void health_probe_start(struct health_probe *probe, health_probe_fn *on_done)
{
	static const enum acquire_kind kinds[] = {
		[HEALTH_HTTP] = ACQUIRE_SESSION,
		[HEALTH_TCP] = ACQUIRE_CLEAR,
		[HEALTH_TLS] = ACQUIRE_TLS,
	};
	/* The connection is ours, and no client's: LOCAL, or UNKNOWN (PROXY protocol 2.1, 2.2). */
	static const struct address nobody = {.family = ADDRESS_NONE};
	const struct health_settings *settings = probe_settings(probe);
	struct upstream_server *server = probe->server;
	struct acquire_wish wish = {
		.kind = kinds[settings->kind],
		.source = &nobody,
		.destination = &nobody,
		.fresh = true,
		.port = server->fleet->address.family == ADDRESS_UNIX ? 0 : (uint16_t)settings->port,
	};
	struct error error = error_make(ERROR_MEMORY, NULL);

	probe->on_done = on_done;
	probe->content = probe->matched = 0;
	probe->status = 0;
	upstream_secure_forget(server);
	loop_timer_start(&server->group->worker->loop, &probe->deadline, settings->timeout);
	if (!acquire_start(&probe->acquire, &probe_acquire_ops, server->group, server, &wish))
		probe_failed(probe, &error);
}

void health_probe_cancel(struct health_probe *probe)
{
	if (probe->on_done)
		probe_end(probe);
}
