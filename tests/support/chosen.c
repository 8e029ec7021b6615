/* For whoever wants one test of a program: MUSTER_TEST names it (`*` and `?` stand for any
 * characters). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

__attribute__((constructor)) static void
choose_test(void)
{
	const char *name = getenv("MUSTER_TEST"); /* NOLINT(concurrency-mt-unsafe) */

	if (name)
		cmocka_set_test_filter(name);
}
