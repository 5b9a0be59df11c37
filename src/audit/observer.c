/*
 * The observer's threads, and what they note. See observer.h.
 *
 * One lock around all that is shared; a condition tells that something was noted. Nothing is answered, read or sent while it is held.
 */
#include "audit/observer_internal.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum {
	MEMORY_MOST = 256 * 1024 * 1024,
	BACKLOG = 64,
	THREAD_STACK = 512 * 1024,
	IDLE = 10000, /* ms */
};

/* ---- notes ---- */

struct observer_note *observer_note_new(struct observer *observer)
{
	struct observer_note *note = calloc(1, sizeof(*note));

	if (note)
		arena_init(&note->arena, &observer->memory, NULL, NULL, 0);
	return note;
}

void observer_note_keep(struct observer *observer, struct observer_note *note)
{
	pthread_mutex_lock(&observer->lock);
	if (observer->note_count < OBSERVER_MESSAGES) {
		observer->notes[observer->note_count++] = note;
		note->kept = true;
	}
	pthread_cond_broadcast(&observer->changed);
	pthread_mutex_unlock(&observer->lock);
}

static void note_free(struct observer_note *note)
{
	arena_fini(&note->arena);
	free(note);
}

void observer_note_end(struct observer *observer, struct observer_note *note)
{
	if (note && !note->kept)
		note_free(note);
}

static bool note_holds(const struct observer_message *message, struct span token)
{
	switch (message->kind) {
	case OBSERVER_REQUEST:
		return span_search(message->http.target, token) >= 0;
	case OBSERVER_RAW:
		return span_search(message->raw, token) >= 0;
	case OBSERVER_QUESTION:
		return span_search(message->name, token) >= 0;
	}
	return false;
}

/* With the lock held: the one after `after` others; *count: how many there are. */
static const struct observer_message *note_find(const struct observer *observer, struct span token,
						unsigned after, unsigned *count)
{
	*count = 0;
	for (unsigned i = 0; i < observer->note_count; i++) {
		const struct observer_message *message = &observer->notes[i]->message;
		if (note_holds(message, token) && (*count)++ == after)
			return message;
	}
	return NULL;
}

const struct observer_message *observer_wait(struct observer *observer, struct span token, unsigned after,
					     uint64_t deadline)
{
	const struct timespec until = {.tv_sec = (time_t)(deadline / 1000),
				       .tv_nsec = (long)(deadline % 1000) * 1000000};
	const struct observer_message *found;
	unsigned count;

	pthread_mutex_lock(&observer->lock);
	while (!(found = note_find(observer, token, after, &count)) && deadline > deadline_now())
		if (pthread_cond_timedwait(&observer->changed, &observer->lock, &until) == ETIMEDOUT)
			deadline = 0;
	pthread_mutex_unlock(&observer->lock);
	return found;
}

unsigned observer_count(struct observer *observer, struct span token)
{
	unsigned count;

	pthread_mutex_lock(&observer->lock);
	(void)note_find(observer, token, UINT32_MAX, &count);
	pthread_mutex_unlock(&observer->lock);
	return count;
}

/* ---- connections ---- */

static void guest_free(struct observer_guest *guest)
{
	arena_fini(&guest->arena);
	free(guest);
}

struct observer_guest *observer_guest_new(struct observer *observer, const struct address *peer,
					  const struct address *local)
{
	struct observer_guest *guest = calloc(1, sizeof(*guest));

	if (!guest)
		return NULL;
	guest->connection.peer = address_unmap(peer);
	guest->connection.local = address_unmap(local);
	arena_init(&guest->arena, &observer->memory, NULL, NULL, 0);
	pthread_mutex_lock(&observer->lock);
	bool room = observer->guest_count < OBSERVER_CONNECTIONS;
	if (room) {
		observer->guests[observer->guest_count++] = guest;
		guest->connection.number = observer->guest_count;
	}
	pthread_mutex_unlock(&observer->lock);
	if (!room)
		guest_free(guest);
	return room ? guest : NULL;
}

