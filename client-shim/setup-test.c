/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The end of setup: the audit log's first key, which the daemon gives out once,
 * and a look at everything that an account will need.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <sodium.h>

#include "client-shim/ctl-commands.h"
#include "client-shim/ctl-daemon.h"
#include "client-shim/ctl-print.h"
#include "client-shim/setup-file.h"
#include "client-shim/setup.h"
#include "policy/policy.h"

#define ALREADY_TAKEN "org.acmeguardian.Admin.AlreadyTaken"
#define NO_ACCOUNT ": there is no account "

/* ---- the audit key ---- */

/* Return: CTL_EXIT_NO if somebody has it already. */
static int ask_key(const struct setup *s, json_t **ret)
{
    CLEANUP_CTL_DAEMON struct ctl_daemon d = { .expected = ALREADY_TAKEN };
    int r = ctl_daemon_open(s->c, CTL_SOCKET_ADMIN, &d);

    return r ? r : ctl_daemon_call(&d, "AuditTakeFirstKey", json_object(), ret);
}

static int take_in(struct setup *s, const char *key)
{
    size_t n = 0;

    if (!key ||
        sodium_hex2bin(s->key.key, sizeof(s->key.key), key, strlen(key), NULL,
                       &n, NULL) != 0 ||
        n != sizeof(s->key.key))
        return ctl_fail(CTL_EXIT_UNAVAILABLE, "the daemon gave no audit key");
    s->key.line = 1;
    s->has_key = true;
    return CTL_EXIT_DONE;
}

static int say_taken(struct setup *s)
{
    setup_say(s, SETUP_THERE, "the audit log's first key, with who took it");
    return CTL_EXIT_DONE;
}

static int show_key(struct setup *s)
{
    CLEANUP_CTL_JSON json_t *answer = NULL;
    const char *key;
    int r = ask_key(s, &answer);

    if (r)
        return r == CTL_EXIT_NO ? say_taken(s) : r;
    key = ctl_string(answer, "key");
    r = take_in(s, key);
    if (r)
        return r;
    setup_say(s, SETUP_DONE, "the audit log's first key is shown, this once");
    if (s->c->json)
        return CTL_EXIT_DONE; /* ctl-setup.c puts it into the answer */
    (void)printf("\n    %s\n\n"
                 "    Keep it on another machine: with it \"guardianctl audit "
                 "verify\" proves that\n"
                 "    no line of the log was changed or removed.\n\n",
                 key);
    (void)fflush(stdout);
    return CTL_EXIT_DONE;
}

static int write_key(struct setup *s, const char *path)
{
    CLEANUP_CTL_JSON json_t *answer = NULL;
    CLEANUP_FD int fd = -1;
    const char *key;
    int r;

    r = ctl_audit_key_file_make(path, &fd);
    if (r)
        return ctl_fail_errno(r, path);
    r = ask_key(s, &answer);
    if (r) {
        (void)unlink(path);
        return r == CTL_EXIT_NO ? say_taken(s) : r;
    }
    key = ctl_string(answer, "key");
    r = take_in(s, key);
    if (r)
        return r;
    if (ctl_audit_key_file_fill(fd, key)) {
        (void)printf("%s\n", key);
        return ctl_fail(CTL_EXIT_TRY_AGAIN,
                        "%s: the audit log's first key could not be written; "
                        "it stands above and nowhere else",
                        path);
    }
    setup_say(s, SETUP_MADE,
              "%s: the audit log's first key; move it to another machine",
              path);
    return CTL_EXIT_DONE;
}

int setup_test_take_key(struct setup *s)
{
    const char *path = ctl_args_value(s->c, "--audit-key-out");
    int r;

    if (!path)
        return show_key(s);
    /* Of a run that was killed before it had asked, or before it had heard:
     * then the key is lost, and the daemon says so. */
    if (ctl_audit_key_file_blank(path) && unlink(path) < 0)
        return ctl_fail_errno(-errno, path);
    r = setup_file_there(path);
    if (r == 0)
        return write_key(s, path);
    if (r != SETUP_FILE_E_THERE)
        return ctl_fail_errno(r, path);
    r = ctl_audit_key_file_read(path, &s->key);
    if (r)
        return r;
    s->has_key = true;
    setup_say(s, SETUP_THERE, "%s", path);
    return CTL_EXIT_DONE;
}

/* ---- the self-test ---- */

