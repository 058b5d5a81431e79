/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pkcs11/backend.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "pkcs11/sealed-store.h"
#include "pkcs11/signature.h"

#define CREDENTIAL "a key file of many octets"
#define PASSPHRASE "correct horse battery"

DEFINE_CLEANUP(EVP_PKEY *, EVP_PKEY_free)

/* A store in a directory of its own, the backend on it, and a session. */
struct bench {
    char dir[64];
    char name[8];
    struct settings_token settings;
    struct backend *b;
    struct backend_session *s;
};

static const struct backend_ops *ops(void)
{
    return backend_ops_get(SETTINGS_BACKEND_SEALED);
}

static struct secret *secret_of(const char *text)
{
    struct secret *s = NULL;

    assert_int_equal(secret_new_copy(bytes_from_str(text), &s), 0);
    return s;
}

static enum token_result login(struct bench *t, const char *pin,
                               struct backend_error *reterr)
{
    CLEANUP_SECRET struct secret *p = secret_of(pin);

    return ops()->login(t->b, p, 0, reterr);
}

static int init(void **state)
{
    struct errmsg e = { 0 };

    (void)state;
    return secrets_init(false, &e);
}

/* A store, not yet opened. */
static int make_store(void **state)
{
    static struct bench t;
    CLEANUP_SECRET struct secret *c = secret_of(CREDENTIAL);
    CLEANUP_SECRET struct secret *w = secret_of(PASSPHRASE);
    const struct sealed_secrets secrets = { c, w, { 1, 8192 } };
    struct errmsg e = { 0 };

    t = (struct bench){ .dir = "/tmp/test-sealed-XXXXXX", .name = "soft" };
    assert_non_null(mkdtemp(t.dir));
    t.settings = (struct settings_token){
        .name = t.name,
        .backend = SETTINGS_BACKEND_SEALED,
        .pin = SETTINGS_PIN_FILE,
        .directory = t.dir,
        .sessions = 2,
    };
    assert_int_equal(sealed_store_create(t.dir, &secrets, &e), 0);
    *state = &t;
    return 0;
}

static int make_bench(void **state)
{
    struct backend_error e = { 0 };
    struct bench *t;

    (void)make_store(state);
    t = *state;
    assert_int_equal(ops()->open(&t->settings, &t->b, &e), TOKEN_S_OK);
    assert_int_equal(login(t, CREDENTIAL, &e), TOKEN_S_OK);
    assert_int_equal(ops()->session_new(t->b, &t->s, &e), TOKEN_S_OK);
    return 0;
}

static int remove_bench(void **state)
{
    struct bench *t = *state;
    char path[512];
    struct dirent *e;
    DIR *d = opendir(t->dir);

    ops()->session_free(t->s);
    ops()->close(t->b);
    while (d && (e = readdir(d))) {
        (void)snprintf(path, sizeof(path), "%s/%s", t->dir, e->d_name);
        if (e->d_name[0] != '.')
            (void)unlink(path);
    }
    if (d)
        (void)closedir(d);
    return rmdir(t->dir);
}

static struct backend_key generate(struct bench *t, const char *label,
                                   enum token_alg alg)
{
    struct backend_key key = { 0 };
    struct backend_error e = { 0 };
    enum token_result r;

    r = ops()->generate(t->s, label, alg, alg == TOKEN_ALG_RS256 ? 2048 : 0,
                        &key, &e);
    if (r != TOKEN_S_OK)
        fail_msg("%s: %d %s", label, r, e.text);
    return key;
}

static enum token_result sign(struct backend_session *s,
                              const struct backend_key *key, struct bytes input)
{
    CLEANUP(EVP_PKEY_free_p) EVP_PKEY *public = NULL;
    uint8_t sig[TOKEN_SIGNATURE_MAX];
    struct backend_error e = { 0 };
    enum token_result r;
    size_t len;

    r = ops()->sign(s, key, input, sig, &len, &e);
    if (r != TOKEN_S_OK)
        return r;
    assert_int_equal(
        signature_key((struct bytes){ key->key.spki, key->key.spki_len },
                      &public),
        0);
    assert_int_equal(
        signature_verify(public, input, (struct bytes){ sig, len }), 0);
    return TOKEN_S_OK;
}

