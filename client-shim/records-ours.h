/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>

#include "base/cleanup.h"

/*
 * Whose account does a published record name? By what the daemon says of the
 * accounts here, and of keys that they had before and that are still on a
 * token. No proof is needed for that: nothing of it is published. Pure.
 */

struct ours_account {
    const char *name;
    const char *url;        /* NULL: not registered */
    const char *thumbprint; /* of its key now */
    const char *prefix;     /* accountHashPrefix; NULL: records name the URL */
    const char *status;     /* "valid" */
    const char *next;       /* of the key that a rotation will give it; NULL */
    const char **earlier;   /* thumbprints of earlier generations */
    size_t n_earlier;
};

struct ours {
    struct ours_account *items;
    size_t n;
};
#define CLEANUP_OURS CLEANUP(ours_deinit)
void ours_deinit(struct ours *o);

/**
 * ours_init() - all accounts
 * @accounts: by name, as AccountList says; borrowed for as long as @ret lives
 * @keys:     an array of Key, as TokenCheck says; borrowed likewise; NULL: none
 *
 * Return: 0; -ENOMEM.
 */
int ours_init(struct ours *ret, const json_t *accounts,
              const json_t *keys) MUST_CHECK;

/* ours_take_rotations() - keys that accounts do not have yet, from an array of
 * Rotation; borrowed likewise. Until then they look like earlier ones. */
void ours_take_rotations(struct ours *o, const json_t *rotations);

const struct ours_account *ours_find(const struct ours *o, const char *name);

enum ours_kind {
    OURS_NOT = 0,
    OURS_NOW,        /* as the CA wants it now */
    OURS_REUSABLE,   /* key-bound, for all domains of the account */
    OURS_OTHER_FORM, /* the URL where it should be key-bound */
    OURS_EARLIER,    /* key-bound, of an earlier key of the account */
    OURS_NEXT,       /* key-bound, of the key that it will have */
};

/* ours_uri_fn - Return: 0; nonzero ends it and is returned. */
typedef int (*ours_uri_fn)(const struct ours_account *a, enum ours_kind kind,
                           const char *accounturi, void *userdata);

/* ours_each_uri() - every accounturi that means this account in a record of
 * @domain. Return: 0; what @fn returned; -ENOMEM. */
int ours_each_uri(const struct ours_account *a, const char *domain,
                  ours_uri_fn fn, void *userdata) MUST_CHECK;

/* ours_judge() - *ret_account is NULL for OURS_NOT. Return: 0; -ENOMEM. */
int ours_judge(const struct ours *o, const char *domain, const char *accounturi,
               enum ours_kind *ret_kind,
               const struct ours_account **ret_account) MUST_CHECK;

/* ours_prefix_of() - an account whose CA makes such key-bound values; NULL. */
const struct ours_account *ours_prefix_of(const struct ours *o,
                                          const char *accounturi);

/* ours_same_url() - another account here with the URL of @a; NULL. */
const struct ours_account *ours_same_url(const struct ours *o,
                                         const struct ours_account *a);
