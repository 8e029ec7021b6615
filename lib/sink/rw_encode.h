/*
 * Rows of samples as remote-write 1.0 requests (prometheus.WriteRequest, protobuf; remote-write 1.0 specification).
 *
 * A selection is a range of rows and a range of time; a plan cuts a cell into requests of bounded uncompressed size, series by series in the
 * order of d->rows, samples oldest first. The cut depends on nothing but the content and the limits, so a repeated cell is cut alike.
 */
#ifndef MUSTER_SINK_RW_ENCODE_H
#define MUSTER_SINK_RW_ENCODE_H

#include "model/series.h"

struct rw_part {
	size_t row0, row1;       /* rows [row0, row1) */
	int64_t from_ms, to_ms;  /* samples with from <= ts < to */
	uint64_t n_samples;
	size_t size;             /* bytes that its request takes at the most; 0: unknown */
	bool last_only;          /* of each row only its last sample in that range */
};
#define RW_MAX_BODY 900000u /* uncompressed; AMP takes 1 MB, not adjustable */

/* ERR_DATA if a row's times run backwards, stand still or overflow. The functions below want a checked cell. */
int rw_check(const struct cell_data *d, struct err *err);
/* Appends the WriteRequest of a part to out (uncompressed); counts its samples. A part without samples encodes to nothing. */
int rw_encode(const struct cell_data *d, struct rw_part *part, struct buf *out, struct err *err);
/* Cut: the largest next part from *row on (time range given) whose body stays under max_body; false when no rows are left. A single row larger than
 * max_body is cut by time. State is kept in *row and *next_ms (start with 0 and from_ms). Parts without samples are passed over. */
bool rw_cut(const struct cell_data *d, int64_t from_ms, int64_t to_ms, size_t max_body, size_t *row, int64_t *next_ms, struct rw_part *part);

/* The values [*i0, *i1) of a row that lie in a range of time. */
void rw_span(const struct sample_row *r, int64_t from_ms, int64_t to_ms, size_t *i0, size_t *i1);
/* The samples (finite values) of a part. */
uint64_t rw_count(const struct cell_data *d, const struct rw_part *part);
/* The oldest time >= from_ms of any sample; false if there is none. */
bool rw_oldest(const struct cell_data *d, int64_t from_ms, int64_t *ret_ms);

#endif
