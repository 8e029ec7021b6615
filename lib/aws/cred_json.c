/*
 * Keys as JSON, read in place: a tree would leave copies of them behind that nobody wipes.
 */
#include <stdio.h>

#include "aws/cred_sources.h"
#include "base/cleanup.h"
#include "base/timefmt.h"
#include "fmt/json_scan.h"

#define TEXT_MAX (64u << 10)

/* Where the value of a member begins; false if there is none, or the document is no object. */
static bool
find(struct sv doc, const char *name, struct json_scan *ret)
{
	struct json_scan s = JSON_SCAN_INIT(doc);
	bool found = false, end = false;
	struct sv member;

	if (!json_scan_ch(&s, '{'))
		return false;
	for (bool first = true; json_scan_member(&s, first, &member, &end) && !end; first = false) {
		if (sv_eq(member, sv_of(name))) {
			*ret = s;
			found = true;
		}
		if (!json_scan_skip(&s))
			return false;
	}
	return found && end && json_scan_end(&s);
}

bool
cred_json_str(struct sv doc, const char *name, struct buf *out)
{
	struct json_scan at;
	struct sv raw;

	if (!find(doc, name, &at) || !json_scan_str(&at, &raw))
		return false;
	(void)buf_reserve(out, raw.n);
	json_unescape(out, raw);
	return buf_ok(out);
}

bool
cred_json_num(struct sv doc, const char *name, double *ret)
{
	struct json_scan at;

	return find(doc, name, &at) && json_scan_num(&at, ret);
}

static int
read_secret(struct sv doc, const char *name, struct secret *ret, struct err *err)
{
	struct buf text = BUF_INIT(TEXT_MAX);
	int r = 0;

	if (cred_json_str(doc, name, &text))
		r = secret_set(ret, buf_view(&text), err);
	else if (text.no_memory) /* that is not to say that there is none */
		r = err_nomem(err);
	secret_wipe_buf(&text);
	return r;
}

static int
read_text(struct sv doc, const char *name, char *to, size_t size, struct err *err)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT(TEXT_MAX);

	if (!cred_json_str(doc, name, &text))
		return text.no_memory ? err_nomem(err) : 0;
	if (text.n >= size || strlen(buf_cstr(&text)) != text.n)
		return err_set(err, ERR_DATA, "the answer's %s is of an unknown form", name);
	(void)snprintf(to, size, "%s", buf_cstr(&text));
	return 0;
}

int
cred_json_keys(struct sv doc, const char *token, struct cred *ret, struct err *err)
{
	char expires[TIME_TEXT_MAX] = "";

	if (read_text(doc, "AccessKeyId", ret->key_id, sizeof(ret->key_id), err) < 0 ||
	    read_secret(doc, "SecretAccessKey", &ret->secret, err) < 0 ||
	    read_secret(doc, token, &ret->token, err) < 0 ||
	    read_text(doc, "Expiration", expires, sizeof(expires), err) < 0 ||
	    read_text(doc, "AccountId", ret->account, sizeof(ret->account), err) < 0)
		return -1;
	if (!ret->key_id[0] || !ret->secret.n)
		return err_set(err, ERR_DATA,
			       "the answer is no JSON object with AccessKeyId and SecretAccessKey");
	if (expires[0] && !time_parse_iso(sv_of(expires), &ret->expires_wall_ms))
		return err_set(err, ERR_DATA, "the answer's Expiration is no ISO 8601 time");
	return 0;
}
