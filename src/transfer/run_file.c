/* Run files. The keys of all kinds stand in one table; what a kind of run needs and what its
 * folder's run.yaml tells besides follows from it. */
#include <qgraft/measurement.h>
#include <qgraft/run_file.h>

#include "agent/run_yaml.h"
#include "agent/settings_yaml.h"
#include "base/file.h"
#include "base/text.h"
#include "base/yaml_tree.h"
#include "transfer/distillation_yaml.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    TRAIN = 1 << QG_RUN_TRAIN,
    GRAFT = 1 << QG_RUN_GRAFT,
    DISTILL = 1 << QG_RUN_DISTILL,
    RANDOM = 1 << QG_RUN_RANDOM_SCORE,
    SIMILARITY = 1 << QG_RUN_SIMILARITY,
    MEASURED = RANDOM | SIMILARITY,
    ALL = TRAIN | GRAFT | DISTILL | MEASURED,
};

#define MOST_STEPS INT64_C(1000000000000)

static const char *const kind_names[] = {"train", "graft", "distill", "random-score", "similarity"};

const char *qg_run_kind_name(qg_run_kind kind)
{
    return kind_names[kind];
}

/* ------------------------------------------------------------------------------- the values */

typedef struct run_reader {
    const char *name; /* of the file, for messages */
    qg_run_file *file;
    qg_error *error;
} run_reader;

/* Puts NAME:LINE before the message that the error holds. */
static qg_status locate(const run_reader *r, int line)
{
    char message[sizeof r->error->message];
    memcpy(message, r->error->message, sizeof message);
    return qg_fail(r->error, r->error->code, "%s:%d: %s", r->name, line, message);
}

static qg_status fail(const run_reader *r, const qg_yaml *node, const char *what)
{
    const int line = node->key ? node->key_line : node->line;
    return qg_fail(r->error, QG_ERROR_USAGE, "%s:%d: %s%s%s", r->name, line,
                   node->key ? node->key : "", node->key ? ": " : "", what);
}

/* A single value; NULL: it is none, and the error says so. */
static const char *get_text(const run_reader *r, const qg_yaml *node)
{
    if (node->kind == QG_YAML_SCALAR && *node->text) return node->text;
    fail(r, node, "a value is needed");
    return NULL;
}

static qg_status read_count(const run_reader *r, const qg_yaml *node, int64_t least, int64_t most,
                            int64_t *value)
{
    const char *const text = get_text(r, node);
    if (!text) return r->error->code;
    return qg_parse_count(node->key ? node->key : "a step", text, least, most, value, r->error)
               ? locate(r, node->line)
               : QG_OK;
}

static qg_status read_real(const run_reader *r, const qg_yaml *node, double *value)
{
    const char *const text = get_text(r, node);
    if (!text) return r->error->code;
    return qg_text_to_real(text, value) ? QG_OK : fail(r, node, "a number is needed");
}

static qg_status read_sha256(const run_reader *r, const qg_yaml *node, char sha256[65])
{
    const char *const text = get_text(r, node);
    if (!text) return r->error->code;
    if (strlen(text) != 64 || strspn(text, "0123456789abcdef") != 64)
        return fail(r, node, "64 hexadecimal digits are needed");
    memcpy(sha256, text, 65);
    return QG_OK;
}

static qg_status read_parent(const run_reader *r, const qg_yaml *node, int index)
{
    const char *const text = get_text(r, node);
    if (!text) return r->error->code;
    r->file->parents[index] = strdup(text);
    return r->file->parents[index] ? QG_OK : qg_fail_memory(r->error, "a path", strlen(text));
}

/* --------------------------------------------------------------------------------- the keys */

static qg_status read_name(const run_reader *r, const qg_yaml *node, char name[QG_DOMAIN_NAME])
{
    const char *const text = get_text(r, node);
    if (!text) return r->error->code;
    if (strlen(text) >= QG_DOMAIN_NAME) return fail(r, node, "is no name of a game");
    strcpy(name, text);
    return QG_OK;
}

