/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What is to be made: from the options, then from what is there, then from the
 * person at the terminal. Where there is none, what is missing is named, before
 * anything is touched.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "acme/dns-name.h"
#include "base/settings-value.h"
#include "client-shim/setup-ask.h"
#include "client-shim/setup.h"

#define TPM_DEVICE "/dev/tpmrm0"
#define SOFTHSM_MODULE "softhsm/libsofthsm2.so"
#define TPM_MODULE "pkcs11/libtpm2_pkcs11.so"

/* An answer of the person, or why there is none. */
static int ask(const struct setup *s, const char *option, const char *question,
               const char *preset, ask_check_fn check, char **ret)
{
    int r;

    if (!s->interactive)
        return ctl_fail(CTL_EXIT_USAGE, "setup needs %s here", option);
    r = ask_text(question, preset, check, NULL, ret);
    if (r == ASK_E_END)
        return ctl_fail(CTL_EXIT_USAGE, "no answer; %s gives it", option);
    return r ? ctl_fail_errno(r, "terminal") : CTL_EXIT_DONE;
}

/* An option's value, checked as an answer is. */
static int take(const struct setup *s, const char *option, ask_check_fn check,
                char **ret)
{
    const char *value = ctl_args_value(s->c, option);
    struct errmsg why = { 0 };

    if (!value)
        return CTL_EXIT_DONE;
    if (!check(value, NULL, &why))
        return ctl_fail(CTL_EXIT_USAGE, "%s: %s", option, why.text);
    *ret = strdup(value);
    return *ret ? CTL_EXIT_DONE : setup_no_memory();
}

static int take_or_ask(const struct setup *s, const char *option,
                       const char *question, const char *preset,
                       ask_check_fn check, char **ret)
{
    int r = take(s, option, check, ret);

    return r || *ret ? r : ask(s, option, question, preset, check, ret);
}

/* ---- what an answer may be ---- */

static bool check_name(const char *answer, void *userdata,
                       struct errmsg *reterr)
{
    (void)userdata;
    errmsg_set(reterr, "a name is 1 to 32 of a-z 0-9 . _ -");
    return settings_name_ok(answer);
}

static bool check_backend(const char *answer, void *userdata,
                          struct errmsg *reterr)
{
    (void)userdata;
    errmsg_set(reterr, "one of softhsm, tpm, sealed and module");
    return setup_backend_parse(answer) != SETUP_BACKEND_UNSET;
}

static bool check_module(const char *answer, void *userdata,
                         struct errmsg *reterr)
{
    struct stat st;

    (void)userdata;
    errmsg_set(reterr, "the absolute path of a PKCS#11 module (.so)");
    if (answer[0] != '/')
        return false;
    errmsg_set(reterr, "%s: no such file", answer);
    return stat(answer, &st) == 0 && S_ISREG(st.st_mode);
}

/* The helper reads it strictly; what could break the line is kept out here. */
static bool check_uri(const char *answer, void *userdata, struct errmsg *reterr)
{
    (void)userdata;
    errmsg_set(reterr, "an RFC 7512 URI that names one token, without PIN: "
                       "pkcs11:token=LABEL");
    if (strncmp(answer, "pkcs11:", 7) != 0 || !answer[7] ||
        strstr(answer, "pin-"))
        return false;
    for (const char *p = answer; *p; p++) {
        if ((unsigned char)*p <= 0x20 || (unsigned char)*p >= 0x7f)
            return false;
    }
    return true;
}

static bool check_tcti(const char *answer, void *userdata,
                       struct errmsg *reterr)
{
    (void)userdata;
    errmsg_set(reterr, "a TCTI without spaces, as device:" TPM_DEVICE);
    for (const char *p = answer; *p; p++) {
        if ((unsigned char)*p <= 0x20 || (unsigned char)*p >= 0x7f)
            return false;
    }
    return *answer;
}

static bool check_user(const char *answer, void *userdata,
                       struct errmsg *reterr)
{
    (void)userdata;
    errmsg_set(reterr, "one user, by name or number");
    return *answer &&
           strspn(answer, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                          "0123456789._-") == strlen(answer) &&
           answer[0] != '-';
}

static bool check_user_or_none(const char *answer, void *userdata,
                               struct errmsg *reterr)
{
    return !*answer || check_user(answer, userdata, reterr);
}

static bool check_domain(const char *answer, void *userdata,
                         struct errmsg *reterr)
{
    struct refusal refusal = { 0 };

    (void)userdata;
    if (dns_name_check(bytes_from_str(answer), false, &refusal) == 0)
        return true;
    errmsg_set(reterr, "%.128s: not a name in lower case, without wildcard: %s",
               answer, reason_code(refusal.reason));
    return false;
}

static bool check_domains(const char *answer, void *userdata,
                          struct errmsg *reterr)
{
    CLEANUP_FREE char *copy = strdup(answer);
    char *save = NULL;
    bool any = false;

    errmsg_set(reterr, "names, with spaces between them");
    for (char *w = copy ? strtok_r(copy, " \t,", &save) : NULL; w;
         w = strtok_r(NULL, " \t,", &save)) {
        any = true;
        if (!check_domain(w, userdata, reterr))
            return false;
    }
    return any;
}

