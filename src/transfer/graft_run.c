/* A whole graft: the source is loaded, a fresh network of the target made as for a training from
 * scratch, layers are copied, and the training begins with them, frozen or free. The pedigree goes
 * into everything that the run writes. */
#include <qgraft/graft.h>

#include "agent/run_folder.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"
#include "transfer/fisher.h"
#include "transfer/graft_learning.h"
#include "transfer/graft_reuse.h"
#include "transfer/source_policy.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct graft_run {
    const qg_graft_options *options;
    qg_network source, target;     /* without parameters: not made yet; the control has no source */
    qg_network_info info;          /* of the source */
    char actions[QG_ACTION_NAMES]; /* of the target */
    qg_grafted_layer layers[QG_MAX_LAYERS];
    float rates[QG_MAX_LAYERS];
    qg_source_policy policy; /* of the source, where it is reused */
    qg_network copied;       /* what was copied, NaN elsewhere */
    double measuring;        /* since when, by the monotonic clock */
} graft_run;

static bool is_control(const graft_run *g)
{
    return !g->options->source;
}

/* Whether the source can play the target's game, where it is to. */
static qg_status check_policy(graft_run *g, const qg_domain *domain, qg_error *error)
{
    const qg_graft_options *o = g->options;
    const int history = o->train.settings.history;
    qg_error inner;
    if (is_control(g)) return QG_OK; /* qg_graft_choice_check refuses it */
    if (g->info.history && g->info.history != history)
        return qg_fail(error, QG_ERROR_USAGE,
                       "reuse of the source: it sees %d screens at a time, the run %d: set "
                       "'history' to %d",
                       g->info.history, history, g->info.history);
    if (qg_network_sees(&g->source.architecture, domain, history, &inner))
        return qg_fail(error, QG_ERROR_USAGE, "reuse of the source: %s", inner.message);
    return qg_source_policy_pair(&o->choice, &g->source, g->info.actions, g->actions, &g->policy,
                                 error);
}

/* Inputs of a grid are filled up to as many channels, however many screens they are. */
static qg_status check_screens(const graft_run *g, qg_error *error)
{
    const int history = g->options->train.settings.history;
    if (is_control(g) || g->layers[0].source < 0 || !g->info.history || g->info.history == history)
        return QG_OK;
    return qg_fail(error, QG_ERROR_USAGE,
                   "%s of the source sees %d screens at a time, the run %d: set 'history' to %d",
                   g->source.architecture.layers[g->layers[0].source].name, g->info.history,
                   history, g->info.history);
}

/* The fresh network, as a training from scratch would begin. */
static qg_status make_target(graft_run *g, qg_error *error)
{
    const qg_graft_options *o = g->options;
    const qg_train_options *train = &o->train;
    const qg_domain_options as_trained = qg_domain_options_of(&train->settings);
    qg_domain *domain;
    qg_architecture architecture;
    qg_status status = qg_domain_open(train->domain, &as_trained, &domain, error);
    if (status) return status;
    qg_text_join(domain->actions, domain->action_count, g->actions, sizeof g->actions);
    status = qg_architecture_for(&train->settings, domain, &architecture, error);
    if (status && strcmp(train->settings.network, g->source.architecture.text) == 0) {
        const qg_error inner = *error;
        status = qg_fail(error, status, "the source's architecture '%.60s' does not fit %.90s: %s",
                         g->source.architecture.text, train->domain, inner.message);
    }
    if (!status && qg_graft_reuses(&o->choice)) status = check_policy(g, domain, error);
    qg_domain_close(domain);
    if (!status) status = qg_network_create(&architecture, &g->target, error);
    if (!status) qg_network_initialise(&g->target, o->reinit ? o->reinit_seed : train->run.seed);
    return status;
}

/* ------------------------------------------------------------------------------------ the pull */

/* Before the first step. */
static void report_measuring(void *context)
{
    const graft_run *const g = context;
    const qg_train_options *const train = &g->options->train;
    const qg_progress progress = {.steps = train->steps,
                                  .seconds = qg_clock_seconds() - g->measuring,
                                  .epsilon = 1,
                                  .last_score = NAN,
                                  .last_return = NAN};
    if (train->progress) train->progress(train->context, &progress);
}

static qg_fisher_options fisher_of(graft_run *g)
{
    const qg_graft_options *o = g->options;
    const int64_t samples = o->choice.learning.ewc_samples;
    return (qg_fisher_options){.network = &g->source,
                               .info = &g->info,
                               .settings = &o->train.settings,
                               .samples = samples ? samples : QG_EWC_SAMPLES,
                               .seed = o->train.run.seed,
                               .machine = o->train.run.machine,
                               .stop = o->train.run.stop,
                               .progress = report_measuring,
                               .context = g};
}

/* EWC needs play of the source. */
static qg_status check_play(graft_run *g, qg_error *error)
{
    const qg_fisher_options fisher = fisher_of(g);
    qg_domain *domain;
    if (!(g->options->choice.learning.ewc > 0)) return QG_OK;
    const qg_status status = qg_fisher_domain(&fisher, &domain, error);
    if (!status) qg_domain_close(domain);
    return status;
}

