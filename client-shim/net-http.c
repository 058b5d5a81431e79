/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/net-http.h"

#include <curl/curl.h>
#include <errno.h>
#include <string.h>
#include <time.h>

#include "client-shim/net-read.h"

#define CONNECT_S 15L

struct net_http {
    const struct net_http_options *options;
    CURL *easy; /* kept for its connections, reset for each request */
};

static void list_free(struct curl_slist **list)
{
    curl_slist_free_all(*list);
}

/* Returning less than was given ends the transfer (CURLE_WRITE_ERROR). */
static size_t take_body(char *data, size_t size, size_t n, void *userdata)
{
    struct buf *body = userdata;
    size_t len = size * n;

    if (len > NET_BODY_MAX - body->len)
        return 0;
    return buf_append(body, data, len) ? 0 : len;
}

#define SET(option, value)                                                     \
    do {                                                                       \
        if (curl_easy_setopt(easy, option, value) != CURLE_OK)                 \
            return -EIO;                                                       \
    } while (0)

static int set_trust(CURL *easy, const struct net_http_options *options,
                     const struct net_request *request)
{
    struct curl_blob roots = { .flags = CURL_BLOB_NOCOPY };

    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(CURLOPT_SSL_VERIFYPEER, 1L);
    SET(CURLOPT_SSL_VERIFYHOST, 2L);
    if (!options->ca_pem || request->system_roots)
        return 0;
    roots.data = options->ca_pem->data;
    roots.len = options->ca_pem->len;
    /* Instead of the system's roots, not beside them. */
    SET(CURLOPT_CAPATH, NULL);
    SET(CURLOPT_CAINFO_BLOB, &roots);
    return 0;
}

static int set_protocols(CURL *easy, const struct net_request *request)
{
    SET(CURLOPT_PROTOCOLS_STR, request->allow_http ? "https,http" : "https");
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    if (strncmp(request->url, "http://", 7) == 0)
        SET(CURLOPT_PROXY, "");
    return 0;
}

static int add_header(struct curl_slist **headers, const char *line)
{
    struct curl_slist *more = curl_slist_append(*headers, line);

    if (!more)
        return -ENOMEM;
    *headers = more;
    return 0;
}

static bool is_post(enum net_kind kind)
{
    return kind != NET_KIND_DIRECTORY && kind != NET_KIND_NONCE &&
           kind != NET_KIND_RENEWAL_INFO;
}

static int set_request(CURL *easy, const struct net_request *request,
                       struct curl_slist **headers)
{
    if (request->kind == NET_KIND_NONCE)
        SET(CURLOPT_NOBODY, 1L);
    if (request->kind == NET_KIND_CERTIFICATE &&
        add_header(headers, "Accept: application/pem-certificate-chain"))
        return -ENOMEM;
    if (is_post((enum net_kind)request->kind) &&
        add_header(headers, "Content-Type: application/jose+json"))
        return -ENOMEM;
    SET(CURLOPT_HTTPHEADER, *headers);
    if (!is_post((enum net_kind)request->kind))
        return 0;
    SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_len);
    SET(CURLOPT_POSTFIELDS, request->body);
    return 0;
}

static int set_all(CURL *easy, const struct net_http_options *options,
                   const struct net_request *request, struct buf *body,
                   char *error, struct curl_slist **headers)
{
    int r;

    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_ERRORBUFFER, error);
    SET(CURLOPT_USERAGENT, "acme-guardian/" GUARDIAN_VERSION);
    SET(CURLOPT_URL, request->url);
    SET(CURLOPT_CONNECTTIMEOUT, CONNECT_S);
    SET(CURLOPT_TIMEOUT, (long)options->timeout_s);
    SET(CURLOPT_MAXFILESIZE, (long)NET_BODY_MAX);
    SET(CURLOPT_WRITEFUNCTION, take_body);
    SET(CURLOPT_WRITEDATA, body);
    /* libcurl repeats what fails on a connection that was open before. */
    SET(CURLOPT_FRESH_CONNECT, (long)request->fresh);
    SET(CURLOPT_FORBID_REUSE, (long)request->fresh);
    r = set_trust(easy, options, request);
    if (r == 0)
        r = set_protocols(easy, request);
    if (r == 0)
        r = set_request(easy, request, headers);
    return r;
}

