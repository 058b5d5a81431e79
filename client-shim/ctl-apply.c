/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/ctl-apply.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "client-shim/ctl-print.h"

/*
 * apply: makes the registry and the CAs match accounts.d. It never deletes, and
 * what it finds as it should be costs no request to a CA.
 */

#define CAS_MAX 32
#define MAX_WAIT_DEFAULT_S 3600

static void apply_deinit(struct apply *a)
{
    ctl_daemon_deinit(&a->daemon);
    for (size_t i = 0; i < a->n_cas; i++)
        ctl_conversation_deinit(&a->cas[i].v);
    for (size_t i = 0; a->steps && i < a->wishes->n; i++)
        apply_step_deinit(&a->steps[i]);
    free(a->cas);
    free(a->steps);
    json_decref(a->full);
    json_decref(a->report);
    a->wishes = account_wishes_free(a->wishes);
}

static int load(struct apply *a)
{
    struct errmsg err = { 0 };
    int r;

    r = account_files_load(a->c->config_dir, &a->wishes, &err);
    if (r)
        return ctl_fail_load(r, &err, a->c->config_dir);
    a->steps = calloc(a->wishes->n + 1, sizeof(*a->steps));
    a->cas = calloc(CAS_MAX, sizeof(*a->cas));
    a->full = json_object();
    a->report = json_array();
    return a->steps && a->cas && a->full && a->report
               ? CTL_EXIT_DONE
               : ctl_fail_errno(-ENOMEM, a->c->config_dir);
}

/* Every child before the first connection to the daemon. */
static int start_children(struct apply *a, unsigned max_wait_s)
{
    for (size_t i = 0; i < a->wishes->n; i++) {
        const struct account_wish *w = &a->wishes->items[i];
        struct apply_ca *ca = &a->cas[a->n_cas];
        int r;

        if (apply_find_ca(a, w))
            continue;
        if (a->n_cas == CAS_MAX)
            return ctl_fail(CTL_EXIT_CONFIG,
                            "%s: with the CA of this file there are above %d",
                            w->file, CAS_MAX);
        *ca = (struct apply_ca){ .directory = w->directory,
                                 .ca_file = w->ca_file };
        a->n_cas++;
        r = ctl_ca_open_with(&a->plain, w->ca_file, &ca->v.ca);
        if (r)
            return r;
        ca->v.context = &a->plain;
        ca->v.ca.wait_max_s = max_wait_s;
    }
    return CTL_EXIT_DONE;
}

static int connect_all(struct apply *a)
{
    int r = ctl_daemon_open(&a->plain, CTL_SOCKET_ADMIN, &a->daemon);

    for (size_t i = 0; r == 0 && i < a->n_cas; i++)
        r = ctl_daemon_open(&a->plain, CTL_SOCKET_ADMIN, &a->cas[i].v.daemon);
    return r;
}

static int plan(struct apply *a)
{
    CLEANUP_CTL_JSON json_t *all = NULL;
    CLEANUP_CTL_JSON json_t *by_name = json_object();
    int r = ctl_account_all(&a->daemon, &all);

    for (size_t i = 0; r == 0 && i < json_array_size(all); i++) {
        json_t *facts = json_array_get(all, i);
        const char *name = ctl_string(facts, "name");

        if (!name || json_object_set(by_name, name, facts) < 0)
            r = ctl_fail_errno(-ENOMEM, "accounts");
        else if (!account_files_find(a->wishes, name))
            a->n_without_file++;
    }
    for (size_t i = 0; r == 0 && i < a->wishes->n; i++) {
        const struct account_wish *w = &a->wishes->items[i];
        int e =
            apply_compare(w, json_object_get(by_name, w->name), &a->steps[i]);

        if (e)
            r = ctl_fail_errno(e, w->name);
    }
    return r;
}

static int planned_texts(const struct apply_step *s, json_t *ret)
{
    for (unsigned bit = APPLY_CREATE; bit <= APPLY_LAST; bit <<= 1) {
        CLEANUP_BUF struct buf text = { 0 };

        if (!(s->actions & bit))
            continue;
        if (apply_action_text(s->wish, (enum apply_action)bit, &text) ||
            json_array_append_new(ret, json_string(buf_str(&text))) < 0)
            return ctl_fail_errno(-ENOMEM, s->wish->name);
    }
    return CTL_EXIT_DONE;
}

