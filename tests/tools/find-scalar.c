/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Looks for a private key that nobody can name: given a P-256 public key, every
 * window of 32 octets in every file below the paths is tried as the private
 * scalar, as it stands and within whatever decodes as hex, base64 or base64url.
 *
 *     find-scalar PUBLIC-KEY.pem PATH...
 *
 * Exit: 0 nothing found, 1 found (and where), 2 could not look.
 */
#include <ctype.h>
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#define SCALAR_LEN 32
#define FILE_MAX (64L * 1024 * 1024)

/* One search per process; nftw() hands no pointer through. */
static struct {
    EC_GROUP *group;
    EC_POINT *wanted;
    EC_POINT *made;
    BIGNUM *scalar;
    BN_CTX *ctx;
    unsigned long windows;
    unsigned long files;
    int found;
    int failed;
} search;

static int is_the_key(const unsigned char *p)
{
    search.windows++;
    if (!BN_bin2bn(p, SCALAR_LEN, search.scalar) ||
        !EC_POINT_mul(search.group, search.made, search.scalar, NULL, NULL,
                      search.ctx))
        return 0;
    return EC_POINT_cmp(search.group, search.made, search.wanted, search.ctx) ==
           0;
}

/* Long runs of one octet (sparse files, padding) hold no scalar. */
static int is_flat(const unsigned char *p)
{
    return memcmp(p, p + 1, SCALAR_LEN - 1) == 0;
}

static void scan(const unsigned char *p, size_t len, const char *path,
                 const char *how)
{
    for (size_t i = 0; i + SCALAR_LEN <= len; i++) {
        if (is_flat(p + i) || !is_the_key(p + i))
            continue;
        printf("%s: private key found (%s, offset %zu)\n", path, how, i);
        search.found = 1;
    }
}

static int value_of(unsigned char c, int bits)
{
    static const char b64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuv"
                              "wxyz0123456789";
    const char *at;

    if (bits == 4)
        return isdigit(c) ? c - '0' : isxdigit(c) ? tolower(c) - 'a' + 10 : -1;
    if (c == '+' || c == '-')
        return 62;
    if (c == '/' || c == '_')
        return 63;
    at = c ? strchr(b64, c) : NULL;
    return at ? (int)(at - b64) : -1;
}

/* Decodes [p, p + len) from @start on; line breaks inside are skipped. */
static size_t decode(const unsigned char *p, size_t len, size_t start, int bits,
                     unsigned char *out)
{
    unsigned acc = 0;
    int have = 0;
    size_t n = 0;

    for (size_t i = start; i < len; i++) {
        int v = value_of(p[i], bits);

        if (v < 0)
            continue;
        acc = (acc << bits) | (unsigned)v;
        have += bits;
        if (have >= 8) {
            have -= 8;
            out[n++] = (unsigned char)(acc >> have);
        }
    }
    return n;
}

static void scan_encoded(const unsigned char *p, size_t len, int bits,
                         const char *path, const char *how)
{
    size_t min = SCALAR_LEN * 8 / (size_t)bits;
    unsigned char *out = malloc(len ? len : 1);

    if (!out) {
        search.failed = 1;
        return;
    }
    for (size_t i = 0; i < len;) {
        size_t end = i;
        size_t chars = 0;

        while (end < len &&
               (value_of(p[end], bits) >= 0 || p[end] == '\n' ||
                p[end] == '\r' || p[end] == ':' || p[end] == ' ')) {
            chars += value_of(p[end], bits) >= 0;
            end++;
        }
        /* A run may begin with characters of something else: each phase. */
        if (chars >= min) {
            for (size_t phase = 0; phase < (bits == 6 ? 4 : 2); phase++)
                scan(out, decode(p, end, i + phase, bits, out), path, how);
        }
        i = end + 1;
    }
    free(out);
}

static int visit(const char *path, const struct stat *st, int type,
                 struct FTW *ftw)
{
    unsigned char *data;
    size_t len;
    FILE *f;

    (void)ftw;
    if (type != FTW_F || !S_ISREG(st->st_mode) || st->st_size > FILE_MAX)
        return 0;
    f = fopen(path, "re");
    data = malloc((size_t)st->st_size + 1);
    if (!f || !data) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        search.failed = 1;
    } else {
        len = fread(data, 1, (size_t)st->st_size, f);
        search.files++;
        scan(data, len, path, "plain");
        scan_encoded(data, len, 6, path, "base64");
        scan_encoded(data, len, 4, path, "hex");
    }
    free(data);
    if (f)
        (void)fclose(f);
    return 0;
}

static int load_public_key(const char *path)
{
    unsigned char point[65];
    size_t len = 0;
    FILE *f = fopen(path, "re");
    EVP_PKEY *key = f ? PEM_read_PUBKEY(f, NULL, NULL, NULL) : NULL;
    int ok;

    search.group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
    search.wanted = search.group ? EC_POINT_new(search.group) : NULL;
    search.made = search.group ? EC_POINT_new(search.group) : NULL;
    search.scalar = BN_new();
    search.ctx = BN_CTX_new();
    ok =
        key && search.wanted && search.made && search.scalar && search.ctx &&
        EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, point,
                                        sizeof(point), &len) &&
        EC_POINT_oct2point(search.group, search.wanted, point, len, search.ctx);
    EVP_PKEY_free(key);
    if (f)
        (void)fclose(f);
    return ok;
}

int main(int argc, char **argv)
{
    if (argc < 3 || !load_public_key(argv[1])) {
        fprintf(stderr, "usage: find-scalar P256-PUBLIC-KEY.pem PATH...\n");
        return 2;
    }
    for (int i = 2; i < argc; i++) {
        if (nftw(argv[i], visit, 32, FTW_PHYS) != 0) {
            fprintf(stderr, "%s: %s\n", argv[i], strerror(errno));
            search.failed = 1;
        }
    }
    printf("%lu files, %lu windows tried\n", search.files, search.windows);
    EC_POINT_free(search.wanted);
    EC_POINT_free(search.made);
    EC_GROUP_free(search.group);
    BN_free(search.scalar);
    BN_CTX_free(search.ctx);
    return search.failed ? 2 : search.found;
}