/* What is compared or fetched: no octet of it is changed, only refused. */
static bool take_exact(char *to, size_t max, const char *from)
{
    size_t n = strlen(from);

    if (n > max)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (from[i] < 0x20 || from[i] > 0x7e)
            return false;
    }
    memcpy(to, from, n + 1);
    return true;
}

/*
 * A header of the last response. Twice with two values is an answer that two
 * readers take differently.
 */
static bool take_header(CURL *easy, const char *name, struct net_answer *a,
                        char *to, size_t max)
{
    struct curl_header *h = NULL;

    if (curl_easy_header(easy, name, 0, CURLH_HEADER, -1, &h) != CURLHE_OK)
        return true;
    if (h->amount == 1 && take_exact(to, max, h->value))
        return true;
    net_answer_fail(a, NET_RESULT_BAD_ANSWER,
                    "the header %s is there twice, too long, or not printable "
                    "ASCII",
                    name);
    return false;
}

/* Of a header that only helps: the last line counts, none is no matter. */
static const char *loose_header(CURL *easy, const char *name)
{
    struct curl_header *h = NULL;
    size_t last;

    if (curl_easy_header(easy, name, 0, CURLH_HEADER, -1, &h) != CURLHE_OK)
        return NULL;
    last = h->amount - 1;
    if (curl_easy_header(easy, name, last, CURLH_HEADER, -1, &h) != CURLHE_OK)
        return NULL;
    return h->value;
}

static void take_times(CURL *easy, struct net_answer *a)
{
    const char *value = loose_header(easy, "Date");

    if (value)
        a->date_s = net_read_date(value);
    value = loose_header(easy, "Retry-After");
    if (value)
        a->retry_after_s = net_read_retry_after(
            value, a->date_s ? a->date_s : (int64_t)time(NULL));
}

struct link_taker {
    struct net_certificate *to;
    const char *base;
};

static void url_free(CURLU **u)
{
    curl_url_cleanup(*u);
}

static void curl_text_free(char **text)
{
    curl_free(*text);
}

/* A reference that is relative is one to the certificate's URL. What is no URL
 * or too long offers nothing that could be fetched. */
static bool take_link(struct bytes url, void *userdata)
{
    struct link_taker *t = userdata;
    CLEANUP(curl_text_free) char *whole = NULL;
    CLEANUP(url_free) CURLU *u = curl_url();
    CLEANUP_BUF struct buf text = { 0 };
    char *to = t->to->alternate[t->to->n_alternates];

    if (!u || buf_append(&text, url.data, url.len))
        return false;
    if (curl_url_set(u, CURLUPART_URL, t->base, 0) != CURLUE_OK ||
        curl_url_set(u, CURLUPART_URL, buf_str(&text), 0) != CURLUE_OK ||
        curl_url_get(u, CURLUPART_URL, &whole, 0) != CURLUE_OK ||
        !take_exact(to, ACME_URL_MAX, whole))
        return true;
    t->to->n_alternates++;
    return t->to->n_alternates < NET_ALTERNATES_MAX;
}

static void take_links(CURL *easy, const char *base, struct net_answer *a)
{
    struct link_taker t = { &a->certificate, base };
    struct curl_header *h = NULL;

    for (size_t i = 0;
         curl_easy_header(easy, "Link", i, CURLH_HEADER, -1, &h) == CURLHE_OK &&
         t.to->n_alternates < NET_ALTERNATES_MAX;
         i++)
        net_read_links(h->value, take_link, &t);
}

static void read_body(CURL *easy, const struct net_request *request,
                      struct bytes body, struct net_answer *a)
{
    static void (*const readers[NET_KIND_COUNT])(struct net_answer *,
                                                 struct bytes) = {
        [NET_KIND_DIRECTORY] = net_read_directory,
        [NET_KIND_ACCOUNT] = net_read_account,
        [NET_KIND_ORDER] = net_read_order,
        [NET_KIND_AUTHZ] = net_read_authz,
        [NET_KIND_CHALLENGE] = net_read_challenge,
        [NET_KIND_CERTIFICATE] = net_read_certificate,
        [NET_KIND_RENEWAL_INFO] = net_read_renewal,
    };

