/*
 * TLS as the configuration describes it, for listeners and for upstream groups. Part of a snapshot, immutable.
 */
#ifndef GUISE_TLS_SETTINGS_H
#define GUISE_TLS_SETTINGS_H

#include "core/setting.h"

enum tls_version { TLS_VERSION_12, TLS_VERSION_13 }; /* index into the choices "1.2", "1.3" */

enum tls_client_verify { TLS_CLIENT_NONE, TLS_CLIENT_OPTIONAL, TLS_CLIENT_REQUIRED };

/* Paths; relative ones start from the configuration's directory. */
struct tls_certificate_settings {
	struct setting_string certificate; /* PEM: the leaf first, then the chain */
	struct setting_string key;         /* PEM, without a password; default: in the certificate's file */
	struct setting_string ocsp;        /* a DER response to staple; may be empty */
	struct setting_place place;
};

struct tls_clients_settings {
	int verify;               /* enum tls_client_verify */
	struct setting_string ca; /* PEM: who may sign clients' certificates */
	bool pass;                /* reverse: on to the server as Client-Cert (RFC 9440) */
	struct setting_place place;
};

/* Strict-Transport-Security (RFC 6797). */
struct tls_hsts_settings {
	uint64_t max_age; /* ms; 0 = the field is not sent */
	bool subdomains, preload;
	struct setting_place place;
};

/* `tls` of a listener: there when its place has a line. */
struct tls_listener_settings {
	struct setting_list certificates; /* struct tls_certificate_settings; the first one is the default */
	int minimum;                      /* enum tls_version */
	bool strict_sni; /* no certificate for a client that names no host, or one that no certificate is for */
	bool tickets;    /* session resumption */
	struct tls_clients_settings clients;
	struct tls_hsts_settings hsts;
	struct setting_place place;
};

/* `tls` of an upstream group: there when its place has a line. */
struct tls_upstream_settings {
	bool verify;
	struct setting_string ca; /* PEM; default: the system's store */
	struct setting_string name; /* instead of the server's host: in SNI, and what its certificate must be for */
	bool sni;                   /* send it */
	struct setting_string certificate, key; /* our own, for servers that ask */
	int minimum;                            /* enum tls_version */
	struct setting_place place;
};

extern const struct setting tls_listener_rows[]; /* struct tls_listener_settings */
extern const struct setting tls_upstream_rows[]; /* struct tls_upstream_settings */

#endif