/* How strongly each parameter is pulled back: found for the source's, and copied as they were. */
static qg_status fill_pull(void *context, qg_network *pull, qg_error *error)
{
    graft_run *g = context;
    const qg_graft_learning *learning = &g->options->choice.learning;
    const qg_network *source = is_control(g) ? &g->target : &g->source;
    qg_grafted_layer ignored[QG_MAX_LAYERS];
    qg_network strength;
    qg_status status = qg_network_create(&source->architecture, &strength, error);
    if (status) return status;
    if (learning->ewc > 0) {
        const qg_fisher_options fisher = fisher_of(g);
        g->measuring = qg_clock_seconds();
        status = qg_fisher(&fisher, &strength, error);
    }
    for (size_t i = 0; i < qg_architecture_parameters(&source->architecture); i++)
        strength.parameters[i] =
            (float)(learning->l2_sp + learning->ewc * (double)strength.parameters[i]);
    if (!status)
        status = qg_graft(&strength, is_control(g) ? g->actions : g->info.actions, pull, g->actions,
                          &g->options->choice, ignored, error);
    qg_network_free(&strength);
    return status;
}

/* ----------------------------------------------------------------------------- what is grafted */

static qg_status prepare(graft_run *g, qg_error *error)
{
    const qg_graft_options *o = g->options;
    qg_status status = QG_OK;
    if (o->source)
        status = qg_network_load(o->source, &g->source, &g->info, error);
    else if (!o->choice.frozen)
        status =
            qg_fail(error, QG_ERROR_USAGE,
                    "random layers that are not frozen are those of a fresh network: set `freeze`");
    if (!status) status = make_target(g, error);
    const int layers = g->target.architecture.layer_count;
    if (!status)
        status = qg_graft_choice_check(&o->choice, is_control(g), o->train.steps,
                                       &o->train.settings, layers, error);
    if (!status) status = check_play(g, error);
    if (!status)
        status =
            qg_graft(o->source ? &g->source : &g->target, o->source ? g->info.actions : g->actions,
                     &g->target, g->actions, &o->choice, g->layers, error);
    if (!status) status = check_screens(g, error);
    return status ? status
                  : qg_graft_learning_apply(&o->choice.learning, layers, o->train.steps, g->layers,
                                            error);
}

static void release(graft_run *g)
{
    qg_source_policy_close(&g->policy);
    qg_network_free(&g->source);
    qg_network_free(&g->target);
    qg_network_free(&g->copied);
}

qg_status qg_graft_look(const qg_graft_options *options, qg_graft_plan *plan, qg_error *error)
{
    graft_run g = {.options = options};
    const qg_status status = prepare(&g, error);
    *plan = (qg_graft_plan){.source = g.source.architecture, .target = g.target.architecture};
    memcpy(plan->layers, g.layers, sizeof plan->layers);
    release(&g);
    return status;
}

/* What the run's layers are compared with: the source's layers that they came from, those that did
 * not with the layer of their number where both networks have as many. */
static qg_status fill_source(graft_run *g, qg_layer_source *source, qg_error *error)
{
    const qg_architecture *a = &g->target.architecture;
    const bool alike = g->source.architecture.layer_count == a->layer_count;
    qg_grafted_layer ignored[QG_MAX_LAYERS];
    const qg_status status = qg_network_create(a, &g->copied, error);
    if (status) return status;
    for (size_t i = 0; i < qg_architecture_parameters(a); i++)
        g->copied.parameters[i] = NAN;
    *source =
        (qg_layer_source){.network = &g->source, .history = g->info.history, .copied = &g->copied};
    for (int l = 0; l < a->layer_count; l++)
        source->layers[l] = g->layers[l].source >= 0 ? g->layers[l].source : alike ? l : -1;
    return qg_graft(&g->source, g->info.actions, &g->copied, g->actions, &g->options->choice,
                    ignored, error);
}

qg_status qg_graft_begin(const qg_graft_options *options, qg_graft_beginning *beginning,
                         qg_error *error)
{
    graft_run g = {.options = options};
    *beginning = (qg_graft_beginning){.compared = {.network = NULL}};
    qg_status status = prepare(&g, error);
    if (!status && !is_control(&g)) status = fill_source(&g, &beginning->compared, error);
    if (!status) {
        beginning->start = g.target;
        beginning->source = g.source;
        beginning->copied = g.copied;
        if (!is_control(&g)) {
            beginning->compared.network = &beginning->source;
            beginning->compared.copied = &beginning->copied;
        }
        g.target.parameters = g.source.parameters = g.copied.parameters = NULL;
    }
    release(&g);
    return status;
}

void qg_graft_beginning_free(qg_graft_beginning *beginning)
{
    qg_network_free(&beginning->start);
    qg_network_free(&beginning->source);
    qg_network_free(&beginning->copied);
}

