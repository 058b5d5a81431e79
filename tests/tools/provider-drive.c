/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A program that signs through OpenSSL by itself, in the ways that real ones
 * do:
 *
 *   provider-drive sign STUB INPUT               as HAProxy: three updates
 *   provider-drive threads STUB INPUT N TIMES    N threads share a key
 *   provider-drive fork STUB INPUT               parent and child sign
 *   provider-drive closefrom STUB INPUT FILE     and close what they have
 *   provider-drive chroot STUB INPUT DIR UID     loads, changes root, signs
 *   provider-drive digest STUB INPUT             EVP_SignFinal: mod_md, uacme
 *   provider-drive raw STUB                      EVP_PKEY_sign of a digest
 *   provider-drive size STUB TIMES               asks for the size alone
 *   provider-drive facts STUB                    what clients read of a key
 *   provider-drive legacy STUB                   EVP_PKEY_get1_RSA, _EC_KEY
 *   provider-drive own STUB INPUT MODULE         in a context of its own
 *
 * A signature is verified with the public key, which OpenSSL's own provider
 * has. Exit status 1: refused, with OpenSSL's error queue on stderr.
 */

#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/provider.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#define SIGNATURE_MAX 1024

struct job {
    EVP_PKEY *key;
    EVP_PKEY *public; /* a copy that OpenSSL's own provider has */
    const EVP_MD *md;
    const char *input;
    size_t len;
    int times;
    int failed;
};

static void refused(const char *what)
{
    (void)fprintf(stderr, "%s\n", what);
    ERR_print_errors_fp(stderr);
    exit(1);
}

static EVP_PKEY *load(const char *path, OSSL_LIB_CTX *ctx)
{
    FILE *f = fopen(path, "re");
    EVP_PKEY *key;

    if (!f) {
        perror(path);
        exit(2);
    }
    key = PEM_read_PrivateKey_ex(f, NULL, NULL, NULL, ctx, NULL);
    (void)fclose(f);
    if (!key)
        refused("cannot read the key");
    return key;
}

static EVP_PKEY *public_of(EVP_PKEY *key, OSSL_LIB_CTX *ctx)
{
    unsigned char *der = NULL;
    int len = i2d_PUBKEY(key, &der);
    const unsigned char *p = der;
    EVP_PKEY *public = len > 0 ? d2i_PUBKEY_ex(NULL, &p, len, ctx, NULL) : NULL;

    OPENSSL_free(der);
    if (!public)
        refused("no public key");
    if (EVP_PKEY_eq(public, key) != 1)
        refused("the public key is another one");
    return public;
}

static char *slurp(const char *path, size_t *ret_len)
{
    static char data[128 * 1024];
    FILE *f = fopen(path, "re");

    if (!f) {
        perror(path);
        exit(2);
    }
    *ret_len = fread(data, 1, sizeof(data), f);
    (void)fclose(f);
    return data;
}

static struct job job_new(const char *stub, const char *input,
                          OSSL_LIB_CTX *ctx)
{
    struct job j = { .key = load(stub, ctx), .times = 1 };

    j.public = public_of(j.key, ctx);
    j.md = EVP_PKEY_get_bits(j.key) == 384 ? EVP_sha384() : EVP_sha256();
    if (input)
        j.input = slurp(input, &j.len);
    return j;
}

static void job_free(struct job *j)
{
    EVP_PKEY_free(j->key);
    EVP_PKEY_free(j->public);
}

/* In three pieces, and the size asked for before. */
static bool sign(const struct job *j, unsigned char *sig, size_t *len)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    size_t third = j->len / 3;
    bool good;

    *len = 0;
    good = EVP_DigestSignInit(ctx, NULL, j->md, NULL, j->key) == 1 &&
           EVP_DigestSignUpdate(ctx, j->input, third) == 1 &&
           EVP_DigestSignUpdate(ctx, j->input + third, third) == 1 &&
           EVP_DigestSignUpdate(ctx, j->input + 2 * third,
                                j->len - 2 * third) == 1 &&
           EVP_DigestSignFinal(ctx, NULL, len) == 1 && *len <= SIGNATURE_MAX &&
           EVP_DigestSignFinal(ctx, sig, len) == 1;
    EVP_MD_CTX_free(ctx);
    return good;
}

static bool verify(const struct job *j, const unsigned char *sig, size_t len)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool good;

    good = EVP_DigestVerifyInit(ctx, NULL, j->md, NULL, j->public) == 1 &&
           EVP_DigestVerify(ctx, sig, len, (const unsigned char *)j->input,
                            j->len) == 1;
    EVP_MD_CTX_free(ctx);
    return good;
}

