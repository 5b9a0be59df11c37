/*
 * Authentication that is a connection's and not a request's: NTLM, and Negotiate as most servers do it (RFC 4559 6 speaks of it; RFC 9110 11 does not allow it). Who
 * passes such messages on must not let others use the connection afterwards.
 */
#ifndef GUISE_HTTP_CONNECTION_AUTH_H
#define GUISE_HTTP_CONNECTION_AUTH_H

#include "http/field.h"

/* Credentials of a request do so. Cheap where there are none. */
bool http_credentials_bind(const struct http_fields *request);
/* A server asks for such credentials, or says that it goes on believing them (Persistent-Auth). */
bool http_challenges_bind(const struct http_fields *response);

#endif
