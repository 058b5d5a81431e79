/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * One answer_*() for each thing that the daemon may ask, reached through one
 * table. Each works on a key found by its label, through the ladder; what is
 * given out as a signature has been checked here, whatever the backend.
 */
#include "pkcs11/answer.h"

#include <string.h>
#include <time.h>

#include "pkcs11/fitness.h"
#include "pkcs11/full-key.h"
#include "pkcs11/signature.h"
#include "pkcs11/wire.h"

/* One request on its way: what the functions under the ladder see. */
struct request {
    struct answerer *a;
    const struct token_request *head;
    struct bytes data;
    struct keycache_entry *entry;
    struct backend_key key;
    size_t n_keys;
    uint8_t sig[TOKEN_SIGNATURE_MAX];
    size_t sig_len;
    bool begun;    /* GENERATE, DESTROY: the token has been asked */
    bool has_room; /* likewise: the session was reset to make some */
};

static uint32_t epoch(const struct answerer *a)
{
    return atomic_load(&a->service->shared->epoch);
}

static void tell_change(const struct answerer *a)
{
    atomic_fetch_add(&a->service->shared->epoch, 1);
}

static enum token_result find_entry(struct request *q,
                                    struct backend_error *err)
{
    struct answerer *a = q->a;
    uint32_t now = epoch(a);
    struct backend_key key;
    enum token_result r;

    q->entry = keycache_get(&a->cache, q->head->label, now);
    if (q->entry)
        return TOKEN_S_OK;
    r = a->service->ops->find(a->session, q->head->label, &key, err);
    if (r == TOKEN_S_OK)
        r = fitness_check(&key.key, err);
    if (r == TOKEN_S_OK)
        r = keycache_put(&a->cache, &key, &q->entry, err);
    return r;
}

static enum token_result do_find(void *userdata, struct backend_error *err)
{
    struct request *q = userdata;

    return q->a->service->ops->find(q->a->session, q->head->label, &q->key,
                                    err);
}

/*
 * RSA signatures are always verified: a faulty one gives the key away. So is
 * the first by a key after it was found, whose handle might be another's.
 */
static enum token_result check_signature(const struct request *q,
                                         struct bytes input,
                                         struct backend_error *err)
{
    struct keycache_entry *e = q->entry;
    bool verify = q->a->service->settings->verify_all || !e->proven ||
                  e->key.key.alg == TOKEN_ALG_RS256;

    if (q->sig_len != e->sig_len)
        return refuse_token(err, TOKEN_S_BAD_SIGNATURE,
                            "the token gave a signature of %zu octets instead "
                            "of %zu",
                            q->sig_len, e->sig_len);
    if (verify && signature_verify(e->pub, input,
                                   (struct bytes){ q->sig, q->sig_len }) != 0)
        return refuse_token(err, TOKEN_S_BAD_SIGNATURE,
                            "the token gave a signature that does not verify");
    e->proven = true;
    return TOKEN_S_OK;
}

static enum token_result sign(struct request *q, struct bytes input,
                              struct backend_error *err)
{
    struct answerer *a = q->a;
    enum token_result r = find_entry(q, err);

    if (r == TOKEN_S_OK)
        r = a->service->ops->sign(a->session, &q->entry->key, input, q->sig,
                                  &q->sig_len, err);
    if (r == TOKEN_S_OK)
        r = check_signature(q, input, err);
    if (r != TOKEN_S_OK)
        keycache_clear(&a->cache);
    return r;
}

static enum token_result do_sign(void *userdata, struct backend_error *err)
{
    struct request *q = userdata;
    enum token_result r = find_entry(q, err);

    if (r != TOKEN_S_OK) {
        keycache_clear(&q->a->cache);
        return r;
    }
    if (q->head->alg != q->entry->key.key.alg)
        return refuse_token(err, TOKEN_S_KEY_UNFIT,
                            "key %s signs with another algorithm",
                            q->head->label);
    return sign(q, q->data, err);
}

