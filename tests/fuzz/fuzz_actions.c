/* Feeds the reader of lists of actions (qgraft rollout --actions). */
#include "fuzz.h"

#include "cli/actions.h"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    make_scratch();
    return 0;
}

static void read_as(const char *name, const uint8_t *data, size_t size)
{
    const qg_game *game;
    char domain[QG_DOMAIN_NAME];
    int64_t *actions;
    size_t count = 0;
    qg_error error;
    CHECK(qg_domain_resolve("minatar/seaquest", &game, domain, &error) == QG_OK);
    scratch_write(scratch_path(name), data, size);
    const qg_status status =
        cli_read_actions(scratch_path(name), game, QG_ACTIONS_MINIMAL, &actions, &count, &error);
    check_said(status, &error);
    for (size_t i = 0; status == QG_OK && i < count; i++)
        CHECK(actions[i] >= 0 && actions[i] < game->action_count);
    free(actions);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    read_as("actions.txt", data, size);
    read_as("actions.safetensors", data, size);
    return 0;
}
