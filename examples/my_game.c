/* A game of one's own as a plugin: catch. Ten balls fall, one after the other; a paddle three cells
 * wide moves along the bottom; a catch gives 1. The object needs qgraft's headers only:
 *
 *   cc -shared -fPIC -o my_game.so my_game.c $(pkg-config --cflags qgraft)
 *   qgraft train catch --domain-plugin ./my_game.so */
#include <qgraft/plugin.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIDE = 10, CHANNELS = 2, BALLS = 10 }; /* channel 0: the paddle, 1: the ball */

/* Plain data, so that save and restore copy it. */
typedef struct catch_game {
    uint32_t random;
    int32_t paddle;         /* column of its middle */
    int32_t ball_x, ball_y; /* row 0 is the top */
    int32_t balls;          /* that are gone; BALLS: the game is over */
} catch_game;

typedef struct catch_domain {
    catch_game game;
    uint8_t pixels[SIDE * SIDE];
} catch_domain;

static void drop_ball(catch_game *game)
{
    game->random = game->random * 1664525u + 1013904223u; /* Numerical Recipes' generator */
    game->ball_x = (int32_t)((game->random >> 16) % SIDE);
    game->ball_y = 0;
}

static qg_status start(void *self, qg_error *error)
{
    (void)error;
    catch_game *game = &((catch_domain *)self)->game;
    game->paddle = SIDE / 2;
    game->balls = 0;
    drop_ball(game);
    return QG_OK;
}

static qg_status play(void *self, int action, qg_step *frame, qg_error *error)
{
    (void)error;
    catch_game *game = &((catch_domain *)self)->game;
    game->paddle += (action == 2) - (action == 1);
    if (game->paddle < 1) game->paddle = 1;
    if (game->paddle > SIDE - 2) game->paddle = SIDE - 2;
    if (++game->ball_y < SIDE - 1) return QG_OK;
    if (abs(game->ball_x - game->paddle) <= 1) frame->reward = 1;
    if (++game->balls == BALLS)
        frame->end = true;
    else
        drop_ball(game);
    return QG_OK;
}

static qg_status observe(void *self, uint8_t *observation, qg_error *error)
{
    (void)error;
    const catch_game *game = &((catch_domain *)self)->game;
    memset(observation, 0, SIDE * SIDE * CHANNELS);
    for (int x = game->paddle - 1; x <= game->paddle + 1; x++)
        observation[((SIDE - 1) * SIDE + x) * CHANNELS] = 1;
    observation[(game->ball_y * SIDE + game->ball_x) * CHANNELS + 1] = 1;
    return QG_OK;
}

static qg_status create(uint32_t seed, const qg_variant *variant, void **self, qg_error *error)
{
    (void)variant;
    catch_domain *domain = calloc(1, sizeof *domain);
    if (!domain) {
        snprintf(error->message, sizeof error->message, "no memory");
        return QG_ERROR_MEMORY;
    }
    domain->game = (catch_game){.random = seed, .paddle = SIDE / 2};
    *self = domain;
    return QG_OK;
}

static qg_status save(void *self, uint8_t **state, size_t *size, qg_error *error)
{
    (void)error;
    *state = malloc(sizeof(catch_game));
    if (!*state) return QG_ERROR_MEMORY;
    memcpy(*state, &((catch_domain *)self)->game, *size = sizeof(catch_game));
    return QG_OK;
}

static qg_status restore(void *self, const uint8_t *state, size_t size, qg_error *error)
{
    (void)error;
    if (size != sizeof(catch_game)) return QG_ERROR_DATA;
    memcpy(&((catch_domain *)self)->game, state, size);
    return QG_OK;
}

static void picture(void *self, qg_picture *picture)
{
    static const uint8_t palette[][3] = {{0, 0, 0}, {0x88, 0xcc, 0xee}, {0xdd, 0xcc, 0x77}};
    catch_domain *domain = self;
    const catch_game *game = &domain->game;
    memset(domain->pixels, 0, sizeof domain->pixels);
    memset(&domain->pixels[(SIDE - 1) * SIDE + game->paddle - 1], 1, 3);
    domain->pixels[game->ball_y * SIDE + game->ball_x] = 2;
    *picture = (qg_picture){SIDE, SIDE, domain->pixels, palette, 3};
}

static const char *const actions[] = {"noop", "left", "right"};

const qg_plugin qg_plugin_entry = {
    .version = QG_PLUGIN_VERSION,
    .game = {.name = "catch",
             .family = "paddle and ball",
             .family_source = "its author",
             .actions = actions,
             .action_count = 3,
             .levels = 1,
             .shape = {.height = SIDE, .width = SIDE, .channels = CHANNELS, .max = 1}},
    .create = create,
    .methods = {.destroy = free,
                .start = start,
                .play = play,
                .observe = observe,
                .save = save,
                .restore = restore,
                .picture = picture},
};