/* A key that is made or taken over has to sign once: what we say about it is
 * then more than attributes. */
static enum token_result do_trial(void *userdata, struct backend_error *err)
{
    static const char trial[] = "acme-guardian: does this key sign?";

    return sign(userdata, bytes_from_str(trial), err);
}

static enum token_result do_find_uri(void *userdata, struct backend_error *err)
{
    struct request *q = userdata;
    char uri[1024 + 1];

    memcpy(uri, q->data.data, q->data.len);
    uri[q->data.len] = '\0';
    if (strlen(uri) != q->data.len)
        return refuse_token(err, TOKEN_S_NO_KEY, "the URI has a NUL");
    return q->a->service->ops->find_uri(q->a->session, uri, &q->key, err);
}

static enum token_result do_list(void *userdata, struct backend_error *err)
{
    struct request *q = userdata;
    const struct token_list_request *list = (const void *)q->data.data;

    return q->a->service->ops->list(q->a->session, q->head->label, list->skip,
                                    q->a->keys, &q->n_keys, err);
}

static bool room_is_short(const struct service *s)
{
    return s->ops->room_is_short && s->ops->room_is_short(s->backend);
}

/* Never twice: the first may have made a key. Where it is not known, the next
 * process will see it. */
static enum token_result do_generate(void *userdata, struct backend_error *err)
{
    struct request *q = userdata;
    enum token_result r;

    r = full_key_generate(q->a->service->ops, q->a->session, q->head->label,
                          q->head->alg, q->head->rsa_bits,
                          room_is_short(q->a->service), &q->key, err);
    if (r != TOKEN_S_OK && err->cure != BACKEND_CURE_NONE)
        err->cure = BACKEND_CURE_RESTART;
    return r;
}

static enum token_result climb(struct request *q, ladder_fn fn,
                               struct backend_error *err)
{
    const struct ladder ladder = { .ops = q->a->service->ops,
                                   .session = q->a->session,
                                   .login = &q->a->service->login };

    return ladder_run(&ladder, fn, q, err);
}

/* Fails once, for the ladder to reset the session. */
static enum token_result do_make_room(void *userdata, struct backend_error *err)
{
    struct request *q = userdata;

    if (q->has_room)
        return TOKEN_S_OK;
    q->has_room = true;
    return backend_fail(err, TOKEN_S_FAILED, BACKEND_CURE_SESSION, 0,
                        "no room for another key");
}

static enum token_result make_room(struct request *q, struct backend_error *err)
{
    if (!room_is_short(q->a->service))
        return TOKEN_S_OK;
    keycache_clear(&q->a->cache);
    return climb(q, do_make_room, err);
}

/* A session that died unnoticed is cured before, by asking for what is not
 * there. */
static enum token_result do_find_free(void *userdata, struct backend_error *err)
{
    struct request *q = userdata;
    enum token_result r = do_find(q, err);

    if (r == TOKEN_S_NO_KEY)
        return TOKEN_S_OK;
    if (r == TOKEN_S_OK || r == TOKEN_S_AMBIGUOUS || r == TOKEN_S_KEY_UNFIT)
        return refuse_token(err, TOKEN_S_EXISTS, "there is a key %s",
                            q->head->label);
    return r;
}

static enum token_result do_destroy(void *userdata, struct backend_error *err)
{
    struct request *q = userdata;
    enum token_result r = do_find(q, err);

    if (r == TOKEN_S_NO_KEY && q->begun)
        return TOKEN_S_OK; /* the first try did it after all */
    if (r != TOKEN_S_OK)
        return r;
    q->begun = true;
    return q->a->service->ops->destroy(q->a->session, &q->key, err);
}

/* The token may hold the keys of others, and the PIN opens all of them: what
 * the daemon says is not enough to fill up or to empty another's label. */
