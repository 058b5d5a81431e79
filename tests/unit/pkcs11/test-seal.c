/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pkcs11/seal.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

static const struct seal_limits cheap = { 1, 8192 };
static const uint8_t store_id[SEAL_ID_LEN] = "one store, no 2";

static struct secret *secret_of(const char *text)
{
    struct secret *s = NULL;

    assert_int_equal(secret_new_copy(bytes_from_str(text), &s), 0);
    return s;
}

static int init(void **state)
{
    struct errmsg e = { 0 };

    (void)state;
    return secrets_init(false, &e);
}

static struct seal_header two_slots(const struct secret *credential,
                                    const struct secret *passphrase,
                                    const struct secret *master)
{
    struct seal_header h = { .n_slots = 2 };
    struct errmsg e = { 0 };

    memcpy(h.store_id, store_id, sizeof(store_id));
    assert_int_equal(seal_slot_wrap(store_id, SEAL_KIND_CREDENTIAL, &cheap,
                                    credential, master, &h.slots[0], &e),
                     0);
    assert_int_equal(seal_slot_wrap(store_id, SEAL_KIND_PASSPHRASE, &cheap,
                                    passphrase, master, &h.slots[1], &e),
                     0);
    return h;
}

static void test_each_secret_opens_its_own_slot_only(void **state)
{
    CLEANUP_SECRET struct secret *master = secret_of("0123456789abcdef"
                                                     "0123456789abcdef");
    CLEANUP_SECRET struct secret *credential = secret_of("a random file, say");
    CLEANUP_SECRET struct secret *passphrase = secret_of("correct horse");
    struct seal_header h = two_slots(credential, passphrase, master);

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        const struct secret *right = i == 0 ? credential : passphrase;
        const struct secret *wrong = i == 0 ? passphrase : credential;
        CLEANUP_SECRET struct secret *got = NULL;

        assert_int_equal(seal_slot_unwrap(store_id, &h.slots[i], wrong, &got),
                         SEAL_E_WRONG);
        assert_null(got);
        assert_int_equal(seal_slot_unwrap(store_id, &h.slots[i], right, &got),
                         0);
        assert_int_equal(got->len, SEAL_MASTER_LEN);
        assert_memory_equal(got->data, master->data, SEAL_MASTER_LEN);
    }
}

static void test_same_secret_makes_other_slots_each_time(void **state)
{
    CLEANUP_SECRET struct secret *master = secret_of("0123456789abcdef"
                                                     "0123456789abcdef");
    CLEANUP_SECRET struct secret *credential = secret_of("a random file, say");
    struct seal_header a = two_slots(credential, credential, master);
    struct seal_header b = two_slots(credential, credential, master);

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        assert_memory_not_equal(a.slots[i].salt, b.slots[i].salt,
                                SEAL_SALT_LEN);
        assert_memory_not_equal(a.slots[i].box, b.slots[i].box,
                                sizeof(a.slots[i].box));
    }
}

static void test_a_slot_is_bound_to_its_store_kind_and_limits(void **state)
{
    CLEANUP_SECRET struct secret *master = secret_of("0123456789abcdef"
                                                     "0123456789abcdef");
    CLEANUP_SECRET struct secret *credential = secret_of("a random file, say");
    struct seal_header h = two_slots(credential, credential, master);
    CLEANUP_SECRET struct secret *got = NULL;
    uint8_t other[SEAL_ID_LEN] = "another store";
    struct seal_slot s;

    (void)state;
    assert_int_equal(seal_slot_unwrap(other, &h.slots[0], credential, &got),
                     SEAL_E_WRONG);
    s = h.slots[0];
    s.limits.ops = 1;
    assert_int_equal(seal_slot_unwrap(store_id, &s, credential, &got),
                     SEAL_E_WRONG);
    s = h.slots[1];
    s.limits.ops = 2;
    assert_int_equal(seal_slot_unwrap(store_id, &s, credential, &got),
                     SEAL_E_WRONG);
    assert_null(got);
}

