/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * [Allow], guard by guard. Each says which key it asks and how far the request
 * has come, before the guard itself: of several rule sets that refuse, the one
 * that came furthest is told to the caller.
 */
#include <stdio.h>
#include <string.h>

#include "policy/policy-judge.h"

/* In the order in which they are asked. */
enum stage {
    STAGE_OPERATION = 1,
    STAGE_NAMES,
    STAGE_IDENTIFIER,
    STAGE_REPLACES,
    STAGE_PROFILE,
    STAGE_VALIDITY,
    STAGE_KEY,
    STAGE_SUBJECT,
    STAGE_EXTENSION,
    STAGE_QUOTA,
};

static struct refusal *at(struct policy_refusal *p, enum stage stage,
                          const char *key)
{
    p->progress = (unsigned)stage << 16;
    p->key = key;
    p->identifier = NULL;
    return &p->refusal;
}

/* The same for the identifier with number @i; two steps for each. */
static struct refusal *at_identifier(struct policy_refusal *p, size_t i,
                                     unsigned step, const struct identifier *id,
                                     const char *key)
{
    struct refusal *refusal = at(p, STAGE_IDENTIFIER, key);

    p->progress += 2 * (unsigned)i + step;
    p->identifier = id->value;
    return refusal;
}

static bool grants(const struct policy_ruleset *rs, unsigned op)
{
    return rs->operations & (1u << op);
}

static int check_operation(const struct policy_ruleset *rs,
                           const struct acme_request *rq,
                           struct policy_refusal *p)
{
    struct refusal *refusal = at(p, STAGE_OPERATION, "Operations");

    if (rq->op <= ACME_OP_UNSET || rq->op >= ACME_OP_COUNT)
        return refuse(refusal, REASON_OPERATION_NOT_ALLOWED,
                      "no operation of a client");
    if (!grants(rs, rq->op))
        return refuse(refusal, REASON_OPERATION_NOT_ALLOWED, "%s is not listed",
                      acme_op_name(rq->op));
    return 0;
}

static int check_count(const struct policy_ruleset *rs,
                       const struct acme_request *rq, struct policy_refusal *p)
{
    bool names_matter = rq->op == ACME_OP_ORDER || rq->op == ACME_OP_FINALIZE ||
                        rq->op == ACME_OP_REVOKE;
    struct refusal *refusal = at(p, STAGE_NAMES, "NamesPerOrder");

    if (names_matter && rq->identifiers.n == 0)
        return refuse(refusal, REASON_NO_IDENTIFIERS, "no name at all");
    if (rq->op != ACME_OP_REVOKE && rq->identifiers.n > rs->names_per_order)
        return refuse(refusal, REASON_TOO_MANY_NAMES, "%zu names, at most %u",
                      rq->identifiers.n, rs->names_per_order);
    return 0;
}

static bool in_ranges(const struct policy_ruleset *rs,
                      const struct identifier *id)
{
    for (size_t i = 0; i < rs->n_ranges; i++) {
        if (address_range_has(&rs->ranges[i], id->addr, id->addr_len))
            return true;
    }
    return false;
}

static int check_address(const struct policy_ruleset *rs,
                         const struct identifier *id, size_t i,
                         struct policy_refusal *p)
{
    struct refusal *refusal = at_identifier(p, i, 0, id, "Address");

    if (!in_ranges(rs, id))
        return refuse(refusal, REASON_IDENTIFIER_NOT_ALLOWED,
                      "%s is in no range", id->value);
    return 0;
}

/* A name in question: of "*.BASE" it is BASE. */
struct asked {
    struct bytes name;
    bool wildcard;
    struct name_hash hash;
};

static const struct name_index *names_for(const struct policy_ruleset *rs,
                                          bool wildcard)
{
    return &rs->names[wildcard ? NAME_WILD : NAME_EXACT];
}

static struct asked ask(const struct policy_ruleset *rs,
                        const struct identifier *id)
{
    struct asked a = { .name = bytes_from_str(id->value) };

    a.wildcard = a.name.len > 2 && memcmp(a.name.data, "*.", 2) == 0;
    if (a.wildcard)
        a.name = (struct bytes){ a.name.data + 2, a.name.len - 2 };
    a.hash = name_index_hash(names_for(rs, a.wildcard), a.name);
    return a;
}

static int check_name(const struct policy_ruleset *rs,
                      const struct policy_question *q, const struct asked *a,
                      size_t i, struct policy_refusal *p)
{
    const struct identifier *id = &q->request->identifiers.items[i];
    struct refusal *refusal =
        at_identifier(p, i, 0, id, a->wildcard ? "Wildcard" : "Domain");
    bool listed = name_index_has_hashed(names_for(rs, a->wildcard), &a->hash);

    if (a->wildcard && !listed)
        return refuse(refusal, REASON_IDENTIFIER_NOT_ALLOWED,
                      "%s is not listed", id->value + 2);
    if (!a->wildcard && !listed && !policy_grants_below(rs, a->name))
        return refuse(
            refusal, REASON_IDENTIFIER_NOT_ALLOWED,
            "%s is neither listed nor below a name in Subdomains=", id->value);

    refusal = at_identifier(p, i, 1, id, "[Deny] Domain");
    if (policy_denies(q->set, a->name, a->wildcard))
        return refuse(refusal, REASON_IDENTIFIER_DENIED,
                      "%s is denied to everybody", id->value);
    return 0;
}

static int check_identifier(const struct policy_ruleset *rs,
                            const struct policy_question *q,
                            const struct asked *a, size_t i,
                            struct policy_refusal *p)
{
    const struct identifier *id = &q->request->identifiers.items[i];
    struct refusal *refusal = at_identifier(p, i, 0, id, "Domain");

