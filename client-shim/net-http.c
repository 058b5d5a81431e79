/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/net-http.h"

#include <curl/curl.h>
#include <errno.h>
#include <string.h>

#define CONNECT_S 15L

int net_http_init(void)
{
    return curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? 0 : -EIO;
}

static void easy_free(CURL **easy)
{
    curl_easy_cleanup(*easy);
}

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

static int set_trust(CURL *easy, const struct net_http_options *options)
{
    struct curl_blob roots = { .flags = CURL_BLOB_NOCOPY };

    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(CURLOPT_SSL_VERIFYPEER, 1L);
    SET(CURLOPT_SSL_VERIFYHOST, 2L);
    if (!options->ca_pem)
        return 0;
    roots.data = options->ca_pem->data;
    roots.len = options->ca_pem->len;
    /* Instead of the system's roots, not beside them. */
    SET(CURLOPT_CAPATH, NULL);
    SET(CURLOPT_CAINFO_BLOB, &roots);
    return 0;
}

/* Plain http is for a loopback address, which no proxy can reach. */
static int set_protocols(CURL *easy, const struct net_request *request)
{
    SET(CURLOPT_PROTOCOLS_STR, request->allow_http ? "https,http" : "https");
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    if (strncmp(request->url, "http://", 7) == 0)
        SET(CURLOPT_PROXY, "");
    return 0;
}

static int set_request(CURL *easy, const struct net_request *request,
                       struct curl_slist **headers)
{
    if (request->kind == NET_KIND_NONCE)
        SET(CURLOPT_NOBODY, 1L);
    if (request->kind != NET_KIND_POST)
        return 0;
    *headers = curl_slist_append(NULL, "Content-Type: application/jose+json");
    if (!*headers)
        return -ENOMEM;
    SET(CURLOPT_HTTPHEADER, *headers);
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
    r = set_trust(easy, options);
    if (r == 0)
        r = set_protocols(easy, request);
    if (r == 0)
        r = set_request(easy, request, headers);
    return r;
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
    if (h->amount != 1 || strlen(h->value) > max) {
        net_answer_fail(a, NET_RESULT_BAD_ANSWER,
                        "the header %s is there twice or too long", name);
        return false;
    }
    net_text(to, max, h->value, strlen(h->value));
    return true;
}

static void read_answer(CURL *easy, const struct buf *body,
                        struct net_answer *a)
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
    if (!take_header(easy, "Replay-Nonce", a, a->nonce, NET_NONCE_MAX) ||
        !take_header(easy, "Location", a, a->location, ACME_URL_MAX))
        return;
    if (!net_nonce_ok(a->nonce))
        net_answer_fail(a, NET_RESULT_BAD_ANSWER,
                        "the Replay-Nonce is not base64url");
    else if (status >= 400)
        net_answer_read_problem(a, buf_bytes(body));
    else if (a->kind == NET_KIND_DIRECTORY)
        net_answer_read_directory(a, buf_bytes(body));
    else if (a->kind == NET_KIND_POST)
        net_answer_read_account(a, buf_bytes(body));
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

void net_http_perform(const struct net_http_options *options,
                      const struct net_request *request, struct net_answer *ret)
{
    CLEANUP(list_free) struct curl_slist *headers = NULL;
    CLEANUP(easy_free) CURL *easy = curl_easy_init();
    CLEANUP_BUF struct buf body = { 0 };
    char error[CURL_ERROR_SIZE] = "";
    CURLcode code;

    *ret = (struct net_answer){ .kind = request->kind };
    if (!easy || set_all(easy, options, request, &body, error, &headers)) {
        net_answer_fail(ret, NET_RESULT_CONNECT, "libcurl cannot be set up%s%s",
                        error[0] ? ": " : "", error);
        return;
    }
    code = curl_easy_perform(easy);
    if (code == CURLE_OK)
        read_answer(easy, &body, ret);
    else
        read_failure(code, error, ret);
}
