/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "acme/domain.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <idn2.h>

static bool domain_is_ascii(struct bytes text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] >= 0x80)
            return false;
    }
    return true;
}

static int domain_lookup(const char *text, char **ret)
{
    uint8_t *out = NULL;
    int r = idn2_lookup_u8((const uint8_t *)text, &out,
                           IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);

    *ret = (char *)out;
    return r;
}

/* Octets of the character at @text, which is good UTF-8. */
static size_t domain_char_len(const char *text)
{
    uint8_t first = (uint8_t)*text;

    return first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

/*
 * A mapping may change a letter's case, but not make plain ASCII of what is
 * none: a soft hyphen into nothing, a letter in a circle into the letter, the
 * capital sharp s into "ss" (which a reader with newer tables does not do).
 */
static int domain_check_char(const char *text, size_t len, const char *around,
                             struct refusal *ret_refusal)
{
    CLEANUP_FREE char *mapped = NULL;
    char label[8];
    int r;

    (void)snprintf(label, sizeof(label), "%s%.*s%s", around, (int)len, text,
                   around);
    r = domain_lookup(label, &mapped);
    if (r == IDN2_MALLOC)
        return -ENOMEM;
    /* One that may not stand so is judged by its place in the name. */
    if (r != IDN2_OK || strncmp(mapped, "xn--", 4) == 0)
        return 0;
    return refuse(ret_refusal, REASON_BAD_DNS_NAME,
                  "a character that stands for \"%.*s\"",
                  (int)(strlen(mapped) - 2 * strlen(around)),
                  mapped + strlen(around));
}

static int domain_check_disguise(const char *text, struct refusal *ret_refusal)
{
    for (size_t len; *text; text += len) {
        int r;

        len = domain_char_len(text);
        if (len == 1)
            continue;
        r = domain_check_char(text, len, "", ret_refusal);
        /* A wide hyphen may not stand alone, but between letters. */
        if (!r)
            r = domain_check_char(text, len, "a", ret_refusal);
        if (r)
            return r;
    }
    return 0;
}

static void domain_lower(char *text)
{
    for (; *text; text++) {
        if (*text >= 'A' && *text <= 'Z')
            *text = (char)(*text - 'A' + 'a');
    }
}

/* In A-labels, of any case; a dot at the end says only that it is absolute. */
static int domain_finish(char *name, char ret[static DNS_NAME_MAX + 1],
                         struct refusal *ret_refusal)
{
    struct bytes text;
    int r;

    domain_lower(name);
    text = bytes_from_str(name);
    if (text.len > 1 && text.data[text.len - 1] == '.')
        text.len--;
    r = dns_name_check(text, false, ret_refusal);
    if (r)
        return r;
    memcpy(ret, text.data, text.len);
    ret[text.len] = 0;
    return 0;
}

static int domain_from_unicode(const char *text,
                               char ret[static DNS_NAME_MAX + 1],
                               struct refusal *ret_refusal)
{
    CLEANUP_FREE char *alabels = NULL;
    int r = domain_lookup(text, &alabels);

    if (r == IDN2_MALLOC)
        return -ENOMEM;
    if (r != IDN2_OK)
        return refuse(ret_refusal, REASON_BAD_DNS_NAME, "%s: %s", text,
                      idn2_strerror(r));
    r = domain_check_disguise(text, ret_refusal);
    return r ? r : domain_finish(alabels, ret, ret_refusal);
}

int domain_normalize(struct bytes text, char ret[static DNS_NAME_MAX + 1],
                     struct refusal *ret_refusal)
{
    CLEANUP_FREE char *copy = NULL;

    if (text.len > DOMAIN_TEXT_MAX)
        return refuse(ret_refusal, REASON_BAD_DNS_NAME, "%zu octets", text.len);
    if (text.len > 0 && memchr(text.data, 0, text.len))
        return refuse(ret_refusal, REASON_BAD_DNS_NAME, "a NUL in the name");
    if (text.len > 1 && memcmp(text.data, "*.", 2) == 0)
        return refuse(ret_refusal, REASON_BAD_DNS_NAME,
                      "%.*s: give the name below the star", (int)text.len,
                      (const char *)text.data);

    copy = strndup(text.data ? (const char *)text.data : "", text.len);
    if (!copy)
        return -ENOMEM;
    if (domain_is_ascii(text))
        return domain_finish(copy, ret, ret_refusal);
    return domain_from_unicode(copy, ret, ret_refusal);
}
