/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/client-state.h"

#include <stdio.h>
#include <string.h>

/*
 * Assignments in files that a client's shell sources. Only what has one meaning
 * to every shell is read; what a shell would have to work out is refused with
 * its line.
 */

struct line {
    struct bytes text; /* without the newline */
    unsigned number;
};

static bool next_line(struct bytes *rest, struct line *l)
{
    if (!bytes_next_line(rest, &l->text))
        return false;
    l->number++;
    if (l->text.len > 0 && l->text.data[l->text.len - 1] == '\r')
        l->text.len--;
    return true;
}

static struct bytes behind(struct bytes b, size_t n)
{
    return (struct bytes){ b.data + n, b.len - n };
}

static struct bytes skip_blanks(struct bytes b)
{
    while (b.len > 0 && (b.data[0] == ' ' || b.data[0] == '\t'))
        b = behind(b, 1);
    return b;
}

static bool starts_with(struct bytes b, const char *word)
{
    size_t n = strlen(word);

    return b.len >= n && memcmp(b.data, word, n) == 0;
}

/* Is the line an assignment to @name? @ret_value is what follows the '='. */
static bool assigns(struct bytes line, const char *name,
                    struct bytes *ret_value)
{
    size_t n = strlen(name);
    struct bytes b = skip_blanks(line);

    if (starts_with(b, "export ") || starts_with(b, "export\t"))
        b = skip_blanks(behind(b, strlen("export ")));
    if (!starts_with(b, name) || b.len <= n || b.data[n] != '=')
        return false;
    *ret_value = behind(b, n + 1);
    return true;
}

static bool is_plain(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
           (c >= 'A' && c <= 'Z') || strchr("_-./:@%+=,", c) != NULL;
}

/* Only blanks and a comment may follow a value. */
static bool is_end(struct bytes b)
{
    struct bytes rest = skip_blanks(b);

    return rest.len == 0 || (rest.len < b.len && rest.data[0] == '#');
}

/* The octets of a value without its quotes; false: not for us to tell. */
static bool read_value(struct bytes b, struct bytes *ret)
{
    uint8_t quote = b.len > 0 ? b.data[0] : '\0';
    size_t n = 0;

    if (quote != '\'' && quote != '"') {
        while (n < b.len && b.data[n] != '\0' && is_plain(b.data[n]))
            n++;
        *ret = (struct bytes){ b.data, n };
        return is_end(behind(b, n));
    }
    for (n = 1; n < b.len && b.data[n] != quote; n++) {
        if (b.data[n] < 0x20 || b.data[n] == 0x7f ||
            (quote == '"' && strchr("$`\\", b.data[n])))
            return false;
    }
    *ret = (struct bytes){ b.data + 1, n - 1 };
    return n < b.len && is_end(behind(b, n + 1));
}

int client_state_shell(struct bytes text, const char *name, struct buf *ret,
                       struct errmsg *reterr)
{
    struct line l = { .number = 0 };
    struct bytes found = { NULL, 0 };
    struct bytes value;
    bool there = false;

    while (next_line(&text, &l)) {
        if (!assigns(l.text, name, &value))
            continue;
        if (!read_value(value, &found)) {
            errmsg_set_at(reterr, "", l.number,
                          "%s is no plain value: only a shell could tell what "
                          "it is",
                          name);
            return CLIENT_STATE_E_BAD;
        }
        there = true;
    }
    return there ? buf_append(ret, found.data, found.len)
                 : CLIENT_STATE_E_ABSENT;
}

/* Where the last assignment stands. */
static bool find_last(struct bytes text, const char *name, struct bytes *ret)
{
    struct line l = { .number = 0 };
    struct bytes value;
    bool there = false;

    while (next_line(&text, &l)) {
        if (!assigns(l.text, name, &value))
            continue;
        *ret = l.text;
        there = true;
    }
    return there;
}

static bool can_be_quoted(const char *value)
{
    for (; *value; value++) {
        if (*value == '\'' || (unsigned char)*value < 0x20 || *value == 0x7f)
            return false;
    }
    return true;
}

int client_state_shell_set(struct bytes text, const char *prefix,
                           const char *name, const char *value, struct buf *ret)
{
    struct bytes line = { NULL, 0 };
    bool there = find_last(text, name, &line);
    size_t at = there ? (size_t)(line.data - text.data) : text.len;
    bool open = !there && text.len > 0 && text.data[text.len - 1] != '\n';
    int r;

    if (!can_be_quoted(value))
        return CLIENT_STATE_E_BAD;
    r = buf_append(ret, text.data, at);
    if (r == 0)
        r = buf_printf(ret, "%s%s%s='%s'%s", open ? "\n" : "", prefix, name,
                       value, there ? "" : "\n");
    if (r)
        return r;
    at += line.len;
    return buf_append(ret, text.data + at, text.len - at);
}

/* ---- lacme's, which is no shell's ---- */

struct lacme {
    const char *socket;
    bool in_client, in_accountd, done;
    struct buf *ret;
};

static int put_socket(struct lacme *l)
{
    l->done = true;
    return buf_printf(l->ret, "socket = %s\n", l->socket);
}

static int lacme_section(struct lacme *l, struct bytes line)
{
    struct bytes b = skip_blanks(line);
    int r = 0;

    /* The next section begins, and the first had no such line. */
    if (l->in_client && !l->done)
        r = put_socket(l);
    l->in_client = starts_with(b, "[client]");
    l->in_accountd = starts_with(b, "[accountd]");
    return r;
}

static bool is_setting(struct bytes line, const char *name)
{
    struct bytes b = skip_blanks(line);
    size_t n = strlen(name);

    if (!starts_with(b, name))
        return false;
    b = skip_blanks(behind(b, n));
    return b.len > 0 && b.data[0] == '=';
}

static int lacme_line(struct lacme *l, struct bytes line)
{
    struct bytes b = skip_blanks(line);
    bool comment = b.len == 0 || b.data[0] == '#' || b.data[0] == ';';
    int r = 0;

    if (!comment && b.data[0] == '[')
        r = lacme_section(l, line);
    if (r == 0 && l->in_client && !comment && is_setting(line, "socket"))
        return l->done ? 0 : put_socket(l);
    if (r == 0 && l->in_accountd && !comment)
        r = buf_append_char(l->ret, '#');
    if (r == 0)
        r = buf_append(l->ret, line.data, line.len);
    return r ? r : buf_append_char(l->ret, '\n');
}

int client_state_lacme(struct bytes text, const char *socket, struct buf *ret)
{
    struct lacme l = { .socket = socket, .ret = ret };
    struct line line = { .number = 0 };
    int r = 0;

    while (r == 0 && next_line(&text, &line))
        r = lacme_line(&l, line.text);
    if (r == 0 && !l.done && !l.in_client)
        r = buf_append_str(ret, "[client]\n");
    return r || l.done ? r : put_socket(&l);
}
