/* The job kinds there are. A new one is a row here. */
#include "run/job.h"

extern const struct job_kind job_alarms, job_insights, job_metrics, job_traces;

const struct job_kind *const job_kinds[] = {&job_metrics, &job_insights, &job_alarms, &job_traces,
					    NULL};

const struct job_kind *
job_kind_find(const char *name)
{
	for (size_t i = 0; job_kinds[i]; i++)
		if (!strcmp(job_kinds[i]->name, name))
			return job_kinds[i];
	return NULL;
}
