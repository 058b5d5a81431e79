/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* DNS messages, from the wire over what the DNS child hands back to what is
 * made of it. With 'w' the octets are what a child that was broken into hands
 * back. */
#include <string.h>
#include <sys/socket.h>

#include "client-shim/dns-message.h"
#include "client-shim/dns-view.h"
#include "client-shim/dns-wire.h"
#include "fuzz.h"

static const char zone[] = "example.com";
static const char name[] = "_validation-persist.example.com";

static void check_answer(const struct dns_answer *a)
{
    MUST(a->status != DNS_STATUS_UNSET && a->status < DNS_STATUS_COUNT);
    MUST(memchr(a->text, 0, sizeof(a->text)));
    for (size_t i = 0; i < a->n_rrs; i++) {
        const struct dns_rr *rr = &a->rrs[i];

        MUST(rr->owner && strlen(rr->owner) <= DNS_NAME_TEXT_MAX);
        MUST(rr->type != DNS_TYPE_TXT || dns_txt_ok(rr->rdata));
        MUST(rr->type != DNS_TYPE_A || rr->server.family == AF_INET);
    }
}

static void view(const struct dns_answer *a, enum dns_type type, bool resolver)
{
    struct dns_view v = { .resolver = resolver,
                          .zone = strdup(zone),
                          .name = strdup(name) };

    MUST(v.zone && v.name);
    MUST(dns_view_fill(&v, a, type) == 0);
    MUST(dns_view_end(&v));
    dns_view_deinit(&v);
}

static void read_answer(struct bytes message)
{
    CLEANUP_DNS_ANSWER struct dns_answer a = { 0 };
    uint32_t id = 0;
    int r = dns_wire_read_answer(message, &id, &a);

    MUST(r == 0 || r == DNS_WIRE_E_INVALID);
    if (r)
        return;
    check_answer(&a);
    view(&a, DNS_TYPE_TXT, false);
    view(&a, DNS_TYPE_CAA, true);
}

static void try_message(struct bytes wire)
{
    CLEANUP_BUF struct buf b = { 0 };

    (void)dns_message_truncated(wire);
    (void)dns_message_rcode(wire);
    MUST(dns_message_read(wire, 7, false, &b) == 0);
    read_answer(buf_bytes(&b));
}

static void try_update(struct bytes wire)
{
    const struct dns_message_mac mac = { .len = 32 };
    const struct dns_update u = { .zone = zone };
    struct dns_update_result result = { 0 };

    dns_message_read_update(wire, &u, &mac, 1790000000, &result);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes rest = { data, size };
    uint8_t what = fuzz_octet(&rest);
    CLEANUP_FREE uint8_t *exact = fuzz_copy(rest);
    struct dns_wire_request *request;

    rest.data = exact;
    switch (what) {
    case 'w':
        read_answer(rest);
        break;
    case 'q':
        request = calloc(1, sizeof(*request));
        MUST(request);
        (void)dns_wire_read_request(rest, request);
        free(request);
        break;
    case 'u':
        if (rest.len >= DNS_MESSAGE_HEADER)
            try_update(rest);
        break;
    default:
        if (rest.len >= DNS_MESSAGE_HEADER)
            try_message(rest);
    }
    return 0;
}
