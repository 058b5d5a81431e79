/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pkcs11/watchdog.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define TICK_MIN_MS 10
#define TICK_MAX_MS 250

static uint64_t now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Is anybody at work? Ends the process if somebody is late. */
static bool look(struct watchdog *dog)
{
    uint64_t now = now_ms();
    bool busy = false;

    for (size_t i = 0; i < WATCHDOG_WATCHES_MAX; i++) {
        uint64_t deadline = atomic_load(&dog->watches[i].deadline_ms);

        if (deadline == 0)
            continue;
        busy = true;
        if (now > deadline)
            dog->late(dog->userdata);
    }
    return busy;
}

/* Whoever starts work sees asleep, or we see its deadline: both are ordered. */
static void sleep_until_work(struct watchdog *dog)
{
    uint64_t count;

    atomic_store(&dog->asleep, 1);
    if (!look(dog)) {
        while (read(dog->wake_fd, &count, sizeof(count)) < 0 && errno == EINTR)
            ;
    }
    atomic_store(&dog->asleep, 0);
}

static void *run(void *arg)
{
    struct watchdog *dog = arg;
    struct timespec tick = { dog->tick_ms / 1000,
                             (long)(dog->tick_ms % 1000) * 1000000 };

    for (;;) {
        if (!look(dog))
            sleep_until_work(dog);
        (void)nanosleep(&tick, NULL);
    }
    return NULL;
}

int watchdog_start(struct watchdog *dog, uint64_t timeout_ms,
                   void (*late)(void *userdata), void *userdata)
{
    uint64_t tick = timeout_ms / 10;
    pthread_t thread;
    int r;

    *dog = (struct watchdog){ .late = late, .userdata = userdata };
    dog->tick_ms = (unsigned)(tick < TICK_MIN_MS   ? TICK_MIN_MS
                              : tick > TICK_MAX_MS ? TICK_MAX_MS
                                                   : tick);
    for (size_t i = 0; i < WATCHDOG_WATCHES_MAX; i++)
        dog->watches[i].dog = dog;
    dog->wake_fd = eventfd(0, EFD_CLOEXEC);
    if (dog->wake_fd < 0)
        return -errno;
    r = pthread_create(&thread, NULL, run, dog);
    if (r)
        return -r;
    (void)pthread_detach(thread);
    return 0;
}

void watch_start(struct watch *w, uint64_t timeout_ms)
{
    const uint64_t one = 1;

    atomic_store(&w->deadline_ms, now_ms() + timeout_ms);
    if (atomic_load(&w->dog->asleep) &&
        write(w->dog->wake_fd, &one, sizeof(one)) < 0)
        return; /* the counter is full: it is awake */
}

void watch_stop(struct watch *w)
{
    atomic_store(&w->deadline_ms, 0);
}
