/*
 * One cell of a stream, from its content to its sinks; for the other parts of the stream alone. One
 * thread at a time, as for the stream.
 */
#ifndef MUSTER_RUN_STREAM_CELL_H
#define MUSTER_RUN_STREAM_CELL_H

#include "run/stream.h"

/* A cell as it is frozen, and its late objects behind it (d->later), each with its rows. Definition
 * of the object that was read first. ERR_NOTFOUND: there is neither. */
int stream_read_frozen(struct stream *s, struct cell_data *d, char definition[65], struct err *err);
/* The frozen content of a cell into d (initialised, with its cell), with what came late merged into it. ERR_NOTFOUND:
 * nothing is frozen, or cells of this kind are pulled again; ERR_CONFLICT: it is of another definition of the job. */
int stream_adopt(struct stream *s, struct cell_data *d, struct err *err);
/* A cell whose content is known, all the way: frozen, counted, published. `adopted`: d is what is frozen. With what is
 * frozen already d changes to that. */
int stream_cell_through(struct stream *s, struct cell_data *d, bool adopted, struct err *err);

#endif
