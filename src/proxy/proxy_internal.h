/*
 * What the files of the proxy room share: the state of an exchange here, and the phases.
 */
#ifndef GUISE_PROXY_PROXY_INTERNAL_H
#define GUISE_PROXY_PROXY_INTERNAL_H

#include "mask/template.h"
#include "proxy/hand_over.h"
#include "proxy/proxy.h"
#include "proxy/sameness.h"
#include "upstream/path.h"

struct allowed;
struct authentication;
struct given_secret;
struct forward_bind;
struct mirror;
struct tunnel;
struct udp_tally;

/* Of an exchange of a forward listener: who asks, for what, and by which rule. */
struct forward_exchange {
	struct span user; /* who has proved to be it; empty: nobody. In the arena, or the connection's */
	bool by_network; /* only the address says so: there may be others of that name, who are not to share anything */
	enum rule_scheme scheme;
	struct verdict verdict; /* of the rules, as far as they could tell; final when connected */
	struct span parent;     /* by which it went, as the configuration calls it, for logs; empty: none */
	struct net_way way;     /* by which its connections leave: see forward_choose_way */
	bool has_way;           /* chosen for the connection that is being made */
	uint32_t exit; /* whose way that is, while way.bound or way.interface; else it means nothing */
	struct address judged; /* looked up for its rule, which sends it through parents; family ADDRESS_NONE: none was */
	bool tells_address;          /* its path or query holds the client's address: for logs */
	bool secure;                 /* the target is spoken to over TLS: https, or what a secret asks for */
	bool absolute;               /* the parent was asked as it is, and not for a tunnel */
	bool by_address;             /* that was just found out */
	uint8_t left_parents;        /* that broke the connection without an answer */
	struct span source_text;     /* of the connection, for logs; empty: none was asked for */
	struct forward_bind *bind;   /* BIND waits for its peer; NULL: there is none */
	const struct udp_tally *udp; /* of an association; NULL: it is none */
	struct authentication *authentication; /* its password is being verified; NULL: it is not */
	struct allowed *allowed;               /* what it has of allowances; NULL: there are none for it */
	struct given_secret *secrets;          /* that the request of the current try has; NULL: none */
};

/* x->proxy, in the exchange's arena. */
struct proxy_exchange {
	struct exchange *exchange;
	const struct proxy_listener *listener;
	struct forwarded_origin origin; /* who asks, as far as hops are trusted */
	struct span authority, path;    /* as they came: for logs, and for Host at each try */
	struct span detail;             /* of a refusal, for logs: more than the client is told */
	struct span hint;               /* of a refusal, for the client too */
	uint64_t retry_after;           /* of a refusal: seconds; 0: nothing is said of it */
	bool explained;                 /* nobody has asked: it takes nothing from anybody (explain.h) */

	const struct phase *phase;         /* that looks at it now, or was the last to */
	struct forward_exchange forward;   /* forward */
	struct route_match match;          /* reverse */
	const struct tcp_route *tcp_route; /* tcp */
	uint32_t group;                    /* reverse, tcp: the one that the route has chosen */

	struct span server_text; /* of the current try, for logs */
	bool reused;             /* the try is on a connection that had served before */
	bool fresh;              /* the next one must not be */
	struct session *session; /* of the current try; means something only while x->up is there */
	bool authorization;      /* the request has credentials for the server */
	bool binding;            /* of a kind that authenticates the connection */
	bool pinned;             /* what was said holds for that connection alone: there is no other try */
	union {
		struct path up_path;        /* forward */
		struct hand_over hand_over; /* reverse, tcp */
	};

	struct tunnel *tunnel;
	struct uniform_error *uniform; /* in place of the server's; see sameness.h; NULL: it has none */
	struct mirror *mirror;         /* its request goes to a mirror too, and is not complete; NULL: none */
	uint32_t leaks;                /* found in its response, for logs */
	bool edited;                   /* the content of its response is changed on its way */
	bool leaked;    /* its response says what it must not, and is not to be passed on: ERROR_LEAK */
	bool detached;  /* its tunnel goes on without it, and logs: see detached.h */
	bool is_mirror; /* of another exchange: see mirror.h */
};

static inline struct proxy_exchange *proxy_exchange(const struct exchange *x)
{
	return x->proxy;
}

enum phase_result {
	PHASE_NEXT,
	PHASE_DONE, /* replied, failed, or handed over: who took it goes on with it */
	PHASE_WAIT, /* it has to wait for something, and then calls phases_go_on, unless the exchange has ended meanwhile */
};

struct phase {
	const char *name;
	enum phase_result (*run)(struct exchange *x, struct proxy_exchange *p);
};

extern const struct phase reverse_phases[]; /* end with run == NULL */
extern const struct phase forward_phases[];
extern const struct phase tcp_phases[];
/* Of a listener. The last of them is the one that reaches out; the others do nothing to anybody. */
const struct phase *proxy_phases(const struct proxy_listener *listener);

/* phases.c: the state of an exchange here; made at its first event. NULL: out of memory. */
struct proxy_exchange *proxy_attach(struct exchange *x);

