/* Copies layers of a trained network into one for another game, and trains that; from C:
 *     ./embed_graft NETWORK GAME "first 3 frozen" FOLDER [STEPS]
 */
#include <qgraft/graft.h>

#include <stdio.h>
#include <stdlib.h>

static void print_plan(const qg_graft_plan *plan)
{
    for (int l = 0; l < plan->target.layer_count; l++) {
        const qg_grafted_layer *from = &plan->layers[l];
        printf("%s: %s, %s\n", plan->target.layers[l].name,
               from->source < 0 ? "fresh" : plan->source.layers[from->source].name,
               from->frozen ? "frozen" : "free");
    }
}

int main(int argc, char **argv)
{
    qg_error error;
    qg_graft_options options = {0};
    qg_graft_plan plan;
    qg_run_result result;
    qg_architecture source;
    qg_network_info info;
    if (argc < 5) {
        fprintf(stderr, "embed_graft NETWORK GAME LAYERS FOLDER [STEPS]\n");
        return 2;
    }
    options.source = argv[1];
    qg_status status = qg_train_options_for(argv[2], &options.train, &error);
    if (!status) status = qg_graft_choice_parse(argv[3], &options.choice, &error);
    if (!status) status = qg_network_look(argv[1], &source, &info, &error);
    qg_settings *settings = &options.train.settings; /* the source's network, so that layers fit */
    if (!status) status = qg_settings_set_value(settings, "network", source.text, &error);
    options.train.run.folder = argv[4];
    if (argc > 5) options.train.steps = atoll(argv[5]);
    if (!status) status = qg_graft_look(&options, &plan, &error);
    if (!status) print_plan(&plan);
    if (!status) status = qg_graft_run(&options, &result, &error);
    if (!status) printf("last score %.4g\n", result.last_score);
    if (status) fprintf(stderr, "embed_graft: %s\n", error.message);
    return status ? 1 : 0;
}
