/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <syslog.h>

#include <systemd/sd-journal.h>

#include "base/bytes.h"

#define LOG_FIELDS_MAX 32
#define LOG_TEXT_MAX 2048

/* One process, one log: set once by main() before anything else runs. */
static struct {
    const char *ident;
    bool debug;
    bool journal;
} log_state = { .ident = "acme-guardian" };

/* $JOURNAL_STREAM names the device and inode that stderr has under systemd. */
static bool stderr_is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    unsigned long long dev, ino;
    struct stat st;

    if (!stream || sscanf(stream, "%llu:%llu", &dev, &ino) != 2)
        return false;
    return fstat(2, &st) == 0 && st.st_dev == dev && st.st_ino == ino;
}

void log_init(const char *ident, bool debug)
{
    log_state.ident = ident;
    log_state.debug = debug;
    log_state.journal = stderr_is_journal();
}

static void make_printable(char *s)
{
    for (; *s; s++) {
        if ((unsigned char)*s < 0x20 || *s == 0x7f)
            *s = '?';
    }
}

static int add_field(struct buf *texts, const char *name, const char *value)
{
    size_t start = texts->len;
    int r;

    r = buf_printf(texts, "%s=%s", name, value);
    if (r)
        return r;
    make_printable((char *)texts->data + start);
    return buf_append_char(texts, '\0');
}

static int send_journal(int priority, const char *message_id,
                        const struct log_field *fields, size_t n_fields,
                        const char *text)
{
    CLEANUP_BUF struct buf texts = { 0 };
    struct iovec iov[LOG_FIELDS_MAX + 4];
    char prio[4];
    int n = 0;
    int r;

    (void)snprintf(prio, sizeof(prio), "%d", priority);
    r = add_field(&texts, "MESSAGE", text);
    if (r == 0)
        r = add_field(&texts, "PRIORITY", prio);
    if (r == 0)
        r = add_field(&texts, "SYSLOG_IDENTIFIER", log_state.ident);
    if (r == 0 && message_id)
        r = add_field(&texts, "MESSAGE_ID", message_id);
    for (size_t i = 0; r == 0 && i < n_fields && i < LOG_FIELDS_MAX; i++) {
        if (fields[i].value)
            r = add_field(&texts, fields[i].name, fields[i].value);
    }
    if (r)
        return r;

    for (char *p = (char *)texts.data; p < (char *)texts.data + texts.len;) {
        size_t len = strlen(p);

        iov[n++] = (struct iovec){ p, len };
        p += len + 1;
    }
    return sd_journal_sendv(iov, n);
}

static void log_text(int priority, const char *message_id,
                     const struct log_field *fields, size_t n_fields,
                     char *text)
{
    make_printable(text);
    if (log_state.journal &&
        send_journal(priority, message_id, fields, n_fields, text) >= 0)
        return;
    fprintf(stderr, "%s: %s\n", log_state.ident, text);
}

void log_msg(int priority, const char *fmt, ...)
{
    char text[LOG_TEXT_MAX];
    int saved = errno;
    va_list args;

    if (priority == LOG_DEBUG && !log_state.debug)
        return;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    log_text(priority, NULL, NULL, 0, text);
    errno = saved;
}

void log_event(int priority, const char *message_id,
               const struct log_field *fields, size_t n_fields, const char *fmt,
               ...)
{
    char text[LOG_TEXT_MAX];
    int saved = errno;
    va_list args;

    if (priority == LOG_DEBUG && !log_state.debug)
        return;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    log_text(priority, message_id, fields, n_fields, text);
    errno = saved;
}