/* ---- the token ---- */

static enum setup_backend backend_of(const struct settings_token *t)
{
    if (t->backend == SETTINGS_BACKEND_SEALED)
        return SETUP_BACKEND_SEALED;
    if (t->backend == SETTINGS_BACKEND_CRYPTOKI &&
        strstr(t->module, "/libsofthsm2.so"))
        return SETUP_BACKEND_SOFTHSM;
    if (t->backend == SETTINGS_BACKEND_CRYPTOKI &&
        strstr(t->module, "/libtpm2_pkcs11.so"))
        return SETUP_BACKEND_TPM;
    return SETUP_BACKEND_MODULE;
}

static int take_what_is_there(struct setup *s)
{
    const char *option = ctl_args_value(s->c, "--backend");

    s->backend = backend_of(s->token);
    if (!option || setup_backend_parse(option) == s->backend)
        return CTL_EXIT_DONE;
    return ctl_fail(CTL_EXIT_CONFIG,
                    "%s:%u: [Token %s] is there, and it is %s, not %s",
                    s->token->file, s->token->line, s->name,
                    setup_backend_name(s->backend), option);
}

static int answer_backend(struct setup *s)
{
    CLEANUP_FREE char *answer = NULL;
    int r;

    if (s->interactive && !ctl_args_has(s->c, "--backend"))
        (void)fputs("What holds the keys?\n"
                    "  tpm      this host's TPM 2.0\n"
                    "  module   an HSM or card, by its PKCS#11 module\n"
                    "  sealed   encrypted files on this host\n"
                    "  softhsm  SoftHSM2, to try things out\n",
                    stderr);
    r = take_or_ask(s, "--backend", "Backend",
                    access(TPM_DEVICE, F_OK) == 0 ? "tpm" : "sealed",
                    check_backend, &answer);
    if (r == 0)
        s->backend = setup_backend_parse(answer);
    return r;
}

/* Where Debian's packages have it. */
static int find_module(struct setup *s, const char *file, const char *package)
{
    static const char *const folders[] = { GUARDIAN_SYSLIBDIR, "/usr/lib",
                                           "/usr/lib64" };

    for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
        CLEANUP_BUF struct buf path = { 0 };

        if (buf_printf(&path, "%s/%s", folders[i], file))
            return setup_no_memory();
        if (access(buf_str(&path), R_OK) == 0) {
            s->module = buf_take_str(&path);
            return CTL_EXIT_DONE;
        }
    }
    return ctl_fail(CTL_EXIT_UNAVAILABLE,
                    "there is no %s: install the package %s, or name it with "
                    "--module",
                    file, package);
}

static int answer_tcti(struct setup *s)
{
    int r = take(s, "--tcti", check_tcti, &s->tcti);

    if (r || s->tcti)
        return r;
    if (access(TPM_DEVICE, F_OK) < 0)
        return ctl_fail(CTL_EXIT_UNAVAILABLE,
                        "there is no TPM 2.0 here: %s: %s", TPM_DEVICE,
                        strerror(errno));
    s->tcti = strdup("device:" TPM_DEVICE);
    return s->tcti ? CTL_EXIT_DONE : setup_no_memory();
}

/* An option that says nothing about this backend was meant for another. */
static int refuse_options(const struct setup *s)
{
    const struct {
        const char *option;
        bool fits;
    } rules[] = {
        { "--module", s->backend != SETUP_BACKEND_SEALED },
        { "--token-uri", s->backend == SETUP_BACKEND_MODULE },
        { "--tcti", s->backend == SETUP_BACKEND_TPM },
        { "--pin-file", s->backend != SETUP_BACKEND_SEALED },
        { "--no-recovery", s->backend != SETUP_BACKEND_MODULE },
        { "--recovery-passphrase-file", s->backend != SETUP_BACKEND_MODULE },
    };

    for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
        if (ctl_args_has(s->c, rules[i].option) && !rules[i].fits)
            return ctl_fail(CTL_EXIT_USAGE, "%s does not go with --backend %s",
                            rules[i].option, setup_backend_name(s->backend));
    }
    return CTL_EXIT_DONE;
}

/* The secrets themselves are read when they are needed, by who needs them. */
static int answer_secrets(const struct setup *s)
{
    if (s->interactive)
        return CTL_EXIT_DONE;
    if (s->backend == SETUP_BACKEND_MODULE)
        return ctl_args_has(s->c, "--pin-file")
                   ? CTL_EXIT_DONE
                   : ctl_fail(CTL_EXIT_USAGE, "setup needs --pin-file here");
    if (ctl_args_has(s->c, "--no-recovery") ||
        ctl_args_has(s->c, "--recovery-passphrase-file"))
        return CTL_EXIT_DONE;
    return ctl_fail(CTL_EXIT_USAGE,
                    "setup needs --recovery-passphrase-file or --no-recovery "
                    "here");
}

