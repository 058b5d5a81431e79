/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/ctl-policy.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "client-shim/ctl-commands.h"
#include "client-shim/ctl-print.h"

/* policy lint, policy explain, policy check. */

/* The rest of a line in the words of files and requests. */
static void print_text(const char *text)
{
    for (; *text; text++) {
        unsigned char ch = (unsigned char)*text;

        (void)putchar(ch < 0x20 || ch == 0x7f ? '?' : ch);
    }
}

static void print_place(const char *file, unsigned line)
{
    print_text(file);
    (void)printf(":%u: ", line);
}

struct lint_output {
    json_t *list; /* NULL: as text */
    size_t n;
};

static int lint_one(const char *file, unsigned line, const char *warning,
                    void *userdata)
{
    struct lint_output *out = userdata;

    out->n++;
    if (out->list)
        return json_array_append_new(
                   out->list, json_pack("{s:s, s:i, s:s}", "file", file, "line",
                                        (int)line, "warning", warning))
                   ? -ENOMEM
                   : 0;
    print_place(file, line);
    (void)fputs("warning: ", stdout);
    print_text(warning);
    (void)putchar('\n');
    return 0;
}

static int run_lint(struct ctl_context *c)
{
    CLEANUP_POLICY_SET struct policy_set *set = NULL;
    CLEANUP_CTL_JSON json_t *list = c->json ? json_array() : NULL;
    struct lint_output out = { .list = list };
    int r;

    r = ctl_policy_load(c, c->n_operands > 0 ? c->operands[0] : NULL, &set);
    if (r)
        return r;
    r = policy_lint(set, lint_one, &out);
    if (r)
        return ctl_fail_errno(r, "policy lint");
    if (c->json)
        ctl_print_json(json_pack("{s:I, s:I, s:O}", "ruleSets",
                                 (json_int_t)policy_set_n_rulesets(set),
                                 "names", (json_int_t)policy_set_n_names(set),
                                 "warnings", list));
    else if (out.n == 0)
        (void)printf("%zu rule sets, %zu names, no warnings\n",
                     policy_set_n_rulesets(set), policy_set_n_names(set));
    return out.n > 0 ? CTL_EXIT_NO : CTL_EXIT_DONE;
}

/* The two parts of the one request that the options give. */
static int judge_options(const struct ctl_context *c, const struct ctl_case *k,
                         struct ctl_verdict *ret)
{
    const char *protected = ctl_args_value(c, "--protected");
    const char *payload = ctl_args_value(c, "--payload");
    int r;

    if (!protected || !payload)
        return ctl_fail(CTL_EXIT_USAGE, "%s needs --protected and --payload%s",
                        c->command->name,
                        strcmp(c->command->name, "policy check") == 0
                            ? ", or --batch"
                            : "");
    r = ctl_case_judge(k, bytes_from_str(protected), bytes_from_str(payload),
                       ret);
    return r ? ctl_fail_errno(r, c->command->name) : 0;
}

static json_t *verdict_json(const struct ctl_verdict *v)
{
    json_t *rule = NULL;

    if (v->rule_file)
        rule = json_sprintf("%s:%u", v->rule_file, v->rule_line);
    return json_pack("{s:s, s:s?, s:s*, s:o*}", "verdict", ctl_verdict_word(v),
                     "reason", v->reason ? reason_code(v->reason) : NULL,
                     "detail", v->refusal.detail[0] ? v->refusal.detail : NULL,
                     "rule", rule);
}

/* Exactly "allowed", "denied REASON" or "malformed REASON" on stdout. */
static void print_verdict(const struct ctl_verdict *v)
{
    (void)printf("%s%s%s\n", ctl_verdict_word(v), v->reason ? " " : "",
                 v->reason ? reason_code(v->reason) : "");
}

