/* Preloaded by the case clock_jumps: whoever reads the time of day gets another decade each time. Other clocks
 * are as they are. At the end of a process it writes how often each kind was read to $CHAOS_CLOCK.PID. */

#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static unsigned long steady, wall;

/* From 1970 to 2088, never the same twice in a row, forwards and backwards. */
static time_t jump(void) {
    unsigned long n = __atomic_add_fetch(&wall, 1, __ATOMIC_RELAXED);
    return (time_t)((n * 2654435761UL) % 3724000000UL);
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE || clock == CLOCK_TAI) {
        time->tv_sec = jump();
        time->tv_nsec = 0;
        return 0;
    }
    __atomic_add_fetch(&steady, 1, __ATOMIC_RELAXED);
    return (int)syscall(SYS_clock_gettime, clock, time);
}

int gettimeofday(struct timeval *restrict value, void *restrict zone) {
    (void)zone;
    value->tv_sec = jump();
    value->tv_usec = 0;
    return 0;
}

time_t time(time_t *where) {
    time_t now = jump();
    if (where) *where = now;
    return now;
}

__attribute__((destructor)) static void report(void) {
    const char *prefix = getenv("CHAOS_CLOCK");
    char path[4096];
    if (!prefix) return;
    snprintf(path, sizeof path, "%s.%d", prefix, (int)getpid());
    FILE *file = fopen(path, "w");
    if (file) {
        fprintf(file, "%lu %lu\n", steady, wall);
        fclose(file);
    }
}
