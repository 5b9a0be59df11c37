/*
 * By which exit of this machine an exchange of the forward face leaves. On the exchange's worker.
 */
#include "proxy/proxy_internal.h"
#include "upstream/exit.h"

_Static_assert(EXIT_NONE == RULE_NONE, "a rule's exit is an exit's index");

static uint32_t forward_exit(const struct proxy_exchange *p)
{
	const struct rule_actions *actions = p->forward.verdict.actions;

	return actions && actions->exit != RULE_NONE ? actions->exit : p->listener->exit;
}

void forward_choose_way(struct exchange *x, struct proxy_exchange *p)
{
	uint32_t exit = forward_exit(p);

	if (p->forward.has_way && exit == p->forward.exit)
		return;
	p->forward.has_way = true;
	p->forward.exit = exit;
	exit_choose(p->listener->exits, p->forward.exit, x->worker, p->forward.user, &x->client->address,
		    &p->forward.way);
}

void forward_note_source(struct exchange *x, struct proxy_exchange *p, int fd)
{
	union socket_address raw;
	socklen_t len = sizeof(raw);
	char text[ADDRESS_TEXT];

	if (!(p->forward.way.bound || p->forward.way.interface) || getsockname(fd, &raw.any, &len) != 0)
		return;
	struct address source = address_from_socket(&raw, len);
	p->forward.source_text = arena_copy(&x->arena, span_make(text, address_format_ip(&source, text)));
}

void forward_note_old_way(struct exchange *x, struct proxy_exchange *p, int fd)
{
	p->forward.exit = forward_exit(p);
	p->forward.way =
		(struct net_way){.bound = p->forward.exit != EXIT_NONE}; /* chosen anew if this one fails */
	forward_note_source(x, p, fd);
}
