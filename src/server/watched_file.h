/*
 * When a file that is looked at every now and then is to be read again. One that is put in the place of another counts at once; one that is written in place when
 * it has stayed as it is from one look to the next, so that half of it is not taken for all. What could not be used is not tried again until it is another. Main thread; pure.
 */
#ifndef GUISE_SERVER_WATCHED_FILE_H
#define GUISE_SERVER_WATCHED_FILE_H

#include "core/base.h"

/* Signatures as of files_signature: 0 is a file that is not there. */
struct watched_file {
	uint64_t loaded, node; /* what is in use; of which file it is */
	uint64_t seen;         /* at the last look */
	uint64_t failed;       /* what could not be used, and was complained about; 0: none */
	bool missing;          /* complained about */
};

enum watched_look {
	WATCHED_SAME,
	WATCHED_GONE,    /* is to be complained about: told once */
	WATCHED_CHANGED, /* is to be read; watched_file_done follows */
};

enum watched_result {
	WATCHED_TAKEN,
	WATCHED_MISTAKEN,  /* is of no use, which was said */
	WATCHED_NO_MEMORY, /* is to be tried again */
};

/* `loaded`: what has been read; `now` and `node`: what is there. */
void watched_file_init(struct watched_file *file, uint64_t loaded, uint64_t now, uint64_t node);
enum watched_look watched_file_look(struct watched_file *file, uint64_t signature, uint64_t node);
/* With what was looked at before it was read, and `after` that: where they differ, it was changed meanwhile, and the next look sees to that. */
void watched_file_done(struct watched_file *file, uint64_t signature, uint64_t node, uint64_t after,
		       enum watched_result result);

#endif
