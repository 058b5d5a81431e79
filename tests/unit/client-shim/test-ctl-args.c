/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/settings.h"
#include "client-shim/ctl.h"

static int run(struct ctl_context *c)
{
    return c->json ? CTL_EXIT_NO : CTL_EXIT_DONE;
}

static const struct ctl_option options[] = {
    { "--account", "NAME", "which", 0, true, false },
    { "--origin", "URL", "more", 0, false, true },
    { "--follow", NULL, "go on", 'f', false, false },
    { "--bits", "N", "a number", 0, false, false },
    { 0 },
};

static const struct ctl_command commands[] = {
    { "make thing", "NAME [FILE]", 1, 2, options, "makes it", run },
    { "make", NULL, 0, 0, NULL, "never", run },
    { "plain", NULL, 0, 0, NULL, "plain help", run },
    { 0 },
};

const struct ctl_command *const ctl_commands[] = { commands, ctl_help_commands,
                                                   NULL };

struct parsed {
    struct ctl_context c;
    struct errmsg err;
    int r;
};

/* Words separated by one space; a word "''" is the empty string. */
static struct parsed parse(const char *line)
{
    static char text[512];
    static char *argv[32];
    struct parsed p = { 0 };
    int argc = 0;

    (void)strncpy(text, line, sizeof(text) - 1);
    argv[argc++] = (char[]){ "guardianctl" };
    for (char *w = strtok(text, " "); w; w = strtok(NULL, " "))
        argv[argc++] = strcmp(w, "''") == 0 ? w + 2 : w;
    argv[argc] = NULL;
    p.r = ctl_args_parse(argc, argv, &p.c, &p.err);
    return p;
}

static void test_options_and_operands_in_any_order(void **state)
{
    struct parsed p = parse("--json make thing one --account a --config /c "
                            "two --origin=x --origin y -f");

    (void)state;
    assert_string_equal(p.err.text, "");
    assert_int_equal(p.r, 0);
    assert_string_equal(p.c.command->name, "make thing");
    assert_int_equal(p.c.n_operands, 2);
    assert_string_equal(p.c.operands[0], "one");
    assert_string_equal(p.c.operands[1], "two");
    assert_true(p.c.json);
    assert_string_equal(p.c.config_dir, "/c");
    assert_string_equal(ctl_args_value(&p.c, "--account"), "a");
    assert_int_equal(ctl_args_count(&p.c, "--origin"), 2);
    assert_string_equal(ctl_args_nth(&p.c, "--origin", 0), "x");
    assert_string_equal(ctl_args_nth(&p.c, "--origin", 1), "y");
    assert_null(ctl_args_nth(&p.c, "--origin", 2));
    assert_true(ctl_args_has(&p.c, "--follow"));
    ctl_args_deinit(&p.c);
}

static void test_values_may_look_like_options(void **state)
{
    struct parsed p = parse("make thing --account --json -- --help");

    (void)state;
    assert_int_equal(p.r, 0);
    assert_string_equal(ctl_args_value(&p.c, "--account"), "--json");
    assert_false(p.c.json);
    assert_false(p.c.help);
    assert_string_equal(p.c.operands[0], "--help");
    ctl_args_deinit(&p.c);
}

static void test_a_single_dash_is_an_operand(void **state)
{
    struct parsed p = parse("make thing --account a -");

    (void)state;
    assert_int_equal(p.r, 0);
    assert_string_equal(p.c.operands[0], "-");
    ctl_args_deinit(&p.c);
}

