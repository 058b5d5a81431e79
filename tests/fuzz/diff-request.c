/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What we accept as JSON and as a request means the same to a reader with Go's
 * rules, and has nothing in it that would mean more to such a one.
 */
#include <inttypes.h>
#include <string.h>

#include "acme/json-strict.h"
#include "diff-lines.h"
#include "fuzz-input.h"
#include "fuzz.h"
#include "libpeer.h"

static void dump(const json_t *v, struct buf *b);

static void dump_string(struct bytes s, struct buf *b)
{
    MUST(buf_printf(b, "s%zu:", s.len) == 0);
    MUST(buf_append(b, s.data, s.len) == 0);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void dump_object(json_t *o, struct buf *b)
{
    const char **names = calloc(json_object_size(o) + 1, sizeof(*names));
    const char *name;
    json_t *value;
    size_t n = 0;

    MUST(names);
    json_object_foreach(o, name, value)
    {
        names[n++] = name;
    }
    qsort(names, n, sizeof(*names), by_name);
    MUST(buf_append_char(b, '{') == 0);
    for (size_t i = 0; i < n; i++) {
        dump_string(bytes_from_str(names[i]), b);
        dump(json_object_get(o, names[i]), b);
    }
    MUST(buf_append_char(b, '}') == 0);
    free(names);
}

static void dump_real(double real, struct buf *b)
{
    uint64_t bits;

    memcpy(&bits, &real, sizeof(bits));
    MUST(buf_printf(b, "r%016" PRIx64, bits) == 0);
}

static void dump(const json_t *v, struct buf *b)
{
    union {
        const json_t *from;
        json_t *to;
    } u = { .from = v };

    switch (json_typeof(v)) {
    case JSON_OBJECT:
        dump_object(u.to, b);
        break;
    case JSON_ARRAY:
        MUST(buf_append_char(b, '[') == 0);
        for (size_t i = 0; i < json_array_size(v); i++)
            dump(json_array_get(v, i), b);
        MUST(buf_append_char(b, ']') == 0);
        break;
    case JSON_STRING:
        dump_string(json_bytes(v), b);
        break;
    case JSON_INTEGER:
        MUST(buf_printf(b, "i%" JSON_INTEGER_FORMAT, json_integer_value(v)) ==
             0);
        break;
    case JSON_REAL:
        dump_real(json_real_value(v), b);
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        MUST(buf_append_char(b, json_is_true(v) ? 't' : 'f') == 0);
        break;
    case JSON_NULL:
        MUST(buf_append_char(b, 'n') == 0);
    }
}

static char *chars(struct bytes b)
{
    return bytes_unconst(b);
}

static void compare_tree(struct bytes text)
{
    CLEANUP_BUF struct buf ours = { 0 };
    json_t *json = NULL;
    struct refusal refusal;

    if (json_strict_read(text, &json, &refusal))
        return;
    dump(json, &ours);
    json_decref(json);
    diff_must_be_null(PeerTree(chars(text), (int)text.len,
                               chars(buf_bytes(&ours)), (int)ours.len),
                      buf_bytes(&ours));
}

static void put_time(struct buf *b, const char *word, int64_t s)
{
    MUST(buf_printf(b, "%s %" PRId64 "\n", word, s) == 0);
}

static void put_request(const struct fuzz_input *in,
                        const struct acme_request *q, struct buf *b)
{
    diff_put_line(b, "op", acme_op_name(q->op));
    diff_put_line(b, "alg", jws_alg_name(jwk_alg(&in->account.jwk)));
    diff_put_line(b, "nonce", q->nonce);
    diff_put_line(b, "url", q->url);
    diff_put_line(b, q->by_jwk ? "jwk" : "kid",
                  q->by_jwk ? "yes" : in->account.account_url);
    diff_put_names(b, &q->identifiers);
    diff_put_csr(b, &q->csr);
    if (q->profile)
        diff_put_line(b, "profile", q->profile);
    if (q->replaces)
        diff_put_line(b, "replaces", q->replaces);
    put_time(b, "notBefore", q->not_before);
    put_time(b, "notAfter", q->not_after);
}

static void compare_request(const struct fuzz_input *in)
{
    CLEANUP_ACME_REQUEST struct acme_request *request = fuzz_input_read(in);
    CLEANUP_BUF struct buf ours = { 0 };

    if (!request)
        return;
    put_request(in, request, &ours);
    diff_must_be_null(PeerRequest(chars(in->header), (int)in->header.len,
                                  chars(in->payload), (int)in->payload.len,
                                  chars(buf_bytes(&ours))),
                      buf_bytes(&ours));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in;

    /* What is encoded already is as good as refused here. */
    if (size == 0 || ((data[0] - (unsigned)'0') & FUZZ_INPUT_ENCODED))
        return 0;
    fuzz_input_take((struct bytes){ data, size }, &in);
    compare_tree(in.payload);
    compare_request(&in);
    fuzz_input_deinit(&in);
    return 0;
}
