/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdlib.h>
#include <unistd.h>

/*
 * Compiler extensions live here and nowhere else. An owned local carries
 * CLEANUP and starts as NULL or -1; ownership leaves it by TAKE_PTR/TAKE_FD.
 */

#define CLEANUP(fn) __attribute__((cleanup(fn)))
#define CLEANUP_FREE CLEANUP(cleanup_free)
#define CLEANUP_FD CLEANUP(cleanup_fd)
#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))

#define TAKE_PTR(p)                                                            \
    ({                                                                         \
        __typeof__(p) taken_ = (p);                                            \
        (p) = NULL;                                                            \
        taken_;                                                                \
    })

#define TAKE_FD(fd)                                                            \
    ({                                                                         \
        int taken_ = (fd);                                                     \
        (fd) = -1;                                                             \
        taken_;                                                                \
    })

/* Declares fn_p(), for CLEANUP, from a destructor that accepts NULL. */
#define DEFINE_CLEANUP(type, fn)                                               \
    static inline void fn##_p(type *p)                                         \
    {                                                                          \
        if (*p)                                                                \
            fn(*p);                                                            \
    }

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

static inline void cleanup_free(void *p)
{
    free(*(void **)p);
}

static inline void cleanup_fd(const int *fd)
{
    if (*fd >= 0)
        close(*fd);
}
