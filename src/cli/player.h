/* A network (or chance) at a game: the arguments that evaluate and play share, and what is opened
 * for them. */
#ifndef QG_CLI_PLAYER_H
#define QG_CLI_PLAYER_H

#include "cli/cli.h"

#include <qgraft/agent.h>

typedef struct cli_player_arguments {
    const char *words[2]; /* NETWORK and maybe DOMAIN; with `random` DOMAIN alone */
    int word_count;
    bool random; /* set by the command's own parser */
    const char *steps, *epsilon, *seed, *preset, *isa;
    const char *noop_max, *sticky, *frame_skip, *max_episode_frames;
} cli_player_arguments;

/* Parses the options above, as a child of a command's parser, which gives it a
 * cli_player_arguments through state->child_inputs[0]. */
extern const struct argp cli_player_argp;

typedef struct cli_player {
    const char *network_name; /* the file; NULL: it plays at random */
    qg_network network;
    qg_network_info info; /* of the network's file */
    qg_engine *engine;    /* NULL: at random */
    qg_domain *domain;
    int64_t seed;
    qg_settings settings;          /* of which only those above are used */
    qg_evaluation_options options; /* complete but for who watches */
    int outputs[QG_MAX_ACTIONS];   /* that the options lead to where they are not in order */
    bool by_place;                 /* the network names other actions than the game */
} cli_player;

/* Opens the network and its game (or the one that is named). The numbers go through the table of
 * settings: the same ranges, defaults and messages as in training. After a failure, too,
 * cli_player_close releases what was opened. */
qg_status cli_player_open(const cli_player_arguments *arguments, cli_player *player,
                          qg_error *error);
void cli_player_close(cli_player *player);

/* Says on stderr what is to be known of the network and its game: a warning, a note. */
void cli_player_introduce(const cli_player *player);

#endif
