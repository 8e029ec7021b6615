/* A protocol of CloudWatch's as a row of functions; only for lib/aws/cloudwatch*.c. */
#ifndef MUSTER_AWS_CLOUDWATCH_CODEC_H
#define MUSTER_AWS_CLOUDWATCH_CODEC_H

#include "aws/cloudwatch.h"

struct cw_codec {
	enum http_proto proto;
	const char *list_target, *data_target; /* X-Amz-Target, NULL: none */
	const char *list_path, *data_path;     /* NULL: "/" */
	long max_datapoints;		       /* what is asked for, at most CW_DATAPOINTS_MAX */
	void (*build_list)(const struct cw_list_req *q, struct buf *out);
	void (*build_data)(const struct cw_data_req *q, long max_datapoints, struct buf *out);
	int (*read_list)(struct sv body, struct arena *a, struct cw_list_page *ret,
			 struct err *err);
	int (*read_data)(struct sv body, struct arena *a, struct cw_data_page *ret,
			 struct err *err);
};

extern const struct cw_codec cw_codec_cbor, cw_codec_json, cw_codec_query;

/* What readers share. */
size_t cw_id_parse(const char *id);
enum cw_status cw_status_parse(const char *text);
void cw_dims_sort(struct cw_dim *dims, size_t n);
/* "Code: text" in the arena. NULL without memory. */
const char *cw_message(struct arena *a, const char *code, const char *text);
/* A copy in the arena, NULL stays NULL and "" becomes NULL; -1 without memory. */
int cw_token_copy(struct arena *a, const char *token, const char **ret, struct err *err);
const char *cw_strdup(struct arena *a, const char *s);

#endif
