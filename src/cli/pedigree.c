/* Lists the files at hand, follows the SHA-256 sums in their metadata, prints what it met.
 *
 * A parent is known by two sums: that of its file, and that of the network in it, which stays the
 * same when other programs save it again. */
#include "cli/pedigree.h"

#include "cli/cli.h"

#include <qgraft/graft.h>

#include "base/file.h"
#include "base/text.h"
#include "network/safetensors.h"

#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MAX_DEPTH       6
#define MAX_FILES       10000
#define MAX_GENERATIONS 100 /* a cycle, a file that holds its own SHA-256, would end here, too */
#define MAX_ANCESTORS   1000
#define MAX_PARENTS     8 /* a student of several teachers has as many parents */

/* -------------------------------------------------------------------------------- files at hand */

typedef enum sum_kind { OF_FILE, OF_NETWORK, NEITHER } sum_kind;

/* What a parent is recognised by; empty: not known. */
typedef struct sums {
    char of[NEITHER][65]; /* by sum_kind */
} sums;

typedef struct candidate {
    char *path;
    sums sums; /* empty: not computed yet; "-": there is none */
} candidate;

/* The files of the search folder, listed when the first is asked for. */
typedef struct file_list {
    const char *folder;
    candidate *files;
    size_t count, capacity;
    bool listed, full;
} file_list;

static bool is_tensors_name(const char *name)
{
    const size_t length = strlen(name), suffix = strlen(".safetensors");
    return length > suffix && strcmp(name + length - suffix, ".safetensors") == 0;
}

static qg_status add_file(file_list *list, char *path, qg_error *error)
{
    if (list->count == list->capacity) {
        const size_t capacity = list->capacity ? 2 * list->capacity : 64;
        candidate *files = realloc(list->files, capacity * sizeof *files);
        if (!files) {
            free(path);
            return qg_fail_memory(error, "a list of files", capacity * sizeof *files);
        }
        list->files = files;
        list->capacity = capacity;
    }
    list->files[list->count++] = (candidate){.path = path};
    return QG_OK;
}

static qg_status list_folder(file_list *list, const char *folder, int depth, qg_error *error);

static qg_status list_entry(file_list *list, DIR *stream, const char *folder, const char *name,
                            int depth, qg_error *error)
{
    struct stat status;
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
        fstatat(dirfd(stream), name, &status, AT_SYMLINK_NOFOLLOW) != 0)
        return QG_OK;
    const bool enter = S_ISDIR(status.st_mode) && depth < MAX_DEPTH;
    const bool take = S_ISREG(status.st_mode) && is_tensors_name(name);
    if (!enter && !take) return QG_OK;
    if (take && list->count == MAX_FILES) {
        list->full = true;
        return QG_OK;
    }
    char *path = strcmp(folder, ".") == 0 ? strdup(name) : qg_path_join(folder, name);
    if (!path) return qg_fail_memory(error, name, 0);
    if (take) return add_file(list, path, error);
    const qg_status result = list_folder(list, path, depth + 1, error);
    free(path);
    return result;
}

/* Folders that may not be read are passed over, but not the one that was asked for. */
static qg_status list_folder(file_list *list, const char *folder, int depth, qg_error *error)
{
    DIR *stream = opendir(folder);
    if (!stream) return depth ? QG_OK : qg_fail_errno(error, "%s", folder);
    qg_status result = QG_OK;
    for (const struct dirent *entry; !result && !list->full && (entry = readdir(stream));)
        result = list_entry(list, stream, folder, entry->d_name, depth, error);
    closedir(stream);
    return result;
}

static int compare_paths(const void *a, const void *b)
{
    return strcmp(((const candidate *)a)->path, ((const candidate *)b)->path);
}

/* "-": a name that leads nowhere any more, or a file without a network. QG_ERROR_MEMORY alone. */
static qg_status compute_sum(const char *path, sum_kind kind, char sum[65], qg_error *error)
{
    qg_network network;
    qg_network_info info;
    qg_status status;
    if (kind == OF_FILE) {
        status = qg_sha256_file(path, sum, error);
    } else if ((status = qg_network_load(path, &network, &info, error)) == QG_OK) {
        qg_network_sha256(&network, sum);
        qg_network_free(&network);
    }
    if (status) strcpy(sum, "-");
    return status == QG_ERROR_MEMORY ? status : QG_OK;
}

