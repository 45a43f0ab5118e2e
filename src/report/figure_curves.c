/* The reward histories of a group of runs on one game: mean over seeds and its interval. */
#include "report/figure_parts.h"

#include "base/text.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum { MOST_LINES = 64, LABEL = 96 };

/* A curve of the figure. */
typedef struct line {
    int run;
    unsigned colour;
    bool frozen, dots;
    char label[LABEL];
} line;

/* The colour that the run has by the rule, or the next one when another line looks the same. */
static void choose_looks(const qg_study_run *run, line *lines, size_t known)
{
    static const unsigned spare[] = {0xd55e00, 0x56b4e9, 0xcc79a7, 0x009e73, 0xe69f00, 0x0072b2};
    line *it = &lines[known];
    it->frozen = run->choice.frozen;
    it->dots = run->choice.way == QG_CHOOSE_LAST;
    it->colour = qg_figure_colour(run);
    for (size_t i = 0, next = 0; i < known && next < sizeof spare / sizeof *spare; i++)
        if (lines[i].colour == it->colour && lines[i].frozen == it->frozen &&
            lines[i].dots == it->dots) {
            it->colour = spare[next++];
            i = (size_t)-1; /* from the beginning again */
        }
}

static void choose_label(const qg_results *r, int run, line *lines, size_t known)
{
    const qg_study_run *it = &r->study->runs[run];
    char copied[64];
    qg_run_copied(it, copied);
    if (it->kind == QG_RUN_GRAFT)
        snprintf(lines[known].label, LABEL, "%.24s, %s", qg_run_source(r->study, it), copied);
    else
        snprintf(lines[known].label, LABEL, "baseline");
    for (size_t i = 0; i < known; i++) /* they differ in another setting, which their ids name */
        if (strcmp(lines[i].label, lines[known].label) == 0)
            snprintf(lines[known].label, LABEL, "%.40s", it->id);
}

static size_t find_lines(const qg_results *r, const qg_figure *figure, line *lines)
{
    size_t count = 0;
    for (int graft = 0; graft < 2; graft++) /* the baselines first */
        for (int i = 0; i < r->study->run_count && count < MOST_LINES; i++) {
            const qg_study_run *run = &r->study->runs[i];
            if ((run->kind == QG_RUN_GRAFT) != graft || r->runs[i].curves.seed_count == 0 ||
                !qg_figure_shows(r, figure, i))
                continue;
            lines[count].run = i;
            choose_looks(run, lines, count);
            choose_label(r, i, lines, count);
            count++;
        }
    return count;
}

/* In which unit steps are written, so that the axis has short numbers. */
static double step_unit(int64_t last, const char **name)
{
    *name = last >= 2000000 ? "million agent steps"
            : last >= 2000  ? "thousand agent steps"
                            : "agent steps";
    return last >= 2000000 ? 1e6 : last >= 2000 ? 1e3 : 1;
}

static void write_data(FILE *script, const qg_run_curves *run, size_t index, double unit)
{
    fprintf(script, "$line%zu << END\n", index);
    for (size_t i = 0; i < run->curves.point_count; i++)
        fprintf(script, "%.9g %.9g %.9g %.9g\n", (double)run->curves.steps[i] / unit,
                run->band[i].value, run->band[i].low, run->band[i].high);
    fputs("END\n", script);
}

/* Room for the lines and a part of their bands: those of few seeds would flatten every line. */
static void write_range(FILE *script, const qg_results *r, const line *lines, size_t count)
{
    double low = INFINITY, high = -INFINITY, band_low = INFINITY, band_high = -INFINITY;
    for (size_t i = 0; i < count; i++) {
        const qg_run_curves *run = &r->runs[lines[i].run];
        for (size_t p = 0; p < run->curves.point_count; p++) {
            low = fmin(low, run->band[p].value);
            high = fmax(high, run->band[p].value);
            band_low = fmin(band_low, fmin(run->band[p].value, run->band[p].low));
            band_high = fmax(band_high, fmax(run->band[p].value, run->band[p].high));
        }
    }
    const double room = 0.25 * (high - low);
    if (room > 0)
        fprintf(script, "set yrange [%.9g:%.9g]\n", fmax(low - room, band_low - 0.05 * room),
                fmin(high + room, band_high + 0.05 * room));
}

