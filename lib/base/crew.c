/* See crew.h. */
#include "base/crew.h"

#include <stdlib.h>

#define STACK (512u * 1024)

int
crew_start(pthread_t *thread, void *(*work)(void *), void *arg)
{
	pthread_attr_t attr;
	int why;

	(void)pthread_attr_init(&attr);
	(void)pthread_attr_setstacksize(&attr, STACK);
	why = pthread_create(thread, &attr, work, arg);
	(void)pthread_attr_destroy(&attr);
	return why;
}

void
crew_work(size_t hands, void *(*work)(void *), void *arg)
{
	pthread_t *others = hands > 1 ? calloc(hands - 1, sizeof(*others)) : NULL;
	size_t n = 0;

	while (others && n + 1 < hands && !crew_start(&others[n], work, arg))
		n++;
	(void)work(arg);
	while (n > 0)
		(void)pthread_join(others[--n], NULL);
	free(others);
}
