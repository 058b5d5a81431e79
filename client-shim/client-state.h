/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "acme/account.h"
#include "base/errmsg.h"
#include "client-shim/client-kind.h"

/*
 * What stands in the files of other ACME clients. Pure: text in, text out. What
 * is not as the client writes it is an error with words, never a guess; shell
 * files are parsed, never run.
 */

/* Not as the client writes it. */
#define CLIENT_STATE_E_BAD 1
#define CLIENT_STATE_E_ABSENT 2

#define CLIENT_STATE_FILE_MAX (48 * 1024)

/**
 * client_state_json() - a string of a JSON file
 * @path: of members, "registration.uri"
 *
 * Return: 0 with *ret (empty where the file has no such member);
 * CLIENT_STATE_E_BAD with *reterr; -ENOMEM.
 */
int client_state_json(struct bytes text, const char *path, struct buf *ret,
                      struct errmsg *reterr) MUST_CHECK;

/**
 * client_state_shell() - the value that a shell would give a variable
 *
 * Lines NAME=WORD, NAME='...' or NAME="...", with or without export; the last
 * one counts. A value that only a shell could tell ($, `, \, more words) is
 * CLIENT_STATE_E_BAD. An assignment behind another command in its line is not
 * seen, and one in a line of a longer quoted text is taken for one: the CA is
 * asked about whatever comes of it.
 *
 * Return: 0 with *ret; CLIENT_STATE_E_ABSENT; CLIENT_STATE_E_BAD with *reterr
 * and its line; -ENOMEM.
 */
int client_state_shell(struct bytes text, const char *name, struct buf *ret,
                       struct errmsg *reterr) MUST_CHECK;

/**
 * client_state_shell_set() - the same text, but this variable has that value
 * @prefix: "export " or ""
 * @value:  no quote, no control character (CLIENT_STATE_E_BAD)
 *
 * The last assignment is replaced, or one added at the end.
 */
int client_state_shell_set(struct bytes text, const char *prefix,
                           const char *name, const char *value,
                           struct buf *ret) MUST_CHECK;

/**
 * client_state_lacme() - lacme.conf, for a socket in place of lacme-accountd
 *
 * socket= of [client] is set; the section [accountd], which lacme starts
 * lacme-accountd for, becomes a comment.
 */
int client_state_lacme(struct bytes text, const char *socket,
                       struct buf *ret) MUST_CHECK;

/* What the names of directories say. @dir is relative, of the account's own
 * directory: "acme-v02.api.letsencrypt.org/directory/0123". Return: 0 with
 * *ret; CLIENT_STATE_E_ABSENT where it says nothing; -ENOMEM. */

/* client_state_certbot_directory() - "https://" of HOST/PATH/ID. */
int client_state_certbot_directory(const char *dir, struct buf *ret) MUST_CHECK;
/* client_state_dehydrated_directory() - the name is the URL, encoded. */
int client_state_dehydrated_directory(const char *dir,
                                      struct buf *ret) MUST_CHECK;
/* client_state_lego_directory() - HOST_PORT/EMAIL: of a CA that we know. */
int client_state_lego_directory(const char *dir, struct buf *ret) MUST_CHECK;

/* client_state_acme_sh_is() - is a directory URL that of HOST/PATH, which has
 * no port? */
bool client_state_acme_sh_is(const char *dir, const char *url);
/* client_state_acme_sh_directory() - "https://" HOST/PATH, if it has no port.
 */
int client_state_acme_sh_directory(const char *dir, struct buf *ret) MUST_CHECK;

/* client_state_acme_sh_hash() - CA_KEY_HASH of a key file's content. */
int client_state_acme_sh_hash(struct bytes content, struct buf *ret) MUST_CHECK;

/* client_state_retired() - what lies in the place of a retired client's key:
 * no key to any reader, and words for a person. */
int client_state_retired(const char *account, struct buf *ret) MUST_CHECK;
bool client_state_is_retired(struct bytes content);
