/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/errmsg.h"

/**
 * isolate_process() - give up what the daemon never needs
 *
 * What confine_process() gives up (the helper is spawned as confined as we
 * are), and all descriptors but the standard ones and those that systemd
 * passed. Called before the first byte of input is read.
 *
 * Return: 0; negative errno with *reterr.
 */
int isolate_process(struct errmsg *reterr) MUST_CHECK;

/**
 * isolate_calls() - only the system calls that the daemon still needs
 *
 * Files, Unix sockets, and the one child that syncs the audit log: no other
 * socket, no program, no writable code. Called when everything is set up and
 * nothing that a client sent was read.
 *
 * Return: 0; negative errno with *reterr.
 */
int isolate_calls(struct errmsg *reterr) MUST_CHECK;
