/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What other clients leave in their files: s shell, j JSON, n names of
 * directories, k keys.
 */
#include <string.h>
#include <sys/prctl.h>

#include "client-shim/client-state.h"
#include "client-shim/outside-key.h"
#include "fuzz.h"

#define VALUE "https://ca.example/acct/1"

static void try_shell(struct bytes text)
{
    CLEANUP_BUF struct buf value = { 0 };
    CLEANUP_BUF struct buf changed = { 0 };
    CLEANUP_BUF struct buf again = { 0 };
    struct errmsg e = { 0 };
    int r = client_state_shell(text, "CA_KEY_HASH", &value, &e);

    MUST(r == 0 || r == CLIENT_STATE_E_ABSENT || r == CLIENT_STATE_E_BAD);
    MUST(r != CLIENT_STATE_E_BAD || e.text[0]);
    if (r == CLIENT_STATE_E_BAD ||
        client_state_shell_set(text, "", "CA_KEY_HASH", VALUE, &changed))
        return;
    MUST(client_state_shell(buf_bytes(&changed), "CA_KEY_HASH", &again, &e) ==
         0);
    MUST(bytes_eq_str(buf_bytes(&again), VALUE));
}

static void try_json(struct bytes text)
{
    CLEANUP_BUF struct buf value = { 0 };
    struct errmsg e = { 0 };
    int r = client_state_json(text, "registration.uri", &value, &e);

    MUST(r == 0 || (r == CLIENT_STATE_E_BAD && e.text[0]));
}

static void try_names(struct bytes text)
{
    int (*const readers[])(const char *dir, struct buf *ret) = {
        client_state_certbot_directory, client_state_dehydrated_directory,
        client_state_lego_directory, client_state_acme_sh_directory
    };
    CLEANUP_FREE char *dir = strndup((const char *)text.data, text.len);

    MUST(dir);
    for (size_t i = 0; i < ARRAY_LEN(readers); i++) {
        CLEANUP_BUF struct buf b = { 0 };
        int r = readers[i](dir, &b);

        MUST(r == 0 || r == CLIENT_STATE_E_ABSENT || r == CLIENT_STATE_E_BAD);
        MUST(r != 0 || strstr(buf_str(&b), "://"));
    }
    (void)client_state_acme_sh_is(dir, "https://ca.example/directory");
    (void)client_state_is_retired(text);
}

/* What is read can be written, and is the same key then. */
static void try_again(const struct outside_key *key, enum outside_key_form form)
{
    CLEANUP_SECRET struct secret *text = NULL;
    CLEANUP_OUTSIDE_KEY struct outside_key *again = NULL;
    struct errmsg e = { 0 };

    MUST(outside_key_format(key, form, &text) == 0);
    MUST(outside_key_parse(text, &again, &e) == 0);
    MUST(jwk_eq(outside_key_public(key), outside_key_public(again)));
}

static void try_key(struct bytes text)
{
    static bool ready;
    CLEANUP_SECRET struct secret *file = NULL;
    CLEANUP_OUTSIDE_KEY struct outside_key *key = NULL;
    struct errmsg e = { 0 };
    int r;

    if (!ready)
        outside_key_wipe_frees();
    if (!ready)
        MUST(secrets_init(true, &e) == 0 && outside_key_init(&e) == 0);
    /* Whom the kernel does not let look at us finds no leaks either. */
    if (!ready)
        MUST(prctl(PR_SET_DUMPABLE, 1) == 0);
    ready = true;
    if (text.len == 0 || secret_new_copy(text, &file))
        return;
    r = outside_key_parse(file, &key, &e);
    MUST(r == 0 || (r > 0 && r <= OUTSIDE_KEY_E_UNSUPPORTED && e.text[0]));
    if (r == 0) {
        try_again(key, OUTSIDE_KEY_PEM);
        try_again(key, OUTSIDE_KEY_DER);
        try_again(key, OUTSIDE_KEY_JWK);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes rest = { data, size };
    uint8_t what = fuzz_octet(&rest);
    CLEANUP_FREE uint8_t *exact = fuzz_copy(rest);

    rest.data = exact;
    switch (what) {
    case 's':
        try_shell(rest);
        break;
    case 'j':
        try_json(rest);
        break;
    case 'k':
        try_key(rest);
        break;
    default:
        try_names(rest);
    }
    return 0;
}