static void test_all_algorithms_sign(void **state)
{
    static const enum token_alg algs[] = { TOKEN_ALG_ES256, TOKEN_ALG_ES384,
                                           TOKEN_ALG_RS256, TOKEN_ALG_EDDSA };
    struct bench *t = *state;

    for (size_t i = 0; i < ARRAY_LEN(algs); i++) {
        char label[32];
        struct backend_key key;

        (void)snprintf(label, sizeof(label), "p:i:a:%zu", i);
        key = generate(t, label, algs[i]);
        assert_string_equal(key.key.label, label);
        assert_int_equal(key.key.alg, algs[i]);
        assert_int_equal(sign(t->s, &key, bytes_from_str("header.payload")),
                         TOKEN_S_OK);
    }
}

static void test_keys_claim_to_be_software_and_no_more(void **state)
{
    struct bench *t = *state;
    struct backend_key key = generate(t, "k", TOKEN_ALG_ES256);

    assert_int_equal(key.key.attrs, TOKEN_ATTR_SOFTWARE);
    assert_int_equal(key.key.attrs_known, TOKEN_ATTR_SOFTWARE);
}

static void test_without_a_store_the_command_is_named(void **state)
{
    struct bench *t = *state;
    struct backend_error e = { 0 };
    char path[128];

    (void)snprintf(path, sizeof(path), "%s/store.header", t->dir);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(ops()->open(&t->settings, &t->b, &e), TOKEN_S_NO_TOKEN);
    assert_non_null(strstr(e.text, "init-sealed soft"));
}

static void test_wrong_secrets_are_wrong_pins(void **state)
{
    static const struct {
        enum settings_pin pin;
        const char *secret;
        enum token_result result;
    } rows[] = {
        { SETTINGS_PIN_FILE, "some other key file", TOKEN_S_PIN_WRONG },
        /* A passphrase takes 256 MiB to try: only where one is typed. */
        { SETTINGS_PIN_FILE, PASSPHRASE, TOKEN_S_PIN_WRONG },
        { SETTINGS_PIN_ASK, "some other passphrase", TOKEN_S_PIN_WRONG },
        { SETTINGS_PIN_ASK, PASSPHRASE, TOKEN_S_OK },
    };
    struct bench *t = *state;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct backend_error e = { 0 };

        t->settings.pin = rows[i].pin;
        assert_int_equal(ops()->open(&t->settings, &t->b, &e), TOKEN_S_OK);
        assert_int_equal(login(t, rows[i].secret, &e), rows[i].result);
        if (rows[i].result != TOKEN_S_OK)
            assert_non_null(strstr(e.text, "reseal soft"));
        assert_null(strstr(e.text, rows[i].secret));
        ops()->close(t->b);
        t->b = NULL;
    }
    assert_int_equal(ops()->open(&t->settings, &t->b, NULL), TOKEN_S_OK);
    assert_int_equal(ops()->login(t->b, NULL, 0, NULL), TOKEN_S_PIN_MISSING);
}

static void test_a_locked_store_asks_for_login(void **state)
{
    struct bench *t = *state;
    struct backend_error e = { 0 };
    struct backend_key key;

    assert_int_equal(ops()->open(&t->settings, &t->b, &e), TOKEN_S_OK);
    assert_int_equal(ops()->session_new(t->b, &t->s, &e), TOKEN_S_OK);
    assert_int_equal(ops()->find(t->s, "k", &key, &e), TOKEN_S_FAILED);
    assert_int_equal(e.cure, BACKEND_CURE_LOGIN);
    assert_int_equal(login(t, CREDENTIAL, &e), TOKEN_S_OK);
    assert_int_equal(ops()->find(t->s, "k", &key, &e), TOKEN_S_NO_KEY);
    assert_string_equal(e.text, "no key is labelled k");
}

