#include "cli/study_live.h"

#include "base/clock.h"
#include "cli/progress.h"
#include "cli/study_table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* "3 finished, 2 running; 52100 steps/s; ETA 3:10" */
static void format_summary(const qg_study_moment *now, char *text, size_t size)
{
    study_totals totals;
    char states[160], eta[32];
    study_count(now->study, now->statuses, &totals);
    study_format_totals(&totals, states, sizeof states);
    cli_format_duration(now->seconds_left, eta);
    snprintf(text, size, "%s; %.0f steps/s; ETA %s%s%s", states, totals.rate,
             isnan(now->seconds_left) ? "-" : eta, *now->waits ? "; " : "", now->waits);
}

/* ------------------------------------------------------------------------------ plain lines */

static void print_change(const qg_study_moment *now, int task)
{
    const qg_task_status *s = &now->statuses[task];
    char name[QG_TASK_NAME], duration[32];
    qg_task_name(now->study, task, name, sizeof name);
    cli_format_duration(s->seconds, duration);
    if (s->state == QG_TASK_RUNNING)
        fprintf(stderr, s->step > 0 ? "%s goes on\n" : "%s started\n", name);
    else if (s->state == QG_TASK_FINISHED && !isnan(s->score))
        fprintf(stderr, "%s finished: score %.4g, %s\n", name, s->score, duration);
    else
        fprintf(stderr, "%s %s: %s\n", name, qg_task_state_name(s->state),
                *s->message ? s->message : duration);
}

static void print_lines(study_live *live, const qg_study_moment *now, int task)
{
    char summary[640];
    if (task >= 0) print_change(now, task);
    if (live->drawn <= 0) live->drawn = qg_clock_seconds(); /* the first summary comes later */
    if (qg_clock_seconds() - live->drawn < 60) return;
    live->drawn = qg_clock_seconds();
    format_summary(now, summary, sizeof summary);
    fprintf(stderr, "%s\n", summary);
}

/* -------------------------------------------------------------------------------- the table */

/* One line of at most `width` characters of the terminal. */
static void put_line(study_live *live, int width, const char *text)
{
    int used = 0;
    for (; *text && used < width; used++)
        text = cli_put_character(stderr, text);
    fputs("\033[K\n", stderr);
    live->lines++;
}

static void put_row(study_live *live, int width, int name_width, const study_rows *rows, size_t row)
{
    static const int widths[STUDY_COLUMNS] = {0, 11, 6, 8, 9, 11, 0, 0};
    char line[1024] = "", cell[512];
    for (size_t c = 0; c < STUDY_COLUMNS; c++) {
        const size_t used = strlen(line);
        if (c == 6) continue; /* the host is this one */
        study_cell(rows, row, c, cell, sizeof cell);
        snprintf(line + used, sizeof line - used, study_columns[c].number ? "%*s  " : "%-*s  ",
                 c == 0 ? name_width : widths[c], cell);
    }
    put_line(live, width, line);
}

/* Whether a task has a line of its own: what happens, and what happens next. */
static bool is_of_interest(const qg_task_status *s)
{
    return s->state != QG_TASK_FINISHED && s->state != QG_TASK_BLOCKED;
}

static void draw(study_live *live, const qg_study_moment *now)
{
    struct winsize size = {0};
    ioctl(STDERR_FILENO, TIOCGWINSZ, &size);
    const int width = size.ws_col > 1 ? size.ws_col - 1 : 79;
    const int height = size.ws_row > 4 ? size.ws_row : 24;
    char text[640];
    study_rows rows = {now->study, now->statuses, live->rows, 0};
    study_sort_rows(&rows);
    size_t shown = 0, longest = 8;
    while (shown < rows.count && (int)shown < height - 3 &&
           is_of_interest(&now->statuses[rows.tasks[shown]])) {
        qg_task_name(now->study, rows.tasks[shown++], text, sizeof text);
        longest = strlen(text) > longest ? strlen(text) : longest;
    }
    if (live->lines) fprintf(stderr, "\033[%dA\r", live->lines);
    live->lines = 0;
    for (size_t r = 0; r < shown; r++)
        put_row(live, width, longest < 40 ? (int)longest : 40, &rows, r);
    format_summary(now, text, sizeof text);
    put_line(live, width, text);
    fputs("\033[J", stderr);
    fflush(stderr);
}

void study_live_show(void *context, const qg_study_moment *now, int task)
{
    study_live *live = context;
    if (live->quiet) return;
    if (isatty(STDERR_FILENO) == 1)
        draw(live, now);
    else
        print_lines(live, now, task);
}

void study_live_end(study_live *live)
{
    if (live->lines) fprintf(stderr, "\033[%dA\r\033[J", live->lines);
    live->lines = 0;
}