static bool sign_once(const struct job *j)
{
    unsigned char sig[SIGNATURE_MAX];
    size_t len;

    return sign(j, sig, &len) && verify(j, sig, len);
}

static void must_sign(const struct job *j)
{
    if (!sign_once(j))
        refused("not signed");
}

static void *thread_main(void *arg)
{
    struct job *j = arg;

    for (int i = 0; i < j->times; i++) {
        if (!sign_once(j)) {
            ERR_print_errors_fp(stderr);
            j->failed++;
        }
    }
    return NULL;
}

static int run_threads(const struct job *j, int n, int times)
{
    struct job jobs[64];
    pthread_t threads[64];
    int failed = 0;

    for (int i = 0; i < n && i < 64; i++) {
        jobs[i] = *j;
        jobs[i].times = times;
        if (pthread_create(&threads[i], NULL, thread_main, &jobs[i]) != 0)
            exit(2);
    }
    for (int i = 0; i < n && i < 64; i++) {
        (void)pthread_join(threads[i], NULL);
        failed += jobs[i].failed;
    }
    return failed ? 1 : 0;
}

/* The parent has a connection already, which stays the parent's. */
static int run_fork(const struct job *j)
{
    int status;
    pid_t pid;

    must_sign(j);
    pid = fork();
    for (int i = 0; i < 5; i++)
        must_sign(j);
    if (pid == 0)
        _exit(0); /* what the parent has is not given back here */
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
        return 1;
    must_sign(j);
    return 0;
}

/* As a daemon does with what it inherited; FILE is at each number then, and is
 * still there, and empty, in the end. */
static void sign_without_descriptors(const struct job *j, const char *path)
{
    struct stat file, st;
    int fds[32];

    closefrom(3);
    for (size_t i = 0; i < 32; i++) {
        fds[i] = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (fds[i] < 0 || fstat(fds[i], &file) < 0) {
            perror(path);
            exit(2);
        }
    }
    must_sign(j);
    for (size_t i = 0; i < 32; i++) {
        if (fstat(fds[i], &st) < 0 || st.st_ino != file.st_ino ||
            st.st_size != 0) {
            (void)fprintf(stderr, "descriptor %d is not the program's own\n",
                          fds[i]);
            exit(1);
        }
    }
    must_sign(j);
}

static int run_closefrom(const struct job *j, const char *path)
{
    int status;
    pid_t pid;

    must_sign(j);
    pid = fork();
    if (pid == 0) {
        sign_without_descriptors(j, path);
        _exit(0);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
        return 1;
    sign_without_descriptors(j, path);
    return 0;
}

static int run_chroot(const struct job *j, const char *dir, const char *uid)
{
    unsigned id = (unsigned)strtoul(uid, NULL, 10);

    if (chroot(dir) < 0 || chdir("/") < 0 || setgid(id) < 0 || setuid(id) < 0) {
        perror("chroot");
        exit(2);
    }
    must_sign(j);
    return 0;
}

static int run_digest(const struct job *j)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    unsigned char sig[SIGNATURE_MAX];
    unsigned len;
    bool good;

    good = EVP_SignInit_ex(ctx, j->md, NULL) == 1 &&
           EVP_SignUpdate(ctx, j->input, j->len) == 1 &&
           EVP_SignFinal(ctx, sig, &len, j->key) == 1;
    EVP_MD_CTX_free(ctx);
    if (!good)
        refused("not signed");
    return 0;
}

static int run_raw(const struct job *j)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, j->key, NULL);
    unsigned char sig[SIGNATURE_MAX], digest[32] = { 0 };
    size_t len = sizeof(sig);
    bool good;

    good = ctx && EVP_PKEY_sign_init(ctx) == 1 &&
           EVP_PKEY_sign(ctx, sig, &len, digest, sizeof(digest)) == 1;
    EVP_PKEY_CTX_free(ctx);
    if (!good)
        refused("not signed");
    return 0;
}

static int run_size(const struct job *j, int times)
{
    for (int i = 0; i < times; i++) {
        EVP_MD_CTX *ctx = EVP_MD_CTX_new();
        size_t len = 0;

        if (EVP_DigestSignInit(ctx, NULL, j->md, NULL, j->key) != 1 ||
            EVP_DigestSignUpdate(ctx, "e30.e30", 7) != 1 ||
            EVP_DigestSignFinal(ctx, NULL, &len) != 1)
            refused("no size");
        if (i == 0)
            (void)printf("%zu %d\n", len, EVP_PKEY_get_size(j->key));
        EVP_MD_CTX_free(ctx);
    }
    return 0;
}

