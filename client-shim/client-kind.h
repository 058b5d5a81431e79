/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "acme/jwk.h"

/*
 * The ACME clients whose accounts can be taken over, and what each of them is
 * like: where its key lies, which keys it can work with, whether it can sign
 * with a stub. One row each; docs/clients.md says where that was measured.
 */

enum client_kind {
    CLIENT_UNSET = 0,
    CLIENT_CERTBOT,
    CLIENT_ACME_SH,
    CLIENT_LEGO,
    CLIENT_DEHYDRATED,
    CLIENT_GETSSL,
    CLIENT_HAPROXY,
    CLIENT_PEM,
    CLIENT_COUNT
};

enum client_lock {
    CLIENT_LOCK_NONE = 0,
    CLIENT_LOCK_RECORD, /* fcntl(2), as certbot has it */
    CLIENT_LOCK_THERE,  /* that the file is there, as dehydrated has it */
};

struct client_kind_facts {
    const char *name;  /* of --from */
    const char *key;   /* file name of a key; NULL: the operator names it */
    const char *mark;  /* file name that an account has; NULL: the key's */
    const char *under; /* accounts lie somewhere below it; NULL: at the top */
    unsigned depth;    /* directories between that and the mark, at most */
    bool stub;         /* can sign with a stub */
    bool key_is_jwk;   /* otherwise PEM */
    bool ec; /* any version of it signs with EC, whatever it began with */
    enum client_lock lock;
    const char *lock_file;
    const char *instead; /* who can take over where it cannot use a stub */
};

const struct client_kind_facts *client_kind_facts(enum client_kind kind);
enum client_kind client_kind_find(const char *name); /* CLIENT_UNSET: none */

/* client_kind_takes() - can the client work with a key of this type?
 * @before: of the key that it has now */
bool client_kind_takes(enum client_kind kind, enum jws_alg before,
                       enum jws_alg alg);
