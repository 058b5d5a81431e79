/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The daemon's end of a token helper's socket: a helper that says anything.
 * Each answer is two octets of length, one of flags and the datagram; every
 * request of the daemon is answered exactly once all the same.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/token.h"
#include "fuzz.h"

#define ASKED_MAX 64
#define ANSWERS_MAX 32
#define TURNS_MAX 1000

/* What is written over the datagram, so that the fuzzer need not find it. */
#define FLAG_ID 1u     /* the id of the newest request */
#define FLAG_LENGTH 2u /* version and length as they are */
#define FLAG_HANG_UP 4u
#define FLAG_OK 8u      /* the result */
#define FLAG_STATUS 16u /* all of it: a token that works */
#define FLAG_SIGN 32u   /* not of the answer: the daemon asks for a signature */

static struct {
    sd_event *event;
    struct settings_token settings;
    char dir[32];
    struct sockaddr_un addr;
    int listener;
    struct token *token;
    unsigned asked, answered;
} f = { .dir = "/tmp/fuzz-token-XXXXXX" };

static void remove_dir(void)
{
    (void)unlink(f.addr.sun_path);
    (void)rmdir(f.dir);
}

static void start(void)
{
    static char name[] = "fuzz";

    if (f.event)
        return;
    MUST(sd_event_new(&f.event) >= 0);
    MUST(mkdtemp(f.dir) && atexit(remove_dir) == 0);
    f.addr.sun_family = AF_UNIX;
    (void)snprintf(f.addr.sun_path, sizeof(f.addr.sun_path), "%s/s", f.dir);
    f.listener =
        socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    MUST(f.listener >= 0 &&
         bind(f.listener, (const struct sockaddr *)&f.addr, sizeof(f.addr)) ==
             0 &&
         listen(f.listener, 8) == 0);
    f.settings = (struct settings_token){ .name = name,
                                          .timeout_ms = 1000000,
                                          .helper_socket = f.addr.sun_path };
}

static void turn(void)
{
    int did = 1;

    for (unsigned i = 0; did > 0 && i < TURNS_MAX; i++)
        did = sd_event_run(f.event, 0);
    MUST(did == 0);
}

static void on_answer(const struct token_answer *a, void *userdata)
{
    volatile uint8_t sum = 0;

    (void)userdata;
    MUST(a->text && strlen(a->text) < TOKEN_TEXT_MAX + 64);
    MUST(a->data.len <= TOKEN_DATA_MAX);
    MUST(a->r != 0 || (a->result > TOKEN_S_UNSET && a->result < TOKEN_S_COUNT));
    MUST(token_answer_code(a)[0]);
    for (size_t i = 0; i < a->data.len; i++)
        sum ^= a->data.data[i];
    f.answered++;
}

static void ask(enum token_op op)
{
    const struct token_ask asks = { .op = op,
                                    .label = "ours:a:b:1",
                                    .alg = op == TOKEN_OP_SIGN ? JWS_ALG_ES256
                                                               : JWS_ALG_UNSET,
                                    .data = { (const uint8_t *)"input", 5 } };

    if (f.asked >= ASKED_MAX)
        return;
    f.asked++;
    token_send(f.token, &asks, on_answer, NULL);
}

static void on_ready(struct token *t, void *userdata)
{
    (void)userdata;
    ask(TOKEN_OP_FIND);
    token_open(t);
}

/* Requests that have come; the id of the newest. */
static uint64_t newest(int fd, uint64_t before)
{
    static struct {
        struct token_request head;
        uint8_t data[TOKEN_DATA_MAX];
    } request;

    while (recv(fd, &request, sizeof(request), MSG_DONTWAIT) > 0)
        before = request.head.id;
    return before;
}

static void answer(int fd, struct bytes text, unsigned flags, uint64_t id)
{
    static const struct token_status good = { .result = TOKEN_S_OK };
    static struct {
        struct token_reply head;
        uint8_t data[TOKEN_DATA_MAX + 64];
    } reply;
    size_t len = text.len < sizeof(reply) ? text.len : sizeof(reply);

    memset(&reply, 0, sizeof(reply));
    if (len > 0)
        memcpy(&reply, text.data, len);
    if (flags & FLAG_STATUS) {
        len = sizeof(reply.head) + sizeof(good);
        memcpy(reply.data, &good, sizeof(good));
    }
    if (flags & (FLAG_LENGTH | FLAG_STATUS)) {
        len = len < sizeof(reply.head) ? sizeof(reply.head) : len;
        reply.head.version = TOKEN_PROTO_VERSION;
        reply.head.data_len = (uint32_t)(len - sizeof(reply.head));
    }
    if (flags & (FLAG_OK | FLAG_STATUS))
        reply.head.result = TOKEN_S_OK;
    if (flags & (FLAG_ID | FLAG_STATUS))
        reply.head.id = id;
    MUST(send(fd, &reply, len, MSG_NOSIGNAL) >= 0 || errno == EPIPE ||
         errno == ECONNRESET);
}

static void converse(int fd, struct bytes rest)
{
    uint64_t id = 0;

    for (unsigned i = 0; rest.len > 0 && i < ANSWERS_MAX; i++) {
        size_t len = fuzz_octet(&rest);
        unsigned flags;
        struct bytes text;

        len |= (size_t)fuzz_octet(&rest) << 8;
        flags = fuzz_octet(&rest);
        text = (struct bytes){ rest.data, len < rest.len ? len : rest.len };
        rest = (struct bytes){ rest.data + text.len, rest.len - text.len };
        if (flags & FLAG_HANG_UP)
            return;
        ask(flags & FLAG_SIGN ? TOKEN_OP_SIGN : TOKEN_OP_LIST);
        turn();
        id = newest(fd, id);
        answer(fd, text, flags, id);
        turn();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct token_options options = { .settings = &f.settings,
                                     .on_ready = on_ready };
    int fd;

    start();
    options.event = f.event;
    f.asked = f.answered = 0;
    MUST(token_new(&options, &f.token) == 0);
    token_start(f.token);
    fd = accept4(f.listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    MUST(fd >= 0);
    converse(fd, (struct bytes){ data, size });
    (void)close(fd);
    turn();
    MUST(token_state(f.token)[0]);
    f.token = token_free(f.token);
    MUST(f.answered == f.asked);
    /* It may have connected again. */
    while ((fd = accept4(f.listener, NULL, NULL, SOCK_CLOEXEC)) >= 0)
        (void)close(fd);
    return 0;
}
