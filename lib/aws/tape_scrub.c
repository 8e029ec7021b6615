/*
 * Replacing names. The rules are by the place of a text, not by lists of names: what a service may
 * answer is known, what tenants call things is not. So a name in an unforeseen spelling is replaced
 * like any other. And the replacements sort as the words did: a replayed run sorts what it found,
 * and must ask for it in the order in which it was asked for when it was recorded.
 */
#include "aws/tape_scrub.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "base/map.h"
#include "base/num.h"
#include "fmt/json.h"
#include "fmt/uri.h"

#define ACCOUNT_DIGITS 12
#define SORTED_CHARS   10 /* so many characters of a replacement are distinct, and in order */
#define MAX_WORD       32
#define MAX_TEXT       ((size_t)64 << 20)
#define MAX_WORDS      4000000

struct word {
	char as[MAX_WORD + 1];
	const char *text; /* the map's key, for sorting */
	size_t n;
};

struct scrub {
	unsigned char key[32];
	bool sealed;
	struct map words; /* of struct word */
	size_t n_words;
	struct map accounts; /* ids that stood in texts; their values say nothing */
	struct err failed;   /* while collecting */
};

int
scrub_new(struct scrub **ret, struct err *err)
{
	struct scrub *s = calloc(1, sizeof(*s));

	if (!s)
		return err_nomem(err);
	if (random_bytes(s->key, sizeof(s->key), err)) {
		free(s);
		return -1;
	}
	*ret = s;
	return 0;
}

void
scrub_free(struct scrub *s)
{
	if (!s)
		return;
	map_done(&s->words, free);
	map_done(&s->accounts, NULL);
	explicit_bzero(s->key, sizeof(s->key));
	free(s);
}

/* ---- words ---- */

static void
collect_word(struct scrub *s, struct sv word)
{
	struct word *w;

	if (s->failed.kind != ERR_NONE || map_get(&s->words, word))
		return;
	w = s->n_words < MAX_WORDS ? calloc(1, sizeof(*w)) : NULL;
	if (!w || map_put(&s->words, word, w, NULL, &s->failed)) {
		free(w);
		(void)err_nomem(&s->failed);
		return;
	}
	s->n_words++;
}

static void
collect_account(struct scrub *s, struct sv digits)
{
	if (s->failed.kind == ERR_NONE && !map_get(&s->accounts, digits))
		(void)map_put(&s->accounts, digits, s, NULL, &s->failed);
}

struct list {
	struct word **v;
	size_t n;
};

static void
list_word(struct sv key, void *value, void *arg)
{
	struct list *l = arg;
	struct word *w = value;

	w->text = key.p;
	w->n = key.n;
	l->v[l->n++] = w;
}

static int
by_text(const void *pa, const void *pb)
{
	const struct word *a = *(struct word *const *)pa, *b = *(struct word *const *)pb;

	return sv_cmp((struct sv){a->text, a->n}, (struct sv){b->text, b->n});
}

static int
by_bytes(const void *a, const void *b)
{
	return memcmp(a, b, MAX_WORD);
}

/* n distinct replacements, sorted. */
static int
draw(unsigned char (*drawn)[MAX_WORD], size_t n, struct err *err)
{
	bool twice = true;

	while (twice) {
		twice = false;
		if (random_bytes(drawn, n * MAX_WORD, err))
			return -1;
		for (size_t i = 0; i < n; i++)
			for (size_t k = 0; k < MAX_WORD; k++)
				drawn[i][k] = (unsigned char)('a' + drawn[i][k] % 26);
		qsort(drawn, n, MAX_WORD, by_bytes);
		for (size_t i = 1; i < n; i++)
			twice = twice || !memcmp(drawn[i - 1], drawn[i], SORTED_CHARS);
	}
	return 0;
}

static size_t
length_class(size_t n)
{
	return n <= SORTED_CHARS ? SORTED_CHARS : n <= 18 ? 18 : MAX_WORD;
}

int
scrub_seal(struct scrub *s, struct err *err)
{
	struct list list = {calloc(s->n_words + 1, sizeof(struct word *)), 0};
	unsigned char(*drawn)[MAX_WORD] = calloc(s->n_words + 1, MAX_WORD);
	int r = 0;

	if (s->failed.kind != ERR_NONE) {
		*err = s->failed;
		r = -1;
	} else if (!list.v || !drawn) {
		r = err_nomem(err);
	} else {
		map_each(&s->words, list_word, &list);
		qsort(list.v, list.n, sizeof(struct word *), by_text);
		r = draw(drawn, list.n, err);
	}
	for (size_t i = 0; !r && i < list.n; i++)
		memcpy(list.v[i]->as, drawn[i], length_class(list.v[i]->n));
	s->sealed = !r;
	free(list.v);
	free(drawn);
	return r;
}

