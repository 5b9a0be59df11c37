/*
 * Between the files of UDP ASSOCIATE (RFC 1928 7): the association of one control connection, the targets that it has been judged for, and the peers
 * that may answer it.
 *
 * Everything in it is bounded: whatever is new in a flood of datagrams takes the place of what has not been used for longest.
 */
#ifndef GUISE_PROXY_UDP_INTERNAL_H
#define GUISE_PROXY_UDP_INTERNAL_H

#include "core/map.h"
#include "net/datagram.h"
#include "net/resolver.h"
#include "proxy/proxy_internal.h"
#include "socks/message.h"

struct udp_association;

enum {
	UDP_EXITS = 4,                 /* exits that the targets of one association leave by */
	UDP_WAITING = 16,              /* datagrams of one association that wait for names */
	UDP_WAITING_BYTES = 64 * 1024, /* in them */
	UDP_JUDGED_MS = 30 * 1000, /* a verdict, and what a name resolved to, is taken as it was for so long */
	UDP_PEER_KEY = 1 + 16 + 2 + sizeof(void *),
	UDP_HEAD_MOST = 4 + 16 + 2, /* before the data of a datagram from an address */
};

/* A socket that targets are sent to by. */
struct udp_source {
	struct datagram_socket socket;
	struct udp_association *association;
};

/* One exit of this machine: a socket for each family, opened when it is needed. */
struct udp_exit {
	uint32_t exit;
	struct net_way way;
	struct udp_source v4, v6;
};

/* An address and port that has been sent to by one socket: what comes from it there is passed on. Lives as long as a target leads to it. */
struct udp_peer {
	struct address address;
	struct datagram_socket *socket;
	unsigned targets;
	const struct rule_actions *actions; /* of the rule by which it was sent to first */
	uint8_t key[UDP_PEER_KEY];
	uint8_t head[UDP_HEAD_MOST], head_len; /* of what comes from it, for the client */
	struct loop_task retire;
	struct udp_association *association;
};

/* What datagrams of an association come to be, each but for those that never reach this process. */
struct udp_tally {
	uint64_t sent;     /* to targets */
	uint64_t received; /* from them, for the client */
	uint64_t denied;   /* by the rules or the guard */
	uint64_t dropped; /* malformed, fragments, from strangers, of names that do not resolve, over an allowance, or without room */
	struct span denial; /* why the first of them was denied, in the exchange's arena */
};

/* x->up while the association lasts; in the exchange's arena. */
struct udp_association {
	struct stream stream;
	struct exchange *exchange;
	struct proxy_exchange *p;
	struct datagram_socket client_socket;
	struct address client; /* whom it serves; port 0: whatever port the first good datagram comes from */
	bool connected;        /* client_socket is, to it */
	struct udp_exit *exits[UDP_EXITS];
	unsigned exit_count;
	struct map targets; /* what stands in datagrams as their place -> struct udp_target */
	struct map peers;   /* udp_peer.key -> struct udp_peer */
	struct link recent; /* struct udp_target, used last comes last */
	size_t target_count, waiting, waiting_bytes;
	size_t control; /* bytes that came on the control connection */
	struct timer idle;
	struct udp_tally tally;
	struct loop_task retire;
};

/* forward_udp.c: so many bytes to or from a peer are charged. False: there is no allowance for them. */
WARN_UNUSED bool udp_may_pass(struct udp_association *association, const struct udp_peer *peer, bool down,
			      size_t bytes);

/* forward_udp.c: the socket by which datagrams to an address of this family leave by that rule. NULL: there is no way. */
struct datagram_socket *udp_source_for(struct udp_association *association,
				       const struct rule_actions *actions, enum address_family family);

/* udp_target.c */
void udp_targets_init(struct udp_association *association);
/* No callback follows. What there was lives until the end of the turn. */
void udp_targets_drop(struct udp_association *association);
void udp_targets_fini(struct udp_association *association);
/*
 * Where this goes: `key` is what stood in the datagram as its place. NULL: nowhere, or not yet, and that is counted. The peer lives until the end of
 * the turn.
 */
const struct udp_peer *udp_target_peer(struct udp_association *association, struct span key,
				       const struct socks_datagram *datagram);
/* NULL: the client has sent nothing there by this socket. */
const struct udp_peer *udp_peer_find(const struct udp_association *association,
				     const struct datagram_socket *socket, const struct address *address);

#endif
