/*
 * What the files of SOCKS connections share.
 */
#ifndef GUISE_SOCKS_SOCKS_INTERNAL_H
#define GUISE_SOCKS_SOCKS_INTERNAL_H

#include "account/login.h"
#include "core/pending.h"
#include "socks/message.h"
#include "socks/server.h"

struct socks_room {
	struct pool servers;
	struct link open; /* socks_server.link */
};

static inline struct socks_room *socks_room(const struct worker *worker)
{
	return worker->slots[WORKER_SLOT_SOCKS];
}

enum socks_server_state {
	SOCKS_SERVER_GREETING, /* version 5: the methods are to come */
	SOCKS_SERVER_LOGIN,    /* user and password are to come */
	SOCKS_SERVER_CHECK,    /* they are being verified */
	SOCKS_SERVER_REQUEST,  /* the request is to come */
	SOCKS_SERVER_EXCHANGE, /* it runs, or is being refused */
	SOCKS_SERVER_TUNNEL,   /* the connection has become a raw stream */
	SOCKS_SERVER_CLOSED,
};

struct socks_call;

struct socks_server {
	struct conn *conn; /* NULL once closed, lingering or raw */
	struct worker *worker;
	const struct service *service;
	struct socks_call *call; /* the exchange's, or NULL */
	struct pending pending; /* a part of a message, what was sent behind the one that is looked at, or early data */
	struct login login;
	struct timer timer; /* the negotiation, then the reply */
	struct loop_task retire;
	struct client client; /* .user: set once the password was right */
	uint8_t *user;        /* the name that was said, from worker->memory; NULL: none */
	struct link link;
	client_gone_fn *on_gone;
	void *owner;
	uint8_t user_len;
	uint8_t state;    /* enum socks_server_state */
	uint8_t version;  /* enum socks_version */
	bool input_ended; /* the client's FIN was seen */
};

/* What the client waits for, which a refusal has to answer. */
enum socks_asked { SOCKS_ASKED_METHOD, SOCKS_ASKED_LOGIN, SOCKS_ASKED_REQUEST };

/* One request and its reply; lives in the exchange's arena. */
struct socks_call {
	struct stream stream;
	struct socks_server *server;
	struct exchange *exchange;
	struct error refusal; /* of the codec's own, or none */
	uint8_t code;         /* enum socks_code: of that refusal; SUCCEEDED: as its error says */
	uint8_t asked;        /* enum socks_asked */
	uint8_t command;      /* enum socks_command; 0: it never came to that */
	bool begun;           /* the exchange knows of it */
	bool replied;         /* the final reply has been queued */
	bool granted;         /* and it was a success */
	bool done;            /* nothing more will be sent */
};

extern const struct stream_ops socks_stream_ops;

/* server.c, for server_stream.c and server_login.c */
void socks_server_set_state(struct socks_server *server,
			    enum socks_server_state state); /* ensures that the move is legal */
void socks_server_close(struct socks_server *server);       /* now */
void socks_server_linger(struct socks_server *server);      /* in good order */
void socks_server_send(struct socks_server *server, struct span message);
void socks_server_on_raw_gone(void *owner);
void socks_server_on_raw_claim(void *owner, struct client_claim *claim);
void socks_server_refuse_bytes(struct socks_server *server, const char *why, enum socks_code code);
/* What the client waits for will not be granted: it is told at socks_server_settle, and the connection ends. */
void socks_server_refuse(struct socks_server *server, const struct error *error, enum socks_code code);
/* Whatever has come of it: goes on with what is pending, begins or refuses the exchange. */
void socks_server_go_on(struct socks_server *server);

/* server_stream.c, for server.c */
void socks_call_on_sent(struct socks_call *call);
void socks_call_on_input_end(struct socks_call *call);

/* server_login.c */
/*
 * Each reads one message at the beginning of `bytes`: the state moves on, now or when the password has been verified, or the client is refused.
 * Answers how many bytes were used; 0: more are needed.
 */
size_t socks_server_read_greeting(struct socks_server *server, struct span bytes);
size_t socks_server_read_login(struct socks_server *server, struct span bytes);

/* target.c */
/* What was asked for, as the head of a request, in its arena. False: *error tells; what is known is there for the log. */
WARN_UNUSED bool socks_head_fill(struct http_head *head, enum socks_version version,
				 const struct socks_request *request, struct span scheme, struct arena *arena,
				 struct error *error);

/* code.c */
enum socks_code socks_code_of(const struct error *error, unsigned status);

#endif
