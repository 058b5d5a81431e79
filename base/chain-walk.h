/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/chain-files.h"
#include "base/errmsg.h"

/*
 * Following a chain through the files of its log: from the first line with the
 * first key, or from where a state file says that the log was synced.
 */

enum chain_fault {
    CHAIN_FAULT_NONE = 0,
    CHAIN_FAULT_START,   /* the first lines are missing */
    CHAIN_FAULT_FILE,    /* lines are missing between two files */
    CHAIN_FAULT_NUMBER,  /* another line stands where @line belongs */
    CHAIN_FAULT_CHANGED, /* the MAC does not fit */
    CHAIN_FAULT_FORM,    /* no line of such a log */
    CHAIN_FAULT_END,     /* a closed file does not end with its last line */
    CHAIN_FAULT_TAIL,    /* the log ends before the expected line */
    CHAIN_FAULT_HEAD,    /* fits the key, but is not the expected line */
};

/* The number and MAC of a line. */
struct chain_head {
    uint64_t line; /* 0: none */
    uint8_t mac[CHAIN_MAC_LEN];
};

struct chain_walk {
    /* In: the key of the next line, the line before it, where in its file that
     * one ends, and a line that must be met. Out: the same after the last. */
    struct chain chain;
    struct chain_head head;
    uint64_t offset;
    struct chain_head expected;
    /* Out */
    struct chain file_start;   /* as the last file that was read begins; line 0:
                                  none was read from its beginning */
    char file[CHAIN_FILE_MAX]; /* the last one read */
    uint64_t torn;             /* octets after the last newline in it */
    enum chain_fault fault;
    uint64_t line;      /* of a fault: the line that belongs there */
    uint64_t found;     /* the one that stands there; 0: none */
    uint64_t file_line; /* where in the file, from 1 */
};

/**
 * chain_walk() - check every line that is there
 *
 * The caller wipes @w, which has keys.
 *
 * Return: 0; CHAIN_WALK_E_FAULT, with fault and place in @w; negative errno.
 */
int chain_walk(int dir_fd, struct chain_walk *w) MUST_CHECK;
#define CHAIN_WALK_E_FAULT 1

/* chain_walk_explain() - the fault in words, with file and line. */
void chain_walk_explain(const struct chain_walk *w, const char *dir,
                        struct errmsg *reterr);
