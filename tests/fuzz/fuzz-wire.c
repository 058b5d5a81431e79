/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The token helper's end of its socket: datagrams, each after its length in two
 * octets, answered by the real code over a token that has every key. The first
 * octet makes that token fail.
 */
#include <string.h>
#include <sys/socket.h>

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "fuzz.h"
#include "pkcs11/answer.h"
#include "pkcs11/wire.h"

#define DATAGRAMS_MAX 16

static struct {
    EVP_PKEY *key;
    unsigned failure;
    unsigned n_signed, n_made, n_destroyed;
} f;

static enum token_result fail_as(struct backend_error *err)
{
    static const enum token_result results[] = {
        TOKEN_S_OK,        TOKEN_S_NO_KEY, TOKEN_S_AMBIGUOUS, TOKEN_S_FAILED,
        TOKEN_S_PIN_WRONG, TOKEN_S_FULL,   TOKEN_S_KEY_UNFIT, TOKEN_S_NO_TOKEN
    };
    enum token_result r = results[f.failure & 7];

    if (r == TOKEN_S_OK)
        return r;
    return backend_fail(err, r, (enum backend_cure)(f.failure >> 3 & 3), 0,
                        "as asked for");
}

static void describe(const char *label, struct token_key *ret)
{
    uint8_t *p = ret->spki;
    int len;

    *ret = (struct token_key){ .alg = TOKEN_ALG_EDDSA,
                               .attrs = 0x3f,
                               .attrs_known = 0x3f };
    MUST(strlen(label) <= TOKEN_LABEL_MAX);
    memcpy(ret->label, label, strlen(label));
    len = i2d_PUBKEY(f.key, &p);
    MUST(len > 0 && len <= TOKEN_SPKI_MAX);
    ret->spki_len = (uint32_t)len;
}

static void status(const struct backend *b, struct token_status *ret)
{
    (void)b;
    (void)snprintf(ret->model, sizeof(ret->model), "fuzz");
}

static enum token_result session_reset(struct backend_session *s,
                                       struct backend_error *err)
{
    (void)s;
    (void)err;
    return TOKEN_S_OK;
}

static enum token_result list(struct backend_session *s, const char *prefix,
                              uint32_t skip, struct token_key *ret_keys,
                              size_t *ret_n, struct backend_error *err)
{
    (void)s;
    *ret_n = skip < TOKEN_LIST_MAX ? TOKEN_LIST_MAX - skip : 0;
    for (size_t i = 0; i < *ret_n; i++)
        describe(prefix, &ret_keys[i]);
    return fail_as(err);
}

static enum token_result find(struct backend_session *s, const char *label,
                              struct backend_key *ret,
                              struct backend_error *err)
{
    enum token_result r = fail_as(err);

    (void)s;
    if (strstr(label, "none"))
        return backend_fail(err, TOKEN_S_NO_KEY, BACKEND_CURE_NONE, 0, "none");
    if (r == TOKEN_S_OK)
        describe(label, &ret->key);
    return r;
}

static enum token_result find_uri(struct backend_session *s, const char *uri,
                                  struct backend_key *ret,
                                  struct backend_error *err)
{
    MUST(strlen(uri) > 0);
    return find(s, "by-uri", ret, err);
}

static enum token_result generate(struct backend_session *s, const char *label,
                                  enum token_alg alg, unsigned rsa_bits,
                                  struct backend_key *ret,
                                  struct backend_error *err)
{
    (void)s;
    (void)err;
    MUST(strncmp(label, "ours:", 5) == 0);
    MUST((alg == TOKEN_ALG_RS256) == (rsa_bits != 0));
    f.n_made++;
    describe(label, &ret->key);
    return TOKEN_S_OK;
}

static enum token_result sign(struct backend_session *s,
                              const struct backend_key *key, struct bytes input,
                              uint8_t ret_sig[static TOKEN_SIGNATURE_MAX],
                              size_t *ret_len, struct backend_error *err)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();

    (void)s;
    (void)key;
    (void)err;
    *ret_len = TOKEN_SIGNATURE_MAX;
    MUST(ctx && EVP_DigestSignInit(ctx, NULL, NULL, NULL, f.key) == 1);
    MUST(EVP_DigestSign(ctx, ret_sig, ret_len, input.data, input.len) == 1);
    EVP_MD_CTX_free(ctx);
    if (f.failure & 0x20)
        ret_sig[0] ^= 1;
    if (f.failure & 0x40)
        *ret_len -= 1;
    f.n_signed++;
    return TOKEN_S_OK;
}

