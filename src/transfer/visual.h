/* The looks of a game: from a sequence of frames to a few distributions, and their distances. */
#ifndef QG_VISUAL_H
#define QG_VISUAL_H

#include <qgraft/similarity.h>

/* `count` frames of palette indices u8 [count][height][width], in the order of play. */
typedef struct qg_film {
    int height, width;
    size_t count;
    const uint8_t *frames;
    const bool *begins;          /* [count] the frame does not follow from the one before it */
    const uint8_t (*palette)[3]; /* RGB of `colors` indices; every index is below it */
    int colors;
} qg_film;

/* Fills *appearance, which the caller frees, also after a failure. */
qg_status qg_appearance_measure(const qg_film *film, qg_appearance *appearance, qg_error *error);
void qg_appearance_free(qg_appearance *appearance); /* zero bytes are allowed */

/* Square root of the Jensen-Shannon divergence, base 2, of two distributions over `count` bins. */
double qg_jensen_shannon_distance(const double *p, const double *q, size_t count);

/* Wasserstein-1 distance: the area between the two cumulative distributions. Both not empty. */
double qg_wasserstein_distance(const qg_distribution *a, const qg_distribution *b);

/* 1 - exp(-Wasserstein); 0 between two empty distributions, 1 between an empty one and another. */
double qg_log_distance(const qg_distribution *a, const qg_distribution *b);

#endif
