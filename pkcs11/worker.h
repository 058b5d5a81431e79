/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdnoreturn.h>

#include "pkcs11/answer.h"

/*
 * The process that loads the module. It logs in, says so, waits for its turn,
 * and then its threads take requests from the connection itself: the kernel
 * deals them out.
 */

/* Exit codes of a worker, for the log. */
#define WORKER_EXIT_CLOSED 0
#define WORKER_EXIT_PROTOCOL 10
#define WORKER_EXIT_LADDER 11
#define WORKER_EXIT_LATE 12   /* a call took longer than Timeout= */
#define WORKER_EXIT_FAILED 13 /* could not start; it has been reported */
#define WORKER_EXIT_STALE 14  /* alone, with no request: the next takes over */

/* What a worker says to its supervisor, once: started, or why not. */
struct worker_report {
    struct backend_error err; /* result TOKEN_S_OK: started */
    struct token_status status;
    bool alone; /* no other process beside it */
};

/* The supervisor's answer: serve. */
struct worker_go {
    uint64_t unlock_id; /* the TOKEN_OP_UNLOCK that asked for this start */
    uint64_t answers_unlock;
};

struct worker_setup {
    const struct settings *settings;
    const struct settings_token *token;
    struct shared *shared;
    int connection;
    int control; /* SOCK_SEQPACKET to the supervisor */
    int output;  /* what becomes stdout and stderr: modules print */
    pid_t supervisor;
    bool unseparated;
    bool confirmed; /* an operator confirmed the PIN */
};

/* worker_run() - in the new process; takes over all its descriptors. */
noreturn void worker_run(const struct worker_setup *setup);
