/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "acme/account.h"

/*
 * URLs in one spelling only (design section 7): absolute https (plain http only
 * to a loopback address and only with allow_http_loopback), lower-case host, no
 * default port spelled out, no userinfo, query, fragment, percent-encoding,
 * empty or dot segments, no ';' or anything else that RFC 3986 does not allow
 * in a path, at most ACME_URL_MAX octets. One last slash is not counted as an
 * empty segment: some CAs end all their URLs in one.
 */

struct url {
    struct bytes origin; /* "https://ca.example:14000" */
    struct bytes host;
    struct bytes path; /* begins with '/' */
};

struct url_rules {
    bool allow_query;
    bool allow_http_loopback;
};

/* url_read() - the parts point into @text. Return: 0; REFUSED. */
int url_read(struct bytes text, const struct url_rules *rules, struct url *ret,
             struct refusal *ret_refusal) MUST_CHECK;

/**
 * url_check_for_account() - url_read(), and the origin is that of the account's
 * directory or one of its Origins=
 */
int url_check_for_account(struct bytes text, const struct acme_account *a,
                          struct refusal *ret_refusal) MUST_CHECK;

/* url_check_origin() - url_read() of both, and they are of one origin. Return:
 * 0; REFUSED, with REASON_FOREIGN_ORIGIN where each is good by itself. */
int url_check_origin(struct bytes text, struct bytes other,
                     const struct url_rules *rules,
                     struct refusal *ret_refusal) MUST_CHECK;

/* url_same_but_slash() - @text and @other name the same to a server that does
 * not care for a last slash. */
bool url_same_but_slash(struct bytes text, const char *other);
