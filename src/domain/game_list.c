/* The list of all games: by place, and by the names that other programs have for them. */
#include "domain/provider.h"

#include "base/text.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define GRID "minatar/"

const qg_game *qg_game_at(size_t index)
{
    for (const qg_domain_provider *const *p = qg_domain_providers; *p; p++)
        for (size_t i = 0;; i++, index--) {
            const qg_game *const game = (*p)->game(i);
            if (!game) break;
            if (index == 0) return game;
        }
    return NULL;
}

/* --------------------------------------------------------------------- names of other programs */

/* Cuts `end` off the end of `text`, in any case of the letters. */
static bool cut_end(char *text, const char *end)
{
    const size_t length = strlen(text), cut = strlen(end);
    if (length <= cut || strcasecmp(text + length - cut, end) != 0) return false;
    text[length - cut] = '\0';
    return true;
}

/* "-v5", "_v0". */
static void cut_version(char *text)
{
    char *end = text + strlen(text);
    while (end > text && isdigit((unsigned char)end[-1]))
        end--;
    if (*end && end - text > 2 && end[-1] == 'v' && strchr("-_", end[-2])) end[-2] = '\0';
}

/* The name of the game itself in what others write; *grid: it is one of MinAtar's.
 *   Gymnasium, ALE     ale_py:ALE/Breakout-v5, BreakoutNoFrameskip-v4, Breakout-ramDeterministic-v0
 *   MinAtar            MinAtar/Breakout-v1, Breakout-MinAtar (gymnax), minatar-breakout (pgx)
 *   envpool, Dopamine  Breakout-v5, Breakout
 *   ROMs, PettingZoo   breakout.bin, breakout_v3 */
static void read_name(const char *foreign, char name[QG_DOMAIN_NAME], bool *grid)
{
    static const char *const ends[] = {".bin",          ".a26", ".rom",    "NoFrameskip",
                                       "Deterministic", "-ram", "-minatar"};
    static const char *const begins[] = {"atari-", "atari_", "minatar-", "minatar_"};
    const char *const colon = strchr(foreign, ':');
    const bool settings = colon && (strchr(colon, '=') || !colon[1]);
    if (colon && !settings) foreign = colon + 1; /* a module of Python */
    const size_t length = settings ? (size_t)(colon - foreign) : strlen(foreign);
    char text[QG_DOMAIN_NAME];
    snprintf(text, sizeof text, "%.*s", (int)length, foreign);
    *grid = strcasestr(text, "minatar") != NULL;
    const char *const slash = strrchr(text, '/');
    snprintf(name, QG_DOMAIN_NAME, "%s", slash ? slash + 1 : text);
    cut_version(name);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        cut_end(name, ends[i]);
    for (size_t i = 0; i < sizeof begins / sizeof *begins; i++) {
        const size_t cut = strlen(begins[i]);
        if (strncasecmp(name, begins[i], cut) == 0)
            memmove(name, name + cut, strlen(name + cut) + 1);
    }
}

/* Whether the letters and digits of two names are the same. */
static bool sounds_like(const char *a, const char *b)
{
    for (;; a++, b++) {
        while (*a && !isalnum((unsigned char)*a))
            a++;
        while (*b && !isalnum((unsigned char)*b))
            b++;
        if (tolower((unsigned char)*a) != tolower((unsigned char)*b)) return false;
        if (!*a) return true;
    }
}

/* As the list writes names: "SpaceInvaders" -> "space_invaders". */
static void fold(const char *from, bool grid, char to[2 * QG_DOMAIN_NAME])
{
    size_t used = (size_t)snprintf(to, 2 * QG_DOMAIN_NAME, "%s", grid ? GRID : "");
    for (size_t i = 0; from[i] && used + 2 < 2 * QG_DOMAIN_NAME; i++) {
        const bool upper = isupper((unsigned char)from[i]);
        if (upper && i && islower((unsigned char)from[i - 1])) to[used++] = '_';
        to[used++] = from[i] == '-' || from[i] == ' ' ? '_' : (char)tolower((unsigned char)from[i]);
    }
    to[used] = '\0';
}

static const qg_game *find_nearest(const char *name, bool grid)
{
    size_t count = 0;
    while (qg_game_at(count))
        count++;
    const char **const names = malloc((count + 1) * sizeof *names);
    if (!names) return NULL; /* the message does without */
    for (size_t i = 0; i < count; i++)
        names[i] = qg_game_at(i)->name;
    char folded[2 * QG_DOMAIN_NAME];
    fold(name, grid, folded);
    const char *const nearest = qg_text_nearest(folded, names, count, sizeof *names);
    size_t place = 0;
    while (nearest && names[place] != nearest)
        place++;
    free(names);
    return nearest ? qg_game_at(place) : NULL;
}

const qg_game *qg_game_like(const char *name, bool *same)
{
    char own[QG_DOMAIN_NAME];
    bool grid;
    *same = true;
    if (strlen(name) >= sizeof own) return NULL;
    read_name(name, own, &grid);
    const qg_game *game;
    for (size_t i = 0; *own && (game = qg_game_at(i)); i++) {
        const bool in_grid = strncmp(game->name, GRID, strlen(GRID)) == 0;
        if (grid == in_grid && sounds_like(own, game->name + (grid ? strlen(GRID) : 0)))
            return game;
    }
    *same = false;
    return find_nearest(own, grid);
}