static enum token_result destroy(struct backend_session *s,
                                 const struct backend_key *key,
                                 struct backend_error *err)
{
    (void)s;
    (void)err;
    MUST(strncmp(key->key.label, "ours:", 5) == 0);
    f.n_destroyed++;
    return TOKEN_S_OK;
}

static enum token_result login(struct backend *b, const struct secret *pin,
                               unsigned flags, struct backend_error *err)
{
    (void)b;
    (void)pin;
    (void)flags;
    return backend_fail(err, TOKEN_S_PIN_LOCKED, BACKEND_CURE_NONE, 0, "no");
}

static const struct backend_ops ops = {
    .kind = SETTINGS_BACKEND_SEALED,
    .login = login,
    .status = status,
    .session_reset = session_reset,
    .list = list,
    .find = find,
    .find_uri = find_uri,
    .generate = generate,
    .sign = sign,
    .destroy = destroy,
};

/* What comes back fits the wire format, and no signature that is wrong. */
static void check_reply(int fd, const struct token_request *q, struct bytes all)
{
    static struct {
        struct token_reply head;
        uint8_t data[TOKEN_DATA_MAX];
    } reply;
    ssize_t n = recv(fd, &reply, sizeof(reply), MSG_DONTWAIT);

    MUST(n >= (ssize_t)sizeof(reply.head));
    MUST(reply.head.version == TOKEN_PROTO_VERSION);
    MUST(reply.head.data_len == (size_t)n - sizeof(reply.head));
    MUST(reply.head.result > TOKEN_S_UNSET &&
         reply.head.result < TOKEN_S_COUNT);
    MUST(reply.head.result == TOKEN_S_OK || reply.head.data_len == 0);
    MUST(memchr(reply.head.text, 0, sizeof(reply.head.text)));
    if (all.len >= sizeof(*q))
        MUST(reply.head.id == q->id);
    if (reply.head.result == TOKEN_S_OK && q->op == TOKEN_OP_SIGN)
        MUST(!(f.failure & 0x60) && reply.head.data_len == 64);
}

static enum answer_next try_datagram(struct answerer *a, const int fds[2],
                                     struct bytes datagram)
{
    CLEANUP_FREE uint8_t *exact = fuzz_copy(datagram);
    const struct token_request *q = (const void *)exact;
    struct backend_error err = { 0 };
    enum answer_next next;

    datagram.data = exact;
    next = answer_datagram(a, fds[0], datagram, &err);
    MUST(next != ANSWER_EXIT_CLOSED);
    check_reply(fds[1], q, datagram);
    if (next == ANSWER_EXIT_PROTOCOL)
        MUST(err.text[0]);
    return next;
}

static struct service *service(void)
{
    static char prefix[] = "ours";
    static const struct settings_token settings = {
        .backend = SETTINGS_BACKEND_SEALED,
        .key_prefix = prefix,
        .timeout_ms = 1000000,
    };
    static struct shared shared;
    static struct service s;
    static const uint8_t seed[32] = { 'f', 'u', 'z', 'z' };

    if (!f.key) {
        f.key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed,
                                             sizeof(seed));
        MUST(f.key);
        s = (struct service){ .settings = &settings,
                              .ops = &ops,
                              .shared = &shared };
        login_init(&s.login, &settings, &ops, NULL, NULL);
    }
    return &s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct watchdog dog = { .wake_fd = -1 };
    static struct watch watch = { .dog = &dog };
    static struct token_key keys[TOKEN_LIST_MAX];
    struct answerer a = { .service = service(), .watch = &watch, .keys = keys };
    struct bytes rest = { data, size };
    enum answer_next next = ANSWER_GO_ON;
    int fds[2];

    f.failure = fuzz_octet(&rest);
    MUST(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) == 0);
    for (unsigned i = 0;
         next == ANSWER_GO_ON && rest.len > 0 && i < DATAGRAMS_MAX; i++) {
        size_t len = fuzz_octet(&rest);
        struct bytes datagram;

        len |= (size_t)fuzz_octet(&rest) << 8;
        datagram = (struct bytes){ rest.data, len < rest.len ? len : rest.len };
        rest =
            (struct bytes){ rest.data + datagram.len, rest.len - datagram.len };
        next = try_datagram(&a, fds, datagram);
    }
    keycache_clear(&a.cache);
    (void)close(fds[0]);
    (void)close(fds[1]);
    return 0;
}
