#include "transfer/distillation_folder.h"

#include "agent/run_yaml.h"
#include "base/file.h"
#include "base/file_kind.h"
#include "base/text.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* -------------------------------------------------------------------------------- pedigree */

/* Adds "parent_KEY", of a later teacher "parent_2_KEY", "parent_3_KEY". */
static qg_status note(qg_distillation_folder *folder, int task, const char *prefix, const char *key,
                      const char *value, qg_error *error)
{
    char *name = NULL, *copy = strdup(value);
    const int good = task == 0 ? asprintf(&name, "%s%s", prefix, key)
                               : asprintf(&name, "%s%d_%s", prefix, task + 1, key);
    if (good < 0) name = NULL;
    qg_note *line = &folder->notes[folder->note_count++];
    line->key = name;
    line->value = copy;
    return name && copy ? QG_OK : qg_fail_memory(error, "the pedigree", strlen(value));
}

static qg_status note_teacher(qg_distillation_folder *folder, int task, const qg_teacher *teacher,
                              qg_error *error)
{
    char step[32], score[32];
    snprintf(step, sizeof step, "%" PRId64, teacher->info.step);
    qg_text_from_real(teacher->info.score, score);
    const char *const lines[][2] = {{"sha256", teacher->sha256},
                                    {"domain", teacher->domain},
                                    {"step", step},
                                    {"score", isnan(teacher->info.score) ? "" : score},
                                    {"file", teacher->path}};
    qg_status status = QG_OK;
    for (size_t i = 0; i < sizeof lines / sizeof *lines && !status; i++)
        if (lines[i][1][0]) status = note(folder, task, "parent_", lines[i][0], lines[i][1], error);
    return status;
}

static qg_status make_notes(qg_distillation_folder *folder, const qg_distillation_options *options,
                            const qg_teacher *teachers, qg_error *error)
{
    const qg_temperatures *t = &options->temperatures;
    char copied[128], domains[QG_MAX_TEACHERS * (QG_DOMAIN_NAME + 2)] = "";
    if (t->count == 1)
        snprintf(copied, sizeof copied, "distilled: temperature %.12g", t->values[0]);
    else
        snprintf(copied, sizeof copied, "distilled: %d temperatures %.12g to %.12g, by %s",
                 t->count, t->values[0], t->values[t->count - 1],
                 options->order == QG_ORDER_PASS ? "pass" : "sample");
    qg_status status = note(folder, 0, "", "copied", copied, error);
    for (int k = 0; k < folder->tasks && !status; k++) {
        status = note_teacher(folder, k, &teachers[k], error);
        strcat(strcat(domains, k ? "; " : ""), teachers[k].domain);
    }
    if (!status && folder->tasks > 1) status = note(folder, 0, "", "domains", domains, error);
    return status;
}

/* -------------------------------------------------------------------------------- run.yaml */

static void write_teacher(FILE *out, const qg_teacher *teacher)
{
    fprintf(out, "  - file: ");
    qg_yaml_string(out, teacher->path);
    fprintf(out, "\n    sha256: %s\n    domain: ", teacher->sha256);
    qg_yaml_string(out, teacher->domain);
    fputc('\n', out);
}

void qg_distillation_write(FILE *out, const qg_distillation_options *options)
{
    const qg_temperatures *t = &options->temperatures;
    fprintf(out, "distillation:\n  temperatures: [");
    for (int i = 0; i < t->count; i++)
        fprintf(out, "%s%.12g", i ? ", " : "", t->values[i]);
    fprintf(out, "]\n  order: %s\n", options->order == QG_ORDER_PASS ? "pass" : "sample");
    fprintf(out, "  samples: %" PRId64 "\n  held_out: %" PRId64 "\n  epsilon: %.17g\n",
            options->samples, qg_held_out(options->samples), options->epsilon);
}

