/* A domain: everything that can be played.
 *
 * One interface for the built-in grid games (MinAtar's five), the Atari 2600 emulator, environments
 * of Gymnasium (Python) and games of the user's own (plugin.h). A domain is named
 * `game[:mode=M,difficulty=D,level=L]`, for example `minatar/breakout`, `qbert:level=2` or
 * `space_invaders:mode=3,difficulty=1`, or `gym:ID[KEY=VALUE,...]:SETTING,...` (docs/domains.md).
 * Several domains may be open, each used by one thread at a time. */
#ifndef QGRAFT_DOMAIN_H
#define QGRAFT_DOMAIN_H

#include <qgraft/error.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define QG_MAX_ACTIONS 256
#define QG_DOMAIN_NAME 96 /* bytes of a domain's full name, with the final NUL */

/* One screen, as the agent sees it: u8 [height][width][channels], each value 0 ... max; or a
 * vector, float [channels], as bytes that are aligned as floats are. */
typedef struct qg_observation_shape {
    int height, width, channels;
    int max; /* 255: grey values; 1: a grid of bits; 0: a vector of floats, height and width are 1
              */
} qg_observation_shape;

/* What a run on a game takes where nobody says otherwise. */
typedef struct qg_game_defaults {
    const char *preset; /* of the settings (settings.h) */
    int64_t steps;      /* of a training: agent steps */
    int64_t samples;    /* of a distillation */
    int threads;        /* 0: one for each core */
    double fps;         /* steps a second that people like to watch */
} qg_game_defaults;

/* Of games on small grids (preset grid, 1M steps, 100k samples, 1 thread, 10 a second) and of those
 * on grey screens as Atari's (dqn3, 25M, 1M, all cores, 15 a second). */
extern const qg_game_defaults qg_grid_defaults, qg_screen_defaults;

/* A game that can be played. All strings and lists are there until the process ends. */
typedef struct qg_game {
    const char *name;           /* "breakout", "minatar/breakout" */
    const char *family;         /* kind of game, by its objective: "paddle and ball", "maze", ... */
    const char *family_source;  /* who says so */
    const char *const *actions; /* names of the minimal action set, in the order of the indices */
    int action_count;           /* which of them a domain has says qg_action_set */
    const int *modes;           /* game modes the emulator knows, the default first; none: NULL */
    int mode_count;
    const int *difficulties; /* as modes */
    int difficulty_count;
    int levels;                 /* start levels: 1 (the usual start) ... levels */
    const char *emulator;       /* that plays it, and its version: "ale 0.12.1"; NULL: none */
    bool modes_moved;           /* its modes had other numbers in qgraft's emulator before ALE */
    qg_observation_shape shape; /* of its screens */
    const qg_game_defaults *defaults;
    const char *note; /* what a user should know of it, one line; NULL or "": nothing */
} qg_game;

/* The settings behind the colon of a domain's name. One that was not given holds the game's
 * default: of a mode or difficulty the first (0 where it has none), of the level 1. */
typedef struct qg_variant {
    int mode, difficulty, level;
} qg_variant;

/* Which actions a domain has. */
typedef enum qg_action_set {
    QG_ACTIONS_MINIMAL, /* those that do something in the game (qg_game.actions) */
    QG_ACTIONS_FULL,    /* all that its games have together: Atari 18, MinAtar 6 */
    QG_ACTIONS_XITARI,  /* DQN 3.0's emulator: minimal, but for three in Pong */
} qg_action_set;

#define QG_NOOP         (-1) /* as an action: none */
#define QG_XITARI_LIMIT (-1) /* as a limit of frames: DQN 3.0's emulator's */

typedef struct qg_domain_options {
    uint32_t seed;
    int frame_skip;     /* emulator frames per step; 0: the domain's default (Atari 4, grid 1) */
    double sticky;      /* probability that a frame repeats the last action instead; negative:
                           the domain's default (Atari 0, MinAtar 0.1) */
    bool break_on_life; /* a lost life breaks the repeat of frames (training) */
    qg_action_set actions;
    int64_t max_episode_frames; /* frames after which a game is truncated; 0: none; QG_XITARI_LIMIT:
                                   65,000 in Pong, 8 hours in other games (60 a second) */
} qg_domain_options;

/* What one step brought. */
typedef struct qg_step {
    float reward;   /* summed over the frames of the step, not clipped */
    bool end;       /* the game is over: the next call must be qg_domain_reset */
    bool life_lost; /* a life was lost (also at the end of a game with lives) */
    bool truncated; /* the game is not over, but not played on: the next call must be
                       qg_domain_reset; its last state still has a value */
} qg_step;