static int test_token(struct setup *s)
{
    CLEANUP_CTL_JSON json_t *answer = NULL;
    const json_t *unproven;
    int r;

    if (s->token->backend == SETTINGS_BACKEND_LIBP11) {
        /* It makes no keys. */
        r = ctl_once(s->c, CTL_SOCKET_ADMIN, "TokenCheck",
                     json_pack("{s:s}", "name", s->name), NULL);
        if (r == 0)
            setup_say(s, SETUP_DONE, "token %s: signs with all its keys",
                      s->name);
        return r;
    }
    /* A token that fails for once is cured by a new helper (SoftHSM2 hides its
     * token while another process logs in); what fails twice is told. */
    r = ctl_token_self_test(s->c, s->name, NULL, true, &answer);
    if (r) {
        r = setup_units_wait(s);
        if (r == 0)
            r = ctl_token_self_test(s->c, s->name, NULL, false, &answer);
    }
    if (r)
        return r;
    setup_say(s, SETUP_DONE,
              "token %s: made a key, signed, verified, and destroyed the key",
              s->name);
    unproven = json_object_get(json_object_get(answer, "key"), "unproven");
    for (size_t i = 0; i < json_array_size(unproven); i++)
        r = ctl_fail(CTL_EXIT_NO, "token %s does not prove of its keys: %s",
                     s->name, json_string_value(json_array_get(unproven, i)));
    return r;
}

static int lint_one(const char *file, unsigned line, const char *warning,
                    void *userdata)
{
    int *code = userdata;

    *code = ctl_fail(CTL_EXIT_NO, "%s:%u: warning: %s", file, line, warning);
    return 0;
}

/* What the daemon has in force is what was read here. */
static int reload(struct setup *s, const struct policy_set *set)
{
    CLEANUP_CTL_JSON json_t *status = NULL;
    uint8_t hash[32];
    char hex[2 * sizeof(hash) + 1];
    const char *theirs;
    int r;

    r = ctl_once(s->c, CTL_SOCKET_ADMIN, "Status", json_object(), &status);
    if (r)
        return r;
    policy_set_hash(set, hash);
    (void)sodium_bin2hex(hex, sizeof(hex), hash, sizeof(hash));
    theirs = ctl_string(status, "policyHash");
    if (theirs && strcmp(theirs, hex) == 0)
        return CTL_EXIT_DONE;
    r = ctl_once(s->c, CTL_SOCKET_ADMIN, "Reload", json_object(), NULL);
    if (r == 0)
        setup_say(s, SETUP_DONE, "the daemon has read the policy again");
    return r;
}

static int test_policy(struct setup *s)
{
    CLEANUP_POLICY_SET struct policy_set *set = NULL;
    struct errmsg why = { 0 };
    int code = CTL_EXIT_DONE;
    int r;

    r = policy_load(s->settings->policy_dir, s->settings->deny_domains, &set,
                    &why);
    if (r)
        return ctl_fail_load(r, &why, s->settings->policy_dir);
    r = reload(s, set);
    if (r)
        return r;
    r = policy_lint(set, lint_one, &code);
    if (r)
        return ctl_fail_errno(r, "policy lint");
    setup_say(s, SETUP_DONE, "policy: %zu rule sets, %zu names%s",
              policy_set_n_rulesets(set), policy_set_n_names(set),
              code ? ", with warnings" : "");
    return code;
}

static int test_audit(struct setup *s)
{
    unsigned long long line = 0;
    int r;

    if (!s->has_key) {
        setup_say(s, SETUP_LEFT,
                  "guardianctl audit verify, with the audit "
                  "log's first key");
        return CTL_EXIT_DONE;
    }
    r = ctl_audit_check(s->c, s->settings->log_dir, &s->key, &line);
    if (r == 0)
        setup_say(s, SETUP_DONE, "audit log: lines %llu to %llu fit",
                  (unsigned long long)s->key.line, line);
    return r;
}

/* An account comes after setup; anything else is for somebody to look at. */
static int judge_warning(struct setup *s, const char *text)
{
    if (!strstr(text, NO_ACCOUNT))
        return ctl_fail(CTL_EXIT_NO, "warning: %s", text);
    setup_say(s, SETUP_LEFT, "guardianctl account create (%s)", text);
    return CTL_EXIT_DONE;
}

static int test_status(struct setup *s)
{
    CLEANUP_CTL_JSON json_t *status = NULL;
    const json_t *list;
    int code = CTL_EXIT_DONE;
    int r;

    r = ctl_once(s->c, CTL_SOCKET_ADMIN, "Status", json_object(), &status);
    if (r)
        return r;
    list = json_object_get(status, "warnings");
    for (size_t i = 0; i < json_array_size(list); i++) {
        r = judge_warning(s, json_string_value(json_array_get(list, i)));
        code = code ? code : r;
    }
    if (!ctl_true(status, "ready"))
        code = ctl_fail(CTL_EXIT_NO, "not all is ready: guardianctl status");
    setup_say(s, SETUP_DONE, "status: %s, %s",
              ctl_true(status, "ready") ? "ready" : "not ready",
              ctl_string(status, "separation"));
    return code;
}

int setup_test_run(struct setup *s)
{
    int (*const tests[])(struct setup * s) = { test_token, test_policy,
                                               test_audit, test_status };
    int code = CTL_EXIT_DONE;

    /* All of them, and the first that found something is what we end with. */
    for (size_t i = 0; i < ARRAY_LEN(tests); i++) {
        int r = tests[i](s);

        code = code ? code : r;
    }
    return code;
}