/* ------------------------------------------------------------------------------ the pedigree */

typedef struct graft_notes {
    qg_note notes[10];
    size_t count;
    char sha256[65], network[65], step[32], score[32], copied[512], reinit[32];
    char learning[QG_GRAFT_CHOICE_TEXT + 16], reused[QG_GRAFT_CHOICE_TEXT];
} graft_notes;

static void add(graft_notes *p, const char *key, const char *value)
{
    assert(p->count < sizeof p->notes / sizeof *p->notes);
    p->notes[p->count++] = (qg_note){key, value};
}

/* "conv1,fc2(3 of 4 rows)" */
static void list_copied(const graft_run *g, char *text, size_t size)
{
    size_t used = 0;
    for (int l = 0; l < g->target.architecture.layer_count && used < size; l++) {
        const qg_grafted_layer *from = &g->layers[l];
        const qg_layer *layer = &g->target.architecture.layers[l];
        if (from->source < 0) continue;
        used += (size_t)snprintf(text + used, size - used, "%s%s", used ? "," : "", layer->name);
        if (from->rows < layer->outputs && used < size)
            used += (size_t)snprintf(text + used, size - used, "(%d of %d rows)", from->rows,
                                     layer->outputs);
    }
}

/* "frozen", "free (l2_sp=0.01)" */
static void describe_learning(const qg_graft_choice *choice, char *text, size_t size)
{
    char words[QG_GRAFT_CHOICE_TEXT];
    qg_graft_learning_format(&choice->learning, " ", words);
    snprintf(text, size, "%s%s%s%s", choice->frozen ? "frozen" : "free", *words ? " (" : "", words,
             *words ? ")" : "");
}

/* Which file, what it was, and what was copied of it. */
static qg_status describe(const graft_run *g, graft_notes *p, qg_error *error)
{
    const qg_graft_options *o = g->options;
    add(p, "parent_file", o->source ? o->source : "random");
    if (o->choice.way != QG_CHOOSE_NONE) {
        list_copied(g, p->copied, sizeof p->copied);
        add(p, "copied", p->copied);
        describe_learning(&o->choice, p->learning, sizeof p->learning);
        add(p, "copied_layers_are", p->learning);
    }
    qg_graft_reuse_format(&o->choice.reuse, " ", p->reused);
    if (*p->reused) add(p, "reused", p->reused);
    if (o->reinit) {
        snprintf(p->reinit, sizeof p->reinit, "%" PRIu64, o->reinit_seed);
        add(p, "reinit_seed", p->reinit);
    }
    if (!o->source) return QG_OK;
    const qg_status status = qg_sha256_file(o->source, p->sha256, error);
    if (status) return status;
    snprintf(p->step, sizeof p->step, "%" PRId64, g->info.step);
    snprintf(p->score, sizeof p->score, "%.17g", g->info.score);
    qg_network_sha256(&g->source, p->network);
    add(p, "parent_sha256", p->sha256);
    add(p, "parent_network_sha256", p->network);
    add(p, "parent_domain", g->info.domain);
    add(p, "parent_step", p->step);
    if (!isnan(g->info.score)) add(p, "parent_score", p->score);
    return QG_OK;
}

qg_status qg_graft_run(const qg_graft_options *options, qg_run_result *result, qg_error *error)
{
    assert(!options->train.initial && !options->train.note_count);
    graft_run g = {.options = options};
    graft_notes p = {.count = 0};
    *result = (qg_run_result){.best_score = NAN, .last_score = NAN, .confirmed_score = NAN};
    qg_status status = prepare(&g, error);
    if (!status && options->source)
        status = qg_run_folder_spare(options->train.run.folder, options->source, error);
    if (!status) status = describe(&g, &p, error);
    qg_layer_source source;
    if (!status && !is_control(&g)) status = fill_source(&g, &source, error);
    if (!status) {
        char choice[QG_GRAFT_CHOICE_TEXT];
        qg_train_options train = options->train;
        qg_graft_choice_format(&options->choice, choice);
        train.initial = &g.target;
        if (!is_control(&g)) train.source = &source;
        train.choice = choice;
        train.notes = p.notes;
        train.note_count = p.count;
        for (int l = 0; l < QG_MAX_LAYERS; l++) {
            train.frozen[l] = g.layers[l].frozen;
            train.thaw[l] = g.layers[l].thaw;
            g.rates[l] = (float)g.layers[l].lr_scale;
        }
        if (options->choice.learning.scaled) train.layer_rates = g.rates;
        if (qg_graft_learning_pulls(&options->choice.learning)) {
            train.pull = fill_pull;
            train.pull_context = &g;
        }
        const qg_reuse reuse = qg_source_policy_reuse(&g.policy);
        if (qg_graft_reuses(&options->choice)) {
            train.reuse = &reuse;
            status = qg_source_policy_open(&g.source, &train.settings, &train.run.machine,
                                           &g.policy, error);
        }
        if (!status) status = qg_train(&train, result, error);
    }
    release(&g);
    return status;
}
