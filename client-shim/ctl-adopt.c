/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/adopt.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "client-shim/ctl-account.h"
#include "client-shim/ctl-print.h"
#include "client-shim/ctl-rotate.h"
#include "client-shim/ctl-stub.h"

#define UNKNOWN "org.acmeguardian.Admin.NoSuchAccount"

void adopt_deinit(struct adopt *a)
{
    a->key = outside_key_free(a->key);
    adopt_found_deinit(&a->found);
    a->files = owner_files_free(a->files);
    ctl_conversation_deinit(&a->talk);
    json_decref(a->rotation);
    json_decref(a->contacts);
    a->rotation = a->contacts = NULL;
}

static const char *option(const struct adopt *a, const char *name)
{
    return ctl_args_value(a->context, name);
}

/* ---- options ---- */

static int read_options(struct ctl_context *c, struct adopt *a)
{
    const char *from = ctl_args_value(c, "--from");
    bool stub = ctl_args_has(c, "--install-stub");
    bool retired = ctl_args_has(c, "--client-retired");

    *a = (struct adopt){ .context = c, .path = c->operands[1] };
    a->talk =
        (struct ctl_conversation){ .context = c, .account = c->operands[0] };
    a->kind = client_kind_find(from);
    if (a->kind == CLIENT_UNSET)
        return ctl_fail(CTL_EXIT_USAGE,
                        "--from is certbot, acme.sh, lego, dehydrated, getssl, "
                        "haproxy or pem, not %s",
                        from);
    if (stub && retired)
        return ctl_fail(CTL_EXIT_USAGE,
                        "--install-stub and --client-retired exclude each "
                        "other");
    a->after = stub      ? ADOPT_AFTER_STUB
               : retired ? ADOPT_AFTER_RETIRE
                         : ADOPT_AFTER_NOTHING;
    /* The list of stubs has absolute paths. */
    if (stub && *a->path != '/')
        return ctl_fail(CTL_EXIT_USAGE, "%s: is no absolute path", a->path);
    return CTL_EXIT_DONE;
}

/* Only with --new-account something is registered. */
static int read_registration(struct adopt *a)
{
    static const char *const names[] = { "--contact", "--agree-terms",
                                         "--eab-kid", "--eab-key" };

    if (ctl_args_has(a->context, "--new-account")) {
        a->contacts = json_array();
        a->registration.contacts = a->contacts;
        a->talk.registration = &a->registration;
        return ctl_register_options_read(a->context, &a->registration);
    }
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (ctl_args_has(a->context, names[i]))
            return ctl_fail(CTL_EXIT_USAGE, "%s goes with --new-account",
                            names[i]);
    }
    return CTL_EXIT_DONE;
}

static const char *wanted_directory(const struct adopt *a)
{
    const char *text = option(a, "--directory");

    return text ? ctl_known_directory(text) : NULL;
}

/* ---- the client's files ---- */

/* With accounts below it, and so with the client's lock in it. */
static int is_whole(struct adopt *a, bool *ret, struct errmsg *reterr)
{
    const struct client_kind_facts *f = client_kind_facts(a->kind);
    CLEANUP_FREE struct owner_found *accounts = calloc(1, sizeof(*accounts));
    int r;

    if (!accounts)
        return -ENOMEM;
    if (owner_files_given(a->files))
        return 0;
    r = owner_files_find(a->files, f->under, f->key, f->depth, accounts,
                         reterr);
    *ret = r == 0 && accounts->n > 0;
    return r;
}

/* It may not run meanwhile: it would sign with a key that dies. */
static int lock(struct adopt *a)
{
    const struct client_kind_facts *f = client_kind_facts(a->kind);
    struct errmsg err = { 0 };
    bool whole = false;
    int r;

    if (f->lock == CLIENT_LOCK_NONE)
        return CTL_EXIT_DONE;
    r = is_whole(a, &whole, &err);
    if (r == 0 && !whole)
        return ctl_fail(CTL_EXIT_DONE,
                        "%s: is not the whole directory of %s, so its lock is "
                        "not held: it must not run meanwhile",
                        a->path, f->name);
    if (r == 0)
        r = owner_files_lock(a->files, f->lock_file,
                             f->lock == CLIENT_LOCK_RECORD, &err);
    return r ? ctl_fail_files(r, &err, a->path) : CTL_EXIT_DONE;
}

