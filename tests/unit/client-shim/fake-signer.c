/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fake-signer.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "ipc/activation.h"
#include "ipc/interfaces.h"
#include "ipc/varlink-server.h"

#define RESTART 7
#define SIGNER "org.acmeguardian.Signer"

static const struct {
    const char *name, *parameters;
} errors[] = {
    { SIGNER ".PolicyDenied",
      "{\"operation\":\"order\",\"identifier\":\"example.net\",\"reason\":"
      "\"name-not-allowed\",\"rule\":\"a.policy:3\"}" },
    { SIGNER ".MalformedRequest",
      "{\"reason\":\"bad-nonce\",\"offset\":17,\"detail\":\"no nonce\"}" },
    { SIGNER ".UnknownAccount", "{}" },
    { SIGNER ".AccountNotReady", "{\"state\":\"needs-resolve\"}" },
    { SIGNER ".KeyChanged", "{\"thumbprint\":\"THP\"}" },
    { SIGNER ".TokenUnavailable", "{\"retryAfterMs\":1500}" },
    { SIGNER ".Busy", "{\"retryAfterMs\":20}" },
    { SIGNER ".AuditUnavailable", "{}" },
    { SIGNER ".RateLimited", "{\"retryAfterMs\":0}" },
    { SIGNER ".OfLaterVersions", "{\"detail\":[\"x\"],\"reason\":7}" },
    { "org.varlink.service.PermissionDenied", "{}" },
    { "net.example.Busy", "{}" },
};

static const char *text(const json_t *parameters, const char *name)
{
    return json_string_value(json_object_get(parameters, name));
}

static void answer_error(struct varlink_call *c, const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
        const char *last = strrchr(errors[i].name, '.') + 1;

        if (strcmp(name, last) == 0 || strcmp(name, errors[i].name) == 0) {
            varlink_error(c, errors[i].name,
                          bytes_from_str(errors[i].parameters));
            return;
        }
    }
    _exit(1);
}

/* Returns whether the call has been dealt with. */
static bool behave(struct varlink_call *c, const json_t *parameters,
                   struct fake_counts *counts)
{
    const char *account = text(parameters, "account");

    counts->calls++;
    if (!varlink_call_conn_data(c)) {
        counts->connections++;
        varlink_call_set_conn_data(c, counts, NULL);
    }
    if (!account)
        return false;
    if (strcmp(account, "hang") == 0)
        return true;
    if (strcmp(account, "die") == 0 && counts->deaths > 0) {
        counts->deaths--;
        _exit(RESTART);
    }
    if (strcmp(account, "slow") == 0)
        usleep(100 * 1000);
    if (strcmp(account, "broken") == 0)
        varlink_reply(c, bytes_from_str("{\"other\":1}"));
    else if (strncmp(account, "error:", 6) == 0)
        answer_error(c, account + 6);
    else
        return false;
    return true;
}

static void end_if_last(const char *account)
{
    if (account && strcmp(account, "last") == 0)
        _exit(RESTART);
}

static json_t *an_account(const char *name, const char *url)
{
    return json_pack("{s:s, s:s, s:s?, s:s, s:{s:s, s:s}, s:s, s:s}", "name",
                     name, "directory", "https://ca.example/dir", "url", url,
                     "alg", "ES256", "jwk", "kty", "EC", "crv", "P-256",
                     "thumbprint", "THP", "status", "valid");
}

static void on_list(struct varlink_call *c, const json_t *parameters,
                    void *userdata)
{
    if (behave(c, parameters, userdata))
        return;
    varlink_reply_json(c,
                       json_pack("{s:[o,o]}", "accounts",
                                 an_account("one", "https://ca.example/acct/1"),
                                 an_account("two", NULL)));
}

static void on_get(struct varlink_call *c, const json_t *parameters,
                   void *userdata)
{
    const char *account = text(parameters, "account");

    if (behave(c, parameters, userdata))
        return;
    varlink_reply_json(c,
                       json_pack("{s:o}", "account",
                                 an_account(account ? account : "only", NULL)));
}

static void on_sign(struct varlink_call *c, const json_t *parameters,
                    void *userdata)
{
    CLEANUP_FREE char *account = NULL;
    char signature[256];

    if (behave(c, parameters, userdata))
        return;
    if (text(parameters, "account"))
        account = strdup(text(parameters, "account"));
    (void)snprintf(
        signature, sizeof(signature), "%s|%s|%s|%s", account ? account : "-",
        text(parameters, "url"), text(parameters, "nonce"),
        text(parameters, "thumbprint") ? text(parameters, "thumbprint") : "-");
    varlink_reply_json(c, json_pack("{s:s, s:s, s:s}", "protected", "PROT",
                                    "payload", text(parameters, "payload"),
                                    "signature", signature));
    end_if_last(account);
}