static void write_axes(FILE *script, const qg_figure *figure, double last, double epochs,
                       const char *unit)
{
    fputs("set title ", script);
    qg_figure_text(script, figure->title);
    fprintf(
        script,
        "\nset xrange [0:%.9g]; set x2range [0:%.9g]; set xtics nomirror; set x2tics\n"
        "set xlabel '%s'; set x2label 'epochs'; set ylabel 'score'\n"
        "set grid xtics ytics lc rgb '#dddddd' lt 1; set border lc rgb '#666666'\n"
        "set key outside bottom center horizontal maxcols 2 Left reverse samplen 2.5 font ',10'\n"
        "set style fill transparent solid 0.12 noborder\n",
        last, epochs, unit);
}

static void write_plot(FILE *script, const qg_results *r, const line *lines, size_t count,
                       double threshold)
{
    fputs("plot ", script);
    for (size_t i = 0; i < count; i++)
        if (r->runs[lines[i].run].curves.seed_count > 1)
            fprintf(script, "$line%zu using 1:3:4 with filledcurves lc rgb '#%06x' notitle, ", i,
                    lines[i].colour);
    if (!isnan(threshold))
        fprintf(script, "%.9g with lines lc rgb '#666666' lw 1.5 dt 3 title 'threshold', ",
                threshold);
    for (size_t i = 0; i < count; i++) {
        const size_t points = r->runs[lines[i].run].curves.point_count;
        fprintf(script, "$line%zu using 1:2 with %s lc rgb '#%06x' lw 2 dt %d ", i,
                lines[i].dots ? "linespoints" : "lines", lines[i].colour, lines[i].frozen ? 2 : 1);
        if (lines[i].dots) fprintf(script, "pt 7 ps 0.5 pointinterval %zu ", points / 12 + 1);
        fputs("title ", script);
        qg_figure_text(script, lines[i].label);
        fputs(i + 1 < count ? ", " : "\n", script);
    }
}

/* What the picture shows, in words. */
static void describe(const qg_results *r, const line *lines, size_t count, qg_figure *figure)
{
    size_t least = SIZE_MAX, most = 0;
    const qg_study_run *first = &r->study->runs[figure->run];
    snprintf(figure->alt, sizeof figure->alt, "Scores on %s over training:", first->game);
    for (size_t i = 0; i < count; i++) {
        const qg_run_curves *run = &r->runs[lines[i].run];
        const size_t seeds = run->curves.seed_count;
        least = seeds < least ? seeds : least;
        most = seeds > most ? seeds : most;
        qg_text_add(figure->alt, sizeof figure->alt, "%s %s ends at %.4g", i ? ";" : "",
                    lines[i].label, run->band[run->curves.point_count - 1].value);
    }
    snprintf(figure->caption, sizeof figure->caption, "Mean score over %zu", least);
    if (most > least) qg_text_add(figure->caption, sizeof figure->caption, " to %zu", most);
    qg_text_add(figure->caption, sizeof figure->caption,
                most > 1 ? " seeds, with Student's 95 %% interval." : " seed: no interval.");
    if (count == MOST_LINES)
        qg_text_add(figure->caption, sizeof figure->caption, " Runs beyond %d are not drawn.",
                    MOST_LINES);
    qg_text_add(figure->caption, sizeof figure->caption,
                " An epoch is one evaluation period, %" PRId64 " agent steps.",
                first->settings.eval_every);
}

int qg_figure_curves(const qg_results *r, qg_figure *figure, FILE *script)
{
    line lines[MOST_LINES] = {0};
    const size_t count = find_lines(r, figure, lines);
    if (count == 0) return 0;
    const qg_study_run *first = &r->study->runs[figure->run];
    const char *unit_name;
    int64_t last = 1;
    double threshold = NAN;
    for (size_t i = 0; i < count; i++) {
        const qg_curves *curves = &r->runs[lines[i].run].curves;
        if (curves->steps[curves->point_count - 1] > last)
            last = curves->steps[curves->point_count - 1];
    }
    const double unit = step_unit(last, &unit_name);
    for (int g = 0; g < r->study->game_count; g++)
        if (r->games[g].threshold_given && strcmp(r->study->games[g].name, first->game) == 0)
            threshold = r->games[g].scale.threshold;
    const bool named = strstr(first->group, first->game) != NULL;
    snprintf(figure->title, sizeof figure->title, "%s%s%s", first->group,
             first->group[0] && !named ? ": " : "", named ? "" : first->game);
    for (size_t i = 0; i < count; i++)
        write_data(script, &r->runs[lines[i].run], i, unit);
    write_axes(script, figure, (double)last / unit,
               (double)last / (double)first->settings.eval_every, unit_name);
    write_range(script, r, lines, count);
    write_plot(script, r, lines, count, threshold);
    describe(r, lines, count, figure);
    return 380 + 22 * (((int)count + !isnan(threshold) + 1) / 2);
}
