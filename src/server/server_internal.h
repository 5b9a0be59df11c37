/*
 * What the files of the server room share.
 */
#ifndef GUISE_SERVER_SERVER_INTERNAL_H
#define GUISE_SERVER_SERVER_INTERNAL_H

#include "admin/admin.h"
#include "core/worker.h"
#include "net/listener.h"
#include "net/resolver.h"
#include "proxy/leaks.h"
#include "proxy/proxy.h"
#include "server/clients.h"
#include "server/server.h"

#include <pthread.h>

enum {
	NAME_MOST = 96,
	LOG_RING = 256 * 1024, /* bytes for each thread: what a busy worker logs while the writer naps */
};

/* One bound address: what it means, and one socket for each worker (the same one for all where the kernel cannot share). */
struct bound {
	struct proxy_listener listener;
	const struct snapshot_listener *origin;
	const struct snapshot_address *written;
	struct address address; /* with its real port */
	char text[ADDRESS_TEXT + 1];
	char via[NAME_MOST];
	struct told_names told;  /* fields that a mask has dropped; any thread */
	struct leak_tally leaks; /* what a mask has found; any thread */
	int *sockets;
	bool shared; /* one socket for all workers */
};

struct server;
struct control; /* control.h */

/* One worker's thread and what it accepts. */
struct server_worker {
	struct worker worker;
	struct server *server;
	pthread_t thread;
	bool initialised, started;
	struct acceptor *acceptors; /* one for each bound address */
	struct letter order;        /* drain */
	struct letter cut_order;    /* cut what is still open */
	struct timer drain_check;
	uint64_t drain_deadline; /* loop clock, ms */
	struct timer resume;     /* acceptors paused at the connection limit */
	uint64_t complained;     /* loop clock, ms: when the limit was last reported */
	bool full;
	bool cut;
	unsigned operators; /* connections to the operator's interface */
};

struct server {
	struct snapshot *snapshot;
	struct memory memory;
	struct limits_settings limits; /* as configured, with what the system allows */
	uint64_t descriptors; /* that the process may open, where they limit the connections; else 0 */
	struct log *log;
	struct log_ring *ring; /* the main thread's */
	int access_fd, error_fd;
	struct bound *bound;
	size_t bound_count;
	struct guard_own own;      /* for the egress guard */
	struct own_kept *own_kept; /* own.c: what is in its sets; NULL: there are none */
	struct exits *exits;
	struct allowances *allowances;
	struct allowance_counts *allowances_said; /* of each: what the log has been told */
	struct admin admin;                       /* what the operator's interface knows */
	struct arena arena;                       /* what lives as long as the server */
	struct resolver_settings resolver;
	struct map hosts; /* what /etc/hosts said */
	struct clients clients;
	struct fleet *fleet;
	struct parents *parents;
	struct certificates *certificates;
	struct server_files *files; /* lists of servers */
	struct user_files *users;   /* accounts of listeners */
	struct server_lists *lists; /* of rules */
	struct outdated *outdated;  /* what was replaced, and is not freed yet */
	struct secret_files *secret_files;
	struct secrets *secrets; /* NULL: there are none */
	struct server_worker *workers;
	unsigned worker_count;
	struct control *control;
	struct client_log_start client_log; /* period_ms 0: no log has hashes */
	atomic_uint running;                /* workers that have not ended */
};

const char *server_face_name(enum snapshot_face face); /* sockets.c: as the configuration calls it */

/* sockets.c: binds everything the snapshot names. False: it was said what failed, and by which key. */
WARN_UNUSED bool sockets_bind(struct server *server);
void sockets_close(struct server *server);
/* The same without sockets: server->bound as it would be. False: out of memory. */
WARN_UNUSED bool sockets_describe(struct server *server);

/* server.c: what the resolvers of all threads have in common. False: out of memory. */
WARN_UNUSED bool resolver_prepare(struct server *server);

/* listeners.c: from what is bound to what it means. False: out of memory. */
WARN_UNUSED bool listeners_prepare(struct server *server);
void masks_look(const struct server *server); /* says what masks do that a restart or another node would not know of */
void exits_look(struct server *server); /* says by which exits nothing can leave now */

/* system.c: what the machine has and allows. */
unsigned system_cores(void);       /* that this process may use */
uint64_t system_memory(void);      /* bytes: RAM, or the control group's limit where lower */
uint64_t system_descriptors(void); /* raises the soft limit to the hard one; the limit */

/* rooms.c: what worker threads and the control thread have in common. False: out of memory. */
WARN_UNUSED bool rooms_init(struct worker *worker, const struct server *server, uint64_t handshakes);
void rooms_fini(struct worker *worker); /* all but TLS, whose contexts go before it; some may not be there */

/* worker_thread.c */
WARN_UNUSED bool worker_thread_init(struct server *server,
				    unsigned index); /* false: out of memory or descriptors */
void worker_thread_join(struct server_worker *worker);
void worker_thread_fini(struct server_worker *worker); /* after all workers were joined: they send each other letters */
WARN_UNUSED bool worker_thread_start(struct server_worker *worker);
void worker_thread_drain(struct server_worker *worker, bool cut); /* from the main thread */

/* certificates.c: TLS of listeners, and what becomes of changed files. Main thread; but for the contexts, before workers run. */
WARN_UNUSED bool certificates_init(struct server *server); /* false: out of memory */
void certificates_fini(struct server *server);
WARN_UNUSED bool certificates_worker_init(struct server_worker *worker);
void certificates_worker_fini(struct server_worker *worker); /* after its connections */
bool certificates_watched(const struct server *server);      /* there are any */
void certificates_look(struct server *server);

/* server_files.c: files with servers of groups. Main thread. */
WARN_UNUSED bool server_files_init(struct server *server); /* false: out of memory */
bool server_files_watched(const struct server *server);    /* there are any */
void server_files_look(struct server *server);

/* file_complain.c: says the first mistake in a file: "WHOSE: FILE:LINE:COLUMN: ...: the old KEPT stay in use". Main thread. */
void file_complain(const struct server *server, const struct diagnostics *diagnostics, const char *whose,
		   const char *kept);

/* secret_files.c: secrets, and the files that they are from. Main thread. */
WARN_UNUSED bool secret_files_init(struct server *server); /* false: out of memory */
bool secret_files_watched(const struct server *server);    /* there are any */
void secret_files_look(struct server *server);

/* user_files.c: the accounts of listeners, and their files. Main thread; _init before workers are made, _stop when they have ended, and before their mailboxes go. */
WARN_UNUSED bool user_files_init(struct server *server); /* false: out of memory */
struct accounts *user_files_accounts(const struct server *server,
				     const struct snapshot_listener *origin); /* NULL: nobody has to log in */
WARN_UNUSED bool user_files_start(struct server *server);                     /* false: no threads */
void user_files_stop(struct server *server);
void user_files_fini(struct server *server);
bool user_files_watched(const struct server *server); /* there are any */
void user_files_look(struct server *server);

/* server_lists.c: files with lists for rules. Main thread; _init before workers are made. */
WARN_UNUSED bool server_lists_init(struct server *server); /* false: out of memory */
bool server_lists_watched(const struct server *server);    /* there are any */
void server_lists_look(struct server *server);

/* allowance_report.c: how much clients have used of what they may have. Main thread. */
WARN_UNUSED bool allowances_prepare(struct server *server); /* false: out of memory */
bool allowances_watched(const struct server *server);       /* there are any */
void allowances_say(struct server *server);                 /* what is new of refusals */

/* banner.c */
void banner_print(const struct server *server, bool quiet);

#endif
