/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The second half of a rule set: [Allow]. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "acme/dns-name.h"
#include "base/array.h"
#include "base/settings.h"
#include "policy/policy-parse.h"
#include "policy/suffix.h"

#define ORDERS_PER_DAY_DEFAULT 50
#define ORDERS_PER_DAY_MAX 1000000
#define NAMES_PER_ORDER_MAX CSR_NAMES_MAX
#define MAX_VALIDITY_MIN_MS 60000ULL
#define MAX_VALIDITY_MAX_MS (3660ULL * 86400000)

#define OPERATIONS_DEFAULT                                                     \
    (1u << ACME_OP_ORDER | 1u << ACME_OP_FINALIZE | 1u << ACME_OP_CHALLENGE |  \
     1u << ACME_OP_FETCH | 1u << ACME_OP_LOOKUP | 1u << POLICY_OP_REPLACE)

static int add_account(const char *word, unsigned line, void *userdata)
{
    struct policy_section *s = userdata;

    if (!settings_name_ok(word))
        return policy_parse_invalid(s, line, word,
                                    "is no account's name: 1 to 32 of a-z 0-9 "
                                    ". _ -");
    if (policy_words_has(&s->rs->accounts, word))
        return 0;
    return policy_words_add(&s->rs->accounts, word);
}

static int check_name(const struct policy_section *s, const char *word,
                      unsigned line)
{
    struct refusal why = { 0 };
    int r;

    if (strncmp(word, "*.", 2) == 0)
        return policy_parse_invalid(s, line, word,
                                    "has a star: write Wildcard= and the name "
                                    "after it");
    r = dns_name_check(bytes_from_str(word), false, &why);
    if (r != REFUSED)
        return r;
    errmsg_set_at(s->reterr, s->section->file, line,
                  "%s=%.260s is no host name in lower-case A-labels: %s",
                  s->key, word, why.detail);
    return POLICY_E_INVALID;
}

static int add_name(struct policy_section *s, const char *word, unsigned line,
                    enum name_kind kind)
{
    struct refusal why = { 0 };
    int r;

    r = check_name(s, word, line);
    if (r == 0 && kind != NAME_EXACT)
        r = suffix_check(s->psl, word, &s->rs->allow_suffix, &why);
    if (r == REFUSED && why.reason)
        return policy_parse_invalid(s, line, word, why.detail);
    return r ? r : name_index_add(&s->rs->names[kind], bytes_from_str(word));
}

static int add_domain(const char *word, unsigned line, void *userdata)
{
    return add_name(userdata, word, line, NAME_EXACT);
}

static int add_subdomains(const char *word, unsigned line, void *userdata)
{
    return add_name(userdata, word, line, NAME_BELOW);
}

static int add_wildcard(const char *word, unsigned line, void *userdata)
{
    return add_name(userdata, word, line, NAME_WILD);
}

/* One label is enough here: "AllowSuffix=internal". */
static int add_allow_suffix(const char *word, unsigned line, void *userdata)
{
    struct policy_section *s = userdata;
    char padded[DNS_NAME_MAX + 8];
    struct refusal why = { 0 };
    int r;

    (void)snprintf(padded, sizeof(padded), "x.%s", word);
    r = dns_name_check(bytes_from_str(padded), false, &why);
    if (r == REFUSED)
        return policy_parse_invalid(s, line, word,
                                    "is no domain in lower-case A-labels");
    return r ? r : name_index_add(&s->rs->allow_suffix, bytes_from_str(word));
}

static int add_address(const char *word, unsigned line, void *userdata)
{
    struct policy_section *s = userdata;
    struct policy_ruleset *rs = s->rs;
    struct address_range range = { 0 };
    struct address_range *ranges;
    struct refusal why = { 0 };

    if (address_range_read(word, &range, &why)) {
        errmsg_set_at(s->reterr, s->section->file, line,
                      "Address=%.100s is no address or range in canonical "
                      "form: %s",
                      word, why.detail);
        return POLICY_E_INVALID;
    }
    ranges = array_grown(rs->ranges, rs->n_ranges, sizeof(range));
    if (!ranges)
        return -ENOMEM;
    rs->ranges = ranges;
    rs->ranges[rs->n_ranges++] = range;
    return 0;
}

static int add_operation(const char *word, unsigned line, void *userdata)
{
    struct policy_section *s = userdata;
    enum acme_op op = acme_op_parse(word);

    if (strcmp(word, "replace") == 0)
        op = POLICY_OP_REPLACE;
    if (op == ACME_OP_UNSET)
        return policy_parse_invalid(s, line, word,
                                    "is no operation: order finalize "
                                    "challenge fetch lookup replace revoke");
    s->rs->operations |= 1u << op;
    return 0;
}

