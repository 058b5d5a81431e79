/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * tests/policy/accept-*.policy load, reject-*.policy do not, with the error
 * that their first line gives: "# expect: LINE: part of the text".
 */
#include "policy-fixture.h"

#include <dirent.h>
#include <stdlib.h>

static char *read_file(const char *path)
{
    CLEANUP_BUF struct buf b = { 0 };
    FILE *f = fopen(path, "re");
    int c;

    assert_non_null(f);
    while ((c = fgetc(f)) != EOF)
        assert_int_equal(buf_append_char(&b, (char)c), 0);
    assert_int_equal(fclose(f), 0);
    return buf_take_str(&b);
}

static void check_accept(const char *name, const char *text)
{
    CLEANUP_POLICY_SET struct policy_set *set = NULL;
    struct errmsg e = { 0 };

    if (policy_load_text(bytes_from_str(text), name, NULL, &set, &e))
        fail_msg("%s:%u: %s", e.file, e.line, e.text);
}

static void check_reject(const char *name, char *text)
{
    static const char head[] = "# expect: ";
    CLEANUP_POLICY_SET struct policy_set *set = NULL;
    char *words = NULL;
    struct errmsg e = { 0 };
    unsigned long line;
    char expected[512];

    if (strncmp(text, head, sizeof(head) - 1) != 0)
        fail_msg("%s: no '# expect: LINE: TEXT'", name);
    line = strtoul(text + sizeof(head) - 1, &words, 10);
    (void)snprintf(expected, sizeof(expected), "%.*s",
                   (int)strcspn(words + 2, "\n"), words + 2);
    if (policy_load_text(bytes_from_str(text), name, NULL, &set, &e) !=
        POLICY_E_INVALID)
        fail_msg("%s is taken", name);
    assert_string_equal(e.file, name);
    if (e.line != line || !strstr(e.text, expected))
        fail_msg("%s:%u: %s\n  expected %lu: %s", name, e.line, e.text, line,
                 expected);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void test_files_are_taken_or_refused_as_they_say(void **state)
{
    const char *dir = getenv("POLICIES");
    struct dirent **names = NULL;
    unsigned accepted = 0;
    unsigned rejected = 0;
    int n;

    (void)state;
    assert_non_null(dir);
    n = scandir(dir, &names, NULL, by_name);
    for (int i = 0; i < n; i++) {
        const char *name = names[i]->d_name;
        char path[1024];
        CLEANUP_FREE char *text = NULL;

        if (name[0] != '.') {
            (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
            text = read_file(path);
        }
        if (strncmp(name, "accept-", 7) == 0 && ++accepted)
            check_accept(name, text);
        else if (strncmp(name, "reject-", 7) == 0 && ++rejected)
            check_reject(name, text);
        else if (text)
            fail_msg("%s is neither accept-* nor reject-*", name);
        free(names[i]);
    }
    free(names);
    assert_true(accepted > 4 && rejected > 25);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files_are_taken_or_refused_as_they_say),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
