/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/audit-verify.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>
#include <sodium.h>

#include "base/chain-state.h"

#include "../daemon/tmp-dir.h"

/*
 * A log of 12 lines in three files: 1 to 4, 5 to 8, and 9 to 12 in the one that
 * is being written; the tests then spoil it.
 */
#define N_LINES 12
#define FIRST_FILE "audit.jsonl.000000000004"
#define SECOND_FILE "audit.jsonl.000000000008"
#define CURRENT "audit.jsonl"

static const struct chain first = { 1, "a key of thirty-two octets......" };

struct log {
    struct tmp_dir *dir;
    struct buf lines[N_LINES + 1]; /* by number */
    struct chain last;
    struct chain_head head;
};

static void write_file(struct log *log, const char *name, const int *lines)
{
    FILE *f = fopen(tmp_dir_file(log->dir, name), "w");

    assert_non_null(f);
    for (; *lines; lines++)
        assert_int_equal(
            fwrite(log->lines[*lines].data, 1, log->lines[*lines].len, f),
            log->lines[*lines].len);
    assert_int_equal(fclose(f), 0);
}

static int make_log(void **state)
{
    struct log *log = calloc(1, sizeof(*log));
    int r = log ? tmp_dir_new((void **)&log->dir) : -1;

    if (r)
        return r;
    log->last = first;
    for (int i = 1; i <= N_LINES; i++) {
        r |= buf_printf(&log->lines[i], "{\"n\":%d,\"type\":\"test\"", i);
        r |= chain_seal(&log->last, &log->lines[i]);
    }
    log->head.line = N_LINES;
    r |= chain_line_mac(
        (struct bytes){ log->lines[N_LINES].data, log->lines[N_LINES].len - 1 },
        log->head.mac);
    write_file(log, FIRST_FILE, (int[]){ 1, 2, 3, 4, 0 });
    write_file(log, SECOND_FILE, (int[]){ 5, 6, 7, 8, 0 });
    write_file(log, CURRENT, (int[]){ 9, 10, 11, 12, 0 });
    *state = log;
    return r;
}

static int free_log(void **state)
{
    struct log *log = *state;
    int r = tmp_dir_free((void **)&log->dir);

    for (int i = 1; i <= N_LINES; i++)
        buf_deinit(&log->lines[i]);
    free(log);
    return r;
}

static void assert_fits(struct log *log, const struct chain_head *head,
                        uint64_t last)
{
    struct audit_verify_result result;
    struct errmsg e = { 0 };
    int r = audit_verify(log->dir->path, &first, head, &result, &e);

    if (r)
        print_error("%s:%u: %s\n", e.file, e.line, e.text);
    assert_int_equal(r, 0);
    assert_int_equal(result.head.line, last);
    assert_int_equal(result.tail_checked, head != NULL);
}

static void assert_fault(struct log *log, const struct chain_head *head,
                         const char *file, unsigned line, const char *words)
{
    struct audit_verify_result result;
    struct errmsg e = { 0 };
    int r = audit_verify(log->dir->path, &first, head, &result, &e);

    if (r != AUDIT_VERIFY_E_INVALID || e.line != line ||
        strcmp(e.file, tmp_dir_file(log->dir, file)) != 0 ||
        !strstr(e.text, words))
        print_error("wanted %s:%u: ... %s ..., got %d %s:%u: %s\n", file, line,
                    words, r, e.file, e.line, e.text);
    assert_int_equal(r, AUDIT_VERIFY_E_INVALID);
    assert_string_equal(e.file, tmp_dir_file(log->dir, file));
    assert_int_equal(e.line, line);
    assert_non_null(strstr(e.text, words));
    assert_false(result.tail_checked);
}

static void test_untouched_log_fits(void **state)
{
    struct log *log = *state;

    assert_fits(log, NULL, N_LINES);
    assert_fits(log, &log->head, N_LINES);
}

static void test_head_may_be_behind_the_log(void **state)
{
    struct log *log = *state;
    struct chain_head head = { .line = 6 };

    assert_int_equal(chain_line_mac((struct bytes){ log->lines[6].data,
                                                    log->lines[6].len - 1 },
                                    head.mac),
                     0);
    assert_fits(log, &head, N_LINES);
}

