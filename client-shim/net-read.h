/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>

#include "acme/json-strict.h"
#include "client-shim/net-answer.h"

/*
 * In the child, pure: the body of an answer with success. What does not fit is
 * NET_RESULT_BAD_ANSWER in @a, with words. Members that we do not know are the
 * CA's business and are skipped; those that we know have one type and one
 * value.
 */
void net_read_directory(struct net_answer *a, struct bytes body);
void net_read_account(struct net_answer *a, struct bytes body);
void net_read_order(struct net_answer *a, struct bytes body);
void net_read_authz(struct net_answer *a, struct bytes body);
void net_read_challenge(struct net_answer *a, struct bytes body);
void net_read_certificate(struct net_answer *a, struct bytes body);
void net_read_renewal(struct net_answer *a, struct bytes body);

/* A problem document (RFC 7807): whatever of it can be read, never a failure.
 */
void net_read_problem(struct net_answer *a, struct bytes body);

/* net_read_retry_after() - seconds, or an HTTP date (RFC 9110 10.2.3) that
 * counts from @date_s. Bounded; 0 where it is neither or in the past. */
uint32_t net_read_retry_after(const char *value, int64_t date_s);

/* net_read_date() - an HTTP date; 0 where it is none. */
int64_t net_read_date(const char *value);

/*
 * net_read_links() - the URLs of one Link header (RFC 8288) whose relation is
 * "alternate", as they stand there, to @fn until it says false.
 */
void net_read_links(const char *value,
                    bool (*fn)(struct bytes url, void *userdata),
                    void *userdata);

/*
 * For the readers: each takes one member of @o. False: @a has failed. @what
 * names the object in the words.
 */
struct net_object {
    struct net_answer *a;
    const char *what;
    const json_t *json;
    json_t *owned; /* the same where net_object_load() made it */
};
bool net_object_load(struct net_answer *a, const char *what, struct bytes body,
                     struct net_object *ret);
void net_object_deinit(struct net_object *o);
#define CLEANUP_NET_OBJECT CLEANUP(net_object_deinit)

/* A word that is compared (status, type): printable and short, never cut. */
bool net_object_word(const struct net_object *o, const char *name,
                     bool required, char to[static NET_STATUS_MAX + 1]);
/* A string of which no octet may be changed, only refused. */
bool net_object_exact(const struct net_object *o, const char *name,
                      bool required, char *to, size_t max);
bool net_object_time(const struct net_object *o, const char *name,
                     int64_t *ret_s);
bool net_object_flag(const struct net_object *o, const char *name,
                     uint32_t *ret);
bool net_object_names(const struct net_object *o, const char *name,
                      struct net_names *ret);
/* Only shown: cut, made printable, never a failure. */
void net_object_shown(const struct net_object *o, const char *name, char *to,
                      size_t max);
void net_object_problem(const struct net_object *o, const char *name,
                        struct net_problem *ret);
