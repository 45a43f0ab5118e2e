/* For tests/python/test_similarity.py: the debiased CKA of two sets of features.
 *
 *   cka STATES P Q     float32 [STATES][P] and [STATES][Q] from the standard input */
#include "agent/cka.h"

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    if (argc != 4) return 2;
    const size_t n = strtoul(argv[1], NULL, 10), p = strtoul(argv[2], NULL, 10);
    const size_t q = strtoul(argv[3], NULL, 10), count = n * (p + q);
    float *features = malloc(count * sizeof *features);
    double *k = malloc(n * n * sizeof *k), *l = malloc(n * n * sizeof *l);
    double *scratch = malloc(2 * n * sizeof *scratch);
    if (!features || !k || !l || !scratch) return 1;
    if (fread(features, sizeof *features, count, stdin) != count) return 1;
    qg_gram(features, n, p, k);
    qg_gram(features + n * p, n, q, l);
    printf("%.17g\n", qg_debiased_cka(k, l, n, 0, n, scratch));
    free(features);
    free(k);
    free(l);
    free(scratch);
    return 0;
}
