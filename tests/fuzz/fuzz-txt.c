/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Values of TXT records, as anybody can publish them; and prefixes of CAs, of
 * which they are made. Records are the lines, the first octet says of what. */
#include <string.h>

#include "acme/persist.h"
#include "client-shim/dns-answer.h"
#include "fuzz.h"

#define RECORDS_MAX 8
#define NOW_S 1790000000

static const char *const issuers[] = { "ca.example", NULL };
static const char *const accepted[] = { "https://ca.example/acct/123", NULL };

/* What can be read and is not only ours can be written, and reads the same. */
static void check_again(const struct persist_parsed *p)
{
    CLEANUP_BUF struct buf b = { 0 };
    CLEANUP_PERSIST_PARSED struct persist_parsed again = { 0 };
    const struct persist_record record = { .issuer = p->issuer,
                                           .accounturi = p->accounturi,
                                           .wildcard = p->wildcard,
                                           .until_s = p->until_s };
    enum persist_reason reason = PERSIST_REASON_UNSET;
    struct refusal refusal = { 0 };

    if (persist_format(&record, &b, &refusal))
        return;
    MUST(persist_parse(buf_bytes(&b), &again, &reason) == 0);
    MUST(strcasecmp(again.issuer, p->issuer) == 0);
    MUST(strcmp(again.accounturi, p->accounturi) == 0);
    MUST(again.wildcard == p->wildcard);
    MUST(again.until_s == p->until_s);
}

static void try_record(struct bytes value)
{
    CLEANUP_PERSIST_PARSED struct persist_parsed p = { 0 };
    CLEANUP_BUF struct buf text = { 0 };
    enum persist_reason reason = PERSIST_REASON_UNSET;
    struct bytes issuer = persist_issuer(value);
    int r = persist_parse(value, &p, &reason);

    MUST(issuer.len <= value.len);
    MUST(r == 0 || r == REFUSED);
    MUST((r == 0) == (reason == PERSIST_REASON_UNSET));
    MUST(r == 0 || persist_reason_verdict(reason) == PERSIST_MALFORMED);
    if (r == 0) {
        MUST(p.issuer[0] && p.accounturi[0]);
        MUST(bytes_eq_str(issuer, p.issuer));
        MUST(p.has_until ? p.until_s >= 0 : p.until_s == 0);
        check_again(&p);
    }
    MUST(persist_split(value, &text) == 0);
    for (size_t i = 0; i < text.len; i++)
        MUST(text.data[i] >= ' ' && text.data[i] <= '~');
}

static enum persist_verdict judge(const struct bytes *values, size_t n,
                                  bool wildcard)
{
    const struct persist_question q = { .wildcard = wildcard,
                                        .issuers = issuers,
                                        .accepted = accepted,
                                        .now_s = NOW_S };
    enum persist_verdict verdict = PERSIST_UNSET;
    enum persist_reason reason = PERSIST_REASON_UNSET;

    MUST(persist_judge(values, n, &q, &verdict, &reason) == 0);
    MUST(verdict != PERSIST_UNSET);
    MUST(verdict == persist_reason_verdict(reason) ||
         (verdict == PERSIST_VALID && reason == PERSIST_REASON_UNSET));
    return verdict;
}

/* One valid record is enough, and a wildcard is never easier to get. */
static void try_records(struct bytes rest, bool wildcard)
{
    struct bytes values[RECORDS_MAX] = { 0 };
    size_t n = 0;
    bool one = false;
    bool all;

    while (rest.len > 0 && n < RECORDS_MAX)
        values[n++] = fuzz_line(&rest);
    for (size_t i = 0; i < n; i++) {
        try_record(values[i]);
        one |= judge(&values[i], 1, wildcard) == PERSIST_VALID;
    }
    all = judge(values, n, wildcard) == PERSIST_VALID;
    MUST(all == one);
    MUST(!wildcard || !all || judge(values, n, false) == PERSIST_VALID);
}

static void try_prefix(struct bytes prefix)
{
    CLEANUP_BUF struct buf value = { 0 };
    CLEANUP_FREE char *text = NULL;
    struct refusal refusal = { 0 };

    if (persist_prefix_check(prefix, &refusal))
        return;
    text = strndup((const char *)prefix.data, prefix.len);
    MUST(text && strlen(text) == prefix.len);
    /* What passed can stand in a record. */
    MUST(persist_accounturi(text, "example.com",
                            "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs",
                            accepted[0], &value, &refusal) == 0);
    MUST(value.len == prefix.len + strlen("sha-256/") + 43);
    if (value.len <= PERSIST_ACCOUNTURI_MAX) {
        const struct persist_record record = { .issuer = "ca.example",
                                               .accounturi = buf_str(&value) };
        CLEANUP_BUF struct buf record_text = { 0 };

        MUST(persist_format(&record, &record_text, &refusal) == 0);
    }
}

/* Record data: strings after their lengths. */
static void try_rdata(struct bytes rdata)
{
    CLEANUP_BUF struct buf joined = { 0 };
    CLEANUP_BUF struct buf text = { 0 };
    CLEANUP_BUF struct buf again = { 0 };

    if (!dns_txt_ok(rdata))
        return;
    MUST(dns_txt_join(rdata, &joined) == 0 && joined.len < rdata.len);
    MUST(dns_txt_format(rdata, &text) == 0);
    MUST(!memchr(buf_str(&text), '\n', text.len));
    MUST(dns_txt_encode(buf_bytes(&joined), &again) == 0);
    MUST(dns_txt_ok(buf_bytes(&again)));
    try_record(buf_bytes(&joined));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes rest = { data, size };

    switch (fuzz_octet(&rest)) {
    case 'p':
        try_prefix(rest);
        break;
    case 'r':
        try_rdata(rest);
        break;
    case '*':
        try_records(rest, true);
        break;
    default:
        try_records(rest, false);
    }
    return 0;
}
