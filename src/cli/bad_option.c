#include "cli/bad_option.h"

#include <qgraft/settings.h>

#include "base/text.h"

#include <string.h>

#define GAME      "a game"
#define FILE_NAME "a file"

enum { MOST_OPTIONS = 128, LONGEST = 64 };

/* All options of a command, those of its children, and argp's own. */
typedef struct option_list {
    const struct argp_option *items[MOST_OPTIONS];
    size_t count;
} option_list;

static const struct argp_option of_argp[] = {
    {"help", '?', NULL, 0, NULL, 0},
    {"usage", 0x1000, NULL, 0, NULL, 0},
    {"program-name", 0x1001, "NAME", OPTION_HIDDEN, NULL, 0},
    {0}};

static void collect(const struct argp *argp, option_list *list)
{
    for (const struct argp_option *o = argp->options; o && (o->name || o->key || o->doc); o++)
        if (list->count < MOST_OPTIONS) list->items[list->count++] = o;
    for (const struct argp_child *c = argp->children; c && c->argp; c++)
        collect(c->argp, list);
}

/* The option of that name, or else the first that begins so, as getopt takes it; *other: another
 * one that does. The word ends with '=' or the NUL. */
static const struct argp_option *find_long(const option_list *list, const char *word,
                                           const struct argp_option **other)
{
    const size_t length = strcspn(word, "=");
    const struct argp_option *found = NULL;
    *other = NULL;
    for (size_t i = 0; i < list->count; i++) {
        const struct argp_option *const item = list->items[i];
        if (!item->name || strncmp(item->name, word, length) != 0) continue;
        if (!item->name[length]) {
            *other = NULL;
            return item;
        }
        if (found && item->key != found->key) *other = item;
        if (!found) found = item;
    }
    return found;
}

static const struct argp_option *find_short(const option_list *list, char letter)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i]->key == letter) return list->items[i];
    return NULL;
}

static bool needs_value(const struct argp_option *option)
{
    return option->arg && !(option->flags & OPTION_ARG_OPTIONAL);
}

/* ------------------------------------------------------------------- names of other programs */

/* What others say, and what it is here: an option, or a word by itself (GAME, FILE). */
static const char *const others[][2] = {
    {"game", GAME},
    {"env", GAME},
    {"env-id", GAME},
    {"env-name", GAME},
    {"environment", GAME},
    {"environment-name", GAME},
    {"game-name", GAME},
    {"rom", GAME},
    {"domain", GAME},
    {"task", GAME},
    {"model", FILE_NAME},
    {"model-path", FILE_NAME},
    {"checkpoint-path", FILE_NAME},
    {"network", FILE_NAME},
    {"source", FILE_NAME},
    {"teacher", FILE_NAME},
    {"study", FILE_NAME},
    {"folder", FILE_NAME},
    {"total-timesteps", "steps"},
    {"timesteps", "steps"},
    {"num-timesteps", "steps"},
    {"n-timesteps", "steps"},
    {"total-steps", "steps"},
    {"max-steps", "steps"},
    {"num-steps", "steps"},
    {"n-steps", "steps"},
    {"env-steps", "steps"},
    {"training-steps", "steps"},
    {"iterations", "steps"},
    {"frames", "steps (of 4 frames each on Atari)"},
    {"num-frames", "steps (of 4 frames each on Atari)"},
    {"total-frames", "steps (of 4 frames each on Atari)"},
    {"n-episodes", "episodes"},
    {"num-episodes", "episodes"},
    {"eval-episodes", "episodes"},
    {"output", "out"},
    {"output-dir", "out"},
    {"out-dir", "out"},
    {"log-dir", "out"},
    {"logdir", "out"},
    {"log-folder", "out"},
    {"save-dir", "out"},
    {"save-path", "out"},
    {"base-dir", "out"},
    {"run-name", "out"},
    {"exp-name", "out"},
    {"random-seed", "seed"},
    {"rng-seed", "seed"},
    {"num-threads", "threads"},
    {"n-threads", "threads"},
    {"cpus", "threads"},
    {"num-cpus", "threads"},
    {"num-workers", "jobs"},
    {"workers", "jobs"},
    {"parallel", "jobs"},
    {"processes", "jobs"},
    {"continue", "resume"},
    {"restart", "resume"},
    {"load", "resume"},
    {"force", "overwrite"},
    {"hyperparams", "set"},
    {"gin-bindings", "set"},
    {"gin-files", "config"},
    {"config-file", "config"},
    {"target", "to"},
    {"silent", "quiet"},
    {"time-limit", "time"},
};

/* The name without its value, '-' for '_' or the other way round. */
static void spell(const char *word, char from, char to, char name[LONGEST])
{
    const size_t length = strcspn(word, "=");
    snprintf(name, LONGEST, "%.*s", (int)(length < LONGEST ? length : LONGEST - 1), word);
    for (char *c = name; *c; c++)
        if (*c == from) *c = to;
}

static bool has(const option_list *list, const char *name, size_t length)
{
    for (size_t i = 0; i < list->count; i++) {
        const char *const own = list->items[i]->name;
        if (own && strlen(own) == length && strncmp(own, name, length) == 0) return true;
    }
    return false;
}