static enum token_result check_ours(const struct request *q,
                                    struct backend_error *err)
{
    const char *prefix = q->a->service->settings->key_prefix;
    size_t n = strlen(prefix);

    if (strncmp(q->head->label, prefix, n) == 0 && q->head->label[n] == ':')
        return TOKEN_S_OK;
    return refuse_token(err, TOKEN_S_NOT_OURS,
                        "the label %s is not within KeyPrefix=%s",
                        q->head->label, prefix);
}

static struct bytes key_bytes(const struct request *q)
{
    return (struct bytes){ (const uint8_t *)&q->key.key, sizeof(q->key.key) };
}

void answer_status(const struct service *s, struct token_status *ret)
{
    *ret = (struct token_status){
        .result = TOKEN_S_OK,
        .backend = s->settings->backend,
        .processes = atomic_load(&s->shared->processes),
        .sessions = atomic_load(&s->shared->sessions),
        .unseparated = s->unseparated,
    };
    s->ops->status(s->backend, ret);
}

static enum token_result answer_list(struct request *q, struct bytes *ret,
                                     struct backend_error *err)
{
    enum token_result r = climb(q, do_list, err);

    *ret = (struct bytes){ (const uint8_t *)q->a->keys,
                           q->n_keys * sizeof(*q->a->keys) };
    return r;
}

static enum token_result answer_find(struct request *q, struct bytes *ret,
                                     struct backend_error *err)
{
    *ret = key_bytes(q);
    return climb(q, do_find, err);
}

/* The rest of taking over a key: what it says of itself, and one signature. */
static enum token_result accept_key(struct request *q,
                                    struct backend_error *err)
{
    struct token_request head = { 0 };
    struct request trial = { .a = q->a, .head = &head };
    enum token_result r = fitness_prove(&q->key.key, err);

    if (r != TOKEN_S_OK)
        return r;
    memcpy(head.label, q->key.key.label, sizeof(head.label));
    return climb(&trial, do_trial, err);
}

static enum token_result answer_find_uri(struct request *q, struct bytes *ret,
                                         struct backend_error *err)
{
    enum token_result r = climb(q, do_find_uri, err);

    *ret = key_bytes(q);
    return r == TOKEN_S_OK ? accept_key(q, err) : r;
}

static enum token_result answer_generate(struct request *q, struct bytes *ret,
                                         struct backend_error *err)
{
    enum token_result r = check_ours(q, err);

    *ret = key_bytes(q);
    if (r == TOKEN_S_OK)
        r = make_room(q, err);
    if (r == TOKEN_S_OK)
        r = climb(q, do_find_free, err);
    if (r == TOKEN_S_OK)
        r = climb(q, do_generate, err);
    if (r != TOKEN_S_OK)
        return r;
    tell_change(q->a);
    return accept_key(q, err);
}

static enum token_result answer_sign(struct request *q, struct bytes *ret,
                                     struct backend_error *err)
{
    enum token_result r = climb(q, do_sign, err);

    *ret = (struct bytes){ q->sig, q->sig_len };
    return r;
}

static enum token_result answer_destroy(struct request *q, struct bytes *ret,
                                        struct backend_error *err)
{
    enum token_result r = check_ours(q, err);

    *ret = (struct bytes){ 0 };
    if (r == TOKEN_S_OK)
        r = make_room(q, err);
    if (r == TOKEN_S_OK)
        r = climb(q, do_destroy, err);
    if (q->begun)
        tell_change(q->a);
    return r;
}

typedef enum token_result (*answer_fn)(struct request *q, struct bytes *ret,
                                       struct backend_error *err);

/* STATUS and UNLOCK have no row: who is here is logged in. */
static const struct {
    answer_fn fn;
    unsigned timeouts;
} table[TOKEN_OP_COUNT] = {
    [TOKEN_OP_LIST] = { answer_list, 1 },
    [TOKEN_OP_FIND] = { answer_find, 1 },
    [TOKEN_OP_FIND_URI] = { answer_find_uri, 1 },
    [TOKEN_OP_GENERATE] = { answer_generate, TOKEN_GENERATE_TIMEOUTS },
    [TOKEN_OP_SIGN] = { answer_sign, 1 },
    [TOKEN_OP_DESTROY] = { answer_destroy, 1 },
};

