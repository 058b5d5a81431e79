/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>

#include "base/settings.h"
#include "client-shim/ctl.h"

/*
 * A conversation with the daemon for one command. Every function returns an
 * exit code: CTL_EXIT_DONE, or another after the error was printed.
 */

enum ctl_socket {
    CTL_SOCKET_UNSET = 0,
    CTL_SOCKET_CLIENT, /* org.acmeguardian.Signer */
    CTL_SOCKET_ADMIN,  /* org.acmeguardian.Admin */
};

struct ctl_daemon {
    const struct ctl_context *context;
    enum ctl_socket socket;
    struct varlink_client *client;
    bool quiet; /* errors are not printed: there is another way to go */
    const char *expected; /* an error that is an answer: CTL_EXIT_NO with its
                             parameters, not printed; or NULL */
};
#define CLEANUP_CTL_DAEMON CLEANUP(ctl_daemon_deinit)
void ctl_daemon_deinit(struct ctl_daemon *d);

/* A call that waits for a key pair to be made has a longer deadline. */
#define CTL_CALL_MS 30000
#define CTL_CALL_SIGN_MS 90000 /* in a rotation it is held for a minute */
#define CTL_CALL_KEYGEN_MS 660000

/* ctl_socket_path() - of the options, the settings, or the built-in one. */
int ctl_socket_path(const struct ctl_context *c, enum ctl_socket socket,
                    char **ret) MUST_CHECK;

int ctl_daemon_open(const struct ctl_context *c, enum ctl_socket socket,
                    struct ctl_daemon *ret) MUST_CHECK;

/**
 * ctl_daemon_call() - one call of the socket's interface
 * @method:     "AccountList"
 * @parameters: reference taken over; NULL is out of memory
 * @ret:        a new reference; may be NULL
 */
int ctl_daemon_call(struct ctl_daemon *d, const char *method,
                    json_t *parameters, json_t **ret) MUST_CHECK;
int ctl_daemon_call_within(struct ctl_daemon *d, const char *method,
                           json_t *parameters, int timeout_ms,
                           json_t **ret) MUST_CHECK;

/* ctl_daemon_send(), ctl_daemon_receive() - the halves of ctl_daemon_call(), so
 * that both sides can work at once. One call at a time. */
int ctl_daemon_send(struct ctl_daemon *d, const char *method,
                    json_t *parameters) MUST_CHECK;
int ctl_daemon_receive(struct ctl_daemon *d, const char *method,
                       json_t **ret) MUST_CHECK;

/**
 * ctl_daemon_pages() - a call that is answered in pages, until the last one
 * @parameters: reference taken over; NULL is out of memory
 * @member:     the array in each answer, which @fn gets; an exit code of it
 *              other than CTL_EXIT_DONE ends this and is returned
 */
int ctl_daemon_pages(struct ctl_daemon *d, const char *method,
                     json_t *parameters, const char *member,
                     int (*fn)(json_t *items, void *userdata),
                     void *userdata) MUST_CHECK;

/* ctl_daemon_watch() - a call with "more" until @fn returns nonzero. */
int ctl_daemon_watch(struct ctl_daemon *d, const char *method,
                     int (*fn)(const json_t *parameters, void *userdata),
                     void *userdata) MUST_CHECK;

/* ctl_once() - connect, call, close: what most commands do. */
int ctl_once(const struct ctl_context *c, enum ctl_socket socket,
             const char *method, json_t *parameters, json_t **ret) MUST_CHECK;

/* ctl_try() - the same without a word when it fails. */
int ctl_try(const struct ctl_context *c, enum ctl_socket socket,
            const char *method, json_t *parameters, json_t **ret) MUST_CHECK;

/* ctl_settings() - of --config; prints what is wrong with them. */
int ctl_settings(const struct ctl_context *c, struct settings **ret) MUST_CHECK;
