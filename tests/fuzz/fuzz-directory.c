/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a CA answers with: directory objects and the others. The first octet
 * says which; 'R', 'D' and 'L' are headers. */
#include <string.h>

#include "acme/account.h"
#include "acme/directory-meta.h"
#include "client-shim/net-read.h"
#include "fuzz.h"

static const struct {
    char letter;
    enum net_kind kind;
    void (*read)(struct net_answer *a, struct bytes body);
} readers[] = {
    { 'd', NET_KIND_DIRECTORY, net_read_directory },
    { 'a', NET_KIND_ACCOUNT, net_read_account },
    { 'o', NET_KIND_ORDER, net_read_order },
    { 'z', NET_KIND_AUTHZ, net_read_authz },
    { 'c', NET_KIND_CHALLENGE, net_read_challenge },
    { 'p', NET_KIND_CERTIFICATE, net_read_certificate },
    { 'r', NET_KIND_RENEWAL_INFO, net_read_renewal },
};

/* What the child makes of an answer is what its parent takes from it. */
static void try_answer(size_t which, struct bytes body, bool problem)
{
    static struct net_answer a;

    memset(&a, 0, sizeof(a));
    a.kind = readers[which].kind;
    a.result = NET_RESULT_OK;
    a.http_status = problem ? 403 : 200;
    if (problem)
        net_read_problem(&a, body);
    else
        readers[which].read(&a, body);
    if (a.result != NET_RESULT_OK)
        a.http_status = 0;
    MUST(a.result == NET_RESULT_OK || a.result == NET_RESULT_BAD_ANSWER);
    MUST((a.result == NET_RESULT_OK) == (a.text[0] == '\0'));
    MUST(net_answer_check(&a, net_answer_len(&a), readers[which].kind));
}

/* The daemon reads the same directory by itself. */
static void try_directory(struct bytes body)
{
    struct acme_directory d = { 0 };
    CLEANUP_ACME_META struct acme_meta meta = { 0 };
    struct refusal refusal = { 0 };
    int r;

    r = acme_directory_read(body, &d, &refusal);
    MUST(r == 0 || (r == REFUSED && refusal.reason != REASON_UNSET));
    if (r == 0)
        acme_directory_deinit(&d);
    r = acme_meta_read(body, &meta, &refusal);
    MUST(r == 0 || (r == REFUSED && refusal.reason != REASON_UNSET));
    MUST(r == 0 || (!meta.terms && !meta.issuers && !meta.profiles));
}

static bool link_seen(struct bytes url, void *userdata)
{
    unsigned *n = userdata;

    MUST(url.len > 0);
    return ++*n < NET_ALTERNATES_MAX;
}

static void try_header(char which, struct bytes value)
{
    CLEANUP_FREE char *text = strndup((const char *)value.data, value.len);
    unsigned n = 0;

    MUST(text);
    if (which == 'R')
        MUST(net_read_retry_after(text, 1790000000) <= NET_RETRY_MAX_S);
    else if (which == 'D')
        MUST(net_read_date(text) >= 0);
    else
        net_read_links(text, link_seen, &n);
    MUST(n <= NET_ALTERNATES_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes rest = { data, size };
    char letter = (char)fuzz_octet(&rest);
    CLEANUP_FREE uint8_t *exact = fuzz_copy(rest);

    rest.data = exact;
    if (letter == 'R' || letter == 'D' || letter == 'L') {
        try_header(letter, rest);
        return 0;
    }
    if (letter == 'm')
        try_answer(0, rest, true);
    if (letter == 'd')
        try_directory(rest);
    for (size_t i = 0; i < ARRAY_LEN(readers); i++) {
        if (readers[i].letter == letter)
            try_answer(i, rest, false);
    }
    return 0;
}