static qg_status read_domain(const run_reader *r, const qg_yaml *node)
{
    return read_name(r, node, r->file->domain);
}

static qg_status read_other_domain(const run_reader *r, const qg_yaml *node)
{
    return read_name(r, node, r->file->other_domain);
}

static qg_status read_seed(const run_reader *r, const qg_yaml *node)
{
    int64_t seed = 0;
    const bool measured = MEASURED & 1U << r->file->kind;
    const qg_status status = read_count(r, node, 0, measured ? UINT32_MAX : INT64_MAX, &seed);
    r->file->seed = (uint64_t)seed;
    return status;
}

static qg_status read_steps(const run_reader *r, const qg_yaml *node)
{
    int64_t *const steps = &r->file->steps;
    return r->file->kind == QG_RUN_SIMILARITY
               ? read_count(r, node, 2, QG_SIMILARITY_MOST_FRAMES, steps)
               : read_count(r, node, 0, MOST_STEPS, steps);
}

static qg_status read_snapshots(const run_reader *r, const qg_yaml *node)
{
    qg_run_file *const file = r->file;
    if (node->kind != QG_YAML_LIST) return fail(r, node, "a list of steps is needed");
    file->snapshots = calloc(node->count + 1, sizeof *file->snapshots);
    if (!file->snapshots) return qg_fail_memory(r->error, "snapshots", node->count * 8);
    qg_status status = QG_OK;
    for (; file->snapshot_count < node->count && !status; file->snapshot_count++)
        status = read_count(r, &node->items[file->snapshot_count], 0, INT64_MAX,
                            &file->snapshots[file->snapshot_count]);
    return status;
}

static qg_status read_also_evaluate(const run_reader *r, const qg_yaml *node)
{
    qg_run_file *const file = r->file;
    char what[64];
    snprintf(what, sizeof what, "a list of at most %d games is needed", QG_MAX_OTHER_GAMES);
    if (node->kind != QG_YAML_LIST || node->count > QG_MAX_OTHER_GAMES) return fail(r, node, what);
    for (size_t i = 0; i < node->count; i++) {
        const char *const text = get_text(r, &node->items[i]);
        if (!text) return r->error->code;
        file->also_evaluate[i] = strdup(text);
        if (!file->also_evaluate[i]) return qg_fail_memory(r->error, "a game", strlen(text));
        file->also_evaluate_count++;
    }
    return QG_OK;
}

static qg_status read_settings(const run_reader *r, const qg_yaml *node)
{
    if (node->kind != QG_YAML_MAPPING || !node->count || strcmp(node->items[0].key, "preset") != 0)
        return fail(r, node, "begin with 'preset'");
    return qg_settings_apply_yaml(&r->file->settings, r->name, node, r->error);
}

static qg_status read_choice(const run_reader *r, const qg_yaml *node)
{
    const char *const text = get_text(r, node);
    if (!text) return r->error->code;
    return qg_graft_choice_parse(text, &r->file->choice, r->error) ? locate(r, node->line) : QG_OK;
}

static qg_status read_source(const run_reader *r, const qg_yaml *node)
{
    r->file->parent_count = 1;
    return read_parent(r, node, 0);
}

static qg_status read_source_sum(const run_reader *r, const qg_yaml *node)
{
    return read_sha256(r, node, r->file->parent_sha256[0]);
}

static qg_status read_initial(const run_reader *r, const qg_yaml *node)
{
    return read_sha256(r, node, r->file->initial_network_sha256);
}

static qg_status read_reinit_seed(const run_reader *r, const qg_yaml *node)
{
    return read_count(r, node, 0, INT64_MAX, &r->file->reinit_seed);
}

/* A teacher is a mapping of which `domain` is a fact. */
static qg_status read_teacher(const run_reader *r, const qg_yaml *node, int index)
{
    const qg_yaml *const file = node->kind == QG_YAML_MAPPING ? qg_yaml_get(node, "file") : NULL;
    if (!file) return fail(r, node, "a teacher is of the form {file: PATH}");
    const qg_yaml *const sha256 = qg_yaml_get(node, "sha256");
    const qg_status status = read_parent(r, file, index);
    return status || !sha256 ? status : read_sha256(r, sha256, r->file->parent_sha256[index]);
}

