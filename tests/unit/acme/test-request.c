/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "support.h"

#include "acme/b64url.h"
#include "acme/request.h"

static const char *const guardian_only[] = {
    "deactivate-authz", "deactivate-account", "deactivate-account-variant",
    "update-contact",   "key-change",
};

/* The verdict as far as reading goes: a policy denies the rest. */
static void check_vector(const struct acme_account *account, const json_t *c)
{
    CLEANUP_ACME_REQUEST struct acme_request *req = NULL;
    struct refusal refusal = { 0 };
    const char *id = vectors_str(c, "id");
    const char *verdict = vectors_str(c, "verdict");
    int r = acme_request_read(account, B(vectors_str(c, "protected")),
                              B(vectors_str(c, "payload")), &req, &refusal);

    assert_in_range(r, 0, REFUSED);
    if (strcmp(verdict, "malformed") == 0) {
        if (!r || reason_kind(refusal.reason) != REASON_KIND_MALFORMED)
            fail_msg("%s: %s, want malformed", id,
                     r ? reason_code(refusal.reason) : "read");
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(guardian_only); i++) {
        if (strcmp(id, guardian_only[i]) == 0) {
            assert_outcome(outcome(r, &refusal), "guardian-only", id);
            return;
        }
    }
    assert_outcome(outcome(r, &refusal), NULL, id);
    assert_int_not_equal(req->op, ACME_OP_UNSET);
}

static void check_vectors(const char *file, size_t n)
{
    json_t *root = vectors_load(file);
    char *text = json_dumps(
        json_object_get(json_object_get(root, "context"), "account"), 0);
    CLEANUP_ACME_ACCOUNT struct acme_account *account = NULL;
    struct refusal refusal;
    size_t i;
    json_t *c;

    assert_int_equal(acme_account_read(B(text), &account, &refusal), 0);
    json_array_foreach(json_object_get(root, "cases"), i, c)
        check_vector(account, c);
    assert_int_equal(i, n);
    free(text);
    json_decref(root);
}

static void test_request_vectors(void **state)
{
    (void)state;
    check_vectors("requests.json", 54);
}

static void test_csr_vectors(void **state)
{
    (void)state;
    check_vectors("csr.json", 17);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_request_vectors),
        cmocka_unit_test(test_csr_vectors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
