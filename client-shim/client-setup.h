/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "acme/jwk.h"
#include "base/errmsg.h"

/*
 * What a client needs, besides a stub, to sign with an account's key: lines of
 * its configuration, a wrapper, a drop-in. Pure: which steps there are, and
 * what a file is to be like after one. facts of the clients are
 * docs/clients.md's.
 */

#define CLIENT_SETUP_STEPS_MAX 6
#define CLIENT_SETUP_PATH_MAX 1023

enum client_setup_kind {
    CLIENT_SETUP_UNSET = 0,
    CLIENT_SETUP_SHELL, /* a variable in a shell file */
    CLIENT_SETUP_LACME, /* lacme.conf */
    CLIENT_SETUP_FILE,  /* a file of our own */
    CLIENT_SETUP_RUN,   /* a command, for the operator */
    CLIENT_SETUP_NOTE,
};

struct client_setup_step {
    enum client_setup_kind kind;
    char path[CLIENT_SETUP_PATH_MAX + 1]; /* of the file */
    const char *name, *prefix;            /* SHELL */
    char text[1024];   /* value; socket; content; command; words */
    unsigned mode;     /* of a file that is new */
    const char *keeps; /* FILE: lines that begin so stay, if not NULL */
};

struct client_setup {
    unsigned n;
    struct client_setup_step steps[CLIENT_SETUP_STEPS_MAX];
};

struct client_setup_wish {
    const char *client;  /* "dehydrated" */
    const char *account; /* its name */
    const struct jwk *key;
    const char *file;         /* NULL: the client's usual one */
    const char *openssl_conf; /* with the provider; NULL: what is installed */
    const char *lacme_socket;
    const char *chroot; /* HAProxy's; NULL: none */
};

#define CLIENT_SETUP_E_UNKNOWN 1 /* no such client */
#define CLIENT_SETUP_E_KEY 2     /* client-cannot-use-this-key */
#define CLIENT_SETUP_E_FILE 3    /* it has no usual one; or cannot be written */

/* client_setup_plan() - Return: 0; CLIENT_SETUP_E_* with *reterr. */
int client_setup_plan(const struct client_setup_wish *wish,
                      struct client_setup *ret,
                      struct errmsg *reterr) MUST_CHECK;

/* client_setup_edit() - a file's content after a step, of which @before is
 * what it was. Return: 0; CLIENT_SETUP_E_FILE; -ENOMEM. */
int client_setup_edit(const struct client_setup_step *step, struct bytes before,
                      struct buf *ret) MUST_CHECK;

/* client_setup_line() - of SHELL: the line, for people. */
int client_setup_line(const struct client_setup_step *step,
                      struct buf *ret) MUST_CHECK;
