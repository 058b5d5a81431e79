/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>

#include "base/bytes.h"

/* A blocking Varlink client with a deadline. Not thread-safe: one caller. */

struct varlink_client;

int varlink_client_connect(const char *path, int timeout_ms,
                           struct varlink_client **ret) MUST_CHECK;

/**
 * varlink_client_call() - one request, one answer
 * @parameters: JSON text of an object
 * @ret_error:  NULL on success, or the error's name (owned by the caller)
 * @ret:        the answer's or the error's parameters, a new reference
 *
 * Return: 0 (look at *ret_error); -ETIMEDOUT; -ECONNRESET when the peer closed,
 * or this process did, and the descriptor is not ours any more;
 * -EPROTO for an answer that is none; -EMSGSIZE for a request that is longer
 * than a server may read; negative errno. After any but 0 the
 * client is unusable.
 */
int varlink_client_call(struct varlink_client *c, const char *method,
                        struct bytes parameters, int timeout_ms,
                        char **ret_error, json_t **ret) MUST_CHECK;

/* varlink_client_send(), varlink_client_receive() - the halves of
 * varlink_client_call(), for who has other work to do in between. No second
 * request before the answer to the first. */
int varlink_client_send(struct varlink_client *c, const char *method,
                        struct bytes parameters, int timeout_ms) MUST_CHECK;
int varlink_client_receive(struct varlink_client *c, int timeout_ms,
                           char **ret_error, json_t **ret) MUST_CHECK;

/* varlink_client_more() - a call with "more"; @fn for each answer until it
 * returns nonzero (which is returned) or the last one came. */
int varlink_client_more(struct varlink_client *c, const char *method,
                        struct bytes parameters,
                        int (*fn)(const json_t *parameters, void *userdata),
                        void *userdata, char **ret_error,
                        json_t **ret) MUST_CHECK;

/* varlink_client_abandon() - in a child after fork(), while the parent may be
 * in a call: closes the child's descriptor and touches nothing else. */
void varlink_client_abandon(const struct varlink_client *c);

struct varlink_client *varlink_client_free(struct varlink_client *c);
DEFINE_CLEANUP(struct varlink_client *, varlink_client_free)
#define CLEANUP_VARLINK_CLIENT CLEANUP(varlink_client_free_p)
