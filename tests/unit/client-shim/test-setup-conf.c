/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/setup-conf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/settings-diff.h"
#include "base/settings.h"
#include "policy/policy.h"

static char etc[] = "/tmp/test-setup-conf-XXXXXX";

static int make_etc(void **state)
{
    (void)state;
    return mkdtemp(etc) ? 0 : -1;
}

static int remove_etc(void **state)
{
    (void)state;
    return rmdir(etc);
}

static struct settings *load(const char *text)
{
    const struct settings_text file = { "guardian.conf", bytes_from_str(text) };
    struct settings *s = NULL;
    struct errmsg e = { 0 };

    if (settings_load_with(etc, &file, 1, &s, &e))
        fail_msg("%s:%u: %s", e.file, e.line, e.text);
    return s;
}

/* Is there a line "#KEY=" or "KEY=" between a section's title and the next? */
static bool has_key(const char *text, const char *section, const char *key)
{
    char title[64], line[64];
    const char *at, *end, *found;

    (void)snprintf(title, sizeof(title), "[%s", section);
    (void)snprintf(line, sizeof(line), "\n#%s=", key);
    at = strstr(text, title);
    end = at ? strstr(at, "\n\n") : NULL;
    found = at ? strstr(at, line) : NULL;
    return found && (!end || found < end);
}

static size_t count(const char *text, const char *word)
{
    size_t n = 0;

    for (const char *p = text; (p = strstr(p, word)); p++)
        n++;
    return n;
}

/* Every key of the schema is shown, and no other. */
static void test_guardian_conf_has_the_schemas_keys(void **state)
{
    CLEANUP_BUF struct buf b = { 0 };
    size_t n_keys = 0, n_shown;

    (void)state;
    assert_int_equal(setup_conf_guardian(&b), 0);
    for (const struct config_schema *s = settings_schema; s->section; s++) {
        for (const char *const *k = s->keys; *k; k++) {
            n_keys++;
            if (!has_key(buf_str(&b), s->section, *k))
                fail_msg("[%s] %s= is not shown: setup-conf-guardian.c",
                         s->section, *k);
        }
    }
    n_shown = 0;
    for (const char *p = buf_str(&b); (p = strchr(p, '\n')); p++) {
        size_t name = p[1] == '#' ? strspn(p + 2, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                                  "abcdefghijklmnopqrstuvwxyz")
                                  : 0;

        n_shown += name > 0 && p[2 + name] == '=';
    }
    assert_int_equal(n_shown, n_keys);
}

/* The comments taken away: what is shown as a default must be one. Keys without
 * one, and sections that take a name, stay comments. */
static void uncomment(const char *text, bool named, struct buf *ret)
{
    CLEANUP_FREE char *copy = strdup(text);
    char *save = NULL;
    bool within = false;

    for (char *l = strtok_r(copy, "\n", &save); l;
         l = strtok_r(NULL, "\n", &save)) {
        char *equals = strchr(l, '=');
        bool is_key = l[0] == '#' && l[1] >= 'A' && l[1] <= 'Z' && equals &&
                      !memchr(l, ' ', (size_t)(equals - l));

        if (l[0] == '[' || (l[0] == '#' && l[1] == '['))
            within = (l[0] == '#') == named;
        if (!within || (!is_key && l[0] != '[' && l[1] != '['))
            continue;
        if (is_key && !equals[1])
            continue;
        assert_int_equal(buf_printf(ret, "%s\n", l[0] == '#' ? l + 1 : l), 0);
    }
}

/* Each is in the other; what stands in both is there twice. */
static void assert_same_words(char **a, char **b)
{
    assert_true(!a == !b);
    for (char **w = a; w && *w; w++) {
        char **other = b;

        while (*other && strcmp(*other, *w) != 0)
            other++;
        if (!*other)
            fail_msg("%s is no default", *w);
    }
}

static void assert_no_difference(const struct settings *shown,
                                 const struct settings *none)
{
    char **differences = NULL;

    assert_int_equal(settings_diff(none, shown, &differences), 0);
    if (differences)
        fail_msg("is not the default: %s", differences[0]);
}

static void test_the_defaults_are_the_defaults(void **state)
{
    CLEANUP_BUF struct buf b = { 0 }, active = { 0 };
    CLEANUP_SETTINGS struct settings *shown = NULL, *none = load("");

    (void)state;
    assert_int_equal(setup_conf_guardian(&b), 0);
    uncomment(buf_str(&b), false, &active);
    assert_true(count(buf_str(&active), "=") > 10);
    shown = load(buf_str(&active));
    assert_no_difference(shown, none);
    assert_same_words(shown->admin_groups, none->admin_groups);
    assert_same_words(shown->ops_users, none->ops_users);
    assert_same_words(shown->monitor_groups, none->monitor_groups);
    assert_same_words(shown->admin_users, none->admin_users);
    assert_same_words(shown->ops_groups, none->ops_groups);
    assert_same_words(shown->monitor_users, none->monitor_users);
    assert_null(shown->deny_domains);
}