static qg_status read_teachers(const run_reader *r, const qg_yaml *node)
{
    if (node->kind != QG_YAML_LIST || node->count < 1 || node->count > QG_MAX_TEACHERS)
        return fail(r, node, "a list of teachers is needed");
    qg_status status = QG_OK;
    for (; r->file->parent_count < (int)node->count && !status; r->file->parent_count++)
        status = read_teacher(r, &node->items[r->file->parent_count], r->file->parent_count);
    return status;
}

static qg_status read_temperatures(const run_reader *r, const qg_yaml *node)
{
    qg_temperatures *const t = &r->file->temperatures;
    if (node->kind != QG_YAML_LIST || node->count < 1 || node->count > QG_MAX_TEMPERATURES)
        return fail(r, node, "a list of temperatures is needed");
    for (size_t i = 0; i < node->count; i++) {
        qg_temperatures one;
        const char *const text = get_text(r, &node->items[i]);
        if (!text) return r->error->code;
        if (qg_temperatures_parse(text, &one, r->error)) return locate(r, node->items[i].line);
        if (one.count != 1 || (i && one.values[0] <= t->values[i - 1]))
            return fail(r, node, "are single numbers that rise");
        t->values[t->count++] = one.values[0];
    }
    return QG_OK;
}

static qg_status read_order(const run_reader *r, const qg_yaml *node)
{
    const char *const text = get_text(r, node);
    if (!text) return r->error->code;
    if (strcmp(text, "pass") != 0 && strcmp(text, "sample") != 0)
        return fail(r, node, "is 'pass' or 'sample'");
    r->file->order = *text == 's' ? QG_ORDER_SAMPLE : QG_ORDER_PASS;
    return QG_OK;
}

static qg_status read_loss(const run_reader *r, const qg_yaml *node)
{
    const char *const text = get_text(r, node);
    if (!text) return r->error->code;
    return qg_distillation_loss_parse(text, &r->file->loss, r->error) ? locate(r, node->line)
                                                                      : QG_OK;
}

static qg_status read_samples(const run_reader *r, const qg_yaml *node)
{
    return read_count(r, node, 1, 1000000000, &r->file->samples);
}

static qg_status read_epsilon(const run_reader *r, const qg_yaml *node)
{
    const qg_status status = read_real(r, node, &r->file->epsilon);
    if (status) return status;
    const bool good = r->file->epsilon >= 0 && r->file->epsilon <= 1;
    return good ? QG_OK : fail(r, node, "is from 0 to 1");
}

typedef struct run_key {
    const char *name;
    qg_status (*read)(const run_reader *reader, const qg_yaml *node); /* NULL: a fact */
    unsigned kinds;                                                   /* that have it */
    unsigned needed;                                                  /* that cannot do without */
} run_key;

static qg_status read_keys(const run_reader *r, const qg_yaml *mapping, const run_key *keys);

static qg_status read_distillation(const run_reader *r, const qg_yaml *node)
{
    static const run_key keys[] = {{"temperatures", read_temperatures, DISTILL, DISTILL},
                                   {"order", read_order, DISTILL, DISTILL},
                                   {"loss", read_loss, DISTILL, 0},
                                   {"samples", read_samples, DISTILL, DISTILL},
                                   {"epsilon", read_epsilon, DISTILL, DISTILL},
                                   {"held_out", NULL, DISTILL, 0},
                                   {NULL, NULL, 0, 0}};
    return read_keys(r, node, keys);
}

