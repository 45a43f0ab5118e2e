#include "base/machine.h"

#include <math.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The numbers in a group's file, at most 2: how many there are. "max" is infinite. */
static int read_numbers(const char *group, const char *name, double numbers[2])
{
    char path[4096], words[2][32];
    const int length = snprintf(path, sizeof path, "%s/%s", group, name);
    FILE *file = length > 0 && (size_t)length < sizeof path ? fopen(path, "re") : NULL;
    if (!file) return 0;
    const int count = fscanf(file, "%31s %31s", words[0], words[1]);
    fclose(file);
    for (int i = 0; i < count; i++)
        numbers[i] = strcmp(words[i], "max") == 0 ? INFINITY : strtod(words[i], NULL);
    return count < 0 ? 0 : count;
}

/* A quota is so many microseconds of all cores together in every period; below 0: none. */
static void limit_cores(double quota, double period, qg_group_limits *limits)
{
    if (quota > 0 && period > 0) limits->cores = fmin(limits->cores, quota / period);
}

static void limit_memory(double bytes, qg_group_limits *limits)
{
    if (bytes > 0) limits->memory = fmin(limits->memory, bytes);
}

/* What the files of one group say, whichever there are. */
static void read_group(const char *group, qg_group_limits *limits)
{
    double numbers[2], period[2];
    if (read_numbers(group, "cpu.max", numbers) == 2) limit_cores(numbers[0], numbers[1], limits);
    if (read_numbers(group, "cpu.cfs_quota_us", numbers) &&
        read_numbers(group, "cpu.cfs_period_us", period))
        limit_cores(numbers[0], period[0], limits);
    if (read_numbers(group, "memory.max", numbers)) limit_memory(numbers[0], limits);
    if (read_numbers(group, "memory.limit_in_bytes", numbers)) limit_memory(numbers[0], limits);
}

/* A group and those above it, up to the mount: each one's limit holds. In a container the path may
 * be that of the host, where the mount shows its own group only. */
static void read_groups(const char *mount, const char *path, qg_group_limits *limits)
{
    char group[4096];
    const int length = snprintf(group, sizeof group, "%s%s", mount, path);
    if (length < 0 || (size_t)length >= sizeof group) return;
    for (;;) {
        read_group(group, limits);
        char *slash = strrchr(group, '/');
        if (!slash || slash < group + strlen(mount)) return;
        *slash = '\0';
    }
}

/* Version 1 mounts each controller for itself, by its name; version 2, whose line names none, all
 * in one place. */
static void read_line(char *line, const char *root, qg_group_limits *limits)
{
    char mount[4096];
    char *names = strchr(line, ':');
    char *path = names ? strchr(names + 1, ':') : NULL;
    if (!path) return;
    *path++ = '\0';
    path[strcspn(path, "\n")] = '\0';
    if (!*++names) read_groups(root, path, limits);
    for (char *name; (name = strsep(&names, ","));) {
        const int length = snprintf(mount, sizeof mount, "%s/%s", root, name);
        if (*name && length > 0 && (size_t)length < sizeof mount) read_groups(mount, path, limits);
    }
}

qg_group_limits qg_group_limits_read(const char *list, const char *root)
{
    qg_group_limits limits = {INFINITY, INFINITY};
    FILE *file = fopen(list, "re");
    char *line = NULL;
    size_t size = 0;
    while (file && getline(&line, &size, file) > 0)
        read_line(line, root, &limits);
    free(line);
    if (file) fclose(file);
    return limits;
}

static qg_group_limits limits_of_ours(void)
{
    return qg_group_limits_read("/proc/self/cgroup", "/sys/fs/cgroup");
}

int qg_machine_cores(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    const bool known = sched_getaffinity(0, sizeof set, &set) == 0;
    const long cores = known ? CPU_COUNT(&set) : sysconf(_SC_NPROCESSORS_ONLN);
    const double most = fmin((double)cores, limits_of_ours().cores);
    return most < 1 ? 1 : (int)most;
}

double qg_machine_memory(void)
{
    return fmin((double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE),
                limits_of_ours().memory);
}