/* The full screen for people: palette indices u8 [height][width] and the palette's RGB, the same in
 * every picture of a domain. Owned by the domain, valid until its next call. */
typedef struct qg_picture {
    int height, width;
    const uint8_t *pixels;
    const uint8_t (*palette)[3];
    int colors;
} qg_picture;

typedef struct qg_domain qg_domain;

/* The implementation of a domain: one game, frame by frame; `self` is what `create` gave. What lies
 * between frames and steps (skipped frames, no-ops, limits) is common to all domains. */
typedef struct qg_domain_class {
    void (*destroy)(void *self);
    /* Starts a new game, whatever became of the one before. */
    qg_status (*start)(void *self, qg_error *error);
    /* Plays one frame with an action index or QG_NOOP: one that does nothing. `frame` is all zero.
     * Not called when the game is over. */
    qg_status (*play)(void *self, int action, qg_step *frame, qg_error *error);
    /* The screen after the last frame, or of a new game. */
    qg_status (*observe)(void *self, uint8_t *observation, qg_error *error);
    /* The game's state, *state malloc'ed; `restore` gets back what a `save` of the same domain gave
     * or what was made to look so. Both NULL: it cannot be saved. */
    qg_status (*save)(void *self, uint8_t **state, size_t *size, qg_error *error);
    qg_status (*restore)(void *self, const uint8_t *state, size_t size, qg_error *error);
    void (*picture)(void *self, qg_picture *picture); /* NULL: the domain has none */
    const uint8_t *(*ram)(void *self, size_t *size);  /* NULL: the domain has no RAM */
} qg_domain_class;

/* To be read, not written, by its user. */
struct qg_domain {
    const qg_domain_class *methods;
    void *self;
    const qg_game *game;        /* borrowed: there until the process ends */
    char name[QG_DOMAIN_NAME];  /* normalised: the game, then what differs from its defaults */
    qg_observation_shape shape; /* its game's */
    const char *const *actions; /* names, by index; there until the process ends */
    int action_count;
    bool lost;  /* by qg_domain_restore: the game does not come to where it was, and a new one is to
                   be begun */
    int losses; /* how often that was, in all processes that went on with it */
    int64_t games; /* begun since it was opened */
};

/* The game at `index` (0 ...) of all that are listed: the built-in ones, Atari's (both in
 * alphabetical order), those of plugins as they were loaded. NULL behind the last. */
const qg_game *qg_game_at(size_t index);

/* The game that other programs (Gymnasium, ALE, MinAtar, gymnax, pgx, envpool, Dopamine) call
 * `name`, as "ALE/Breakout-v5": *same is true; otherwise the one that was probably meant, or NULL.
 */
const qg_game *qg_game_like(const char *name, bool *same);

#define QG_MNIH_2015 "Mnih et al. 2015"
#define QG_WANG_2016 "Wang et al. 2016"

/* Published scores of an Atari game in its usual mode, with no-op starts. */
typedef struct qg_human_scores {
    const char *game;
    double random;
    double human_2015; /* Mnih et al.; NaN: not among its 49 games */
    double human_2016; /* Wang et al.: the numbers that most papers since normalise by */
} qg_human_scores;

/* NULL: none are known of the domain, or it is played in another mode than they were made in. */
const qg_human_scores *qg_human_scores_of(const char *domain);

/* Who published the score of random play. */
const char *qg_random_score_source(const qg_human_scores *scores);

/* (score - random) / (human - random): 0 is random play, 1 a person. */
double qg_human_normalised(double score, double random, double human);

/* Opens the domain `name`. The caller owns *domain and closes it; it is NULL after a failure. The
 * first call to it is qg_domain_reset. Fails with QG_ERROR_USAGE and a message that names what is
 * allowed when the game, the mode, the difficulty or the level is not known or an option is out of
 * range, and with QG_ERROR_IO / QG_ERROR_DATA when the emulator or the ROM is missing or wrong. The
 * same name, options and calls give the same observations, rewards and ends. */
qg_status qg_domain_open(const char *name, const qg_domain_options *options, qg_domain **domain,
                         qg_error *error);
void qg_domain_close(qg_domain *domain); /* NULL is allowed */

/* Ends the processes that this one keeps for Gymnasium's environments that it has named and not
 * opened, at most eight: who only names them has no use for these. Named again, an environment is
 * looked at again, as its code may have changed. */
void qg_domains_release(void);

