/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "pkcs11/backend.h"

/* The helper's end of ipc/token-proto.h. */

#define WIRE_REQUEST_MAX (sizeof(struct token_request) + TOKEN_DATA_MAX)

/**
 * wire_check() - is this datagram a request, exactly?
 * @datagram: aligned as malloc(3) does; may be longer than WIRE_REQUEST_MAX,
 *            then only its length is looked at
 *
 * Every field that the operation does not use has to be zero, so that both ends
 * always mean the same.
 *
 * Return: TOKEN_S_OK; TOKEN_S_PROTOCOL.
 */
enum token_result wire_check(struct bytes datagram,
                             struct backend_error *reterr) MUST_CHECK;

/* wire_reply() - send one answer. @err is NULL when it is good.
 * Return: 0; negative errno. */
int wire_reply(int fd, uint64_t id, const struct backend_error *err,
               struct bytes data) MUST_CHECK;