static void
add_word(struct scrub *s, struct sv word, struct buf *out)
{
	const struct word *w;

	if (!s->sealed) {
		collect_word(s, word);
		buf_sv(out, word);
		return;
	}
	w = map_get(&s->words, word);
	/* Whatever was not seen before is not let through. */
	buf_str(out, w ? w->as : "unknown");
}

static void
add_account(const struct scrub *s, struct sv digits, struct buf *out)
{
	unsigned char bytes[SHA256_LEN];

	hmac_sha256((struct sv){(const char *)s->key, sizeof(s->key)}, digits, bytes);
	for (size_t i = 0; i < ACCOUNT_DIGITS; i++)
		buf_ch(out, (char)('0' + (i ? bytes[i] % 10 : 1 + bytes[i] % 9)));
}

/* The run of letters and digits at the beginning. */
static size_t
word_length(struct sv in, bool *ret_number)
{
	size_t n = 0;

	*ret_number = true;
	while (n < in.n && isalnum((unsigned char)in.p[n])) {
		*ret_number = *ret_number && isdigit((unsigned char)in.p[n]);
		n++;
	}
	return n;
}

static void
add_run(struct scrub *s, struct sv run, bool number, bool words, struct buf *out)
{
	bool account = number && run.n == ACCOUNT_DIGITS;

	if (account && !s->sealed)
		collect_account(s, run);
	if (account && s->sealed)
		add_account(s, run, out);
	else if (number || !words)
		buf_sv(out, run);
	else
		add_word(s, run, out);
}

static void
scrub_runs(struct scrub *s, struct sv in, bool words, struct buf *out)
{
	while (in.n) {
		bool number;
		size_t n = word_length(in, &number);

		if (n)
			add_run(s, (struct sv){in.p, n}, number, words, out);
		else
			buf_ch(out, in.p[n++]);
		in.p += n;
		in.n -= n;
	}
}

void
scrub_words(struct scrub *s, struct sv in, struct buf *out)
{
	scrub_runs(s, in, true, out);
}

/* Up to what ends a name inside an ARN or a sentence. */
static size_t
name_length(struct sv in)
{
	size_t n = 0;

	while (n < in.n && !strchr(" \t\r\n\"'<>,;&)", in.p[n]))
		n++;
	return n;
}

/* What stands in ARNs before the name of something. */
static size_t
arn_part(struct sv in)
{
	static const char *const parts[] = {
	    ":role/",	 ":user/",    ":group/", ":assumed-role/", ":log-group:",   ":log-stream:",
	    ":cluster/", ":service/", ":task/",	 ":loadbalancer/", ":targetgroup/", ":function:",
	    ":alarm:",	 ":account/", ":ou/",	 ":root/",
	};

	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		if (sv_starts(in, sv_of(parts[i])))
			return strlen(parts[i]);
	return 0;
}

void
scrub_text(struct scrub *s, struct sv in, struct buf *out)
{
	while (in.n) {
		size_t at = 0, part = 0, name;

		while (at < in.n && !(part = arn_part((struct sv){in.p + at, in.n - at})))
			at++;
		scrub_runs(s, (struct sv){in.p, at + part}, false, out);
		in.p += at + part;
		in.n -= at + part;
		if (!part)
			break;
		name = name_length(in);
		scrub_words(s, (struct sv){in.p, name}, out);
		in.p += name;
		in.n -= name;
	}
}

/* ---- JSON ---- */

/* Members whose text is a name or a message of somebody's. Everything else only loses its account
 * ids. */
static const char *const named[] = {
    "Value",
    "Label",
    "Message",
    "message",
    "logGroupName",
    "logGroupNames",
    "logGroupNamePrefix",
    "logGroupNamePattern",
    "logStreamName",
    "logStreamNames",
    "logStreamNamePrefix",
    "roleName",
    "AlarmName",
    "AlarmDescription",
    "Email",
    "ParentId",
    "Paths",
    "StateReason",
    "AlarmRule",
    "StringValue",
    "HttpURL",
    "ClientIp",
    "UserAgent",
    "UserName",
    "Names",
};

