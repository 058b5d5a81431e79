/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "support.h"

#include "acme/domain.h"
#include "acme/persist.h"

#define PREFIX "https://ca.example/account-hash/"
#define THUMBPRINT "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"

static void test_vectors_of_accounturi(void **state)
{
    json_t *cases = vectors_load("dns-persist-accounturi.json");
    size_t i;
    json_t *c;

    (void)state;
    json_array_foreach(cases, i, c)
    {
        bool reusable = json_is_true(json_object_get(c, "reusable"));
        const char *normalized =
            json_string_value(json_object_get(c, "normalized"));
        CLEANUP_BUF struct buf got = { 0 };
        struct refusal why = { 0 };
        char domain[DNS_NAME_MAX + 1] = "";
        int r = domain_normalize(B(vectors_str(c, "domain")), domain, &why);

        assert_outcome(outcome(r, &why), NULL, vectors_str(c, "domain"));
        if (normalized)
            assert_string_equal(domain, normalized);
        r = persist_accounturi(vectors_str(c, "prefix"),
                               reusable ? "*" : domain,
                               vectors_str(c, "thumbprint"),
                               vectors_str(c, "account_url"), &got, &why);
        assert_outcome(outcome(r, &why), NULL, vectors_str(c, "source"));
        assert_string_equal(buf_str(&got), vectors_str(c, "accounturi"));
    }
    assert_int_equal(i, 11);
    json_decref(cases);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors_of_accounturi),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
