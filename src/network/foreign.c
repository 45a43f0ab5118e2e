/* The tables of names, and the way between them and a network. */
#include "network/foreign.h"

#include "network/safetensors.h"

#include <stdio.h>
#include <string.h>

#define LAYERS 5  /* of nature-pad0 */
#define NAME   96 /* bytes of a tensor's name, with the NUL; those of the formats are shorter */

/* What a format calls things. The target network's names are the online network's with another
 * prefix. */
typedef struct naming {
    const char *name;
    const char *prefix;
    const char *target; /* prefix of the target network; NULL: the format has none */
    const char *layers[LAYERS];
} naming;

static const naming namings[] = {
    [QG_FOREIGN_CLEANRL] = {"cleanrl", "network.", NULL, {"0", "2", "4", "7", "9"}},
    [QG_FOREIGN_SB3] = {"sb3",
                        "q_net.",
                        "q_net_target.",
                        {"features_extractor.cnn.0", "features_extractor.cnn.2",
                         "features_extractor.cnn.4", "features_extractor.linear.0", "q_net.0"}},
};
#define FORMATS (sizeof namings / sizeof *namings)

const char *qg_foreign_name(qg_foreign_format format)
{
    return namings[format].name;
}

qg_foreign_format qg_foreign_find(const char *name)
{
    for (size_t f = 1; f < FORMATS; f++)
        if (strcmp(name, namings[f].name) == 0) return (qg_foreign_format)f;
    return QG_FOREIGN_UNKNOWN;
}

static void tensor_name(const naming *names, const char *prefix, int layer, const char *what,
                        char name[NAME])
{
    snprintf(name, NAME, "%s%s.%s", prefix, names->layers[layer], what);
}

