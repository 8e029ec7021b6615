/*
 * Help from the tables that do the parsing: a key cannot exist without its text, nor a text outlive
 * its key.
 */
#include "fmt/conf_node.h"

#include "base/num.h"

#define HELP_WIDTH 96

static const char *
short_type(const struct conf_key *k)
{
	static const char *const names[] = {
	    [CONF_STRING] = "string",
	    [CONF_BOOL] = "true or false",
	    [CONF_INT] = "number",
	    [CONF_DURATION] = "duration",
	    [CONF_BYTES] = "bytes",
	    [CONF_NUMBER] = "number",
	    [CONF_STRINGS] = "list of strings",
	    [CONF_STRINGSS] = "list of lists",
	    [CONF_MAP] = "name: value",
	    [CONF_TABLE] = "keys below",
	    [CONF_TABLES] = "list of the keys below",
	    [CONF_NAMED] = "NAME: the keys below",
	    [CONF_NODE] = "section",
	};

	if (k->flags & CONF_REGEX)
		return "regular expression";
	if (k->flags & CONF_PER_SECOND)
		return "rate";
	return names[k->type] ? names[k->type] : "word";
}

static void
add_type(const struct conf_key *k, struct buf *out)
{
	if (k->type != CONF_ENUM) {
		buf_str(out, short_type(k));
		return;
	}
	for (size_t i = 0; k->words[i]; i++)
		buf_fmt(out, "%s%s", i ? " | " : "", k->words[i]);
}

static void
add_range(const struct conf_key *k, struct buf *out)
{
	char min[32], max[32];

	if (k->min == k->max)
		return;
	if (k->type == CONF_DURATION) {
		num_duration_format(k->min, min);
		num_duration_format(k->max, max);
	} else {
		(void)snprintf(min, sizeof(min), "%lld", (long long)k->min);
		(void)snprintf(max, sizeof(max), "%lld", (long long)k->max);
	}
	if (k->max == INT64_MAX)
		buf_fmt(out, ", at least %s", min);
	else
		buf_fmt(out, ", %s to %s", min, max);
}

/* The sentence, broken at blanks. */
static void
add_text(const char *text, const char *prefix, struct buf *out)
{
	size_t room = HELP_WIDTH - strlen(prefix) - 4;

	while (*text) {
		size_t n = strlen(text);

		if (n > room) {
			n = room;
			while (n > 0 && text[n] != ' ')
				n--;
			if (n == 0)
				n = strcspn(text, " ");
		}
		buf_fmt(out, "%s    %.*s\n", prefix, (int)n, text);
		text += n;
		text += strspn(text, " ");
	}
}

void
conf_help(const struct conf_key *table, const char *prefix, struct buf *out)
{
	char deeper[HELP_WIDTH / 2];

	(void)snprintf(deeper, sizeof(deeper), "%s    ", prefix);
	for (const struct conf_key *k = table; k->name; k++) {
		buf_fmt(out, "%s%s  (", prefix, k->name);
		add_type(k, out);
		add_range(k, out);
		if (k->flags & CONF_REQUIRED)
			buf_str(out, "; required");
		else if (k->deflt)
			buf_fmt(out, "; default %s", k->deflt);
		buf_str(out, ")\n");
		if (k->help)
			add_text(k->help, prefix, out);
		if (k->table && strlen(prefix) + 4 < sizeof(deeper))
			conf_help(k->table, deeper, out);
	}
}
