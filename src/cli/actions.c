#include "cli/actions.h"

#include "base/file.h"
#include "base/file_kind.h"
#include "base/text.h"
#include "network/safetensors.h"

#include <stdlib.h>
#include <string.h>

#define LARGEST_TEXT ((size_t)1 << 30)

/* What a list may consist of. */
typedef struct action_names {
    const char *game;
    const char *const *names;
    int count;
} action_names;

static bool is_action(const action_names *known, int64_t index)
{
    return index >= 0 && index < known->count;
}

/* The index of an action given by its index or its name, or -1. */
static int64_t find_action(const action_names *known, const char *word)
{
    int64_t index;
    if (qg_text_to_count(word, &index)) return is_action(known, index) ? index : -1;
    for (int i = 0; i < known->count; i++)
        if (strcasecmp(word, known->names[i]) == 0) return i;
    return -1;
}

/* Cuts the comment and the blanks off a line; false when a NUL hides the rest of it. */
static bool trim(char *line, size_t length, char **word)
{
    if (memchr(line, '\0', length)) return false;
    line[strcspn(line, "#")] = '\0';
    *word = line + strspn(line, " \t\r");
    size_t end = strlen(*word);
    while (end > 0 && strchr(" \t\r", (*word)[end - 1]))
        end--;
    (*word)[end] = '\0';
    return true;
}

static qg_status refuse_line(const char *path, size_t number, const char *word,
                             const action_names *known, qg_error *error)
{
    char names[120];
    qg_text_join(known->names, known->count, names, sizeof names);
    return qg_fail(error, QG_ERROR_DATA,
                   "%s:%zu: '%.40s' is not an action of %s: 0 to %d, or a name (%s%s)", path,
                   number, word, known->game, known->count - 1, names,
                   strlen(names) + 1 == sizeof names ? "..." : "");
}

static qg_status parse_lines(const char *path, char *text, size_t size, const action_names *known,
                             int64_t *actions, size_t *count, qg_error *error)
{
    *count = 0;
    char *const end = text + size; /* a NUL stands there */
    size_t number = 1;
    for (char *line = text; line < end; number++) {
        char *newline = memchr(line, '\n', (size_t)(end - line));
        if (!newline) newline = end;
        const size_t length = (size_t)(newline - line);
        *newline = '\0';
        char *word = line;
        const bool whole = trim(line, length, &word);
        line = newline + 1;
        if (whole && !*word) continue;
        const int64_t action = whole ? find_action(known, word) : -1;
        if (action < 0) return refuse_line(path, number, word, known, error);
        actions[(*count)++] = action;
    }
    if (*count == 0) return qg_fail(error, QG_ERROR_DATA, "%s: no actions in it", path);
    return QG_OK;
}

static qg_status read_text(const char *path, const action_names *known, int64_t **actions,
                           size_t *count, qg_error *error)
{
    uint8_t *text;
    size_t size, lines = 1;
    qg_status status = qg_file_read(path, LARGEST_TEXT, &text, &size, error);
    if (status != QG_OK) return status;
    const qg_file_kind kind = qg_file_kind_of(text, size);
    if (!qg_file_kind_is_plain(kind)) {
        free(text);
        return qg_fail_kind(error, QG_ERROR_DATA, path, "a list of actions", kind, NULL);
    }
    for (size_t i = 0; i < size; i++)
        lines += text[i] == '\n';
    *actions = malloc(lines * sizeof **actions);
    status = *actions ? parse_lines(path, (char *)text, size, known, *actions, count, error)
                      : qg_fail_memory(error, "the actions", lines * sizeof **actions);
    free(text);
    return status;
}

static qg_status read_tensor(const char *path, const action_names *known, int64_t **actions,
                             size_t *count, qg_error *error)
{
    qg_tensors *tensors;
    qg_status status = qg_tensors_load(path, &tensors, error);
    if (status != QG_OK) return status;
    const qg_tensor *tensor = NULL;
    const size_t any[1] = {0};
    status = qg_tensors_require(tensors, path, "actions", QG_I64, 1, any, &tensor, error);
    if (status == QG_OK && tensor->elements == 0)
        status = qg_fail(error, QG_ERROR_DATA, "%s: no actions in it", path);
    for (size_t i = 0; status == QG_OK && i < tensor->elements; i++) {
        const int64_t action = ((const int64_t *)tensor->data)[i];
        if (!is_action(known, action))
            status = qg_fail(error, QG_ERROR_DATA,
                             "%s: actions[%zu] is %lld; %s has the actions 0 to %d", path, i,
                             (long long)action, known->game, known->count - 1);
    }
    if (status == QG_OK) {
        *count = tensor->elements;
        *actions = malloc(*count * sizeof **actions);
        if (*actions)
            memcpy(*actions, tensor->data, *count * sizeof **actions);
        else
            status = qg_fail_memory(error, "the actions", *count * sizeof **actions);
    }
    qg_tensors_free(tensors);
    return status;
}

qg_status cli_read_actions(const char *path, const qg_game *game, qg_action_set set,
                           int64_t **actions, size_t *count, qg_error *error)
{
    *actions = NULL;
    action_names known = {.game = game->name};
    known.names = qg_game_actions(game, set, &known.count);
    const char *suffix = strrchr(path, '.');
    const qg_status status = suffix && strcmp(suffix, ".safetensors") == 0
                                 ? read_tensor(path, &known, actions, count, error)
                                 : read_text(path, &known, actions, count, error);
    if (status != QG_OK) {
        free(*actions);
        *actions = NULL;
    }
    return status;
}