/* What a connection's thread is started with. */
struct visit {
	struct observer *observer;
	struct observer_guest *guest;
	int fd;
	unsigned slot;
};

static void visit_end(struct visit *visit)
{
	struct observer *observer = visit->observer;

	pthread_mutex_lock(&observer->lock);
	observer->open[visit->slot] = -1; /* closed within the lock: the end shuts down what is open */
	close(visit->fd);
	observer->running--;
	pthread_cond_broadcast(&observer->changed);
	pthread_mutex_unlock(&observer->lock);
	free(visit);
}

static void *visit_run(void *of)
{
	struct visit *visit = of;

	observer_serve(visit->observer, visit->fd, visit->guest);
	visit_end(visit);
	return NULL;
}

/* Takes a place among the connections; false: there is none. */
static bool visit_enter(struct visit *visit)
{
	struct observer *observer = visit->observer;
	bool entered = false;

	pthread_mutex_lock(&observer->lock);
	for (unsigned i = 0; i < OBSERVER_AT_A_TIME && !entered && !observer->stopping; i++) {
		if (observer->open[i] >= 0)
			continue;
		observer->open[i] = visit->fd;
		visit->slot = i;
		observer->running++;
		entered = true;
	}
	pthread_mutex_unlock(&observer->lock);
	return entered;
}

/* The caller's thread waits for these at the end by observer->running. */
static bool start_detached(void *(*run)(void *), void *of)
{
	pthread_attr_t attributes;
	pthread_t thread;
	bool good;

	if (pthread_attr_init(&attributes) != 0)
		return false;
	good = pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED) == 0 &&
	       pthread_attr_setstacksize(&attributes, THREAD_STACK) == 0 &&
	       pthread_create(&thread, &attributes, run, of) == 0;
	pthread_attr_destroy(&attributes);
	return good;
}

static void visit_start(struct observer_listener *listener, int fd)
{
	struct visit *visit = calloc(1, sizeof(*visit));
	union socket_address raw;
	socklen_t len = sizeof(raw);
	struct address peer = {.family = ADDRESS_NONE}, local = listener->bound;

	if (getpeername(fd, &raw.any, &len) == 0)
		peer = address_from_socket(&raw, len);
	len = sizeof(raw);
	if (getsockname(fd, &raw.any, &len) == 0)
		local = address_from_socket(&raw, len);
	if (!visit) {
		close(fd);
		return;
	}
	*visit = (struct visit){.observer = listener->observer, .fd = fd};
	visit->guest = observer_guest_new(visit->observer, &peer, &local);
	if (!visit->guest || !visit_enter(visit)) {
		close(fd);
		free(visit);
	} else if (!start_detached(visit_run, visit)) {
		visit_end(visit);
	}
}

bool observer_wait_readable(struct observer *observer, int fd)
{
	struct pollfd fds[] = {{.fd = fd, .events = POLLIN}, {.fd = observer->stop, .events = POLLIN}};
	int ready;

	do
		ready = poll(fds, ARRAY_LENGTH(fds), -1);
	while (ready < 0 && errno == EINTR);
	return ready > 0 && !fds[1].revents;
}

static void *listener_run(void *of)
{
	struct observer_listener *listener = of;

	while (observer_wait_readable(listener->observer, listener->fd)) {
		int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd >= 0)
			visit_start(listener, fd);
		else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
			break;
	}
	return NULL;
}

/* ---- the observer ---- */

static bool init_condition(pthread_cond_t *condition)
{
	pthread_condattr_t attributes;
	bool good;

	if (pthread_condattr_init(&attributes) != 0)
		return false;
	good = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0 &&
	       pthread_cond_init(condition, &attributes) == 0;
	pthread_condattr_destroy(&attributes);
	return good;
}

struct observer *observer_new(const struct observer_options *options, const char **why)
{
	struct observer *observer = calloc(1, sizeof(*observer));
	struct span alpn = options->alpn.len ? options->alpn : TLS_BLOCKING_HTTP1;