static const run_key run_keys[] = {
    {"kind", NULL, ALL, ALL},
    {"domain", read_domain, ALL & ~DISTILL, ALL & ~DISTILL},
    {"other_domain", read_other_domain, SIMILARITY, SIMILARITY},
    {"seed", read_seed, ALL, ALL},
    {"steps", read_steps, ALL & ~DISTILL, ALL & ~DISTILL},
    {"snapshots", read_snapshots, TRAIN | GRAFT, 0},
    {"also_evaluate", read_also_evaluate, TRAIN | GRAFT, 0},
    {"initial_network_sha256", read_initial, TRAIN, 0},
    {"choice", read_choice, GRAFT, GRAFT},
    {"parent_file", read_source, GRAFT, GRAFT},
    {"parent_sha256", read_source_sum, GRAFT, 0},
    {"reinit_seed", read_reinit_seed, GRAFT, 0},
    {"distillation", read_distillation, DISTILL, DISTILL},
    {"teachers", read_teachers, DISTILL, DISTILL},
    {"settings", read_settings, ALL & ~SIMILARITY, ALL & ~SIMILARITY},
    /* Facts that a run.yaml has. */
    {"qgraft", NULL, ALL, 0},
    {"instruction_set", NULL, ALL, 0},
    {"domain", NULL, DISTILL, 0},
    {"steps", NULL, DISTILL, 0},
    {"initial_thaw", NULL, TRAIN, 0},
    {"initial_layer_rates", NULL, TRAIN, 0},
    {"initial_pull", NULL, TRAIN, 0},
    {"frozen", NULL, TRAIN | GRAFT, 0},
    {"frozen_unchanged", NULL, TRAIN | GRAFT, 0},
    {"copied", NULL, GRAFT | DISTILL, 0},
    {"copied_layers_are", NULL, GRAFT, 0},
    {"reused", NULL, GRAFT, 0},
    {"domains", NULL, DISTILL, 0},
    {NULL, NULL, 0, 0},
};

/* "parent_domain", "parent_2_sha256", ...: what a parent was. */
static bool tells_of_parent(const qg_run_file *file, const char *name)
{
    return ((GRAFT | DISTILL) & 1U << file->kind) && strncmp(name, "parent_", 7) == 0;
}

/* "parent_network_sha256", "parent_2_network_sha256", ...; all else that tells of a parent is a
 * fact. */
static qg_status read_parent_fact(const run_reader *r, const qg_yaml *node)
{
    static const char sum[] = "network_sha256";
    const char *rest = node->key + strlen("parent_");
    char *end;
    const unsigned long number = strtoul(rest, &end, 10);
    const bool numbered = end > rest && *end == '_';
    if (strcmp(numbered ? end + 1 : rest, sum) != 0) return QG_OK;
    if (numbered && (number < 2 || number > QG_MAX_TEACHERS)) return QG_OK;
    return read_sha256(r, node, r->file->parent_network_sha256[numbered ? number - 1 : 0]);
}

