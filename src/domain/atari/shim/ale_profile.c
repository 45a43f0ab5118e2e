/* Random play, for the compiler to see where the emulator spends its time: ale_profile ROM...
 * Each ROM is played for some thousand frames; without -fprofile-generate it prints frames per
 * second. */
#include "ale_shim.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { FRAMES = 12000 };

static int fail(const qg_error *error)
{
    fprintf(stderr, "ale_profile: %s\n", error->message);
    return 1;
}

static int play(const char *rom)
{
    const qg_ale *ale = qg_ale_table();
    const qg_emulator_start start = {
        .seed = 1, .mode = QG_ALE_DEFAULT, .difficulty = QG_ALE_DEFAULT};
    qg_emulator *emulator;
    qg_error error;
    if (ale->create(rom, &start, &emulator, &error)) return fail(&error);
    const qg_emulator_facts *facts = ale->facts(emulator);
    uint32_t random = 1;
    int action = 0;
    qg_status status = QG_OK;
    for (int frame = 0; frame < FRAMES && !status; frame++) {
        qg_emulator_frame result;
        if (frame % 4 == 0) {
            random = random * 1664525u + 1013904223u;
            action = facts->minimal[(random >> 8) % (uint32_t)facts->minimal_count];
        }
        status = ale->act(emulator, action, &result, &error);
        if (!status && result.over) status = ale->restart(emulator, random, &error);
    }
    ale->destroy(emulator);
    return status ? fail(&error) : 0;
}

int main(int count, char **roms)
{
    for (int i = 1; i < count; i++)
        if (play(roms[i])) return 1;
    return 0;
}
