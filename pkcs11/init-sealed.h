/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * acme-guardian-token init-sealed [--config DIR] [--no-recovery] NAME
 * acme-guardian-token reseal [--config DIR] NAME
 *
 * @argv[0] is the command's name. Return: the exit code, as guardianctl's: 0, 1
 * (refused), 2 (bad passphrase), 64, 69, 77, 78.
 */
int init_sealed_main(int argc, char *argv[]);
int reseal_main(int argc, char *argv[]);
