/*
 * Rows that listeners of both faces have, what comes before the first request, and what the rows of both check alike.
 */
#ifndef GUISE_ROUTE_SETTINGS_INTERNAL_H
#define GUISE_ROUTE_SETTINGS_INTERNAL_H

#include "net/peers.h"
#include "route/settings.h"

extern const char settings_http2_summary[], settings_proxy_protocol_summary[];
extern const char *const settings_http2_choices[];

const char *settings_check_token(const char *text, size_t len);
const char *settings_check_network(const char *text, size_t len);

#define ROW_TLS(settings)                                                                                    \
	{                                                                                                    \
		.key = "tls", .kind = SETTING_STRUCT, .offset = offsetof(settings, entrance.tls),            \
		.rows = tls_listener_rows, .place_offset = offsetof(settings, entrance.tls.place),           \
		.summary = "The listener speaks TLS. Without it, it speaks in clear.",                       \
		.example = "{certificates: [{certificate: site.pem, key: site.key}]}",                       \
	}

#define ROW_HTTP2(settings)                                                                                  \
	{                                                                                                    \
		.key = "http2", .kind = SETTING_CHOICE, .offset = offsetof(settings, entrance.http2),        \
		.place_offset = offsetof(settings, entrance.http2_place), .fallback = "tls",                 \
		.choices = settings_http2_choices, .summary = settings_http2_summary, .example = "clear",    \
	}

#define ROW_PROXY_PROTOCOL(settings)                                                                         \
	{                                                                                                    \
		.key = "proxy_protocol", .kind = SETTING_NETWORKS,                                           \
		.offset = offsetof(settings, entrance.proxy_protocol), .check = peers_check,                 \
		.summary = settings_proxy_protocol_summary, .example = "[10.0.0.0/8, \"unix:\"]",            \
	}

#endif
