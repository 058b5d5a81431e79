/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* guardian.conf, accounts.d/NAME.account and zones.d/NAME.zone. The first octet
 * says which. */
#include <string.h>
#include <unistd.h>

#include "base/settings.h"
#include "client-shim/account-files.h"
#include "client-shim/zones.h"
#include "fuzz.h"

/* An empty configuration directory, to which the text is added unwritten. */
static char dir[] = "/tmp/fuzz-config-XXXXXX";

static void remove_dir(void)
{
    (void)rmdir(dir);
}

static const char *empty_dir(void)
{
    static bool made;

    if (!made)
        MUST(mkdtemp(dir) && atexit(remove_dir) == 0);
    made = true;
    return dir;
}

static void check_error(int r, int invalid, const struct errmsg *e)
{
    MUST(r == 0 || r == invalid);
    MUST((r == 0) == (e->text[0] == '\0'));
    MUST(memchr(e->text, 0, sizeof(e->text)));
    MUST(memchr(e->file, 0, sizeof(e->file)));
}

static void try_settings(struct bytes text)
{
    CLEANUP_SETTINGS struct settings *s = NULL;
    const struct settings_text file = { "guardian.conf.d/fuzz.conf", text };
    struct errmsg e = { 0 };
    int r = settings_load_with(empty_dir(), &file, 1, &s, &e);

    check_error(r, CONFIG_E_INVALID, &e);
    for (size_t i = 0; s && i < s->n_tokens; i++) {
        MUST(settings_name_ok(s->tokens[i].name));
        MUST(s->tokens[i].backend != SETTINGS_BACKEND_UNSET);
        MUST(settings_token(s, s->tokens[i].name) == &s->tokens[i]);
    }
}

static void try_account(struct bytes text)
{
    CLEANUP_ACCOUNT_WISHES struct account_wishes *w = calloc(1, sizeof(*w));
    struct errmsg e = { 0 };

    MUST(w);
    check_error(account_files_parse(w, text, "fuzz.account", "fuzz", &e),
                CONFIG_E_INVALID, &e);
    for (size_t i = 0; i < w->n; i++)
        MUST(w->items[i].directory && w->items[i].token && w->items[i].alg);
}

static void try_zone(struct bytes text)
{
    CLEANUP_ZONES struct zones *z = calloc(1, sizeof(*z));
    struct errmsg e = { 0 };

    MUST(z);
    check_error(zones_parse(z, text, "fuzz.zone", "fuzz.example", &e),
                CONFIG_E_INVALID, &e);
    for (size_t i = 0; i < z->n; i++)
        MUST(z->items[i].name && z->items[i].n_servers <= ZONE_SERVERS_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes text = { data, size };

    switch (fuzz_octet(&text)) {
    case 'a':
        try_account(text);
        break;
    case 'z':
        try_zone(text);
        break;
    default:
        try_settings(text);
    }
    return 0;
}
