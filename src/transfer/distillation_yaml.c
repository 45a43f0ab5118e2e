#include "transfer/distillation_yaml.h"

#include "agent/run_yaml.h"
#include "base/text.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* -------------------------------------------------------------------------------- pedigree */

/* Adds "parent_KEY", of a later teacher "parent_2_KEY", "parent_3_KEY". */
static qg_status note(qg_distillation_notes *notes, int task, const char *prefix, const char *key,
                      const char *value, qg_error *error)
{
    char *name = NULL, *copy = strdup(value);
    const int good = task == 0 ? asprintf(&name, "%s%s", prefix, key)
                               : asprintf(&name, "%s%d_%s", prefix, task + 1, key);
    if (good < 0) name = NULL;
    qg_note *line = &notes->list[notes->count++];
    line->key = name;
    line->value = copy;
    return name && copy ? QG_OK : qg_fail_memory(error, "the pedigree", strlen(value));
}

static qg_status note_teacher(qg_distillation_notes *notes, int task, const qg_teacher *teacher,
                              qg_error *error)
{
    char step[32], score[32], network[65];
    qg_network_sha256(&teacher->network, network);
    snprintf(step, sizeof step, "%" PRId64, teacher->info.step);
    qg_text_from_real(teacher->info.score, score);
    const char *const lines[][2] = {{"sha256", teacher->sha256},
                                    {"network_sha256", network},
                                    {"domain", teacher->domain},
                                    {"step", step},
                                    {"score", isnan(teacher->info.score) ? "" : score},
                                    {"file", teacher->path}};
    qg_status status = QG_OK;
    for (size_t i = 0; i < sizeof lines / sizeof *lines && !status; i++)
        if (lines[i][1][0]) status = note(notes, task, "parent_", lines[i][0], lines[i][1], error);
    return status;
}

qg_status qg_distillation_notes_make(qg_distillation_notes *notes,
                                     const qg_distillation_options *options,
                                     const qg_teacher *teachers, qg_error *error)
{
    const qg_temperatures *t = &options->temperatures;
    const char *const loss = qg_distillation_loss_name(options->loss);
    char copied[128], begun[32], domains[QG_MAX_TEACHERS * (QG_DOMAIN_NAME + 2)] = "";
    snprintf(begun, sizeof begun, options->loss == QG_LOSS_KL ? "distilled:" : "distilled: %s,",
             loss);
    if (t->count == 1)
        snprintf(copied, sizeof copied, "%s temperature %.12g", begun, t->values[0]);
    else
        snprintf(copied, sizeof copied, "%s %d temperatures %.12g to %.12g, by %s", begun, t->count,
                 t->values[0], t->values[t->count - 1],
                 options->order == QG_ORDER_PASS ? "pass" : "sample");
    qg_status status = note(notes, 0, "", "copied", copied, error);
    for (int k = 0; k < options->teacher_count && !status; k++) {
        status = note_teacher(notes, k, &teachers[k], error);
        strcat(strcat(domains, k ? "; " : ""), teachers[k].domain);
    }
    if (!status && options->teacher_count > 1)
        status = note(notes, 0, "", "domains", domains, error);
    return status;
}

void qg_distillation_notes_free(qg_distillation_notes *notes)
{
    for (size_t i = 0; i < notes->count; i++) {
        free((char *)(uintptr_t)notes->list[i].key);
        free((char *)(uintptr_t)notes->list[i].value);
    }
    notes->count = 0;
}

/* -------------------------------------------------------------------------------- run.yaml */

static void write_teacher(FILE *out, const qg_teacher *teacher)
{
    qg_run_yaml_text(out, "  - file", teacher->path);
    fprintf(out, "    sha256: %s\n", teacher->sha256);
    qg_run_yaml_text(out, "    domain", teacher->domain);
}

void qg_distillation_write(FILE *out, const qg_distillation_options *options)
{
    const qg_temperatures *t = &options->temperatures;
    fprintf(out, "distillation:\n  temperatures: [");
    for (int i = 0; i < t->count; i++)
        fprintf(out, "%s%.12g", i ? ", " : "", t->values[i]);
    fprintf(out, "]\n  order: %s\n", options->order == QG_ORDER_PASS ? "pass" : "sample");
    if (options->loss != QG_LOSS_KL) /* which runs did not say while there was no other */
        fprintf(out, "  loss: %s\n", qg_distillation_loss_name(options->loss));
    fprintf(out, "  samples: %" PRId64 "\n  held_out: %" PRId64 "\n  epsilon: %.17g\n",
            options->samples, qg_held_out(options->samples), options->epsilon);
}

qg_status qg_distillation_yaml(const qg_distillation_options *options, const qg_teacher *teachers,
                               const qg_settings *settings, const qg_distillation_notes *notes,
                               char **text, qg_error *error)
{
    const int tasks = options->teacher_count;
    qg_run_yaml yaml;
    const qg_status status = qg_run_yaml_open(&yaml, "distillation by qgraft", error);
    if (status) return status;
    qg_run_yaml_begin(yaml.out, "distill", tasks == 1 ? teachers[0].domain : NULL,
                      options->run.seed, options->samples * options->temperatures.count * tasks);
    qg_distillation_write(yaml.out, options);
    fprintf(yaml.out, "teachers:\n");
    for (int k = 0; k < tasks; k++)
        write_teacher(yaml.out, &teachers[k]);
    return qg_run_yaml_close(&yaml, notes->list, notes->count, settings, text, error);
}
