/*
 * What never became a request: counted, and told in the error log at a pace that nobody can force up. And what first bytes look like.
 */
#include "proxy/entrance_internal.h"

#include <stdio.h>

enum { SAY_EVERY_MS = 10 * 1000, METHOD_MOST = 24 };

static const struct {
	enum log_level level;
	const char *what;
} ends[] = {
	[ENTRANCE_NO_HEADER] = {LOG_WARNING, "without a valid PROXY protocol header"},
	[ENTRANCE_NO_TLS] = {LOG_INFO, "that spoke neither TLS nor HTTP"},
	[ENTRANCE_HANDSHAKE_FAILED] = {LOG_INFO, "whose TLS handshake failed"},
	[ENTRANCE_LATE] = {LOG_INFO, "that took too long to begin"},
};

static void say(struct entrance_room *room, enum entrance_end end)
{
	struct entrance_tally *tally = &room->tallies[end];
	char address[ADDRESS_TEXT];

	if (tally->count == 0)
		return;
	size_t len =
		client_log_text(room->worker, tally->listener->service.log_addresses, &tally->peer, address);
	log_say(room->worker->log, ends[end].level,
		"closed %llu connection%s %s; the last one on %.*s, from %.*s: %s",
		(unsigned long long)tally->count, tally->count == 1 ? "" : "s", ends[end].what,
		SPAN_ARG(tally->listener->text), (int)len, address, tally->text);
	tally->count = 0;
	tally->said = room->worker->loop.now;
}

static void on_report(struct timer *timer)
{
	struct entrance_room *room = CONTAINER_OF(timer, struct entrance_room, report);

	for (unsigned end = 0; end < ENTRANCE_ENDS; end++)
		say(room, (enum entrance_end)end);
}

void entrance_log_init(struct entrance_room *room)
{
	timer_init(&room->report, on_report);
}

void entrance_log_fini(struct entrance_room *room)
{
	loop_timer_stop(&room->worker->loop, &room->report);
	on_report(&room->report);
}

void entrance_count(const struct entrance *entrance, enum entrance_end end, const char *text)
{
	struct entrance_room *room = entrance_room(entrance->worker);
	struct entrance_tally *tally = &room->tallies[end];
	struct loop *loop = &entrance->worker->loop;

	tally->count++;
	tally->text = text;
	tally->listener = entrance->listener;
	tally->peer = entrance->conn->peer;
	if (tally->said == 0 || loop->now - tally->said >= SAY_EVERY_MS)
		say(room, end);
	else if (!timer_active(&room->report))
		loop_timer_start(loop, &room->report, SAY_EVERY_MS);
}

/* A record of the handshake begins with its type, 22 (RFC 8446 5.1); a request line with a method and a space (RFC 9112 3). */
enum entrance_guess entrance_guess(struct span bytes)
{
	size_t len = 0;

	if (bytes.at[0] == 0x16)
		return ENTRANCE_IS_TLS;
	while (len < bytes.len && len < METHOD_MOST && ascii_is_alpha(bytes.at[len]))
		len++;
	if (len == bytes.len)
		return len < METHOD_MOST ? ENTRANCE_IS_UNCLEAR : ENTRANCE_IS_OTHER;
	if (len == 0 || bytes.at[len] != ' ' || span_equal(span_first(bytes, len), SPAN("PROXY")))
		return ENTRANCE_IS_OTHER;
	return ENTRANCE_IS_HTTP;
}
