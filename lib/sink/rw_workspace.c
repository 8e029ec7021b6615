/* The workspace's own configuration; see rw_workspace.h. */
#include "sink/rw_workspace.h"

#include "aws/endpoint.h"
#include "base/cleanup.h"
#include "fmt/json.h"
#include "fmt/uri.h"

#define ANSWER_MAX	((size_t)256 << 10)
#define ORDER_DEFAULT_S 60 /* of a workspace that says nothing (its configuration page) */

bool
rw_workspace_of(const char *url, char id[RW_WORKSPACE_MAX])
{
	struct sv head = SV("/workspaces/");
	const char *slash;
	struct uri u;
	size_t n;

	if (uri_split(sv_of(url), &u, NULL) < 0 || !sv_starts(u.path, head))
		return false;
	slash = memchr(u.path.p + head.n, '/', u.path.n - head.n);
	n = slash ? (size_t)(slash - u.path.p) - head.n : u.path.n - head.n;
	if (n == 0 || n >= RW_WORKSPACE_MAX)
		return false;
	memcpy(id, u.path.p + head.n, n);
	id[n] = '\0';
	return true;
}

static int
read_order(struct sv body, int64_t *ret_ms, struct err *err)
{
	CLEANUP(json_decrefp) json_t *root = NULL;
	json_t *conf = NULL;
	int64_t seconds = ORDER_DEFAULT_S;

	if (json_parse(body, "the workspace's configuration", &root, err) < 0 ||
	    json_get_obj(root, "", "workspaceConfiguration", true, &conf, err) < 0 ||
	    json_get_i64(conf, "/workspaceConfiguration", "outOfOrderTimeWindowInSeconds", false,
			 &seconds, err) < 0)
		return -1;
	if (seconds < 0 || seconds > INT64_MAX / 1000)
		return err_set(err, ERR_DATA, "an out-of-order window of %lld s",
			       (long long)seconds);
	*ret_ms = seconds * 1000;
	return 0;
}

int
rw_workspace_order(struct transport *t, struct cred_source *creds, const char *region,
		   const char *id, int64_t *ret_ms, struct err *err)
{
	CLEANUP(buf_done) struct buf url = BUF_INIT(4096);
	CLEANUP(resp_done) struct http_resp resp;
	struct http_req req = {
	    .method = "GET",
	    .limits = {.max_body = ANSWER_MAX},
	    .service = "aps",
	    .operation = "DescribeWorkspaceConfiguration",
	    .account = "",
	    .region = region,
	    .auth = AUTH_SIGV4,
	    .creds = creds,
	    .proto = PROTO_AWS_JSON,
	};

	resp_init(&resp, ANSWER_MAX);
	if (endpoint_url("aps", region, &url, err) < 0)
		return -1;
	buf_str(&url, "/workspaces/");
	uri_encode(&url, sv_of(id), false);
	buf_str(&url, "/configuration");
	if (buf_check(&url, "URL", err) < 0)
		return -1;
	req.url = buf_cstr(&url);
	if (transport_send(t, &req, &resp, err) < 0)
		return -1;
	return read_order(buf_view(&resp.body), ret_ms, err);
}
