/*
 * The rows of `limits` and `timeouts`. Read by the config room while a snapshot is built.
 */
#include "exchange/settings.h"

#define KIB UINT64_C(1024)
#define MIB (1024 * KIB)
#define TIB (1024 * 1024 * MIB)
#define SECOND UINT64_C(1000)
#define HOUR (3600 * SECOND)
#define DAY (24 * HOUR)

const struct setting limits_rows[] = {
	{
		.key = "memory",
		.kind = SETTING_SIZE,
		.offset = offsetof(struct limits_settings, memory),
		.fallback = "auto",
		.word = "auto",
		.word_value = 0,
		.min = 4 * MIB,
		.max = 64 * TIB,
		.summary = "Memory that the process may use for connections, messages and caches. `auto` is three "
			   "quarters of the machine's memory or of the control group's limit. Over 80 % windows stop "
			   "growing, over 95 % new work is refused with 503.",
		.example = "2 GiB",
	},
	{
		.key = "connections",
		.kind = SETTING_COUNT,
		.offset = offsetof(struct limits_settings, connections),
		.fallback = "32768",
		.min = 1,
		.max = 16777216,
		.summary = "Connections from clients, in the whole process.",
		.example = "100000",
	},
	{
		.key = "connections_per_address",
		.kind = SETTING_COUNT,
		.offset = offsetof(struct limits_settings, connections_per_address),
		.fallback = "1024",
		.min = 1,
		.max = 16777216,
		.summary = "Connections from one client address.",
		.example = "256",
	},
	{
		.key = "requests_per_connection",
		.kind = SETTING_COUNT,
		.offset = offsetof(struct limits_settings, requests_per_connection),
		.fallback = "10000",
		.word = "unlimited",
		.word_value = LIMIT_NONE,
		.min = 1,
		.max = 1000000000,
		.summary = "Requests on one client connection before it is closed.",
		.example = "1000",
	},
	{
		.key = "streams",
		.kind = SETTING_COUNT,
		.offset = offsetof(struct limits_settings, streams),
		.fallback = "100",
		.min = 1,
		.max = 10000,
		.summary = "HTTP/2 requests at a time on one client connection. A client that has been told so and sends more is at fault, and loses the connection.",
		.example = "250",
	},
	{
		.key = "handshakes",
		.kind = SETTING_COUNT,
		.offset = offsetof(struct limits_settings, handshakes),
		.fallback = "1024",
		.min = 1,
		.max = 16777216,
		.summary = "TLS handshakes with clients in progress, in the whole process, split evenly between workers. When there are more, the "
			   "one that has been in progress for longest is given up.",
		.example = "4096",
	},
	{
		.key = "request_line",
		.kind = SETTING_SIZE,
		.offset = offsetof(struct limits_settings, request_line),
		.fallback = "8 KiB",
		.min = 64,
		.max = 64 * KIB,
		.summary = "The longest request line; a longer one is answered with 414.",
		.example = "16 KiB",
	},
	{
		.key = "field_line",
		.kind = SETTING_SIZE,
		.offset = offsetof(struct limits_settings, field_line),
		.fallback = "8 KiB",
		.min = 64,
		.max = 64 * KIB,
		.summary = "The longest single field (header) line; a longer one is answered with 431.",
		.example = "16 KiB",
	},
	{
		.key = "fields",
		.kind = SETTING_COUNT,
		.offset = offsetof(struct limits_settings, fields),
		.fallback = "100",
		.min = 1,
		.max = 1000,
		.summary = "Fields in one message; more are answered with 431.",
		.example = "200",
	},
	{
		.key = "head",
		.kind = SETTING_SIZE,
		.offset = offsetof(struct limits_settings, head),
		.fallback = "32 KiB",
		.min = 64,
		.max = 256 * KIB,
		.summary = "Request line and all fields together. A longer request is answered with 431; a longer "
			   "response of a server with 502.",
		.example = "64 KiB",
	},
	{
		.key = "body",
		.kind = SETTING_SIZE,
		.offset = offsetof(struct limits_settings, body),
		.fallback = "unlimited",
		.word = "unlimited",
		.word_value = LIMIT_NONE,
		.summary = "The largest request body; a larger one is answered with 413. A route may set its own.",
		.example = "10 MiB",
	},
	{
		.key = "flow",
		.kind = SETTING_SIZE,
		.offset = offsetof(struct limits_settings, flow),
		.fallback = "64 KiB",
		.min = 4 * KIB,
		.max = 16 * MIB,
		.summary = "Bytes in flight in one direction of one exchange before its source has to wait.",
		.example = "128 KiB",
	},
	{
		.key = "udp_targets",
		.kind = SETTING_COUNT,
		.offset = offsetof(struct limits_settings, udp_targets),
		.fallback = "256",
		.min = 1,
		.max = 65536,
		.summary = "Targets that one UDP association of SOCKS remembers, which are those that may answer it. For a new one the one that was "
			   "sent to least recently is forgotten.",
		.example = "1024",
	},
	{.key = NULL},
};

#define TIMEOUT(name, at_least, value, text, shown)                                                          \
	{                                                                                                    \
		.key = #name, .kind = SETTING_TIME, .offset = offsetof(struct timeouts_settings, name),      \
		.fallback = value, .min = at_least, .max = 30 * DAY, .summary = text, .example = shown,      \
	}

const struct setting timeouts_rows[] = {
	TIMEOUT(header, 1, "15s", "From the first byte of a request to the end of its head; then 408.", "5s"),
	TIMEOUT(handshake, 1, "10s",
		"From the first moment of a connection to the end of what comes before its first request: PROXY protocol header, TLS handshake "
		"or, where it is looked into, ClientHello; and a TLS handshake with a server. Then the connection is closed.",
		"5s"),
	TIMEOUT(idle, 1, "60s", "A kept-alive client connection without a request; closed silently.", "75s"),
	TIMEOUT(body, 1, "30s",
		"Between two reads of a request body (then 408), or while a client takes nothing of a response (then its "
		"connection is closed).",
		"1m"),
	TIMEOUT(total, 0, "0s", "A whole exchange; then 504, or the connection is closed. `0s` is off.", "10m"),
	TIMEOUT(connect, 1, "5s", "Connecting to a server, all of its addresses; then 504.", "2s"),
	TIMEOUT(response, 1, "60s",
		"From the request sent to the head of the response, and between two reads of the response; then 504, or "
		"the response is cut short.",
		"30s"),
	TIMEOUT(tunnel, 1, "10m", "A tunnel in which no byte moves either way; then it is closed.", "1h"),
	TIMEOUT(udp, 1, "2m",
		"A UDP association of SOCKS that passes no datagram either way; then it and its connection are closed.",
		"5m"),
	TIMEOUT(bind, 1, "2m", "How long a SOCKS BIND waits for the peer to connect.", "30s"),
	TIMEOUT(pool, 1, "50s", "How long an idle connection to a server is kept for reuse.", "20s"),
	TIMEOUT(drain, 0, "30s",
		"How long open exchanges may go on after SIGTERM or SIGINT before their connections are cut.",
		"5m"),
	{.key = NULL},
};
