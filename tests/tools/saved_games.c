/* Whether a saved game goes on as the one that was not saved: plays a domain at random, saves it at
 * some of every third step, and lets a process of its own restore each and play on; every screen,
 * the RAM, rewards and ends must be those of the game that was never interrupted.
 *
 *   saved_games DOMAIN STICKY FRAME_SKIP STEPS SAVES FOLLOW
 *
 * STEPS: within which it is saved, SAVES times; FOLLOW: steps that follow a restored game. Lost
 * lives end episodes, which begin with up to 6 no-ops. Prints "DOMAIN: N saves, M steps, E ends"
 * or, with exit code 1, the first difference. */
#include <qgraft/domain.h>

#include "base/random.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

typedef struct walk {
    qg_domain *domain;
    uint8_t *screen;
    bool over;
    int64_t ends;
} walk;

static void must(qg_status status, const qg_error *error)
{
    if (!status) return;
    fprintf(stderr, "%s\n", error->message);
    exit(1);
}

static uint32_t mix(uint32_t sum, const void *data, size_t size)
{
    return (uint32_t)crc32_z(sum, data, size);
}

static walk open_walk(char **words)
{
    walk w = {.over = true};
    qg_error error;
    const qg_domain_options options = {.seed = 7,
                                       .sticky = atof(words[1]),
                                       .frame_skip = atoi(words[2]),
                                       .break_on_life = true,
                                       .actions = QG_ACTIONS_FULL,
                                       .max_episode_frames = 40000};
    must(qg_domain_open(words[0], &options, &w.domain, &error), &error);
    w.screen = malloc(qg_observation_size(&w.domain->shape));
    if (!w.screen) exit(1);
    return w;
}

static void close_walk(walk *w)
{
    qg_domain_close(w->domain);
    free(w->screen);
}

/* Step `index`, of which chance is a function; all that is seen as one number. */
static uint32_t play_step(walk *w, int64_t index)
{
    qg_error error;
    qg_random random = qg_random_stream((uint64_t)index, "walk");
    if (w->over)
        must(qg_domain_reset(w->domain, (int)qg_random_below(&random, 7), w->screen, &error),
             &error);
    qg_step step;
    const uint64_t actions = (uint64_t)w->domain->action_count;
    must(
        qg_domain_step(w->domain, (int)qg_random_below(&random, actions), &step, w->screen, &error),
        &error);
    w->over = step.end || step.truncated || step.life_lost;
    w->ends += step.end || step.truncated;
    const uint8_t bits[] = {step.end, step.truncated, step.life_lost};
    size_t ram_size;
    qg_picture picture;
    const uint8_t *const ram = qg_domain_ram(w->domain, &ram_size);
    qg_domain_picture(w->domain, &picture);
    uint32_t sum = mix(mix(0, bits, sizeof bits), &step.reward, sizeof step.reward);
    sum = mix(sum, w->screen, qg_observation_size(&w->domain->shape));
    if (ram) sum = mix(sum, ram, ram_size);
    return mix(sum, picture.pixels, (size_t)picture.height * (size_t)picture.width);
}

/* In the process of its own: what was saved comes by stdin, the numbers of the steps go out. */
static int follow(char **words)
{
    walk w = open_walk(words);
    int64_t from, steps;
    uint64_t size;
    qg_error error;
    uint8_t over;
    if (fread(&from, sizeof from, 1, stdin) != 1 || fread(&steps, sizeof steps, 1, stdin) != 1 ||
        fread(&over, 1, 1, stdin) != 1 || fread(&size, sizeof size, 1, stdin) != 1)
        return 1;
    uint8_t *const state = malloc(size);
    if (!state || fread(state, 1, size, stdin) != size) return 1;
    must(qg_domain_restore(w.domain, state, size, &error), &error);
    w.over = over;
    for (int64_t i = from; i < from + steps; i++) {
        const uint32_t sum = play_step(&w, i);
        if (fwrite(&sum, sizeof sum, 1, stdout) != 1) return 1;
    }
    free(state);
    close_walk(&w);
    return 0;
}

