/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ipc/varlink-client.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include <cmocka.h>

#include "ipc/activation.h"

/*
 * Against a peer that says fixed octets: what an answer is, what is none, and
 * how long to wait. The protocol with our own server is in test-guardian.
 */

struct peer_script {
    char dir[32];
    char path[64];
    int fd;
    pthread_t thread;
    const void *answer;
    size_t len;
    bool hang; /* keep the connection open after it */
    char request[256];
};

static void *peer_main(void *userdata)
{
    struct peer_script *p = userdata;
    CLEANUP_FD int fd = accept4(p->fd, NULL, NULL, SOCK_CLOEXEC);
    char c;

    for (size_t n = 0; recv(fd, p->request + n, 1, 0) == 1; n++) {
        if (p->request[n] == 0)
            break;
    }
    if (send(fd, p->answer, p->len, MSG_NOSIGNAL) < 0)
        return NULL;
    if (p->hang)
        (void)!recv(fd, &c, 1, 0);
    return NULL;
}

static void peer_start(struct peer_script *p, const void *answer, size_t len,
                       bool hang)
{
    *p = (struct peer_script){
        .dir = "/tmp/client-XXXXXX", .answer = answer, .len = len, .hang = hang
    };
    assert_non_null(mkdtemp(p->dir));
    (void)snprintf(p->path, sizeof(p->path), "%s/s", p->dir);
    assert_int_equal(activation_listen(p->path, 0600, (uid_t)-1, &p->fd, NULL),
                     0);
    /* Blocking, for accept(). */
    assert_int_equal(fcntl(p->fd, F_SETFL, 0), 0);
    assert_int_equal(pthread_create(&p->thread, NULL, peer_main, p), 0);
}

static void peer_stop(struct peer_script *p)
{
    assert_int_equal(pthread_join(p->thread, NULL), 0);
    close(p->fd);
    (void)unlink(p->path);
    (void)rmdir(p->dir);
}

static int call(const void *answer, size_t len, bool hang, char **ret_error,
                json_t **ret, char *ret_request)
{
    CLEANUP_VARLINK_CLIENT struct varlink_client *c = NULL;
    struct peer_script p;
    int r;

    peer_start(&p, answer, len, hang);
    assert_int_equal(varlink_client_connect(p.path, 1000, &c), 0);
    r = varlink_client_call(c, "a.B", bytes_from_str("{\"x\":1}"), 100,
                            ret_error, ret);
    c = varlink_client_free(c);
    peer_stop(&p);
    if (ret_request)
        strcpy(ret_request, p.request);
    return r;
}

#define MESSAGE(text) text, sizeof(text)

