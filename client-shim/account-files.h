/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/bytes.h"
#include "base/errmsg.h"

/*
 * accounts.d/NAME.account (acme-guardian.account(5)): what an operator wishes
 * an account to be. Facts are the daemon's; `guardianctl apply` compares.
 */

/* In seconds; ACCOUNT_NO_TIME: the daemon's default, or (rotate_s) never. */
#define ACCOUNT_NO_TIME (-1)
struct account_schedule {
    int64_t rotate_s; /* Rotate= */
    char *window;     /* RotateWindow=; NULL: whenever */
    int64_t order_drain_s, settle_s, cache_s, grace_s; /* OrderDrain=, ... */
    bool keep_old;                                     /* KeepOldKey= */
};

struct account_wish {
    char *name; /* the file's stem */
    char *file;
    char *directory;      /* Directory=, or of the CA that Ca= names */
    char *token;          /* Token= */
    char *alg;            /* of KeyType=, "ES256" */
    unsigned rsa_bits;    /* of KeyType=, 0 unless RSA */
    char *existing_key;   /* ExistingKey=; NULL: a new one */
    char **contacts;      /* Contact=, NULL-ended, may be NULL, as all lists */
    bool manage_contacts; /* Contact= is there, if only empty */
    bool agree_terms;     /* AgreeTerms= */
    char *eab_kid;        /* EabKid=, with eab_key */
    char *eab_key;        /* EabKey=, "credential:NAME" or "file:PATH" */
    char **issuers;       /* Issuer= */
    char **origins;       /* Origins= */
    char **challenge_members; /* ChallengeMembers= */
    bool allow_query;         /* AllowQuery= */
    bool allow_http_loopback; /* AllowHttpLoopback= */
    char *ca_file;            /* CaFile= */
    struct account_schedule schedule;
};
void account_wish_deinit(struct account_wish *w);

struct account_wishes {
    struct account_wish *items;
    size_t n;
};

/**
 * account_files_load() - every accounts.d/NAME.account of a configuration
 * directory, by name; none where there is no accounts.d
 *
 * Directory and files are writable by root or this process's user alone.
 *
 * Return: 0; CONFIG_E_INVALID with *reterr; negative errno with *reterr.
 */
int account_files_load(const char *config_dir, struct account_wishes **ret,
                       struct errmsg *reterr) MUST_CHECK;
/* account_files_load_one() - only that of one account, if there is one. */
int account_files_load_one(const char *config_dir, const char *name,
                           struct account_wishes **ret,
                           struct errmsg *reterr) MUST_CHECK;
struct account_wishes *account_wishes_free(struct account_wishes *w);
DEFINE_CLEANUP(struct account_wishes *, account_wishes_free)
#define CLEANUP_ACCOUNT_WISHES CLEANUP(account_wishes_free_p)

/* account_files_parse() - one file's text, added to @w. */
int account_files_parse(struct account_wishes *w, struct bytes text,
                        const char *file, const char *name,
                        struct errmsg *reterr) MUST_CHECK;

/* account_files_find() - NULL: no file. */
const struct account_wish *account_files_find(const struct account_wishes *w,
                                              const char *name);
