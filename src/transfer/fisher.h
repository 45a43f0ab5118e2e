/* The Fisher information of a network's parameters, its diagonal: how much each of them matters for
 * what the network knows (Kirkpatrick et al. 2017).
 *
 *   F_i = mean over states s of  sum over actions a of  (dQ(s, a) / dw_i)^2
 *
 * which is that of a normal distribution of unit variance around the Q-values: those are what a
 * DQN's loss, a squared error, holds them for. The states are those of the network's own play of
 * its game: what it is to go on knowing, and at hand wherever the network is. */
#ifndef QG_FISHER_H
#define QG_FISHER_H

#include <qgraft/agent.h>

#define QG_FISHER_APART 10 /* steps between two states: neighbours look alike */

typedef struct qg_fisher_options {
    const qg_network *network;
    const qg_network_info *info; /* says its game */
    const qg_settings *settings; /* how it is played, with eval_epsilon */
    int64_t samples;             /* states, one of QG_FISHER_APART of the play */
    uint64_t seed;
    qg_machine machine;                /* changes no bit */
    const volatile sig_atomic_t *stop; /* becomes non-zero: QG_STOPPED; may be NULL */
    void (*progress)(void *context);   /* a sign of life now and then; may be NULL */
    void *context;
} qg_fisher_options;

/* The domain that the network plays, as the settings have it; the caller closes it. QG_ERROR_USAGE:
 * it does not say its game, or does not fit it; as qg_domain_open. */
qg_status qg_fisher_domain(const qg_fisher_options *options, qg_domain **domain, qg_error *error);

/* Fills `fisher`, a network of the same architecture. It is computed in float32 whatever the
 * settings' precision. Fails as qg_fisher_domain, qg_engine_create and qg_domain_step. */
qg_status qg_fisher(const qg_fisher_options *options, qg_network *fisher, qg_error *error);

#endif
