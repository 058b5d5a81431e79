/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Where drop-ins of a token's unit are; takes its name. */
#define SETUP_DROPIN_DIR "/etc/systemd/system/acme-guardian-token@%s.service.d"

/* systemd/examples/tpm.conf */
extern const char setup_units_tpm_conf[];