static void print_number(const EVP_PKEY *key, const char *name)
{
    BIGNUM *n = NULL;
    char *hex;

    if (EVP_PKEY_get_bn_param(key, name, &n) != 1)
        refused(name);
    hex = BN_bn2hex(n);
    (void)printf("%s=%s\n", name, hex);
    OPENSSL_free(hex);
    BN_free(n);
}

static int run_facts(const struct job *j)
{
    char text[64] = "";
    EVP_PKEY *copy = EVP_PKEY_dup(j->key);

    (void)printf("id=%d\nbits=%d\nsecurity=%d\n", EVP_PKEY_get_base_id(j->key),
                 EVP_PKEY_get_bits(j->key), EVP_PKEY_get_security_bits(j->key));
    if (EVP_PKEY_get_default_digest_name(j->key, text, sizeof(text)) <= 0)
        refused("default digest");
    (void)printf("digest=%s\n", text);
    if (EVP_PKEY_is_a(j->key, "RSA")) {
        print_number(j->key, OSSL_PKEY_PARAM_RSA_N);
        print_number(j->key, OSSL_PKEY_PARAM_RSA_E);
    } else {
        if (EVP_PKEY_get_group_name(j->key, text, sizeof(text), NULL) != 1)
            refused("group");
        (void)printf("group=%s\n", text);
        print_number(j->key, OSSL_PKEY_PARAM_EC_PUB_X);
        print_number(j->key, OSSL_PKEY_PARAM_EC_PUB_Y);
    }
    if (!copy || EVP_PKEY_eq(copy, j->key) != 1)
        refused("no copy");
    EVP_PKEY_free(copy);
    return 0;
}

/* Only an honest no keeps such a program from signing with half a key. */
static int run_legacy(const struct job *j)
{
    RSA *rsa = EVP_PKEY_get1_RSA(j->key);
    EC_KEY *ec = EVP_PKEY_get1_EC_KEY(j->key);

    if (!rsa && !ec)
        refused("no legacy key");
    RSA_free(rsa);
    EC_KEY_free(ec);
    return 0;
}

/* As a program that loads providers by itself; nothing may be left of it. */
static int run_own(const char *stub, const char *input, const char *module)
{
    OSSL_LIB_CTX *ctx = OSSL_LIB_CTX_new();
    OSSL_PROVIDER *base = OSSL_PROVIDER_load(ctx, "default");
    OSSL_PROVIDER *ours = OSSL_PROVIDER_load(ctx, module);
    struct job j;

    if (!base || !ours)
        refused("no provider");
    j = job_new(stub, input, ctx);
    must_sign(&j);
    job_free(&j);
    (void)OSSL_PROVIDER_unload(ours);
    (void)OSSL_PROVIDER_unload(base);
    OSSL_LIB_CTX_free(ctx);
    return 0;
}

static int run(const struct job *j, const char *what, char **args)
{
    if (strcmp(what, "threads") == 0)
        return run_threads(j, atoi(args[0]), atoi(args[1]));
    if (strcmp(what, "fork") == 0)
        return run_fork(j);
    if (strcmp(what, "closefrom") == 0)
        return run_closefrom(j, args[0]);
    if (strcmp(what, "chroot") == 0)
        return run_chroot(j, args[0], args[1]);
    if (strcmp(what, "digest") == 0)
        return run_digest(j);
    must_sign(j);
    return 0;
}

int main(int argc, char **argv)
{
    const char *what = argc > 2 ? argv[1] : "";
    bool takes_input;
    struct job j;
    int status;

    if (argc < 3)
        return 64;
    if (strcmp(what, "own") == 0)
        return argc == 5 ? run_own(argv[2], argv[3], argv[4]) : 64;
    takes_input = strcmp(what, "raw") != 0 && strcmp(what, "size") != 0 &&
                  strcmp(what, "facts") != 0 && strcmp(what, "legacy") != 0;
    j = job_new(argv[2], takes_input && argc > 3 ? argv[3] : NULL, NULL);
    if (strcmp(what, "raw") == 0)
        status = run_raw(&j);
    else if (strcmp(what, "size") == 0)
        status = run_size(&j, atoi(argv[3]));
    else if (strcmp(what, "facts") == 0)
        status = run_facts(&j);
    else if (strcmp(what, "legacy") == 0)
        status = run_legacy(&j);
    else
        status = run(&j, what, argv + 4);
    job_free(&j);
    return status;
}