static int find(struct adopt *a)
{
    const struct adopt_wish wish = { .kind = a->kind,
                                     .directory = wanted_directory(a),
                                     .url = option(a, "--account-url") };
    struct errmsg err = { 0 };
    int r;

    if (option(a, "--directory") && !wish.directory)
        return ctl_fail(CTL_EXIT_USAGE,
                        "%s: no CA of that name (guardianctl ca list), and no "
                        "URL",
                        option(a, "--directory"));
    r = adopt_find(a->files, &wish, &a->found, &err);
    if (r)
        return ctl_fail_files(r, &err, a->path);
    if (a->found.directory[0])
        return CTL_EXIT_DONE;
    return ctl_fail(CTL_EXIT_USAGE,
                    "%s: %s does not say which CA: --directory does", a->path,
                    client_kind_facts(a->kind)->name);
}

static int parse_key(struct adopt *a)
{
    struct errmsg err = { 0 };
    int r;

    if (a->found.has != ADOPT_KEY_OWN)
        return CTL_EXIT_DONE;
    r = outside_key_parse(a->found.content, &a->key, &err);
    if (r == OUTSIDE_KEY_E_ENCRYPTED)
        return ctl_fail(CTL_EXIT_NO,
                        "%s: %s: %s; decrypt it with openssl pkey, and adopt "
                        "that with --from pem",
                        a->path, a->found.key, err.text);
    if (r > 0)
        return ctl_fail(CTL_EXIT_NO, "%s: %s: %s", a->path, a->found.key,
                        err.text);
    return r ? ctl_fail_errno(r, a->path) : CTL_EXIT_DONE;
}

/* A client that has neither its key nor a stub stops renewing. */
static int check_client(struct adopt *a)
{
    const struct client_kind_facts *f = client_kind_facts(a->kind);
    CLEANUP_BUF struct buf stops = { 0 };
    int r;

    if (a->after == ADOPT_AFTER_RETIRE)
        return CTL_EXIT_DONE;
    /* Left with its old key it would register that anew. */
    if (f->stub && a->after == ADOPT_AFTER_NOTHING &&
        !ctl_args_has(a->context, "--dry-run"))
        return ctl_fail(CTL_EXIT_USAGE,
                        "%s would register a new account with the key that it "
                        "has now: --install-stub puts a stub in its place, "
                        "with --client-retired the client stops",
                        f->name);
    if (f->stub)
        return CTL_EXIT_DONE;
    r = adopt_stops(a, &stops);
    if (r)
        return r;
    return ctl_fail(CTL_EXIT_NO,
                    "client-cannot-use-this-key: %s cannot sign with a key "
                    "that is on a token: it would renew nothing any more%s%s. "
                    "%s take over. With --client-retired the account is "
                    "adopted, and %s does not sign any more",
                    f->name, stops.len ? ", so not " : "", buf_str(&stops),
                    f->instead, f->name);
}

/* ---- the daemon ---- */

/* Is the account here already, of an adoption that was interrupted? */
static int look(struct adopt *a)
{
    CLEANUP_CTL_JSON json_t *answer = NULL;
    int r;

    a->talk.daemon.expected = UNKNOWN;
    r = ctl_daemon_call(&a->talk.daemon, "AccountShow",
                        json_pack("{s:s}", "name", a->talk.account),
                        &a->talk.shown);
    a->talk.daemon.expected = NULL;
    if (r == CTL_EXIT_NO && !ctl_conversation_facts(&a->talk))
        return CTL_EXIT_DONE;
    if (r == 0)
        r = ctl_daemon_call(&a->talk.daemon, "RotationStatus",
                            json_pack("{s:s}", "account", a->talk.account),
                            &answer);
    if (r)
        return r;
    a->rotation =
        json_incref(json_array_get(json_object_get(answer, "rotations"), 0));
    return CTL_EXIT_DONE;
}

static bool is_member(const json_t *object, const char *name, const char *value)
{
    const char *s = ctl_string(object, name);

    return s && value && strcmp(s, value) == 0;
}

/* The rotation by which this account came here. */
static bool is_adoption(const struct adopt *a)
{
    return is_member(a->rotation, "kind", "adopt") ||
           is_member(a->rotation, "kind", "move");
}

