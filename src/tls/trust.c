/*
 * Certificates that are believed. Made at start, by whoever may read files; afterwards shared by all workers (OpenSSL's store has a lock of
 * its own).
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
	trust->store = X509_STORE_new();
	if (trust->store)
		return trust;
	free(trust);
	return NULL;
}

static bool add_pem(struct tls_trust *trust, struct span pem, const char **why)
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
	if (trust && add_pem(trust, pem, why))
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
	bool added = got > 0 && add_pem(trust, span_make(bytes, (size_t)got), &why);
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

struct tls_trust *tls_trust_system(const char **why)
{
	/* Debian and its kin, Fedora and its kin, SUSE, Alpine and BSD. */
	static const char *const bundles[] = {
		"/etc/ssl/certs/ca-certificates.crt",
		"/etc/pki/tls/certs/ca-bundle.crt",
		"/etc/ssl/ca-bundle.pem",
		"/etc/ssl/cert.pem",
	};
	const char *file = getenv(X509_get_default_cert_file_env());
	const char *directory = getenv(X509_get_default_cert_dir_env());
	struct tls_trust *trust = trust_empty();
	bool any;

	*why = "out of memory";
	if (!trust)
		return NULL;
	any = file && add_file(trust, file);
	any = (directory && add_directory(trust, directory)) || any;
	if (!file && !directory) {
		any = add_file(trust, X509_get_default_cert_file());
		for (size_t i = 0; !any && i < ARRAY_LENGTH(bundles); i++)
			any = add_file(trust, bundles[i]);
		any = any || add_directory(trust, X509_get_default_cert_dir());
	}
	if (any)
		return trust;
	*why = "the system has no store of certificates (package ca-certificates)";
	tls_trust_release(trust);
	return NULL;
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
	X509_STORE_free(trust->store);
	free(trust);
}
