/*
 * Who a SOCKS 5 client is: the method that both can (RFC 1928 3), user and password (RFC 1929). The account room knows who is right; it may have
 * to think about it.
 *
 * A client that offers a password is held to it. One that does not may still be known by its certificate or its network, which the proxy finds out
 * later, as it does for HTTP; SOCKS 4 knows no other way.
 */
#include "account/accounts.h"
#include "socks/socks_internal.h"

#include <string.h>

/* ---- greeting ---- */

/* SOCKS_METHOD_REFUSED: *error tells why. */
static enum socks_method choose(const struct socks_server *server, struct span methods, struct error *error)
{
	const struct accounts *accounts = server->service->accounts;
	bool passwords = accounts && accounts_take_passwords(accounts);
	bool known = !accounts || accounts_name(accounts, &server->client).len > 0;

	if (passwords && span_find(methods, SOCKS_METHOD_PASSWORD) >= 0)
		return SOCKS_METHOD_PASSWORD;
	if (known && span_find(methods, SOCKS_METHOD_NONE) >= 0)
		return SOCKS_METHOD_NONE;
	if (known)
		*error = error_make(ERROR_MALFORMED_REQUEST, "no method that the client offers is served here");
	else if (passwords)
		*error = error_make(ERROR_LOGIN_REQUIRED, "the client offers no login by user and password");
	else
		*error = error_make(ERROR_DENIED, "this client is none of the users");
	return SOCKS_METHOD_REFUSED;
}

size_t socks_server_read_greeting(struct socks_server *server, struct span bytes)
{
	uint8_t message[SOCKS_MESSAGE_MOST];
	struct error error = ERROR_OK;
	const char *why = NULL;
	struct span methods;
	size_t used = 0;

	switch (socks_greeting_read(bytes, &methods, &used, &why)) {
	case SOCKS_MORE:
		return 0;
	case SOCKS_BAD:
		socks_server_refuse_bytes(server, why, SOCKS_FAILED);
		return bytes.len;
	case SOCKS_DONE:
		break;
	}
	enum socks_method method = choose(server, methods, &error);
	if (method == SOCKS_METHOD_REFUSED) {
		socks_server_refuse(server, &error, SOCKS_FAILED);
		return bytes.len;
	}
	socks_server_set_state(server,
			       method == SOCKS_METHOD_PASSWORD ? SOCKS_SERVER_LOGIN : SOCKS_SERVER_REQUEST);
	socks_server_send(server, span_make(message, socks_method_write((uint8_t)method, message)));
	return used;
}

/* ---- user and password ---- */

static void login_end(struct socks_server *server, enum login_result result)
{
	struct error error = error_make(ERROR_LOGIN_REQUIRED, "wrong user or password");

	if (result == LOGIN_GOOD) {
		uint8_t message[SOCKS_MESSAGE_MOST];
		server->client.user = span_make(server->user, server->user_len);
		socks_server_set_state(server, SOCKS_SERVER_REQUEST);
		socks_server_send(server, span_make(message, socks_login_reply_write(true, message)));
		return;
	}
	if (result == LOGIN_BRAKED)
		error = error_make(ERROR_LOGIN_BRAKED, NULL);
	else if (result == LOGIN_BUSY)
		error = error_make(ERROR_OVERLOADED, "too many logins are being verified");
	socks_server_refuse(server, &error, SOCKS_NOT_ALLOWED);
}

static void login_on_done(struct login *login, enum login_result result)
{
	struct socks_server *server = CONTAINER_OF(login, struct socks_server, login);

	login_end(server, result);
	if (server->conn)
		socks_server_go_on(server);
}

static void login_begin(struct socks_server *server, const struct socks_login *login)
{
	server->user = memory_alloc(server->worker->memory, login->user.len);
	if (!server->user) {
		socks_server_close(server);
		return;
	}
	memcpy(server->user, login->user.at, login->user.len);
	server->user_len = (uint8_t)login->user.len;
	enum login_result result = login_start(&server->login, server->worker, server->service->accounts,
					       login->user, login->password, &server->client.address,
					       login_on_done);
	if (result == LOGIN_WAIT)
		socks_server_set_state(server, SOCKS_SERVER_CHECK);
	else
		login_end(server, result);
}

size_t socks_server_read_login(struct socks_server *server, struct span bytes)
{
	struct socks_login login;
	const char *why = NULL;
	size_t used = 0;

	switch (socks_login_read(bytes, &login, &used, &why)) {
	case SOCKS_MORE:
		return 0;
	case SOCKS_BAD:
		socks_server_refuse_bytes(server, why, SOCKS_FAILED);
		return bytes.len;
	case SOCKS_DONE:
		break;
	}
	struct span password = login.password;
	login_begin(server, &login);
	/* Where it was received, or waited for its end. */
	span_wipe(password);
	return used;
}
