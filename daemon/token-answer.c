/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "daemon/token.h"

bool token_answer_ok(const struct token_answer *a)
{
    return a->r == 0 && a->result == TOKEN_S_OK;
}

static const char *token_result_code(enum token_result result)
{
    switch (result) {
    case TOKEN_S_OK:
        return "ok";
    case TOKEN_S_PROTOCOL:
        return "protocol";
    case TOKEN_S_UNSUPPORTED:
        return "unsupported-by-backend";
    case TOKEN_S_NO_KEY:
        return "no-key";
    case TOKEN_S_AMBIGUOUS:
        return "ambiguous-key";
    case TOKEN_S_EXISTS:
        return "key-exists";
    case TOKEN_S_KEY_UNFIT:
        return "key-unfit";
    case TOKEN_S_NO_TOKEN:
        return "no-token";
    case TOKEN_S_PIN_WRONG:
        return "pin-wrong";
    case TOKEN_S_PIN_LOCKED:
        return "pin-locked";
    case TOKEN_S_PIN_MISSING:
        return "pin-missing";
    case TOKEN_S_FULL:
        return "token-full";
    case TOKEN_S_BAD_SIGNATURE:
        return "bad-signature";
    case TOKEN_S_FAILED:
        return "failed";
    case TOKEN_S_NOT_OURS:
        return "not-our-label";
    case TOKEN_S_UNSET:
    case TOKEN_S_COUNT:
        break;
    }
    return "unknown";
}

const char *token_answer_code(const struct token_answer *a)
{
    switch (a->r) {
    case 0:
        return token_result_code(a->result);
    case -EBUSY:
        return "busy";
    case -ETIMEDOUT:
        return "timeout";
    default:
        return "unreachable";
    }
}
