/* How alike two domains are, by the three measures of the paper and one of its own.
 *
 * Actions, objectives and looks are compared as Shachaf, Ziv and Zahavy do by eye: the class
 * (in-domain, close, far) follows from the first two, the looks are measured on random play. Two
 * networks are compared layer by layer on the states of both games. docs/similarity.md has the
 * formulas and what was measured. */
#ifndef QGRAFT_SIMILARITY_H
#define QGRAFT_SIMILARITY_H

#include <qgraft/domain.h>
#include <qgraft/network.h>

#ifdef __cplusplus
extern "C" {
#endif

#define QG_COLOUR_BINS            64 /* 4 levels of red, green and blue each */
#define QG_SIMILARITY_FRAMES      2000
#define QG_SIMILARITY_MOST_FRAMES 10000
#define QG_REPRESENTATION_STATES  256 /* of each of the two games */

/* `count` values in ascending order, each with a weight > 0 (how often it was seen). */
typedef struct qg_distribution {
    size_t count;
    double *values, *weights;
} qg_distribution;

/* What a game looks like: statistics of a sequence of frames. An object is an 8-connected region of
 * pixels that differ from the background, the background being the most frequent colour of each
 * pixel. Sizes are relative to the screen, so that screens of any resolution compare. */
typedef struct qg_appearance {
    double colours[QG_COLOUR_BINS]; /* share of the pixels, bin 16 r + 4 g + b of r, g, b = 0 ... 3;
                                       sum 1 */
    qg_distribution sizes;          /* ln(pixels of the object / pixels of the screen) */
    qg_distribution aspects; /* ln(width / height) of the object's box, each as a share of the
                                screen's */
    double objects;          /* mean number in a frame */
    double moving; /* mean share of the pixels that changed their colour since the frame before */
} qg_appearance;

/* A domain, as it is compared with others. */
typedef struct qg_profile {
    const qg_game *game;
    char domain[QG_DOMAIN_NAME]; /* normalised */
    int64_t frames;
    qg_appearance appearance;
} qg_profile;

/* Plays `frames` (2 ... QG_SIMILARITY_MOST_FRAMES) steps at random, the same actions as `qgraft
 * rollout --random` with this seed, and measures what it sees after each. The same arguments give
 * the same bits. The caller frees the profile; one of zero bytes may be freed too. */
qg_status qg_profile_create(const char *domain, int64_t frames, uint32_t seed, qg_profile *profile,
                            qg_error *error);
void qg_profile_free(qg_profile *profile);

typedef enum qg_closeness {
    QG_IN_DOMAIN, /* the same game, perhaps another level, mode or difficulty */
    QG_CLOSE,     /* the same family, and at least half of all actions of the two are shared */
    QG_FAR,
} qg_closeness;

const char *qg_closeness_name(qg_closeness closeness); /* "in-domain", "close", "far" */

/* All but the flags in [0, 1]. Distances: 0 for a domain and itself. */
typedef struct qg_similarity {
    double actions;    /* Jaccard index: shared names / all names of the minimal action sets */
    bool same_actions; /* the same names in the same order */
    bool same_family;
    double colour_distance; /* Jensen-Shannon distance, base 2 */
    double size_distance;   /* 1 - exp(-W), W the Wasserstein-1 distance of the distributions: */
    double aspect_distance; /* a typical factor of k between the two gives 1 - 1/k */
    double motion_distance; /* 1 - smaller / larger share of moving pixels */
    double visual;          /* 1 - mean of the four distances */
    double grade;           /* mean of actions, same_family (0 or 1) and visual */
    qg_closeness closeness;
} qg_similarity;

/* Symmetric in a and b. */
void qg_similarity_compare(const qg_profile *a, const qg_profile *b, qg_similarity *similarity);

/* Debiased linear CKA (Kornblith et al. 2019 with the unbiased HSIC of Song et al. 2007) between
 * two networks, for every weighted layer, in [-1, 1]; NaN of fewer than 4 states, and where a layer
 * gives the same for all states or for all but one. */
typedef struct qg_representation {
    int layer_count;
    int states[2]; /* how many of the first and of the second domain */
    struct {
        char names[2][12]; /* of the layer in the first and the second network */
        double both;       /* on all states */
        double on[2];      /* on those of the first and of the second domain */
    } layers[QG_MAX_LAYERS];
} qg_representation;

/* Compares networks[0], made for domains[0], with networks[1], made for domains[1], each computed
 * in the precision of its info (NULL: nothing is known of it, float32), on states from `frames`
 * steps of random play of each (as qg_profile_create). Screens with fewer channels than the
 * networks (grid games) are filled up with zeros. QG_ERROR_USAGE when a network does not fit its
 * domain or sees several screens of a grid, or the two differ in their input or in their number of
 * layers. */
qg_status qg_representation_compare(const char *const domains[2],
                                    const qg_network *const networks[2],
                                    const qg_network_info *const infos[2], int64_t frames,
                                    uint32_t seed, qg_representation *representation,
                                    qg_error *error);

#ifdef __cplusplus
}
#endif
#endif
