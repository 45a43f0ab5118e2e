/* Feeds the readers of run.yaml and process.yaml (those that go on with a run, and the report's)
 * and of what measurements found. */
#include "fuzz.h"

#include <qgraft/measurement.h>

#include "agent/run_yaml.h"
#include "report/run_facts.h"

#include <math.h>

static const char ours[] = "# One run of qgraft; the same values give the same files.\n"
                           "qgraft: 0.1.0\n"
                           "domain: \"minatar/breakout\"\nseed: 1\nsteps: 60\n"
                           "settings:\n  preset: grid\n  history: 1\n";

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    make_scratch();
    return 0;
}

static void read_measurements(void)
{
    qg_error error;
    qg_similarity similarity;
    double score;
    qg_status status = qg_random_score_read(scratch, &score, &error);
    check_said(status, &error);
    CHECK(status || isfinite(score));
    status = qg_similarity_read(scratch, &similarity, &error);
    check_said(status, &error);
    CHECK(status || (similarity.grade >= 0 && similarity.grade <= 1));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static qg_run_facts facts; /* static: what is left uninitialised would be found */
    qg_run_state state;
    qg_error error;
    char *text = calloc(size + 1, 1);
    if (!text) return 0;
    memcpy(text, data, size);
    check_said(qg_run_yaml_compare("folder", text, ours, &error), &error);
    free(text);
    scratch_write(scratch_path("run.yaml"), data, size);
    scratch_write(scratch_path("process.yaml"), data, size);
    check_said(qg_run_look(scratch, &state, &error), &error);
    qg_run_facts_read(scratch, &facts);
    scratch_write(scratch_path("random-score.json"), data, size);
    scratch_write(scratch_path("similarity.json"), data, size);
    read_measurements();
    return 0;
}