static void test_any_changed_byte_is_found_where_it_is(void **state)
{
    struct log *log = *state;
    int n = 0;

    for (size_t i = 0; i < log->lines[6].len - 1; i++) {
        struct audit_verify_result result;
        struct errmsg e = { 0 };

        log->lines[6].data[i] ^= 1;
        write_file(log, SECOND_FILE, (int[]){ 5, 6, 7, 8, 0 });
        assert_int_equal(
            audit_verify(log->dir->path, &first, NULL, &result, &e),
            AUDIT_VERIFY_E_INVALID);
        assert_string_equal(e.file, tmp_dir_file(log->dir, SECOND_FILE));
        assert_int_equal(e.line, 2);
        assert_int_equal(result.head.line, 5);
        log->lines[6].data[i] ^= 1;
        n++;
    }
    assert_int_equal(n, log->lines[6].len - 1);
}

static void test_deleted_middle_line_is_found(void **state)
{
    write_file(*state, SECOND_FILE, (int[]){ 5, 7, 8, 0 });
    assert_fault(*state, NULL, SECOND_FILE, 2, "line 7 stands where line 6");
}

static void test_deleted_line_with_the_rest_renumbered_is_found(void **state)
{
    struct log *log = *state;

    log->lines[7].data[5] = '6';
    log->lines[8].data[5] = '7';
    write_file(log, SECOND_FILE, (int[]){ 5, 7, 8, 0 });
    assert_fault(log, NULL, SECOND_FILE, 2, "line 6 does not fit");
}

static void test_swapped_lines_are_found(void **state)
{
    write_file(*state, CURRENT, (int[]){ 9, 11, 10, 12, 0 });
    assert_fault(*state, NULL, CURRENT, 2, "line 11 stands where line 10");
}

static void test_repeated_line_is_found(void **state)
{
    write_file(*state, CURRENT, (int[]){ 9, 10, 10, 11, 12, 0 });
    assert_fault(*state, NULL, CURRENT, 3, "line 10 stands where line 11");
}

static void test_missing_middle_file_is_named(void **state)
{
    struct log *log = *state;

    assert_int_equal(unlink(tmp_dir_file(log->dir, SECOND_FILE)), 0);
    assert_fault(log, NULL, CURRENT, 1, "lines 5 to 8 are missing");
}

static void test_missing_first_file_is_said_to_be_the_first(void **state)
{
    struct log *log = *state;

    assert_int_equal(unlink(tmp_dir_file(log->dir, FIRST_FILE)), 0);
    assert_fault(log, NULL, SECOND_FILE, 1, "lines 1 to 4 are missing");
}

static void test_missing_current_file_shows_against_the_head(void **state)
{
    struct log *log = *state;

    assert_int_equal(unlink(tmp_dir_file(log->dir, CURRENT)), 0);
    assert_fault(log, &log->head, SECOND_FILE, 0, "ends before line 12");
}

static void test_cut_tail_shows_against_the_head(void **state)
{
    struct log *log = *state;

    write_file(log, CURRENT, (int[]){ 9, 10, 11, 0 });
    assert_fault(log, &log->head, CURRENT, 0, "ends before line 12");
    assert_fits(log, NULL, 11);
}

static void test_cut_within_the_last_line_shows_against_the_head(void **state)
{
    struct log *log = *state;
    struct audit_verify_result result;
    struct errmsg e;

    log->lines[12].len -= 9;
    write_file(log, CURRENT, (int[]){ 9, 10, 11, 12, 0 });
    assert_fault(log, &log->head, CURRENT, 0, "ends before line 12");
    assert_int_equal(audit_verify(log->dir->path, &first, NULL, &result, &e),
                     0);
    assert_int_equal(result.torn, log->lines[12].len);
}

static void test_cut_end_of_a_closed_file_is_found(void **state)
{
    write_file(*state, SECOND_FILE, (int[]){ 5, 6, 7, 0 });
    assert_fault(*state, NULL, SECOND_FILE, 4, "before its last line, 8");
}

static void test_closed_file_without_its_last_newline_is_found(void **state)
{
    struct log *log = *state;

    log->lines[8].len--;
    write_file(log, SECOND_FILE, (int[]){ 5, 6, 7, 8, 0 });
    assert_fault(log, NULL, SECOND_FILE, 4, "no line of an audit log");
}

static void test_renamed_file_is_found(void **state)
{
    struct log *log = *state;
    char from[160];

    memcpy(from, tmp_dir_file(log->dir, SECOND_FILE), sizeof(from));
    assert_int_equal(
        rename(from, tmp_dir_file(log->dir, "audit.jsonl.000000000007")), 0);
    assert_fault(log, NULL, "audit.jsonl.000000000007", 5,
                 "before its last line, 7");
}