/* What `name` of another program is in this command; empty: nothing that is known. */
static void translate(const option_list *list, const struct argp *argp, const char *command,
                      const char *name, char *text, size_t size)
{
    const char *ours = NULL;
    *text = '\0';
    for (size_t i = 0; i < sizeof others / sizeof *others && !ours; i++)
        if (strcmp(name, others[i][0]) == 0) ours = others[i][1];
    if (!ours) return;
    const bool game = strcmp(ours, GAME) == 0, word = game || strcmp(ours, FILE_NAME) == 0;
    if (game && has(list, "to", 2))
        snprintf(text, size, ": here it is --to");
    else if (word && argp->args_doc)
        snprintf(text, size, ": here it is a word by itself, '%s %.*s'", command,
                 (int)strcspn(argp->args_doc, "\n"), argp->args_doc);
    else if (!word && has(list, ours, strcspn(ours, " ")))
        snprintf(text, size, ": here it is --%s", ours);
}

/* `preset` is none: it is given before all others, where a command takes it. */
static const char *find_setting(const char *name)
{
    size_t count;
    const qg_setting *const table = qg_settings_table(&count);
    for (size_t i = 0; i < count; i++)
        if (strcmp(table[i].name, name) == 0 && strcmp(name, "preset") != 0) return name;
    return qg_setting_called(name);
}

static const char *find_nearest(const option_list *list, const char *name)
{
    const char *names[MOST_OPTIONS];
    size_t count = 0;
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i]->name && !(list->items[i]->flags & OPTION_HIDDEN))
            names[count++] = list->items[i]->name;
    return qg_text_nearest(name, names, count, sizeof *names);
}

static void answer(const option_list *list, const struct argp *argp, const char *word,
                   const char *command, qg_error *error)
{
    char name[LONGEST], setting[LONGEST], instead[160];
    spell(word, '_', '-', name);
    spell(word, '-', '_', setting);
    const char *const ours = has(list, "set", 3) ? find_setting(setting) : NULL;
    const char *const near = find_nearest(list, name);
    translate(list, argp, command, name, instead, sizeof instead);
    if (!*instead && ours)
        snprintf(instead, sizeof instead, ": it is a setting, --set %s=VALUE", ours);
    if (!*instead && near) snprintf(instead, sizeof instead, "; did you mean --%s?", near);
    qg_fail(error, QG_ERROR_USAGE, "there is no option --%.*s%s ('%s --help' lists all)",
            (int)strcspn(word, "="), word, instead, command);
}

/* Of "-abc", whether the value of its last letter is the next word, in *takes_next. True: a letter
 * is no option, or lacks its value. */
static bool are_bad_letters(const option_list *list, const char *letters, const char *command,
                            bool is_last, bool *takes_next, qg_error *error)
{
    *takes_next = false;
    for (; *letters; letters++) {
        const struct argp_option *const option = find_short(list, *letters);
        if (!option) {
            qg_fail(error, QG_ERROR_USAGE, "there is no option -%.*s ('%s --help' lists all)",
                    (int)(qg_text_character(letters) ? qg_text_character(letters) : 1), letters,
                    command);
            return true;
        }
        if (!option->arg) continue;
        *takes_next = needs_value(option) && !letters[1];
        if (*takes_next && is_last)
            qg_fail(error, QG_ERROR_USAGE, "-%c needs a value: %s ('%s --help' lists all)",
                    *letters, option->arg, command);
        return *takes_next && is_last; /* the other letters are the value */
    }
    return false;
}

static bool is_bad_long(const option_list *list, const struct argp *argp, const char *word,
                        const char *command, bool is_last, bool *takes_next, qg_error *error)
{
    const struct argp_option *other, *const found = find_long(list, word, &other);
    const bool has_value = strchr(word, '=') != NULL;
    *takes_next = found && needs_value(found) && !has_value;
    if (!found)
        answer(list, argp, word, command, error);
    else if (other && (other->flags & OPTION_HIDDEN))
        qg_fail(error, QG_ERROR_USAGE, "--%.*s is too short for --%s ('%s --help' lists all)",
                (int)strcspn(word, "="), word, found->name, command);
    else if (other)
        qg_fail(error, QG_ERROR_USAGE, "--%.*s may be --%s or --%s ('%s --help' lists all)",
                (int)strcspn(word, "="), word, found->name, other->name, command);
    else if (*takes_next && is_last)
        qg_fail(error, QG_ERROR_USAGE, "--%s needs a value: --%s=%s ('%s --help' lists all)",
                found->name, found->name, found->arg, command);
    else if (has_value && !found->arg)
        qg_fail(error, QG_ERROR_USAGE, "--%s takes no value ('%s --help' lists all)", found->name,
                command);
    else
        return false;
    return true;
}

bool cli_find_bad_option(const struct argp *argp, int argc, char **argv, qg_error *error)
{
    option_list list = {0};
    collect(argp, &list);
    for (const struct argp_option *o = of_argp; o->name; o++)
        list.items[list.count < MOST_OPTIONS ? list.count++ : 0] = o;
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        const char *const word = argv[i];
        const bool is_last = i + 1 == argc;
        bool takes_next;
        if (word[0] != '-' || !word[1]) continue;
        if (word[1] == '-'
                ? is_bad_long(&list, argp, word + 2, argv[0], is_last, &takes_next, error)
                : are_bad_letters(&list, word + 1, argv[0], is_last, &takes_next, error))
            return true;
        i += takes_next;
    }
    return false;
}
