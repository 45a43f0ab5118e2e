#include "transfer/distillation_tables.h"

#include "agent/csv.h"
#include "base/file.h"
#include "base/file_kind.h"
#include "base/text.h"
#include "transfer/student_table.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static void name_evaluations(int tasks, int task, char name[32])
{
    if (tasks == 1)
        snprintf(name, 32, "evaluations.csv");
    else
        snprintf(name, 32, "evaluations-%d.csv", task + 1);
}

int qg_distillation_tables_add(qg_run_folder *folder, int tasks)
{
    qg_run_folder_add_table(folder, "distillation.csv",
                            "samples,updates,task,temperature,kl,teacher_entropy,agreement");
    for (int k = 0; k < tasks; k++) {
        char name[32];
        name_evaluations(tasks, k, name);
        qg_run_folder_add_table(folder, name, QG_EVALUATION_COLUMNS);
    }
    return qg_student_table_add(folder);
}

/* What a task's scalars are called after: nothing where there is one task only. */
static int number_of(const qg_run_folder *folder, int task)
{
    return strcmp(folder->tables[1].name, "evaluations.csv") == 0 ? 0 : task + 1;
}

/* ---------------------------------------------------------------------------------- writing */

qg_status qg_distillation_write_lesson(const qg_run_folder *folder, int64_t samples,
                                       int64_t updates, int task, double temperature,
                                       const qg_agreement *means, qg_error *error)
{
    static const char *const names[] = {"temperature", "kl", "teacher_entropy", "agreement"};
    const double values[] = {temperature, means->kl, means->teacher_entropy, means->agreement};
    char kl[32], entropy[32], agreement[32];
    qg_status status = qg_csv_row(
        folder->tables[0].csv, error, "%" PRId64 ",%" PRId64 ",%d,%.12g,%s,%s,%s", samples, updates,
        task + 1, temperature, qg_csv_real(means->kl, kl),
        qg_csv_real(means->teacher_entropy, entropy), qg_csv_real(means->agreement, agreement));
    for (int i = 0; i < 4 && !status; i++)
        status = qg_run_folder_scalar(folder, samples, "distillation", number_of(folder, task),
                                      names[i], values[i], error);
    return status;
}

qg_status qg_distillation_write_evaluation(const qg_run_folder *folder, int64_t samples, int task,
                                           const qg_evaluation *evaluation, qg_error *error)
{
    const qg_evaluation_row row = {samples, *evaluation, NAN, NAN};
    return qg_run_folder_evaluation(folder, 1 + task, number_of(folder, task), &row, error);
}

qg_status qg_distillation_write_teachers(const qg_run_folder *folder, const qg_teacher *teachers,
                                         const qg_evaluation *evaluations, int tasks,
                                         qg_error *error)
{
    qg_csv *csv = NULL;
    qg_status status = qg_run_folder_csv(
        folder, "teachers.csv", "task,domain,score,episodes,deviation,minimum,maximum,sha256", 0,
        &csv, error);
    for (int k = 0; k < tasks && !status; k++) {
        const qg_evaluation *e = &evaluations[k];
        char name[2 * QG_DOMAIN_NAME + 2], score[32], deviation[32], minimum[32], maximum[32];
        status = qg_csv_row(
            csv, error, "%d,%s,%s,%" PRId64 ",%s,%s,%s,%s", k + 1,
            qg_csv_text(teachers[k].domain, name), qg_text_from_real(e->score, score), e->episodes,
            qg_text_from_real(e->deviation, deviation), qg_text_from_real(e->minimum, minimum),
            qg_text_from_real(e->maximum, maximum), teachers[k].sha256);
    }
    if (!status) status = qg_csv_sync(csv, error);
    qg_csv_close(csv);
    return status;
}

qg_status qg_distillation_write_held_out(const qg_run_folder *folder,
                                         const qg_temperatures *temperatures, int tasks,
                                         const qg_distillation_result *result, qg_error *error)
{
    qg_csv *csv = NULL;
    qg_status status =
        qg_run_folder_csv(folder, "held_out.csv",
                          "task,temperature,samples,kl,teacher_entropy,agreement", 0, &csv, error);
    for (int i = 0; i < tasks * temperatures->count && !status; i++) {
        const int k = i / temperatures->count, t = i % temperatures->count;
        const qg_agreement *a = &result->taught[k].held_out[t];
        char kl[32], entropy[32], agreement[32];
        status = qg_csv_row(csv, error, "%d,%.12g,%" PRId64 ",%s,%s,%s", k + 1,
                            temperatures->values[t], result->held_out, qg_csv_real(a->kl, kl),
                            qg_csv_real(a->teacher_entropy, entropy),
                            qg_csv_real(a->agreement, agreement));
    }
    if (!status) status = qg_csv_sync(csv, error);
    qg_csv_close(csv);
    return status;
}

/* ------------------------------------------------------------------------- reading them back */

