/* How well students follow their teachers, of the networks that layers are copied from; and whether
 * it is said of all of them. */
#include "report/stages.h"

#include "base/file.h"
#include "network/safetensors.h"
#include "study/reader.h"
#include "transfer/distillation_tables.h"
#include "transfer/student_table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------------------ of one student */

/* As the run chose its best network: the score, of several teachers the mean share of theirs. */
static double grade(const qg_student_row *rows, size_t count)
{
    double sum = 0;
    if (count == 1) return rows[0].score;
    for (size_t i = 0; i < count; i++)
        sum += qg_share_of_teacher(rows[i].score, rows[i].teacher_score);
    return sum / (double)count;
}

/* The rows of the evaluation whose network is taken: a best one is of any but the first. */
static const qg_student_row *find_taken(const qg_study_source *source, const qg_student_row *rows,
                                        size_t *count)
{
    const qg_student_row *taken = rows;
    size_t taken_count = 0;
    double best = NAN;
    for (size_t i = 0, next; i < *count; i = next) {
        for (next = i + 1; next < *count && rows[next].samples == rows[i].samples;)
            next++;
        const double score = grade(&rows[i], next - i);
        if (source->take != QG_TAKE_LAST && rows[i].samples > 0 && score <= best) continue;
        if (rows[i].samples > 0) best = score;
        taken = &rows[i];
        taken_count = next - i;
    }
    *count = taken_count;
    return taken;
}

static void add(qg_student_score *sum, const qg_likeness *l, double score, double teacher)
{
    sum->seeds++;
    sum->score += score;
    sum->teacher += teacher;
    sum->likeness.loss += l->loss;
    sum->likeness.agreement.kl += l->agreement.kl;
    sum->likeness.agreement.teacher_entropy += l->agreement.teacher_entropy;
    sum->likeness.agreement.agreement += l->agreement.agreement;
    sum->likeness.advantage_scale += l->advantage_scale;
    sum->likeness.value_correlation += l->value_correlation;
}

/* What runs of before student.csv say, of their last network. */
static qg_status add_older(const qg_study_run *run, const char *folder, qg_student_score *sums,
                           qg_error *error)
{
    qg_temperatures temperatures;
    qg_distillation_result result = {.updates = 0};
    qg_status status = qg_temperatures_parse(run->temperature, &temperatures, error);
    if (!status)
        status =
            qg_distillation_tables_read(folder, &temperatures, run->teacher_count, &result, error);
    for (int k = 0; k < run->teacher_count && !status; k++) {
        qg_taught *taught = &result.taught[k];
        taught->likeness.agreement = taught->held_out[temperatures.count - 1];
        add(&sums[k], &taught->likeness, taught->student_score, taught->teacher_score);
    }
    return status;
}

static qg_status add_student(qg_results *r, const qg_study_source *source, const char *folder,
                             qg_student_score *sums, qg_error *error)
{
    const qg_study_run *run = &r->study->runs[source->run];
    qg_student_row *rows;
    size_t count;
    qg_status status = qg_student_table_read(folder, &rows, &count, error);
    const bool older = status == QG_ERROR_IO;
    if (older) status = add_older(run, folder, sums, error);
    const qg_student_row *const taken = status || older ? NULL : find_taken(source, rows, &count);
    for (size_t i = 0; taken && i < count; i++)
        if (taken[i].task < run->teacher_count)
            add(&sums[taken[i].task], &taken[i].likeness, taken[i].score, taken[i].teacher_score);
    free(rows);
    if (status == QG_ERROR_MEMORY) return status;
    if (status) {
        char message[sizeof error->message];
        memcpy(message, error->message, sizeof message);
        return qg_warn(&r->warnings, error,
                       "how a student of %s follows its teacher is not known: %s", source->name,
                       message);
    }
    return !older ? QG_OK
                  : qg_warn(&r->warnings, error,
                            "the student %s was made before runs wrote student.csv: the scale of "
                            "its advantages and the correlation of its values are not known",
                            source->name);
}

static void divide(qg_student_score *sum)
{
    const double seeds = (double)sum->seeds; /* NaN where there are none */
    qg_likeness *const l = &sum->likeness;
    double *const values[] = {&sum->score,
                              &sum->teacher,
                              &l->loss,
                              &l->agreement.kl,
                              &l->agreement.teacher_entropy,
                              &l->agreement.agreement,
                              &l->advantage_scale,
                              &l->value_correlation};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        *values[i] /= seeds;
}

