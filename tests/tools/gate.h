/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Points of a program at which a test may end it. At each the program says
 * where it is, on the Unix socket that the variable @socket_env names, and goes
 * on when it gets an octet, which is returned. 0: nobody listens.
 */
char gate_pass(const char *socket_env, const char *name, const char *side);
