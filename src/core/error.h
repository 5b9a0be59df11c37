/*
 * What can go wrong with an exchange or a connection, as one table: the code's name for logs, who is to
 * blame, the status that a client sees (RFC 9110 15), and the Proxy-Status error type (RFC 9209 2.3).
 *
 * A struct error is a small value, copied freely; its text is static.
 */
#ifndef GUISE_CORE_ERROR_H
#define GUISE_CORE_ERROR_H

#include "core/base.h"

enum error_source {
	ERROR_SOURCE_NONE,
	ERROR_SOURCE_CLIENT,
	ERROR_SOURCE_SERVER,
	ERROR_SOURCE_RESOLVER,
	ERROR_SOURCE_CONFIG,
	ERROR_SOURCE_SELF,
};

/* code, name, source, status (0 = nothing can be said to the client), Proxy-Status type, default text */
/* clang-format off */
#define ERROR_TABLE(ROW)                                                                                                                       \
	ROW(NONE, "none", NONE, 0, NULL, "no error")                                                                                           \
	ROW(MALFORMED_REQUEST, "malformed_request", CLIENT, 400, "http_request_error", "malformed request")                                    \
	ROW(BAD_TARGET, "bad_target", CLIENT, 400, "http_request_error", "bad request target")                                                 \
	ROW(WRONG_FACE, "wrong_face", CLIENT, 400, "http_request_error", "this is a proxy: the target must be absolute")                       \
	ROW(DENIED, "denied", CLIENT, 403, "http_request_denied", "denied by a rule")                                                          \
	ROW(TARGET_PROHIBITED, "target_prohibited", CLIENT, 403, "destination_ip_prohibited", "the target's address is not public")            \
	ROW(NO_ROUTE, "no_route", CLIENT, 404, "destination_not_found", "no route matches")                                                    \
	ROW(METHOD_NOT_ALLOWED, "method_not_allowed", CLIENT, 405, "http_request_denied", "method not allowed here")                           \
	ROW(LOGIN_REQUIRED, "login_required", CLIENT, 407, "http_request_denied", "this proxy asks for a user and a password")                      \
	ROW(REQUEST_TIMEOUT, "request_timeout", CLIENT, 408, "http_request_error", "the request did not arrive in time")                       \
	ROW(BODY_TOO_LARGE, "body_too_large", CLIENT, 413, "http_request_error", "request body too large")                                     \
	ROW(TARGET_TOO_LONG, "target_too_long", CLIENT, 414, "http_request_error", "request line too long")                                    \
	ROW(EXPECTATION_FAILED, "expectation_failed", CLIENT, 417, "http_request_error", "unknown expectation")                                \
	ROW(PLAIN_HTTP, "plain_http", CLIENT, 400, "http_request_error", "plain HTTP was sent to a port that speaks TLS: use https")              \
	ROW(HANDSHAKE, "handshake", CLIENT, 0, NULL, "the TLS handshake failed")                                                               \
	ROW(ABUSE, "abuse", CLIENT, 0, NULL, "the client asked for too much work without use")                                                 \
	ROW(MISDIRECTED, "misdirected", CLIENT, 421, "http_request_error", "a target of this scheme is not served here")                          \
	ROW(TOO_MANY_REQUESTS, "too_many_requests", CLIENT, 429, "http_request_denied", "too many requests in too short a time")               \
	ROW(TOO_MANY_AT_A_TIME, "too_many_at_a_time", CLIENT, 429, "http_request_denied", "too many requests or tunnels at a time")            \
	ROW(QUOTA_SPENT, "quota_spent", CLIENT, 429, "http_request_denied", "the quota is used up")                                            \
	ROW(LOGIN_BRAKED, "login_braked", CLIENT, 429, "http_request_denied", "too many wrong logins: try again later")                           \
	ROW(HEAD_TOO_LARGE, "head_too_large", CLIENT, 431, "http_request_error", "request fields too large")                                   \
	ROW(CODING_UNKNOWN, "coding_unknown", CLIENT, 501, "http_request_error", "transfer coding not implemented")                            \
	ROW(PROTOCOL_UNKNOWN, "protocol_unknown", CLIENT, 501, "http_request_error", "protocol of an extended CONNECT not implemented")        \
	ROW(VERSION_UNSUPPORTED, "version_unsupported", CLIENT, 505, "http_request_error", "HTTP version not supported")                       \
	ROW(CLIENT_GONE, "client_gone", CLIENT, 0, NULL, "the client went away")                                                               \
	ROW(CLIENT_STALLED, "client_stalled", CLIENT, 0, NULL, "the client took nothing for too long")                                         \
	ROW(LOOP, "loop", SELF, 502, "proxy_loop_detected", "the request has been here before")                                                \
	ROW(DNS_FAILED, "dns_failed", RESOLVER, 502, "dns_error", "the name does not resolve")                                                 \
	ROW(DNS_TIMEOUT, "dns_timeout", RESOLVER, 504, "dns_timeout", "the name servers did not answer in time")                               \
	ROW(CONNECT_REFUSED, "connect_refused", SERVER, 502, "connection_refused", "the server refused the connection")                        \
	ROW(UNREACHABLE, "unreachable", SERVER, 502, "destination_ip_unroutable", "the server cannot be reached")                              \
	ROW(NO_EXIT, "no_exit", SELF, 503, "proxy_internal_error", "no connection can leave by the exit")                                      \
	ROW(CONNECT_TIMEOUT, "connect_timeout", SERVER, 504, "connection_timeout", "the server did not accept in time")                        \
	ROW(UPSTREAM_CLOSED, "upstream_closed", SERVER, 502, "connection_terminated", "the server closed before it answered")                  \
	ROW(UPSTREAM_RESET, "upstream_reset", SERVER, 502, "connection_terminated", "the server reset the connection")                         \
	ROW(UPSTREAM_TRUNCATED, "upstream_truncated", SERVER, 502, "http_response_incomplete", "the response ended too early")                 \
	ROW(UPSTREAM_MALFORMED, "upstream_malformed", SERVER, 502, "http_protocol_error", "malformed response")                                \
	ROW(UPSTREAM_HEAD_TOO_LARGE, "upstream_head_too_large", SERVER, 502, "http_response_header_section_size", "response fields too large") \
	ROW(UPSTREAM_CODING, "upstream_coding", SERVER, 502, "http_response_transfer_coding", "response coding not understood")                \
	ROW(UPSTREAM_UPGRADE, "upstream_upgrade", SERVER, 502, "http_upgrade_failed", "the server switched without being asked")               \
	ROW(UPSTREAM_REFUSED, "upstream_refused", SERVER, 502, "http_protocol_error", "the server refused the stream")                         \
	ROW(TLS_PROTOCOL, "tls_protocol", SERVER, 502, "tls_protocol_error", "the TLS handshake with the server failed")                       \
	ROW(TLS_CERTIFICATE, "tls_certificate", SERVER, 502, "tls_certificate_error", "the server's certificate is not good")                  \
	ROW(TLS_ALERT, "tls_alert", SERVER, 502, "tls_alert_received", "the server refused the TLS handshake")                                 \
	ROW(UPSTREAM_TIMEOUT, "upstream_timeout", SERVER, 504, "http_response_timeout", "the server did not answer in time")                   \
	ROW(UPSTREAM_STATUS, "upstream_status", SERVER, 502, "http_protocol_error", "the server answered with a status that calls for another try") \
	ROW(LEAK, "leak", SERVER, 502, "http_protocol_error", "the response says what is to stay inside")                                     \
	ROW(SERVER_DOWN, "server_down", SERVER, 503, "destination_unavailable", "the server was found to be down")                             \
	ROW(NO_SERVER, "no_server", SERVER, 503, "destination_unavailable", "no server is available")                                          \
	ROW(PARENT_FAILED, "parent_failed", SERVER, 502, "proxy_internal_response", "the parent proxy made no connection")    \
	ROW(PARENT_LOGIN, "parent_login", SERVER, 502, "proxy_configuration_error", "the parent proxy does not take our credentials")    \
	ROW(PARENT_MALFORMED, "parent_malformed", SERVER, 502, "http_protocol_error", "the parent proxy's answer is not understood")    \
	ROW(PARENT_REFUSED, "parent_refused", SERVER, 403, "http_request_denied", "the parent proxy does not allow it")    \
	ROW(OVERLOADED, "overloaded", SELF, 503, "connection_limit_reached", "too much to do")                                                 \
	ROW(MEMORY, "memory", SELF, 503, "proxy_internal_response", "out of memory")                                                           \
	ROW(TOTAL_TIMEOUT, "total_timeout", SELF, 504, "http_response_timeout", "the exchange took too long")                                  \
	ROW(TUNNEL_IDLE, "tunnel_idle", SELF, 0, NULL, "the tunnel was idle for too long")                                                     \
	ROW(DRAINING, "draining", SELF, 503, "proxy_internal_response", "shutting down")                                                       \
	ROW(SYSTEM, "system", SELF, 500, "proxy_internal_error", "a system call failed")                                                       \
	ROW(INTERNAL, "internal", SELF, 500, "proxy_internal_error", "internal error")