/* -------------------------------------------------------------------------------- what to say */

/* Whether a graft takes the outputs of the source's network over. */
static bool copies_outputs(const qg_study *study, const qg_study_run *run)
{
    qg_architecture source, target;
    qg_grafted_layer layers[QG_MAX_LAYERS];
    qg_error ignored;
    return run->kind == QG_RUN_GRAFT && run->source >= 0 &&
           qg_study_source_network(study, &study->sources[run->source], &source) &&
           qg_study_run_network(study, run, &target) &&
           qg_graft_pair(&source, &target, &run->choice, layers, &ignored) == QG_OK &&
           layers[target.layer_count - 1].source == source.layer_count - 1;
}

/* Of a student with another scale than its teacher's: grafts of its outputs compare scales. */
static qg_status warn_of_scale(qg_results *r, int source, const qg_student_score *score,
                               qg_error *error)
{
    const qg_study *study = r->study;
    const double scale = score->likeness.advantage_scale;
    const qg_study_run *first = NULL;
    int count = 0;
    if (!(scale < 1 / QG_SCALE_IS_OFF || scale > QG_SCALE_IS_OFF)) return QG_OK;
    for (int i = study->run_count - 1; i >= 0; i--)
        if (study->runs[i].source == source && copies_outputs(study, &study->runs[i])) {
            first = &study->runs[i];
            count++;
        }
    if (!first) return QG_OK;
    return qg_warn(&r->warnings, error,
                   "the student %s has advantages %.3g times its teacher's: what copies its last "
                   "layer (%s%s) begins with another scale of outputs than a copy of the teacher's "
                   "would; a student with `loss: mse` is the control",
                   study->sources[source].name, scale, first->id, count > 1 ? ", ..." : "");
}

/* Of a student that comes as a file, from a run that is none of the study's. */
static qg_status warn_of_file(qg_results *r, const qg_study_source *source, qg_error *error)
{
    qg_tensors *tensors = NULL;
    qg_error ignored;
    if (source->file_count == 0 || qg_tensors_load(source->files[0], &tensors, &ignored))
        return QG_OK; /* what reads the networks themselves says so */
    const char *const copied = qg_tensors_metadata(tensors, "copied");
    qg_status status = QG_OK;
    if (copied && strncmp(copied, "distilled", strlen("distilled")) == 0)
        status = qg_warn(&r->warnings, error,
                         "the source %s is a student without its teacher (%.60s, made elsewhere): "
                         "how well it follows it is not known here",
                         source->name, copied);
    qg_tensors_free(tensors);
    return status;
}

/* ------------------------------------------------------------------------------------ of all */

static qg_status find_scores(qg_results *r, int index, qg_error *error)
{
    const qg_study *study = r->study;
    const qg_study_source *source = &study->sources[index];
    qg_student_score *const sums = r->student_scores[index];
    qg_status status = QG_OK;
    for (int t = 0; t < study->task_count && !status; t++) {
        if (study->tasks[t].run != source->run || r->statuses[t].state != QG_TASK_FINISHED)
            continue;
        char *folder = qg_path_join(r->folder, study->tasks[t].folder);
        if (!folder) return qg_fail_memory(error, "a path", strlen(r->folder));
        status = add_student(r, source, folder, sums, error);
        free(folder);
    }
    for (int k = 0; k < study->runs[source->run].teacher_count && !status; k++) {
        divide(&sums[k]);
        status = warn_of_scale(r, index, &sums[k], error);
    }
    return status;
}

qg_status qg_results_find_student_scores(qg_results *r, qg_error *error)
{
    const qg_study *study = r->study;
    r->student_scores =
        qg_results_memory((size_t)study->source_count, sizeof *r->student_scores, error);
    if (!r->student_scores) return error->code;
    qg_status status = QG_OK;
    for (int i = 0; i < study->source_count && !status; i++) {
        const qg_study_source *source = &study->sources[i];
        if (source->run < 0)
            status = warn_of_file(r, source, error);
        else if (study->runs[source->run].kind == QG_RUN_DISTILL)
            status = find_scores(r, i, error);
    }
    return status;
}
