/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Journal message ids; each has an entry in systemd/acme-guardian.catalog. */

#define MSG_GRANTED "6d5dff4102814dd9bb027f1071dd6aa3"
#define MSG_DENIED "b45b9d3d19064f94867113aa0f4a5b82"
#define MSG_ADMIN "3e01d9f8e6fa41ba9165a46e8d9766b8"
#define MSG_SUSPENDED "dcc8e33cb5f34bd1a844a57f91148fbc"
#define MSG_RELOADED "5261ea0ed67b455bac220071eeb14adb"
#define MSG_RELOAD_FAILED "675df66cf7aa45b792381069c70a3526"
#define MSG_RESTART_NEEDED "5affaedeb0df4748be42df574aab9650"
#define MSG_AUDIT_UNAVAILABLE "afb47a8388db44dda7d5b281b904adce"
#define MSG_AUDIT_HEAD "676dedf03a624d0796d3f9f3f818627d"
#define MSG_TOKEN_STATE "decd3009b0ea44b58e97e8a82e014059"
#define MSG_NEEDS_RESOLVE "7517d19db69643b6a10aa1478ee16b50"
#define MSG_ROTATION "c0b7d1c3a2f548f8a3a7f9e0b6d4e215"
#define MSG_NAME_DENIED "61b43a707bc0409691534ce852f80c21"
#define MSG_HOST "1f0c3d5be7a94d6c9a51f2b8e06d47a3"