static void test_weak_secrets_are_refused(void **state)
{
    CLEANUP_SECRET struct secret *master = secret_of("0123456789abcdef"
                                                     "0123456789abcdef");
    static const struct {
        enum seal_kind kind;
        const char *secret;
        int r;
    } rows[] = {
        { SEAL_KIND_CREDENTIAL, "123456789012345", SEAL_E_WEAK },
        { SEAL_KIND_CREDENTIAL, "1234567890123456", 0 },
        { SEAL_KIND_PASSPHRASE, "12345678901", SEAL_E_WEAK },
        { SEAL_KIND_PASSPHRASE, "123456789012", 0 },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP_SECRET struct secret *s = secret_of(rows[i].secret);
        struct errmsg e = { 0 };
        struct seal_slot slot;

        assert_int_equal(seal_slot_wrap(store_id, rows[i].kind, &cheap, s,
                                        master, &slot, &e),
                         rows[i].r);
        assert_int_equal(e.text[0] != '\0', rows[i].r != 0);
        assert_null(strstr(e.text, rows[i].secret));
    }
}

static void encoded_header(struct secret **ret_master, struct buf *ret)
{
    CLEANUP_SECRET struct secret *master = secret_of("0123456789abcdef"
                                                     "0123456789abcdef");
    CLEANUP_SECRET struct secret *s = secret_of("a random file, say");
    struct seal_header h = two_slots(s, s, master);

    assert_int_equal(seal_header_encode(&h, master, ret), 0);
    *ret_master = TAKE_PTR(master);
}

static void test_header_comes_back_as_written(void **state)
{
    CLEANUP_SECRET struct secret *master = NULL;
    CLEANUP_BUF struct buf file = { 0 };
    CLEANUP_BUF struct buf again = { 0 };
    struct errmsg e = { 0 };
    struct seal_header h;

    (void)state;
    encoded_header(&master, &file);
    assert_int_equal(seal_header_decode(buf_bytes(&file), &h, &e), 0);
    assert_int_equal(h.n_slots, 2);
    assert_int_equal(h.slots[1].limits.mem, cheap.mem);
    assert_int_equal(seal_header_verify(buf_bytes(&file), master, &e), 0);
    assert_int_equal(seal_header_encode(&h, master, &again), 0);
    assert_int_equal(again.len, file.len);
    assert_memory_equal(again.data, file.data, file.len);
}

static void test_every_octet_of_the_header_counts(void **state)
{
    CLEANUP_SECRET struct secret *master = NULL;
    CLEANUP_BUF struct buf file = { 0 };

    (void)state;
    encoded_header(&master, &file);
    for (size_t i = 0; i < file.len; i++) {
        struct errmsg e = { 0 };
        struct seal_header h;
        int r;

        file.data[i] ^= 1;
        r = seal_header_decode(buf_bytes(&file), &h, &e);
        if (r == 0)
            r = seal_header_verify(buf_bytes(&file), master, &e);
        if (r != SEAL_E_DAMAGED && r != SEAL_E_VERSION)
            fail_msg("octet %zu of %zu changed: %d", i, file.len, r);
        assert_true(e.text[0] != '\0');
        file.data[i] ^= 1;
    }
}

static void test_header_of_any_other_length_is_refused(void **state)
{
    CLEANUP_SECRET struct secret *master = NULL;
    CLEANUP_BUF struct buf file = { 0 };
    struct seal_header h;
    struct errmsg e;

    (void)state;
    encoded_header(&master, &file);
    for (size_t len = 0; len < file.len; len++)
        assert_int_equal(
            seal_header_decode((struct bytes){ file.data, len }, &h, &e) != 0,
            1);
    assert_int_equal(buf_append_char(&file, '\0'), 0);
    assert_int_equal(seal_header_decode(buf_bytes(&file), &h, &e),
                     SEAL_E_DAMAGED);
    assert_string_equal(e.text, "has the wrong length");
}

/* Who can write the file can also make its checksum fit. */
static void resum(struct buf *file)
{
    assert_int_equal(crypto_generichash(file->data + file->len - 64, 32,
                                        file->data, file->len - 64, NULL, 0),
                     0);
}