static void test_an_answer_is_read(void **state)
{
    static const struct {
        const char *text;
        const char *error;
        const char *parameters;
    } cases[] = {
        { "{\"parameters\":{\"v\":1}}", NULL, "{\"v\":1}" },
        { "{}", NULL, "{}" },
        { "{\"parameters\":{},\"continues\":false}", NULL, "{}" },
        { "{\"parameters\":{},\"later\":[1]}", NULL, "{}" },
        { "{\"error\":\"a.E\",\"parameters\":{\"v\":1}}", "a.E", "{\"v\":1}" },
        { "{\"error\":\"a.E\"}", "a.E", "{}" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_FREE char *error = NULL;
        CLEANUP_FREE char *text = NULL;
        json_t *parameters = NULL;
        char request[256];

        assert_int_equal(call(cases[i].text, strlen(cases[i].text) + 1, true,
                              &error, &parameters, request),
                         0);
        assert_string_equal(request,
                            "{\"method\":\"a.B\",\"parameters\":{\"x\":1}}");
        assert_string_equal(error ? error : "none",
                            cases[i].error ? cases[i].error : "none");
        text = json_dumps(parameters, JSON_COMPACT);
        json_decref(parameters);
        assert_string_equal(text, cases[i].parameters);
    }
}

static void test_what_is_no_answer_is_refused(void **state)
{
    static const struct {
        const char *text;
        size_t len;
        bool hang;
        int r;
    } cases[] = {
        { MESSAGE(""), true, -EPROTO },
        { MESSAGE("x"), true, -EPROTO },
        { MESSAGE("[]"), true, -EPROTO },
        { MESSAGE("{\"error\":1}"), true, -EPROTO },
        { MESSAGE("{\"parameters\":[]}"), true, -EPROTO },
        { MESSAGE("{\"parameters\":{},\"continues\":1}"), true, -EPROTO },
        { MESSAGE("{\"parameters\":{},\"continues\":true}"), true, -EPROTO },
        { MESSAGE("{}\0{}"), true, -EPROTO },
        { MESSAGE("{\"parameters\":{},\"parameters\":{}}"), true, -EPROTO },
        { "", 0, false, -ECONNRESET },
        { "{\"parameters\":{}", 16, false, -ECONNRESET },
        { "", 0, true, -ETIMEDOUT },
        { "{\"parameters\":{}", 16, true, -ETIMEDOUT },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char *error = NULL;
        json_t *parameters = NULL;

        assert_int_equal(call(cases[i].text, cases[i].len, cases[i].hang,
                              &error, &parameters, NULL),
                         cases[i].r);
        assert_null(error);
        assert_null(parameters);
    }
}

static void test_an_answer_has_at_most_1_mib(void **state)
{
    static char text[1024 * 1024 + 1];
    char *error = NULL;
    json_t *parameters = NULL;

    (void)state;
    memset(text, ' ', sizeof(text));
    assert_int_equal(call(text, sizeof(text), true, &error, &parameters, NULL),
                     -EPROTO);
}

static void test_connecting_names_the_cause(void **state)
{
    struct varlink_client *c = NULL;
    static char longer[200];

    (void)state;
    memset(longer, 'x', sizeof(longer) - 1);
    assert_int_equal(varlink_client_connect(longer, 10, &c), -ENAMETOOLONG);
    assert_int_equal(varlink_client_connect("/nonexistent/s", 10, &c), -ENOENT);
    assert_null(c);
}

static void test_a_full_queue_does_not_block_for_ever(void **state)
{
    struct varlink_client *clients[3] = { NULL };
    char dir[] = "/tmp/client-XXXXXX";
    char path[64];
    CLEANUP_FD int fd = -1;
    int r = 0;

    (void)state;
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof(path), "%s/s", dir);
    assert_int_equal(activation_listen(path, 0600, (uid_t)-1, &fd, NULL), 0);
    assert_int_equal(listen(fd, 0), 0);
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(clients); i++)
        r = varlink_client_connect(path, 50, &clients[i]);
    assert_int_equal(r, -ETIMEDOUT);
    for (size_t i = 0; i < ARRAY_LEN(clients); i++)
        varlink_client_free(clients[i]);
    (void)unlink(path);
    (void)rmdir(dir);
}

static int count(const json_t *parameters, void *userdata)
{
    int *n = userdata;

    assert_int_equal(json_integer_value(json_object_get(parameters, "v")),
                     ++*n);
    return *n == 10 ? 77 : 0;
}

static int more(const void *answer, size_t len, int *n, char **ret_error)
{
    CLEANUP_VARLINK_CLIENT struct varlink_client *c = NULL;
    struct peer_script p;
    json_t *last = NULL;
    int r;

    peer_start(&p, answer, len, false);
    assert_int_equal(varlink_client_connect(p.path, 1000, &c), 0);
    r = varlink_client_more(c, "a.B", bytes_from_str("{}"), count, n, ret_error,
                            &last);
    json_decref(last);
    c = varlink_client_free(c);
    peer_stop(&p);
    assert_string_equal(p.request,
                        "{\"method\":\"a.B\",\"parameters\":{},\"more\":true}");
    return r;
}

static void test_more_calls_back_for_each_answer(void **state)
{
    static const char answers[] =
        "{\"parameters\":{\"v\":1},\"continues\":true}\0"
        "{\"parameters\":{\"v\":2},\"continues\":true}\0"
        "{\"parameters\":{\"v\":3}}";
    static const char fails[] =
        "{\"parameters\":{\"v\":1},\"continues\":true}\0"
        "{\"error\":\"a.E\",\"parameters\":{}}";
    CLEANUP_FREE char *error = NULL;
    int n = 0;

    (void)state;
    assert_int_equal(more(answers, sizeof(answers), &n, &error), 0);
    assert_int_equal(n, 3);
    assert_null(error);
    n = 0;
    assert_int_equal(more(fails, sizeof(fails), &n, &error), 0);
    assert_int_equal(n, 1);
    assert_string_equal(error, "a.E");
    n = 9;
    assert_int_equal(more(MESSAGE("{\"parameters\":{\"v\":10},"
                                  "\"continues\":true}"),
                          &n, &error),
                     77);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_answer_is_read),
        cmocka_unit_test(test_what_is_no_answer_is_refused),
        cmocka_unit_test(test_an_answer_has_at_most_1_mib),
        cmocka_unit_test(test_connecting_names_the_cause),
        cmocka_unit_test(test_a_full_queue_does_not_block_for_ever),
        cmocka_unit_test(test_more_calls_back_for_each_answer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
