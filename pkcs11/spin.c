/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pkcs11/spin.h"

#include <errno.h>
#include <sched.h>
#include <sys/socket.h>
#include <time.h>

static uint64_t now_us(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

int spin_is_useful(void)
{
    cpu_set_t cpus;

    return sched_getaffinity(0, sizeof(cpus), &cpus) == 0 &&
           CPU_COUNT(&cpus) > 1;
}

static ssize_t look(int fd, void *buf, size_t len)
{
    uint64_t end = now_us() + SPIN_US;
    ssize_t n;

    do {
        n = recv(fd, buf, len, MSG_TRUNC | MSG_DONTWAIT);
        if (n >= 0 || errno != EAGAIN)
            return n;
        (void)sched_yield();
    } while (now_us() < end);
    return n;
}

ssize_t spin_recv(struct spin *spin, int fd, void *buf, size_t len, int hot)
{
    uint32_t nobody = 0;
    ssize_t n = -1;

    errno = EAGAIN;
    if (hot && atomic_load(&spin->streak) >= SPIN_STREAK &&
        atomic_compare_exchange_strong(&spin->taken, &nobody, 1)) {
        n = look(fd, buf, len);
        atomic_store(&spin->taken, 0);
    }
    while (n < 0 && (errno == EAGAIN || errno == EINTR))
        n = recv(fd, buf, len, MSG_TRUNC);
    if (atomic_fetch_add(&spin->busy, 1) == 0)
        atomic_fetch_add(&spin->streak, 1);
    else
        atomic_store(&spin->streak, 0);
    return n;
}

void spin_done(struct spin *spin)
{
    atomic_fetch_sub(&spin->busy, 1);
}