/* The text of run.yaml; the caller frees it. */
static qg_status make_run(const qg_distillation_folder *folder,
                          const qg_distillation_options *options, const qg_teacher *teachers,
                          const qg_settings *settings, char **text, qg_error *error)
{
    size_t size = 0;
    *text = NULL;
    FILE *out = qg_text_stream(text, &size);
    if (!out) return qg_fail_memory(error, "run.yaml", 4096);
    fprintf(out, "# One distillation by qgraft; the same values give the same files.\n");
    fprintf(out, "qgraft: %s\ninstruction_set: %s\n", QG_VERSION,
            qg_engine_isa(teachers[0].engine));
    qg_run_yaml_begin(out, "distill", folder->tasks == 1 ? teachers[0].domain : NULL,
                      options->run.seed,
                      options->samples * options->temperatures.count * folder->tasks);
    qg_distillation_write(out, options);
    fprintf(out, "teachers:\n");
    for (int k = 0; k < folder->tasks; k++)
        write_teacher(out, &teachers[k]);
    for (size_t i = 0; i < folder->note_count; i++) {
        fprintf(out, "%s: ", folder->notes[i].key);
        qg_yaml_string(out, folder->notes[i].value);
        fputc('\n', out);
    }
    qg_status status = qg_run_yaml_settings(out, settings, error);
    if (fclose(out) != 0 && !status) status = qg_fail_memory(error, "run.yaml", 4096);
    if (status) {
        free(*text);
        *text = NULL;
    }
    return status;
}

/* ---------------------------------------------------------------------------- open and close */

qg_status qg_distillation_folder_create(qg_distillation_folder *folder,
                                        const qg_distillation_options *options,
                                        const qg_teacher *teachers, const qg_settings *settings,
                                        qg_error *error)
{
    folder->tasks = options->teacher_count;
    qg_status status = make_notes(folder, options, teachers, error);
    if (!status) status = make_run(folder, options, teachers, settings, &folder->run_yaml, error);
    if (status) return status;
    const qg_run_claim claim = {options->run.folder, folder->run_yaml, options->run.overwrite,
                                options->run.resume};
    return qg_run_folder_create(&folder->run, &claim, error);
}

#define LESSON_COLUMNS "samples,updates,task,temperature,kl,teacher_entropy,agreement"

static void name_evaluations(const qg_distillation_folder *folder, int task, char name[64])
{
    if (folder->tasks == 1)
        snprintf(name, 64, "evaluations.csv");
    else
        snprintf(name, 64, "evaluations-%d.csv", task + 1);
}

qg_status qg_distillation_folder_begin(qg_distillation_folder *folder, qg_error *error)
{
    char name[64];
    qg_status status = qg_run_folder_begin(&folder->run, folder->run_yaml, error);
    if (!status)
        status = qg_run_folder_csv(&folder->run, "distillation.csv", LESSON_COLUMNS, 0,
                                   &folder->lessons, error);
    for (int k = 0; k < folder->tasks && !status; k++) {
        name_evaluations(folder, k, name);
        status = qg_run_folder_csv(&folder->run, name, QG_EVALUATION_COLUMNS, 0,
                                   &folder->evaluations[k], error);
    }
    return status ? status : qg_run_folder_begin_events(&folder->run, error);
}

qg_status qg_distillation_folder_pass(qg_distillation_folder *folder, qg_tape *tape,
                                      qg_error *error)
{
    char name[64];
    qg_status status = qg_run_folder_pass_csv(&folder->run, tape, "distillation.csv",
                                              LESSON_COLUMNS, &folder->lessons, error);
    for (int k = 0; k < folder->tasks && !status; k++) {
        name_evaluations(folder, k, name);
        status = qg_run_folder_pass_csv(&folder->run, tape, name, QG_EVALUATION_COLUMNS,
                                        &folder->evaluations[k], error);
    }
    return status ? status : qg_run_folder_pass_events(&folder->run, tape, error);
}

qg_status qg_distillation_folder_sync(const qg_distillation_folder *folder, qg_error *error)
{
    qg_status status = qg_csv_sync(folder->lessons, error);
    for (int k = 0; k < folder->tasks && !status; k++)
        status = qg_csv_sync(folder->evaluations[k], error);
    return status ? status : qg_run_folder_sync(&folder->run, error);
}

void qg_distillation_folder_close(qg_distillation_folder *folder)
{
    qg_csv_close(folder->lessons);
    for (int k = 0; k < folder->tasks; k++)
        qg_csv_close(folder->evaluations[k]);
    for (size_t i = 0; i < folder->note_count; i++) {
        free((char *)(uintptr_t)folder->notes[i].key);
        free((char *)(uintptr_t)folder->notes[i].value);
    }
    free(folder->run_yaml);
    qg_run_folder_close(&folder->run);
    *folder = (qg_distillation_folder){.run = {.lock = {-1}}};
}