static bool begins(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* ---- Reading ---- */

/* A file under the names of one format. The prefix of its online network is absent where the
 * network alone was saved, as model.q_net.state_dict() does. */
typedef struct source {
    const qg_tensors *file;
    const char *path;
    const naming *names;
    const char *prefix;
} source;

/* A tensor's name without the parts that PyTorch's wrappers put in, wherever they stand:
 * "_orig_mod." of torch.compile and "module." of DataParallel. Empty: too long to be one of ours.
 */
static void plain_name(const char *tensor, char name[NAME])
{
    size_t length = 0;
    for (const char *part = tensor; *part;) {
        const size_t size = strcspn(part, ".") + (part[strcspn(part, ".")] == '.');
        if (!begins(part, "_orig_mod.") && !begins(part, "module.")) {
            if (length + size >= NAME) {
                length = 0;
                break;
            }
            memcpy(name + length, part, size);
            length += size;
        }
        part += size;
    }
    name[length] = '\0';
}

/* The tensor whose plain name is `name`: NULL when there is none; with `from` > 0 among those
 * behind that many. */
static const qg_tensor *find_from(const qg_tensors *file, size_t from, const char *name,
                                  size_t *behind)
{
    for (size_t i = from; i < qg_tensors_count(file); i++) {
        char plain[NAME];
        plain_name(qg_tensors_at(file, i)->name, plain);
        if (strcmp(plain, name) != 0) continue;
        *behind = i + 1;
        return qg_tensors_at(file, i);
    }
    return NULL;
}

/* The tensor of a layer; there must be one, and only one. */
static qg_status find(const source *s, int layer, const char *what, const qg_tensor **tensor,
                      qg_error *error)
{
    char name[NAME];
    size_t behind = 0;
    tensor_name(s->names, s->prefix, layer, what, name);
    *tensor = find_from(s->file, 0, name, &behind);
    if (!*tensor) return qg_fail(error, QG_ERROR_DATA, "%s: has no tensor '%.80s'", s->path, name);
    const qg_tensor *other = find_from(s->file, behind, name, &behind);
    if (other)
        return qg_fail(error, QG_ERROR_DATA,
                       "%s: tensors '%.100s' and '%.100s' are both '%.80s': save one network alone",
                       s->path, (*tensor)->name, other->name, name);
    return QG_OK;
}

/* The format, `wanted` if that is known, whose first layer is in the file. */
static qg_status recognise(source *s, qg_foreign_format wanted, qg_error *error)
{
    for (size_t f = 1; f < FORMATS; f++) {
        const naming *names = &namings[f];
        const char *const prefixes[] = {names->prefix, ""};
        for (size_t i = 0; i < 2; i++) {
            char name[NAME];
            size_t behind;
            tensor_name(names, prefixes[i], 0, "weight", name);
            if ((wanted && wanted != f) || !find_from(s->file, 0, name, &behind)) continue;
            s->names = names;
            s->prefix = prefixes[i];
            return QG_OK;
        }
    }
    if (wanted) { /* the names will say what is missing */
        s->names = &namings[wanted];
        s->prefix = s->names->prefix;
        return QG_OK;
    }
    return qg_fail(error, QG_ERROR_DATA,
                   "%s: neither a CleanRL (network.0.weight, ...) nor a Stable-Baselines3 "
                   "(q_net.features_extractor.cnn.0.weight, ...) DQN state dict",
                   s->path);
}

/* Whether the format has a tensor of this name; those of the target network count. */
static bool is_known(const source *s, const char *tensor)
{
    char plain[NAME], name[NAME];
    plain_name(tensor, plain);
    if (s->names->target && *s->prefix && begins(plain, s->names->target)) return true;
    for (int l = 0; l < LAYERS; l++) {
        tensor_name(s->names, s->prefix, l, "weight", name);
        if (strcmp(plain, name) == 0) return true;
        tensor_name(s->names, s->prefix, l, "bias", name);
        if (strcmp(plain, name) == 0) return true;
    }
    return false;
}

static qg_status check_names(const source *s, qg_error *error)
{
    for (size_t i = 0; i < qg_tensors_count(s->file); i++) {
        const char *tensor = qg_tensors_at(s->file, i)->name;
        if (!is_known(s, tensor))
            return qg_fail(error, QG_ERROR_DATA,
                           "%s: tensor '%.100s' is none of a five-layer network of format %s",
                           s->path, tensor, s->names->name);
    }
    return QG_OK;
}

static qg_status make_architecture(int actions, qg_architecture *a, qg_error *error)
{
    return qg_architecture_make("nature-pad0", 4, 84, 84, 255, actions, a, error);
}

/* An empty network with as many actions as the last layer has biases. */
static qg_status create(const source *s, qg_network *network, qg_error *error)
{
    const size_t any = 0;
    const qg_tensor *biases;
    qg_status status = find(s, LAYERS - 1, "bias", &biases, error);
    if (!status)
        status = qg_tensors_require(s->file, s->path, biases->name, biases->dtype, 1, &any, &biases,
                                    error);
    if (status) return status;
    qg_architecture a;
    qg_error inner;
    if (biases->shape[0] > INT32_MAX || make_architecture((int)biases->shape[0], &a, &inner))
        return qg_fail(error, QG_ERROR_DATA, "%s: %zu actions are not possible", s->path,
                       biases->shape[0]);
    return qg_network_create(&a, network, error);
}

/* Shape of a layer's weights, the biases' in front; the number of dimensions is returned. */
static int weight_shape(const qg_layer *layer, size_t shape[4])
{
    const bool conv = layer->kind == QG_CONV;
    shape[0] = (size_t)layer->outputs;
    shape[1] = conv ? (size_t)layer->in_channels : qg_layer_fan_in(layer);
    shape[2] = shape[3] = (size_t)layer->kernel;
    return conv ? 4 : 2;
}

static qg_status read_layer(const source *s, int l, qg_network *network, qg_rounding *rounding,
                            qg_error *error)
{
    size_t shape[4];
    const int rank = weight_shape(&network->architecture.layers[l], shape);
    const qg_tensor *tensor;
    qg_status status = find(s, l, "weight", &tensor, error);
    if (!status)
        status = qg_tensors_read_floats(s->file, s->path, tensor->name, rank, shape,
                                        network->weights[l], rounding, error);
    if (!status) status = find(s, l, "bias", &tensor, error);
    if (status) return status;
    return qg_tensors_read_floats(s->file, s->path, tensor->name, 1, shape, network->biases[l],
                                  rounding, error);
}

static qg_status read_network(const source *s, qg_network *network, qg_rounding *rounding,
                              qg_error *error)
{
    qg_status status = check_names(s, error);
    if (!status) status = create(s, network, error);
    if (status) return status;
    for (int l = 0; l < LAYERS && !status; l++)
        status = read_layer(s, l, network, rounding, error);
    if (status) qg_network_free(network);
    return status;
}

qg_status qg_foreign_load(const char *path, qg_foreign_format *format, qg_network *network,
                          qg_rounding *rounding, qg_error *error)
{
    qg_tensors *file;
    *rounding = (qg_rounding){0};
    qg_status status = qg_tensors_load(path, &file, error);
    if (status) return status;
    source s = {.file = file, .path = path};
    status = recognise(&s, *format, error);
    if (!status) status = read_network(&s, network, rounding, error);
    if (!status) *format = (qg_foreign_format)(s.names - namings);
    qg_tensors_free(file);
    return status;
}

/* ---- Writing ---- */

static qg_status add_network(qg_tensors *file, const naming *names, const char *prefix,
                             const qg_network *network, qg_error *error)
{
    qg_status status = QG_OK;
    for (int l = 0; l < LAYERS && !status; l++) {
        size_t shape[4];
        const int rank = weight_shape(&network->architecture.layers[l], shape);
        char name[NAME];
        tensor_name(names, prefix, l, "weight", name);
        status = qg_tensors_add(file, name, QG_F32, rank, shape, network->weights[l], error);
        tensor_name(names, prefix, l, "bias", name);
        if (!status)
            status = qg_tensors_add(file, name, QG_F32, 1, shape, network->biases[l], error);
    }
    return status;
}

qg_status qg_foreign_save(const char *path, qg_foreign_format format, const qg_network *network,
                          qg_error *error)
{
    const naming *names = &namings[format];
    const qg_architecture *a = &network->architecture;
    qg_architecture needed;
    qg_status status = make_architecture(a->actions, &needed, error);
    if (status) return status;
    if (!qg_architecture_equal(a, &needed))
        return qg_fail(error, QG_ERROR_USAGE,
                       "%s networks are nature-pad0 with an input of 4 x 84 x 84 bytes / 255; this "
                       "one is '%.60s' with %d x %d x %d / %d",
                       names->name, a->text, a->channels, a->height, a->width, a->input_max);
    qg_tensors *file = qg_tensors_new();
    if (!file) return qg_fail_memory(error, path, 0);
    status = qg_tensors_set_metadata(file, "format", "pt", error); /* as PyTorch's writer has it */
    if (!status) status = add_network(file, names, names->prefix, network, error);
    if (!status && names->target) status = add_network(file, names, names->target, network, error);
    if (!status) status = qg_tensors_save(file, path, error);
    qg_tensors_free(file);
    return status;
}