    if (id->type == IDENTIFIER_IP)
        return check_address(rs, id, i, p);
    if (id->type != IDENTIFIER_DNS)
        return refuse(refusal, REASON_IDENTIFIER_NOT_ALLOWED,
                      "an identifier of no known type");
    return check_name(rs, q, a, i, p);
}

/* A few at a time: first where each of them lies, then what is there. */
static int check_identifiers(const struct policy_ruleset *rs,
                             const struct policy_question *q,
                             struct policy_refusal *p)
{
    const struct identifiers *ids = &q->request->identifiers;
    struct asked asked[8];
    int r = 0;

    for (size_t first = 0; r == 0 && first < ids->n;
         first += ARRAY_LEN(asked)) {
        size_t n = ids->n - first;

        if (n > ARRAY_LEN(asked))
            n = ARRAY_LEN(asked);
        for (size_t i = 0; i < n; i++)
            asked[i] = ask(rs, &ids->items[first + i]);
        for (size_t i = 0; r == 0 && i < n; i++)
            r = check_identifier(rs, q, &asked[i], first + i, p);
    }
    return r;
}

/*
 * notAfter bounds what a certificate can do: it has to be there, at most
 * MaxValidity= from now (a certificate for later is not kept in stock), and at
 * most MaxValidity= from notBefore.
 */
static int check_validity(const struct policy_ruleset *rs,
                          const struct policy_question *q,
                          struct policy_refusal *p)
{
    const struct acme_request *rq = q->request;
    int64_t max = (int64_t)rs->max_validity_s;
    struct refusal *refusal = at(p, STAGE_VALIDITY, "MaxValidity");

    if (rq->not_before == 0 && rq->not_after == 0)
        return 0;
    if (max == 0)
        return refuse(refusal, REASON_VALIDITY_NOT_ALLOWED,
                      "notBefore and notAfter need MaxValidity=");
    if (rq->not_after == 0)
        return refuse(refusal, REASON_VALIDITY_NOT_ALLOWED,
                      "notBefore needs a notAfter beside it");
    if (rq->not_after > q->now + max)
        return refuse(refusal, REASON_VALIDITY_NOT_ALLOWED,
                      "notAfter is more than MaxValidity= from now");
    if (rq->not_before != 0 && rq->not_after > rq->not_before + max)
        return refuse(refusal, REASON_VALIDITY_NOT_ALLOWED,
                      "notAfter is more than MaxValidity= from notBefore");
    return 0;
}

static int check_order(const struct policy_ruleset *rs,
                       const struct policy_question *q,
                       struct policy_refusal *p)
{
    const struct acme_request *rq = q->request;
    struct refusal *refusal = at(p, STAGE_REPLACES, "Operations");
    int r;

    if (rq->replaces && !grants(rs, POLICY_OP_REPLACE))
        return refuse(refusal, REASON_OPERATION_NOT_ALLOWED,
                      "replace is not listed");

    refusal = at(p, STAGE_PROFILE, "Profiles");
    if (rq->profile && !policy_words_has(&rs->profiles, rq->profile))
        return refuse(refusal, REASON_PROFILE_NOT_ALLOWED, "%s is not listed",
                      rq->profile);

    r = check_validity(rs, q, p);
    if (r)
        return r;

    refusal = at(p, STAGE_QUOTA, "OrdersPerDay");
    if (q->quota && !q->quota(rs, q->quota_userdata))
        return refuse(refusal, REASON_ORDERS_PER_DAY,
                      "%u orders were signed within a day", rs->orders_per_day);
    return 0;
}

/* As in KeyTypes=, also for what has no word there. */
static const char *key_text(const struct csr *csr, char ret[static 24])
{
    const char *word = policy_key_type_word(csr->key_type);

    if (csr->key_type == CSR_KEY_RSA)
        (void)snprintf(ret, 24, "rsa-%u", csr->rsa_bits);
    else
        (void)snprintf(ret, 24, "%s", word ? word : "unknown");
    return ret;
}

static int check_csr(const struct policy_ruleset *rs, const struct csr *csr,
                     struct policy_refusal *p)
{
    enum policy_key key = policy_key_type(csr->key_type, csr->rsa_bits);
    struct refusal *refusal = at(p, STAGE_KEY, "KeyTypes");
    char text[24];

    if (!(rs->key_types & key))
        return refuse(refusal, REASON_KEY_TYPE_NOT_ALLOWED, "%s is not listed",
                      key_text(csr, text));

    refusal = at(p, STAGE_SUBJECT, "Subject");
    if (csr->other_subject && !rs->any_subject)
        return refuse(refusal, REASON_SUBJECT_NOT_ALLOWED,
                      "more than a common name needs Subject=any");

    refusal = at(p, STAGE_EXTENSION, "CsrExtensions");
    for (char **e = csr->extensions; e && *e; e++) {
        if (!policy_words_has(&rs->extensions, *e))
            return refuse(refusal, REASON_EXTENSION_NOT_ALLOWED,
                          "%s is not listed", *e);
    }
    return 0;
}

int policy_match_request(const struct policy_ruleset *rs,
                         const struct policy_question *q,
                         struct policy_refusal *ret_refusal)
{
    const struct acme_request *rq = q->request;
    int r;

    r = check_operation(rs, rq, ret_refusal);
    if (r == 0)
        r = check_count(rs, rq, ret_refusal);
    if (r == 0)
        r = check_identifiers(rs, q, ret_refusal);
    if (r)
        return r;
    if (rq->op == ACME_OP_ORDER)
        return check_order(rs, q, ret_refusal);
    return rq->op == ACME_OP_FINALIZE ? check_csr(rs, &rq->csr, ret_refusal)
                                      : 0;
}
