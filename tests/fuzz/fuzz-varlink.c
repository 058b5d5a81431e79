/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Varlink: a server of its own, with a peer that sends anything in any pieces.
 * What has to come back is told by a second reading of the same octets, which
 * knows nothing of pieces, turns and buffers.
 */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fuzz-socket.h"
#include "fuzz.h"
#include "ipc/varlink-server.h"

#define NAME "org.acmeguardian.Fuzz"

static struct {
    sd_event *event;
    struct varlink_server *server;
    int listener;
    struct varlink_call *held;
} f;

static void on_echo(struct varlink_call *c, const json_t *parameters,
                    void *userdata)
{
    CLEANUP_FREE char *text = json_dumps(parameters, JSON_COMPACT);

    (void)userdata;
    MUST(text);
    varlink_reply(c, bytes_from_str(text));
}

static int on_later(sd_event_source *s, void *userdata)
{
    (void)userdata;
    sd_event_source_unref(s);
    varlink_reply(TAKE_PTR(f.held), (struct bytes){ 0 });
    return 0;
}

/* The one answer that comes in another turn of the loop. */
static void on_hold(struct varlink_call *c, const json_t *parameters,
                    void *userdata)
{
    sd_event_source *s = NULL;

    (void)parameters;
    (void)userdata;
    MUST(!f.held);
    f.held = c;
    MUST(sd_event_add_defer(f.event, &s, on_later, NULL) >= 0);
}

static void on_stream(struct varlink_call *c, const json_t *parameters,
                      void *userdata)
{
    (void)parameters;
    (void)userdata;
    if (!varlink_call_wants_more(c)) {
        varlink_error_expected_more(c);
        return;
    }
    varlink_reply_more(c, (struct bytes){ 0 });
    varlink_reply_more(c, (struct bytes){ 0 });
    varlink_reply(c, (struct bytes){ 0 });
}

static const struct varlink_method methods[] = {
    { "Echo", on_echo, 0 },
    { "Hold", on_hold, 0 },
    { "Stream", on_stream, 0 },
    { "Missing", NULL, 0 },
};
static const struct varlink_interface interface = {
    .name = NAME,
    .description = "interface " NAME "\n",
    .methods = methods,
    .n_methods = ARRAY_LEN(methods),
};

static void start(void)
{
    static const struct varlink_limits limits = { 64, 64 };
    static const struct varlink_info info = { "v", "p", "1", "u" };
    static const char *const interfaces[] = { NAME, NULL };
    static const struct varlink_listener listener = { .interfaces = interfaces,
                                                      .use_peerpidfd = true };

    if (f.event)
        return;
    MUST(sd_event_new(&f.event) >= 0);
    MUST(varlink_server_new(f.event, &limits, &info, &f.server) == 0);
    MUST(varlink_server_add(f.server, &interface) == 0);
    f.listener = fuzz_listen(SOCK_STREAM);
    MUST(varlink_server_listen(f.server, f.listener, &listener) == 0);
}

static bool flag(const json_t *request, const char *name, bool *ret_bad)
{
    const json_t *value = json_object_get(request, name);

    *ret_bad |= value && !json_is_boolean(value);
    return json_is_true(value);
}

/* How many answers one frame gets; -1: none, and nothing after it is read. */
static int answers_to(struct bytes frame)
{
    json_t *request = NULL;
    const char *method;
    const json_t *parameters;
    bool oneway, more, bad = false;
    size_t known;

    if (varlink_frame_parse(frame, &request))
        return -1;
    method = json_string_value(json_object_get(request, "method"));
    parameters = json_object_get(request, "parameters");
    oneway = flag(request, "oneway", &bad);
    more = flag(request, "more", &bad);
    known = (size_t)(json_object_get(request, "method") != NULL) +
            (parameters != NULL) +
            (json_object_get(request, "oneway") != NULL) +
            (json_object_get(request, "more") != NULL) +
            (json_object_get(request, "upgrade") != NULL);
    (void)flag(request, "upgrade", &bad);
    bad |= !method || (parameters && !json_is_object(parameters)) ||
           (oneway && more) || known != json_object_size(request);
    more &= method && strcmp(method, NAME ".Stream") == 0;
    json_decref(request);
    return bad ? -1 : oneway ? 0 : more ? 3 : 1;
}

/* The octets without the marks of pieces. */
static void join(struct bytes input, struct buf *ret)
{
    for (size_t i = 0; i < input.len; i++) {
        if (input.data[i] != 1)
            MUST(buf_append(ret, &input.data[i], 1) == 0);
    }
}

static unsigned answers_expected(struct bytes rest)
{
    unsigned n = 0;
    const uint8_t *nul;

    while (rest.len > 0 && (nul = memchr(rest.data, 0, rest.len))) {
        struct bytes frame = { rest.data, (size_t)(nul - rest.data) };
        int more = frame.len < VARLINK_MESSAGE_MAX ? answers_to(frame) : -1;

        if (more < 0)
            break;
        n += (unsigned)more;
        rest = (struct bytes){ nul + 1, rest.len - frame.len - 1 };
    }
    return n;
}

static unsigned answers_given(struct bytes rest)
{
    unsigned n = 0;

    while (rest.len > 0) {
        const uint8_t *nul = memchr(rest.data, 0, rest.len);
        struct bytes frame = { rest.data, nul ? (size_t)(nul - rest.data) : 0 };
        json_t *answer = NULL;

        MUST(nul);
        answer = json_loadb((const char *)frame.data, frame.len,
                            JSON_REJECT_DUPLICATES, NULL);
        MUST(json_is_object(json_object_get(answer, "parameters")));
        json_decref(answer);
        n++;
        rest = (struct bytes){ nul + 1, rest.len - frame.len - 1 };
    }
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes input = { data, size };
    CLEANUP_BUF struct buf octets = { 0 };
    CLEANUP_BUF struct buf answers = { 0 };

    start();
    join(input, &octets);
    fuzz_talk(f.event, fuzz_connect(f.listener), input, &answers);
    MUST(answers_given(buf_bytes(&answers)) ==
         answers_expected(buf_bytes(&octets)));
    MUST(!f.held && varlink_server_pending(f.server) == 0);
    MUST(varlink_server_connections(f.server) == 0);
    return 0;
}
