/*
 * The names of known fields as HTTP/2 spells them. Pure data; any thread.
 */
#include "http/h2/message_internal.h"

#define NAME(text)                                                                                           \
	{                                                                                                    \
		(const uint8_t *)(text), sizeof(text) - 1                                                    \
	}

const struct span h2_field_names[HTTP_FIELD_IDS] = {
	[HTTP_FIELD_ACCEPT] = NAME("accept"),
	[HTTP_FIELD_ALT_SVC] = NAME("alt-svc"),
	[HTTP_FIELD_AUTHORIZATION] = NAME("authorization"),
	[HTTP_FIELD_CACHE_CONTROL] = NAME("cache-control"),
	[HTTP_FIELD_CLIENT_CERT] = NAME("client-cert"),
	[HTTP_FIELD_CLIENT_CERT_CHAIN] = NAME("client-cert-chain"),
	[HTTP_FIELD_CONNECTION] = NAME("connection"),
	[HTTP_FIELD_CONTENT_ENCODING] = NAME("content-encoding"),
	[HTTP_FIELD_CONTENT_LENGTH] = NAME("content-length"),
	[HTTP_FIELD_CONTENT_LOCATION] = NAME("content-location"),
	[HTTP_FIELD_CONTENT_TYPE] = NAME("content-type"),
	[HTTP_FIELD_COOKIE] = NAME("cookie"),
	[HTTP_FIELD_DATE] = NAME("date"),
	[HTTP_FIELD_EXPECT] = NAME("expect"),
	[HTTP_FIELD_FORWARDED] = NAME("forwarded"),
	[HTTP_FIELD_HOST] = NAME("host"),
	[HTTP_FIELD_HTTP2_SETTINGS] = NAME("http2-settings"),
	[HTTP_FIELD_KEEP_ALIVE] = NAME("keep-alive"),
	[HTTP_FIELD_LOCATION] = NAME("location"),
	[HTTP_FIELD_MAX_FORWARDS] = NAME("max-forwards"),
	[HTTP_FIELD_PROXY_AUTHENTICATE] = NAME("proxy-authenticate"),
	[HTTP_FIELD_PROXY_AUTHENTICATION_INFO] = NAME("proxy-authentication-info"),
	[HTTP_FIELD_PROXY_AUTHORIZATION] = NAME("proxy-authorization"),
	[HTTP_FIELD_PROXY_CONNECTION] = NAME("proxy-connection"),
	[HTTP_FIELD_PROXY_STATUS] = NAME("proxy-status"),
	[HTTP_FIELD_REFERER] = NAME("referer"),
	[HTTP_FIELD_SERVER] = NAME("server"),
	[HTTP_FIELD_SET_COOKIE] = NAME("set-cookie"),
	[HTTP_FIELD_STRICT_TRANSPORT_SECURITY] = NAME("strict-transport-security"),
	[HTTP_FIELD_TE] = NAME("te"),
	[HTTP_FIELD_TRAILER] = NAME("trailer"),
	[HTTP_FIELD_TRANSFER_ENCODING] = NAME("transfer-encoding"),
	[HTTP_FIELD_UPGRADE] = NAME("upgrade"),
	[HTTP_FIELD_USER_AGENT] = NAME("user-agent"),
	[HTTP_FIELD_VIA] = NAME("via"),
	[HTTP_FIELD_X_FORWARDED_FOR] = NAME("x-forwarded-for"),
	[HTTP_FIELD_X_FORWARDED_HOST] = NAME("x-forwarded-host"),
	[HTTP_FIELD_X_FORWARDED_PORT] = NAME("x-forwarded-port"),
	[HTTP_FIELD_X_FORWARDED_PROTO] = NAME("x-forwarded-proto"),
	[HTTP_FIELD_X_REAL_IP] = NAME("x-real-ip"),
};

bool h2_field_is_hop(enum http_field_id id)
{
	return id == HTTP_FIELD_CONNECTION || id == HTTP_FIELD_KEEP_ALIVE ||
	       id == HTTP_FIELD_PROXY_CONNECTION || id == HTTP_FIELD_TRANSFER_ENCODING ||
	       id == HTTP_FIELD_UPGRADE || id == HTTP_FIELD_HTTP2_SETTINGS;
}