/* Names of an action set of a game, *count of them, there until the process ends; NULL: it has no
 * such set (a plugin's game has only the minimal one). */
const char *const *qg_game_actions(const qg_game *game, qg_action_set set, int *count);

/* The value of the setting `actions`: "minimal", "full", "xitari". False: there is no such set. */
const char *qg_action_set_name(qg_action_set set);
bool qg_action_set_find(const char *name, qg_action_set *set);

/* The game of `name` (there until the process ends) and its normalised name, without opening it:
 * for checks before a run. Fails as qg_domain_open does for a name. */
qg_status qg_domain_resolve(const char *name, const qg_game **game, char normalised[QG_DOMAIN_NAME],
                            qg_error *error);

/* Begins an episode: a game that is over, truncated or new is started, one that goes on (a life was
 * lost) is continued; then `noops` (0 or more) no-op frames are played (a game that ends under them
 * is started again). `observation` gets the first screen, u8 [height][width][channels] of
 * domain->shape, of vectors float [channels]: qg_observation_size bytes of the caller's. */
qg_status qg_domain_reset(qg_domain *domain, int noops, uint8_t *observation, qg_error *error);

/* Whether the game is over: no step can be made before the next reset. */
bool qg_domain_is_over(const qg_domain *domain);

/* Plays action index `action` (0 ... domain->action_count - 1; anything else is a programming
 * error) and gives what it brought and the screen after it (as qg_domain_reset). All frames of a
 * game count for max_episode_frames, the no-ops at its beginning too. */
qg_status qg_domain_step(qg_domain *domain, int action, qg_step *step, uint8_t *observation,
                         qg_error *error);

/* The game that is being played is not played on: the next qg_domain_reset starts a new one. */
void qg_domain_abandon(qg_domain *domain);

/* One step of `count` games in one call, as a vector environment has it: game i plays actions[i] as
 * by qg_domain_step, but one whose last step, which stands in steps[i], was its game's last is
 * begun anew instead, as by qg_domain_reset with noops[i] (NULL: none): its step is all zero, and
 * its action is not looked at. All domains have screens of one size; `observations` gets count of
 * them, u8 [count][height][width][channels], of vectors float [count][channels]. After a failure
 * some games have been stepped. */
qg_status qg_domains_step(qg_domain *const *domains, size_t count, const int *actions,
                          const int *noops, qg_step *steps, uint8_t *observations, qg_error *error);

/* The whole state, random generator included, as bytes that restore in any process on the same
 * kind of machine, after which the same calls give the same again. The caller frees *state. A blob
 * that was damaged or belongs to another domain is refused by restore (checksum and name are in it)
 * with QG_ERROR_DATA and changes nothing. QG_ERROR_MEMORY; QG_ERROR_USAGE for a plugin's game that
 * cannot be saved. An environment of Gymnasium's is played again; where it does not come to the
 * same domain->lost says so, and qg_domain_reset is next. */
qg_status qg_domain_save(qg_domain *domain, uint8_t **state, size_t *size, qg_error *error);
qg_status qg_domain_restore(qg_domain *domain, const uint8_t *state, size_t size, qg_error *error);

/* Whether it can be shown to people. */
bool qg_domain_has_picture(const qg_domain *domain);

/* The full screen of the last frame, of a domain that has one. */
void qg_domain_picture(qg_domain *domain, qg_picture *picture);

/* The machine's RAM after the last frame (Atari: 128 bytes), *size bytes that the domain owns and
 * that are valid until its next call; NULL and 0 where there is none. */
const uint8_t *qg_domain_ram(qg_domain *domain, size_t *size);

/* Whether the game goes no further: qg_domain_reset is next. */
static inline bool qg_step_is_last(const qg_step *step)
{
    return step->end || step->truncated;
}

/* A vector of floats and no screen: stored as it is, for networks of linear layers. */
static inline bool qg_observation_is_vector(const qg_observation_shape *shape)
{
    return shape->max == 0;
}

/* Bytes of one screen. */
static inline size_t qg_observation_size(const qg_observation_shape *shape)
{
    return (size_t)shape->height * (size_t)shape->width * (size_t)shape->channels *
           (qg_observation_is_vector(shape) ? sizeof(float) : 1);
}

/* Screens of bits: they are stored packed, a state is one of them, and their networks have room for
 * more channels than a game may have. */
static inline bool qg_observation_is_grid(const qg_observation_shape *shape)
{
    return shape->max == 1;
}

#ifdef __cplusplus
}
#endif
#endif