static int run_check(struct ctl_context *c)
{
    CLEANUP_CTL_CASE struct ctl_case k = { 0 };
    CLEANUP_CTL_VERDICT struct ctl_verdict v = { 0 };
    bool batch = ctl_args_has(c, "--batch");
    int r;

    if (batch &&
        (ctl_args_has(c, "--protected") || ctl_args_has(c, "--payload")))
        return ctl_fail(CTL_EXIT_USAGE,
                        "with --batch the requests come from stdin, not from "
                        "--protected and --payload");
    r = ctl_case_init(&k, c);
    if (r)
        return r;
    if (batch)
        return ctl_policy_batch(&k);
    r = judge_options(c, &k, &v);
    if (r)
        return r;
    if (c->json)
        ctl_print_json(verdict_json(&v));
    else
        print_verdict(&v);
    return (int)v.code;
}

static int explain_one(const struct policy_ruleset *rule, bool matched,
                       const char *condition, const char *why, void *userdata)
{
    json_t *list = userdata;
    const char *file = policy_ruleset_file(rule);
    unsigned line = policy_ruleset_line(rule);

    if (list)
        return json_array_append_new(
                   list,
                   json_pack("{s:s, s:i, s:b, s:s*, s:s*}", "file", file,
                             "line", (int)line, "matched", matched, "condition",
                             matched ? NULL : condition, "why", why))
                   ? -ENOMEM
                   : 0;
    print_place(file, line);
    print_text(condition);
    if (why) {
        (void)fputs(": ", stdout);
        print_text(why);
    }
    (void)putchar('\n');
    return 0;
}

static int explain(const struct ctl_context *c, const struct ctl_case *k,
                   const struct ctl_verdict *v, json_t *list)
{
    int r = 0;

    /* What cannot be read, no rule set is asked about. */
    if (v->request)
        r = policy_explain(k->set, &k->caller, &policy_names_nss, k->account,
                           v->request, explain_one, list);
    else if (!list)
        (void)printf("%s at %zu\n", v->refusal.detail, v->refusal.offset);
    return r ? ctl_fail_errno(r, c->command->name) : 0;
}

static int run_explain(struct ctl_context *c)
{
    CLEANUP_CTL_CASE struct ctl_case k = { 0 };
    CLEANUP_CTL_VERDICT struct ctl_verdict v = { 0 };
    CLEANUP_CTL_JSON json_t *list = c->json ? json_array() : NULL;
    CLEANUP_CTL_JSON json_t *answer = NULL;
    int r;

    r = ctl_case_init(&k, c);
    if (r == 0)
        r = judge_options(c, &k, &v);
    if (r == 0)
        r = explain(c, &k, &v, list);
    if (r)
        return r;
    if (!c->json) {
        print_verdict(&v);
        return (int)v.code;
    }
    answer = verdict_json(&v);
    if (!answer || json_object_set(answer, "ruleSets", list))
        return ctl_fail_errno(-ENOMEM, c->command->name);
    ctl_print_json(json_incref(answer));
    return (int)v.code;
}

/* All but the first one are also those of policy explain. */
static const struct ctl_option check_options[] = {
    { "--batch", NULL, "requests from stdin, a JSON object a line", 0, false,
      false },
    { "--account-file", "FILE", "the account as JSON: name, directory, key", 0,
      true, false },
    { "--uid", "N", "the caller's numeric user id", 0, true, false },
    { "--gid", "N", "a numeric group id of the caller", 0, false, true },
    { "--unit", "NAME", "the caller's system unit", 0, false, false },
    { "--instance", "NAME", "instance of the socket that it came through", 0,
      false, false },
    { "--policy-dir", "DIR", "read the policy here (policy.d of --config)", 0,
      false, false },
    { "--protected", "B64URL", "the protected header as sent", 0, false,
      false },
    { "--payload", "[B64URL]", "the payload as sent; may be empty", 0, false,
      false },
    { 0 },
};

const struct ctl_command ctl_policy_commands[] = {
    { "policy lint", "[DIR]", 0, 1, NULL,
      "check a policy, and warn of what is probably not meant", run_lint },
    { "policy explain", NULL, 0, 0, check_options + 1,
      "which rule sets match a request, and why not", run_explain },
    { "policy check", NULL, 0, 0, check_options,
      "would this request be signed?", run_check },
    { 0 },
};