static qg_status read_item(const run_reader *r, const qg_yaml *item, const run_key *keys)
{
    size_t count = 0;
    const unsigned kind = 1U << r->file->kind;
    const run_key *other = NULL; /* of this name, for another kind */
    for (; keys[count].name; count++) {
        if (strcmp(keys[count].name, item->key) != 0) continue;
        if (keys[count].kinds & kind) return keys[count].read ? keys[count].read(r, item) : QG_OK;
        other = &keys[count];
    }
    if (tells_of_parent(r->file, item->key)) return read_parent_fact(r, item);
    const char *const near = other ? NULL : qg_text_nearest(item->key, keys, count, sizeof *keys);
    return qg_fail(r->error, QG_ERROR_USAGE, "%s:%d: %s: %s '%s'%s%s%s", r->name, item->key_line,
                   item->key, other ? "means nothing in a run of the kind" : "there is no key",
                   other ? qg_run_kind_name(r->file->kind) : item->key,
                   near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

static qg_status read_keys(const run_reader *r, const qg_yaml *mapping, const run_key *keys)
{
    qg_status status = QG_OK;
    if (mapping->kind != QG_YAML_MAPPING) return fail(r, mapping, "`key: value` lines are needed");
    for (size_t i = 0; i < mapping->count && !status; i++)
        status = read_item(r, &mapping->items[i], keys);
    for (const run_key *key = keys; key->name && !status; key++)
        if ((key->needed & 1U << r->file->kind) && !qg_yaml_get(mapping, key->name))
            status = qg_fail(r->error, QG_ERROR_USAGE, "%s:%d: %s: is missing", r->name,
                             mapping->line, key->name);
    return status;
}

static qg_status read_kind(const run_reader *r, const qg_yaml *root)
{
    const qg_yaml *const node = root->kind == QG_YAML_MAPPING ? qg_yaml_get(root, "kind") : NULL;
    for (size_t k = 0; node && k < sizeof kind_names / sizeof *kind_names; k++)
        if (node->kind == QG_YAML_SCALAR && strcmp(node->text, kind_names[k]) == 0) {
            r->file->kind = (qg_run_kind)k;
            return QG_OK;
        }
    return qg_fail(r->error, QG_ERROR_USAGE,
                   "%s:%d: kind: 'train', 'graft', 'distill', 'random-score' or 'similarity' makes "
                   "this a run file",
                   r->name, node ? node->line : root->line);
}

/* What no single key tells. */
static qg_status check(const run_reader *r, const qg_yaml *root)
{
    const qg_run_file *const file = r->file;
    const bool random = file->kind == QG_RUN_GRAFT && strcmp(file->parents[0], "random") == 0;
    if ((file->kind == QG_RUN_TRAIN || file->kind == QG_RUN_GRAFT) &&
        qg_settings_check(&file->settings, r->error))
        return locate(r, qg_yaml_get(root, "settings")->line);
    const qg_yaml *const frozen = qg_yaml_get(root, "frozen");
    if (file->kind == QG_RUN_TRAIN && frozen && !*file->initial_network_sha256)
        return fail(r, frozen,
                    "a training from fresh weights that do not learn is a graft of 'random'");
    if (random && *file->parent_sha256[0])
        return fail(r, qg_yaml_get(root, "parent_sha256"), "random layers have none");
    if (file->kind == QG_RUN_GRAFT &&
        qg_graft_choice_check(&file->choice, random, file->steps, &file->settings, 0, r->error))
        return locate(r, qg_yaml_get(root, "choice")->line);
    return QG_OK;
}

/* Of a distillation the samples learned from, which its options tell in more detail. */
static int64_t all_steps(const qg_run_file *file)
{
    return file->kind == QG_RUN_DISTILL
               ? file->samples * file->temperatures.count * file->parent_count
               : file->steps;
}

qg_status qg_run_file_parse(const char *name, const void *data, size_t size, qg_run_file *file,
                            qg_error *error)
{
    *file = (qg_run_file){.reinit_seed = -1};
    const run_reader r = {name, file, error};
    qg_yaml *root;
    qg_status status = qg_yaml_parse(name, data, size, &root, error);
    if (status) return status;
    status = read_kind(&r, root);
    if (!status) status = read_keys(&r, root, run_keys);
    if (!status) qg_settings_shorten_evaluations(&file->settings, all_steps(file));
    if (!status) status = check(&r, root);
    if (status) qg_run_file_free(file);
    qg_yaml_free(root);
    return status;
}

qg_status qg_run_file_load(const char *path, qg_run_file *file, qg_error *error)
{
    uint8_t *data;
    size_t size;
    *file = (qg_run_file){0};
    qg_status status = qg_file_read(path, QG_YAML_LARGEST, &data, &size, error);
    if (status) return status;
    status = qg_run_file_parse(path, data, size, file, error);
    free(data);
    return status;
}

void qg_run_file_free(qg_run_file *file)
{
    for (int i = 0; i < QG_MAX_TEACHERS; i++)
        free(file->parents[i]);
    for (int i = 0; i < QG_MAX_OTHER_GAMES; i++)
        free(file->also_evaluate[i]);
    free(file->snapshots);
    *file = (qg_run_file){0};
}

/* ---------------------------------------------------------------------------------- writing */

static void write_graft(FILE *out, const qg_run_file *file)
{
    char choice[QG_GRAFT_CHOICE_TEXT];
    qg_graft_choice_format(&file->choice, choice);
    fprintf(out, "choice: %s\nparent_file: ", choice);
    qg_yaml_string(out, file->parents[0]);
    if (*file->parent_sha256[0]) fprintf(out, "\nparent_sha256: %s", file->parent_sha256[0]);
    if (*file->parent_network_sha256[0])
        fprintf(out, "\nparent_network_sha256: %s", file->parent_network_sha256[0]);
    if (file->reinit_seed >= 0) fprintf(out, "\nreinit_seed: %" PRId64, file->reinit_seed);
    fputc('\n', out);
}

static void write_distillation(FILE *out, const qg_run_file *file)
{
    qg_distillation_options options = {0};
    qg_run_file_distill(file, &options);
    qg_distillation_write(out, &options);
    fprintf(out, "teachers:\n");
    for (int i = 0; i < file->parent_count; i++) {
        fprintf(out, "  - file: ");
        qg_yaml_string(out, file->parents[i]);
        if (*file->parent_sha256[i]) fprintf(out, "\n    sha256: %s", file->parent_sha256[i]);
        fputc('\n', out);
    }
    for (int i = 0; i < file->parent_count; i++) {
        if (!*file->parent_network_sha256[i]) continue;
        fputs("parent_", out);
        if (i > 0) fprintf(out, "%d_", i + 1);
        fprintf(out, "network_sha256: %s\n", file->parent_network_sha256[i]);
    }
}

qg_status qg_run_file_format(const qg_run_file *file, char **text, qg_error *error)
{
    size_t size = 0;
    *text = NULL;
    FILE *out = qg_text_stream(text, &size);
    if (!out) return qg_fail_memory(error, "a run file", 4096);
    fprintf(out, "# One run of qgraft: 'qgraft perform' on this file does it.\n");
    qg_run_yaml_begin(out, qg_run_kind_name(file->kind),
                      file->kind == QG_RUN_DISTILL ? NULL : file->domain, file->seed,
                      all_steps(file));
    if (file->kind == QG_RUN_GRAFT) write_graft(out, file);
    if (file->kind == QG_RUN_DISTILL) write_distillation(out, file);
    if (*file->initial_network_sha256)
        fprintf(out, "initial_network_sha256: %s\n", file->initial_network_sha256);
    qg_run_yaml_snapshots(out, file->snapshots, file->snapshot_count);
    qg_run_yaml_other_games(out, (const char *const *)file->also_evaluate,
                            file->also_evaluate_count);
    qg_status status = QG_OK;
    if (file->kind == QG_RUN_SIMILARITY)
        qg_run_yaml_text(out, "other_domain", file->other_domain);
    else
        status = qg_run_yaml_settings(out, &file->settings, error);
    if (fclose(out) != 0 && !status) status = qg_fail_memory(error, "a run file", 4096);
    if (status) {
        free(*text);
        *text = NULL;
    }
    return status;
}

/* ------------------------------------------------------------------------------------ doing */

void qg_run_file_train(const qg_run_file *file, qg_train_options *options)
{
    options->domain = file->domain;
    options->settings = file->settings;
    options->run.seed = file->seed;
    options->steps = file->steps;
    options->snapshots = file->snapshots;
    options->snapshot_count = file->snapshot_count;
    options->also_evaluate = (const char *const *)file->also_evaluate;
    options->also_evaluate_count = file->also_evaluate_count;
}

void qg_run_file_graft(const qg_run_file *file, qg_graft_options *options)
{
    options->source = strcmp(file->parents[0], "random") == 0 ? NULL : file->parents[0];
    options->choice = file->choice;
    options->reinit = file->reinit_seed >= 0;
    options->reinit_seed = options->reinit ? (uint64_t)file->reinit_seed : 0;
    qg_run_file_train(file, &options->train);
}

void qg_run_file_distill(const qg_run_file *file, qg_distillation_options *options)
{
    options->teachers = (const char *const *)file->parents;
    options->teacher_count = file->parent_count;
    options->settings = file->settings;
    options->temperatures = file->temperatures;
    options->order = file->order;
    options->loss = file->loss;
    options->samples = file->samples;
    options->epsilon = file->epsilon;
    options->run.seed = file->seed;
}
