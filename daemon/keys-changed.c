/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/keys-changed.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <syslog.h>

#include "base/bytes.h"
#include "base/log.h"

static int keys_changed_write(const char *path)
{
    CLEANUP_FD int fd =
        open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);

    /* Closing what was open for writing is what inotify(7) tells of. */
    if (fd < 0 || write(fd, "\n", 1) != 1)
        return -errno;
    return 0;
}

void keys_changed_say(const char *state_dir)
{
    CLEANUP_BUF struct buf path = { 0 };
    int r = buf_printf(&path, "%s/" KEYS_CHANGED_FILE, state_dir);

    if (r == 0)
        r = keys_changed_write(buf_str(&path));
    if (r)
        log_msg(LOG_WARNING,
                "%s/" KEYS_CHANGED_FILE ": %s: stubs are not refreshed by "
                "themselves: guardianctl stub refresh",
                state_dir, strerror(-r));
}
