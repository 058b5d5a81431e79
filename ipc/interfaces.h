/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The .varlink files of this folder as text, made by embed.py: what
 * GetInterfaceDescription answers, so that the files and the service cannot
 * differ.
 */

extern const char varlink_org_acmeguardian_Signer[];
extern const char varlink_org_acmeguardian_Admin[];
extern const char varlink_org_varlink_service[];
