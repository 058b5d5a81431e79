/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/caa-change.h"

#include <string.h>
#include <strings.h>

#include "client-shim/caa-judge.h"

static bool has_tag(const struct dns_value *record, const char *tag)
{
    return record->tag && strcasecmp(record->tag, tag) == 0;
}

/* By itself: what allows the account, of any number of records, is each that
 * does. */
static bool allows(const struct dns_value *record,
                   const struct caa_change_question *q)
{
    struct caa_question one = { .issuer = q->issuer,
                                .account_url = q->lost,
                                .wildcard = has_tag(record, "issuewild") };

    return (has_tag(record, "issue") || has_tag(record, "issuewild")) &&
           caa_allows(caa_judge(record, 1, &one));
}

/* As a zone file has it; whatever else it holds. */
static int append_value(struct bytes value, struct buf *b)
{
    int r = buf_append_char(b, '"');

    for (size_t i = 0; r == 0 && i < value.len; i++) {
        uint8_t c = value.data[i];

        if (c < ' ' || c > '~')
            r = buf_printf(b, "\\%03u", c);
        else if (c == '"' || c == '\\')
            r = buf_printf(b, "\\%c", c);
        else
            r = buf_append_char(b, (char)c);
    }
    return r ? r : buf_append_char(b, '"');
}

static int give_there(const struct dns_value *record, caa_change_fn fn,
                      void *userdata)
{
    CLEANUP_BUF struct buf text = { 0 };
    int r = buf_printf(&text, "%u %s ", record->number, record->tag);

    if (r == 0)
        r = append_value(buf_bytes(&record->text), &text);
    return r ? r : fn(true, buf_str(&text), userdata);
}

static int give_new(const struct caa_change_question *q, caa_change_fn fn,
                    void *userdata)
{
    CLEANUP_BUF struct buf text = { 0 };
    int r = q->instead ? buf_printf(&text, "0 issue \"%s; accounturi=%s\"",
                                    q->issuer, q->instead)
                       : buf_append_str(&text, "0 issue \";\"");

    return r ? r : fn(false, buf_str(&text), userdata);
}

static bool names_instead(const struct dns_value *record,
                          const struct caa_change_question *q)
{
    struct caa_question one = { .issuer = q->issuer,
                                .account_url = q->instead };

    return has_tag(record, "issue") &&
           caa_judge(record, 1, &one) == CAA_ACCOUNT;
}

int caa_change(const struct dns_value *records, size_t n,
               const struct caa_change_question *q, caa_change_fn fn,
               void *userdata)
{
    bool left = false, done = false;
    int r = 0;

    for (size_t i = 0; r == 0 && i < n; i++) {
        if (allows(&records[i], q))
            r = give_there(&records[i], fn, userdata);
        else if (has_tag(&records[i], "issue"))
            left = true;
        done = done || (q->instead && names_instead(&records[i], q));
    }
    if (r || done || (left && !q->instead))
        return r;
    return give_new(q, fn, userdata);
}