/* Whether the child knows this sum of its parent. */
static bool is_known(const sums *wanted, sum_kind kind)
{
    return strlen(wanted->of[kind]) == 64;
}

/* How the file `path` is the parent, in *kind; *kind stays NEITHER when it is not. */
static qg_status compare_sums(const char *path, const sums *wanted, sum_kind *kind, qg_error *error)
{
    for (sum_kind k = OF_FILE; k < NEITHER && *kind == NEITHER; k++) {
        char found[65];
        if (!is_known(wanted, k)) continue;
        const qg_status status = compute_sum(path, k, found, error);
        if (status) return status;
        if (strcmp(found, wanted->of[k]) == 0) *kind = k;
    }
    return QG_OK;
}

/* A file of the search folder with this sum; *path stays NULL when there is none. */
static qg_status search(file_list *list, sum_kind kind, const char *sum, char **path,
                        qg_error *error)
{
    if (!list->listed) {
        const qg_status status = list_folder(list, list->folder, 0, error);
        if (status) return status;
        qsort(list->files, list->count, sizeof *list->files, compare_paths);
        list->listed = true;
    }
    for (size_t i = 0; i < list->count; i++) {
        candidate *file = &list->files[i];
        char *found = file->sums.of[kind];
        const qg_status status = *found ? QG_OK : compute_sum(file->path, kind, found, error);
        if (status) return status;
        if (strcmp(found, sum) != 0) continue;
        *path = strdup(file->path);
        return *path ? QG_OK : qg_fail_memory(error, file->path, 0);
    }
    return QG_OK;
}

/* The parent called `name` of the file `child`, and how it is known; *path stays NULL when it is
 * not at hand. */
static qg_status find_parent(file_list *list, const char *child, const char *name,
                             const sums *wanted, char **path, sum_kind *kind, qg_error *error)
{
    /* As it is called, beside its child, and from the study of whose runs its child is one. */
    static const char *const ways[] = {"", "", "../../../"};
    const char *const slash = strrchr(child, '/');
    const int folder = slash ? (int)(slash - child) + 1 : 0;
    const int places = !name ? 0 : *name == '/' ? 1 : 3;
    qg_status status = QG_OK;
    for (int i = 0; i < places && !status && !*path; i++) {
        char *place;
        if (asprintf(&place, "%.*s%s%s", i ? folder : 0, child, ways[i], name) < 0)
            return qg_fail_memory(error, "a path", strlen(name));
        status = compare_sums(place, wanted, kind, error);
        if (*kind == NEITHER)
            free(place);
        else
            *path = place;
    }
    for (sum_kind k = OF_FILE; k < NEITHER && !status && !*path; k++) {
        if (!is_known(wanted, k)) continue;
        status = search(list, k, wanted->of[k], path, error);
        if (*path) *kind = k;
    }
    return status;
}

/* -------------------------------------------------------------------------------- generations */

typedef struct ancestor {
    int generation;                       /* 0: the network itself */
    int child;                            /* its place in the list; -1: the network itself */
    char *file;                           /* NULL: not at hand */
    bool random;                          /* not a file: the random layers of a control */
    sums sums;                            /* as its child knows them */
    sum_kind known;                       /* by what its file was recognised */
    char domain[96], step[32], score[32]; /* empty: not known */
    char copied[512];                     /* of its parent, or where else it comes from */
    char learning[QG_GRAFT_CHOICE_TEXT];  /* "frozen", "free": the copied layers */
    char reused[QG_GRAFT_CHOICE_TEXT];    /* of its parent's policy */
} ancestor;

typedef struct pedigree {
    ancestor *all; /* [MAX_ANCESTORS] */
    int count;
    bool cut; /* there are more generations than are followed */
    file_list files;
} pedigree;

static void set_text(char *text, size_t size, const char *value)
{
    if (!value) return;
    snprintf(text, size, "%s", value);
    qg_text_make_safe(text); /* the cut may go through a character */
}

/* "parent_KEY" of the first parent, "parent_2_KEY" of the second. */
static const char *parent_value(const qg_tensors *file, int parent, const char *key)
{
    char name[64];
    if (parent == 0)
        snprintf(name, sizeof name, "parent_%s", key);
    else
        snprintf(name, sizeof name, "parent_%d_%s", parent + 1, key);
    return qg_tensors_metadata(file, name);
}