/* phases.c: what the phase that had to wait waited for has come: on with the one behind it. Not from within the phase. */
void phases_go_on(struct exchange *x, struct proxy_exchange *p);

/* exchange_fail, as a phase's result. `text` (static, or NULL) says what exactly. */
enum phase_result phase_fail(struct exchange *x, enum error_code code, const char *text);

/* phases.c: of forward and reverse */
enum phase_result phase_max_forwards(struct exchange *x, struct proxy_exchange *p);
enum phase_result phase_loop(struct exchange *x, struct proxy_exchange *p);

/* tls_policy.c */
enum phase_result phase_misdirected(struct exchange *x, struct proxy_exchange *p);
/* Client-Cert of a request for a server (RFC 9440). False: out of memory. */
WARN_UNUSED bool tls_policy_request(struct exchange *x, struct proxy_exchange *p);
/* Drops what says who a client is, in every spelling that a server may take for it; `keep_known`: but for the proper one. */
void tls_policy_drop(struct http_fields *fields, bool keep_known);
/* Strict-Transport-Security of a response to a client. False: out of memory. */
WARN_UNUSED bool tls_policy_response(const struct exchange *x, const struct proxy_exchange *p,
				     struct http_fields *fields);

/* reverse.c */
/* At the server of the ticket: a session, and the request on it. */
void reverse_try(struct exchange *x, struct proxy_exchange *p);
/* What Host says to this server (RFC 9110 7.2). */
struct span reverse_host(const struct proxy_exchange *p, const struct fleet_server *server);
/* Of an answer of a server: the client's cookie. After the edits, which are for what servers say. False: out of memory. */
WARN_UNUSED bool reverse_stick(struct exchange *x, struct proxy_exchange *p);

/* reverse_mask.c */
/* Between whom the response goes; a server has answered. Borrowed from the exchange. */
struct reverse_mask_view reverse_mask_view(const struct exchange *x, const struct proxy_exchange *p);
enum phase_result reverse_mask_request(struct exchange *x, struct proxy_exchange *p);
/* Of an answer of a server: its final head. False: out of memory. */
WARN_UNUSED bool reverse_mask_response(struct exchange *x, struct proxy_exchange *p);
/* Of an answer that the route itself gives. False: out of memory. */
WARN_UNUSED bool reverse_mask_answer(struct exchange *x, struct proxy_exchange *p);
/* Of any other answer of our own. False: out of memory. */
WARN_UNUSED bool reverse_mask_error(const struct proxy_exchange *p, struct http_fields *fields);
/* Interim heads of a server, and trailers: what is hidden is hidden there too, nothing is added. */
void reverse_mask_interim_of(struct exchange *x, struct proxy_exchange *p);
void reverse_mask_beside(struct exchange *x, struct proxy_exchange *p, struct http_fields *trailers,
			 bool response);

/* forward.c */
/* What the rules are asked. `address`: NULL while it is not known; borrowed. */
struct rule_query forward_query(const struct exchange *x, const struct proxy_exchange *p,
				const struct address *address);
uint16_t forward_port(const struct http_head *request);
/* The target's address when it was given as a literal; family ADDRESS_NONE for a name. */
struct address forward_literal(const struct http_head *request);
/* Notes why for the log; the client is told no address that it did not name itself. */
struct error forward_refusal(struct proxy_exchange *p, const struct guard_verdict *verdict);
/* By both gates for a literal address; by the first alone for a name, whose addresses are judged when they are known. */
struct guard_verdict forward_judge(const struct exchange *x, const struct proxy_exchange *p);
/* Of an answer of a server: its final head. False: out of memory. */
WARN_UNUSED bool forward_mask_response_of(struct exchange *x, struct proxy_exchange *p);
/* Interim heads, and trailers of a response: what is hidden is hidden there too, nothing is added. */
void forward_mask_beside(const struct proxy_exchange *p, struct http_fields *fields);

/* intercept.c: of listeners that intercept. Instead of the phase of the same name */
enum phase_result intercept_target(struct exchange *x, struct proxy_exchange *p);
/*
 * Where connections go to where they were on the way to (`intercept_destination: original`): of the addresses of the name that the client gave, that one alone. How
 * many are left, at the beginning; with none *error says why. Other listeners' are left alone.
 */
unsigned intercept_filter(struct proxy_exchange *p, struct address *addresses, unsigned count,
			  struct error *error);
/* The same of a connection that is there already, to this address. */
bool intercept_may_reuse(const struct proxy_exchange *p, const struct address *peer);
/* A connection without heads is refused: the client learns as much as its protocol can tell. */
void intercept_refuse(struct exchange *x, const struct error *error);

/* forward_way.c */
/*
 * By which exit a new connection leaves: p->forward.way. As soon as p->forward.verdict tells, and again when it has become final for an address: chosen anew only if that is
 * another exit, so that turns and fresh addresses are not used up. p->forward.has_way is reset when another connection is to be made (tries at several addresses are
 * one).
 */
