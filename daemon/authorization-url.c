/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/authorization-url.h"

#include <string.h>
#include <strings.h>

#include "acme/url.h"

/* From the first slash behind the host; a query ends it. Empty for what is no
 * URL, and everything lies in that. */
static struct bytes path_of(const char *url)
{
    const char *host = strstr(url, "://");
    const char *path = host ? strchr(host + 3, '/') : NULL;

    if (!path)
        path = "";
    return (struct bytes){ (const uint8_t *)path, strcspn(path, "?") };
}

/*
 * What the account URL's neighbours have in common: "/acct/" of "/acct/1".
 * Where a query names the account, all of its path.
 */
static struct bytes neighbours(const char *account_url)
{
    struct bytes path = path_of(account_url);

    if (strchr(account_url, '?'))
        return path;
    if (path.len > 1 && path.data[path.len - 1] == '/')
        path.len--;
    while (path.len > 0 && path.data[path.len - 1] != '/')
        path.len--;
    return path;
}

static bool begins_with(struct bytes text, struct bytes start)
{
    return text.len >= start.len &&
           strncasecmp((const char *)text.data, (const char *)start.data,
                       start.len) == 0;
}

/* In @start, or where its last slash is all that lacks: "/acct?id=1". */
static bool lies_in(struct bytes path, struct bytes start)
{
    if (start.len > 1 && path.len == start.len - 1)
        start.len--;
    return begins_with(path, start);
}

int authorization_url_check(const char *url, const struct acme_account *a,
                            struct refusal *ret_refusal)
{
    int r;

    r = url_check_for_account(bytes_from_str(url), a, ret_refusal);
    if (r)
        return r;
    for (unsigned i = 1; i < ACME_ENDPOINT_COUNT; i++) {
        const char *known = acme_account_endpoint(a, (enum acme_endpoint)i);

        if (known && url_same_but_slash(bytes_from_str(url), known))
            return refuse(ret_refusal, REASON_URL_PAYLOAD_MISMATCH,
                          "%s is no authorization", url);
    }
    if (lies_in(path_of(url), neighbours(a->account_url)))
        return refuse(ret_refusal, REASON_URL_PAYLOAD_MISMATCH,
                      "%s could be read as an account", url);
    return 0;
}
