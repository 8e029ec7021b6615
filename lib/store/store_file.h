/* What the files of the file store share; nobody else includes it. */
#ifndef MUSTER_STORE_STORE_FILE_H
#define MUSTER_STORE_STORE_FILE_H

#include "store/store.h"

struct file_store {
	struct store base;
	char *dir; /* for messages */
	int root, tmp, locks;
};

/* Opens the folder, which must be there, and looks whose it is and whether it can be written. */
int store_file_root(struct file_store *f, struct err *err);
int store_file_list(struct store *s, const char *prefix, int (*fn)(const char *key, void *arg),
		    void *arg, struct err *err);

#endif
