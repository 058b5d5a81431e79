/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/dns-answer.h"

#include <stdio.h>

#define DNS_TXT_STRING_MAX 255

static const struct {
    const char *code;
    const char *words;
} statuses[] = { [DNS_STATUS_UNSET] = { "unset", "not asked" },
#define DNS_STATUS_ROW(name, code, words) [DNS_##name] = { code, words },
                 DNS_STATUS_TABLE(DNS_STATUS_ROW)
#undef DNS_STATUS_ROW
};

const char *dns_status_code(enum dns_status s)
{
    return statuses[s < DNS_STATUS_COUNT ? s : DNS_STATUS_UNSET].code;
}

const char *dns_status_words(enum dns_status s)
{
    return statuses[s < DNS_STATUS_COUNT ? s : DNS_STATUS_UNSET].words;
}

bool dns_status_known(enum dns_status s)
{
    return s == DNS_OK || s == DNS_NODATA || s == DNS_NXDOMAIN;
}

const char *dns_rcode_name(unsigned rcode, char space[static 16])
{
    static const struct {
        unsigned rcode;
        const char *name;
    } names[] = {
        { DNS_RCODE_NOERROR, "NOERROR" },   { DNS_RCODE_FORMERR, "FORMERR" },
        { DNS_RCODE_SERVFAIL, "SERVFAIL" }, { DNS_RCODE_NXDOMAIN, "NXDOMAIN" },
        { DNS_RCODE_NOTIMP, "NOTIMP" },     { DNS_RCODE_REFUSED, "REFUSED" },
        { DNS_RCODE_NOTAUTH, "NOTAUTH" },   { DNS_RCODE_NOTZONE, "NOTZONE" },
        { DNS_RCODE_BADSIG, "BADSIG" },     { DNS_RCODE_BADKEY, "BADKEY" },
        { DNS_RCODE_BADTIME, "BADTIME" },   { DNS_RCODE_BADTRUNC, "BADTRUNC" },
    };

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (names[i].rcode == rcode)
            return names[i].name;
    }
    (void)snprintf(space, 16, "RCODE %u", rcode & 0xffff);
    return space;
}

void dns_answer_deinit(struct dns_answer *a)
{
    free(a->rrs);
    buf_deinit(&a->storage);
    buf_deinit(&a->joined);
    *a = (struct dns_answer){ 0 };
}

int dns_txt_encode(struct bytes value, struct buf *ret)
{
    size_t at = 0;
    int r;

    /* An empty value is one empty string: a TXT record has at least one. */
    do {
        size_t n = value.len - at;

        if (n > DNS_TXT_STRING_MAX)
            n = DNS_TXT_STRING_MAX;
        r = buf_append_char(ret, (char)n);
        if (r == 0 && n)
            r = buf_append(ret, value.data + at, n);
        at += n;
    } while (r == 0 && at < value.len);
    return r;
}

bool dns_txt_ok(struct bytes rdata)
{
    size_t at = 0;

    while (at < rdata.len)
        at += (size_t)rdata.data[at] + 1;
    return rdata.len > 0 && rdata.len <= UINT16_MAX && at == rdata.len;
}

int dns_txt_join(struct bytes rdata, struct buf *ret)
{
    int r = 0;

    for (size_t at = 0; r == 0 && at < rdata.len;
         at += (size_t)rdata.data[at] + 1)
        r = buf_append(ret, rdata.data + at + 1, rdata.data[at]);
    return r;
}

static int format_octet(uint8_t c, struct buf *ret)
{
    if (c < 0x20 || c > 0x7e)
        return buf_printf(ret, "\\%03u", c);
    return buf_printf(ret, c == '"' || c == '\\' ? "\\%c" : "%c", c);
}

int dns_txt_format(struct bytes rdata, struct buf *ret)
{
    size_t at = 0;
    int r = 0;

    while (r == 0 && at < rdata.len) {
        size_t n = rdata.data[at];

        r = buf_append_str(ret, at ? " \"" : "\"");
        for (size_t i = 1; r == 0 && i <= n; i++)
            r = format_octet(rdata.data[at + i], ret);
        if (r == 0)
            r = buf_append_char(ret, '"');
        at += n + 1;
    }
    return r;
}
