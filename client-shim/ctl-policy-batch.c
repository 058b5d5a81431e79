/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/ctl-policy.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "client-shim/ctl-commands.h"
#include "client-shim/ctl-print.h"

/*
 * policy check --batch: a line in, a line out, in order. A line that cannot be
 * read gets an answer of its own, and the next one its turn.
 */

/* A request's two parts in base64url, twice that for JSON's escapes, an id. */
#define LINE_MAX_LEN (512 * 1024)

/* *ret_long: the line was longer; the rest of it is gone. Return: -ENODATA at
 * the end of the input. */
static int read_line(FILE *f, struct buf *line, bool *ret_long)
{
    int ch = getc(f);
    int r = 0;

    buf_clear(line);
    *ret_long = false;
    if (ch == EOF)
        return ferror(f) ? -EIO : -ENODATA;
    for (; r == 0 && ch != EOF && ch != '\n'; ch = getc(f)) {
        if (line->len >= LINE_MAX_LEN)
            *ret_long = true;
        else
            r = buf_append_char(line, (char)ch);
    }
    return r;
}

static json_t *bad_line(const json_t *id, unsigned long number, const char *why)
{
    return json_pack("{s:O?, s:s, s:s, s:o}", "id", id, "verdict", "error",
                     "reason", "bad-line", "detail",
                     json_sprintf("line %lu: %s", number, why));
}

static struct bytes part(const json_t *string)
{
    return (struct bytes){ (const uint8_t *)json_string_value(string),
                           json_string_length(string) };
}

static int judge(const struct ctl_case *k, const json_t *rq,
                 unsigned long number, bool *ret_bad, json_t **ret)
{
    CLEANUP_CTL_VERDICT struct ctl_verdict v = { 0 };
    const json_t *id = json_object_get(rq, "id");
    const json_t *protected = json_object_get(rq, "protected");
    const json_t *payload = json_object_get(rq, "payload");
    int r;

    *ret_bad = true;
    if (!json_is_string(protected) || !json_is_string(payload)) {
        *ret = bad_line(id, number, "needs the strings protected and payload");
        return 0;
    }
    r = ctl_case_judge(k, part(protected), part(payload), &v);
    if (r)
        return r;
    *ret_bad = false;
    *ret = json_pack("{s:O?, s:s, s:s?}", "id", id, "verdict",
                     ctl_verdict_word(&v), "reason",
                     v.reason ? reason_code(v.reason) : NULL);
    return 0;
}

static int answer_line(const struct ctl_case *k, struct bytes line,
                       unsigned long number, bool *ret_bad, json_t **ret)
{
    CLEANUP_CTL_JSON json_t *rq = NULL;
    json_error_t e;

    *ret_bad = true;
    rq = json_loadb((const char *)line.data, line.len, JSON_REJECT_DUPLICATES,
                    &e);
    if (!rq)
        *ret = bad_line(NULL, number, e.text);
    else if (!json_is_object(rq))
        *ret = bad_line(NULL, number, "is no JSON object");
    else
        return judge(k, rq, number, ret_bad, ret);
    return 0;
}

int ctl_policy_batch(const struct ctl_case *k)
{
    CLEANUP_BUF struct buf line = { 0 };
    int code = CTL_EXIT_DONE;
    bool too_long = false;
    int r;

    /* Who asks line by line waits for the answer. */
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    for (unsigned long number = 1;; number++) {
        json_t *answer = NULL;
        bool bad = true;

        r = read_line(stdin, &line, &too_long);
        if (r)
            break;
        if (too_long)
            answer = bad_line(NULL, number, "is longer than 512 KiB");
        else
            r = answer_line(k, buf_bytes(&line), number, &bad, &answer);
        if (r)
            break;
        if (bad)
            code = CTL_EXIT_MALFORMED;
        ctl_print_json(answer);
    }
    return r == -ENODATA ? code : ctl_fail_errno(r, "stdin");
}
