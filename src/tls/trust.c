/*
 * Certificates that are believed. Made at start, by whoever may read files; afterwards shared by all workers (OpenSSL's store has a lock of
 * its own). The system's many may be read later, by a thread of their own, when the first one wants them.
 */
#include "tls/client_internal.h"

#include "tls/tls_internal.h"

#include <openssl/err.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MOST = 16 * 1024 * 1024 };

static struct tls_trust *trust_empty(void)
{
	struct tls_trust *trust = calloc(1, sizeof(*trust));

	if (!trust)
		return NULL;
	atomic_init(&trust->references, 1);
	atomic_init(&trust->ready, true);
	pthread_mutex_init(&trust->lock, NULL);
	trust->store = X509_STORE_new();
	if (trust->store)
		return trust;
	free(trust);
	return NULL;
}

bool tls_trust_add(struct tls_trust *trust, struct span pem, const char **why)
{
	STACK_OF(X509) *all = tls_certificates_read(pem, why);
	bool fine = all != NULL;

	for (int i = 0; fine && i < sk_X509_num(all); i++) {
		fine = X509_STORE_add_cert(trust->store, sk_X509_value(all, i)) == 1;
		if (!fine)
			*why = tls_reason();
	}
	sk_X509_pop_free(all, X509_free);
	return fine;
}

struct tls_trust *tls_trust_new(struct span pem, const char **why)
{
	struct tls_trust *trust = trust_empty();

	*why = "out of memory";
	if (trust && tls_trust_add(trust, pem, why))
		return trust;
	tls_trust_release(trust);
	return NULL;
}

/* A missing or unreadable file is no certificate. */
static bool add_file(struct tls_trust *trust, const char *path)
{
	const char *why;
	struct stat about;
	uint8_t *bytes = NULL;
	ssize_t got = -1;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return false;
	if (fstat(fd, &about) == 0 && S_ISREG(about.st_mode) && about.st_size <= FILE_MOST)
		bytes = malloc((size_t)about.st_size + 1);
	if (bytes)
		got = read(fd, bytes, (size_t)about.st_size);
	close(fd);
	bool added = got > 0 && tls_trust_add(trust, span_make(bytes, (size_t)got), &why);
	free(bytes);
	return added;
}

static bool add_directory(struct tls_trust *trust, const char *path)
{
	DIR *directory = opendir(path);
	const struct dirent *entry;
	char file[4096];
	bool any = false;

	if (!directory)
		return false;
	while ((entry = readdir(directory))) {
		int len = snprintf(file, sizeof(file), "%s/%s", path, entry->d_name);
		if (len > 0 && (size_t)len < sizeof(file) && add_file(trust, file))
			any = true;
	}
	closedir(directory);
	return any;
}

/* Where the system has its certificates. OpenSSL's own places, which the environment may name, come first. */
struct places {
	const char *files[6];
	const char *directory;
};

static struct places places_of_the_system(void)
{
	const char *file = getenv(X509_get_default_cert_file_env());
	const char *directory = getenv(X509_get_default_cert_dir_env());

	if (file || directory)
		return (struct places){{file}, directory};
	return (struct places){
		/* Debian and its kin, Fedora and its kin, SUSE, Alpine and BSD. */
		{X509_get_default_cert_file(), "/etc/ssl/certs/ca-certificates.crt",
		 "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem"},
		X509_get_default_cert_dir(),
	};
}

static const char no_store[] = "the system has no store of certificates (package ca-certificates)";

/* The first file that there is, or everything in the directory; of the environment's places both. */
static bool add_system(struct tls_trust *trust)
{
	struct places places = places_of_the_system();
	bool named = getenv(X509_get_default_cert_file_env()) || getenv(X509_get_default_cert_dir_env());
	bool any = false;

	for (size_t i = 0; !any && places.files[i]; i++)
		any = add_file(trust, places.files[i]);
	if (places.directory && (named || !any))
		any = add_directory(trust, places.directory) || any;
	return any;
}

struct tls_trust *tls_trust_system(const char **why)
{
	struct tls_trust *trust = trust_empty();

	*why = "out of memory";
	if (trust && add_system(trust))
		return trust;
	if (trust)
		*why = no_store;
	tls_trust_release(trust);
	return NULL;
}

/* ---- later ---- */

static bool system_has_any(void)
{
	struct places places = places_of_the_system();

	for (size_t i = 0; places.files[i]; i++)
		if (access(places.files[i], R_OK) == 0)
			return true;
	return places.directory && access(places.directory, R_OK) == 0;
}

struct tls_trust *tls_trust_system_later(const char **why)
{
	struct tls_trust *trust = system_has_any() ? trust_empty() : NULL;

	*why = no_store;
	if (trust)
		atomic_store(&trust->ready, false);
	return trust;
}

/* Whoever waits is told. */
static void trust_tell(struct tls_trust *trust, bool ready)
{
	struct tls_trust_wait *wait, *next;

	pthread_mutex_lock(&trust->lock);
	atomic_store_explicit(&trust->ready, ready, memory_order_release);
	wait = trust->waiting;
	trust->waiting = NULL;
	pthread_mutex_unlock(&trust->lock);
	for (; wait; wait = next) {
		next = wait->next;
		mailbox_post(wait->mailbox, &wait->letter);
	}
}

/* A store that turns out to be empty believes nobody: handshakes then fail, and say why. */
static void *trust_read(void *argument)
{
	struct tls_trust *trust = argument;

	(void)add_system(trust);
	ERR_clear_error();
	trust_tell(trust, true);
	return NULL;
}

bool tls_trust_is_ready(const struct tls_trust *trust)
{
	return atomic_load_explicit(&trust->ready, memory_order_acquire);
}

bool tls_trust_want(struct tls_trust *trust, struct tls_trust_wait *wait)
{
	if (tls_trust_is_ready(trust))
		return true;
	pthread_mutex_lock(&trust->lock);
	bool ready = atomic_load(&trust->ready);
	if (!ready) {
		wait->next = trust->waiting;
		trust->waiting = wait;
		if (!trust->reading)
			trust->reading = pthread_create(&trust->reader, NULL, trust_read, trust) == 0;
	}
	bool alone = !ready && !trust->reading;
	pthread_mutex_unlock(&trust->lock);
	if (alone)
		trust_tell(trust, false); /* no thread is to be had now */
	return ready;
}

void tls_trust_settle(struct tls_trust *trust)
{
	if (!trust || !trust->reading)
		return;
	pthread_join(trust->reader, NULL);
	trust->reading = false;
}

struct tls_trust *tls_trust_retain(struct tls_trust *trust)
{
	atomic_fetch_add_explicit(&trust->references, 1, memory_order_relaxed);
	return trust;
}

void tls_trust_release(struct tls_trust *trust)
{
	if (!trust || atomic_fetch_sub_explicit(&trust->references, 1, memory_order_acq_rel) != 1)
		return;
	tls_trust_settle(trust);
	pthread_mutex_destroy(&trust->lock);
	X509_STORE_free(trust->store);
	free(trust);
}
