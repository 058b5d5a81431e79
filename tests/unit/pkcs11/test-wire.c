/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <cmocka.h>

#include "pkcs11/wire.h"

struct datagram {
    struct token_request head;
    uint8_t data[TOKEN_DATA_MAX + 8];
};

static struct datagram space;

static struct datagram *fresh(enum token_op op, const char *label, uint32_t alg,
                              uint32_t data_len)
{
    memset(&space, 0, sizeof(space));
    space.head = (struct token_request){ .version = TOKEN_PROTO_VERSION,
                                         .op = op,
                                         .id = 7,
                                         .alg = alg,
                                         .data_len = data_len };
    memcpy(space.head.label, label, strlen(label));
    return &space;
}

static enum token_result check(size_t len)
{
    struct backend_error err = { 0 };
    enum token_result r =
        wire_check((struct bytes){ (uint8_t *)&space, len }, &err);

    assert_int_equal(err.result, r == TOKEN_S_OK ? TOKEN_S_UNSET : r);
    assert_int_equal(err.cure, BACKEND_CURE_NONE);
    return r;
}

static enum token_result check_whole(void)
{
    return check(sizeof(space.head) + space.head.data_len);
}

static void test_each_operation_takes_what_it_says(void **state)
{
    static const struct {
        enum token_op op;
        const char *label;
        uint32_t alg, data_len;
        enum token_result want;
    } rows[] = {
        { TOKEN_OP_STATUS, "", 0, 0, TOKEN_S_OK },
        { TOKEN_OP_STATUS, "k", 0, 0, TOKEN_S_PROTOCOL },
        { TOKEN_OP_STATUS, "", 0, 1, TOKEN_S_PROTOCOL },
        { TOKEN_OP_STATUS, "", 1, 0, TOKEN_S_PROTOCOL },
        { TOKEN_OP_UNLOCK, "", 0, 0, TOKEN_S_OK },
        { TOKEN_OP_UNLOCK, "", 0, 1, TOKEN_S_PROTOCOL },
        { TOKEN_OP_LIST, "p", 0, 8, TOKEN_S_OK },
        { TOKEN_OP_LIST, "", 0, 8, TOKEN_S_OK },
        { TOKEN_OP_LIST, "p", 0, 7, TOKEN_S_PROTOCOL },
        { TOKEN_OP_LIST, "p", 0, 0, TOKEN_S_PROTOCOL },
        { TOKEN_OP_FIND, "k", 0, 0, TOKEN_S_OK },
        { TOKEN_OP_FIND, "", 0, 0, TOKEN_S_PROTOCOL },
        { TOKEN_OP_FIND_URI, "", 0, 1, TOKEN_S_OK },
        { TOKEN_OP_FIND_URI, "", 0, 1024, TOKEN_S_OK },
        { TOKEN_OP_FIND_URI, "", 0, 1025, TOKEN_S_PROTOCOL },
        { TOKEN_OP_FIND_URI, "", 0, 0, TOKEN_S_PROTOCOL },
        { TOKEN_OP_GENERATE, "k", TOKEN_ALG_ES256, 0, TOKEN_S_OK },
        { TOKEN_OP_GENERATE, "k", 0, 0, TOKEN_S_PROTOCOL },
        { TOKEN_OP_GENERATE, "k", TOKEN_ALG_RS256, 0, TOKEN_S_PROTOCOL },
        { TOKEN_OP_SIGN, "k", TOKEN_ALG_EDDSA, 1, TOKEN_S_OK },
        { TOKEN_OP_SIGN, "k", TOKEN_ALG_ES256, TOKEN_DATA_MAX, TOKEN_S_OK },
        { TOKEN_OP_SIGN, "k", TOKEN_ALG_ES256, TOKEN_DATA_MAX + 1,
          TOKEN_S_PROTOCOL },
        { TOKEN_OP_SIGN, "k", TOKEN_ALG_ES256, 0, TOKEN_S_PROTOCOL },
        { TOKEN_OP_SIGN, "k", TOKEN_ALG_EDDSA + 1, 1, TOKEN_S_PROTOCOL },
        { TOKEN_OP_SIGN, "", TOKEN_ALG_ES256, 1, TOKEN_S_PROTOCOL },
        { TOKEN_OP_DESTROY, "k", 0, 0, TOKEN_S_OK },
        { TOKEN_OP_DESTROY, "", 0, 0, TOKEN_S_PROTOCOL },
        { TOKEN_OP_UNSET, "", 0, 0, TOKEN_S_PROTOCOL },
        { TOKEN_OP_COUNT, "", 0, 0, TOKEN_S_PROTOCOL },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        fresh(rows[i].op, rows[i].label, rows[i].alg, rows[i].data_len);
        if (check_whole() != rows[i].want)
            fail_msg("row %zu: %d, expected %d", i, check_whole(),
                     rows[i].want);
    }
}

