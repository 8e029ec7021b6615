/*
 * Environment references in values. One rule for every key, so that nobody has to remember where
 * they work: ${NAME}, ${NAME:-default} (also when NAME is empty, as in a shell) and $$; any other $
 * is a fault, because whoever wrote $NAME meant the variable. What comes so is most often a secret:
 * it stays in the arena alone.
 */
#include "fmt/conf_node.h"

#include <stdlib.h>

#include "base/secret.h"
#include "base/utf8.h"

#define EXPANDED_MAX ((size_t)1 << 20)

static conf_env_fn *find = NULL;
static void *find_arg;

void
conf_env_use(conf_env_fn *fn, void *arg)
{
	find = fn;
	find_arg = arg;
}

static bool
name_char(char c, bool first)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' ||
	       (!first && c >= '0' && c <= '9');
}

static void
add(struct buf *out, struct sv s)
{
	if (secret_reserve(out, s.n))
		buf_sv(out, s);
}

/* One reference, `p` behind "${"; appends its value. The rest behind "}", or NULL after a fault. */
static const char *
expand_one(const struct conf_node *node, const char *p, struct buf *out, struct conf_faults *f)
{
	const char *end = strchr(p, '}');
	struct sv deflt = {NULL, 0};
	const char *value;
	char name[128];
	size_t n = 0;

	while (name_char(p[n], n == 0))
		n++;
	if (end && p[n] == ':' && p[n + 1] == '-')
		deflt = (struct sv){p + n + 2, (size_t)(end - (p + n + 2))};
	if (!end || n == 0 || n >= sizeof(name) || (!deflt.p && p[n] != '}')) {
		conf_fault(f, node,
			   "a reference to the environment is written ${NAME} or "
			   "${NAME:-default}; a plain $ as $$");
		return NULL;
	}
	memcpy(name, p, n);
	name[n] = '\0';
	value = find ? find(name, find_arg) : getenv(name);
	if (!value && !deflt.p) {
		conf_fault(f, node, "the environment variable %s is not set and has no default",
			   name);
		return NULL;
	}
	if (value && !utf8_valid(sv_of(value))) {
		conf_fault(f, node, "the environment variable %s is not valid UTF-8", name);
		return NULL;
	}
	add(out, value && (*value || !deflt.p) ? sv_of(value) : deflt);
	return end + 1;
}

const char *
conf_expand(const struct conf_node *node, const char *text, struct arena *a, struct conf_faults *f)
{
	struct buf out = BUF_INIT(EXPANDED_MAX);
	const char *p = text, *ret = NULL;

	if (!strchr(text, '$'))
		return text;
	while (p && *p) {
		size_t n = strcspn(p, "$");

		add(&out, (struct sv){p, n});
		p += n;
		if (*p == '\0')
			break;
		if (p[1] == '$') {
			add(&out, SV("$"));
			p += 2;
		} else if (p[1] == '{') {
			p = expand_one(node, p + 2, &out, f);
		} else {
			conf_fault(f, node,
				   "a plain $ is written $$ (a reference to the "
				   "environment: ${NAME})");
			p = NULL;
		}
	}
	if (p && out.no_memory) {
		conf_nomem(f);
	} else if (p && !buf_ok(&out)) {
		conf_fault(f, node, "too long once its environment references are replaced");
	} else if (p) {
		ret = arena_strdup(a, buf_view(&out));
		if (!ret)
			conf_nomem(f);
	}
	secret_wipe_buf(&out);
	return ret;
}
