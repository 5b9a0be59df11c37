/*
 * What the files of talker.h share.
 */
#ifndef GUISE_AUDIT_TALKER_INTERNAL_H
#define GUISE_AUDIT_TALKER_INTERNAL_H

#include "audit/talker.h"

/* How a target says which talk it is for. */
#define TALK_KEY "audit="

#endif
