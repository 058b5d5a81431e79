/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy-fixture.h"

#include <errno.h>
#include <stdlib.h>

#include "acme/dns-name.h"

unsigned fixture_lookups;

static int look_up(const char *name, const char *const *names,
                   const uint32_t *ids, size_t n, uint32_t *ret)
{
    fixture_lookups++;
    for (size_t i = 0; i < n; i++) {
        if (strcmp(names[i], name) == 0) {
            *ret = ids[i];
            return 0;
        }
    }
    return -ENOENT;
}

static int fixture_uid(const char *name, uid_t *ret, void *userdata)
{
    static const char *const names[] = { "caddy", "www", "nobody" };
    static const uint32_t ids[] = { 1000, 33, 65534 };

    (void)userdata;
    return look_up(name, names, ids, ARRAY_LEN(ids), ret);
}

static int fixture_gid(const char *name, gid_t *ret, void *userdata)
{
    static const char *const names[] = { "web", "nogroup" };
    static const uint32_t ids[] = { 2000, 65534 };

    (void)userdata;
    return look_up(name, names, ids, ARRAY_LEN(ids), ret);
}

const struct policy_names fixture_names = { fixture_uid, fixture_gid, NULL };

struct policy_set *fixture_set(const char *text, char *const *deny)
{
    struct policy_set *set = NULL;
    struct errmsg e = { 0 };

    if (policy_load_text(bytes_from_str(text), "f", deny, &set, &e))
        fail_msg("%s:%u: %s", e.file, e.line, e.text);
    return set;
}

char *fixture_error(const char *text, char *const *deny)
{
    CLEANUP_BUF struct buf b = { 0 };
    CLEANUP_POLICY_SET struct policy_set *set = NULL;
    struct errmsg e = { 0 };

    assert_int_equal(
        policy_load_text(bytes_from_str(text), "f", deny, &set, &e),
        POLICY_E_INVALID);
    assert_null(set);
    assert_int_equal(errmsg_format(&e, &b), 0);
    return buf_take_str(&b);
}

struct acme_account fixture_account(const char *name)
{
    static char names[4][32];
    static unsigned next;
    char *mine = names[next++ % 4];

    (void)snprintf(mine, sizeof(names[0]), "%s", name);
    return (struct acme_account){ .name = mine };
}

static void add_identifier(struct identifiers *ids, const char *word)
{
    struct identifier id = { .type = IDENTIFIER_DNS };

    if (strncmp(word, "ip:", 3) == 0) {
        word += 3;
        id.type = IDENTIFIER_IP;
        assert_int_equal(
            ip_text_check(bytes_from_str(word), id.addr, &id.addr_len, NULL),
            0);
    }
    id.value = strdup(word);
    ids->items = reallocarray(ids->items, ids->n + 1, sizeof(id));
    assert_non_null(ids->items);
    ids->items[ids->n++] = id;
}

struct acme_request fixture_request(enum acme_op op, const char *identifiers)
{
    struct acme_request rq = { .op = op };
    CLEANUP_FREE char *copy = strdup(identifiers);
    char *save = NULL;

    if (op == ACME_OP_FINALIZE)
        rq.csr.key_type = CSR_KEY_EC_P256;
    for (char *w = strtok_r(copy, " ", &save); w;
         w = strtok_r(NULL, " ", &save))
        add_identifier(&rq.identifiers, w);
    return rq;
}

void fixture_request_deinit(struct acme_request *rq)
{
    for (size_t i = 0; i < rq->identifiers.n; i++)
        free(rq->identifiers.items[i].value);
    free(rq->identifiers.items);
}

static const char *eval(const struct policy_set *set,
                        const struct policy_caller *caller,
                        const struct acme_request *rq)
{
    struct acme_account account = fixture_account("test");
    struct policy_verdict v = { .allowed = true };

    assert_int_equal(
        policy_eval(set, caller, &fixture_names, &account, rq, NULL, NULL, &v),
        0);
    assert_true(v.allowed == (v.reason == REASON_UNSET));
    return v.allowed ? "allowed" : reason_code(v.reason);
}

const char *fixture_eval(const char *policy, const struct policy_caller *caller,
                         const struct acme_request *rq)
{
    CLEANUP_POLICY_SET struct policy_set *set = fixture_set(policy, NULL);

    return eval(set, caller, rq);
}

const char *fixture_verdict_now(const char *policy, char *const *deny_now,
                                enum acme_op op, const char *identifiers)
{
    CLEANUP_POLICY_SET struct policy_set *set = fixture_set(policy, NULL);
    struct policy_caller caller = { .uid = 1000 };
    struct acme_request rq = fixture_request(op, identifiers);
    const char *verdict;

    assert_int_equal(policy_set_deny_now(set, deny_now), 0);
    verdict = eval(set, &caller, &rq);
    fixture_request_deinit(&rq);
    return verdict;
}

const char *fixture_verdict(const char *policy, char *const *deny,
                            enum acme_op op, const char *identifiers)
{
    CLEANUP_POLICY_SET struct policy_set *set = fixture_set(policy, deny);
    struct policy_caller caller = { .uid = 1000 };
    struct acme_request rq = fixture_request(op, identifiers);
    const char *verdict = eval(set, &caller, &rq);

    fixture_request_deinit(&rq);
    return verdict;
}
