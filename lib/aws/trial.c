/* What a refusal says about the permission that is missing; see trial.h. */
#include "aws/trial.h"

#include <stdio.h>

#include "base/cleanup.h"
#include "fmt/json.h"

#define PERFORM	    "not authorized to perform: "
#define ON_RESOURCE " on resource: "

bool
trial_denied(const struct err *err)
{
	static const char *const codes[] = {"AccessDenied", "AccessDeniedException",
					    "UnauthorizedOperation", "NotAuthorized"};

	for (size_t i = 0; i < ARRAY_LEN(codes); i++)
		if (!strcmp(err->code, codes[i]))
			return true;
	/* Receivers of remote write tell no code. */
	return err->kind == ERR_AUTH && err->http_status == 403 && !err->code[0];
}

/* The word at p: up to a blank, a quote, or what ends a sentence, or an element of XML that is
 * shown as it came. */
static size_t
word_length(const char *p)
{
	size_t n = strcspn(p, " \"'\\,;)<\n");

	while (n && p[n - 1] == '.')
		n--;
	return n;
}

bool
trial_denied_what(const struct err *err, char action[TRIAL_ACTION_MAX],
		  char resource[TRIAL_RESOURCE_MAX])
{
	const char *p = strstr(err->msg, PERFORM), *on;
	size_t n = p ? word_length(p += strlen(PERFORM)) : 0;

	resource[0] = '\0';
	if (!n || n >= TRIAL_ACTION_MAX || !memchr(p, ':', n))
		return false;
	memcpy(action, p, n);
	action[n] = '\0';
	on = strstr(p, ON_RESOURCE);
	if (!on)
		return true;
	on += strlen(ON_RESOURCE);
	on += strspn(on, "\"'\\");
	n = word_length(on);
	/* One that was cut off with the message is no resource. */
	if (n < TRIAL_RESOURCE_MAX && on[n] && !strncmp(on, "arn:", 4)) {
		memcpy(resource, on, n);
		resource[n] = '\0';
	}
	return true;
}

bool
trial_denied_explicitly(const struct err *err)
{
	return strstr(err->msg, "explicit deny") != NULL;
}

void
trial_statement(const char *action, const char *resource, struct buf *out)
{
	buf_str(out, "{\"Effect\":\"Allow\",\"Action\":");
	(void)json_escape(out, sv_of(action));
	buf_fmt(out, ",\"Resource\":%s}", resource ? resource : "\"*\"");
}