static void test_garbage_between_lines_is_found(void **state)
{
    struct log *log = *state;

    buf_clear(&log->lines[1]);
    assert_int_equal(buf_append_str(&log->lines[1], "hello\n"), 0);
    write_file(log, CURRENT, (int[]){ 9, 1, 10, 11, 12, 0 });
    assert_fault(log, NULL, CURRENT, 2, "no line of an audit log");
}

static void test_line_without_end_is_found(void **state)
{
    struct log *log = *state;
    static char text[2 * CHAIN_LINE_MAX];

    memset(text, 'x', sizeof(text));
    buf_clear(&log->lines[1]);
    assert_int_equal(buf_append(&log->lines[1], text, sizeof(text)), 0);
    write_file(log, CURRENT, (int[]){ 9, 1, 10, 0 });
    assert_fault(log, NULL, CURRENT, 2, "no line of an audit log");
    assert_int_equal(buf_append_str(&log->lines[1], "\n"), 0);
    write_file(log, CURRENT, (int[]){ 9, 1, 10, 0 });
    assert_fault(log, NULL, CURRENT, 2, "no line of an audit log");
}

/* Who holds the whole state directory as it is now has the last key only. */
static void test_log_chained_anew_with_todays_key_is_found(void **state)
{
    struct log *log = *state;
    struct chain forged = log->last;

    forged.line = 1;
    for (int i = 1; i <= 4; i++) {
        log->lines[i].len -= sizeof(",\"mac\":\"\"}\n") - 1 + 64;
        assert_int_equal(chain_seal(&forged, &log->lines[i]), 0);
    }
    write_file(log, FIRST_FILE, (int[]){ 1, 2, 3, 4, 0 });
    assert_fault(log, NULL, FIRST_FILE, 1, "line 1 does not fit");
}

static void test_tail_written_anew_shows_against_the_head(void **state)
{
    struct log *log = *state;
    struct chain c = first;

    /* By somebody who had kept the key of line 11. */
    for (int i = 1; i <= 10; i++) {
        log->lines[i].len--;
        assert_int_equal(chain_check(&c, buf_bytes(&log->lines[i])), 0);
        log->lines[i].len++;
    }
    for (int i = 11; i <= 12; i++) {
        buf_clear(&log->lines[i]);
        assert_int_equal(buf_printf(&log->lines[i], "{\"n\":%d,\"x\":1", i), 0);
        assert_int_equal(chain_seal(&c, &log->lines[i]), 0);
    }
    write_file(log, CURRENT, (int[]){ 9, 10, 11, 12, 0 });
    assert_fault(log, &log->head, CURRENT, 4, "line 12 is not the one");
    assert_fits(log, NULL, 12);
}

static void test_key_of_another_log_does_not_fit(void **state)
{
    struct log *log = *state;
    struct audit_verify_result result;
    struct chain other = log->last;
    struct errmsg e = { 0 };

    other.line = 1;
    assert_int_equal(audit_verify(log->dir->path, &other, NULL, &result, &e),
                     AUDIT_VERIFY_E_INVALID);
    assert_string_equal(e.file, tmp_dir_file(log->dir, FIRST_FILE));
    assert_int_equal(e.line, 1);
    assert_int_equal(result.head.line, 0);
}

static void test_directory_without_a_log_is_told_from_a_good_one(void **state)
{
    struct log *log = *state;
    struct audit_verify_result result;
    struct errmsg e;

    (void)unlink(tmp_dir_file(log->dir, FIRST_FILE));
    (void)unlink(tmp_dir_file(log->dir, SECOND_FILE));
    (void)unlink(tmp_dir_file(log->dir, CURRENT));
    assert_int_equal(audit_verify(log->dir->path, &first, NULL, &result, &e),
                     AUDIT_VERIFY_E_EMPTY);
    assert_int_equal(audit_verify("/nowhere", &first, NULL, &result, &e),
                     -ENOENT);
    assert_string_equal(e.file, "/nowhere");
}