static int answer_token(struct setup *s)
{
    int r;

    r = answer_backend(s);
    if (r == 0)
        r = refuse_options(s);
    if (r == 0)
        r = take(s, "--module", check_module, &s->module);
    if (r == 0 && s->backend == SETUP_BACKEND_MODULE && !s->module)
        r = ask(s, "--module", "Path of the PKCS#11 module", NULL, check_module,
                &s->module);
    if (r == 0 && s->backend == SETUP_BACKEND_MODULE)
        r = take_or_ask(s, "--token-uri", "Token, as pkcs11:token=LABEL", NULL,
                        check_uri, &s->token_uri);
    if (r == 0 && s->backend == SETUP_BACKEND_SOFTHSM && !s->module)
        r = find_module(s, SOFTHSM_MODULE, "softhsm2");
    if (r == 0 && s->backend == SETUP_BACKEND_TPM && !s->module)
        r = find_module(s, TPM_MODULE, "libtpm2-pkcs11-1");
    if (r == 0 && s->backend == SETUP_BACKEND_TPM)
        r = answer_tcti(s);
    return r ? r : answer_secrets(s);
}

/* ---- the policy ---- */

static int is_policy(const struct dirent *e)
{
    size_t n = strlen(e->d_name);

    return e->d_name[0] != '.' && n > 7 &&
           strcmp(e->d_name + n - 7, ".policy") == 0;
}

static bool has_policy(const struct setup *s)
{
    struct dirent **names = NULL;
    int n = scandir(s->settings->policy_dir, &names, is_policy, alphasort);

    for (int i = 0; i < n; i++)
        free(names[i]);
    free(names);
    return n > 0;
}

static int add_domain(struct setup *s, const char *name)
{
    return settings_strv_add(&s->domains, name) ? setup_no_memory()
                                                : CTL_EXIT_DONE;
}

static int take_domains(struct setup *s)
{
    struct errmsg why = { 0 };
    int r = 0;

    for (size_t i = 0; r == 0 && i < ctl_args_count(s->c, "--domain"); i++) {
        const char *name = ctl_args_nth(s->c, "--domain", i);

        if (!check_domain(name, NULL, &why))
            return ctl_fail(CTL_EXIT_USAGE, "--domain: %s", why.text);
        r = add_domain(s, name);
    }
    return r;
}

static int answer_domains(struct setup *s)
{
    CLEANUP_FREE char *answer = NULL;
    char *save = NULL;
    int r = take_domains(s);

    if (r || s->domains)
        return r;
    r = ask(s, "--domain", "Which names may it order", NULL, check_domains,
            &answer);
    for (char *w = r == 0 ? strtok_r(answer, " \t,", &save) : NULL; r == 0 && w;
         w = strtok_r(NULL, " \t,", &save))
        r = add_domain(s, w);
    return r;
}

static int answer_account(struct setup *s)
{
    return take_or_ask(s, "--account", "Its account, whatever you will call it",
                       "letsencrypt", check_name, &s->account);
}

static int answer_policy(struct setup *s)
{
    bool given = ctl_args_has(s->c, "--client-user") ||
                 ctl_args_has(s->c, "--domain") ||
                 ctl_args_has(s->c, "--account");
    int r;

    if (given && ctl_args_has(s->c, "--no-policy"))
        return ctl_fail(CTL_EXIT_USAGE, "--no-policy goes with none of "
                                        "--client-user, --domain, --account");
    if (!given && (ctl_args_has(s->c, "--no-policy") || has_policy(s)))
        return CTL_EXIT_DONE;
    if (!s->interactive && !given)
        return ctl_fail(CTL_EXIT_USAGE,
                        "setup needs --client-user, --domain and --account "
                        "here, or --no-policy");
    r = given
            ? take_or_ask(s, "--client-user", "Which user runs the ACME client",
                          NULL, check_user, &s->user)
            : ask(s, "--client-user",
                  "Which user runs the first ACME client (empty: no policy "
                  "yet)",
                  "", check_user_or_none, &s->user);
    if (r || !*s->user) {
        free(s->user);
        s->user = NULL;
        return r;
    }
    r = answer_domains(s);
    return r ? r : answer_account(s);
}

int setup_answers(struct setup *s)
{
    int r;

    if (ctl_args_has(s->c, "--no-recovery") &&
        ctl_args_has(s->c, "--recovery-passphrase-file"))
        return ctl_fail(CTL_EXIT_USAGE, "--no-recovery and "
                                        "--recovery-passphrase-file exclude "
                                        "each other");
    if (ctl_args_has(s->c, "--no-recovery") && ctl_args_has(s->c, "--recover"))
        return ctl_fail(CTL_EXIT_USAGE, "--recover needs the passphrase that "
                                        "--no-recovery does without");
    r = take_or_ask(s, "--token", "Name of the token", "main", check_name,
                    &s->name);
    if (r)
        return r;
    s->token = settings_token(s->settings, s->name);
    s->added = !s->token;
    r = s->token ? take_what_is_there(s) : answer_token(s);
    return r ? r : answer_policy(s);
}

void setup_answers_deinit(struct setup *s)
{
    free(s->name);
    free(s->module);
    free(s->token_uri);
    free(s->tcti);
    free(s->user);
    free(s->account);
    settings_strv_free(s->domains);
}
