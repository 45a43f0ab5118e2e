#include "report/pair_measures.h"

#include "agent/csv.h"
#include "base/file.h"
#include "base/text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LARGEST_MEASURES ((size_t)1 << 20)

/* The next cell of a row that ends with NUL; NULL: there is none, or it is too long. */
static const char *read_cell(const char *row, char *cell, size_t size)
{
    if (*row == '"') {
        const char *rest = qg_csv_read_text(row, cell, size);
        return rest && (*rest == ',' || !*rest) ? rest + (*rest == ',') : NULL;
    }
    const size_t length = strcspn(row, ",");
    if (length >= size) return NULL;
    memcpy(cell, row, length);
    cell[length] = '\0';
    return row + length + (row[length] == ',');
}

static bool read_games(const char **row, char games[2][QG_DOMAIN_NAME])
{
    for (int k = 0; k < 2 && *row; k++)
        *row = read_cell(*row, games[k], QG_DOMAIN_NAME);
    return *row != NULL;
}

static bool read_header(const char *row, qg_game_map *map)
{
    char games[2][QG_DOMAIN_NAME];
    if (!read_games(&row, games) || strcmp(games[0], "game") != 0 || strcmp(games[1], "other") != 0)
        return false;
    while (*row) {
        if (map->predictor_count == QG_MOST_PREDICTORS) return false;
        qg_predictor *next = &map->predictors[map->predictor_count];
        row = read_cell(row, next->name, sizeof next->name);
        if (!row || !*next->name || strchr(next->name, '|')) return false;
        map->predictor_count++;
    }
    return map->predictor_count > QG_MEASURES_OF_GRADE;
}

static qg_game_pair *find_pair(const qg_game_map *map, char games[2][QG_DOMAIN_NAME])
{
    for (size_t p = 0; p < map->pair_count; p++) {
        const char *const a = map->games[map->pairs[p].games[0]];
        const char *const b = map->games[map->pairs[p].games[1]];
        if ((strcmp(a, games[0]) == 0 && strcmp(b, games[1]) == 0) ||
            (strcmp(a, games[1]) == 0 && strcmp(b, games[0]) == 0))
            return &map->pairs[p];
    }
    return NULL;
}

static bool read_row(const char *row, const qg_game_map *map)
{
    char games[2][QG_DOMAIN_NAME], cell[64];
    if (!read_games(&row, games)) return false;
    qg_game_pair *pair = find_pair(map, games);
    for (size_t k = QG_MEASURES_OF_GRADE; k < map->predictor_count; k++) {
        double value = NAN;
        if (row[-1] != ',') return false; /* the row has ended */
        row = read_cell(row, cell, sizeof cell);
        if (!row || (*cell && !qg_text_to_real(cell, &value))) return false;
        if (pair) pair->measures[k] = value;
    }
    return !*row;
}

static qg_status read_rows(const char *path, char *text, qg_game_map *map, qg_error *error)
{
    int line = 0;
    for (char *row; (row = strsep(&text, "\n"));) {
        line++;
        if (*row && row[strlen(row) - 1] == '\r') row[strlen(row) - 1] = '\0';
        if (line == 1 && !read_header(row, map))
            return qg_fail(error, QG_ERROR_DATA,
                           "%s:1: is not 'game,other,NAME,...' with 1 to %d names of measures",
                           path, QG_MOST_PREDICTORS - QG_MEASURES_OF_GRADE);
        if (line > 1 && *row && !read_row(row, map))
            return qg_fail(error, QG_ERROR_DATA,
                           "%s:%d: is not two games and %zu numbers or empty cells", path, line,
                           map->predictor_count - QG_MEASURES_OF_GRADE);
    }
    return QG_OK;
}

qg_status qg_pair_measures_read(const char *folder, qg_game_map *map, qg_error *error)
{
    char *path = qg_path_join(folder, "measures.csv");
    if (!path) return qg_fail_memory(error, "a path", strlen(folder));
    uint8_t *data = NULL;
    size_t size;
    qg_status status = QG_OK;
    if (access(path, F_OK) == 0) {
        status = qg_file_read(path, LARGEST_MEASURES, &data, &size, error);
        if (!status) status = read_rows(path, (char *)data, map, error);
    }
    free(data);
    free(path);
    return status;
}
