/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <p11-kit/pkcs11.h>

/*
 * What the faulty module is to do wrong. The file named by $FAULTY_RULES is
 * looked at on every call, so that a running helper can be disturbed; one rule
 * a line, '#' for comments:
 *
 *   FUNCTION [rv=0xN] [after=N] [count=N] [every=N] [post] [label=KEY]
 *            [session=N]
 *            [ms=N] [hang] [segv] [print=TEXT] [thread] [fork]
 *            [limit=N] [duplicate] [short] [long] [flip] [last] [flags=0xN]
 *            [attr=0xN] [value=OCTET|none] [empty]
 *            [logout] [closeall] [twin]
 *
 * rv comes without the real call, or after it with "post": a real operation
 * then stays as the call left it. after= and count= count the calls of the
 * process since the file changed; every= lets only each N-th of them fail.
 * "last" gives the signature made before, "twin" the handles of the key pair
 * made first. "*" is every function.
 */
struct faulty_rule {
    char function[40];
    char label[128];
    char print[80];
    unsigned long rv, flags, attr, session;
    unsigned after, count, every, ms, limit;
    int value; /* of attr, one octet; -1 for not there */
    bool has_rv, post, hang, segv, thread, fork, duplicate;
    bool shorter, longer, flip, empty, has_attr, has_session;
    bool logout, closeall, last, twin;
    unsigned seen; /* calls so far */
};

/* faulty_rule_get() - a copy of the first rule for this call, or all zero. */
struct faulty_rule faulty_rule_get(const char *function,
                                   CK_SESSION_HANDLE session,
                                   const char *label);

/* faulty_trace() - one line to $FAULTY_TRACE: pid, tid, function, session, rv.
 */
void faulty_trace(const char *function, unsigned long session, CK_RV rv);