bool adopt_has_switched(const struct adopt *a)
{
    static const char *const states[] = { "switched", "cleaned", "done" };

    for (size_t i = 0; is_adoption(a) && i < ARRAY_LEN(states); i++) {
        if (is_member(a->rotation, "state", states[i]))
            return true;
    }
    return false;
}

/* Whatever lies in the client's files must be this account's. */
static int check_same(const struct adopt *a)
{
    const json_t *facts = ctl_conversation_facts(&a->talk);
    char thumbprint[JWK_THP_TEXT_LEN + 1];

    if (a->found.has == ADOPT_KEY_STUB &&
        strcmp(a->found.stub_account, a->talk.account) != 0)
        return ctl_fail(CTL_EXIT_NO, "%s: has a stub of the account %s",
                        a->path, a->found.stub_account);
    if (!facts && !a->key)
        return ctl_fail(CTL_EXIT_NO,
                        "%s: there is no key any more, and no account %s here",
                        a->path, a->talk.account);
    if (!facts || !a->key)
        return CTL_EXIT_DONE;
    if (!is_adoption(a))
        return ctl_fail(CTL_EXIT_NO,
                        "%s: an account of that name is here, and was not "
                        "adopted: choose another name",
                        a->talk.account);
    if (jwk_thumbprint_text(outside_key_public(a->key), thumbprint) == 0 &&
        is_member(a->rotation, "oldThumbprint", thumbprint))
        return CTL_EXIT_DONE;
    return ctl_fail(CTL_EXIT_NO,
                    "%s: the account %s was adopted from another key than the "
                    "one that is there",
                    a->path, a->talk.account);
}

/* ---- the CA ---- */

static int fetch_directory(struct adopt *a)
{
    struct ctl_conversation *v = &a->talk;
    int r;

    v->ca.allow_http = ctl_args_has(a->context, "--allow-http-loopback") ||
                       ctl_true(ctl_conversation_facts(v), "allowHttpLoopback");
    r = ctl_ca_get(&v->ca, NET_KIND_DIRECTORY, a->found.directory);
    if (r)
        return r;
    v->directory = malloc(sizeof(*v->directory));
    if (!v->directory)
        return ctl_fail_errno(-ENOMEM, a->path);
    *v->directory = v->ca.answer->directory;
    return CTL_EXIT_DONE;
}

static int check_key_change(const struct adopt *a)
{
    if (ctl_args_has(a->context, "--new-account"))
        return ctl_register_check_terms(a->context, a->talk.directory,
                                        a->registration.agree_terms);
    if (a->talk.directory->key_change[0])
        return CTL_EXIT_DONE;
    return ctl_fail(CTL_EXIT_NO,
                    "key-change-unsupported: %s names no keyChange: with "
                    "--new-account a new account takes the old one's place",
                    a->found.directory);
}

static int check_url(const struct adopt *a)
{
    const char *wanted = option(a, "--account-url");
    const char *stored = wanted ? wanted : a->found.url;

    if (!*stored || strcmp(stored, a->url) == 0)
        return CTL_EXIT_DONE;
    return ctl_fail(CTL_EXIT_NO,
                    "account-url-differs: %s is %s, but the CA says that the "
                    "key is that of %s (--account-url %s takes the CA's word)",
                    wanted ? "--account-url" : "the account in its files",
                    stored, a->url, a->url);
}

/* Nothing is known of the key there: another CA's, or one that was changed. */
static int report_unknown(const struct adopt *a)
{
    return ctl_fail(CTL_EXIT_NO,
                    "account-unknown: %s does not know the key in %s: is it "
                    "of another CA (staging?), or was it changed?",
                    a->found.directory, a->path);
}

static int ask_ca(struct adopt *a)
{
    int r;

    if (!a->key || adopt_has_switched(a))
        return CTL_EXIT_DONE;
    r = fetch_directory(a);
    if (r == 0)
        r = check_key_change(a);
    if (r == 0)
        r = adopt_ask(a);
    if (r)
        return r;
    /* A switch whose answer was lost: the rotation finds that out. */
    if (!a->url[0] && is_adoption(a)) {
        (void)snprintf(a->url, sizeof(a->url), "%s",
                       ctl_string(ctl_conversation_facts(&a->talk), "url"));
        return CTL_EXIT_DONE;
    }
    return a->url[0] ? check_url(a) : report_unknown(a);
}

/* ---- what was found ---- */

