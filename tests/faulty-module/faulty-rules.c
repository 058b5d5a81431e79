/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "faulty-rules.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define RULES_MAX 32

/* A module is one for its process, and a test's: it may have globals. */
static pthread_mutex_t rules_lock = PTHREAD_MUTEX_INITIALIZER;
static struct faulty_rule rules[RULES_MAX];
static size_t n_rules;
static struct stat last;

static void parse_word(struct faulty_rule *r, char *word)
{
    char *value = strchr(word, '=');
    unsigned long n;

    if (value)
        *value++ = '\0';
    else
        value = word + strlen(word);
    n = strtoul(value, NULL, 0);
    if (strcmp(word, "rv") == 0) {
        r->has_rv = true;
        r->rv = n;
    } else if (strcmp(word, "after") == 0)
        r->after = (unsigned)n;
    else if (strcmp(word, "count") == 0)
        r->count = (unsigned)n;
    else if (strcmp(word, "every") == 0)
        r->every = (unsigned)n;
    else if (strcmp(word, "ms") == 0)
        r->ms = (unsigned)n;
    else if (strcmp(word, "limit") == 0)
        r->limit = (unsigned)n;
    else if (strcmp(word, "flags") == 0)
        r->flags = n;
    else if (strcmp(word, "attr") == 0) {
        r->has_attr = true;
        r->attr = n;
    } else if (strcmp(word, "value") == 0)
        r->value = strcmp(value, "none") == 0 ? -1 : (int)n;
    else if (strcmp(word, "label") == 0)
        (void)snprintf(r->label, sizeof(r->label), "%s", value);
    else if (strcmp(word, "print") == 0)
        (void)snprintf(r->print, sizeof(r->print), "%s", value);
    else if (strcmp(word, "session") == 0) {
        r->has_session = true;
        r->session = n;
    } else if (strcmp(word, "post") == 0)
        r->post = true;
    else if (strcmp(word, "hang") == 0)
        r->hang = true;
    else if (strcmp(word, "segv") == 0)
        r->segv = true;
    else if (strcmp(word, "thread") == 0)
        r->thread = true;
    else if (strcmp(word, "fork") == 0)
        r->fork = true;
    else if (strcmp(word, "duplicate") == 0)
        r->duplicate = true;
    else if (strcmp(word, "short") == 0)
        r->shorter = true;
    else if (strcmp(word, "long") == 0)
        r->longer = true;
    else if (strcmp(word, "flip") == 0)
        r->flip = true;
    else if (strcmp(word, "last") == 0)
        r->last = true;
    else if (strcmp(word, "twin") == 0)
        r->twin = true;
    else if (strcmp(word, "logout") == 0)
        r->logout = true;
    else if (strcmp(word, "closeall") == 0)
        r->closeall = true;
    else if (strcmp(word, "empty") == 0)
        r->empty = true;
    else {
        fprintf(stderr, "faulty-pkcs11: no such word in a rule: %s\n", word);
        abort();
    }
}

static void parse(FILE *f)
{
    char line[512];

    n_rules = 0;
    while (n_rules < RULES_MAX && fgets(line, sizeof(line), f)) {
        struct faulty_rule *r = &rules[n_rules];
        char *save = NULL;
        char *word = strtok_r(line, " \n", &save);

        if (!word || *word == '#')
            continue;
        *r = (struct faulty_rule){ 0 };
        (void)snprintf(r->function, sizeof(r->function), "%s", word);
        while ((word = strtok_r(NULL, " \n", &save)))
            parse_word(r, word);
        n_rules++;
    }
}

/* A new file is renamed into place, so the inode tells. */
static void refresh(void)
{
    const char *path = getenv("FAULTY_RULES");
    struct stat st = { 0 };
    FILE *f;

    if (!path || stat(path, &st) < 0) {
        n_rules = 0;
        last = (struct stat){ 0 };
        return;
    }
    if (st.st_ino == last.st_ino && st.st_size == last.st_size &&
        st.st_mtim.tv_sec == last.st_mtim.tv_sec &&
        st.st_mtim.tv_nsec == last.st_mtim.tv_nsec)
        return;
    f = fopen(path, "re");
    if (!f)
        return;
    last = st;
    parse(f);
    (void)fclose(f);
}

struct faulty_rule faulty_rule_get(const char *function,
                                   CK_SESSION_HANDLE session, const char *label)
{
    struct faulty_rule found = { 0 };

    pthread_mutex_lock(&rules_lock);
    refresh();
    for (size_t i = 0; i < n_rules && !found.function[0]; i++) {
        struct faulty_rule *r = &rules[i];

        if ((strcmp(r->function, "*") != 0 &&
             strcmp(r->function, function) != 0) ||
            (r->label[0] && strcmp(r->label, label) != 0) ||
            (r->has_session && r->session != session))
            continue;
        r->seen++;
        if (r->seen > r->after &&
            (r->count == 0 || r->seen <= r->after + r->count) &&
            (r->every == 0 || r->seen % r->every == 0))
            found = *r;
    }
    pthread_mutex_unlock(&rules_lock);
    return found;
}

void faulty_trace(const char *function, unsigned long session, CK_RV rv)
{
    const char *path = getenv("FAULTY_TRACE");
    char line[160];
    int fd, n;

    if (!path)
        return;
    fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0)
        return;
    n = snprintf(line, sizeof(line), "%d %d %s %lu 0x%lx\n", getpid(), gettid(),
                 function, session, rv);
    if (write(fd, line, (size_t)n) != n)
        abort();
    close(fd);
}
