/* What this process may use of the machine: less than it has in a batch job or a container. */
#ifndef QG_MACHINE_H
#define QG_MACHINE_H

/* Cores, at least 1: those that the scheduler may put this process on (sched_getaffinity), and no
 * more than the quotas of its control groups let it use at once. */
int qg_machine_cores(void);

/* Bytes of memory: of the machine, or of the smallest limit of its control groups. */
double qg_machine_memory(void);

/* The limits of the control groups of a process and of those above them, versions 1 and 2
 * (cgroups(7)); infinite where there are none. */
typedef struct qg_group_limits {
    double cores, memory; /* memory in bytes */
} qg_group_limits;

/* `list`: the groups, as /proc/self/cgroup; `root`: where they are mounted, as /sys/fs/cgroup. What
 * cannot be read limits nothing. */
qg_group_limits qg_group_limits_read(const char *list, const char *root);

#endif
