/* Writing the status page where people find it. */
#ifndef MUSTER_RUN_STATUS_PAGE_H
#define MUSTER_RUN_STATUS_PAGE_H

#include "run/session.h"
#include "run/status.h"

/* The page of what was gathered, with the last reports of `state` (NULL: none). */
int status_page_text(const struct status *st, struct store *state, struct buf *out,
		     struct err *err);
/* To a file, "-" for stdout. It is replaced in one step, and readable as the umask says. */
int status_page_save(const char *path, struct sv text, struct err *err);
/* run.status_page after a run: everything there is, whatever the run was for. Of several shards only
 * the first writes it. Trouble is logged, and changes nothing else. */
void status_page_after_run(const struct session *s);

#endif
