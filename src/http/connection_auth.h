/*
 * Authentication that is a connection's and not a request's: NTLM, and Negotiate as most servers do it. No server may take all requests on a connection for one
 * client's unless the connection is secured and that client's own (RFC 9110 3.3), but these do; so who passes such messages on must not let others use the
 * connection afterwards (RFC 4559 6).
 */
#ifndef GUISE_HTTP_CONNECTION_AUTH_H
#define GUISE_HTTP_CONNECTION_AUTH_H

#include "http/field.h"

/* Credentials of a request do so. Cheap where there are none. */
bool http_credentials_bind(const struct http_fields *request);
/* A server asks for such credentials, or says that it goes on believing them (Persistent-Auth). */
bool http_challenges_bind(const struct http_fields *response);

#endif