static void test_wrong_use_says_what_is_wrong(void **state)
{
    static const struct {
        const char *line, *error;
    } cases[] = {
        { "", "which command?" },
        { "mak", "unknown command: mak" },
        { "plain x", "plain: one argument too many: x" },
        { "plain thing", "plain: one argument too many: thing" },
        { "make thing", "make thing needs NAME [FILE]" },
        { "make thing x", "make thing needs --account NAME" },
        { "make thing x y z --account a",
          "make thing: one argument too many: z" },
        { "make thing x --account", "--account needs a value: NAME" },
        { "make thing x --account ''", "--account needs a value: NAME" },
        { "make thing x --account=", "--account needs a value: NAME" },
        { "make thing x --account a --account b", "--account is given twice" },
        { "make thing x --acc a", "unknown option --acc" },
        { "make thing x --accounts=a", "unknown option --accounts" },
        { "make thing x -g", "unknown option -g" },
        { "make thing x --follow=yes", "--follow takes no value" },
        { "--origin x plain", "unknown option --origin" },
        { "plain --origin x", "unknown option --origin" },
        { "help x y z", "help: one argument too many: z" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct parsed p = parse(cases[i].line);

        assert_string_equal(p.err.text, cases[i].error);
        assert_int_equal(p.r, CTL_ARGS_E_USAGE);
        ctl_args_deinit(&p.c);
    }
}

static void test_help_and_version_need_nothing_else(void **state)
{
    struct parsed p = parse("make thing --help");

    (void)state;
    assert_int_equal(p.r, 0);
    assert_true(p.c.help);
    assert_string_equal(p.c.command->name, "make thing");
    ctl_args_deinit(&p.c);

    p = parse("--version");
    assert_int_equal(p.r, 0);
    assert_true(p.c.version);
    ctl_args_deinit(&p.c);

    p = parse("-h");
    assert_int_equal(p.r, 0);
    assert_true(p.c.help);
    ctl_args_deinit(&p.c);
}

static void test_socket_option_wins_over_environment(void **state)
{
    struct parsed p;

    (void)state;
    assert_int_equal(setenv("ACME_GUARDIAN_SOCKET", "/e", 1), 0);
    p = parse("plain");
    assert_string_equal(p.c.client_socket, "/e");
    assert_null(p.c.admin_socket);
    ctl_args_deinit(&p.c);
    p = parse("plain --socket /s --admin-socket /a");
    assert_string_equal(p.c.client_socket, "/s");
    assert_string_equal(p.c.admin_socket, "/a");
    ctl_args_deinit(&p.c);
    assert_int_equal(setenv("ACME_GUARDIAN_SOCKET", "", 1), 0);
    p = parse("plain");
    assert_null(p.c.client_socket);
    assert_string_equal(p.c.config_dir, SETTINGS_DIR);
    ctl_args_deinit(&p.c);
    (void)unsetenv("ACME_GUARDIAN_SOCKET");
}

static void test_numbers_have_a_range(void **state)
{
    static const struct {
        const char *line;
        int r;
        uint64_t value;
    } cases[] = {
        { "make thing x --account a", 0, 7 },
        { "make thing x --account a --bits 10", 0, 10 },
        { "make thing x --account a --bits 20", 0, 20 },
        { "make thing x --account a --bits 9", CTL_ARGS_E_USAGE, 7 },
        { "make thing x --account a --bits 21", CTL_ARGS_E_USAGE, 7 },
        { "make thing x --account a --bits -10", CTL_ARGS_E_USAGE, 7 },
        { "make thing x --account a --bits +10", CTL_ARGS_E_USAGE, 7 },
        { "make thing x --account a --bits 10x", CTL_ARGS_E_USAGE, 7 },
        { "make thing x --account a --bits 99999999999999999999",
          CTL_ARGS_E_USAGE, 7 },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct parsed p = parse(cases[i].line);
        uint64_t value = 7;

        assert_int_equal(p.r, 0);
        assert_int_equal(ctl_args_uint(&p.c, "--bits", 10, 20, &value, &p.err),
                         cases[i].r);
        assert_int_equal(value, cases[i].value);
        ctl_args_deinit(&p.c);
    }
}

static void test_help_names_every_option(void **state)
{
    CLEANUP_BUF struct buf all = { 0 };
    CLEANUP_BUF struct buf one = { 0 };

    (void)state;
    assert_int_equal(ctl_help_text(NULL, &all), 0);
    assert_non_null(strstr(buf_str(&all), "make thing NAME [FILE]"));
    assert_non_null(strstr(buf_str(&all), "plain help"));
    assert_int_equal(ctl_help_text("make thing", &one), 0);
    assert_non_null(strstr(buf_str(&one), "--account NAME"));
    assert_non_null(strstr(buf_str(&one), "which (needed)"));
    assert_non_null(strstr(buf_str(&one), "more (may be repeated)"));
    assert_non_null(strstr(buf_str(&one), "-f, --follow"));
    assert_non_null(strstr(buf_str(&one), "--admin-socket PATH"));
    assert_null(strstr(buf_str(&one), "plain help"));
    assert_true(ctl_help_known("make"));
    assert_false(ctl_help_known("mak"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options_and_operands_in_any_order),
        cmocka_unit_test(test_values_may_look_like_options),
        cmocka_unit_test(test_a_single_dash_is_an_operand),
        cmocka_unit_test(test_wrong_use_says_what_is_wrong),
        cmocka_unit_test(test_help_and_version_need_nothing_else),
        cmocka_unit_test(test_socket_option_wins_over_environment),
        cmocka_unit_test(test_numbers_have_a_range),
        cmocka_unit_test(test_help_names_every_option),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
