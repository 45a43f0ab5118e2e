/* What runs take on the two kinds of screens that the library's own games have. */
#include <qgraft/domain.h>

const qg_game_defaults qg_grid_defaults = {
    .preset = "grid", .steps = 1000000, .samples = 100000, .threads = 1, .fps = 10};

const qg_game_defaults qg_screen_defaults = {
    .preset = "dqn3", .steps = 25000000, .samples = 1000000, .threads = 0, .fps = 15};