static void test_a_reseal_counts_at_the_next_login(void **state)
{
    struct bench *t = *state;
    CLEANUP_SEALED_STORE struct sealed_store *store = NULL;
    CLEANUP_SECRET struct secret *fresh = secret_of("the next key file, long");
    CLEANUP_SECRET struct secret *passphrase = secret_of(PASSPHRASE);
    struct backend_error e = { 0 };
    struct errmsg text = { 0 };

    assert_int_equal(ops()->open(&t->settings, &t->b, &e), TOKEN_S_OK);
    assert_int_equal(sealed_store_open(t->dir, &store, &text), 0);
    assert_int_equal(
        sealed_store_unlock(store, SEAL_KIND_PASSPHRASE, passphrase, &text), 0);
    assert_int_equal(sealed_store_reseal(store, fresh, &text), 0);
    assert_int_equal(login(t, CREDENTIAL, &e), TOKEN_S_PIN_WRONG);
    assert_int_equal(login(t, "the next key file, long", &e), TOKEN_S_OK);
}

static void test_a_label_is_taken_once(void **state)
{
    struct bench *t = *state;
    struct backend_error e = { 0 };
    struct backend_key key = generate(t, "k", TOKEN_ALG_ES256);
    struct backend_key again;

    assert_int_equal(ops()->generate(t->s, "k", TOKEN_ALG_ES256, 0, &again, &e),
                     TOKEN_S_EXISTS);
    assert_int_equal(ops()->find(t->s, "k", &again, &e), TOKEN_S_OK);
    assert_memory_equal(again.key.spki, key.key.spki, key.key.spki_len);
    assert_int_equal(
        ops()->generate(t->s, "b", TOKEN_ALG_RS256, 1024, &again, &e),
        TOKEN_S_UNSUPPORTED);
}

static void test_a_destroyed_key_signs_nowhere(void **state)
{
    struct bench *t = *state;
    struct backend_session *other = NULL;
    struct backend_error e = { 0 };
    struct backend_key key = generate(t, "k", TOKEN_ALG_ES256);
    struct backend_key theirs;

    assert_int_equal(ops()->session_new(t->b, &other, &e), TOKEN_S_OK);
    assert_int_equal(ops()->find(other, "k", &theirs, &e), TOKEN_S_OK);
    assert_int_equal(sign(other, &theirs, bytes_from_str("x")), TOKEN_S_OK);
    assert_int_equal(ops()->destroy(t->s, &key, &e), TOKEN_S_OK);
    assert_int_equal(sign(t->s, &key, bytes_from_str("x")), TOKEN_S_NO_KEY);
    assert_int_equal(sign(other, &theirs, bytes_from_str("x")), TOKEN_S_NO_KEY);
    assert_int_equal(ops()->find(other, "k", &theirs, &e), TOKEN_S_NO_KEY);
    ops()->session_free(other);
}

static void test_a_session_opens_more_keys_than_it_keeps(void **state)
{
    struct bench *t = *state;
    struct backend_key keys[40];
    struct backend_error e = { 0 };
    char label[16];

    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        (void)snprintf(label, sizeof(label), "k%zu", i);
        keys[i] = generate(t, label, TOKEN_ALG_ES256);
    }
    /* The first made room, and comes back. */
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        assert_int_equal(sign(t->s, &keys[i], bytes_from_str("x")), TOKEN_S_OK);
    assert_int_equal(ops()->find(t->s, "k0", &keys[0], &e), TOKEN_S_OK);
}

static void test_a_replaced_key_does_not_sign_for_the_old_one(void **state)
{
    struct bench *t = *state;
    struct backend_session *other = NULL;
    struct backend_error e = { 0 };
    struct backend_key key = generate(t, "k", TOKEN_ALG_ES256);
    struct backend_key theirs;

    assert_int_equal(ops()->session_new(t->b, &other, &e), TOKEN_S_OK);
    assert_int_equal(ops()->find(other, "k", &theirs, &e), TOKEN_S_OK);
    assert_int_equal(ops()->destroy(t->s, &key, &e), TOKEN_S_OK);
    (void)generate(t, "k", TOKEN_ALG_ES256);
    assert_int_equal(sign(other, &theirs, bytes_from_str("x")), TOKEN_S_FAILED);
    assert_int_equal(ops()->destroy(other, &theirs, &e), TOKEN_S_FAILED);
    assert_int_equal(ops()->find(other, "k", &theirs, &e), TOKEN_S_OK);
    assert_int_equal(sign(other, &theirs, bytes_from_str("x")), TOKEN_S_OK);
    ops()->session_free(other);
}

