/* A provider of domains: one kind of games, found by their names and made by one constructor.
 *
 * The table in providers.c is all that the library knows of the kinds. A new kind is a file that
 * defines a qg_domain_provider, and its row there. */
#ifndef QG_DOMAIN_PROVIDER_H
#define QG_DOMAIN_PROVIDER_H

#include <qgraft/domain.h>

/* A domain as it was named. */
typedef struct qg_named_domain {
    const qg_game *game;
    qg_variant variant;
    char name[QG_DOMAIN_NAME]; /* normalised: two names of the same domain become one */
} qg_named_domain;

typedef struct qg_domain_provider {
    /* What the names of its games begin with: "minatar/"; "": nothing in common. */
    const char *prefix;

    /* The game at `index` (0 ...) of those that are listed, in the order of the list; NULL behind
     * the last. The game is there until the process ends, as are its strings. */
    const qg_game *(*game)(size_t index);

    /* For games that are not known before somebody names one: fills *named for `name` (shorter than
     * QG_DOMAIN_NAME, begins with the prefix, which no other provider has), of which the provider
     * reads all, also what stands behind a colon. A game is registered when it is first named, and
     * stays; several threads may ask at once. Fails with QG_ERROR_USAGE and a message that names
     * what is allowed. NULL: the games are those listed, with the settings of game_variant.h. */
    qg_status (*resolve)(const char *name, qg_named_domain *named, qg_error *error);

    /* Names of an action set that is not the minimal one, or NULL; NULL: there is no other. */
    const char *const *(*actions)(const qg_game *game, qg_action_set set, int *count);

    /* Makes the domain, of which no game has been started: fills methods and self; all else is set
     * already. `variant` is as `resolve` or game_variant.h gave it. */
    qg_status (*create)(qg_domain *domain, const qg_variant *variant,
                        const qg_domain_options *options, qg_error *error);

    /* Gives back what it keeps for the next domains of this process; NULL: nothing. */
    void (*release)(void);

    int frame_skip;    /* where nobody says otherwise; 0: 1 */
    bool plays_sticky; /* draws options->sticky itself */
} qg_domain_provider;

/* All of them, in the order in which their games are listed; NULL behind the last. */
extern const qg_domain_provider *const qg_domain_providers[];

extern const qg_domain_provider qg_minatar_provider, qg_atari_provider, qg_gym_provider,
    qg_plugin_provider;

#endif
