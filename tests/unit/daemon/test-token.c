/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cmocka.h>

#include "daemon/spawner.h"
#include "daemon/token.h"

/* A helper in the same event loop, which does what each test tells it. */
enum behaviour {
    ANSWER = 0,
    HANG_UP,     /* at the first SIGN or GENERATE, then ANSWER */
    HANG_UP_ALL, /* at each */
    BAD_ID,
    BAD_LENGTH,
    BAD_VERSION,
    NO_TOKEN, /* STATUS says so */
    SILENT,   /* to SIGN */
};

static struct fixture {
    sd_event *event;
    struct settings_token settings;
    char name[8];
    char path[64];
    int listen_fd, fd;
    sd_event_source *listen_source, *source;
    enum behaviour behaviour;
    unsigned connections, signs, generates;
    struct token *token;
    struct spawner *spawner;
    unsigned ready;
    bool open_when_ready;
    /* the last answer */
    unsigned answers;
    int r;
    enum token_result result;
    char data[64];
} f;

static void helper_hang_up(void)
{
    f.source = sd_event_source_disable_unref(f.source);
    close(f.fd);
    f.fd = -1;
}

static void helper_reply(const struct token_request *request,
                         enum token_result result, const void *data, size_t len)
{
    struct {
        struct token_reply head;
        uint8_t data[sizeof(struct token_status)];
    } reply = { .head = { .version = TOKEN_PROTO_VERSION,
                          .result = result,
                          .id = request->id,
                          .data_len = (uint32_t)len } };

    if (f.behaviour == BAD_VERSION)
        reply.head.version++;
    if (f.behaviour == BAD_ID)
        reply.head.id += 100;
    if (f.behaviour == BAD_LENGTH)
        reply.head.data_len++;
    if (len)
        memcpy(reply.data, data, len);
    assert_true(send(f.fd, &reply, sizeof(reply.head) + len, 0) > 0);
}

static void helper_work(const struct token_request *request)
{
    struct token_status status = { .result = f.behaviour == NO_TOKEN
                                                 ? TOKEN_S_NO_TOKEN
                                                 : TOKEN_S_OK };

    if (request->op == TOKEN_OP_STATUS) {
        helper_reply(request, TOKEN_S_OK, &status, sizeof(status));
        return;
    }
    f.signs += request->op == TOKEN_OP_SIGN;
    f.generates += request->op == TOKEN_OP_GENERATE;
    if (f.behaviour == SILENT)
        return;
    if (f.behaviour == HANG_UP || f.behaviour == HANG_UP_ALL) {
        if (f.behaviour == HANG_UP)
            f.behaviour = ANSWER;
        helper_hang_up();
        return;
    }
    helper_reply(request, TOKEN_S_OK, "signature", 9);
}

static int on_helper_io(sd_event_source *s, int fd, uint32_t revents,
                        void *userdata)
{
    struct {
        struct token_request head;
        uint8_t data[256];
    } request;
    ssize_t n;

    (void)s;
    (void)revents;
    (void)userdata;
    n = recv(fd, &request, sizeof(request), MSG_DONTWAIT);
    if (n <= 0) {
        helper_hang_up();
        return 0;
    }
    assert_int_equal(n, sizeof(request.head) + request.head.data_len);
    helper_work(&request.head);
    return 0;
}

static int on_helper_accept(sd_event_source *s, int fd, uint32_t revents,
                            void *userdata)
{
    (void)s;
    (void)revents;
    (void)userdata;
    if (f.fd >= 0)
        helper_hang_up();
    f.fd = accept(fd, NULL, NULL);
    assert_true(f.fd >= 0);
    f.connections++;
    /* Garbage only ever once, or it would never end. */
    if (f.connections > 1 && f.behaviour >= BAD_ID && f.behaviour < NO_TOKEN)
        f.behaviour = ANSWER;
    assert_true(sd_event_add_io(f.event, &f.source, f.fd, EPOLLIN, on_helper_io,
                                NULL) >= 0);
    return 0;
}

static void on_ready(struct token *t, void *userdata)
{
    (void)userdata;
    f.ready++;
    if (f.open_when_ready)
        token_open(t);
}