static void print_lines(const char *name, const char *verb, const json_t *texts)
{
    for (size_t i = 0; i < json_array_size(texts); i++)
        (void)printf("%s: %s%s\n", name, verb,
                     json_string_value(json_array_get(texts, i)));
}

/* *code is the first that is no success. */
static void note(int *code, int r)
{
    if (*code == CTL_EXIT_DONE)
        *code = r;
}

static int run_step(struct apply *a, struct apply_step *s, bool dry, int *code)
{
    CLEANUP_CTL_JSON json_t *done = json_array();
    const char *name = s->wish->name;
    int r;

    r = dry ? planned_texts(s, done) : apply_run_step(a, s, done);
    a->n_changed += json_array_size(done) > 0;
    a->n_kept += json_array_size(s->not_done) > 0;
    a->n_failed += r != 0;
    note(code, r);
    if (json_array_size(s->not_done) > 0 || (dry && s->actions))
        note(code, CTL_EXIT_NO);
    if (!a->c->json) {
        print_lines(name, dry ? "would " : "done: ", done);
        print_lines(name, "NOT DONE: ", s->not_done);
        (void)fflush(stdout);
        return 0;
    }
    return json_array_append_new(
               a->report, json_pack("{s:s, s:O, s:O, s:i}", "account", name,
                                    dry ? "would" : "done", done, "notDone",
                                    s->not_done, "code", r)) < 0
               ? -ENOMEM
               : 0;
}

static int print_summary(struct apply *a, bool dry, int code)
{
    if (a->c->json) {
        ctl_print_json(json_pack("{s:O, s:i, s:i}", "accounts", a->report,
                                 "withoutFile", (int)a->n_without_file, "code",
                                 code));
        return code;
    }
    (void)printf("%zu accounts in files: %zu %s, %zu that differ and stay so, "
                 "%zu failed\n",
                 a->wishes->n, a->n_changed,
                 dry ? "would be changed" : "changed", a->n_kept, a->n_failed);
    if (a->n_without_file)
        (void)printf("%zu accounts have no file and are left alone\n",
                     a->n_without_file);
    return code;
}

static int run_all(struct apply *a, bool dry)
{
    int code = CTL_EXIT_DONE;
    int r = plan(a);

    if (r == 0)
        r = apply_say_room(a);
    if (r)
        return r;
    for (size_t i = 0; i < a->wishes->n; i++) {
        r = run_step(a, &a->steps[i], dry, &code);
        if (r)
            return ctl_fail_errno(r, a->wishes->items[i].name);
    }
    return print_summary(a, dry, code);
}

static int run_apply(struct ctl_context *c)
{
    CLEANUP(apply_deinit) struct apply a = { .c = c, .plain = *c };
    bool dry = ctl_args_has(c, "--dry-run");
    uint64_t max_wait_s = MAX_WAIT_DEFAULT_S;
    struct errmsg err = { 0 };
    int r;

    /* There is one document at the end; what fails says so on stderr. */
    a.plain.json = false;
    r = ctl_args_uint(c, "--max-wait", 0, NET_RETRY_MAX_S, &max_wait_s, &err);
    if (r)
        return ctl_fail_at(CTL_EXIT_USAGE, &err);
    r = load(&a);
    if (r == 0 && !dry)
        r = start_children(&a, (unsigned)max_wait_s);
    if (r == 0)
        r = connect_all(&a);
    return r ? r : run_all(&a, dry);
}

static const struct ctl_option apply_options[] = {
    { "--dry-run", NULL, "say what would be done, and do nothing", 0, false,
      false },
    { "--max-wait", "SECONDS", "wait no longer when a CA asks to (3600)", 0,
      false, false },
    { "--timeout", "SECONDS", "for each request to the CA (60)", 0, false,
      false },
    { 0 },
};

const struct ctl_command ctl_apply_commands[] = {
    { "apply", NULL, 0, 0, apply_options,
      "make accounts what their files in accounts.d say", run_apply },
    { 0 },
};