/* Members whose text is JSON. */
static const char *const documents[] = {"Document", "HistoryData", "StateReasonData"};

/* What stays in those: ids, times, and words of AWS's. All else is somebody's. */
static const char *const kept[] = {
    "id",	 "trace_id",  "parent_id", "span_id",	 "cause",      "namespace", "origin",
    "method",	 "operation", "region",	   "version",	 "stateValue", "statistic", "unit",
    "startDate", "queryDate", "timestamp", "start_time", "end_time",
};

/* Names and ids of what has an ARN beside them (accounts, units, sinks), and names of services in
 * traces. Elsewhere they are those of dimensions and of queries, which stay. */
static bool
names_resource(const json_t *parent, const char *key)
{
	if (json_object_get(parent, "Names") || json_object_get(parent, "EntityPath") ||
	    json_object_get(parent, "Exceptions"))
		return !strcmp(key, "Name");
	return json_object_get(parent, "Arn") && (!strcmp(key, "Name") || !strcmp(key, "Id"));
}

static bool
is_among(const char *key, const char *const *list, size_t n)
{
	for (size_t i = 0; key && i < n; i++)
		if (!strcmp(list[i], key))
			return true;
	return false;
}

static bool
is_named(const char *key)
{
	for (size_t i = 0; key && i < ARRAY_LEN(named); i++)
		if (!strcasecmp(named[i], key))
			return true;
	return false;
}

/* Times and the like in rows of log events: {"field": "@timestamp", "value": "..."} */
static bool
keeps_value(const json_t *parent, const char *key)
{
	static const char *const fields[] = {"@timestamp", "@ingestionTime"};
	const char *field = json_string_value(json_object_get(parent, "field"));

	for (size_t i = 0; field && !strcmp(key, "value") && i < ARRAY_LEN(fields); i++)
		if (!strcmp(fields[i], field))
			return true;
	return false;
}

static json_t *scrubbed(struct scrub *s, const json_t *parent, const char *key, json_t *j,
			struct err *err);

static json_t *
scrubbed_text(struct scrub *s, bool words, json_t *j, struct err *err)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT(MAX_TEXT);
	struct sv in = {json_string_value(j), json_string_length(j)};
	json_t *ret;

	(words ? scrub_words : scrub_text)(s, in, &text);
	ret = json_stringn(text.p ? text.p : "", text.n);
	if (buf_check(&text, "text", err) || !ret) {
		json_decref(ret);
		(void)err_nomem(err);
		return NULL;
	}
	return ret;
}

/* What kind of segment or of change it is, in AWS's words. */
static bool
is_type(const char *key, const json_t *j)
{
	static const char *const types[] = {"subsegment", "Create", "Update", "Delete"};

	return key && !strcmp(key, "type") &&
	       is_among(json_string_value(j), types, ARRAY_LEN(types));
}

/* Where names are somebody's own: none below has a meaning. */
static bool
is_free(const char *key)
{
	return key && (!strcmp(key, "annotations") || !strcmp(key, "metadata"));
}

static json_t *scrubbed_part(struct scrub *s, const char *key, json_t *j, struct err *err);

static int
scrub_parts(struct scrub *s, const char *key, json_t *j, struct err *err)
{
	const char *name;
	json_t *value;
	void *tmp;

	for (size_t i = 0; i < json_array_size(j); i++) {
		json_t *v = scrubbed_part(s, key, json_array_get(j, i), err);

		if (!v || json_array_set_new(j, i, v))
			return err_nomem(err);
	}
	json_object_foreach_safe(j, tmp, name, value)
	{
		json_t *v = scrubbed_part(s, is_free(key) ? key : name, value, err);

		if (!v || json_object_set_new(j, name, v))
			return err_nomem(err);
	}
	return 0;
}

/* As long as an account's id, or one that begins with zeros and stood in a text, too. */
static bool
is_account(const struct scrub *s, int64_t n, const char *digits)
{
	return n >= 0 && strlen(digits) == ACCOUNT_DIGITS &&
	       (digits[0] != '0' || map_get(&s->accounts, sv_of(digits)));
}

