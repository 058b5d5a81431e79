/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "acme/request.h"

#define ORDER_PROFILE_MAX 64
#define ORDER_REPLACES_MAX 256

/* order_read() - the payload of a newOrder request (RFC 8555 section 7.4; RFC
 * 9773 section 5; profiles) into @req. Return: 0; REFUSED; -ENOMEM. */
int order_read(const json_t *payload, struct acme_request *req,
               struct refusal *ret_refusal) MUST_CHECK;