/* What a file says about itself is better than what its child says about it. */
static void describe(const qg_tensors *file, ancestor *a)
{
    set_text(a->domain, sizeof a->domain, qg_tensors_metadata(file, "domain"));
    set_text(a->step, sizeof a->step, qg_tensors_metadata(file, "step"));
    set_text(a->score, sizeof a->score, qg_tensors_metadata(file, "score"));
    set_text(a->copied, sizeof a->copied, qg_tensors_metadata(file, "copied"));
    set_text(a->learning, sizeof a->learning, qg_tensors_metadata(file, "copied_layers_are"));
    set_text(a->reused, sizeof a->reused, qg_tensors_metadata(file, "reused"));
    const char *format = qg_tensors_metadata(file, "imported_format");
    if (!format) return;
    snprintf(a->copied, sizeof a->copied, "imported: %s", format);
    qg_text_make_safe(a->copied);
}

static qg_status add_parent(pedigree *p, int child, const qg_tensors *file, int parent,
                            qg_error *error)
{
    const char *sha256 = parent_value(file, parent, "sha256");
    const char *network = parent_value(file, parent, "network_sha256");
    const char *name = parent_value(file, parent, "file");
    const bool random = !sha256 && name && strcmp(name, "random") == 0;
    if (!sha256 && !random) return QG_OK;
    if (p->all[child].generation == MAX_GENERATIONS || p->count == MAX_ANCESTORS) {
        p->cut = true;
        return QG_OK;
    }
    ancestor *a = &p->all[p->count++];
    *a = (ancestor){.generation = p->all[child].generation + 1,
                    .child = child,
                    .random = random,
                    .known = NEITHER};
    if (random) return QG_OK;
    set_text(a->sums.of[OF_FILE], sizeof a->sums.of[0], sha256);
    set_text(a->sums.of[OF_NETWORK], sizeof a->sums.of[0], network);
    set_text(a->domain, sizeof a->domain, parent_value(file, parent, "domain"));
    set_text(a->step, sizeof a->step, parent_value(file, parent, "step"));
    set_text(a->score, sizeof a->score, parent_value(file, parent, "score"));
    return find_parent(&p->files, p->all[child].file, name, &a->sums, &a->file, &a->known, error);
}

/* Reads the file of one ancestor and adds its parents. */
static qg_status follow(pedigree *p, int index, qg_error *error)
{
    ancestor *a = &p->all[index];
    if (!a->file) return QG_OK;
    qg_tensors *file;
    qg_status status = qg_tensors_load(a->file, &file, error);
    if (status) return status;
    const char *format = qg_tensors_metadata(file, "format");
    if (!format || strncmp(format, "qgraft network", strlen("qgraft network")) != 0)
        status =
            qg_fail(error, QG_ERROR_DATA, "%s: not a qgraft network: it has no pedigree", a->file);
    else
        describe(file, a);
    for (int k = 0; k < MAX_PARENTS && !status; k++)
        status = add_parent(p, index, file, k, error);
    qg_tensors_free(file);
    return status;
}

static qg_status collect(pedigree *p, const char *path, qg_error *error)
{
    p->all = calloc(MAX_ANCESTORS, sizeof *p->all);
    if (!p->all) return qg_fail_memory(error, "a pedigree", MAX_ANCESTORS * sizeof *p->all);
    p->count = 1;
    p->all[0].child = -1;
    p->all[0].file = strdup(path);
    if (!p->all[0].file) return qg_fail_memory(error, path, 0);
    qg_status status = qg_sha256_file(path, p->all[0].sums.of[OF_FILE], error);
    if (!status) status = compute_sum(path, OF_NETWORK, p->all[0].sums.of[OF_NETWORK], error);
    if (strcmp(p->all[0].sums.of[OF_NETWORK], "-") == 0) p->all[0].sums.of[OF_NETWORK][0] = '\0';
    for (int i = 0; i < p->count && !status; i++)
        status = follow(p, i, error);
    return status;
}

static void release(pedigree *p)
{
    for (int i = 0; i < p->count; i++)
        free(p->all[i].file);
    for (size_t i = 0; i < p->files.count; i++)
        free(p->files.files[i].path);
    free(p->files.files);
    free(p->all);
}