/* An account's may be one without quotation marks. */
static json_t *
scrubbed_number(const struct scrub *s, json_t *j, struct err *err)
{
	CLEANUP(buf_done) struct buf to = BUF_INIT(64);
	int64_t n = json_integer_value(j);
	char digits[32];
	json_t *ret;

	(void)snprintf(digits, sizeof(digits), "%0*" PRId64, ACCOUNT_DIGITS, n);
	if (!s->sealed || !is_account(s, n, digits))
		return json_incref(j);
	add_account(s, sv_of(digits), &to);
	ret = num_i64(buf_view(&to), &n) ? json_integer(n) : NULL;
	if (!ret)
		(void)err_nomem(err);
	return ret;
}

/* Of a document: a new reference to what stands in j's place. */
static json_t *
scrubbed_part(struct scrub *s, const char *key, json_t *j, struct err *err)
{
	bool keeps = is_among(key, kept, ARRAY_LEN(kept));

	if (json_is_object(j) || json_is_array(j))
		return scrub_parts(s, key, j, err) ? NULL : json_incref(j);
	if (json_is_integer(j) && !keeps)
		return scrubbed_number(s, j, err);
	if (!json_is_string(j))
		return json_incref(j);
	return scrubbed_text(s, !keeps && !is_type(key, j), j, err);
}

static json_t *
scrubbed_document(struct scrub *s, json_t *j, struct err *err)
{
	CLEANUP(json_decrefp) json_t *doc = NULL;
	CLEANUP(buf_done) struct buf text = BUF_INIT(MAX_TEXT);
	struct err no_json = {0};
	json_t *ret;

	if (json_parse((struct sv){json_string_value(j), json_string_length(j)}, "", &doc,
		       &no_json))
		return scrubbed_text(s, true, j, err); /* one that was cut off */
	if (scrub_parts(s, NULL, doc, err) || json_dump(doc, false, &text, err))
		return NULL;
	ret = json_stringn(buf_cstr(&text), text.n);
	if (!ret)
		(void)err_nomem(err);
	return ret;
}

/* A sentence of AWS's in which what is somebody's stands in quotation marks. */
static json_t *
scrubbed_summary(struct scrub *s, json_t *j, struct err *err)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT(MAX_TEXT);
	struct sv in = {json_string_value(j), json_string_length(j)};
	json_t *ret;

	for (bool quoted = false; in.n; quoted = !quoted) {
		const char *end = memchr(in.p, '"', in.n);
		size_t n = end ? (size_t)(end - in.p) : in.n;

		(quoted ? scrub_words : scrub_text)(s, (struct sv){in.p, n}, &text);
		if (end)
			buf_ch(&text, '"');
		in = (struct sv){in.p + n + (end != NULL), in.n - n - (end != NULL)};
	}
	ret = buf_check(&text, "text", err) ? NULL : json_stringn(buf_cstr(&text), text.n);
	if (!ret)
		(void)err_nomem(err);
	return ret;
}

static json_t *
scrubbed_array(struct scrub *s, const char *key, json_t *j, struct err *err)
{
	for (size_t i = 0; i < json_array_size(j); i++) {
		json_t *v = scrubbed(s, NULL, key, json_array_get(j, i), err);

		if (!v || json_array_set_new(j, i, v))
			return NULL;
	}
	return json_incref(j);
}

int
scrub_json(struct scrub *s, json_t *j, struct err *err)
{
	const char *key;
	json_t *value;
	void *tmp;

	json_object_foreach_safe(j, tmp, key, value)
	{
		json_t *v = scrubbed(s, j, key, value, err);

		if (!v || json_object_set_new(j, key, v))
			return err_nomem(err);
	}
	return 0;
}

/* A new reference to what stands in j's place. */
static json_t *
scrubbed(struct scrub *s, const json_t *parent, const char *key, json_t *j, struct err *err)
{
	if (json_is_object(j))
		return scrub_json(s, j, err) ? NULL : json_incref(j);
	if (json_is_array(j))
		return scrubbed_array(s, key, j, err);
	if (!json_is_string(j))
		return json_incref(j);
	if (parent && names_resource(parent, key))
		return scrubbed_text(s, true, j, err);
	if (is_among(key, documents, ARRAY_LEN(documents)))
		return scrubbed_document(s, j, err);
	if (key && !strcmp(key, "HistorySummary"))
		return scrubbed_summary(s, j, err);
	return scrubbed_text(s, is_named(key) && !(parent && keeps_value(parent, key)), j, err);
}

/* ---- XML and forms ---- */

