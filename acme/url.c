/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "acme/url.h"

#include <string.h>

#include "acme/dns-name.h"

#define HTTPS "https://"
#define HTTP "http://"
#define HOST_MAX 253
#define LABEL_MAX 63

static bool has_prefix(struct bytes text, const char *prefix)
{
    size_t len = strlen(prefix);

    return text.len >= len && memcmp(text.data, prefix, len) == 0;
}

static struct bytes skip(struct bytes text, size_t n)
{
    return (struct bytes){ text.data + n, text.len - n };
}

static struct bytes until(struct bytes text, const char *stops)
{
    size_t n = 0;

    while (n < text.len && (!text.data[n] || !strchr(stops, text.data[n])))
        n++;
    return (struct bytes){ text.data, n };
}

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static bool is_host_char(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || is_digit(c) || c == '-';
}

/* pchar of RFC 3986 section 3.3 without percent-encoding, and without ';',
 * behind which some servers cut off "path parameters". */
static bool is_path_char(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) ||
           (c != 0 && strchr("-._~!$&'()*+,=:@/", c));
}

static bool is_loopback(struct bytes host)
{
    static const uint8_t v6_loopback[16] = { [15] = 1 };
    uint8_t addr[16];
    size_t len;

    if (host.len > 2 && host.data[0] == '[')
        host = (struct bytes){ host.data + 1, host.len - 2 };
    if (ip_text_check(host, addr, &len, NULL))
        return false;
    return len == 4 ? addr[0] == 127 : memcmp(addr, v6_loopback, 16) == 0;
}

/* A name; a last label that begins with a digit and so might be a number to
 * somebody ("0x7f.1") must be an address in its one usual spelling. */
static int url_check_host_name(struct bytes host, struct refusal *ret_refusal)
{
    struct bytes rest = host;
    struct bytes label = { 0 };
    uint8_t addr[16];
    size_t len;

    if (host.len > HOST_MAX)
        return refuse(ret_refusal, REASON_BAD_URL, "host of %zu characters",
                      host.len);
    for (bool more = true; more;) {
        label = until(rest, ".");
        if (label.len == 0)
            return refuse(ret_refusal, REASON_BAD_URL, "empty label in host");
        if (label.len > LABEL_MAX)
            return refuse(ret_refusal, REASON_BAD_URL, "long label in host");
        if (label.data[0] == '-' || label.data[label.len - 1] == '-')
            return refuse(ret_refusal, REASON_BAD_URL, "hyphen in host");
        for (size_t i = 0; i < label.len; i++) {
            if (!is_host_char(label.data[i]))
                return refuse(ret_refusal, REASON_BAD_URL,
                              "character 0x%02x in host", label.data[i]);
        }
        more = label.len < rest.len;
        rest = skip(rest, label.len + more);
    }
    if (is_digit(label.data[0]) && ip_text_check(host, addr, &len, NULL))
        return refuse(ret_refusal, REASON_BAD_URL, "host is a number");
    return 0;
}

static int url_check_host(struct bytes host, struct refusal *ret_refusal)
{
    uint8_t addr[16];
    size_t len = 0;
    struct bytes inner;

    if (host.len == 0 || host.data[0] != '[')
        return url_check_host_name(host, ret_refusal);

    inner = (struct bytes){ host.data + 1, host.len - 2 };
    if (host.data[host.len - 1] != ']' ||
        ip_text_check(inner, addr, &len, NULL) || len != 16)
        return refuse(ret_refusal, REASON_BAD_URL, "address in brackets");
    return 0;
}

/* @port begins with its colon, or is empty. */
static int url_check_port(struct bytes port, unsigned default_port,
                          struct refusal *ret_refusal)
{
    unsigned n = 0;

    if (port.len == 0)
        return 0;
    if (port.len < 2 || port.len > 6 || port.data[1] == '0')
        return refuse(ret_refusal, REASON_BAD_URL, "port");
    for (size_t i = 1; i < port.len; i++) {
        if (!is_digit(port.data[i]))
            return refuse(ret_refusal, REASON_BAD_URL, "port");
        n = n * 10 + (port.data[i] - '0');
    }
    if (n > 65535)
        return refuse(ret_refusal, REASON_BAD_URL, "port %u", n);
    if (n == default_port)
        return refuse(ret_refusal, REASON_BAD_URL, "default port spelled out");
    return 0;
}

static bool is_dots(struct bytes segment)
{
    return bytes_eq_str(segment, ".") || bytes_eq_str(segment, "..");
}

/* A last slash is kept: some CAs (django-ca) end all their URLs in one. */
static int url_check_path(struct bytes path, struct refusal *ret_refusal)
{
    struct bytes rest = path;

    if (path.len == 0)
        return refuse(ret_refusal, REASON_BAD_URL, "no path");
    for (size_t i = 0; i < path.len; i++) {
        if (!is_path_char(path.data[i]))
            return refuse_at(ret_refusal, REASON_BAD_URL, i,
                             "character 0x%02x in path", path.data[i]);
    }
    while (rest.len > 0) {
        struct bytes segment = until(skip(rest, 1), "/");

        if (segment.len == 0 && rest.len > 1)
            return refuse(ret_refusal, REASON_BAD_URL, "empty segment");
        if (is_dots(segment))
            return refuse(ret_refusal, REASON_BAD_URL, "dot segment");
        rest = skip(rest, 1 + segment.len);
    }
    return 0;
}