/* -------------------------------------------------------------------------------- printing */

static const cli_column columns[] = {
    {"generation", true}, {"file", false},   {"domain", false}, {"step", true},
    {"score", true},      {"copied", false}, {"learns", false},
};

static const char *or_dash(const char *text)
{
    return text[0] ? text : "-";
}

static void ancestor_cell(const void *context, size_t row, size_t column, char *text, size_t size)
{
    const ancestor *a = &((const pedigree *)context)->all[row];
    switch (column) {
    case 0:
        snprintf(text, size, "%d", a->generation);
        break;
    case 1:
        snprintf(text, size, "%s", a->file ? a->file : a->random ? "random" : "not found");
        break;
    case 2:
        snprintf(text, size, "%s", or_dash(a->domain));
        break;
    case 3:
        snprintf(text, size, "%s", or_dash(a->step));
        break;
    case 4:
        if (a->score[0])
            snprintf(text, size, "%.6g", strtod(a->score, NULL));
        else
            snprintf(text, size, "-");
        break;
    case 5:
        snprintf(text, size, "%s", or_dash(a->copied));
        break;
    default:
        snprintf(text, size, "%s", or_dash(a->learning));
        break;
    }
}

static void print_table(const pedigree *p)
{
    cli_print_table(columns, sizeof columns / sizeof *columns, (size_t)p->count, ancestor_cell, p);
    for (int i = 0; i < p->count; i++) {
        const ancestor *a = &p->all[i];
        if (a->reused[0]) {
            printf("generation %d reused its parent's policy: ", a->generation);
            cli_print_safe(a->reused);
            putchar('\n');
        }
        if (a->known == OF_NETWORK) {
            printf("saved again, with the same network: ");
            cli_print_safe(a->file);
            putchar('\n');
        }
        if (a->file || a->random) continue;
        printf("not found: the file with SHA-256 ");
        cli_print_safe(a->sums.of[OF_FILE]);
        printf(" (--search FOLDER looks in another folder)\n");
    }
    if (p->files.full) printf("only the first %d files of the folder were looked at\n", MAX_FILES);
    if (p->cut)
        printf("the pedigree goes on: at most %d generations and %d networks are followed\n",
               MAX_GENERATIONS, MAX_ANCESTORS);
}

static const char *or_null(const char *text)
{
    return text[0] ? text : NULL;
}

static int print_json(const pedigree *p)
{
    json_t *array = json_array();
    int failed = !array;
    for (int i = 0; i < p->count; i++) {
        const ancestor *a = &p->all[i];
        char *file = a->file ? strdup(a->file) : NULL; /* the search may find any name */
        if (file) qg_text_make_safe(file);
        failed |= a->file && !file;
        json_t *step = a->step[0] ? json_integer(strtoll(a->step, NULL, 10)) : json_null();
        failed |= json_array_append_new(
            array,
            json_pack("{s:i, s:o, s:s?, s:b, s:s?, s:s?, s:b, s:s?, s:o, s:o, s:s?, s:s?, s:s?}",
                      "generation", a->generation, "child",
                      a->child < 0 ? json_null() : json_integer(a->child), "file", file, "random",
                      a->random, "sha256", or_null(a->sums.of[OF_FILE]), "network_sha256",
                      or_null(a->sums.of[OF_NETWORK]), "saved_again", a->known == OF_NETWORK,
                      "domain", or_null(a->domain), "step", step, "score",
                      cli_real_to_json(a->score[0] ? strtod(a->score, NULL) : NAN), "copied",
                      or_null(a->copied), "copied_layers_are", or_null(a->learning), "reused",
                      or_null(a->reused)));
        free(file);
    }
    if (failed) {
        json_decref(array);
        array = NULL;
    }
    return cli_print_json(array ? json_pack("{s:o, s:b, s:b}", "pedigree", array, "complete",
                                            !p->cut, "all_files_seen", !p->files.full)
                                : NULL);
}

int pedigree_print(const char *path, const char *search_folder, bool json)
{
    pedigree p = {.files = {.folder = search_folder}};
    qg_error error;
    int code = 0;
    if (collect(&p, path, &error))
        code = cli_fail(&error);
    else if (json)
        code = print_json(&p);
    else
        print_table(&p);
    release(&p);
    return code;
}