static void damage(const struct bench *t, const char *name)
{
    CLEANUP_FD int fd = -1;
    char path[128];

    (void)snprintf(path, sizeof(path), "%s/%s", t->dir, name);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, "!", 1, 100), 1);
}

static void test_a_damaged_key_is_unfit_and_still_listed(void **state)
{
    struct bench *t = *state;
    struct token_key keys[TOKEN_LIST_MAX];
    struct backend_error e = { 0 };
    struct backend_key key;
    size_t n = 0;

    (void)generate(t, "p:a", TOKEN_ALG_ES256);
    (void)generate(t, "p:b", TOKEN_ALG_ES256);
    damage(t, "p:a.key");
    assert_int_equal(ops()->find(t->s, "p:a", &key, &e), TOKEN_S_KEY_UNFIT);
    assert_non_null(strstr(e.text, "p:a.key"));
    assert_int_equal(ops()->list(t->s, "p:", 0, keys, &n, &e), TOKEN_S_OK);
    assert_int_equal(n, 2);
    assert_int_equal(keys[0].attrs, 0);
    assert_int_equal(keys[0].spki_len, 0);
    assert_int_equal(keys[1].attrs, TOKEN_ATTR_SOFTWARE);
    assert_int_equal(ops()->generate(t->s, "p:a", TOKEN_ALG_ES256, 0, &key, &e),
                     TOKEN_S_EXISTS);
}

/* Not by tampering: as a later version might have written it. */
static void test_a_key_that_openssl_cannot_read_is_unfit(void **state)
{
    struct bench *t = *state;
    CLEANUP_SEALED_STORE struct sealed_store *store = NULL;
    CLEANUP_SECRET struct secret *credential = secret_of(CREDENTIAL);
    CLEANUP_SECRET struct secret *junk = secret_of("no PKCS#8");
    const struct seal_key key = { "k", TOKEN_ALG_ES256, "public", 6 };
    struct backend_error e = { 0 };
    struct backend_key got;
    struct errmsg text = { 0 };

    assert_int_equal(sealed_store_open(t->dir, &store, &text), 0);
    assert_int_equal(
        sealed_store_unlock(store, SEAL_KIND_UNSET, credential, &text), 0);
    assert_int_equal(sealed_store_add(store, &key, junk, &text), 0);
    assert_int_equal(ops()->find(t->s, "k", &got, &e), TOKEN_S_KEY_UNFIT);
    assert_non_null(strstr(e.text, "none that we sign with"));
}

static void test_long_labels_are_told_apart(void **state)
{
    struct bench *t = *state;
    char label[TOKEN_LABEL_MAX + 1];
    char uri[TOKEN_LABEL_MAX + 32];
    struct backend_error e = { 0 };
    struct backend_key got;

    memset(label, 'x', sizeof(label) - 1);
    label[sizeof(label) - 1] = '\0';
    (void)generate(t, label, TOKEN_ALG_ES256);
    (void)snprintf(uri, sizeof(uri), "pkcs11:object=%s", label);
    assert_int_equal(ops()->find_uri(t->s, uri, &got, &e), TOKEN_S_OK);
    (void)snprintf(uri, sizeof(uri), "pkcs11:object=%sx", label);
    assert_int_equal(ops()->find_uri(t->s, uri, &got, &e), TOKEN_S_NO_KEY);
    /* As a file name these would be three times as long. */
    memset(label, '/', sizeof(label) - 1);
    assert_int_equal(ops()->find(t->s, label, &got, &e), TOKEN_S_NO_KEY);
    assert_int_equal(ops()->generate(t->s, label, TOKEN_ALG_ES256, 0, &got, &e),
                     TOKEN_S_UNSUPPORTED);
    assert_non_null(strstr(e.text, "file name"));
}