/* ---------------------------------------------------------------------------------- tables */

/* "NAME/tag", of one of several tasks "NAME-2/tag". */
static qg_status scalar(const qg_distillation_folder *folder, int64_t step, int task,
                        const char *name, const char *tag, double value, qg_error *error)
{
    char text[96];
    if (folder->tasks == 1)
        snprintf(text, sizeof text, "%s/%s", name, tag);
    else
        snprintf(text, sizeof text, "%s-%d/%s", name, task + 1, tag);
    return qg_run_folder_scalar(&folder->run, step, text, value, error);
}

qg_status qg_distillation_folder_lesson(qg_distillation_folder *folder, int64_t samples,
                                        int64_t updates, int task, double temperature,
                                        const qg_lesson_sums *sums, qg_error *error)
{
    const qg_agreement means = qg_lesson_means(sums);
    char kl[32], entropy[32], agreement[32];
    qg_text_from_real(means.kl, kl);
    qg_text_from_real(means.teacher_entropy, entropy);
    qg_text_from_real(means.agreement, agreement);
    qg_status status =
        qg_csv_row(folder->lessons, error, "%" PRId64 ",%" PRId64 ",%d,%.12g,%s,%s,%s", samples,
                   updates, task + 1, temperature, kl, entropy, agreement);
    const char *name = "distillation";
    if (!status) status = scalar(folder, samples, task, name, "temperature", temperature, error);
    if (!status) status = scalar(folder, samples, task, name, "kl", means.kl, error);
    if (!status)
        status =
            scalar(folder, samples, task, name, "teacher_entropy", means.teacher_entropy, error);
    if (!status) status = scalar(folder, samples, task, name, "agreement", means.agreement, error);
    return status;
}

qg_status qg_distillation_folder_evaluation(qg_distillation_folder *folder, int64_t samples,
                                            int task, const qg_evaluation *evaluation,
                                            qg_error *error)
{
    const qg_evaluation_row row = {samples, *evaluation, NAN, NAN};
    const qg_status status = qg_evaluation_write(folder->evaluations[task], &row, error);
    return status ? status
                  : scalar(folder, samples, task, "evaluation", "score", evaluation->score, error);
}

qg_status qg_distillation_folder_teachers(const qg_distillation_folder *folder,
                                          const qg_teacher *teachers,
                                          const qg_evaluation *evaluations, qg_error *error)
{
    qg_csv *csv = NULL;
    qg_status status = qg_run_folder_csv(
        &folder->run, "teachers.csv", "task,domain,score,episodes,deviation,minimum,maximum,sha256",
        0, &csv, error);
    for (int k = 0; k < folder->tasks && !status; k++) {
        const qg_evaluation *e = &evaluations[k];
        char score[32], deviation[32], minimum[32], maximum[32];
        qg_text_from_real(e->score, score);
        qg_text_from_real(e->deviation, deviation);
        qg_text_from_real(e->minimum, minimum);
        qg_text_from_real(e->maximum, maximum);
        status = qg_csv_row(csv, error, "%d,\"%s\",%s,%" PRId64 ",%s,%s,%s,%s", k + 1,
                            teachers[k].domain, score, e->episodes, deviation, minimum, maximum,
                            teachers[k].sha256);
    }
    if (!status) status = qg_csv_sync(csv, error);
    qg_csv_close(csv);
    return status;
}

qg_status qg_distillation_folder_held_out(const qg_distillation_folder *folder,
                                          const qg_temperatures *temperatures,
                                          const qg_distillation_result *result, qg_error *error)
{
    qg_csv *csv = NULL;
    qg_status status =
        qg_run_folder_csv(&folder->run, "held_out.csv",
                          "task,temperature,samples,kl,teacher_entropy,agreement", 0, &csv, error);
    for (int k = 0; k < folder->tasks && !status; k++)
        for (int t = 0; t < temperatures->count && !status; t++) {
            const qg_agreement *a = &result->taught[k].held_out[t];
            char kl[32], entropy[32], agreement[32];
            qg_text_from_real(a->kl, kl);
            qg_text_from_real(a->teacher_entropy, entropy);
            qg_text_from_real(a->agreement, agreement);
            status = qg_csv_row(csv, error, "%d,%.12g,%" PRId64 ",%s,%s,%s", k + 1,
                                temperatures->values[t], result->held_out, kl, entropy, agreement);
        }
    if (!status) status = qg_csv_sync(csv, error);
    qg_csv_close(csv);
    return status;
}

