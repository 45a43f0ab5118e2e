#include "agent/screen_codec.h"

#include <stdlib.h>
#include <string.h>
#include <zdict.h>
#include <zstd.h>
#include <zstd_errors.h>

enum {
    LEVEL = 3,
    CANDIDATES = 16, /* for each screen of the dictionary */
    JUDGES = 128,    /* samples that choose among them, at most */
    MOST_SCREENS = 64,
};

/* ------------------------------------------------------------------------------- encoding */

struct qg_screen_encoder {
    ZSTD_CCtx *context;
    ZSTD_CDict *dictionary;
    size_t pixels, room;
    uint8_t *frame; /* [room] */
};

static qg_status fail_codec(qg_error *error)
{
    return qg_fail_memory(error, "the compression of screens", QG_DICTIONARY_ROOM);
}

void qg_screen_encoder_free(qg_screen_encoder *encoder)
{
    if (!encoder) return;
    ZSTD_freeCCtx(encoder->context);
    ZSTD_freeCDict(encoder->dictionary);
    free(encoder->frame);
    free(encoder);
}

qg_status qg_screen_encoder_create(const uint8_t *dictionary, size_t size, size_t pixels,
                                   qg_screen_encoder **result, qg_error *error)
{
    qg_screen_encoder *e = calloc(1, sizeof *e);
    if (!e) return fail_codec(error);
    e->pixels = pixels;
    e->room = ZSTD_compressBound(pixels);
    e->context = ZSTD_createCCtx();
    e->frame = malloc(e->room);
    if (size > 0) e->dictionary = ZSTD_createCDict(dictionary, size, LEVEL);
    if (!e->context || !e->frame || (size > 0 && !e->dictionary) ||
        ZSTD_isError(ZSTD_CCtx_setParameter(e->context, ZSTD_c_compressionLevel, LEVEL)) ||
        ZSTD_isError(ZSTD_CCtx_setParameter(e->context, ZSTD_c_dictIDFlag, 0)) ||
        ZSTD_isError(ZSTD_CCtx_refCDict(e->context, e->dictionary))) {
        qg_screen_encoder_free(e);
        return fail_codec(error);
    }
    *result = e;
    return QG_OK;
}

qg_status qg_screen_encode(qg_screen_encoder *e, const uint8_t *screen, const uint8_t **frame,
                           size_t *size, qg_error *error)
{
    *frame = e->frame;
    *size = ZSTD_compress2(e->context, e->frame, e->room, screen, e->pixels);
    if (ZSTD_isError(*size)) return fail_codec(error);
    if (*size < e->pixels) return QG_OK;
    *frame = screen;
    *size = e->pixels;
    return QG_OK;
}

/* ------------------------------------------------------------------------------- decoding */

struct qg_screen_decoder {
    ZSTD_DDict *dictionary;
    int threads;
    ZSTD_DCtx *contexts[]; /* [threads] */
};

void qg_screen_decoder_free(qg_screen_decoder *decoder)
{
    if (!decoder) return;
    for (int t = 0; t < decoder->threads; t++)
        ZSTD_freeDCtx(decoder->contexts[t]);
    ZSTD_freeDDict(decoder->dictionary);
    free(decoder);
}

qg_status qg_screen_decoder_create(const uint8_t *dictionary, size_t size, int threads,
                                   qg_screen_decoder **result, qg_error *error)
{
    qg_screen_decoder *d = calloc(1, sizeof *d + (size_t)threads * sizeof *d->contexts);
    if (!d) return fail_codec(error);
    d->threads = threads;
    bool made = true;
    for (int t = 0; t < threads; t++)
        made = (d->contexts[t] = ZSTD_createDCtx()) && made;
    if (made && size > 0) d->dictionary = ZSTD_createDDict(dictionary, size);
    made = made && (size == 0 || d->dictionary);
    if (!made) {
        qg_screen_decoder_free(d);
        return size > 0 && ZDICT_isError(ZDICT_getDictHeaderSize(dictionary, size))
                   ? qg_fail(error, QG_ERROR_DATA, "no dictionary")
                   : fail_codec(error);
    }
    *result = d;
    return QG_OK;
}

bool qg_screen_decode(qg_screen_decoder *d, int thread, bool plain, const uint8_t *frame,
                      size_t size, uint8_t *screen, size_t pixels)
{
    if (size == pixels) {
        memcpy(screen, frame, pixels);
        return true;
    }
    return ZSTD_decompress_usingDDict(d->contexts[thread], screen, pixels, frame, size,
                                      plain ? NULL : d->dictionary) == pixels;
}

/* ----------------------------------------------------------------------------- dictionary */

