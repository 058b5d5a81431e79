/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client-shim/ctl-commands.h"
#include "client-shim/ctl-conversation.h"

/*
 * What the commands about accounts share, each in its own file. Functions
 * return exit codes as in ctl-daemon.h.
 */

/* ctl-account.c: every page of AccountList, as one array of accounts. */
int ctl_account_all(struct ctl_daemon *d, json_t **ret) MUST_CHECK;

/* ctl-account-print.c */
int ctl_account_print(const struct ctl_context *c, json_t *answer) MUST_CHECK;
int ctl_account_print_list(const json_t *accounts) MUST_CHECK;

/* What a registration says (RFC 8555 section 7.3), of options or of a file. */
struct ctl_registration {
    json_t *contacts; /* an array, borrowed */
    bool agree_terms;
    const char *eab_kid; /* NULL: no external account */
    const char *eab_key; /* where its key lies, for credential_read() */
};

/*
 * ctl-register.c: register at the CA, whose directory the conversation has.
 * *ret is AccountRegistered's answer with "new".
 */
int ctl_register_account(struct ctl_conversation *v,
                         const struct ctl_registration *g,
                         json_t **ret) MUST_CHECK;
/* ctl_register_options_read() - of a command that has CTL_REGISTRATION_OPTIONS.
 * ctl_register_check_terms() - printed, if they are not agreed to yet. */
int ctl_register_options_read(const struct ctl_context *c,
                              struct ctl_registration *g) MUST_CHECK;
int ctl_register_check_terms(const struct ctl_context *c,
                             const struct net_directory *d,
                             bool agree) MUST_CHECK;
/* The CA's terms that are not agreed to; NULL: none. */
const char *ctl_register_terms(const struct net_directory *d, bool agree);

/* ctl-eab.c: the binding (RFC 8555 section 7.3.4) for AccountSignRegistration.
 * The key is read, used and wiped here. */
int ctl_eab_make(const struct ctl_conversation *v,
                 const struct ctl_registration *g, const char *new_account,
                 json_t **ret) MUST_CHECK;

/* The same for a key that is not the account's yet. */
int ctl_eab_make_for(const struct ctl_conversation *v, const struct jwk *jwk,
                     const struct ctl_registration *g, const char *new_account,
                     json_t **ret) MUST_CHECK;

/* ctl-update.c: contacts (NULL: as they are) and terms. *ret is
 * AccountUpdated's answer. */
int ctl_update_account(struct ctl_conversation *v, json_t *contacts,
                       bool agree_terms, json_t **ret) MUST_CHECK;

/* What a command that registers has in its table of options. */
#define CTL_REGISTRATION_OPTIONS                                               \
    { "--contact", "URL", "mailto:NAME@DOMAIN", 0, false, true },              \
        { "--agree-terms", NULL, "agree to the CA's terms of service", 0,      \
          false,           false },                                            \
        { "--eab-kid", "ID",  "key identifier of an external account",         \
          0,           false, false },                                         \
    {                                                                          \
        "--eab-key", "SOURCE", "its HMAC key: credential:NAME or file:PATH",   \
            0, false, false                                                    \
    }

/* Tables of options and functions, for the rows of ctl-account.c. */
extern const struct ctl_option ctl_register_options[];
extern const struct ctl_option ctl_deactivate_options[];
extern const struct ctl_option ctl_update_options[];
extern const struct ctl_option ctl_prove_options[];
extern const struct ctl_option ctl_directory_options[];
extern const struct ctl_option ctl_issuers_options[];
int ctl_register_run(struct ctl_context *c);
int ctl_register_run_deactivate(struct ctl_context *c);
int ctl_update_run(struct ctl_context *c);
int ctl_prove_run(struct ctl_context *c);
int ctl_directory_run(struct ctl_context *c);
int ctl_issuers_run(struct ctl_context *c);
