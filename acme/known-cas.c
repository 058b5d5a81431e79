/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "acme/known-cas.h"

#include <string.h>

#include "acme/dns-name.h"

/*
 * A line belongs here only if the CA itself says both, the directory's URL and
 * the issuer name, in its documentation or its CPS.
 */
#define ISSUERS(...) ((const char *const[]){ __VA_ARGS__, NULL })
static const struct known_ca known_cas[] = {
    {
        .name = "letsencrypt",
        .title = "Let's Encrypt",
        .directory = "https://acme-v02.api.letsencrypt.org/directory",
        .origin = "https://acme-v02.api.letsencrypt.org",
        .issuers = ISSUERS("letsencrypt.org"),
    },
    {
        .name = "letsencrypt-staging",
        .title = "Let's Encrypt (staging)",
        .directory = "https://acme-staging-v02.api.letsencrypt.org/directory",
        .origin = "https://acme-staging-v02.api.letsencrypt.org",
        .issuers = ISSUERS("letsencrypt.org"),
        .staging = true,
    },
    {
        .name = "gts",
        .title = "Google Trust Services",
        .directory = "https://dv.acme-v02.api.pki.goog/directory",
        .origin = "https://dv.acme-v02.api.pki.goog",
        .issuers = ISSUERS("pki.goog"),
        .external_account = true,
    },
    {
        .name = "gts-staging",
        .title = "Google Trust Services (staging)",
        .directory = "https://dv.acme-v02.test-api.pki.goog/directory",
        .origin = "https://dv.acme-v02.test-api.pki.goog",
        .issuers = ISSUERS("pki.goog"),
        .staging = true,
        .external_account = true,
    },
    {
        .name = "zerossl",
        .title = "ZeroSSL",
        .directory = "https://acme.zerossl.com/v2/DV90",
        .origin = "https://acme.zerossl.com",
        .issuers = ISSUERS("sectigo.com"),
        .external_account = true,
    },
    {
        .name = "sectigo",
        .title = "Sectigo",
        .directory = "https://acme.sectigo.com/v2/DV",
        .origin = "https://acme.sectigo.com",
        .issuers = ISSUERS("sectigo.com"),
        .external_account = true,
    },
    {
        .name = "sectigo-enterprise",
        .title = "Sectigo Certificate Manager",
        .directory = "https://acme.enterprise.sectigo.com/",
        .origin = "https://acme.enterprise.sectigo.com",
        .issuers = ISSUERS("sectigo.com"),
        .external_account = true,
    },
    {
        .name = "sslcom",
        .title = "SSL.com (RSA)",
        .directory = "https://acme.ssl.com/sslcom-dv-rsa",
        .origin = "https://acme.ssl.com",
        .issuers = ISSUERS("ssl.com"),
        .external_account = true,
    },
    {
        .name = "sslcom-ecc",
        .title = "SSL.com (ECC)",
        .directory = "https://acme.ssl.com/sslcom-dv-ecc",
        .origin = "https://acme.ssl.com",
        .issuers = ISSUERS("ssl.com"),
        .external_account = true,
    },
    {
        .name = "actalis",
        .title = "Actalis",
        .directory = "https://acme-api.actalis.com/acme/directory",
        .origin = "https://acme-api.actalis.com",
        .issuers = ISSUERS("actalis.it"),
        .external_account = true,
    },
};

const struct known_ca *known_ca_at(size_t i)
{
    return i < ARRAY_LEN(known_cas) ? &known_cas[i] : NULL;
}

const struct known_ca *known_ca_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(known_cas); i++) {
        if (strcmp(known_cas[i].name, name) == 0)
            return &known_cas[i];
    }
    return NULL;
}

static bool is_under(const char *url, const char *origin)
{
    size_t len = strlen(origin);

    /* All of the host: what goes on behind it ("...@evil.example", ":8443")
     * makes another one of it. */
    return strncasecmp(url, origin, len) == 0 &&
           (url[len] == '/' || url[len] == '\0');
}

const struct known_ca *known_ca_of_directory(const char *directory_url)
{
    for (size_t i = 0; i < ARRAY_LEN(known_cas); i++) {
        if (strcmp(known_cas[i].directory, directory_url) == 0)
            return &known_cas[i];
    }
    for (size_t i = 0; i < ARRAY_LEN(known_cas); i++) {
        if (is_under(directory_url, known_cas[i].origin))
            return &known_cas[i];
    }
    return NULL;
}

static bool is_issuer_of(struct bytes issuer, const struct known_ca *ca)
{
    for (const char *const *name = ca->issuers; *name; name++) {
        if (issuer.len == strlen(*name) &&
            strncasecmp((const char *)issuer.data, *name, issuer.len) == 0)
            return true;
    }
    return false;
}

enum known_issuer known_issuer_check(const char *issuer,
                                     const char *directory_url)
{
    struct bytes name = bytes_from_str(issuer);
    bool issuer_tabled = false;
    bool origin_tabled = false;
    bool both = false;

    /* The same CA to who compares names as DNS does. */
    if (name.len > 0 && name.data[name.len - 1] == '.')
        name.len--;
    for (size_t i = 0; i < ARRAY_LEN(known_cas); i++) {
        bool its_issuer = is_issuer_of(name, &known_cas[i]);
        bool its_origin = is_under(directory_url, known_cas[i].origin);

        issuer_tabled |= its_issuer;
        origin_tabled |= its_origin;
        both |= its_issuer && its_origin;
    }
    if (!both && (issuer_tabled || origin_tabled))
        return KNOWN_ISSUER_MISMATCH;
    if (dns_name_check(bytes_from_str(issuer), false, NULL))
        return KNOWN_ISSUER_UNSET;
    return both ? KNOWN_ISSUER_OK : KNOWN_ISSUER_UNTABLED;
}