/* Bytes of the judges' frames with a dictionary of `size` bytes. */
static qg_status judge(const uint8_t *samples, int count, size_t pixels, const uint8_t *dictionary,
                       size_t size, size_t *bytes, qg_error *error)
{
    qg_screen_encoder *encoder;
    const int every = (count + JUDGES - 1) / JUDGES;
    qg_status status = qg_screen_encoder_create(dictionary, size, pixels, &encoder, error);
    if (status) return status;
    *bytes = 0;
    for (int i = 0; i < count && !status; i += every) {
        const uint8_t *frame;
        size_t one = 0;
        status = qg_screen_encode(encoder, samples + (size_t)i * pixels, &frame, &one, error);
        *bytes += one;
    }
    qg_screen_encoder_free(encoder);
    return status;
}

/* Puts the screen before those that were chosen that helps the judges most beside them. */
static qg_status choose(const uint8_t *samples, int count, size_t pixels, int round, uint8_t *to,
                        size_t size, qg_error *error)
{
    const uint8_t *best = NULL;
    size_t least = SIZE_MAX;
    for (int c = 0; c < CANDIDATES; c++) { /* others in each round */
        const int64_t at = ((int64_t)c * MOST_SCREENS + round) * count / CANDIDATES / MOST_SCREENS;
        const uint8_t *screen = samples + (size_t)at * pixels;
        size_t bytes;
        memcpy(to, screen, pixels);
        const qg_status status = judge(samples, count, pixels, to, size, &bytes, error);
        if (status) return status;
        if (bytes >= least) continue;
        least = bytes;
        best = screen;
    }
    memcpy(to, best, pixels);
    return QG_OK;
}

/* zstd's tables, by the samples, before the screens that were chosen. */
static qg_status add_tables(const uint8_t *samples, int count, size_t pixels, const uint8_t *chosen,
                            size_t size, uint8_t *dictionary, size_t *result, qg_error *error)
{
    size_t *sizes = malloc((size_t)count * sizeof *sizes);
    if (!sizes) return fail_codec(error);
    for (int i = 0; i < count; i++)
        sizes[i] = pixels;
    *result =
        ZDICT_finalizeDictionary(dictionary, QG_DICTIONARY_ROOM, chosen, size, samples, sizes,
                                 (unsigned)count, (ZDICT_params_t){.compressionLevel = LEVEL});
    free(sizes);
    if (!ZDICT_isError(*result)) return QG_OK;
    if (ZSTD_getErrorCode(*result) == ZSTD_error_memory_allocation) return fail_codec(error);
    *result = 0; /* too little to learn from */
    return QG_OK;
}

qg_status qg_dictionary_train(const uint8_t *samples, int count, size_t pixels,
                              uint8_t dictionary[QG_DICTIONARY_ROOM], size_t *size, qg_error *error)
{
    size_t screens = QG_DICTIONARY_SCREENS / pixels;
    if (screens > MOST_SCREENS) screens = MOST_SCREENS;
    *size = 0;
    if (screens == 0 || count < CANDIDATES) return QG_OK;
    uint8_t *chosen = malloc(screens * pixels);
    if (!chosen) return fail_codec(error);
    qg_status status = QG_OK;
    for (size_t n = 1; n <= screens && !status; n++) /* the newest first: nearer is cheaper */
        status = choose(samples, count, pixels, (int)n - 1, chosen + (screens - n) * pixels,
                        n * pixels, error);
    if (!status)
        status =
            add_tables(samples, count, pixels, chosen, screens * pixels, dictionary, size, error);
    free(chosen);
    return status;
}

qg_status qg_screen_codec_measure(const uint8_t *samples, int count, size_t pixels, double *bytes,
                                  qg_error *error)
{
    const int half = count / 2;
    uint8_t *dictionary = malloc(QG_DICTIONARY_ROOM);
    if (!dictionary) return fail_codec(error);
    size_t size = 0, sum = 0, judged = 0;
    qg_screen_encoder *encoder = NULL;
    qg_status status = qg_dictionary_train(samples, half, pixels, dictionary, &size, error);
    if (!status) status = qg_screen_encoder_create(dictionary, size, pixels, &encoder, error);
    for (int i = half; i < count && !status; i++, judged++) {
        const uint8_t *frame;
        size_t one = 0;
        status = qg_screen_encode(encoder, samples + (size_t)i * pixels, &frame, &one, error);
        sum += one;
    }
    *bytes = judged > 0 ? (double)sum / (double)judged : (double)pixels;
    qg_screen_encoder_free(encoder);
    free(dictionary);
    return status;
}
