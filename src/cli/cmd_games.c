/* qgraft games: the catalogue of what can be played. */
#include "cli/cli.h"

#include <qgraft/domain.h>

#include <stdlib.h>
#include <string.h>

#define MAX_LISTED 1024 /* modes or difficulties of a game; the most known is 153 */
#define COLUMN     16   /* characters of a list in the table */

typedef struct games_options {
    const char *filter;
    bool json;
} games_options;

static const char documentation[] =
    "Lists every playable game: number of actions, modes, difficulties, start levels, family. "
    "FILTER keeps the games whose name or family contains it; a single game is shown with the "
    "names "
    "of its actions.\v"
    "Examples:\n"
    "  qgraft games minatar\n"
    "  qgraft games space_invaders\n"
    "  qgraft games --json | jq '.[].name'\n"
    "\nA game is played as NAME[:mode=M,difficulty=D,level=L].";

static const struct argp_option argp_options[] = {
    {"json", 'j', NULL, 0, "print JSON", 0},
    {0},
};

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    games_options *options = state->input;
    switch (key) {
    case 'j':
        options->json = true;
        return 0;
    case ARGP_KEY_ARG:
        if (state->arg_num > 0) cli_bad_arguments(state, "one FILTER at most");
        options->filter = argument;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static int compare_ints(const void *a, const void *b)
{
    const int x = *(const int *)a, y = *(const int *)b;
    return (x > y) - (x < y);
}

/* The end of the run of consecutive numbers that begins at `first`. */
static int run_end(const int *sorted, int count, int first)
{
    int last = first;
    while (last + 1 < count && sorted[last + 1] == sorted[last] + 1)
        last++;
    return last;
}

/* The numbers in order, three or more in a row as "1-16": "0-7, 16, 18". */
static void format_numbers(const int *numbers, int count, char *text, size_t size)
{
    int sorted[MAX_LISTED];
    snprintf(text, size, "-");
    if (count <= 0) return;
    if (count > MAX_LISTED) count = MAX_LISTED;
    memcpy(sorted, numbers, (size_t)count * sizeof *sorted);
    qsort(sorted, (size_t)count, sizeof *sorted, compare_ints);
    size_t used = 0;
    for (int i = 0; i < count && used < size; i++) {
        const int last = run_end(sorted, count, i);
        used += (size_t)snprintf(text + used, size - used, i ? ", %d" : "%d", sorted[i]);
        if (last < i + 2 || used >= size) continue;
        used += (size_t)snprintf(text + used, size - used, "-%d", sorted[last]);
        i = last;
    }
}

/* The same for a column of a table: a long list gives way to its number and ends. */
static void format_few_numbers(const int *numbers, int count, char *text, size_t size)
{
    format_numbers(numbers, count, text, size);
    if (strlen(text) <= COLUMN) return;
    int least = numbers[0], most = numbers[0];
    for (int i = 1; i < count; i++) {
        if (numbers[i] < least) least = numbers[i];
        if (numbers[i] > most) most = numbers[i];
    }
    snprintf(text, size, "%d of %d ... %d", count, least, most);
}

static const cli_column columns[] = {
    {"game", false},         {"actions", true}, {"modes", false},
    {"difficulties", false}, {"levels", true},  {"family", false},
};

static void game_cell(const void *context, size_t row, size_t column, char *text, size_t size)
{
    const qg_game *game = ((const qg_game *const *)context)[row];
    switch (column) {
    case 0:
        snprintf(text, size, "%s", game->name);
        break;
    case 1:
        snprintf(text, size, "%d", game->action_count);
        break;
    case 2:
        format_few_numbers(game->modes, game->mode_count, text, size);
        break;
    case 3:
        format_few_numbers(game->difficulties, game->difficulty_count, text, size);
        break;
    case 4:
        snprintf(text, size, "%d", game->levels);
        break;
    default:
        snprintf(text, size, "%s", game->family ? game->family : "");
        break;
    }
}

static void print_numbers(const char *title, const int *numbers, int count)
{
    char text[2048];
    if (count == 0) return;
    format_numbers(numbers, count, text, sizeof text);
    printf("%-13s %s (usually %d)\n", title, text, numbers[0]);
}

static void print_game(const qg_game *game)
{
    printf("%-13s %s\n%-13s ", "game", game->name, "actions");
    for (int i = 0; i < game->action_count; i++)
        printf("%s%d %s", i ? ", " : "", i, game->actions[i]);
    putchar('\n');
    print_numbers("modes", game->modes, game->mode_count);
    print_numbers("difficulties", game->difficulties, game->difficulty_count);
    printf("%-13s 1%s%.0d\n", "levels", game->levels > 1 ? "-" : "",
           game->levels > 1 ? game->levels : 0);
    if (game->family)
        printf("%-13s %s%s%s%s\n", "family", game->family, game->family_source ? " (" : "",
               game->family_source ? game->family_source : "", game->family_source ? ")" : "");
}

static json_t *numbers_to_json(const int *numbers, int count)
{
    json_t *array = json_array();
    for (int i = 0; i < count; i++)
        json_array_append_new(array, json_integer(numbers[i]));
    return array;
}

static json_t *game_to_json(const qg_game *game)
{
    json_t *actions = json_array();
    for (int i = 0; i < game->action_count; i++)
        json_array_append_new(actions, json_string(game->actions[i]));
    return json_pack("{s:s, s:o, s:o, s:o, s:i, s:s?, s:s?}", "name", game->name, "actions",
                     actions, "modes", numbers_to_json(game->modes, game->mode_count),
                     "difficulties", numbers_to_json(game->difficulties, game->difficulty_count),
                     "levels", game->levels, "family", game->family, "family_source",
                     game->family_source);
}

static int print_games_json(const qg_game *const *games, size_t count)
{
    json_t *array = json_array();
    for (size_t i = 0; i < count; i++)
        if (json_array_append_new(array, game_to_json(games[i])) != 0) {
            json_decref(array);
            return cli_print_json(NULL);
        }
    return cli_print_json(array);
}

static bool matches(const qg_game *game, const char *filter)
{
    return !filter || strcasestr(game->name, filter) ||
           (game->family && strcasestr(game->family, filter));
}

/* Pointers to the games that match; a name that is matched exactly stands alone. */
static size_t select_games(const char *filter, const qg_game **selected)
{
    size_t count = 0;
    const qg_game *game;
    for (size_t i = 0; (game = qg_game_at(i)); i++) {
        if (filter && strcmp(game->name, filter) == 0) {
            selected[0] = game;
            return 1;
        }
        if (matches(game, filter)) selected[count++] = game;
    }
    return count;
}

int cmd_games(int argc, char **argv)
{
    games_options options = {0};
    const struct argp argp = {argp_options, parse_option, "[FILTER]", documentation, 0, 0, 0};
    cli_parse(&argp, argc, argv, &options);
    size_t all = 0;
    while (qg_game_at(all))
        all++;
    const qg_game **selected = calloc(all + 1, sizeof *selected);
    if (!selected) {
        qg_error error;
        qg_fail_memory(&error, "the list of games", all * sizeof *selected);
        return cli_fail(&error);
    }
    size_t count = select_games(options.filter, selected);
    bool same = false;
    const qg_game *const like =
        count || !options.filter ? NULL : qg_game_like(options.filter, &same);
    if (like && same) selected[count++] = like;
    int code = 0;
    if (count == 0)
        code = cli_fail_usage(
            "no game's name or family contains '%.60s'%s%s%s ('qgraft games' lists all)",
            options.filter ? options.filter : "", like ? "; did you mean '" : "",
            like ? like->name : "", like ? "'?" : "");
    else if (options.json)
        code = print_games_json(selected, count);
    else if (count == 1)
        print_game(selected[0]);
    else
        cli_print_table(columns, sizeof columns / sizeof *columns, count, game_cell, selected);
    free(selected);
    return code;
}
