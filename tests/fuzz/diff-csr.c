/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What we accept as a request for a certificate, or as a certificate, has the
 * same names, key and extensions for Go's crypto/x509. What that refuses does
 * no harm, but it is as good as never what we accept: the count is printed.
 */
#include "acme/csr.h"
#include "diff-lines.h"
#include "fuzz-account.h"
#include "fuzz-csr-input.h"
#include "fuzz.h"
#include "libpeer.h"

static unsigned long n_accepted, n_refused;

static void tell(void)
{
    (void)fprintf(stderr, "# %lu accepted, %lu of them not by Go\n", n_accepted,
                  n_refused);
}

static void compare(struct bytes der, const struct csr *csr, bool certificate)
{
    CLEANUP_BUF struct buf ours = { 0 };

    if (n_accepted++ == 0)
        MUST(atexit(tell) == 0);
    diff_put_names(&ours, &csr->names);
    if (!certificate)
        diff_put_csr(&ours, csr);
    n_refused += !PeerReads(bytes_unconst(der), (int)der.len, certificate);
    diff_must_be_null(PeerDER(bytes_unconst(der), (int)der.len, certificate,
                              bytes_unconst(buf_bytes(&ours))),
                      buf_bytes(&ours));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_csr in;
    struct csr csr = { 0 };
    struct refusal refusal;
    int r;

    fuzz_csr_take((struct bytes){ data, size }, &in);
    r = in.certificate
            ? certificate_read(buf_bytes(&in.der), &csr, &refusal)
            : csr_read(buf_bytes(&in.der), fuzz_account(false), &csr, &refusal);
    if (r == 0)
        compare(buf_bytes(&in.der), &csr, in.certificate);
    csr_deinit(&csr);
    fuzz_csr_deinit(&in);
    return 0;
}
