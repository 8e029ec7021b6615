/*
 * Checks of single values that stand in more than one section: URLs, regions, accounts, roles. What
 * AWS would refuse is refused here, with its place, before anything is called.
 */
#include "run/config_read.h"

#include "aws/endpoint.h"
#include "fmt/uri.h"

#define ROLE_MAX 512

bool
config_check_region(struct config_read *r, const struct conf_node *node, const char *region)
{
	if (region_valid(sv_of(region)))
		return true;
	conf_fault(r->f, node, "'%.60s' is not a region such as eu-west-1", region);
	return false;
}

bool
config_is_account(struct sv s)
{
	if (s.n != 12)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
	return true;
}

static bool
is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool
config_is_role_name(const char *s)
{
	size_t n = strlen(s);

	if (n == 0 || n > ROLE_MAX || s[0] == '/' || s[n - 1] == '/')
		return false;
	for (size_t i = 0; i < n; i++)
		if (!is_alnum(s[i]) && !strchr("_+=,.@-/", s[i]))
			return false;
	return true;
}

/* Cuts the text before the next ':' off *rest; all of it if there is none. */
static struct sv
next_field(const char **rest)
{
	size_t n = strcspn(*rest, ":");
	struct sv field = {*rest, n};

	*rest += n + ((*rest)[n] == ':');
	return field;
}

bool
config_split_role_arn(const char *arn, struct sv *ret_account)
{
	const char *rest = arn;
	struct sv arn_word = next_field(&rest), partition = next_field(&rest);
	struct sv service = next_field(&rest), region = next_field(&rest);

	*ret_account = next_field(&rest);
	return sv_eq(arn_word, SV("arn")) && sv_starts(partition, SV("aws")) &&
	       sv_eq(service, SV("iam")) && region.n == 0 && config_is_account(*ret_account) &&
	       sv_starts(sv_of(rest), SV("role/")) && config_is_role_name(rest + 5);
}

/* Bucket names: 3 to 63 of a-z, 0-9, '.' and '-', a letter or digit first and last. */
static bool
bucket_ok(struct sv s)
{
	if (s.n < 3 || s.n > 63)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		bool inner = i > 0 && i < s.n - 1 && (s.p[i] == '-' || s.p[i] == '.');

		if (!(s.p[i] >= 'a' && s.p[i] <= 'z') && !(s.p[i] >= '0' && s.p[i] <= '9') &&
		    !inner)
			return false;
	}
	return true;
}

static bool
printable(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s <= ' ' || *s == 0x7f)
			return false;
	return true;
}

/* As the store will see it: s3://bucket[/prefix[/]]. */
static bool
s3_url_ok(const char *url)
{
	size_t bucket = strcspn(url + 5, "/");
	const char *prefix = url + 5 + bucket;

	return printable(url) && bucket_ok((struct sv){url + 5, bucket}) &&
	       (prefix[0] == '\0' || store_prefix_valid(prefix + 1));
}

bool
config_check_store_url(struct config_read *r, const struct conf_node *node, const char *url)
{
	if (!strncmp(url, "s3://", 5)) {
		if (s3_url_ok(url))
			return true;
		conf_fault(r->f, node, "not a URL such as s3://bucket/prefix");
		return false;
	}
	if (!strncmp(url, "file://", 7)) {
		if (url[7] != '/' || url[8] == '\0')
			conf_fault(r->f, node,
				   "a file URL has three slashes and a whole path: file:///dir");
		else if (strpbrk(url, "?#"))
			conf_fault(r->f, node,
				   "'?' and '#' in a file URL are written %%3F and %%23");
		else
			return true;
		return false;
	}
	conf_fault(r->f, node, "should be s3://bucket/prefix or file:///dir");
	return false;
}

bool
config_check_http_url(struct config_read *r, const struct conf_node *node, const char *url)
{
	struct err err = {0};
	struct uri u;

	if (!uri_split(sv_of(url), &u, &err))
		return true;
	conf_fault_err(r->f, node, &err);
	return false;
}

void
config_unknown(struct config_read *r, const struct conf_node *node, const char *what,
	       const char *word, const char *const *known, size_t n)
{
	const char *near = conf_nearest(word, known, n);
	struct buf list = BUF_INIT(1 << 16);

	for (size_t i = 0; i < n && i < 20; i++)
		buf_fmt(&list, "%s%s", i ? ", " : "", known[i]);
	if (n > 20)
		buf_str(&list, ", ...");
	if (near)
		conf_fault(r->f, node, "unknown %s '%.60s' (did you mean %s?)", what, word, near);
	else
		conf_fault(r->f, node, "unknown %s '%.60s' (known: %s)", what, word,
			   n ? buf_cstr(&list) : "none");
	buf_done(&list);
}

void *
config_array(struct config_read *r, size_t n, size_t size)
{
	void *v = arena_array(r->a, n ? n : 1, size);

	if (!v)
		conf_nomem(r->f);
	return v;
}

const struct conf_node *
config_word_node(const struct conf_node *list, const struct conf_strings *words, size_t i)
{
	const struct conf_node *n = conf_first(list);
	size_t count = 0;

	for (const struct conf_node *c = n; c; c = conf_next(list, c))
		count++;
	if (count != words->n)
		return list;
	while (i-- && n)
		n = conf_next(list, n);
	return n ? n : list;
}