static bool is_stale(const struct service *s)
{
    return s->ops->is_stale && s->ops->is_stale(s->backend);
}

static enum answer_next send(const struct answerer *a, int fd, uint64_t id,
                             enum token_result r, struct bytes data,
                             struct backend_error *err)
{
    bool good = r == TOKEN_S_OK;

    err->result = r;
    watch_stop(a->watch);
    spin_done(&a->service->shared->spin);
    if (wire_reply(fd, id, good ? NULL : err,
                   good ? data : (struct bytes){ 0 }))
        return ANSWER_EXIT_CLOSED;
    if (r == TOKEN_S_PROTOCOL)
        return ANSWER_EXIT_PROTOCOL;
    if (!good && err->cure == BACKEND_CURE_RESTART)
        return ANSWER_EXIT_LADDER;
    return is_stale(a->service) ? ANSWER_EXIT_STALE : ANSWER_GO_ON;
}

static enum answer_next send_status(const struct answerer *a, int fd,
                                    uint64_t id, struct backend_error *err)
{
    struct token_status status;

    answer_status(a->service, &status);
    return send(a, fd, id, TOKEN_S_OK,
                (struct bytes){ (const uint8_t *)&status, sizeof(status) },
                err);
}

static uint64_t now_us(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void fresh_session(struct answerer *a)
{
    struct backend_error err;

    keycache_clear(&a->cache);
    /* Without one, the ladder is where the next call ends. */
    (void)a->service->ops->session_reset(a->session, &err);
}

static void make_way(struct answerer *a, const struct token_request *head)
{
    const struct keycache_entry *e =
        keycache_get(&a->cache, head->label, epoch(a));
    bool known = e && e->key.key.alg == head->alg;

    if (ahead_take(&a->ahead, head, known, now_us()))
        fresh_session(a);
}

static void begin_next(struct answerer *a, const struct token_request *head,
                       enum token_result r)
{
    const struct service *s = a->service;
    const struct keycache_entry *e;
    struct backend_error err;

    if (!s->ops->begin ||
        !ahead_wanted(&a->ahead, head, r == TOKEN_S_OK, now_us()))
        return;
    watch_start(a->watch, s->settings->timeout_ms);
    e = keycache_get(&a->cache, head->label, epoch(a));
    if (!e || s->ops->begin(a->session, &e->key, &err) != TOKEN_S_OK) {
        a->ahead.begun = false;
        fresh_session(a);
    }
    watch_stop(a->watch);
}

enum answer_next answer_datagram(struct answerer *a, int fd,
                                 struct bytes datagram,
                                 struct backend_error *ret_err)
{
    const struct token_request *head = (const void *)datagram.data;
    struct request q = {
        .a = a,
        .head = head,
        .data = { datagram.data + sizeof(*head), datagram.len - sizeof(*head) },
    };
    struct bytes data = { 0 };
    enum token_result r = wire_check(datagram, ret_err);
    enum answer_next next;

    if (r != TOKEN_S_OK)
        return send(a, fd, datagram.len >= sizeof(*head) ? head->id : 0, r,
                    data, ret_err);
    if (!table[head->op].fn)
        return send_status(a, fd, head->id, ret_err);

    watch_start(a->watch,
                a->service->settings->timeout_ms * table[head->op].timeouts);
    *ret_err = (struct backend_error){ 0 };
    make_way(a, head);
    r = table[head->op].fn(&q, &data, ret_err);
    next = send(a, fd, head->id, r, data, ret_err);
    if (next == ANSWER_GO_ON)
        begin_next(a, head, r);
    return next;
}
