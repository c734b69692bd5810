/* taken.h - a checkpoint of a share (store/checkpoint.h), asked for and given back by a command
 * that reads it. */
#ifndef DAYBOOK_TAKEN_H
#define DAYBOOK_TAKEN_H

#include "client.h"

struct taken {
	/* The checkpoint is the directory `name` in the store's, and is a store itself. */
	char name[80], store[4096];
	char share[64];
	uint64_t change;
	int64_t time;
	bool there;
};

/* Takes one, while the share is used. */
int taken_make(const struct whereabouts *place, struct taken *ret, struct error *e);
/* Gives it back; else the next one, or the next start, removes it. */
void taken_drop(const struct whereabouts *place, const struct taken *taken);

#endif
