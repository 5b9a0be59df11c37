/*
 * TLS towards the servers of a group: one context for each way of asking by ALPN, made when it is first needed, and a session to resume for
 * each server. On one worker.
 */
#include "upstream/secure_internal.h"

#include "net/proxy_protocol.h"

/* RFC 9113 3.2, RFC 7301 3.1: what we offer is what we would speak. */
static enum tls_alpn upstream_alpn(const struct upstream_settings *settings, enum acquire_kind kind)
{
	if (kind >= ACQUIRE_CONN)
		return TLS_ALPN_NONE; /* whatever the client speaks is not ours to say */
	if (kind == ACQUIRE_HTTP1 || settings->proxy_protocol != PROXY_PROTOCOL_OFF)
		return TLS_ALPN_HTTP1;
	switch ((enum upstream_http)settings->http) {
	case UPSTREAM_HTTP_1:
		return TLS_ALPN_HTTP1;
	case UPSTREAM_HTTP_2:
		return TLS_ALPN_HTTP2;
	case UPSTREAM_HTTP_AUTO:
		break;
	}
	return TLS_ALPN_BOTH;
}

/* NULL: out of memory. */
static struct tls_client *upstream_tls(struct upstream_group *group, struct worker *worker, enum tls_alpn alpn)
{
	const struct upstream_plan *plan = group->plan;
	struct tls_client_options options = {
		.trust = plan->trust,
		.minimum = (enum tls_version)plan->settings->tls.minimum,
		.alpn = alpn,
		.sni = plan->settings->tls.sni || !upstream_is_secure(group),
		.certificate = plan->certificate,
		.key = plan->key,
	};
	const char *why;

	/* What can be wrong with the files was found when the configuration was read. */
	if (!group->tls[alpn])
		group->tls[alpn] = tls_client_new(worker, &options, &why);
	return group->tls[alpn];
}

/* What a server's certificate must be for. */
static struct span server_name(const struct upstream_server *server,
			       const struct tls_upstream_settings *settings)
{
	const struct fleet_server *fleet = server->fleet;
	struct span name = fleet->host;

	if (settings->name.len)
		return span_make(settings->name.text, settings->name.len);
	if (fleet->address.family == ADDRESS_UNIX)
		return SPAN("localhost"); /* a group with TLS names another one */
	if (name.len == 0) {
		size_t colon = fleet->text.len;
		while (fleet->text.at[--colon] != ':') {
		}
		name = span_first(fleet->text, colon);
		if (name.at[0] == '[')
			name = span_make(name.at + 1, name.len - 2);
	}
	return name;
}

bool upstream_secure_init(struct upstream_group *group)
{
	return !upstream_is_secure(group) ||
	       upstream_tls(group, group->worker, upstream_alpn(group->settings, ACQUIRE_SESSION)) != NULL;
}

void upstream_secure_fini(struct upstream_group *group)
{
	for (size_t i = 0; i < ARRAY_LENGTH(group->tls); i++)
		if (group->tls[i])
			tls_client_free(group->tls[i]);
}

void upstream_secure_server_init(struct upstream_server *server)
{
	tls_peer_init(&server->peer, server_name(server, &server->group->settings->tls));
}

void upstream_secure_server_fini(struct upstream_server *server)
{
	tls_peer_fini(&server->peer);
}

bool upstream_secure(struct upstream_group *group, struct upstream_server *server, struct conn *conn,
		     enum acquire_kind kind)
{
	struct tls_client *client = upstream_tls(group, conn->worker, upstream_alpn(group->settings, kind));

	return client && tls_connect(conn, client, &server->peer, group->plan->timeouts.handshake);
}