/* Takes what a table tells from its lines, of which the header is none; false: it is not there. */
typedef bool scan_lines(char *lines, int task, int temperatures, qg_distillation_result *result);

static bool scan_teachers(char *lines, int task, int temperatures, qg_distillation_result *result)
{
    (void)task, (void)temperatures;
    int k;
    double score;
    char *next;
    for (char *line = strtok_r(lines, "\n", &next); line; line = strtok_r(NULL, "\n", &next)) {
        char domain[QG_DOMAIN_NAME];
        const char *const cell = strchr(line, ',');
        const char *const rest = cell ? qg_csv_read_text(cell + 1, domain, sizeof domain) : NULL;
        if (!rest || sscanf(line, "%d", &k) != 1 || sscanf(rest, ",%lf", &score) != 1 || k < 1 ||
            k > QG_MAX_TEACHERS)
            return false;
        result->taught[k - 1].teacher_score = score;
    }
    return true;
}

/* An empty cell is NaN: of a student that was lost. */
static bool scan_agreement(char *line, int *teacher, qg_agreement *a)
{
    enum { COLUMNS = 6 };
    double values[COLUMNS];
    for (int c = 0; c < COLUMNS; c++) {
        const char *const cell = strsep(&line, ",");
        values[c] = NAN;
        if (!cell || (*cell && !qg_text_to_real(cell, &values[c]))) return false;
    }
    if (line || !(values[0] >= 1 && values[0] <= QG_MAX_TEACHERS)) return false;
    *teacher = (int)values[0];
    *a = (qg_agreement){.kl = values[3], .teacher_entropy = values[4], .agreement = values[5]};
    return true;
}

static bool scan_held_out(char *lines, int task, int temperatures, qg_distillation_result *result)
{
    (void)task;
    int k, t = 0;
    char *next;
    for (char *line = strtok_r(lines, "\n", &next); line; line = strtok_r(NULL, "\n", &next), t++) {
        qg_agreement a;
        if (!scan_agreement(line, &k, &a)) return false;
        result->taught[k - 1].held_out[t % temperatures] = a;
    }
    return true;
}

/* The last line tells the student's score. */
static bool scan_score(char *lines, int task, int temperatures, qg_distillation_result *result)
{
    (void)temperatures;
    char *end = lines + strlen(lines);
    if (end > lines) end--;
    while (end > lines && end[-1] != '\n')
        end--;
    return sscanf(end, "%*d,%lf", &result->taught[task].student_score) == 1;
}

static qg_status read_table(const char *folder, const char *name, scan_lines *scan, int task,
                            int temperatures, qg_distillation_result *result, qg_error *error)
{
    uint8_t *data = NULL;
    size_t size = 0;
    char *path = qg_path_join(folder, name);
    if (!path) return qg_fail_memory(error, "a path", strlen(folder));
    qg_status status = qg_file_read(path, (size_t)1 << 30, &data, &size, error);
    const qg_file_kind kind = qg_file_kind_of(data, size);
    if (!status && !qg_file_kind_is_plain(kind))
        status = qg_fail_kind(error, QG_ERROR_DATA, path, "a table of this run", kind, NULL);
    if (!status) {
        char *text = (char *)data, *end = strchr(text, '\n');
        if (!scan(end ? end + 1 : text + size, task, temperatures, result))
            status = qg_fail(error, QG_ERROR_DATA, "%s: does not hold what the run wrote", path);
    }
    free(data);
    free(path);
    return status;
}

/* The last rows of student.csv; runs of before had none. */
static qg_status read_likeness(const char *folder, qg_distillation_result *result, qg_error *error)
{
    qg_student_row *rows;
    size_t count;
    for (int k = 0; k < QG_MAX_TEACHERS; k++)
        result->taught[k].likeness = (qg_likeness){NAN, {NAN, NAN, NAN}, NAN, NAN};
    const qg_status status = qg_student_table_read(folder, &rows, &count, error);
    if (status) return status == QG_ERROR_IO ? QG_OK : status;
    for (size_t i = 0; i < count; i++)
        result->taught[rows[i].task].likeness = rows[i].likeness;
    free(rows);
    return QG_OK;
}

double qg_share_of_teacher(double score, double teacher)
{
    if (teacher < 0) return 1 + (score - teacher) / -teacher;
    return teacher > 0 ? score / teacher : score;
}

qg_status qg_distillation_tables_read(const char *folder, const qg_temperatures *temperatures,
                                      int tasks, qg_distillation_result *result, qg_error *error)
{
    const int count = temperatures->count;
    qg_status status = read_table(folder, "teachers.csv", scan_teachers, 0, count, result, error);
    if (!status)
        status = read_table(folder, "held_out.csv", scan_held_out, 0, count, result, error);
    for (int k = 0; k < tasks && !status; k++) {
        char name[32];
        name_evaluations(tasks, k, name);
        status = read_table(folder, name, scan_score, k, count, result, error);
    }
    return status ? status : read_likeness(folder, result, error);
}
