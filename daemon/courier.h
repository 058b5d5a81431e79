/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

struct varlink_call;

/*
 * Who carries a keyChange request to the CA: a connection, as long as it is
 * open. The rotation and the connection each have a reference.
 */
struct courier;

/* courier_of() - this call's connection, with a reference. NULL: no memory. */
struct courier *courier_of(struct varlink_call *call);
struct courier *courier_unref(struct courier *c);

/* courier_is_there() - its connection is open. NULL is not there. */
bool courier_is_there(const struct courier *c);