static void test_a_tokens_defaults_too(void **state)
{
    CLEANUP_BUF struct buf b = { 0 }, active = { 0 };
    CLEANUP_SETTINGS struct settings *shown = NULL, *none = NULL;
    char *name;

    (void)state;
    assert_int_equal(setup_conf_guardian(&b), 0);
    uncomment(buf_str(&b), true, &active);
    while ((name = strstr((char *)active.data, "NAME")))
        memcpy(name, "name", 4);
    shown = load(buf_str(&active));
    none = load("[Token name]\nModule=/usr/lib/softhsm/libsofthsm2.so\n"
                "Token=pkcs11:token=name\n"
                "HelperSocket=/run/acme-guardian/token/name.sock\n"
                "[Lacme name]\nSocket=/run/acme-guardian/lacme/name.sock\n"
                "Owner=root\n");
    assert_no_difference(shown, none);
}

static const struct setup_conf_token tokens[] = {
    { .name = "a-1.b", .backend = SETUP_BACKEND_SEALED },
    { .name = "hsm",
      .backend = SETUP_BACKEND_SOFTHSM,
      .module = "/m.so",
      .softhsm_conf = "/etc/x.conf",
      .directory = "/d",
      .n_cpus = 64 },
    { .name = "tpm",
      .backend = SETUP_BACKEND_TPM,
      .module = "/m.so",
      .directory = "/d",
      .tcti = "device:/dev/tpmrm0",
      .n_cpus = 0 },
    { .name = "card",
      .backend = SETUP_BACKEND_MODULE,
      .module = "/m.so",
      .token_uri = "pkcs11:token=x;serial=1" },
};

static void test_each_token_loads(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(tokens); i++) {
        CLEANUP_BUF struct buf b = { 0 };
        CLEANUP_SETTINGS struct settings *s = NULL;
        const struct settings_token *t;
        char pin[64];

        assert_int_equal(setup_conf_token(&tokens[i], &b), 0);
        s = load(buf_str(&b));
        t = settings_token(s, tokens[i].name);
        assert_non_null(t);
        (void)snprintf(pin, sizeof(pin), "acme-guardian-%s", tokens[i].name);
        assert_int_equal(t->pin, SETTINGS_PIN_CREDENTIAL);
        assert_string_equal(t->pin_arg, pin);
        assert_non_null(t->helper_socket);
        assert_int_equal(t->backend == SETTINGS_BACKEND_SEALED,
                         tokens[i].backend == SETUP_BACKEND_SEALED);
        if (tokens[i].token_uri)
            assert_string_equal(t->token_uri, tokens[i].token_uri);
    }
}

static void test_a_policy_loads(void **state)
{
    char www[] = "www.lab.example", lab[] = "lab.example";
    char *domains[] = { www, lab, NULL };
    CLEANUP_BUF struct buf b = { 0 };
    CLEANUP_POLICY_SET struct policy_set *set = NULL;
    struct errmsg e = { 0 };

    (void)state;
    assert_int_equal(
        setup_conf_policy(&(struct setup_conf_policy){ "caddy", "le", domains },
                          &b),
        0);
    assert_int_equal(
        policy_load_text(buf_bytes(&b), "le.policy", NULL, &set, &e), 0);
    assert_int_equal(policy_set_n_rulesets(set), 1);
    assert_int_equal(policy_set_n_names(set), 2);
}

static void test_backends_have_words(void **state)
{
    (void)state;
    for (int i = SETUP_BACKEND_SOFTHSM; i <= SETUP_BACKEND_MODULE; i++)
        assert_int_equal(
            setup_backend_parse(setup_backend_name((enum setup_backend)i)), i);
    assert_int_equal(setup_backend_parse("hsm"), SETUP_BACKEND_UNSET);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_guardian_conf_has_the_schemas_keys),
        cmocka_unit_test(test_the_defaults_are_the_defaults),
        cmocka_unit_test(test_a_tokens_defaults_too),
        cmocka_unit_test(test_each_token_loads),
        cmocka_unit_test(test_a_policy_loads),
        cmocka_unit_test(test_backends_have_words),
    };

    return cmocka_run_group_tests(tests, make_etc, remove_etc);
}
