/*
 * Whether this build carries a sanitizer: its runtime is part of the process and makes calls that the program does not.
 */
#ifndef MUSTER_BASE_SANITIZED_H
#define MUSTER_BASE_SANITIZED_H

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED true
#endif
#endif
#ifndef SANITIZED
#define SANITIZED false
#endif

#endif
