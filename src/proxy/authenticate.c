/*
 * The phase of the forward face that finds out who asks: the connection's user (SOCKS), a user and a password (Basic, RFC 7617), a certificate, a network.
 * Who says who it is is held to it: credentials count before what the connection tells, and wrong ones are refused wherever they come from.
 *
 * The credentials end here. They are wiped from the request, so that nothing behind this phase, no log and no server, can have them.
 */
#include "account/accounts.h"
#include "account/basic.h"
#include "proxy/proxy_internal.h"

/* While its password is verified; in the exchange's arena. */
struct authentication {
	struct login login;
	struct proxy_exchange *proxy;
	struct span user; /* it says */
};

/*
 * 407 (RFC 9110 15.5.8); the challenge is added where errors are written. A connection of HTTP/1 that asked for a tunnel ends with it
 * (RFC 9931, of CONNECT): what follows may be meant for the tunnel. Where no password would help, 403.
 */
static enum phase_result refuse(struct exchange *x, const char *text)
{
	if (!accounts_take_passwords(x->service->accounts))
		return phase_fail(x, ERROR_DENIED, "this client is none of the users");
	return phase_fail(x, ERROR_LOGIN_REQUIRED, text);
}

/* Wrong logins are in the log with the name if it is a user's: of what else stands there nobody knows whether it is a password. */
static enum phase_result finish(struct exchange *x, struct proxy_exchange *p, enum login_result result,
				struct span user)
{
	switch (result) {
	case LOGIN_GOOD:
		p->forward.user = user;
		return PHASE_NEXT;
	case LOGIN_WRONG:
		if (accounts_have(x->service->accounts, user))
			p->detail = arena_format(&x->arena, "as \"%.*s\"", SPAN_ARG(user));
		return refuse(x, "wrong user or password");
	case LOGIN_BRAKED:
		return phase_fail(x, ERROR_LOGIN_BRAKED, NULL);
	case LOGIN_BUSY:
		return phase_fail(x, ERROR_OVERLOADED, "too many logins are being verified");
	case LOGIN_WAIT:
		break;
	}
	return PHASE_WAIT;
}

static void on_login(struct login *login, enum login_result result)
{
	struct authentication *self = CONTAINER_OF(login, struct authentication, login);
	struct proxy_exchange *p = self->proxy;

	p->forward.authentication = NULL;
	if (finish(p->exchange, p, result, self->user) == PHASE_NEXT)
		phases_go_on(p->exchange, p);
}

static enum phase_result log_in(struct exchange *x, struct proxy_exchange *p, const struct basic *basic)
{
	struct authentication *self = arena_zalloc(&x->arena, 1, sizeof(*self));
	struct span user = arena_copy(&x->arena, basic->name);

	if (!self || !user.at)
		return phase_fail(x, ERROR_MEMORY, NULL);
	self->proxy = p;
	self->user = user;
	enum login_result result = login_start(&self->login, x->worker, x->service->accounts, user,
					       basic->password, &x->client->address, on_login);
	if (result == LOGIN_WAIT)
		p->forward.authentication = self;
	p->retry_after = self->login.retry;
	return finish(x, p, result, user);
}

/* The value lies in the exchange's arena, whatever the codec. */
static void wipe(struct http_fields *fields)
{
	struct http_field *field;

	while ((field = http_fields_find(fields, HTTP_FIELD_PROXY_AUTHORIZATION))) {
		span_wipe(field->value);
		field->dropped = true;
	}
}

/* By what the request says. NEXT: it says nothing that is understood, or is good. */
static enum phase_result by_credentials(struct exchange *x, struct proxy_exchange *p)
{
	struct http_fields *fields = &x->request.fields;
	const struct http_field *field = http_fields_find(fields, HTTP_FIELD_PROXY_AUTHORIZATION);
	enum phase_result result = PHASE_NEXT;
	struct basic basic;

	if (!field)
		return PHASE_NEXT;
	if (http_fields_count_id(fields, HTTP_FIELD_PROXY_AUTHORIZATION) > 1) {
		/* RFC 9110 11.7.2, 5.3: it is no list, so which of them counts cannot be told. */
		wipe(fields);
		return phase_fail(x, ERROR_MALFORMED_REQUEST, "more than one Proxy-Authorization");
	}
	switch (basic_read(field->value, &basic)) {
	case BASIC_GOOD:
		result = log_in(x, p, &basic);
		break;
	case BASIC_BAD:
		result = refuse(x, "the credentials cannot be read");
		break;
	case BASIC_OTHER:
		break;
	}
	basic_wipe(&basic);
	wipe(fields);
	return result;
}

enum phase_result forward_authenticate(struct exchange *x, struct proxy_exchange *p)
{
	const struct accounts *accounts = x->service->accounts;

	p->forward.user = x->client->user;
	if (!accounts || p->forward.user.len)
		return PHASE_NEXT;
	/* Who only wants to know what would become of a request logs in nowhere. */
	enum phase_result result = p->explained ? PHASE_NEXT : by_credentials(x, p);
	if (result != PHASE_NEXT || p->forward.user.len)
		return result;
	p->forward.user = accounts_name(accounts, x->client);
	p->forward.by_network = !x->client->tls || p->forward.user.at != x->client->tls->client_name.at;
	return p->forward.user.len ? PHASE_NEXT : refuse(x, NULL);
}

void forward_authenticate_cancel(struct proxy_exchange *p)
{
	if (p->forward.authentication)
		login_cancel(&p->forward.authentication->login);
	p->forward.authentication = NULL;
}