static void put(struct tmp_dir *d, const char *name, const char *text)
{
    FILE *f = fopen(tmp_dir_file(d, name), "w");

    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static int read_key(struct tmp_dir *d, const char *text, struct chain *ret,
                    struct errmsg *e)
{
    int fd, r;

    put(d, "key", text);
    fd = open(tmp_dir_file(d, "key"), O_RDONLY);
    r = audit_key_read(fd, "key", ret, e);
    close(fd);
    return r;
}

static void test_key_file_holds_64_hex_digits(void **state)
{
    struct log *log = *state;
    struct chain key;
    char hex[80];
    struct errmsg e;

    sodium_bin2hex(hex, sizeof(hex), first.key, sizeof(first.key));
    assert_int_equal(read_key(log->dir, hex, &key, &e), 0);
    assert_int_equal(key.line, 1);
    assert_memory_equal(key.key, first.key, sizeof(key.key));
    strcat(hex, "\n");
    assert_int_equal(read_key(log->dir, hex, &key, &e), 0);
    assert_int_equal(read_key(log->dir, "", &key, &e), AUDIT_KEY_E_FORM);
    assert_int_equal(read_key(log->dir, hex + 1, &key, &e), AUDIT_KEY_E_FORM);
    assert_string_equal(e.file, "key");
    strcat(hex, "\n");
    assert_int_equal(read_key(log->dir, hex, &key, &e), AUDIT_KEY_E_FORM);
    hex[7] = 'g';
    hex[64] = 0;
    assert_int_equal(read_key(log->dir, hex, &key, &e), AUDIT_KEY_E_FORM);
    assert_null(strstr(e.text, hex));
}

static void test_a_later_key_has_its_line_before_it(void **state)
{
    static const struct {
        const char *line;
        uint64_t read; /* 0: refused */
    } cases[] = {
        { "9:", 9 },
        { "1:", 1 },
        { "1234567890123456789:", 1234567890123456789 },
        { "12345678901234567890:", 0 },
        { "0:", 0 },
        { "01:", 0 },
        { ":", 0 },
        { "-1:", 0 },
        { "1 :", 0 },
        { "9:9:", 0 },
    };
    struct log *log = *state;
    char hex[65], text[128];

    sodium_bin2hex(hex, sizeof(hex), first.key, sizeof(first.key));
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct chain key;
        struct errmsg e;
        int r;

        (void)snprintf(text, sizeof(text), "%s%s\n", cases[i].line, hex);
        print_message("%s", text);
        r = read_key(log->dir, text, &key, &e);
        assert_int_equal(r, cases[i].read ? 0 : AUDIT_KEY_E_FORM);
        if (r)
            continue;
        assert_int_equal(key.line, cases[i].read);
        assert_memory_equal(key.key, first.key, sizeof(key.key));
    }
}

/* Written by one check, it leads the next one past what was deleted. */
static void test_a_saved_key_goes_on_after_deleted_files(void **state)
{
    struct log *log = *state;
    struct audit_verify_result result;
    struct chain saved;
    struct errmsg e;
    struct stat st;
    char path[128];
    int fd;

    (void)snprintf(path, sizeof(path), "%s", tmp_dir_file(log->dir, "saved"));
    assert_int_equal(audit_verify(log->dir->path, &first, NULL, &result, &e),
                     0);
    assert_int_equal(audit_key_save(path, &result.file_start), 0);
    assert_int_equal(audit_key_save(path, &result.file_start), -EEXIST);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    fd = open(path, O_RDONLY);
    assert_int_equal(audit_key_read(fd, path, &saved, &e), 0);
    close(fd);
    assert_int_equal(saved.line, 9);

    assert_int_equal(unlink(tmp_dir_file(log->dir, FIRST_FILE)), 0);
    assert_int_equal(unlink(tmp_dir_file(log->dir, SECOND_FILE)), 0);
    assert_int_equal(audit_verify(log->dir->path, &first, NULL, &result, &e),
                     AUDIT_VERIFY_E_INVALID);
    assert_non_null(strstr(e.text, "lines 1 to 8 are missing"));
    assert_non_null(strstr(e.text, "--save-key"));
    assert_int_equal(
        audit_verify(log->dir->path, &saved, &log->head, &result, &e), 0);
    assert_int_equal(result.head.line, N_LINES);
    assert_true(result.tail_checked);
    /* A head from before it proves nothing. */
    assert_int_equal(audit_verify(log->dir->path, &saved,
                                  &(struct chain_head){ .line = 3 }, &result,
                                  &e),
                     0);
    assert_false(result.tail_checked);

    log->lines[10].data[12] ^= 1;
    write_file(log, CURRENT, (int[]){ 9, 10, 11, 12, 0 });
    assert_int_equal(audit_verify(log->dir->path, &saved, NULL, &result, &e),
                     AUDIT_VERIFY_E_INVALID);
    assert_int_equal(e.line, 2);
    assert_int_equal(unlink(tmp_dir_file(log->dir, CURRENT)), 0);
    assert_int_equal(audit_verify(log->dir->path, &saved, NULL, &result, &e),
                     AUDIT_VERIFY_E_INVALID);
    assert_non_null(strstr(e.text, "line 9 is missing"));
}

