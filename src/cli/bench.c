/* What the parts of qgraft bench share: figures are printed and kept, work is repeated and timed, a
 * folder is there for the while. */
#include "cli/bench.h"

#include <ftw.h>
#include <stdlib.h>
#include <unistd.h>

enum { MAX_TIMES = 1 << 16 };

void bench_begin(bench_session *bench, const char *subject, const char *what)
{
    bench->subject = subject;
    bench->what = what;
    if (bench->json) return;
    printf("%-7s  %-42s", subject, what);
    fflush(stdout);
}

void bench_figure(bench_session *bench, const char *name, double value, const char *unit)
{
    json_array_append_new(bench->figures,
                          json_pack("{s:s, s:s, s:s, s:f, s:s}", "subject", bench->subject, "what",
                                    bench->what, "name", name, "value", value, "unit", unit));
    if (!bench->json) printf("  %s %.4g %s", name, value, unit);
}

void bench_end(bench_session *bench)
{
    if (bench->json) return;
    putchar('\n');
    fflush(stdout);
}

void bench_skip(bench_session *bench, const char *what, const qg_error *reason)
{
    json_array_append_new(bench->skipped, json_sprintf("%s: %s", what, reason->message));
    if (!bench->json) printf("%s is left out: %s\n", what, reason->message);
}

qg_status bench_check(qg_error *error)
{
    return cli_interrupted() ? qg_fail(error, QG_STOPPED, "stopped") : QG_OK;
}

static int compare_times(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

qg_status bench_repeat(const bench_session *bench, bench_work *work, void *context,
                       bench_times *times, qg_error *error)
{
    double *all = malloc(MAX_TIMES * sizeof *all), sum = 0;
    if (!all) return qg_fail_memory(error, "times", MAX_TIMES * sizeof *all);
    int count = 0;
    qg_status status = work(context, error);
    for (double now = qg_clock_seconds(), end = now + bench->seconds;
         !status && count < MAX_TIMES && (count < 5 || now < end); count++) {
        status = work(context, error);
        const double after = qg_clock_seconds();
        sum += all[count] = after - now;
        now = after;
        if (!status) status = bench_check(error);
    }
    qsort(all, (size_t)count, sizeof *all, compare_times);
    if (!status) *times = (bench_times){all[0], all[count / 2], sum / count};
    free(all);
    return status;
}

qg_status bench_folder_create(char path[512], qg_error *error)
{
    const char *parent = getenv("TMPDIR");
    snprintf(path, 512, "%.400s/qgraft-bench-XXXXXX", parent && *parent ? parent : "/tmp");
    return mkdtemp(path) ? QG_OK : qg_fail_errno(error, "%s: cannot create the folder", path);
}

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *walk)
{
    (void)info, (void)type, (void)walk;
    return remove(path);
}

void bench_folder_remove(const char *path)
{
    nftw(path, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

qg_status bench_set(const bench_session *bench, qg_settings *settings, qg_error *error)
{
    qg_status status = QG_OK;
    for (int i = 0; i < bench->set_count && !status; i++)
        status = qg_settings_set(settings, bench->sets[i], error);
    return status;
}