static void helper_listen(void)
{
    struct sockaddr_un sa = { .sun_family = AF_UNIX };

    memcpy(sa.sun_path, f.path, strlen(f.path) + 1);
    f.listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    assert_true(f.listen_fd >= 0);
    assert_int_equal(bind(f.listen_fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
    assert_int_equal(listen(f.listen_fd, 5), 0);
    assert_true(sd_event_add_io(f.event, &f.listen_source, f.listen_fd, EPOLLIN,
                                on_helper_accept, NULL) >= 0);
}

static int setup(void **state)
{
    (void)state;
    f = (struct fixture){
        .fd = -1, .listen_fd = -1, .name = "hsm", .open_when_ready = true
    };
    (void)snprintf(f.path, sizeof(f.path), "/tmp/test-token-%d.sock",
                   (int)getpid());
    (void)unlink(f.path);
    f.settings = (struct settings_token){ .name = f.name,
                                          .timeout_ms = 5000,
                                          .sessions = 4,
                                          .processes = 1,
                                          .helper_socket = f.path };
    assert_true(sd_event_new(&f.event) >= 0);
    assert_int_equal(token_new(&(struct token_options){ .event = f.event,
                                                        .settings = &f.settings,
                                                        .on_ready = on_ready },
                               &f.token),
                     0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    token_free(f.token);
    spawner_free(f.spawner);
    if (f.fd >= 0)
        helper_hang_up();
    sd_event_source_disable_unref(f.listen_source);
    if (f.listen_fd >= 0)
        close(f.listen_fd);
    (void)unlink(f.path);
    sd_event_unref(f.event);
    return 0;
}

static void on_done(const struct token_answer *a, void *userdata)
{
    (void)userdata;
    f.answers++;
    f.r = a->r;
    f.result = a->result;
    assert_true(a->data.len < sizeof(f.data));
    if (a->data.len)
        memcpy(f.data, a->data.data, a->data.len);
}

static void ask(enum token_op op)
{
    static const uint8_t input[] = "header.payload";

    token_send(f.token,
               &(struct token_ask){ .op = op,
                                    .label = "pre:0badcafe:le:1",
                                    .data = { input, sizeof(input) - 1 } },
               on_done, NULL);
}

static void ask_as(uid_t uid, int times)
{
    for (int i = 0; i < times; i++)
        token_send(f.token,
                   &(struct token_ask){ .op = TOKEN_OP_SIGN,
                                        .for_user = true,
                                        .uid = uid,
                                        .label = "pre:0badcafe:le:1" },
                   on_done, NULL);
}

static void run_until(const unsigned *counter, unsigned n)
{
    for (int i = 0; i < 2000 && *counter < n; i++)
        assert_true(sd_event_run(f.event, 50000) >= 0);
    assert_true(*counter >= n);
}

static void test_a_request_is_answered(void **state)
{
    (void)state;
    helper_listen();
    token_start(f.token);
    ask(TOKEN_OP_SIGN);
    run_until(&f.answers, 1);
    assert_int_equal(f.r, 0);
    assert_int_equal(f.result, TOKEN_S_OK);
    assert_string_equal(f.data, "signature");
    assert_string_equal(token_state(f.token), "ok");
}

static void test_signing_waits_until_the_keys_were_looked_at(void **state)
{
    (void)state;
    f.open_when_ready = false;
    helper_listen();
    token_start(f.token);
    ask(TOKEN_OP_SIGN);
    ask(TOKEN_OP_FIND);
    run_until(&f.answers, 1);
    assert_int_equal(f.ready, 1);
    assert_int_equal(f.signs, 0);
    token_open(f.token);
    run_until(&f.answers, 2);
    assert_int_equal(f.signs, 1);
}

/* It may have come back with another token. */
static void test_after_a_reconnect_signing_waits_again(void **state)
{
    (void)state;
    helper_listen();
    token_start(f.token);
    ask(TOKEN_OP_SIGN);
    run_until(&f.answers, 1);
    assert_int_equal(f.signs, 1);

    f.open_when_ready = false;
    helper_hang_up();
    ask(TOKEN_OP_SIGN);
    run_until(&f.ready, 2);
    ask(TOKEN_OP_SIGN);
    ask(TOKEN_OP_FIND);
    run_until(&f.answers, 2);
    assert_int_equal(f.signs, 1);
    token_open(f.token);
    run_until(&f.answers, 4);
    assert_int_equal(f.signs, 3);
    assert_int_equal(f.r, 0);
}

static void test_keys_that_cannot_be_listed_are_looked_at_again(void **state)
{
    (void)state;
    f.open_when_ready = false;
    helper_listen();
    token_start(f.token);
    ask(TOKEN_OP_SIGN);
    run_until(&f.ready, 1);
    token_keys_unknown(f.token,
                       &(struct token_answer){ .result = TOKEN_S_UNSUPPORTED,
                                               .text = "no list" });
    assert_int_equal(f.answers, 1);
    assert_string_equal(token_state(f.token), "unsupported-by-backend");
    ask(TOKEN_OP_SIGN);
    assert_int_equal(f.answers, 2); /* at once */
    run_until(&f.ready, 2);
    /* Not until they are known does it say that all is well. */
    assert_string_equal(token_state(f.token), "unsupported-by-backend");
    token_open(f.token);
    assert_string_equal(token_state(f.token), "ok");
    ask(TOKEN_OP_SIGN);
    run_until(&f.answers, 3);
    assert_int_equal(f.r, 0);
    assert_int_equal(f.signs, 1);
}

static void test_what_waits_is_refused_when_the_keys_are_wrong(void **state)
{
    (void)state;
    f.open_when_ready = false;
    helper_listen();
    token_start(f.token);
    ask(TOKEN_OP_SIGN);
    run_until(&f.ready, 1);
    token_keys_unknown(f.token,
                       &(struct token_answer){ .r = -EHOSTDOWN, .text = "no" });
    assert_int_equal(f.answers, 1);
    assert_int_equal(f.r, -EHOSTDOWN);
    assert_int_equal(f.signs, 0);
}

static void test_a_signature_is_asked_once_more_of_a_new_helper(void **state)
{
    (void)state;
    f.behaviour = HANG_UP;
    helper_listen();
    token_start(f.token);
    ask(TOKEN_OP_SIGN);
    run_until(&f.answers, 1);
    assert_int_equal(f.r, 0);
    assert_int_equal(f.result, TOKEN_S_OK);
    assert_int_equal(f.signs, 2);
    assert_int_equal(f.connections, 2);
}

static void test_a_signature_is_not_asked_a_third_time(void **state)
{
    (void)state;
    f.behaviour = HANG_UP_ALL;
    helper_listen();
    token_start(f.token);
    ask(TOKEN_OP_SIGN);
    run_until(&f.answers, 1);
    assert_int_equal(f.r, -EHOSTDOWN);
    assert_int_equal(f.signs, 2);
}

static void test_where_to_look_is_told_when_the_helper_goes(void **state)
{
    (void)state;
    f.behaviour = HANG_UP_ALL;
    helper_listen();
    token_start(f.token);
    ask(TOKEN_OP_SIGN);
    run_until(&f.answers, 1);
    assert_non_null(strstr(token_state_text(f.token), "it went away"));
    assert_non_null(strstr(token_state_text(f.token), "journal"));
}

static void run_until_text(const char *text)
{
    for (int i = 0; i < 200 && !strstr(token_state_text(f.token), text); i++)
        assert_true(sd_event_run(f.event, 50000) >= 0);
    assert_non_null(strstr(token_state_text(f.token), text));
}

/* The token in @settings with a helper of our own, whose program is @path. */
static void start_spawned(struct settings *settings, const char *path)
{
    token_free(f.token);
    f.settings.helper_socket = NULL;
    *settings = (struct settings){ .tokens = &f.settings, .n_tokens = 1 };
    assert_int_equal(
        spawner_new(&(struct spawner_options){ settings, path, "/" },
                    &f.spawner),
        0);
    assert_int_equal(spawner_attach(f.spawner, f.event), 0);
    assert_int_equal(token_new(&(struct token_options){ .event = f.event,
                                                        .settings = &f.settings,
                                                        .spawner = f.spawner },
                               &f.token),
                     0);
    token_start(f.token);
}

/* NoExecPaths= of the unit. */
static void test_a_helper_that_may_not_be_started_is_told(void **state)
{
    struct settings settings;
    char path[sizeof(f.path) + 8];
    int fd;

    (void)state;
    (void)snprintf(path, sizeof(path), "%s.helper", f.path);
    fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    close(fd);
    start_spawned(&settings, path);
    run_until_text("Permission denied");
    (void)unlink(path);
    assert_string_equal(token_state(f.token), "unreachable");
    assert_non_null(strstr(token_state_text(f.token), "HelperSocket="));
    assert_non_null(strstr(token_state_text(f.token), "token@hsm.socket"));
}

/* It ends at once: when nobody can hope for it, nobody waits. */
static void test_a_helper_that_ends_is_started_again(void **state)
{
    struct settings settings;

    (void)state;
    start_spawned(&settings, "/bin/false");
    ask(TOKEN_OP_SIGN);
    run_until(&f.answers, 1);
    assert_int_equal(f.r, -EHOSTDOWN);
    assert_string_equal(token_state(f.token), "unreachable");
}

/* A daemon that can start no helper any more must itself be started again. */
static void test_the_end_of_the_spawner_ends_the_loop(void **state)
{
    struct settings settings;
    int code = 0;

    (void)state;
    start_spawned(&settings, "/bin/false");
    assert_int_equal(kill(spawner_pid(f.spawner), SIGKILL), 0);
    for (int i = 0; i < 200; i++) {
        if (sd_event_get_state(f.event) == SD_EVENT_FINISHED)
            break;
        assert_true(sd_event_run(f.event, 50000) >= 0);
    }
    assert_int_equal(sd_event_get_exit_code(f.event, &code), 0);
    assert_int_equal(code, -ECHILD);
}

static void test_a_key_is_not_made_twice(void **state)
{
    (void)state;
    f.behaviour = HANG_UP;
    helper_listen();
    token_start(f.token);
    ask(TOKEN_OP_GENERATE);
    run_until(&f.answers, 1);
    assert_int_equal(f.r, -EHOSTDOWN);
    assert_int_equal(f.generates, 1);
}

static void test_a_reply_that_breaks_the_protocol_ends_the_helper(void **state)
{
    static const enum behaviour cases[] = { BAD_ID, BAD_LENGTH, BAD_VERSION };

    (void)state;
    helper_listen();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        print_message("case %zu\n", i);
        f.behaviour = cases[i];
        f.connections = 0;
        f.answers = 0;
        if (i == 0)
            token_start(f.token);
        else
            helper_hang_up();
        ask(TOKEN_OP_SIGN);
        run_until(&f.answers, 1);
        assert_int_equal(f.r, 0);
        assert_int_equal(f.connections, 2);
    }
}

static void
test_a_token_that_does_not_work_is_told_and_asked_again(void **state)
{
    (void)state;
    f.behaviour = NO_TOKEN;
    helper_listen();
    token_start(f.token);
    ask(TOKEN_OP_SIGN);
    run_until(&f.answers, 1);
    assert_int_equal(f.r, -EHOSTDOWN);
    assert_string_equal(token_state(f.token), "no-token");
    assert_int_equal(f.signs, 0);
    /* at once, not after its deadline */
    ask(TOKEN_OP_SIGN);
    assert_int_equal(f.answers, 2);

    f.behaviour = ANSWER; /* repaired */
    run_until(&f.ready, 1);
    ask(TOKEN_OP_SIGN);
    run_until(&f.answers, 3);
    assert_int_equal(f.r, 0);
}

static void test_without_a_helper_nobody_waits_for_long(void **state)
{
    (void)state;
    token_start(f.token); /* nothing listens */
    assert_string_equal(token_state(f.token), "unreachable");
    ask(TOKEN_OP_SIGN);
    assert_int_equal(f.answers, 1);
    assert_int_equal(f.r, -EHOSTDOWN);
    ask(TOKEN_OP_FIND);
    run_until(&f.answers, 2);
    assert_int_equal(f.r, -EHOSTDOWN);
}

static void test_too_many_requests_are_busy(void **state)
{
    (void)state;
    f.behaviour = SILENT;
    helper_listen();
    token_start(f.token);
    run_until(&f.ready, 1);
    for (int i = 0; i < 2000 && f.answers == 0; i++)
        ask(TOKEN_OP_SIGN);
    assert_int_equal(f.answers, 1);
    assert_int_equal(f.r, -EBUSY);
}

static void test_a_user_keeps_the_helper_busy_and_no_more(void **state)
{
    (void)state;
    f.behaviour = SILENT;
    helper_listen();
    token_start(f.token);
    run_until(&f.ready, 1);
    ask_as(1000, 100);
    run_until(&f.signs, 8);
    while (sd_event_run(f.event, 0) > 0)
        ;
    assert_int_equal(f.signs, 8); /* twice what it signs at once */
    /* Others wait for these alone. */
    ask_as(1001, 10);
    ask(TOKEN_OP_SIGN);
    run_until(&f.signs, 11);
    while (sd_event_run(f.event, 0) > 0)
        ;
    assert_int_equal(f.signs, 11); /* half, and our own as it comes */
    assert_int_equal(f.answers, 0);
}

static void test_all_of_a_user_is_signed_in_the_end(void **state)
{
    (void)state;
    helper_listen();
    token_start(f.token);
    run_until(&f.ready, 1);
    ask_as(1000, 100);
    ask_as(1001, 100);
    ask_as(1000, 100);
    run_until(&f.answers, 300);
    assert_int_equal(f.r, 0);
    assert_int_equal(f.signs, 300);
}

static void test_a_new_helper_gets_what_a_user_waits_for(void **state)
{
    (void)state;
    helper_listen();
    f.behaviour = HANG_UP;
    token_start(f.token);
    ask_as(1000, 30);
    run_until(&f.answers, 30);
    assert_int_equal(f.r, 0);
    assert_int_equal(f.connections, 2);
}

static void test_one_user_does_not_fill_the_queue(void **state)
{
    (void)state;
    f.behaviour = SILENT;
    helper_listen();
    token_start(f.token);
    run_until(&f.ready, 1);
    ask_as(1000, 512);
    assert_int_equal(f.answers, 0);
    ask_as(1000, 1);
    assert_int_equal(f.answers, 1);
    assert_int_equal(f.r, -EBUSY);
    ask_as(1001, 1);
    assert_int_equal(f.answers, 1);
}

static void test_what_waits_is_answered_at_the_end(void **state)
{
    (void)state;
    f.behaviour = SILENT;
    helper_listen();
    token_start(f.token);
    run_until(&f.ready, 1);
    ask(TOKEN_OP_SIGN);
    f.token = token_free(f.token);
    assert_int_equal(f.answers, 1);
    assert_int_equal(f.r, -EHOSTDOWN);
}

#define TOKEN_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TOKEN_TEST(test_a_request_is_answered),
        TOKEN_TEST(test_signing_waits_until_the_keys_were_looked_at),
        TOKEN_TEST(test_after_a_reconnect_signing_waits_again),
        TOKEN_TEST(test_keys_that_cannot_be_listed_are_looked_at_again),
        TOKEN_TEST(test_what_waits_is_refused_when_the_keys_are_wrong),
        TOKEN_TEST(test_a_signature_is_asked_once_more_of_a_new_helper),
        TOKEN_TEST(test_a_signature_is_not_asked_a_third_time),
        TOKEN_TEST(test_a_key_is_not_made_twice),
        TOKEN_TEST(test_where_to_look_is_told_when_the_helper_goes),
        TOKEN_TEST(test_a_helper_that_may_not_be_started_is_told),
        TOKEN_TEST(test_a_helper_that_ends_is_started_again),
        TOKEN_TEST(test_the_end_of_the_spawner_ends_the_loop),
        TOKEN_TEST(test_a_reply_that_breaks_the_protocol_ends_the_helper),
        TOKEN_TEST(test_a_token_that_does_not_work_is_told_and_asked_again),
        TOKEN_TEST(test_without_a_helper_nobody_waits_for_long),
        TOKEN_TEST(test_too_many_requests_are_busy),
        TOKEN_TEST(test_a_user_keeps_the_helper_busy_and_no_more),
        TOKEN_TEST(test_all_of_a_user_is_signed_in_the_end),
        TOKEN_TEST(test_a_new_helper_gets_what_a_user_waits_for),
        TOKEN_TEST(test_one_user_does_not_fill_the_queue),
        TOKEN_TEST(test_what_waits_is_answered_at_the_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