    if (!net_answer_good(a))
        net_read_problem(a, body);
    else if (readers[a->kind])
        readers[a->kind](a, body);
    if (a->kind == NET_KIND_CERTIFICATE && net_answer_good(a))
        take_links(easy, request->url, a);
}

static void read_answer(CURL *easy, const struct net_request *request,
                        const struct buf *body, struct net_answer *a)
{
    long status = 0;

    (void)curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    if (status < 200 || status > 599) {
        net_answer_fail(a, NET_RESULT_BAD_ANSWER, "HTTP status %ld", status);
        return;
    }
    if (status >= 300 && status < 400) {
        net_answer_fail(a, NET_RESULT_REDIRECT,
                        "a redirect (%ld), which is not followed", status);
        return;
    }
    a->result = NET_RESULT_OK;
    a->http_status = (uint32_t)status;
    take_times(easy, a);
    if (!take_header(easy, "Replay-Nonce", a, a->nonce, NET_NONCE_MAX) ||
        !take_header(easy, "Location", a, a->location, ACME_URL_MAX))
        return;
    if (!net_nonce_ok(a->nonce))
        net_answer_fail(a, NET_RESULT_BAD_ANSWER,
                        "the Replay-Nonce is not base64url");
    else
        read_body(easy, request, buf_bytes(body), a);
}

static void read_failure(CURLcode code, const char *error, struct net_answer *a)
{
    const char *text = error[0] ? error : curl_easy_strerror(code);
    enum net_result result = NET_RESULT_CONNECT;

    if (code == CURLE_OPERATION_TIMEDOUT)
        result = NET_RESULT_TIMEOUT;
    else if (code == CURLE_PEER_FAILED_VERIFICATION ||
             code == CURLE_SSL_CONNECT_ERROR ||
             code == CURLE_SSL_CACERT_BADFILE)
        result = NET_RESULT_TLS;
    else if (code == CURLE_WRITE_ERROR || code == CURLE_FILESIZE_EXCEEDED)
        result = NET_RESULT_TOO_LARGE;
    else if (code == CURLE_UNSUPPORTED_PROTOCOL)
        result = NET_RESULT_BAD_ANSWER;
    if (result == NET_RESULT_TOO_LARGE)
        net_answer_fail(a, result, "the answer is above %d octets",
                        NET_BODY_MAX);
    else
        net_answer_fail(a, result, "%s", text);
}

void net_http_perform(struct net_http *h, const struct net_request *request,
                      struct net_answer *ret)
{
    CLEANUP(list_free) struct curl_slist *headers = NULL;
    CLEANUP_BUF struct buf body = { 0 };
    char error[CURL_ERROR_SIZE] = "";
    CURLcode code;

    memset(ret, 0, sizeof(*ret));
    ret->kind = request->kind;
    curl_easy_reset(h->easy);
    if (set_all(h->easy, h->options, request, &body, error, &headers)) {
        net_answer_fail(ret, NET_RESULT_CONNECT, "libcurl cannot be set up%s%s",
                        error[0] ? ": " : "", error);
        return;
    }
    code = curl_easy_perform(h->easy);
    if (code == CURLE_OK)
        read_answer(h->easy, request, &body, ret);
    else
        read_failure(code, error, ret);
    /* They are ours and end here; the handle stays. */
    curl_easy_reset(h->easy);
}

int net_http_new(const struct net_http_options *options, struct net_http **ret)
{
    CLEANUP_NET_HTTP struct net_http *h = calloc(1, sizeof(*h));

    if (!h)
        return -ENOMEM;
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return -EIO;
    *h = (struct net_http){ options, curl_easy_init() };
    if (!h->easy)
        return -ENOMEM;
    *ret = TAKE_PTR(h);
    return 0;
}

struct net_http *net_http_free(struct net_http *h)
{
    if (!h)
        return NULL;
    curl_easy_cleanup(h->easy);
    free(h);
    return NULL;
}