typedef struct saved_game {
    int64_t at;
    bool over;
    uint8_t *state;
    size_t size;
} saved_game;

/* Starts this program again with what was saved; *out reads what it finds. */
static pid_t start_follower(const saved_game *s, int64_t steps, char **words, FILE **out)
{
    int in[2], result[2];
    if (pipe(in) || pipe(result)) exit(1);
    const pid_t child = fork();
    if (child == 0) {
        dup2(in[0], 0);
        dup2(result[1], 1);
        close(in[1]);
        close(result[0]);
        execl("/proc/self/exe", "saved_games", "--follow", words[0], words[1], words[2], NULL);
        _exit(1);
    }
    close(in[0]);
    close(result[1]);
    FILE *const to = fdopen(in[1], "w");
    *out = fdopen(result[0], "r");
    if (child < 0 || !to || !*out) exit(1);
    const uint64_t size = s->size;
    const uint8_t over = s->over;
    fwrite(&s->at, sizeof s->at, 1, to);
    fwrite(&steps, sizeof steps, 1, to);
    fwrite(&over, 1, 1, to);
    fwrite(&size, sizeof size, 1, to);
    fwrite(s->state, 1, s->size, to);
    fclose(to);
    return child;
}

static bool check_saved(const saved_game *s, int64_t steps, const uint32_t *expected, char **words)
{
    FILE *out;
    const pid_t child = start_follower(s, steps, words, &out);
    int64_t i = 0;
    uint32_t sum;
    while (i < steps && fread(&sum, sizeof sum, 1, out) == 1 && sum == expected[s->at + i])
        i++;
    fclose(out);
    int status;
    waitpid(child, &status, 0);
    if (i == steps && status == 0) return true;
    printf("%s: sticky %s, frame_skip %s: saved at step %lld, it differs from step %lld on\n",
           words[0], words[1], words[2], (long long)s->at, (long long)(s->at + i));
    return false;
}

int main(int argc, char **argv)
{
    if (argc == 5 && strcmp(argv[1], "--follow") == 0) return follow(argv + 2);
    if (argc != 7) return 2;
    const int64_t steps = atoll(argv[4]), saves = atoll(argv[5]), steps_after = atoll(argv[6]);
    if (steps < 3 || saves < 1 || steps_after < 1) return 2;
    saved_game *const saved = calloc((size_t)saves, sizeof *saved);
    uint32_t *const sums = malloc((size_t)(steps + steps_after) * sizeof *sums);
    if (!saved || !sums) return 1;
    qg_random random = qg_random_stream((uint64_t)steps, "saves");
    for (int64_t k = 0; k < saves; k++) /* a multiple of three in the k-th part of the steps */
        saved[k].at =
            (k * steps / saves + (int64_t)qg_random_below(&random, (uint64_t)(1 + steps / saves))) /
            3 * 3;
    walk w = open_walk(argv + 1);
    for (int64_t i = 0, k = 0; i < steps + steps_after; i++) {
        for (; k < saves && saved[k].at <= i; k++) {
            qg_error error;
            saved[k].at = i;
            saved[k].over = w.over;
            must(qg_domain_save(w.domain, &saved[k].state, &saved[k].size, &error), &error);
        }
        sums[i] = play_step(&w, i);
    }
    bool good = true;
    for (int64_t k = 0; k < saves; k++)
        good = good && check_saved(&saved[k], steps_after, sums, argv + 1);
    if (good)
        printf("%s: sticky %s, frame_skip %s: %lld saves, %lld steps each, %lld ends\n", argv[1],
               argv[2], argv[3], (long long)saves, (long long)steps_after, (long long)w.ends);
    for (int64_t k = 0; k < saves; k++)
        free(saved[k].state);
    free(saved);
    free(sums);
    close_walk(&w);
    return good ? 0 : 1;
}
