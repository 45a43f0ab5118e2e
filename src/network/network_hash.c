/* What a network is, as one number: the same for every file that holds it. */
#include <qgraft/network.h>

#include <sha256.h>
#include <stdio.h>

static void add_text(SHA256_CTX *context, const char *text, int length)
{
    SHA256_Update(context, (const uint8_t *)text, (size_t)length);
}

void qg_network_sha256(const qg_network *network, char hex[65])
{
    const qg_architecture *a = &network->architecture;
    char line[80];
    SHA256_CTX context;
    SHA256_Init(&context);
    add_text(&context, line,
             snprintf(line, sizeof line, "input %d %d %d %d\n", a->channels, a->height, a->width,
                      a->input_max));
    for (int l = 0; l < a->layer_count; l++) {
        const qg_layer *layer = &a->layers[l];
        const int length = layer->kind == QG_CONV
                               ? snprintf(line, sizeof line, "conv %d %d %d %d\n", layer->outputs,
                                          layer->kernel, layer->stride, layer->padding)
                               : snprintf(line, sizeof line, "%s %d\n",
                                          layer->heads ? "heads" : "linear", layer->outputs);
        add_text(&context, line, length);
        if (layer->norm) add_text(&context, "norm\n", 5);
    }
    SHA256_Update(&context, (const uint8_t *)network->parameters, /* one block, in this order */
                  qg_architecture_parameters(a) * sizeof *network->parameters);
    SHA256_End(&context, hex);
}
