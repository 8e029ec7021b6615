/* Calls that have a safer spelling in this project; forced into every file by the Makefile. */
#ifndef MUSTER_BASE_BANNED_H
#define MUSTER_BASE_BANNED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#undef sprintf /* a macro of glibc's checked string functions under clang */
#pragma GCC poison strcpy strcat strncat sprintf vsprintf strtok gets atoi atol atof
#pragma GCC poison gmtime localtime ctime asctime

#endif