static void on_sign_input(struct varlink_call *c, const json_t *parameters,
                          void *userdata)
{
    char signature[256];

    if (behave(c, parameters, userdata))
        return;
    (void)snprintf(signature, sizeof(signature), "%s.%s",
                   text(parameters, "protected"), text(parameters, "payload"));
    varlink_reply_json(c, json_pack("{s:s}", "signature", signature));
}

static void on_key_authorization(struct varlink_call *c,
                                 const json_t *parameters, void *userdata)
{
    if (behave(c, parameters, userdata))
        return;
    varlink_reply_json(
        c, json_pack("{s:s+, s:s, s:s, s:s?}", "keyAuthorization",
                     text(parameters, "token"), ".THP", "dns01", "DNS",
                     "tlsAlpn01", "ALPN", "dnsAccount01Label",
                     text(parameters, "account") ? "_label" : NULL));
}

static void on_check(struct varlink_call *c, const json_t *parameters,
                     void *userdata)
{
    const json_t *names = json_object_get(parameters, "identifiers");
    const char *second = json_string_value(json_array_get(names, 1));

    if (behave(c, parameters, userdata))
        return;
    if (!second) {
        varlink_reply(c, bytes_from_str("{\"allowed\":true,\"reason\":null}"));
        return;
    }
    varlink_reply_json(c, json_pack("{s:b, s:s, s:s, s:s}", "allowed", 0,
                                    "reason", text(parameters, "operation"),
                                    "identifier", second, "rule", "b:1"));
}

static const struct varlink_method methods[] = {
    { "ListAccounts", on_list, 0 },
    { "GetAccount", on_get, 0 },
    { "Sign", on_sign, 0 },
    { "SignInput", on_sign_input, 0 },
    { "KeyAuthorization", on_key_authorization, 0 },
    { "Check", on_check, 0 },
};

/* A process; nothing is freed, it ends by being killed. */
static void worker_main(struct fake_signer *s)
{
    static const char *const served[] = { SIGNER, NULL };
    static const struct varlink_info info = { "test", "test", "1", "" };
    static const struct varlink_limits limits = { 64, 64 };
    struct varlink_interface interface = { .name = SIGNER,
                                           .description =
                                               varlink_org_acmeguardian_Signer,
                                           .methods = methods,
                                           .n_methods = ARRAY_LEN(methods),
                                           .userdata = s->counts };
    struct varlink_listener listener = { .interfaces = served,
                                         .use_peerpidfd = true };
    struct varlink_server *server;
    sd_event *event;

    s->counts->starts++;
    if (sd_event_new(&event) < 0 ||
        varlink_server_new(event, &limits, &info, &server) != 0 ||
        varlink_server_add(server, &interface) != 0 ||
        varlink_server_listen(server, s->fd, &listener) != 0)
        _exit(1);
    (void)sd_event_loop(event);
    _exit(1);
}

static void die_with_parent(pid_t parent)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
        _exit(1);
}

static void supervisor_main(struct fake_signer *s)
{
    int status;

    do {
        pid_t me = getpid();
        pid_t pid = fork();

        if (pid == 0) {
            die_with_parent(me);
            worker_main(s);
        }
        if (pid < 0 || waitpid(pid, &status, 0) != pid)
            _exit(1);
    } while (WIFEXITED(status) && WEXITSTATUS(status) == RESTART);
    _exit(1);
}

void fake_signer_start(struct fake_signer *s)
{
    pid_t me = getpid();

    *s = (struct fake_signer){ .dir = "/tmp/signer-XXXXXX" };
    assert_non_null(mkdtemp(s->dir));
    (void)snprintf(s->path, sizeof(s->path), "%s/s", s->dir);
    s->counts = mmap(NULL, sizeof(*s->counts), PROT_READ | PROT_WRITE,
                     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(s->counts, MAP_FAILED);
    assert_int_equal(activation_listen(s->path, 0600, (uid_t)-1, &s->fd, NULL),
                     0);
    s->pid = fork();
    assert_true(s->pid >= 0);
    if (s->pid == 0) {
        die_with_parent(me);
        supervisor_main(s);
    }
}

void fake_signer_stop(struct fake_signer *s)
{
    kill(s->pid, SIGKILL);
    (void)waitpid(s->pid, NULL, 0);
    close(s->fd);
    (void)munmap(s->counts, sizeof(*s->counts));
    (void)unlink(s->path);
    (void)rmdir(s->dir);
}
