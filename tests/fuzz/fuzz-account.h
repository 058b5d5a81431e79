/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "acme/account.h"

/*
 * fuzz_account() - the account of tests/vectors, once read
 * @challenge_members: with Origins=, ChallengeMembers= and AllowQuery=yes
 */
const struct acme_account *fuzz_account(bool challenge_members);
