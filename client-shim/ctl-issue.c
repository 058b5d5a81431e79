/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "client-shim/ctl-commands.h"
#include "client-shim/issue.h"

/* guardianctl issue. issue.h says which file does what. */

void issue_deinit(struct issue *i)
{
    i->precheck = issue_precheck_free(i->precheck);
    ctl_daemon_deinit(&i->daemon);
    ctl_ca_deinit(&i->ca);
    i->dns = dns_child_free(i->dns);
    json_decref(i->answer);
    free(i->directory);
    free(i->authorizations);
    identifiers_deinit(&i->names);
    buf_deinit(&i->csr);
    EVP_PKEY_free(i->key);
    sk_X509_pop_free(i->old, X509_free);
    sk_X509_pop_free(i->chain, X509_free);
    issue_file_deinit(&i->key_out);
    issue_file_deinit(&i->out);
}

/* The children are forked before there is a key, or a connection to the
 * daemon, to be copied with them. */
static int open_all(struct issue *i)
{
    int r;

    r = issue_account_find(i);
    if (r == 0)
        r = issue_ca_open(i);
    if (r)
        return r;
    r = dns_child_start(NULL, &i->dns);
    if (r)
        return ctl_fail_errno(r, "DNS process");
    r = ctl_daemon_open(i->context, CTL_SOCKET_CLIENT, &i->daemon);
    if (r == 0 && secrets_init(true, NULL))
        r = ctl_fail(CTL_EXIT_UNAVAILABLE, "libsodium cannot be initialised");
    if (r == 0 && issue_key_heap_init())
        r = ctl_fail_errno(-ENOMEM, "memory for keys");
    if (r == 0)
        r = issue_key_load(i);
    return r ? r : issue_directory_open(i);
}

static int obtain(struct issue *i)
{
    int r;

    r = issue_allowed(i);
    if (r == 0)
        r = issue_precheck(i);
    if (r == 0)
        r = issue_request_make(i);
    if (r == 0)
        r = issue_order(i);
    if (r == 0)
        r = issue_chain_get(i);
    return r ? r : issue_report_issued(i);
}

static int run_issue(struct ctl_context *c)
{
    CLEANUP_ISSUE struct issue i = { .context = c,
                                     .out = { .dir_fd = -1, .fd = -1 },
                                     .key_out = { .dir_fd = -1, .fd = -1 } };
    bool due = false;
    int r;

    r = issue_options_read(&i);
    if (r == 0)
        r = open_all(&i);
    if (r == 0)
        r = issue_due(&i, &due);
    if (r == 0)
        r = due ? obtain(&i) : issue_report_not_due(&i);
    return r ? r : issue_reload(&i, due);
}

static const struct ctl_option issue_options[] = {
    { "--account", "NAME", "needed where you may use more than one", 0, false,
      false },
    { "--domain", "NAME", "a name of the certificate, \"*.\" before it or not",
      0, false, true },
    { "--key-out", "FILE", "its private key; used again if it is there", 0,
      false, false },
    { "--key-type", "TYPE",
      "of a new key: ec-p256 (the default), rsa-2048, ...", 0, false, false },
    { "--csr", "FILE", "a request of your own instead, PEM or DER", 0, false,
      false },
    { "--out", "FILE", "the certificate and its chain, PEM", 0, true, false },
    { "--preferred-chain", "NAME", "the chain up to the root of that name", 0,
      false, false },
    { "--profile", "NAME", "one of the CA's profiles", 0, false, false },
    { "--if-due", NULL, "only if it is time, or the names have changed", 0,
      false, false },
    { "--reload", "UNIT", "systemctl reload-or-restart after a change", 0,
      false, true },
    { "--resolver", "ADDRESS[:PORT]", "where records are looked up first", 0,
      false, false },
    { "--wait", "SECONDS", "for validation and issuance in all (300)", 0, false,
      false },
    CTL_CA_OPTIONS,
    { 0 },
};

const struct ctl_command ctl_issue_commands[] = {
    { "issue", NULL, 0, 0, issue_options,
      "get a certificate through dns-persist-01", run_issue },
    { 0 },
};
