/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "acme/dns-name.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <idn2.h>

#define DNS_LABEL_MAX 63

/* Both %.*s of a struct bytes. */
#define SHOW(b) (int)(b).len, (const char *)(b).data

static bool dns_is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static bool dns_is_ldh(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || dns_is_digit(c) || c == '-';
}

/*
 * Hyphens in both third and fourth place are kept for encodings (RFC 5891
 * section 4.2.3.1), and only "xn--" is defined. libidn2 refuses all else,
 * decodes the label, applies IDNA2008's rules for registration, and compares
 * the way back.
 */
static int dns_label_check_alabel(struct bytes label,
                                  struct refusal *ret_refusal)
{
    uint8_t copy[DNS_LABEL_MAX + 1] = { 0 };
    uint8_t *out = NULL;
    int r;

    memcpy(copy, label.data, label.len);
    r = idn2_register_u8(NULL, copy, &out, 0);
    idn2_free(out);
    if (r == IDN2_MALLOC)
        return -ENOMEM;
    if (r != IDN2_OK)
        return refuse(ret_refusal, REASON_BAD_DNS_NAME, "%.*s: %s", SHOW(label),
                      idn2_strerror(r));
    return 0;
}

static int dns_label_check(struct bytes label, struct refusal *ret_refusal)
{
    if (label.len == 0)
        return refuse(ret_refusal, REASON_BAD_DNS_NAME, "empty label");
    if (label.len > DNS_LABEL_MAX)
        return refuse(ret_refusal, REASON_BAD_DNS_NAME,
                      "label of %zu characters", label.len);
    for (size_t i = 0; i < label.len; i++) {
        if (!dns_is_ldh(label.data[i]))
            return refuse(ret_refusal, REASON_BAD_DNS_NAME,
                          "%.*s: character 0x%02x", SHOW(label), label.data[i]);
    }
    if (label.data[0] == '-')
        return refuse(ret_refusal, REASON_BAD_DNS_NAME, "%.*s: first hyphen",
                      SHOW(label));
    if (label.data[label.len - 1] == '-')
        return refuse(ret_refusal, REASON_BAD_DNS_NAME, "%.*s: last hyphen",
                      SHOW(label));
    if (label.len >= 4 && label.data[2] == '-' && label.data[3] == '-')
        return dns_label_check_alabel(label, ret_refusal);
    return 0;
}

static bool dns_all_digits(struct bytes label)
{
    for (size_t i = 0; i < label.len; i++) {
        if (!dns_is_digit(label.data[i]))
            return false;
    }
    return true;
}

int dns_name_check(struct bytes name, bool allow_wildcard,
                   struct refusal *ret_refusal)
{
    struct bytes rest = name;
    struct bytes label = { 0 };
    size_t n_labels = 0;
    bool more = true;
    int r;

    if (name.len > DNS_NAME_MAX)
        return refuse(ret_refusal, REASON_BAD_DNS_NAME, "%zu characters",
                      name.len);
    if (allow_wildcard && rest.len > 2 && memcmp(rest.data, "*.", 2) == 0)
        rest = (struct bytes){ rest.data + 2, rest.len - 2 };

    for (; more; n_labels++) {
        const uint8_t *dot = rest.len ? memchr(rest.data, '.', rest.len) : NULL;

        label.data = rest.data;
        label.len = dot ? (size_t)(dot - rest.data) : rest.len;
        r = dns_label_check(label, ret_refusal);
        if (r)
            return r;
        more = dot;
        if (dot)
            rest = (struct bytes){ dot + 1, rest.len - label.len - 1 };
    }

    if (n_labels < 2)
        return refuse(ret_refusal, REASON_BAD_DNS_NAME, "%.*s: one label",
                      SHOW(name));
    if (dns_all_digits(label))
        return refuse(ret_refusal, REASON_BAD_DNS_NAME,
                      "%.*s: last label is a number", SHOW(name));
    return 0;
}

int ip_text_check(struct bytes text, uint8_t ret_addr[static 16],
                  size_t *ret_len, struct refusal *ret_refusal)
{
    char copy[INET6_ADDRSTRLEN] = "";
    char canonical[INET6_ADDRSTRLEN];
    uint8_t addr[16] = { 0 };
    bool v6;

    if (text.len >= sizeof(copy))
        return refuse(ret_refusal, REASON_BAD_ADDRESS, "%zu characters",
                      text.len);
    if (text.len > 0)
        memcpy(copy, text.data, text.len);

    v6 = strchr(copy, ':');
    /* ::ffff:192.0.2.1 is an IPv4 address to some (Go) and not to others. */
    if (v6 && strchr(copy, '.'))
        return refuse(ret_refusal, REASON_BAD_ADDRESS, "%s: mixed notation",
                      copy);
    /* Catches upper case, leading zeros, another compression, and a NUL. */
    if (inet_pton(v6 ? AF_INET6 : AF_INET, copy, addr) != 1 ||
        !inet_ntop(v6 ? AF_INET6 : AF_INET, addr, canonical,
                   sizeof(canonical)) ||
        !bytes_eq_str(text, canonical))
        return refuse(ret_refusal, REASON_BAD_ADDRESS, "%s: not canonical",
                      copy);

    memcpy(ret_addr, addr, sizeof(addr));
    *ret_len = v6 ? 16 : 4;
    return 0;
}
