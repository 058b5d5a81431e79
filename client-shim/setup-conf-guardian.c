/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * guardian.conf as an administrator first meets it. tests/unit compares the
 * table with settings_schema, and the defaults with what the settings are when
 * nothing is set.
 */
#include "client-shim/setup-conf.h"

struct conf_key {
    const char *key;
    const char *value; /* the default, or an example where there is none */
    const char *comment;
};

struct conf_section {
    const char *title;
    bool example; /* takes a name: stands as a comment */
    const char *comment;
    const struct conf_key *keys;
};

static const struct conf_key guardian_keys[] = {
    { "StateDirectory", "/var/lib/acme-guardian",
      "Registry, and current key of the audit chain." },
    { "LogDirectory", "/var/log/acme-guardian", "The audit log." },
    { "ClientSocket", "/run/acme-guardian/client.sock",
      "Where clients and operators connect; systemd's socket units say it "
      "too." },
    { "AdminSocket", "/run/acme-guardian/admin.sock", NULL },
    { "AllowSwappableSecrets", "no",
      "yes: start although memory for secrets cannot be locked." },
    { "ConnectionsPerUser", "64", "Limits for each uid." },
    { "RequestsPerUser", "64", NULL },
    { "RequestsPerMinute", "1800", NULL },
    { "AuditSync", "interval",
      "group: an answer waits until its audit line is on disk." },
    { "AuditMaxSize", "64M", "When a new audit file is begun." },
    { "AuditKeep", "30", "How many rotated ones are kept." },
    { "AuditReserve", "16M",
      "Set aside, so that a full disk does not stop signing at once." },
    { 0 },
};

static const struct conf_key roles_keys[] = {
    { "AdminUser", "", "Everything." },
    { "AdminGroup", "acme-guardian-admin", NULL },
    { "OpsUser", "acme-guardian-ops", "What timers need." },
    { "OpsGroup", "", NULL },
    { "MonitorUser", "", "To look." },
    { "MonitorGroup", "acme-guardian-monitor", NULL },
    { 0 },
};

static const struct conf_key deny_keys[] = {
    { "Domain", "", NULL },
    { 0 },
};

static const struct conf_key token_keys[] = {
    { "Backend", "cryptoki", "cryptoki, libp11 or sealed." },
    { "Module", "/usr/lib/softhsm/libsofthsm2.so",
      "Path of the PKCS#11 module; not for sealed." },
    { "Token", "pkcs11:token=NAME", "RFC 7512 URI of one token, without PIN." },
    { "Pin", "none", "credential:NAME, file:/PATH, ask or none." },
    { "Timeout", "10s", "A call that takes longer ends the helper." },
    { "Sessions", "2", "Sessions of each process, processes." },
    { "Processes", "1", NULL },
    { "Environment", "", "NAME=VALUE ..., all that the module sees." },
    { "InitArgs", "", "Handed to the module at C_Initialize." },
    { "KeyPrefix", "acme-guardian", "First part of the labels of keys." },
    { "VerifySignatures", "rsa", "all: verify not only RSA signatures." },
    { "SystemCalls", "",
      "That the module needs besides; all: any. See guardian.conf(5)." },
    { "WritableCode", "no", "For modules that make code at run time." },
    { "Directory", "/var/lib/acme-guardian-token/NAME",
      "The helper's own files." },
    { "HelperSocket", "/run/acme-guardian/token/NAME.sock",
      "Of the helper as its own user; unset, the daemon starts it as its "
      "own." },
    { 0 },
};

static const struct conf_key lacme_keys[] = {
    { "Account", "NAME", "The account that this socket signs for." },
    { "Socket", "/run/acme-guardian/lacme/NAME.sock",
      "Only without systemd's acme-guardian-lacme@NAME.socket." },
    { "Owner", "root", NULL },
    { 0 },
};

static const struct conf_section sections[] = {
    { "Guardian", false, NULL, guardian_keys },
    { "Roles", false,
      "Who may call the admin interface, by users and groups; root always may.",
      roles_keys },
    { "Deny", false,
      "Names refused to everybody, with all below them, whatever a policy "
      "says.",
      deny_keys },
    { "Token NAME", true,
      "One for each token; those of guardianctl setup are in guardian.conf.d/.",
      token_keys },
    { "Lacme NAME", true, "One for each socket for Debian's lacme.",
      lacme_keys },
};

static int put_comment(const char *comment, struct buf *b)
{
    return comment ? buf_printf(b, "# %s\n", comment) : 0;
}

static int put_section(const struct conf_section *s, struct buf *b)
{
    int r;

    r = buf_append_str(b, "\n");
    if (r == 0)
        r = put_comment(s->comment, b);
    if (r == 0)
        r = buf_printf(b, "%s[%s]\n", s->example ? "#" : "", s->title);
    for (const struct conf_key *k = s->keys; r == 0 && k->key; k++) {
        r = put_comment(k->comment, b);
        if (r == 0)
            r = buf_printf(b, "#%s=%s\n", k->key, k->value);
    }
    return r;
}

int setup_conf_guardian(struct buf *b)
{
    int r;

    r = buf_append_str(
        b,
        "# acme-guardian: guardian.conf(5) explains every key.\n"
        "#\n"
        "# Everything here is a comment that shows a default: what you do\n"
        "# not set may become better with a later version. Further files in\n"
        "# guardian.conf.d/ are read after this one. This file and they\n"
        "# belong to root, and nobody else may write them.\n"
        "#\n"
        "# guardianctl setup wrote this file once, and never changes it.\n");
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(sections); i++)
        r = put_section(&sections[i], b);
    return r;
}