static const char *type_name(const struct jwk *key)
{
    return key->type == JWK_TYPE_RSA    ? "RSA"
           : key->type == JWK_TYPE_P384 ? "P-384"
           : key->type == JWK_TYPE_P256 ? "P-256"
                                        : "Ed25519";
}

static void warn_of_pem(const struct adopt *a)
{
    if (a->kind == CLIENT_PEM && a->after == ADOPT_AFTER_STUB)
        (void)ctl_fail(CTL_EXIT_DONE,
                       "%s: only a client that signs whole requests through "
                       "OpenSSL can use a stub: not uacme of Debian, mod_md or "
                       "nginx-acme",
                       a->path);
}

static int print_found(const struct adopt *a)
{
    CLEANUP_CTL_TABLE struct ctl_table t = { .n_columns = 2 };
    CLEANUP_BUF struct buf file = { 0 };
    char thumbprint[JWK_THP_TEXT_LEN + 1] = "";
    const struct jwk *key = a->key ? outside_key_public(a->key) : NULL;

    if (a->context->json)
        return CTL_EXIT_DONE;
    if (owner_files_whole(a->files, a->found.key, &file) ||
        (key && jwk_thumbprint_text(key, thumbprint)))
        return ctl_fail_errno(-ENOMEM, a->path);
    ctl_table_pair(&t, "client", client_kind_facts(a->kind)->name);
    ctl_table_pair(&t, "key", buf_str(&file));
    ctl_table_pair(&t, "type", key ? type_name(key) : "none any more");
    ctl_table_pair(&t, "thumbprint", key ? thumbprint : NULL);
    ctl_table_pair(&t, "directory", a->found.directory);
    ctl_table_pair(&t, "account", a->url[0] ? a->url : a->found.url);
    return ctl_table_print(&t);
}

/* ---- adopting ---- */

static int rotate(struct adopt *a)
{
    struct ctl_conversation *v = &a->talk;
    struct net_directory *directory = v->directory;
    int r;

    v->outside = a->key;
    /* Fetched for this account, which the daemon did not have yet. */
    v->directory = NULL;
    r = ctl_conversation_select(v, v->account);
    v->directory = directory;
    if (r == 0)
        r = ctl_conversation_directory(v, NULL);
    /* The endpoints are known now. */
    if (r == 0)
        r = ctl_conversation_select(v, v->account);
    if (r)
        return r;
    json_decref(a->rotation);
    a->rotation = NULL;
    return ctl_rotate_go_on(v, &a->rotation);
}

/* ---- the end ---- */

static int report(const struct adopt *a)
{
    static const char *const results[] = { NULL, "stub", "retired" };

    if (a->context->json) {
        ctl_print_json(json_pack("{s:s, s:O, s:s*}", "account", a->talk.account,
                                 "rotation", a->rotation, "client",
                                 results[a->after]));
        return CTL_EXIT_DONE;
    }
    (void)printf("%s: adopted\n", a->talk.account);
    if (a->after == ADOPT_AFTER_STUB)
        (void)printf("%s has a stub in place of its key: guardianctl "
                     "client-setup shows what else it needs\n",
                     client_kind_facts(a->kind)->name);
    else
        (void)printf("%s does not sign any more; its old key, which the CA "
                     "does not take any more, lies beside where it was\n",
                     client_kind_facts(a->kind)->name);
    return CTL_EXIT_DONE;
}

/* The client's key is dead. An account that was moved from has a live one until
 * it is deactivated, which wants that key. */
static bool is_ours_alone(const struct adopt *a)
{
    return adopt_has_switched(a) && (is_member(a->rotation, "kind", "adopt") ||
                                     is_member(a->rotation, "state", "done"));
}

/* What is known of the key that the client has. */
static const char *key_now(const struct adopt *a)
{
    static const struct {
        const char *state, *text;
    } states[] = {
        { "switching",
          "which key the CA has is not known yet; keep the one in" },
        { "unresolved", "which key the CA has is not known yet; keep the one "
                        "in" },
        { "account-lost", "no key opens the account any more, not the one in" },
        { "switched", "the old account is not deactivated yet, which takes the "
                      "key in" },
        { "cleaned", "the old account is not deactivated yet, which takes the "
                     "key in" },
    };

    for (size_t i = 0; i < ARRAY_LEN(states); i++) {
        if (is_member(a->rotation, "state", states[i].state))
            return states[i].text;
    }
    return "the client goes on with the key in";
}