static int add_key_type(const char *word, unsigned line, void *userdata)
{
    struct policy_section *s = userdata;
    unsigned bit = policy_key_type_parse(word);

    if (bit == 0)
        return policy_parse_invalid(s, line, word,
                                    "is no key type: ec-p256 ec-p384 ec-p521 "
                                    "ed25519 rsa-2048 rsa-3072 rsa-4096");
    s->rs->key_types |= bit;
    return 0;
}

static int add_profile(const char *word, unsigned line, void *userdata)
{
    struct policy_section *s = userdata;

    (void)line;
    return policy_words_add(&s->rs->profiles, word);
}

/* Dotted decimal, arcs without leading zeros. */
static bool is_oid(const char *word)
{
    size_t arcs = 0;

    for (const char *p = word;; p++) {
        size_t digits = strspn(p, "0123456789");

        if (digits == 0 || (digits > 1 && *p == '0'))
            return false;
        arcs++;
        p += digits;
        if (*p != '.')
            return *p == '\0' && arcs >= 2 && strlen(word) <= 128;
    }
}

static int add_extension(const char *word, unsigned line, void *userdata)
{
    struct policy_section *s = userdata;

    if (!is_oid(word))
        return policy_parse_invalid(s, line, word,
                                    "is no object identifier like "
                                    "1.3.6.1.5.5.7.1.24");
    return policy_words_add(&s->rs->extensions, word);
}

static int read_words(struct policy_section *s)
{
    static const struct {
        const char *key;
        config_word_fn fn;
    } lists[] = {
        { "Account", add_account },
        /* before what it allows, wherever it stands in the file */
        { "AllowSuffix", add_allow_suffix },
        { "Domain", add_domain },
        { "Subdomains", add_subdomains },
        { "Wildcard", add_wildcard },
        { "Address", add_address },
        { "Operations", add_operation },
        { "KeyTypes", add_key_type },
        { "Profiles", add_profile },
        { "CsrExtensions", add_extension },
    };
    int r;

    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        r = policy_parse_words(s, lists[i].key, lists[i].fn);
        if (r)
            return r;
    }
    return 0;
}

static int read_subject(struct policy_section *s)
{
    unsigned line = 0;
    const char *v = config_last(s->section, "Subject", &line);

    s->key = "Subject";
    if (v && strcmp(v, "cn") != 0 && strcmp(v, "any") != 0)
        return policy_parse_invalid(s, line, v, "is neither cn nor any");
    s->rs->any_subject = v && strcmp(v, "any") == 0;
    return 0;
}

static int read_numbers(struct policy_section *s)
{
    uint64_t orders = ORDERS_PER_DAY_DEFAULT;
    uint64_t names = NAMES_PER_ORDER_MAX;
    uint64_t validity_ms = 0;
    int r;

    r = config_get_uint(s->section, "OrdersPerDay", 1, ORDERS_PER_DAY_MAX,
                        &orders, s->reterr);
    if (r == 0)
        r = config_get_uint(s->section, "NamesPerOrder", 1, NAMES_PER_ORDER_MAX,
                            &names, s->reterr);
    if (r == 0)
        r = config_get_ms(s->section, "MaxValidity", MAX_VALIDITY_MIN_MS,
                          MAX_VALIDITY_MAX_MS, &validity_ms, s->reterr);
    if (r)
        return POLICY_E_INVALID;
    s->rs->orders_per_day = (unsigned)orders;
    s->rs->names_per_order = (unsigned)names;
    s->rs->max_validity_s = validity_ms / 1000;
    return 0;
}

static void set_defaults(struct policy_ruleset *rs)
{
    if (rs->operations == 0)
        rs->operations = OPERATIONS_DEFAULT;
    if (rs->key_types == 0)
        rs->key_types = POLICY_KEY_TYPES_DEFAULT;
}

int policy_parse_allow(struct policy_section *s)
{
    int r;

    r = read_words(s);
    if (r == 0)
        r = read_subject(s);
    if (r == 0)
        r = read_numbers(s);
    if (r)
        return r;
    for (size_t i = 0; r == 0 && i < NAME_KINDS; i++)
        r = name_index_fit(&s->rs->names[i]);
    if (r)
        return r;
    set_defaults(s->rs);
    if (s->rs->accounts.n == 0) {
        errmsg_set_at(s->reterr, s->section->file, s->section->line,
                      "[Allow] needs Account=");
        return POLICY_E_INVALID;
    }
    return 0;
}
