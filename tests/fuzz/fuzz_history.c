/* Feeds the readers of the CSV files that runs write: the report's, and those that look up the
 * result of a distillation that is complete; and of the one that a report's reader adds. */
#include "fuzz.h"

#include "report/pair_measures.h"
#include "report/run_history.h"
#include "transfer/distillation_tables.h"
#include "transfer/student_table.h"

#include <math.h>

static const char *const names[] = {"evaluations.csv", "training.csv",          "teachers.csv",
                                    "held_out.csv",    "distillation.csv",      "student.csv",
                                    "layers.csv",      "other_evaluations.csv", "measures.csv"};

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    make_scratch();
    return 0;
}

static void read_curve(void)
{
    qg_warnings warnings = {0};
    qg_curve curve;
    qg_error error;
    const qg_status status = qg_curve_read(scratch, &curve, &warnings, &error);
    check_said(status, &error);
    for (size_t i = 0; i < curve.count; i++) {
        CHECK(curve.steps[i] >= 0 && (i == 0 || curve.steps[i] > curve.steps[i - 1]));
        CHECK(isfinite(curve.scores[i]));
    }
    qg_curve_free(&curve);
    qg_training training;
    check_said(qg_training_read(scratch, &training, &warnings, &error), &error);
    CHECK(training.step >= 0 && training.episodes >= 0 && training.updates >= 0);
    qg_warnings_free(&warnings);
}

static void read_distillation(void)
{
    static qg_distillation_result result;
    const qg_temperatures temperatures = {.values = {0.1, 0.2}, .count = 2};
    qg_error error;
    check_said(qg_distillation_tables_read(scratch, &temperatures, 1, &result, &error), &error);
}

static void read_student(void)
{
    qg_student_row *rows;
    size_t count;
    qg_error error;
    const qg_status status = qg_student_table_read(scratch, &rows, &count, &error);
    check_said(status, &error);
    for (size_t i = 0; i < count; i++)
        CHECK(rows[i].samples >= 0 && 0 <= rows[i].task && rows[i].task < QG_MAX_TEACHERS);
    free(rows);
}

static void read_layers(void)
{
    qg_warnings warnings = {0};
    qg_layer_history history;
    qg_error error;
    const qg_status status = qg_layer_history_read(scratch, &history, &warnings, &error);
    check_said(status, &error);
    CHECK(status || (history.count > 0 && history.layer_count > 0));
    for (size_t i = 0; !status && i < history.count; i++)
        CHECK(history.steps[i] >= 0 && (i == 0 || history.steps[i] > history.steps[i - 1]));
    for (size_t i = 0; !status && i < history.count * (size_t)history.layer_count; i++)
        CHECK(!isinf(history.rows[i].values[QG_SOURCE_DISTANCE]));
    qg_layer_history_free(&history);
    qg_warnings_free(&warnings);
}

static void read_other_score(void)
{
    for (int64_t step = -1; step <= 20; step += 21) {
        qg_warnings warnings = {0};
        double score;
        qg_error error;
        const qg_status status =
            qg_other_score_read(scratch, "minatar/breakout", step, &score, &warnings, &error);
        check_said(status, &error);
        CHECK(status || !isinf(score));
        qg_warnings_free(&warnings);
    }
}

static void read_pair_measures(void)
{
    qg_game_pair pair = {.games = {0, 1}};
    qg_game_map map = {.game_count = 2,
                       .games = {"minatar/asterix", "minatar/breakout"},
                       .pairs = &pair,
                       .pair_count = 1,
                       .predictor_count = QG_MEASURES_OF_GRADE};
    qg_error error;
    check_said(qg_pair_measures_read(scratch, &map, &error), &error);
    CHECK(map.predictor_count <= QG_MOST_PREDICTORS);
    for (size_t k = QG_MEASURES_OF_GRADE; k < map.predictor_count; k++) {
        CHECK(strlen(map.predictors[k].name) < sizeof map.predictors[k].name);
        CHECK(!isinf(pair.measures[k]));
    }
}

/* The first byte says which file the rest is; the others stay as they were. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) return 0;
    const size_t which = data[0] % (sizeof names / sizeof *names);
    scratch_write(scratch_path(names[which]), data + 1, size - 1);
    read_curve();
    read_distillation();
    read_student();
    read_layers();
    read_other_score();
    read_pair_measures();
    return 0;
}
