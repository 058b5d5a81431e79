/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pkcs11/wire.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#define URI_MAX 1024

/* What each operation takes. */
struct shape {
    uint32_t data_min, data_max;
    bool label, empty_label, alg;
};

static const struct shape shapes[TOKEN_OP_COUNT] = {
    [TOKEN_OP_STATUS] = { 0 },
    [TOKEN_OP_LIST] = { .data_min = sizeof(struct token_list_request),
                        .data_max = sizeof(struct token_list_request),
                        .label = true,
                        .empty_label = true },
    [TOKEN_OP_FIND] = { .label = true },
    [TOKEN_OP_FIND_URI] = { .data_min = 1, .data_max = URI_MAX },
    [TOKEN_OP_GENERATE] = { .label = true, .alg = true },
    [TOKEN_OP_SIGN] = { .data_min = 1,
                        .data_max = TOKEN_DATA_MAX,
                        .label = true,
                        .alg = true },
    [TOKEN_OP_DESTROY] = { .label = true },
    [TOKEN_OP_UNLOCK] = { 0 },
};

static bool label_fits(const struct shape *shape, const char *label)
{
    size_t len = strnlen(label, TOKEN_LABEL_MAX + 8);

    if (len > TOKEN_LABEL_MAX || (len > 0 && !shape->label) ||
        (len == 0 && shape->label && !shape->empty_label))
        return false;
    for (size_t i = len; i < TOKEN_LABEL_MAX + 8; i++) {
        if (label[i] != '\0')
            return false;
    }
    return true;
}

static bool bits_fit(const struct token_request *q)
{
    if (q->op != TOKEN_OP_GENERATE || q->alg != TOKEN_ALG_RS256)
        return q->rsa_bits == 0;
    return q->rsa_bits == 2048 || q->rsa_bits == 3072 || q->rsa_bits == 4096;
}

static enum token_result check_fields(const struct token_request *q,
                                      struct backend_error *reterr)
{
    const struct shape *shape = &shapes[q->op];

    if (q->data_len < shape->data_min || q->data_len > shape->data_max)
        return refuse_token(reterr, TOKEN_S_PROTOCOL,
                            "data of %u octets does not fit the operation",
                            q->data_len);
    if (!label_fits(shape, q->label))
        return refuse_token(reterr, TOKEN_S_PROTOCOL,
                            "the label does not fit the operation");
    if (shape->alg ? q->alg < TOKEN_ALG_ES256 || q->alg > TOKEN_ALG_EDDSA
                   : q->alg != 0)
        return refuse_token(reterr, TOKEN_S_PROTOCOL,
                            "algorithm %u does not fit the operation", q->alg);
    if (!bits_fit(q))
        return refuse_token(reterr, TOKEN_S_PROTOCOL,
                            "%u RSA bits do not fit the operation",
                            q->rsa_bits);
    return TOKEN_S_OK;
}

enum token_result wire_check(struct bytes datagram,
                             struct backend_error *reterr)
{
    const struct token_request *q = (const void *)datagram.data;

    if (datagram.len < sizeof(*q) || datagram.len > WIRE_REQUEST_MAX)
        return refuse_token(reterr, TOKEN_S_PROTOCOL,
                            "a datagram of %zu octets is no request",
                            datagram.len);
    if (q->version != TOKEN_PROTO_VERSION)
        return refuse_token(reterr, TOKEN_S_PROTOCOL,
                            "the peer speaks version %u, this helper %d",
                            q->version, TOKEN_PROTO_VERSION);
    if (datagram.len - sizeof(*q) != q->data_len)
        return refuse_token(reterr, TOKEN_S_PROTOCOL,
                            "%zu octets of data where %u were announced",
                            datagram.len - sizeof(*q), q->data_len);
    if (q->op == TOKEN_OP_UNSET || q->op >= TOKEN_OP_COUNT)
        return refuse_token(reterr, TOKEN_S_PROTOCOL,
                            "there is no operation %u", q->op);
    if (q->reserved != 0)
        return refuse_token(reterr, TOKEN_S_PROTOCOL,
                            "the reserved field is not zero");
    return check_fields(q, reterr);
}

int wire_reply(int fd, uint64_t id, const struct backend_error *err,
               struct bytes data)
{
    struct token_reply reply = { .version = TOKEN_PROTO_VERSION,
                                 .result = err ? err->result : TOKEN_S_OK,
                                 .id = id,
                                 .data_len = (uint32_t)data.len,
                                 .ckr = err ? (uint32_t)err->ckr : 0 };
    struct iovec iov[2] = {
        { &reply, sizeof(reply) },
        { bytes_unconst(data), data.len },
    };
    struct msghdr msg = { .msg_iov = iov, .msg_iovlen = data.len ? 2 : 1 };

    if (err)
        memcpy(reply.text, err->text, sizeof(reply.text));
    while (sendmsg(fd, &msg, MSG_NOSIGNAL) < 0) {
        if (errno != EINTR)
            return -errno;
    }
    return 0;
}