static int url_check_query(struct bytes query, bool allow,
                           struct refusal *ret_refusal)
{
    if (query.len == 0)
        return 0;
    if (!allow)
        return refuse(ret_refusal, REASON_URL_QUERY, "query");
    for (size_t i = 1; i < query.len; i++) {
        if (!is_path_char(query.data[i]) && query.data[i] != '?')
            return refuse(ret_refusal, REASON_BAD_URL,
                          "character 0x%02x in query", query.data[i]);
    }
    return 0;
}

/* Userinfo ends in '@', which neither host nor port may have. */
static int url_read_authority(struct bytes authority, unsigned default_port,
                              struct url *ret, struct refusal *ret_refusal)
{
    struct bytes host = until(authority, ":");
    int r;

    if (authority.len > 0 && authority.data[0] == '[') {
        host = until(authority, "]");
        if (host.len < authority.len)
            host.len++;
    }

    r = url_check_host(host, ret_refusal);
    if (r)
        return r;
    if (host.len < authority.len && authority.data[host.len] != ':')
        return refuse(ret_refusal, REASON_BAD_URL, "behind the host");
    r = url_check_port(skip(authority, host.len), default_port, ret_refusal);
    if (r)
        return r;
    ret->host = host;
    return 0;
}

int url_read(struct bytes text, const struct url_rules *rules, struct url *ret,
             struct refusal *ret_refusal)
{
    bool plain = has_prefix(text, HTTP);
    size_t scheme_len = strlen(plain ? HTTP : HTTPS);
    struct url url = { 0 };
    struct bytes authority, rest;
    int r;

    if (text.len > ACME_URL_MAX)
        return refuse(ret_refusal, REASON_BAD_URL, "%zu characters", text.len);
    if (!plain && !has_prefix(text, HTTPS))
        return refuse(ret_refusal, REASON_URL_SCHEME, "not https");

    authority = until(skip(text, scheme_len), "/?#");
    r = url_read_authority(authority, plain ? 80 : 443, &url, ret_refusal);
    if (r)
        return r;
    if (plain && !rules->allow_http_loopback)
        return refuse(ret_refusal, REASON_URL_SCHEME, "plain http");
    if (plain && !is_loopback(url.host))
        return refuse(ret_refusal, REASON_URL_SCHEME,
                      "plain http to another host");

    url.origin = (struct bytes){ text.data, scheme_len + authority.len };
    rest = skip(text, url.origin.len);
    if (memchr(rest.data, '#', rest.len))
        return refuse(ret_refusal, REASON_BAD_URL, "fragment");
    url.path = until(rest, "?");
    r = url_check_path(url.path, ret_refusal);
    if (r)
        return r;
    r = url_check_query(skip(rest, url.path.len), rules->allow_query,
                        ret_refusal);
    if (r)
        return r;
    *ret = url;
    return 0;
}

static int refuse_origin(const struct url *url, struct refusal *ret_refusal)
{
    return refuse(ret_refusal, REASON_FOREIGN_ORIGIN, "%.*s",
                  (int)url->origin.len, (const char *)url->origin.data);
}

int url_check_origin(struct bytes text, struct bytes other,
                     const struct url_rules *rules, struct refusal *ret_refusal)
{
    struct url url = { 0 };
    struct url home = { 0 };
    int r;

    r = url_read(other, rules, &home, ret_refusal);
    if (r == 0)
        r = url_read(text, rules, &url, ret_refusal);
    if (r)
        return r;
    return bytes_eq(url.origin, home.origin) ? 0
                                             : refuse_origin(&url, ret_refusal);
}

/* The origin of a URL that has passed url_read() before. */
static struct bytes url_known_origin(const char *url)
{
    struct bytes text = bytes_from_str(url);
    size_t scheme_len = strlen(has_prefix(text, HTTP) ? HTTP : HTTPS);

    text.len = scheme_len + until(skip(text, scheme_len), "/").len;
    return text;
}

static bool url_origin_is_known(struct bytes origin,
                                const struct acme_account *a)
{
    if (bytes_eq(origin, url_known_origin(a->directory_url)))
        return true;
    for (char **o = a->origins; o && *o; o++) {
        if (bytes_eq_str(origin, *o))
            return true;
    }
    return false;
}

int url_check_for_account(struct bytes text, const struct acme_account *a,
                          struct refusal *ret_refusal)
{
    struct url_rules rules = { .allow_query = a->allow_query,
                               .allow_http_loopback = a->allow_http_loopback };
    struct url url = { 0 };
    int r;

    r = url_read(text, &rules, &url, ret_refusal);
    if (r)
        return r;
    return url_origin_is_known(url.origin, a)
               ? 0
               : refuse_origin(&url, ret_refusal);
}

static struct bytes without_slash(struct bytes text)
{
    if (text.len > 0 && text.data[text.len - 1] == '/')
        text.len--;
    return text;
}

bool url_same_but_slash(struct bytes text, const char *other)
{
    return bytes_eq(without_slash(text), without_slash(bytes_from_str(other)));
}
