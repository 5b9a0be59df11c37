/*
 * See client_log.h. On the worker that logs.
 */
#include "exchange/client_log.h"

#include "tls/digest.h"

enum { HASHED = CLIENT_LOG_HASH / 2 };

_Static_assert((int)CLIENT_LOG_KEY == (int)DIGEST_MAC_KEY && (int)CLIENT_LOG_KEY == (int)DIGEST_MAC,
	       "a key makes the next one");

struct client_log {
	struct worker *worker;
	uint8_t key[CLIENT_LOG_KEY]; /* of this period */
	struct digest_mac *mac;      /* with the key; NULL: there was no memory for it */
	uint64_t ends_ms, period_ms; /* loop clock */
	struct timer timer;
};

static struct client_log *client_log(const struct worker *worker)
{
	return worker->slots[WORKER_SLOT_CLIENT_LOG];
}

/* What a key says of this; what makes the next key is longer than any address, so that no name is one. False: out of memory. */
static bool client_log_mac(const struct client_log *room, struct span what, uint8_t out[DIGEST_MAC])
{
	return room->mac && digest_mac_of(room->mac, &what, 1, out);
}

/* A key that cannot make the next one is followed by one that the other workers do not have: rather two names than an old key. */
static void client_log_turn(struct client_log *room)
{
	uint8_t next[CLIENT_LOG_KEY];

	if (!client_log_mac(room, SPAN("the key of the next period of the log"), next))
		random_secret(next, sizeof(next));
	digest_mac_free(room->mac);
	memcpy(room->key, next, sizeof(next));
	span_wipe(span_make(next, sizeof(next)));
	room->mac = digest_mac_new(room->key);
	room->ends_ms += room->period_ms;
}

/* An old key goes when its time is over, whether anything is logged or not. */
static void client_log_on_timer(struct timer *timer)
{
	struct client_log *room = CONTAINER_OF(timer, struct client_log, timer);
	struct loop *loop = &room->worker->loop;

	while (loop->now >= room->ends_ms)
		client_log_turn(room);
	loop_timer_start(loop, timer, room->ends_ms - loop->now);
}

bool client_log_init(struct worker *worker, const struct client_log_start *start)
{
	struct client_log *room = memory_alloc(worker->memory, sizeof(*room));

	if (!room)
		return false;
	*room = (struct client_log){
		.worker = worker,
		.mac = digest_mac_new(start->key),
		.ends_ms = start->began_ms + start->period_ms,
		.period_ms = start->period_ms,
	};
	memcpy(room->key, start->key, sizeof(room->key));
	worker->slots[WORKER_SLOT_CLIENT_LOG] = room;
	if (!room->mac) {
		client_log_fini(worker);
		return false;
	}
	timer_init(&room->timer, client_log_on_timer);
	client_log_on_timer(&room->timer);
	return true;
}

void client_log_fini(struct worker *worker)
{
	struct client_log *room = client_log(worker);

	if (!room)
		return;
	loop_timer_stop(&worker->loop, &room->timer);
	digest_mac_free(room->mac);
	span_wipe(span_make(room->key, sizeof(room->key)));
	memory_free(worker->memory, room, sizeof(*room));
	worker->slots[WORKER_SLOT_CLIENT_LOG] = NULL;
}

static size_t client_log_hash(const struct worker *worker, const struct address *client, char out[ADDRESS_TEXT])
{
	static const char hex[] = "0123456789abcdef";
	const struct client_log *room = client_log(worker);
	struct address plain = address_unmap(client);
	uint8_t what[1 + sizeof(plain.ip)] = {plain.family}, mac[DIGEST_MAC];
	size_t len = address_subscriber(&plain);

	if (len == 0) /* of a unix socket, say: nobody's in particular */
		return address_format_ip(&plain, out);
	memcpy(what + 1, plain.ip, len);
	if (!room || !client_log_mac(room, span_make(what, 1 + len), mac)) {
		out[0] = '-';
		return 1;
	}
	for (unsigned i = 0; i < HASHED; i++) {
		out[2 * i] = hex[mac[i] >> 4];
		out[2 * i + 1] = hex[mac[i] & 15];
	}
	return CLIENT_LOG_HASH;
}

size_t client_log_text(const struct worker *worker, enum log_addresses how, const struct address *client,
		       char out[ADDRESS_TEXT])
{
	struct address plain = address_unmap(client);

	switch (how) {
	case LOG_ADDRESSES_FULL:
		return address_format_ip(client, out);
	case LOG_ADDRESSES_TRUNCATED:
		plain = address_truncate(&plain);
		return address_format_ip(&plain, out);
	case LOG_ADDRESSES_HASH:
		return client_log_hash(worker, &plain, out);
	case LOG_ADDRESSES_AUTO: /* not reached: of no service */
	case LOG_ADDRESSES_NONE:
		break;
	}
	out[0] = '-';
	return 1;
}