static void test_an_attackers_header_is_refused(void **state)
{
    static const struct {
        size_t at;
        uint8_t value;
        const char *text;
    } rows[] = {
        { 0, 'X', "does not begin" },
        { 11, 2, "version 2" },
        { 15, 0, "0 slots" },
        { 15, 9, "9 slots" },
        { 32 + 3, 3, "no kind" },
        { 32 + 7, 1, "no kind" },
        { 32 + 112 + 15, 65, "too much work" },
        { 32 + 112 + 16 + 3, 1, "too much work" },
    };
    CLEANUP_SECRET struct secret *master = NULL;
    CLEANUP_BUF struct buf file = { 0 };
    struct seal_header h;

    (void)state;
    encoded_header(&master, &file);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct errmsg e = { 0 };
        uint8_t before = file.data[rows[i].at];

        file.data[rows[i].at] = rows[i].value;
        resum(&file);
        assert_true(seal_header_decode(buf_bytes(&file), &h, &e) > 0);
        if (!strstr(e.text, rows[i].text))
            fail_msg("row %zu: %s", i, e.text);
        file.data[rows[i].at] = before;
    }
}

static void test_a_slot_cut_off_by_an_attacker_is_found(void **state)
{
    CLEANUP_SECRET struct secret *master = NULL;
    CLEANUP_BUF struct buf file = { 0 };
    struct errmsg e = { 0 };
    struct seal_header h;

    (void)state;
    encoded_header(&master, &file);
    memmove(file.data + 32 + 112, file.data + 32 + 224, 64);
    file.len -= 112;
    file.data[15] = 1;
    resum(&file);
    assert_int_equal(seal_header_decode(buf_bytes(&file), &h, &e), 0);
    assert_int_equal(seal_header_verify(buf_bytes(&file), master, &e),
                     SEAL_E_DAMAGED);
    assert_non_null(strstr(e.text, "not authentic"));
}

static const struct seal_key some_key = {
    .label = "acme-guardian:i:le:1",
    .alg = TOKEN_ALG_ES256,
    .spki = "public",
    .spki_len = 6,
};

static void encoded_key(struct secret **ret_master, struct buf *ret)
{
    CLEANUP_SECRET struct secret *pkcs8 = secret_of("a private key");

    *ret_master = secret_of("0123456789abcdef0123456789abcdef");
    assert_int_equal(
        seal_key_encode(store_id, *ret_master, &some_key, pkcs8, ret), 0);
}

static void test_key_comes_back_as_written(void **state)
{
    CLEANUP_SECRET struct secret *master = NULL;
    CLEANUP_SECRET struct secret *pkcs8 = NULL;
    CLEANUP_BUF struct buf file = { 0 };
    struct errmsg e = { 0 };
    struct seal_key key;

    (void)state;
    encoded_key(&master, &file);
    assert_null(memmem(file.data, file.len, "private", 7));
    assert_int_equal(
        seal_key_decode(store_id, master, buf_bytes(&file), &key, &pkcs8, &e),
        0);
    assert_string_equal(key.label, some_key.label);
    assert_int_equal(key.alg, some_key.alg);
    assert_int_equal(key.spki_len, 6);
    assert_memory_equal(key.spki, "public", 6);
    assert_int_equal(pkcs8->len, 13);
    assert_memory_equal(pkcs8->data, "a private key", 13);
}

static void test_every_octet_of_a_key_file_counts(void **state)
{
    CLEANUP_SECRET struct secret *master = NULL;
    CLEANUP_BUF struct buf file = { 0 };

    (void)state;
    encoded_key(&master, &file);
    for (size_t i = 0; i < file.len; i++) {
        struct secret *pkcs8 = NULL;
        struct errmsg e = { 0 };
        struct seal_key key;
        int r;

        file.data[i] ^= 1;
        r = seal_key_decode(store_id, master, buf_bytes(&file), &key, &pkcs8,
                            &e);
        if (r != SEAL_E_DAMAGED && r != SEAL_E_VERSION)
            fail_msg("octet %zu of %zu changed: %d", i, file.len, r);
        assert_true(e.text[0] != '\0');
        assert_null(pkcs8);
        file.data[i] ^= 1;
    }
}

