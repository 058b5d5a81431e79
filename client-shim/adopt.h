/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client-shim/adopt-find.h"
#include "client-shim/ctl-account.h"
#include "client-shim/outside-key.h"

/*
 * account adopt: an account that another client registered, with its key in
 * that client's files, is rotated to a key that is born on a token. The old key
 * is here, in locked memory, as long as the command runs. Functions return exit
 * codes as in ctl-daemon.h, and have printed what went wrong.
 *
 * The rotation lives in the daemon and the key in its file until the CA has
 * switched, and only then is the file replaced: whoever is interrupted begins
 * again, and finds what is left to do.
 */

enum adopt_after {
    ADOPT_AFTER_NOTHING = 0, /* not said: a look alone (--dry-run) */
    ADOPT_AFTER_STUB,
    ADOPT_AFTER_RETIRE,
};

struct adopt {
    struct ctl_context *context;
    const char *path; /* as it was given */
    enum client_kind kind;
    enum adopt_after after;
    struct owner_files *files;
    struct adopt_found found;
    struct outside_key *key; /* NULL: there is none in the file any more */
    struct ctl_conversation talk;
    struct ctl_registration registration; /* of --new-account */
    json_t *contacts;
    char url[ACME_URL_MAX + 1]; /* of the account, as the CA says; or empty */
    json_t *rotation; /* of this account, so far; NULL: it is not here yet */
};
#define CLEANUP_ADOPT CLEANUP(adopt_deinit)
void adopt_deinit(struct adopt *a);

/* adopt-ask.c: is the key an account's of this CA, and which one's? Asks with
 * the old key for an account that exists (RFC 8555 section 7.3.1).
 * CTL_EXIT_DONE with a->url empty: the CA does not know the key. */
int adopt_ask(struct adopt *a) MUST_CHECK;

/* adopt-begin.c: AccountAdopt; nothing, where the CA has switched already. */
int adopt_begin(struct adopt *a) MUST_CHECK;

/* ctl-adopt.c: the rotation by which the account came has its new key. */
bool adopt_has_switched(const struct adopt *a);

/* adopt-place.c: could the files be changed? And: change them, since the CA has
 * the new key. */
int adopt_place_probe(struct adopt *a) MUST_CHECK;
int adopt_place(struct adopt *a) MUST_CHECK;

/* adopt-stops.c: certificates that a client without its key would not renew any
 * more, for people; appended, nothing where none is found. */
int adopt_stops(struct adopt *a, struct buf *ret) MUST_CHECK;

/* What ctl-adopt.c's and ctl-account.c's tables need. */
extern const struct ctl_option ctl_adopt_options[];
int ctl_adopt_run(struct ctl_context *c);
