/*
 * CloudWatch's statistics, as its user guide defines them ("CloudWatch statistics definitions"):
 *
 *   Average Sum Minimum Maximum SampleCount IQM
 *   pNN tmNN wmNN tcNN tsNN        a percentage, 0 to 100, with up to ten decimals
 *   TM(a:b) WM(a:b) TC(a:b) TS(a:b)  two percentages (TM(10%:90%)) or two values (TM(150:1000));
 *                                  one of them may be left out (TM(:95%)), not both
 *   PR(a:b)                        the same with values only
 *
 * Names are case-sensitive: the service refuses a whole call for one that it does not know.
 */
#ifndef MUSTER_MODEL_STATISTIC_H
#define MUSTER_MODEL_STATISTIC_H

#include <stdbool.h>

#include "base/buf.h"

bool statistic_valid(struct sv name);

#endif
