/*
 * The observer as a name server: notes each question, and says of every name where it is (dns.h). See observer.h. Its own thread.
 */
#include "audit/dns.h"
#include "audit/observer_internal.h"

enum { SERVICE_PORT = 80 };

/* With dns_names each name has an address of its own. */
static struct dns_answer answer_of(struct observer_listener *listener, const struct dns_question *question,
				   struct address *own)
{
	struct observer *observer = listener->observer;
	struct dns_answer answer = {.address = &listener->answer};

	if (!observer->options.names)
		return answer;
	answer.port = SERVICE_PORT;
	pthread_mutex_lock(&observer->lock);
	bool found =
		dns_names_address(observer->options.names, dns_question_name(question), question->type, own);
	pthread_mutex_unlock(&observer->lock);
	answer.address = found ? own : NULL;
	return answer;
}

static void note_question(struct observer_listener *listener, const struct dns_question *question,
			  const struct address *peer)
{
	struct observer_note *note = observer_note_new(listener->observer);
	struct observer_guest *guest = observer_guest_new(listener->observer, peer, &listener->bound);

	if (note && guest) {
		note->message.kind = OBSERVER_QUESTION;
		note->message.connection = &guest->connection;
		note->message.name = arena_copy(&note->arena, dns_question_name(question));
		note->message.type = question->type;
		note->message.subnet = arena_copy(&note->arena, question->subnet);
		if (note->message.name.at && note->message.subnet.at)
			observer_note_keep(listener->observer, note);
	}
	observer_note_end(listener->observer, note);
}

void *observer_dns_run(void *of)
{
	struct observer_listener *listener = of;
	uint8_t message[DNS_PACKET], out[DNS_PACKET];

	while (observer_wait_readable(listener->observer, listener->fd)) {
		union socket_address raw;
		socklen_t raw_len = sizeof(raw);
		ssize_t got =
			recvfrom(listener->fd, message, sizeof(message), MSG_DONTWAIT, &raw.any, &raw_len);
		struct dns_question question;
		struct address own;

		if (got <= 0 || !dns_question_parse(span_make(message, (size_t)got), &question))
			continue;
		struct address peer = address_from_socket(&raw, raw_len);
		note_question(listener, &question, &peer);
		struct dns_answer answer = answer_of(listener, &question, &own);
		size_t len = dns_answer_write(&question, &answer, out, sizeof(out));
		if (len)
			(void)sendto(listener->fd, out, len, MSG_DONTWAIT | MSG_NOSIGNAL, &raw.any, raw_len);
	}
	return NULL;
}