/* Texts between tags, by the tag before them. References such as &amp; stay as they are. */
static void
scrub_element(struct scrub *s, struct sv tag, struct sv text, struct buf *out)
{
	char name[64];
	size_t n = 0;

	while (n < tag.n && n < sizeof(name) - 1 && isalnum((unsigned char)tag.p[n])) {
		name[n] = tag.p[n];
		n++;
	}
	name[n] = '\0';
	if (!is_named(name)) {
		scrub_text(s, text, out);
		return;
	}
	while (text.n) {
		const char *amp = memchr(text.p, '&', text.n);
		size_t plain = amp ? (size_t)(amp - text.p) : text.n;
		const char *semi = amp ? memchr(amp, ';', text.n - plain) : NULL;
		size_t ref = semi ? (size_t)(semi - amp) + 1 : amp ? 1 : 0;

		scrub_words(s, (struct sv){text.p, plain}, out);
		buf_add(out, text.p + plain, ref);
		text.p += plain + ref;
		text.n -= plain + ref;
	}
}

static void
scrub_xml(struct scrub *s, struct sv in, struct buf *out)
{
	struct sv tag = {"", 0};

	while (in.n) {
		const char *lt = memchr(in.p, '<', in.n);
		size_t text = lt ? (size_t)(lt - in.p) : in.n;
		const char *gt = lt ? memchr(lt, '>', in.n - text) : NULL;
		size_t tag_n = gt ? (size_t)(gt - lt) + 1 : in.n - text;

		scrub_element(s, tag, (struct sv){in.p, text}, out);
		buf_add(out, in.p + text, tag_n);
		if (tag_n > 1)
			tag = (struct sv){in.p + text + 1, tag_n - 1};
		in.p += text + tag_n;
		in.n -= text + tag_n;
	}
}

static void
scrub_form(struct scrub *s, struct sv in, struct buf *out)
{
	while (in.n) {
		const char *amp = memchr(in.p, '&', in.n);
		size_t n = amp ? (size_t)(amp - in.p) : in.n;
		const char *eq = memchr(in.p, '=', n);
		struct sv name = {in.p, eq ? (size_t)(eq - in.p) : n};
		CLEANUP(buf_done) struct buf value = BUF_INIT(MAX_TEXT), to = BUF_INIT(MAX_TEXT);

		if (eq)
			(void)uri_decode(&value, (struct sv){eq + 1, n - name.n - 1}, true);
		(sv_ends(name, SV(".Value")) ? scrub_words : scrub_text)(s, buf_view(&value), &to);
		buf_sv(out, name);
		buf_ch(out, '=');
		uri_encode(out, buf_view(&to), false);
		if (amp)
			buf_ch(out, '&');
		in.p += n + (amp ? 1 : 0);
		in.n -= n + (amp ? 1 : 0);
	}
}

static int
scrub_body(struct scrub *s, struct sv in, struct buf *out, struct err *err)
{
	json_t *j = NULL;
	int r = 0;

	if (sv_starts(in, SV("{")) && !json_parse(in, "body", &j, NULL))
		r = scrub_json(s, j, err) || json_dump(j, true, out, err) ? -1 : 0;
	else if (sv_starts(in, SV("<")))
		scrub_xml(s, in, out);
	else if (sv_starts(in, SV("Action=")))
		scrub_form(s, in, out);
	else
		scrub_words(s, in, out);
	if (j)
		buf_ch(out, '\n');
	json_decref(j);
	return r ? r : buf_check(out, "body", err);
}

/* ---- exchanges ---- */

static int
scrub_buf(struct scrub *s, bool is_body, struct buf *b, struct err *err)
{
	struct buf out = BUF_INIT(MAX_TEXT);
	int r = 0;

	if (is_body)
		r = scrub_body(s, buf_view(b), &out, err);
	else
		scrub_text(s, buf_view(b), &out);
	if (!r)
		r = buf_check(&out, "text", err);
	if (!r && s->sealed) {
		struct buf old = *b;

		*b = out;
		out = old;
	}
	buf_done(&out);
	return r;
}

int
scrub_exchange(struct scrub *s, struct exchange *e, struct err *err)
{
	CLEANUP(buf_done) struct buf account = BUF_INIT(256);

	scrub_text(s, sv_of(e->account), &account);
	if (s->sealed)
		(void)snprintf(e->account, sizeof(e->account), "%s", buf_cstr(&account));
	if (scrub_buf(s, false, &e->path, err) || (e->body.n && scrub_buf(s, true, &e->body, err)))
		return -1;
	return e->answer.n ? scrub_buf(s, true, &e->answer, err) : 0;
}
