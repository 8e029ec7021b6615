/* AWS Organizations in AWS JSON 1.1; see organizations.h. */
#include "aws/organizations.h"

#include "base/cleanup.h"
#include "fmt/json.h"

#define TARGET "AWSOrganizationsV20161128."

/* Requests */

/* The end of a body that has a member already. */
static int
finish(const char *operation, const char *target, const char *token, struct aws_call *call,
       struct err *err)
{
	call->service = "organizations";
	call->operation = operation;
	call->target = target;
	call->proto = PROTO_AWS_JSON;
	if (token) {
		buf_str(&call->body, ",\"NextToken\":");
		(void)json_escape(&call->body, sv_of(token));
	}
	buf_ch(&call->body, '}');
	return buf_check(&call->body, operation, err);
}

static void
add_id(struct aws_call *call, const char *key, const char *id)
{
	buf_fmt(&call->body, "{\"%s\":", key);
	(void)json_escape(&call->body, sv_of(id));
}

int
org_accounts_call(const char *parent, const char *token, struct aws_call *call, struct err *err)
{
	if (!parent) {
		buf_fmt(&call->body, "{\"MaxResults\":%d", ORG_PAGE_MAX);
		return finish("ListAccounts", TARGET "ListAccounts", token, call, err);
	}
	add_id(call, "ParentId", parent);
	buf_fmt(&call->body, ",\"MaxResults\":%d", ORG_PAGE_MAX);
	return finish("ListAccountsForParent", TARGET "ListAccountsForParent", token, call, err);
}

int
org_units_call(const char *parent, const char *token, struct aws_call *call, struct err *err)
{
	add_id(call, "ParentId", parent);
	buf_fmt(&call->body, ",\"MaxResults\":%d", ORG_PAGE_MAX);
	return finish("ListOrganizationalUnitsForParent", TARGET "ListOrganizationalUnitsForParent",
		      token, call, err);
}

int
org_tags_call(const char *account, const char *token, struct aws_call *call, struct err *err)
{
	add_id(call, "ResourceId", account);
	return finish("ListTagsForResource", TARGET "ListTagsForResource", token, call, err);
}

/* Answers */

static int
copy(const char *s, struct arena *a, const char **ret, struct err *err)
{
	*ret = arena_strdup(a, sv_of(s));
	return *ret ? 0 : err_nomem(err);
}

/* The list of an answer, with as many zeroed elements in the arena, and the token. */
static int
read_page(const json_t *doc, const char *key, size_t size, struct arena *a, json_t **ret_list,
	  void **ret_v, const char **ret_token, struct err *err)
{
	const char *token = NULL;

	if (json_get_arr(doc, "", key, true, ret_list, err) ||
	    json_get_str(doc, "", "NextToken", false, &token, err))
		return -1;
	*ret_v = arena_array(a, json_array_size(*ret_list), size);
	if (!*ret_v)
		return err_nomem(err);
	return token && *token ? copy(token, a, ret_token, err) : 0;
}

static int
read_paths(const json_t *j, const char *path, struct arena *a, struct org_account *to,
	   struct err *err)
{
	json_t *list = NULL;

	if (json_get_arr(j, path, "Paths", false, &list, err))
		return -1;
	if (!list)
		return 0;
	to->paths = arena_array(a, json_array_size(list), sizeof(*to->paths));
	if (!to->paths)
		return err_nomem(err);
	for (; to->n_paths < json_array_size(list); to->n_paths++) {
		const char *text = json_string_value(json_array_get(list, to->n_paths));

		if (!text)
			return err_set(err, ERR_DATA, "%s/Paths/%zu: expected a string", path,
				       to->n_paths);
		if (copy(text, a, &to->paths[to->n_paths], err))
			return -1;
	}
	return 0;
}

static bool
is_account_id(const char *s)
{
	size_t n = strspn(s, "0123456789");

	return n == 12 && !s[n];
}

static int
read_account(const json_t *j, size_t at, struct arena *a, struct org_account *to, struct err *err)
{
	const char *id = "", *name = "", *state = NULL;
	char path[48];

	(void)snprintf(path, sizeof(path), "/Accounts/%zu", at);
	if (json_get_str(j, path, "Id", true, &id, err) ||
	    json_get_str(j, path, "Name", false, &name, err) ||
	    json_get_str(j, path, "State", false, &state, err) ||
	    (!state && json_get_str(j, path, "Status", true, &state, err)))
		return -1;
	if (!is_account_id(id))
		return err_set(err, ERR_DATA, "%s/Id: '%.40s' is no account number", path, id);
	to->active = !strcmp(state, "ACTIVE");
	return copy(id, a, &to->id, err) || copy(name, a, &to->name, err) ||
		       read_paths(j, path, a, to, err)
		   ? -1
		   : 0;
}

int
org_accounts_read(struct sv body, struct arena *a, struct org_accounts *ret, struct err *err)
{
	CLEANUP(json_decrefp) json_t *doc = NULL;
	json_t *list;
	void *v;

	*ret = (struct org_accounts){0};
	if (json_parse(body, "ListAccounts answer", &doc, err) ||
	    read_page(doc, "Accounts", sizeof(*ret->v), a, &list, &v, &ret->token, err))
		return -1;
	ret->v = v;
	for (; ret->n < json_array_size(list); ret->n++)
		if (read_account(json_array_get(list, ret->n), ret->n, a, &ret->v[ret->n], err))
			return -1;
	return 0;
}

int
org_units_read(struct sv body, struct arena *a, struct org_units *ret, struct err *err)
{
	CLEANUP(json_decrefp) json_t *doc = NULL;
	json_t *list;
	void *v;

	*ret = (struct org_units){0};
	if (json_parse(body, "ListOrganizationalUnitsForParent answer", &doc, err) ||
	    read_page(doc, "OrganizationalUnits", sizeof(*ret->v), a, &list, &v, &ret->token, err))
		return -1;
	ret->v = v;
	for (; ret->n < json_array_size(list); ret->n++) {
		const char *id = "";
		char path[48];

		(void)snprintf(path, sizeof(path), "/OrganizationalUnits/%zu", ret->n);
		if (json_get_str(json_array_get(list, ret->n), path, "Id", true, &id, err) ||
		    copy(id, a, &ret->v[ret->n], err))
			return -1;
	}
	return 0;
}

int
org_tags_read(struct sv body, struct arena *a, struct org_tags *ret, struct err *err)
{
	CLEANUP(json_decrefp) json_t *doc = NULL;
	json_t *list;
	void *v;

	*ret = (struct org_tags){0};
	if (json_parse(body, "ListTagsForResource answer", &doc, err) ||
	    read_page(doc, "Tags", sizeof(*ret->v), a, &list, &v, &ret->token, err))
		return -1;
	ret->v = v;
	for (; ret->n < json_array_size(list); ret->n++) {
		const char *key = "", *value = "";
		char path[48];

		(void)snprintf(path, sizeof(path), "/Tags/%zu", ret->n);
		if (json_get_str(json_array_get(list, ret->n), path, "Key", true, &key, err) ||
		    json_get_str(json_array_get(list, ret->n), path, "Value", true, &value, err) ||
		    copy(key, a, &ret->v[ret->n].key, err) ||
		    copy(value, a, &ret->v[ret->n].value, err))
			return -1;
	}
	return 0;
}