static void test_key_file_of_any_other_length_is_refused(void **state)
{
    CLEANUP_SECRET struct secret *master = NULL;
    CLEANUP_BUF struct buf file = { 0 };
    struct secret *pkcs8 = NULL;
    struct seal_key key;
    struct errmsg e;

    (void)state;
    encoded_key(&master, &file);
    for (size_t len = 0; len < file.len; len++)
        assert_int_equal(seal_key_decode(store_id, master,
                                         (struct bytes){ file.data, len }, &key,
                                         &pkcs8, &e) != 0,
                         1);
    assert_int_equal(buf_append_char(&file, '\0'), 0);
    assert_int_equal(
        seal_key_decode(store_id, master, buf_bytes(&file), &key, &pkcs8, &e),
        SEAL_E_DAMAGED);
}

static void test_a_key_of_another_store_is_named(void **state)
{
    CLEANUP_SECRET struct secret *master = NULL;
    CLEANUP_BUF struct buf file = { 0 };
    uint8_t other[SEAL_ID_LEN] = "another store";
    struct secret *pkcs8 = NULL;
    struct errmsg e = { 0 };
    struct seal_key key;

    (void)state;
    encoded_key(&master, &file);
    assert_int_equal(
        seal_key_decode(other, master, buf_bytes(&file), &key, &pkcs8, &e),
        SEAL_E_DAMAGED);
    assert_non_null(strstr(e.text, "another store id"));
}

static void test_what_is_no_key_file_is_told_apart(void **state)
{
    static const struct {
        size_t at;
        uint8_t value;
        const char *text;
    } rows[] = {
        { 0, 'X', "does not begin" },
        { 32 + 3, TOKEN_LABEL_MAX + 1, "a label of 121" },
        { 32 + 3, 0, "a label of 0" },
        { 36 + 20 + 2, 3, "a public key of" }, /* 768 */
        { 36 + 20 + 3, 0, "a public key of 0" },
    };
    CLEANUP_SECRET struct secret *master = NULL;
    CLEANUP_BUF struct buf file = { 0 };

    (void)state;
    encoded_key(&master, &file);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint8_t before = file.data[rows[i].at];
        struct secret *pkcs8 = NULL;
        struct errmsg e = { 0 };
        struct seal_key key;

        file.data[rows[i].at] = rows[i].value;
        assert_int_equal(seal_key_decode(store_id, master, buf_bytes(&file),
                                         &key, &pkcs8, &e),
                         SEAL_E_DAMAGED);
        if (!strstr(e.text, rows[i].text))
            fail_msg("row %zu: %s", i, e.text);
        file.data[rows[i].at] = before;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_secret_opens_its_own_slot_only),
        cmocka_unit_test(test_same_secret_makes_other_slots_each_time),
        cmocka_unit_test(test_a_slot_is_bound_to_its_store_kind_and_limits),
        cmocka_unit_test(test_weak_secrets_are_refused),
        cmocka_unit_test(test_header_comes_back_as_written),
        cmocka_unit_test(test_every_octet_of_the_header_counts),
        cmocka_unit_test(test_header_of_any_other_length_is_refused),
        cmocka_unit_test(test_an_attackers_header_is_refused),
        cmocka_unit_test(test_a_slot_cut_off_by_an_attacker_is_found),
        cmocka_unit_test(test_key_comes_back_as_written),
        cmocka_unit_test(test_every_octet_of_a_key_file_counts),
        cmocka_unit_test(test_key_file_of_any_other_length_is_refused),
        cmocka_unit_test(test_a_key_of_another_store_is_named),
        cmocka_unit_test(test_what_is_no_key_file_is_told_apart),
    };

    return cmocka_run_group_tests(tests, init, NULL);
}
