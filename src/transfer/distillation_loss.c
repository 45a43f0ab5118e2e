/* The losses of policy distillation, and the temperatures at which they are taken. */
#include <qgraft/distillation.h>

#include "base/text.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* log softmax(values / temperature) [actions]. */
static void log_softmax(const float *values, int actions, double temperature, double *logs)
{
    double most = (double)values[0];
    for (int a = 1; a < actions; a++)
        most = fmax(most, (double)values[a]);
    double sum = 0;
    for (int a = 0; a < actions; a++) {
        logs[a] = ((double)values[a] - most) / temperature;
        sum += exp(logs[a]);
    }
    assert(!(sum < 1)); /* the largest gives 1; NaN, where the network has lost itself, stays NaN */
    const double normaliser = log(sum);
    for (int a = 0; a < actions; a++)
        logs[a] -= normaliser;
}

/* The KL of two distributions, and the first one itself, p, with its entropy. */
static qg_state_loss compare(const double *teacher_logs, const double *student_logs, int actions,
                             double *p)
{
    double kl = 0, entropy = 0;
    for (int a = 0; a < actions; a++) {
        p[a] = exp(teacher_logs[a]); /* 0 where it is too small for a double */
        kl += p[a] * (teacher_logs[a] - student_logs[a]);
        entropy -= p[a] * teacher_logs[a];
    }
    if (kl < 0) kl = 0; /* equal distributions may round to less; NaN stays */
    return (qg_state_loss){kl, kl, entropy};
}

static double squared_error(const float *teacher, const float *student, int actions,
                            float *gradient)
{
    double sum = 0;
    for (int a = 0; a < actions; a++) {
        const double difference = (double)teacher[a] - (double)student[a];
        sum += difference * difference;
        if (gradient) gradient[a] = (float)(2 * difference);
    }
    return sum;
}

qg_state_loss qg_distillation_state(qg_distillation_loss loss, const float *teacher,
                                    const float *student, int actions, double temperature,
                                    float *gradient)
{
    assert(actions >= 1 && actions <= QG_MAX_ACTIONS && temperature > 0);
    const bool both = loss == QG_LOSS_KL_BOTH || loss == QG_LOSS_MSE;
    const double own_temperature = both ? temperature : 1;
    double teacher_logs[QG_MAX_ACTIONS], student_logs[QG_MAX_ACTIONS], p[QG_MAX_ACTIONS];
    log_softmax(teacher, actions, temperature, teacher_logs);
    log_softmax(student, actions, own_temperature, student_logs);
    qg_state_loss state = compare(teacher_logs, student_logs, actions, p);
    if (loss == QG_LOSS_MSE) {
        state.loss = squared_error(teacher, student, actions, gradient);
        return state;
    }
    const int best = qg_greedy_action(teacher, actions, 0);
    if (loss == QG_LOSS_NLL) state.loss = -student_logs[best];
    for (int a = 0; a < actions && gradient; a++) {
        const double wanted = loss == QG_LOSS_NLL ? a == best : p[a];
        gradient[a] = (float)((wanted - exp(student_logs[a])) / own_temperature);
    }
    return state;
}

/* ------------------------------------------------------------------------------------ names */

static const char *const loss_names[] = {QG_USUAL_LOSS, "kl-both", "mse", "nll"};

const char *qg_distillation_loss_name(qg_distillation_loss loss)
{
    return loss_names[loss];
}

qg_status qg_distillation_loss_parse(const char *text, qg_distillation_loss *loss, qg_error *error)
{
    for (size_t i = 0; i < sizeof loss_names / sizeof *loss_names; i++)
        if (strcmp(text, loss_names[i]) == 0) {
            *loss = (qg_distillation_loss)i;
            return QG_OK;
        }
    return qg_fail(error, QG_ERROR_USAGE, "loss: 'kl', 'kl-both', 'mse' or 'nll', not '%.60s'",
                   text);
}

/* ------------------------------------------------------------------------- temperatures */

static const double lowest = 1e-3, highest = 1e6;

/* Cuts `text` at its colons; the number of parts, or 0 when there are more than three. */
static int cut(char *text, const char *parts[3])
{
    int count = 0;
    while (count < 3) {
        parts[count++] = text;
        char *colon = strchr(text, ':');
        if (!colon) return count;
        *colon = '\0';
        text = colon + 1;
    }
    return 0;
}

/* first + i * step as it would be written by hand. */
static double tidy(double value)
{
    char text[32];
    snprintf(text, sizeof text, "%.12g", value);
    return strtod(text, NULL);
}

static qg_status fail_form(const char *text, qg_error *error)
{
    return qg_fail(error, QG_ERROR_USAGE,
                   "temperature: '%.60s' is neither a number from %g to %g nor FIRST:LAST:STEP, as "
                   "0.1:0.5:0.1",
                   text, lowest, highest);
}

qg_status qg_temperatures_parse(const char *text, qg_temperatures *temperatures, qg_error *error)
{
    char copy[100];
    const char *parts[3];
    double numbers[3] = {0};
    if (strlen(text) >= sizeof copy) return fail_form(text, error);
    strcpy(copy, text);
    const int count = cut(copy, parts);
    if (count != 1 && count != 3) return fail_form(text, error);
    for (int i = 0; i < count; i++)
        if (!qg_text_to_real(parts[i], &numbers[i])) return fail_form(text, error);
    const double first = numbers[0], last = count == 3 ? numbers[1] : first;
    const double step = count == 3 ? numbers[2] : 1;
    if (first < lowest || first > highest || last > highest) return fail_form(text, error);
    if (first > last)
        return qg_fail(error, QG_ERROR_USAGE, "temperature: '%.60s' falls; temperatures rise",
                       text);
    if (step <= 0)
        return qg_fail(error, QG_ERROR_USAGE, "temperature: the step of '%.60s' is not above 0",
                       text);
    const double steps = floor((last - first) / step + 1e-9);
    if (steps >= QG_MAX_TEMPERATURES)
        return qg_fail(error, QG_ERROR_USAGE, "temperature: '%.60s' are %.0f, at most %d", text,
                       steps + 1, QG_MAX_TEMPERATURES);
    temperatures->count = (int)steps + 1;
    for (int i = 0; i < temperatures->count; i++)
        temperatures->values[i] = tidy(first + i * step);
    return QG_OK;
}