enum error_code {
#define ROW(code, name, source, status, proxy_status, text) ERROR_##code,
	ERROR_TABLE(ROW)
#undef ROW
	ERROR_CODES
};
/* clang-format on */

struct error {
	uint8_t code;     /* enum error_code */
	bool unprocessed; /* proven: the server has not seen the request, so another try is always safe */
	bool unanswered;  /* not one byte of a response had come */
	int system;       /* errno, or 0 */
	const char *text; /* static: what exactly, in words for a log; NULL = the table's */
};

#define ERROR_OK ((struct error){.code = ERROR_NONE})

/* An error with its table text; `text` may say more precisely what happened (static string). */
static inline struct error error_make(enum error_code code, const char *text)
{
	return (struct error){.code = (uint8_t)code, .text = text};
}

static inline struct error error_system(enum error_code code, int system)
{
	return (struct error){.code = (uint8_t)code, .system = system};
}

static inline bool error_is(const struct error *error)
{
	return error->code != ERROR_NONE;
}

enum error_source error_source(const struct error *error);
const char *error_source_name(enum error_source source);   /* "client", "server" ... */
unsigned error_status(const struct error *error);          /* 0 = none */
const char *error_proxy_status(const struct error *error); /* NULL = none */
const char *error_text(const struct error *error);         /* its own text, else the table's; never NULL */
const char *error_name(enum error_code code);              /* "connect_refused", lower case; never NULL */

#endif
