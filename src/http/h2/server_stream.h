/*
 * Responses of the server side of HTTP/2.
 */
#ifndef GUISE_HTTP_H2_SERVER_STREAM_H
#define GUISE_HTTP_H2_SERVER_STREAM_H

#include "exchange/exchange.h"

extern const struct stream_ops h2_server_stream_ops;

#endif