/* ------------------------------------------------------------------------- reading them back */

/* The lines of a table behind its header; the caller frees *text. */
static qg_status read_table(const qg_distillation_folder *folder, const char *name, char **text,
                            char **lines, qg_error *error)
{
    uint8_t *data = NULL;
    size_t size;
    char *path = qg_path_join(folder->run.path, name);
    if (!path) return qg_fail_memory(error, "a path", strlen(folder->run.path));
    qg_status status = qg_file_read(path, (size_t)1 << 30, &data, &size, error);
    const qg_file_kind kind = qg_file_kind_of(data, size);
    if (!status && !qg_file_kind_is_plain(kind))
        status = qg_fail_kind(error, QG_ERROR_DATA, path, "a table of this run", kind, NULL);
    free(path);
    *text = (char *)data;
    if (status) return status;
    char *end = strchr(*text, '\n');
    *lines = end ? end + 1 : *text + size;
    return QG_OK;
}

static char *last_line(char *lines)
{
    char *end = lines + strlen(lines);
    if (end > lines) end--;
    while (end > lines && end[-1] != '\n')
        end--;
    return end;
}

/* Scans the table NAME with `scan`, which says whether it found what it needs. */
typedef bool scan_lines(char *lines, int task, const qg_temperatures *temperatures,
                        qg_distillation_result *result, int64_t *updates);

static bool scan_teachers(char *lines, int task, const qg_temperatures *temperatures,
                          qg_distillation_result *result, int64_t *updates)
{
    (void)task, (void)temperatures, (void)updates;
    int k;
    double score;
    for (char *line = strtok(lines, "\n"); line; line = strtok(NULL, "\n")) {
        if (sscanf(line, "%d,\"%*[^\"]\",%lf", &k, &score) != 2 || k < 1 || k > QG_MAX_TEACHERS)
            return false;
        result->taught[k - 1].teacher_score = score;
    }
    return true;
}

static bool scan_held_out(char *lines, int task, const qg_temperatures *temperatures,
                          qg_distillation_result *result, int64_t *updates)
{
    (void)task, (void)updates;
    int k, t = 0;
    for (char *line = strtok(lines, "\n"); line; line = strtok(NULL, "\n"), t++) {
        qg_agreement a;
        if (sscanf(line, "%d,%*f,%*d,%lf,%lf,%lf", &k, &a.kl, &a.teacher_entropy, &a.agreement) !=
                4 ||
            k < 1 || k > QG_MAX_TEACHERS)
            return false;
        result->taught[k - 1].held_out[t % temperatures->count] = a;
    }
    return true;
}

static bool scan_score(char *lines, int task, const qg_temperatures *temperatures,
                       qg_distillation_result *result, int64_t *updates)
{
    (void)temperatures, (void)updates;
    return sscanf(last_line(lines), "%*d,%lf", &result->taught[task].student_score) == 1;
}

static bool scan_updates(char *lines, int task, const qg_temperatures *temperatures,
                         qg_distillation_result *result, int64_t *updates)
{
    (void)task, (void)temperatures, (void)result;
    return sscanf(last_line(lines), "%*d,%" SCNd64, updates) == 1;
}

qg_status qg_distillation_folder_read(const qg_distillation_folder *folder,
                                      const qg_temperatures *temperatures,
                                      qg_distillation_result *result, int64_t *updates,
                                      qg_error *error)
{
    qg_status status = QG_OK;
    for (int i = 0; i < 3 + folder->tasks && !status; i++) {
        static const char *const names[] = {"teachers.csv", "held_out.csv", "distillation.csv"};
        static scan_lines *const scans[] = {scan_teachers, scan_held_out, scan_updates};
        char name[64], *text = NULL, *lines = NULL;
        if (i < 3)
            snprintf(name, sizeof name, "%s", names[i]);
        else
            name_evaluations(folder, i - 3, name);
        status = read_table(folder, name, &text, &lines, error);
        if (!status &&
            !(i < 3 ? scans[i] : scan_score)(lines, i - 3, temperatures, result, updates))
            status = qg_fail(error, QG_ERROR_DATA, "%s/%s: does not hold what the run wrote",
                             folder->run.path, name);
        free(text);
    }
    return status;
}