static int finish(struct adopt *a)
{
    int r;

    if (!is_ours_alone(a)) {
        if (a->context->json)
            ctl_print_json(json_pack("{s:s, s:O}", "account", a->talk.account,
                                     "rotation", a->rotation));
        return ctl_fail(CTL_EXIT_NO,
                        "%s: %s%s%s: %s %s; rotate status %s says more",
                        a->talk.account, ctl_string(a->rotation, "state"),
                        ctl_string(a->rotation, "reason") ? ": " : "",
                        ctl_string(a->rotation, "reason")
                            ? ctl_string(a->rotation, "reason")
                            : "",
                        key_now(a), a->path, a->talk.account);
    }
    /* Its new key is in the daemon's answer of now. */
    r = ctl_conversation_select(&a->talk, a->talk.account);
    if (r == 0)
        r = adopt_place(a);
    return r ? r : report(a);
}

/* ---- the command ---- */

/* Children first: what they hold is of before there were secrets. */
static int open_all(struct adopt *a)
{
    CLEANUP_SETTINGS struct settings *settings = NULL;
    struct errmsg err = { 0 };
    int r = ctl_settings(a->context, &settings);

    if (r)
        return r;
    r = owner_files_open(a->path, &a->files, &err);
    if (r)
        return ctl_fail_files(r, &err, a->path);
    r = ctl_ca_open_for(a->context, a->talk.account, false, &a->talk.ca);
    if (r)
        return r;
    if (secrets_init(settings->allow_swappable, &err) || outside_key_init(&err))
        return ctl_fail_at(CTL_EXIT_UNAVAILABLE, &err);
    r = lock(a);
    return r ? r
             : ctl_daemon_open(a->context, CTL_SOCKET_ADMIN, &a->talk.daemon);
}

static int adopt(struct adopt *a)
{
    int r = find(a);

    if (r == 0)
        r = check_client(a);
    if (r == 0)
        r = parse_key(a);
    if (r == 0)
        r = look(a);
    if (r == 0)
        r = check_same(a);
    if (r == 0)
        r = ask_ca(a);
    if (r == 0)
        r = print_found(a);
    if (r == 0)
        warn_of_pem(a);
    if (r || ctl_args_has(a->context, "--dry-run"))
        return r;
    r = adopt_place_probe(a);
    if (r == 0)
        r = adopt_begin(a);
    if (r == 0)
        r = rotate(a);
    return r ? r : finish(a);
}

int ctl_adopt_run(struct ctl_context *c)
{
    CLEANUP_ADOPT struct adopt a = { 0 };
    int r = read_options(c, &a);

    if (r == 0)
        r = read_registration(&a);
    if (r == 0)
        r = open_all(&a);
    return r ? r : adopt(&a);
}

const struct ctl_option ctl_adopt_options[] = {
    { "--from", "CLIENT",
      "certbot, acme.sh, lego, dehydrated, getssl, haproxy or pem", 0, true,
      false },
    { "--token", "NAME", "[Token NAME] of guardian.conf", 0, true, false },
    { "--directory", "URL", "the CA's directory, or a name of ca list", 0,
      false, false },
    { "--account-url", "URL", "which account, where the files leave it open", 0,
      false, false },
    { "--alg", "ALG", "ES256, ES384 or RS256; otherwise as the old key's", 0,
      false, false },
    { "--rsa-bits", "BITS", "2048, 3072 or 4096, with RS256", 0, false, false },
    { "--install-stub", NULL, "put a stub in the place of the key", 0, false,
      false },
    { "--client-retired", NULL, "move the key aside: the client stops", 0,
      false, false },
    { "--new-account", NULL, "a new account, where the CA has no key change", 0,
      false, false },
    { "--dry-run", NULL, "show what was found, and change nothing", 0, false,
      false },
    { "--cache-time", "SECONDS", "front ends may know the old key so long (15)",
      0, false, false },
    { "--origin", "URL", "another origin that the CA uses", 0, false, true },
    { "--allow-query", NULL, "the CA's URLs may have a query", 0, false,
      false },
    { "--allow-http-loopback", NULL, "plain http to a loopback address", 0,
      false, false },
    CTL_REGISTRATION_OPTIONS,
    CTL_CA_OPTIONS,
    { 0 },
};
