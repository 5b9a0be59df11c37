/*
 * Of both faces: which upstream connections must not be anybody else's from now on, since a server authenticates them and not the requests on them (NTLM, Negotiate).
 *
 * Credentials of that kind go out on a connection of their own, which is pinned before a byte of them leaves; a server that asks for them has its connection pinned when
 * its answer comes. There is one try on such a connection, and no hedge or mirror beside it.
 */
#include "exchange/pin.h"
#include "http/connection_auth.h"
#include "proxy/proxy_internal.h"
#include "upstream/origin.h"
#include "upstream/pinned.h"

void pinning_on_request(const struct exchange *x, struct proxy_exchange *p)
{
	p->authorization = http_fields_find(&x->request.fields, HTTP_FIELD_AUTHORIZATION) != NULL;
	p->binding = p->authorization && http_credentials_bind(&x->request.fields);
}

static void pin(struct exchange *x, struct proxy_exchange *p)
{
	if (p->listener->face == PROXY_FORWARD)
		origin_pin(p->session, x);
	else
		upstream_pin(p->hand_over.ticket.server, p->session, x);
	p->pinned = true;
}

void pinning_on_session(struct exchange *x, struct proxy_exchange *p, struct session *session)
{
	p->session = session;
	if (p->binding || session->pinned)
		pin(x, p);
}

void pinning_on_response(struct exchange *x, struct proxy_exchange *p)
{
	unsigned status = x->response.status;

	/* RFC 4559 4.1: the last step of a login stands in the answer to it, whatever its status. */
	if (p->pinned || !p->session || !x->up || (status != 401 && status != 407 && !p->authorization) ||
	    !http_challenges_bind(&x->response.fields))
		return;
	pin(x, p);
}

/* The server has ended a connection that the client takes for its own: the client is to see that, and asks again as it sees fit. */
bool pinning_on_failed(struct exchange *x, const struct proxy_exchange *p, const struct error *error)
{
	if (!p->pinned || !p->reused || !error->unanswered || error->code == ERROR_UPSTREAM_TIMEOUT)
		return false;
	exchange_abort(x, error);
	return true;
}