void forward_choose_way(struct exchange *x, struct proxy_exchange *p);
/* The connection has been made: by which address, for the log. */
void forward_note_source(struct exchange *x, struct proxy_exchange *p, int fd);
/* It was made before, for another request by the same exit. */
void forward_note_old_way(struct exchange *x, struct proxy_exchange *p, int fd);

/* allowance.c */
enum phase_result forward_allowance(struct exchange *x, struct proxy_exchange *p);
/* The same where the verdict is final only when the address is known: nothing is held back. False: refused, *error says by what. */
WARN_UNUSED bool forward_allowance_late(struct exchange *x, struct proxy_exchange *p, struct error *error);
/* A datagram is to pass that a rule allows: it is charged, or else (false) to be dropped. */
WARN_UNUSED bool forward_allowance_datagram(struct exchange *x, struct proxy_exchange *p,
					    const struct rule_actions *actions, bool down, size_t bytes);
/* It waits for nothing any more, and what is still to be sent is an answer of our own, which is not charged. */
void forward_allowance_cancel(struct proxy_exchange *p);
/* The exchange is over. */
void forward_allowance_end(struct proxy_exchange *p);

/* forward_bind.c */
enum phase_result forward_bind_begin(struct exchange *x, struct proxy_exchange *p);
void forward_bind_cancel(struct proxy_exchange *p);
/* Whether what the rule allows may leave without any of its parents. */
bool forward_goes_direct(const struct rule_actions *actions);

/* forward_udp.c */
enum phase_result forward_udp_begin(struct exchange *x, struct proxy_exchange *p);

/* authenticate.c */
enum phase_result forward_authenticate(struct exchange *x, struct proxy_exchange *p);
void forward_authenticate_cancel(struct proxy_exchange *p);

/* forward_pac.c */
enum phase_result forward_pac(struct exchange *x, struct proxy_exchange *p);

/* forward_secrets.c */
enum phase_result forward_secrets(struct exchange *x, struct proxy_exchange *p);
/* Where the rule is known only with the address: it is too late to make the request one of https. False: refused, *error says why. */
WARN_UNUSED bool forward_secrets_late(const struct exchange *x, const struct proxy_exchange *p,
				      struct error *error);
/* Just before the request is sent, its rule being known. Those of an earlier try go. False: out of memory. */
WARN_UNUSED bool forward_give_secrets(struct exchange *x, struct proxy_exchange *p);
/* From fields of an answer that show one to the client. */
void forward_hide_secrets(const struct proxy_exchange *p, struct http_fields *fields);
void forward_wipe_secrets(struct proxy_exchange *p);
/* Of those that were given, from 0; empty behind the last. */
struct span forward_secret_name(const struct proxy_exchange *p, size_t index);

/* forward_hand_over.c */
/* The other end of a CONNECT or a BIND is there: the reply, and then it is a tunnel. */
void forward_open_tunnel(struct exchange *x, struct proxy_exchange *p, struct conn *conn);
enum phase_result forward_hand_over(struct exchange *x, struct proxy_exchange *p);
void forward_on_up_failed(struct exchange *x, struct proxy_exchange *p, const struct error *error);
/* The head of a final response has come. True: it is not handed on, and the exchange has ended with an error. */
WARN_UNUSED bool forward_on_answer(struct exchange *x, struct proxy_exchange *p);
void forward_cancel(struct proxy_exchange *p); /* waits for nothing any more */

/* tcp.c */
/* At the server of the ticket: a connection. */
void tcp_try(struct exchange *x, struct proxy_exchange *p);

/* pinning.c: connections that servers authenticate (exchange/pin.h) */
/* Before a connection is looked for: what the credentials are, as servers see them. */
void pinning_on_request(const struct exchange *x, struct proxy_exchange *p);
/* The exchange is about to be sent on this session, which was opened for it. */
void pinning_on_session(struct exchange *x, struct proxy_exchange *p, struct session *session);
/* A head of the server has come, as it has sent it. */
void pinning_on_response(struct exchange *x, struct proxy_exchange *p);
/* True: the client's connection ends as the server's did, without an answer, and no other try follows. */
WARN_UNUSED bool pinning_on_failed(struct exchange *x, const struct proxy_exchange *p,
				   const struct error *error);

/* reply.c: answers of our own */
void reply_begin(struct exchange *x, unsigned status);
void reply_error(struct exchange *x, struct proxy_exchange *p, const struct error *error);
void reply_trace(struct exchange *x);
/* What there is to say of an error by its status alone, in the form that the client reads best. *type: its media type. Zero: out of memory. */
struct span reply_status_body(struct exchange *x, unsigned status, struct span *type);

/* tunnel.c */
void tunnel_start(struct exchange *x, struct proxy_exchange *p);
void tunnel_on_flushed(struct exchange *x, struct proxy_exchange *p);
void tunnel_stop(struct exchange *x, struct proxy_exchange *p);

/* access_log.c */
void access_log_write(const struct exchange *x, const struct proxy_exchange *p);

/* The template values of an exchange. */
struct template_context proxy_template_context(const struct exchange *x, const struct proxy_exchange *p);

#endif