static void test_listing_goes_on_where_it_stopped(void **state)
{
    struct bench *t = *state;
    struct token_key keys[TOKEN_LIST_MAX];
    struct backend_error e = { 0 };
    size_t n = 0;

    for (unsigned i = 0; i < TOKEN_LIST_MAX + 3; i++) {
        char label[16];

        (void)snprintf(label, sizeof(label), "p:%03u", i);
        (void)generate(t, label, TOKEN_ALG_ES256);
    }
    (void)generate(t, "q:1", TOKEN_ALG_ES256);
    assert_int_equal(ops()->list(t->s, "p:", 0, keys, &n, &e), TOKEN_S_OK);
    assert_int_equal(n, TOKEN_LIST_MAX);
    assert_string_equal(keys[0].label, "p:000");
    assert_int_equal(ops()->list(t->s, "p:", TOKEN_LIST_MAX, keys, &n, &e),
                     TOKEN_S_OK);
    assert_int_equal(n, 3);
    assert_string_equal(keys[2].label, "p:066");
}

static void test_uris_name_keys_by_object_and_id(void **state)
{
    struct bench *t = *state;
    struct backend_key key = generate(t, "p:a", TOKEN_ALG_ES256);
    struct backend_error e = { 0 };
    struct backend_key got;
    char id[3 * 32 + 1] = "";
    char uri[160];

    (void)generate(t, "p:b", TOKEN_ALG_ES256);
    for (size_t i = 0; i < key.key.id_len; i++)
        (void)snprintf(id + 3 * i, 4, "%%%02x", key.key.id[i]);
    assert_int_equal(ops()->find_uri(t->s, "pkcs11:object=p:a", &got, &e),
                     TOKEN_S_OK);
    assert_string_equal(got.key.label, "p:a");
    (void)snprintf(uri, sizeof(uri), "pkcs11:id=%s", id);
    assert_int_equal(ops()->find_uri(t->s, uri, &got, &e), TOKEN_S_OK);
    assert_string_equal(got.key.label, "p:a");
    (void)snprintf(uri, sizeof(uri), "pkcs11:object=p:b;id=%s", id);
    assert_int_equal(ops()->find_uri(t->s, uri, &got, &e), TOKEN_S_NO_KEY);
    assert_int_equal(
        ops()->find_uri(t->s, "pkcs11:token=soft;object=p:a", &got, &e),
        TOKEN_S_OK);
    assert_int_equal(
        ops()->find_uri(t->s, "pkcs11:token=other;object=p:a", &got, &e),
        TOKEN_S_NO_KEY);
    assert_int_equal(ops()->find_uri(t->s, "pkcs11:id=%01", &got, &e),
                     TOKEN_S_NO_KEY);
    assert_int_equal(ops()->find_uri(t->s, "pkcs11:object=p:c", &got, &e),
                     TOKEN_S_NO_KEY);
}

#define OPEN(name)                                                             \
    cmocka_unit_test_setup_teardown(name, make_bench, remove_bench)
#define SHUT(name)                                                             \
    cmocka_unit_test_setup_teardown(name, make_store, remove_bench)

int main(void)
{
    const struct CMUnitTest tests[] = {
        OPEN(test_all_algorithms_sign),
        OPEN(test_keys_claim_to_be_software_and_no_more),
        SHUT(test_without_a_store_the_command_is_named),
        SHUT(test_wrong_secrets_are_wrong_pins),
        SHUT(test_a_locked_store_asks_for_login),
        SHUT(test_a_reseal_counts_at_the_next_login),
        OPEN(test_a_label_is_taken_once),
        OPEN(test_a_destroyed_key_signs_nowhere),
        OPEN(test_a_replaced_key_does_not_sign_for_the_old_one),
        OPEN(test_a_session_opens_more_keys_than_it_keeps),
        OPEN(test_a_damaged_key_is_unfit_and_still_listed),
        OPEN(test_a_key_that_openssl_cannot_read_is_unfit),
        OPEN(test_long_labels_are_told_apart),
        OPEN(test_listing_goes_on_where_it_stopped),
        OPEN(test_uris_name_keys_by_object_and_id),
    };

    return cmocka_run_group_tests(tests, init, NULL);
}
