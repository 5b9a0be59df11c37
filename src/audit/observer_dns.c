/*
 * The observer as a name server: notes each question, and answers it. See observer.h. Its own thread.
 */
#include "audit/observer_internal.h"

#include "audit/dns.h"

/* True: it is there to be seen. */
static bool note_question(struct observer_listener *listener, const struct dns_question *question,
			  const struct address *peer)
{
	struct observer_note *note = observer_note_new(listener->observer);
	struct observer_guest *guest = observer_guest_new(listener->observer, peer, &listener->bound);
	bool good = note && guest;

	if (good) {
		note->message.kind = OBSERVER_QUESTION;
		note->message.connection = &guest->connection;
		note->message.type = question->type;
		note->message.name = arena_copy(&note->arena, dns_question_name(question));
		note->message.subnet = arena_copy(&note->arena, question->subnet);
		good = note->message.name.at && note->message.subnet.at;
	}
	if (good)
		observer_note_keep(listener->observer, note);
	observer_note_end(listener->observer, note);
	return good;
}

/* The address of that name, or that of all names. */
static struct address find_address(struct observer_listener *listener, const struct dns_question *question)
{
	struct observer *observer = listener->observer;
	struct address address = listener->answer;

	if (!observer->options.names)
		return address;
	pthread_mutex_lock(&observer->lock);
	if (!dns_names_address(observer->options.names, dns_question_name(question), question->type, &address))
		address = (struct address){.family = ADDRESS_NONE};
	pthread_mutex_unlock(&observer->lock);
	return address;
}

void *observer_dns_run(void *of)
{
	struct observer_listener *listener = of;
	uint8_t packet[DNS_PACKET], out[DNS_PACKET];

	while (observer_wait_readable(listener->observer, listener->fd)) {
		union socket_address raw;
		socklen_t raw_len = sizeof(raw);
		struct dns_question question;
		ssize_t got = recvfrom(listener->fd, packet, sizeof(packet), MSG_DONTWAIT, &raw.any, &raw_len);
		if (got <= 0 || !dns_question_parse(span_make(packet, (size_t)got), &question))
			continue;
		struct address peer = address_from_socket(&raw, raw_len);
		struct address address = find_address(listener, &question);
		const struct dns_answer answer = {.address = &address};
		size_t len = note_question(listener, &question, &peer) ?
				     dns_answer_write(&question, &answer, out, sizeof(out)) :
				     0;
		if (len)
			(void)sendto(listener->fd, out, len, MSG_DONTWAIT | MSG_NOSIGNAL, &raw.any, raw_len);
	}
	return NULL;
}
