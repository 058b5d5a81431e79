/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client-shim/client-state.h"
#include "client-shim/owner-files.h"

/*
 * The account in another client's files: its key, and what else stands there.
 * What the files say is where to begin; the CA is asked in any case.
 */

enum adopt_key {
    ADOPT_KEY_UNSET = 0,
    ADOPT_KEY_OWN,     /* a key, so far as its file can tell */
    ADOPT_KEY_STUB,    /* a stub lies in its place already */
    ADOPT_KEY_RETIRED, /* the note that client_state_retired() makes */
};

struct adopt_found {
    enum client_kind kind;
    enum adopt_key has;
    char key[OWNER_PATH_MAX + 1];     /* relative to the directory */
    struct owner_stamp stamp;         /* of the key's file */
    struct secret *content;           /* of that file */
    char stub_account[64];            /* ADOPT_KEY_STUB: of which account */
    char url[ACME_URL_MAX + 1];       /* of the account; empty: not stored */
    char directory[ACME_URL_MAX + 1]; /* empty: not stored */
    char conf[OWNER_PATH_MAX + 1]; /* acme.sh's ca.conf; empty: there is none */
};
#define CLEANUP_ADOPT_FOUND CLEANUP(adopt_found_deinit)
void adopt_found_deinit(struct adopt_found *f);

/* None, several, or not as the client writes it; with *reterr. */
#define ADOPT_FIND_E_NONE 101
#define ADOPT_FIND_E_SEVERAL 102
#define ADOPT_FIND_E_BAD 103

struct adopt_wish {
    enum client_kind kind;
    const char *directory; /* NULL: any */
    const char *url;       /* NULL: any */
};

/**
 * adopt_find() - the one account that is there, or that @wish names
 *
 * Return: 0; ADOPT_FIND_E_*; OWNER_E_*; negative errno; with *reterr.
 */
int adopt_find(struct owner_files *o, const struct adopt_wish *wish,
               struct adopt_found *ret, struct errmsg *reterr) MUST_CHECK;