	*why = "out of memory";
	if (!observer)
		return NULL;
	observer->options = *options;
	if (observer->options.idle == 0)
		observer->options.idle = IDLE;
	memory_init(&observer->memory, MEMORY_MOST);
	for (unsigned i = 0; i < OBSERVER_AT_A_TIME; i++)
		observer->open[i] = -1;
	observer->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (observer->stop < 0)
		goto fail;
	if (options->authority) {
		observer->tls = tls_blocking_server_new(options->authority, alpn, why);
		if (!observer->tls)
			goto fail;
	}
	if (pthread_mutex_init(&observer->lock, NULL) == 0) {
		if (init_condition(&observer->changed))
			return observer;
		pthread_mutex_destroy(&observer->lock);
	}
fail:
	if (observer->stop >= 0)
		close(observer->stop);
	tls_blocking_server_free(observer->tls);
	free(observer);
	return NULL;
}

static void stop_threads(struct observer *observer)
{
	pthread_mutex_lock(&observer->lock);
	observer->stopping = true;
	(void)eventfd_write(observer->stop, 1);
	for (unsigned i = 0; i < OBSERVER_AT_A_TIME; i++)
		if (observer->open[i] >= 0)
			(void)shutdown(observer->open[i], SHUT_RDWR);
	while (observer->running > 0)
		pthread_cond_wait(&observer->changed, &observer->lock);
	pthread_mutex_unlock(&observer->lock);
	for (unsigned i = 0; i < observer->listener_count; i++) {
		pthread_join(observer->listeners[i].thread, NULL);
		close(observer->listeners[i].fd);
	}
}

void observer_free(struct observer *observer)
{
	if (!observer)
		return;
	stop_threads(observer);
	for (unsigned i = 0; i < observer->note_count; i++)
		note_free(observer->notes[i]);
	for (unsigned i = 0; i < observer->guest_count; i++)
		guest_free(observer->guests[i]);
	tls_blocking_server_free(observer->tls);
	close(observer->stop);
	pthread_cond_destroy(&observer->changed);
	pthread_mutex_destroy(&observer->lock);
	free(observer);
}

/* A bound socket with its address; -1: errno tells. */
static int open_socket(const struct address *address, int type, struct address *bound)
{
	union socket_address raw;
	socklen_t len = address_to_socket(address, &raw);
	int fd = len ? socket(raw.any.sa_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0) : -1;

	if (fd < 0)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)) == 0 &&
	    bind(fd, &raw.any, len) == 0 && (type != SOCK_STREAM || listen(fd, BACKLOG) == 0)) {
		len = sizeof(raw);
		if (getsockname(fd, &raw.any, &len) == 0) {
			*bound = address_from_socket(&raw, len);
			return fd;
		}
	}
	int error = errno;
	close(fd);
	errno = error;
	return -1;
}

/* Main thread: listeners are only added before anything is asked. */
static bool listen_on(struct observer *observer, const struct address *address, int type,
		      void *(*run)(void *), const struct address *answer, struct address *bound)
{
	struct observer_listener *listener = &observer->listeners[observer->listener_count];

	if (observer->listener_count == OBSERVER_LISTENERS) {
		errno = ENOSPC;
		return false;
	}
	*listener = (struct observer_listener){.observer = observer, .answer = *answer};
	listener->fd = open_socket(address, type, &listener->bound);
	if (listener->fd < 0)
		return false;
	*bound = listener->bound;
	int error = pthread_create(&listener->thread, NULL, run, listener);
	if (error == 0) {
		observer->listener_count++;
		return true;
	}
	close(listener->fd);
	errno = error;
	return false;
}

bool observer_listen(struct observer *observer, const struct address *address, struct address *bound)
{
	return listen_on(observer, address, SOCK_STREAM, listener_run, address, bound);
}

bool observer_listen_dns(struct observer *observer, const struct address *address,
			 const struct address *answer, struct address *bound)
{
	return listen_on(observer, address, SOCK_DGRAM, observer_dns_run, answer, bound);
}
