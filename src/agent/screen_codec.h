/* Screens as zstd frames, each readable alone, and the dictionary of a game's screens that makes
 * them small: whole screens of its own, which the others differ from in little. */
#ifndef QG_SCREEN_CODEC_H
#define QG_SCREEN_CODEC_H

#include <qgraft/error.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A dictionary in zstd's format: its screens, and zstd's tables before them. */
enum { QG_DICTIONARY_SCREENS = 1 << 16, QG_DICTIONARY_ROOM = QG_DICTIONARY_SCREENS + (1 << 13) };

/* Makes one of `count` samples, u8 [count][pixels], for screens like them. *size is 0 where none
 * would help: screens too large or too few. The same samples and version of the library give the
 * same bytes. QG_ERROR_MEMORY. */
qg_status qg_dictionary_train(const uint8_t *samples, int count, size_t pixels,
                              uint8_t dictionary[QG_DICTIONARY_ROOM], size_t *size,
                              qg_error *error);

typedef struct qg_screen_encoder qg_screen_encoder;

/* `dictionary` is copied; `size` 0: none. */
qg_status qg_screen_encoder_create(const uint8_t *dictionary, size_t size, size_t pixels,
                                   qg_screen_encoder **encoder, qg_error *error);
void qg_screen_encoder_free(qg_screen_encoder *encoder); /* NULL is allowed */

/* *frame (the encoder's, until the next call) and its *size: less than `pixels`, or equal to it:
 * then it is the screen as it is. QG_ERROR_MEMORY. */
qg_status qg_screen_encode(qg_screen_encoder *encoder, const uint8_t *screen, const uint8_t **frame,
                           size_t *size, qg_error *error);

typedef struct qg_screen_decoder qg_screen_decoder;

/* What several threads share. `dictionary` is copied. QG_ERROR_DATA: it is none. */
qg_status qg_screen_decoder_create(const uint8_t *dictionary, size_t size, int threads,
                                   qg_screen_decoder **decoder, qg_error *error);
void qg_screen_decoder_free(qg_screen_decoder *decoder); /* NULL is allowed */

/* A frame of qg_screen_encode back to `pixels` bytes; `plain`: one made without the dictionary.
 * `thread` (0 ...): nobody else calls with that number meanwhile. False: it is no such frame. */
bool qg_screen_decode(qg_screen_decoder *decoder, int thread, bool plain, const uint8_t *frame,
                      size_t size, uint8_t *screen, size_t pixels);

/* Mean bytes of a frame of the second half of `count` samples, with a dictionary of the first. */
qg_status qg_screen_codec_measure(const uint8_t *samples, int count, size_t pixels, double *bytes,
                                  qg_error *error);

#endif
