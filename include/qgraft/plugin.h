/* A game of the user's own: a shared object that exports one constant, qg_plugin_entry.
 *
 * The object needs the headers only and is not linked with the library, which opens it by
 * qg_plugin_load (the program: --domain-plugin FILE). From then on its game is one like all others,
 * under its own name. The library checks the description when it loads the object, plays the
 * sticky actions and the skipped frames, and checks what the game gives; the game plays single
 * frames. examples/my_game.c is one. A plugin is native code: load only what you trust. */
#ifndef QGRAFT_PLUGIN_H
#define QGRAFT_PLUGIN_H

#include <qgraft/domain.h>

#ifdef __cplusplus
extern "C" {
#endif

#define QG_PLUGIN_VERSION 4 /* grows when anything changes that a plugin sees */

typedef struct qg_plugin {
    int32_t version; /* QG_PLUGIN_VERSION; the first member in every version */

    /* The name (at most 40 characters) and the actions' names (at most 23 each, all different) are
     * of a-z, 0-9 and _ and begin with a letter: they stand in files, folders and lists. No other
     * game has the name. An action that does nothing is called "noop", so that grafts pair it.
     * 1 ... QG_MAX_ACTIONS actions; `family` is needed, family_source may be NULL; at most 1,024
     * modes and difficulties of 0 ... 999,999; 1 ... 999,999 levels. Screens have sides of 1 ...
     * 1,024, 1 ... 1,024 channels, at most 4,194,304 values in all; max is 1 or 255. `defaults` may
     * be NULL: what suits a grid (max 1) or grey values (255); otherwise all of it is given. */
    qg_game game;

    /* Makes a new game in *self, whose first method is start; the library ends it with
     * methods.destroy. `variant` is checked against the game already. All chance comes from `seed`:
     * the same seed, variant and calls give the same screens, rewards and ends. Several games may
     * be open at once, each used by one thread. A failure here or in a method returns something
     * else than QG_OK and may write one line to error->message. */
    qg_status (*create)(uint32_t seed, const qg_variant *variant, void **self, qg_error *error);

    /* As in domain.h, but that the bytes of `save` are bare: the library adds the name and a
     * checksum and hands back to `restore` only what a `save` of the same domain gave, which may be
     * NULL together (the game cannot be saved); `ram` may be NULL. A game that ends itself by a
     * limit of time says `truncated` and not `end`. A no-op is the action "noop"; a game without
     * one stands still meanwhile. */
    qg_domain_class methods;
} qg_plugin;

/* What a plugin defines. */
#ifdef __GNUC__
__attribute__((visibility("default")))
#endif
extern const qg_plugin qg_plugin_entry;

/* Opens the shared object `path` and adds its game to the list. It stays open until the process
 * ends; to load it again does nothing. Call it before other threads use domains. QG_ERROR_IO: the
 * file cannot be read; QG_ERROR_DATA: it is no shared object, lacks a symbol, is of another version
 * or describes what is not possible; QG_ERROR_USAGE: its game's name is taken. After a failure
 * nothing has changed. */
qg_status qg_plugin_load(const char *path, qg_error *error);

#ifdef __cplusplus
}
#endif
#endif