static void test_head_is_read_from_the_newest_whole_slot(void **state)
{
    struct log *log = *state;
    struct chain_state s = { .chain = log->last, .sequence = 4 };
    struct chain_head head;
    struct errmsg e = { 0 };
    uint8_t junk = 0xff;
    int fd;

    assert_int_equal(audit_head_from_state(log->dir->path, &head, &e), -ENOENT);
    fd = open(tmp_dir_file(log->dir, "audit.chain"), O_RDWR | O_CREAT, 0600);
    assert_int_equal(audit_head_from_state(log->dir->path, &head, &e),
                     -EBADMSG);
    memcpy(s.mac, log->head.mac, sizeof(s.mac));
    assert_int_equal(chain_state_write(fd, &s), 0);
    s.sequence = 3;
    s.chain.line = 4;
    assert_int_equal(chain_state_write(fd, &s), 0);
    assert_int_equal(audit_head_from_state(log->dir->path, &head, &e), 0);
    assert_int_equal(head.line, N_LINES);
    assert_memory_equal(head.mac, log->head.mac, sizeof(head.mac));

    /* Any octet of the newer slot spoilt, and the other one counts. */
    assert_int_equal(pwrite(fd, &junk, 1, 30), 1);
    assert_int_equal(audit_head_from_state(log->dir->path, &head, &e), 0);
    assert_int_equal(head.line, 3);
    assert_int_equal(pwrite(fd, &junk, 1, CHAIN_STATE_SLOT + 127), 1);
    assert_int_equal(audit_head_from_state(log->dir->path, &head, &e),
                     -EBADMSG);
    close(fd);
}

static void test_head_is_typed_as_line_and_mac(void **state)
{
    const char *const bad[] = { "", "12", ":", "12:", "x:", "-1:00", "0:" };
    struct log *log = *state;
    struct chain_head head;
    char text[96] = "12:";

    sodium_bin2hex(text + 3, sizeof(text) - 3, log->head.mac, CHAIN_MAC_LEN);
    assert_int_equal(audit_head_parse(text, &head), 0);
    assert_int_equal(head.line, 12);
    assert_memory_equal(head.mac, log->head.mac, sizeof(head.mac));
    strcat(text, "0");
    assert_int_equal(audit_head_parse(text, &head), -EINVAL);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(audit_head_parse(bad[i], &head), -EINVAL);
}

#define WITH_LOG(fn) cmocka_unit_test_setup_teardown(fn, make_log, free_log)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_LOG(test_untouched_log_fits),
        WITH_LOG(test_head_may_be_behind_the_log),
        WITH_LOG(test_any_changed_byte_is_found_where_it_is),
        WITH_LOG(test_deleted_middle_line_is_found),
        WITH_LOG(test_deleted_line_with_the_rest_renumbered_is_found),
        WITH_LOG(test_swapped_lines_are_found),
        WITH_LOG(test_repeated_line_is_found),
        WITH_LOG(test_missing_middle_file_is_named),
        WITH_LOG(test_missing_first_file_is_said_to_be_the_first),
        WITH_LOG(test_missing_current_file_shows_against_the_head),
        WITH_LOG(test_cut_tail_shows_against_the_head),
        WITH_LOG(test_cut_within_the_last_line_shows_against_the_head),
        WITH_LOG(test_cut_end_of_a_closed_file_is_found),
        WITH_LOG(test_closed_file_without_its_last_newline_is_found),
        WITH_LOG(test_renamed_file_is_found),
        WITH_LOG(test_garbage_between_lines_is_found),
        WITH_LOG(test_line_without_end_is_found),
        WITH_LOG(test_log_chained_anew_with_todays_key_is_found),
        WITH_LOG(test_tail_written_anew_shows_against_the_head),
        WITH_LOG(test_key_of_another_log_does_not_fit),
        WITH_LOG(test_directory_without_a_log_is_told_from_a_good_one),
        WITH_LOG(test_key_file_holds_64_hex_digits),
        WITH_LOG(test_a_later_key_has_its_line_before_it),
        WITH_LOG(test_a_saved_key_goes_on_after_deleted_files),
        WITH_LOG(test_head_is_read_from_the_newest_whole_slot),
        WITH_LOG(test_head_is_typed_as_line_and_mac),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
