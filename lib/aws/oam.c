/* Observability Access Manager in REST-JSON; see oam.h. */
#include "aws/oam.h"

#include "base/cleanup.h"
#include "fmt/json.h"

#define SINKS_MAX 100  /* sinks on a page (service limit) */
#define LINKS_MAX 1000 /* links on a page (service limit) */

static int
finish(const char *operation, const char *path, int most, const char *token, struct aws_call *call,
       struct err *err)
{
	call->service = "oam";
	call->operation = operation;
	call->path = path;
	call->proto = PROTO_AWS_JSON;
	buf_fmt(&call->body, "\"MaxResults\":%d", most);
	if (token) {
		buf_str(&call->body, ",\"NextToken\":");
		(void)json_escape(&call->body, sv_of(token));
	}
	buf_ch(&call->body, '}');
	return buf_check(&call->body, operation, err);
}

int
oam_sinks_call(const char *token, struct aws_call *call, struct err *err)
{
	buf_ch(&call->body, '{');
	return finish("ListSinks", "/ListSinks", SINKS_MAX, token, call, err);
}

int
oam_links_call(const char *sink, const char *token, struct aws_call *call, struct err *err)
{
	buf_str(&call->body, "{\"SinkIdentifier\":");
	(void)json_escape(&call->body, sv_of(sink));
	buf_ch(&call->body, ',');
	return finish("ListAttachedLinks", "/ListAttachedLinks", LINKS_MAX, token, call, err);
}

static int
copy(struct sv s, struct arena *a, const char **ret, struct err *err)
{
	*ret = arena_strdup(a, s);
	return *ret ? 0 : err_nomem(err);
}

static int
read_items(struct sv body, const char *what, json_t **ret_doc, json_t **ret_items, struct arena *a,
	   const char **ret_token, struct err *err)
{
	const char *token = NULL;

	if (json_parse(body, what, ret_doc, err) ||
	    json_get_arr(*ret_doc, "", "Items", true, ret_items, err) ||
	    json_get_str(*ret_doc, "", "NextToken", false, &token, err))
		return -1;
	return token && *token ? copy(sv_of(token), a, ret_token, err) : 0;
}

int
oam_sinks_read(struct sv body, struct arena *a, struct oam_sinks *ret, struct err *err)
{
	CLEANUP(json_decrefp) json_t *doc = NULL;
	json_t *items;

	*ret = (struct oam_sinks){0};
	if (read_items(body, "ListSinks answer", &doc, &items, a, &ret->token, err))
		return -1;
	ret->arns = arena_array(a, json_array_size(items), sizeof(*ret->arns));
	if (!ret->arns)
		return err_nomem(err);
	for (; ret->n < json_array_size(items); ret->n++) {
		const char *arn = "";
		char path[48];

		(void)snprintf(path, sizeof(path), "/Items/%zu", ret->n);
		if (json_get_str(json_array_get(items, ret->n), path, "Arn", true, &arn, err) ||
		    copy(sv_of(arn), a, &ret->arns[ret->n], err))
			return -1;
	}
	return 0;
}

/* arn:aws:oam:REGION:ACCOUNT:link/ID; empty if it is none. */
static struct sv
account_of(const char *arn)
{
	const char *p = arn;

	for (int colons = 0; *p && colons < 4; p++)
		colons += *p == ':';
	return (struct sv){p, strspn(p, "0123456789") == 12 && p[12] == ':' ? 12 : 0};
}

static int
read_types(const json_t *j, const char *path, struct oam_link *to, struct err *err)
{
	json_t *list = NULL;

	if (json_get_arr(j, path, "ResourceTypes", true, &list, err))
		return -1;
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *type = json_string_value(json_array_get(list, i));

		to->metrics = to->metrics || (type && !strcmp(type, "AWS::CloudWatch::Metric"));
		to->logs = to->logs || (type && !strcmp(type, "AWS::Logs::LogGroup"));
	}
	return 0;
}

static int
read_link(const json_t *j, size_t at, struct arena *a, struct oam_link *to, struct err *err)
{
	const char *arn = "", *label = "";
	struct sv account;
	char path[48];

	(void)snprintf(path, sizeof(path), "/Items/%zu", at);
	if (json_get_str(j, path, "LinkArn", true, &arn, err) ||
	    json_get_str(j, path, "Label", false, &label, err) || read_types(j, path, to, err))
		return -1;
	account = account_of(arn);
	if (!account.n)
		return err_set(err, ERR_DATA, "%s/LinkArn: '%.80s' names no account", path, arn);
	return copy(account, a, &to->account, err) || copy(sv_of(label), a, &to->label, err) ? -1
											     : 0;
}

int
oam_links_read(struct sv body, struct arena *a, struct oam_links *ret, struct err *err)
{
	CLEANUP(json_decrefp) json_t *doc = NULL;
	json_t *items;

	*ret = (struct oam_links){0};
	if (read_items(body, "ListAttachedLinks answer", &doc, &items, a, &ret->token, err))
		return -1;
	ret->v = arena_array(a, json_array_size(items), sizeof(*ret->v));
	if (!ret->v)
		return err_nomem(err);
	for (; ret->n < json_array_size(items); ret->n++)
		if (read_link(json_array_get(items, ret->n), ret->n, a, &ret->v[ret->n], err))
			return -1;
	return 0;
}
