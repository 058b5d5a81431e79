/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/setup-conf.h"

#include <string.h>

#define PROCESSES_MAX 16 /* Processes= */

static const char *const backend_names[] = {
    [SETUP_BACKEND_SOFTHSM] = "softhsm",
    [SETUP_BACKEND_TPM] = "tpm",
    [SETUP_BACKEND_SEALED] = "sealed",
    [SETUP_BACKEND_MODULE] = "module",
};

enum setup_backend setup_backend_parse(const char *word)
{
    for (size_t i = 1; i < ARRAY_LEN(backend_names); i++) {
        if (strcmp(backend_names[i], word) == 0)
            return (enum setup_backend)i;
    }
    return SETUP_BACKEND_UNSET;
}

const char *setup_backend_name(enum setup_backend backend)
{
    return backend_names[backend];
}

static int put_softhsm(const struct setup_conf_token *t, struct buf *b)
{
    unsigned n = t->n_cpus < 1               ? 1
                 : t->n_cpus > PROCESSES_MAX ? PROCESSES_MAX
                                             : t->n_cpus;

    return buf_printf(b,
                      "# SoftHSM2 does one thing at a time in a process: one "
                      "for each CPU.\n"
                      "Processes=%u\n"
                      "Sessions=1\n"
                      "Environment=SOFTHSM2_CONF=%s\n",
                      n, t->softhsm_conf);
}

static int put_tpm(const struct setup_conf_token *t, struct buf *b)
{
    return buf_printf(b,
                      "# A TPM takes long to make an RSA key, and has few "
                      "sessions.\n"
                      "Timeout=30s\n"
                      "Sessions=1\n"
                      "Environment=TPM2_PKCS11_STORE=%s\n"
                      "Environment=TPM2_PKCS11_BACKEND=esysdb\n"
                      "Environment=TPM2_PKCS11_TCTI=%s\n",
                      t->directory, t->tcti);
}

static int put_module(const struct setup_conf_token *t, struct buf *b)
{
    int r;

    r = buf_printf(b, "Module=%s\n", t->module);
    if (r)
        return r;
    return t->token_uri ? buf_printf(b, "Token=%s\n", t->token_uri)
                        : buf_printf(b, "Token=pkcs11:token=%s\n", t->name);
}

int setup_conf_token(const struct setup_conf_token *t, struct buf *b)
{
    int r;

    r = buf_printf(b,
                   "# The token %s, by guardianctl setup: guardian.conf(5), "
                   "[TOKEN NAME].\n"
                   "[Token %s]\n",
                   t->name, t->name);
    if (r == 0)
        r = t->backend == SETUP_BACKEND_SEALED
                ? buf_append_str(b, "Backend=sealed\n")
                : put_module(t, b);
    if (r == 0)
        r = buf_printf(
            b,
            "# Encrypted in /etc/credstore.encrypted, for this "
            "host alone.\n"
            "Pin=credential:acme-guardian-%s\n"
            "# A user of its own, by acme-guardian-token@%s.socket.\n"
            "HelperSocket=/run/acme-guardian/token/%s.sock\n",
            t->name, t->name, t->name);
    if (r == 0 && t->backend == SETUP_BACKEND_SOFTHSM)
        r = put_softhsm(t, b);
    if (r == 0 && t->backend == SETUP_BACKEND_TPM)
        r = put_tpm(t, b);
    return r;
}

int setup_conf_softhsm(const struct setup_conf_token *t, struct buf *b)
{
    return buf_printf(b,
                      "# SoftHSM2's files of acme-guardian's token %s, by "
                      "guardianctl setup.\n"
                      "directories.tokendir = %s/" SETUP_SOFTHSM_FOLDER "\n"
                      "objectstore.backend = file\n"
                      "log.level = ERROR\n",
                      t->name, t->directory);
}

int setup_conf_policy(const struct setup_conf_policy *p, struct buf *b)
{
    int r;

    r = buf_printf(b,
                   "# Who may have requests of the account %s signed, by "
                   "guardianctl setup:\n"
                   "# acme-guardian.policy(5). After a change: guardianctl "
                   "reload\n"
                   "[Client]\n"
                   "User=%s\n"
                   "# Only as this service:\n"
                   "#Unit=%s.service\n"
                   "\n"
                   "[Allow]\n"
                   "Account=%s\n"
                   "Domain=",
                   p->account, p->user, p->user, p->account);
    for (size_t i = 0; r == 0 && p->domains[i]; i++)
        r = buf_printf(b, "%s%s", i ? " " : "", p->domains[i]);
    if (r == 0)
        r = buf_append_str(b, "\n"
                              "# Any name below these; wildcards of these:\n"
                              "#Subdomains=\n"
                              "#Wildcard=\n"
                              "#OrdersPerDay=50\n");
    return r;
}
