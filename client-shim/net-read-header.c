/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/net-read.h"

#include <curl/curl.h>
#include <string.h>
#include <strings.h>

/* Headers of HTTP, and the one body that is no JSON. */

int64_t net_read_date(const char *value)
{
    time_t t = curl_getdate(value, NULL);

    return t > 0 ? (int64_t)t : 0;
}

static uint32_t bounded(int64_t s)
{
    if (s <= 0)
        return 0;
    return s > NET_RETRY_MAX_S ? NET_RETRY_MAX_S : (uint32_t)s;
}

uint32_t net_read_retry_after(const char *value, int64_t date_s)
{
    size_t n = strspn(value, "0123456789");
    int64_t s = 0;

    if (n > 0 && value[n] == '\0') {
        for (size_t i = 0; i < n && s <= NET_RETRY_MAX_S; i++)
            s = s * 10 + (value[i] - '0');
        return bounded(s);
    }
    s = net_read_date(value);
    return s && date_s ? bounded(s - date_s) : 0;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

static const char *skip_space(const char *p)
{
    while (is_space(*p))
        p++;
    return p;
}

/* Behind a quoted string's opening quote, up to its closing one. */
static const char *skip_quoted(const char *p)
{
    while (*p && *p != '"')
        p += p[0] == '\\' && p[1] ? 2 : 1;
    return p;
}

/* Is the word among those of a rel, which are separated by spaces? */
static bool has_word(const char *p, const char *end, const char *word)
{
    size_t len = strlen(word);

    while (p < end) {
        const char *q = p;

        while (q < end && !is_space(*q))
            q++;
        if ((size_t)(q - p) == len && strncasecmp(p, word, len) == 0)
            return true;
        p = q < end ? q + 1 : end;
    }
    return false;
}

/* One ";name=value"; *alternate is the first rel's (RFC 8288 section 3.3).
 * Return: behind it. */
static const char *read_parameter(const char *p, bool *seen, bool *alternate)
{
    const char *name = skip_space(p + 1);
    size_t name_len = strcspn(name, "=;, \t");
    const char *v = skip_space(name + name_len);
    const char *end;

    if (*v != '=')
        return v;
    v = skip_space(v + 1);
    if (*v == '"')
        end = skip_quoted(++v);
    else
        end = v + strcspn(v, ";, \t");
    if (name_len == 3 && strncasecmp(name, "rel", 3) == 0 && !*seen) {
        *seen = true;
        *alternate = has_word(v, end, "alternate");
    }
    return skip_space(*end == '"' ? end + 1 : end);
}

void net_read_links(const char *value,
                    bool (*fn)(struct bytes url, void *userdata),
                    void *userdata)
{
    const char *p = value;

    while (*(p = skip_space(p))) {
        const char *end = *p == '<' ? strchr(p, '>') : NULL;
        bool seen = false, alternate = false;
        struct bytes url;

        if (!end)
            return;
        url = (struct bytes){ (const uint8_t *)p + 1, (size_t)(end - p - 1) };
        p = skip_space(end + 1);
        while (*p == ';')
            p = read_parameter(p, &seen, &alternate);
        /* "<>" is what was asked for itself. */
        if (alternate && url.len > 0 && !fn(url, userdata))
            return;
        if (*p != ',')
            return;
        p++;
    }
}

void net_read_certificate(struct net_answer *a, struct bytes body)
{
    struct net_certificate *to = &a->certificate;

    if (body.len > NET_BODY_MAX || !net_pem_ok(body)) {
        net_answer_fail(a, NET_RESULT_BAD_ANSWER,
                        "the answer is not a chain of PEM certificates and "
                        "nothing else");
        return;
    }
    memcpy(to->pem, body.data, body.len);
    to->pem_len = (uint32_t)body.len;
}