static void test_lengths_have_to_agree(void **state)
{
    (void)state;
    fresh(TOKEN_OP_SIGN, "k", TOKEN_ALG_ES256, 100);
    assert_int_equal(check_whole(), TOKEN_S_OK);
    assert_int_equal(check(sizeof(space.head) + 99), TOKEN_S_PROTOCOL);
    assert_int_equal(check(sizeof(space.head) + 101), TOKEN_S_PROTOCOL);
    assert_int_equal(check(sizeof(space.head)), TOKEN_S_PROTOCOL);
    assert_int_equal(check(sizeof(space.head) - 1), TOKEN_S_PROTOCOL);
    assert_int_equal(check(0), TOKEN_S_PROTOCOL);
    assert_int_equal(check(WIRE_REQUEST_MAX + 1), TOKEN_S_PROTOCOL);
}

static void test_fields_without_use_are_zero(void **state)
{
    (void)state;
    fresh(TOKEN_OP_FIND, "k", 0, 0)->head.reserved = 1;
    assert_int_equal(check_whole(), TOKEN_S_PROTOCOL);
    fresh(TOKEN_OP_FIND, "k", 0, 0)->head.rsa_bits = 2048;
    assert_int_equal(check_whole(), TOKEN_S_PROTOCOL);
    fresh(TOKEN_OP_GENERATE, "k", TOKEN_ALG_ES256, 0)->head.rsa_bits = 2048;
    assert_int_equal(check_whole(), TOKEN_S_PROTOCOL);
    fresh(TOKEN_OP_FIND, "k", 0, 0)->head.version = 2;
    assert_int_equal(check_whole(), TOKEN_S_PROTOCOL);
}

static void test_rsa_keys_have_three_sizes(void **state)
{
    static const struct {
        uint32_t bits;
        enum token_result want;
    } rows[] = {
        { 0, TOKEN_S_PROTOCOL },    { 1024, TOKEN_S_PROTOCOL },
        { 2047, TOKEN_S_PROTOCOL }, { 2048, TOKEN_S_OK },
        { 3072, TOKEN_S_OK },       { 4096, TOKEN_S_OK },
        { 8192, TOKEN_S_PROTOCOL },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        fresh(TOKEN_OP_GENERATE, "k", TOKEN_ALG_RS256, 0)->head.rsa_bits =
            rows[i].bits;
        assert_int_equal(check_whole(), rows[i].want);
    }
}

static void test_a_label_ends_and_nothing_follows(void **state)
{
    struct datagram *d = fresh(TOKEN_OP_FIND, "k", 0, 0);

    (void)state;
    memset(d->head.label, 'x', TOKEN_LABEL_MAX);
    assert_int_equal(check_whole(), TOKEN_S_OK);
    d->head.label[TOKEN_LABEL_MAX] = 'x';
    assert_int_equal(check_whole(), TOKEN_S_PROTOCOL);
    memset(d->head.label, 'x', sizeof(d->head.label));
    assert_int_equal(check_whole(), TOKEN_S_PROTOCOL);
    d = fresh(TOKEN_OP_FIND, "k", 0, 0);
    d->head.label[2] = 'k';
    assert_int_equal(check_whole(), TOKEN_S_PROTOCOL);
    d = fresh(TOKEN_OP_FIND, "k", 0, 0);
    d->head.label[sizeof(d->head.label) - 1] = 'k';
    assert_int_equal(check_whole(), TOKEN_S_PROTOCOL);
}

static void test_replies_carry_the_error_or_the_data(void **state)
{
    struct backend_error err = { .result = TOKEN_S_NO_KEY, .ckr = 0x60 };
    struct token_reply reply;
    uint8_t answer[sizeof(reply) + 8];
    int fds[2];

    (void)state;
    strcpy(err.text, "no such key");
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds), 0);
    assert_int_equal(wire_reply(fds[0], 9, &err, (struct bytes){ 0 }), 0);
    assert_int_equal(recv(fds[1], answer, sizeof(answer), 0), sizeof(reply));
    memcpy(&reply, answer, sizeof(reply));
    assert_int_equal(reply.version, TOKEN_PROTO_VERSION);
    assert_int_equal(reply.result, TOKEN_S_NO_KEY);
    assert_int_equal(reply.id, 9);
    assert_int_equal(reply.ckr, 0x60);
    assert_int_equal(reply.data_len, 0);
    assert_string_equal(reply.text, "no such key");

    assert_int_equal(wire_reply(fds[0], 10, NULL, bytes_from_str("data")), 0);
    assert_int_equal(recv(fds[1], answer, sizeof(answer), 0),
                     sizeof(reply) + 4);
    memcpy(&reply, answer, sizeof(reply));
    assert_int_equal(reply.result, TOKEN_S_OK);
    assert_int_equal(reply.data_len, 4);
    assert_string_equal(reply.text, "");
    assert_memory_equal(answer + sizeof(reply), "data", 4);

    close(fds[1]);
    assert_true(wire_reply(fds[0], 11, NULL, (struct bytes){ 0 }) < 0);
    close(fds[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_operation_takes_what_it_says),
        cmocka_unit_test(test_lengths_have_to_agree),
        cmocka_unit_test(test_fields_without_use_are_zero),
        cmocka_unit_test(test_rsa_keys_have_three_sizes),
        cmocka_unit_test(test_a_label_ends_and_nothing_follows),
        cmocka_unit_test(test_replies_carry_the_error_or_the_data),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
