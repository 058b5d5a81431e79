/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/guardian.h"

/*
 * The sockets for Debian's lacme: the line protocol of lacme-accountd. The
 * account is fixed by the socket, never by the caller.
 *
 *   -> 1 OK {"alg":"ES256","jwk-thumbprint":"...","kid":"..."}\r\n
 *   -> {"crv":...}\r\n                              (the public key)
 *   <- BASE64URL(protected).BASE64URL(payload)\r\n
 *   -> BASE64URL(signature)\r\n
 *
 * Whatever is not signed ends the connection: the protocol has no words for it,
 * the journal and the audit log do.
 */

#define LACME_LINE_MAX (REQUEST_MAX + 2)

int lacme_new(struct guardian *g, struct lacme **ret) MUST_CHECK;
struct lacme *lacme_free(struct lacme *l);

/* lacme_listen() - takes over the listening socket on success. */
int lacme_listen(struct lacme *l, int fd, const char *instance,
                 const char *account) MUST_CHECK;

/* lacme_stop() - no new connections and requests. */
void lacme_stop(struct lacme *l);
size_t lacme_pending(const struct lacme *l);
size_t lacme_connections(const struct lacme *l);
/* Those of an account that were greeted with its key. */
size_t lacme_connections_of(const struct lacme *l, const struct account *a);

/*
 * lacme_split_line() - a request line without its line end
 *
 * Return: 0 with both parts; LACME_E_MALFORMED.
 */
int lacme_split_line(struct bytes line, struct bytes *ret_protected,
                     struct bytes *ret_payload) MUST_CHECK;
#define LACME_E_MALFORMED 1
