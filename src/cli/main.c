/* The program: finds the command and hands over. */
#include "cli/cli.h"
#include "cli/plugins.h"

#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *group; /* title over the first command of a group, otherwise NULL */
    const char *summary;
} command;

static const command commands[] = {
    {"games", cmd_games, "Games", "list every game that can be played"},
    {"similarity", cmd_similarity, NULL, "compare games, and the networks that play them"},
    {"train", cmd_train, "Agents", "train a deep Q-network on a game"},
    {"graft", cmd_graft, NULL, "copy layers of a trained network into a new one and train it"},
    {"distill", cmd_distill, NULL, "teach a fresh network to act as trained ones do"},
    {"perform", cmd_perform, NULL, "do the run that a file describes, or go on with it"},
    {"diagnose", cmd_diagnose, NULL, "look into the layers of the networks that a run has kept"},
    {"stitch", cmd_stitch, NULL, "layers of one network under another's: what is lost, and why"},
    {"evaluate", cmd_evaluate, NULL, "measure how well a network plays"},
    {"play", cmd_play, NULL, "watch a network play, in the terminal or as a GIF"},
    {"replay", cmd_replay, NULL, "show or export the replay memory that a training kept"},
    {"run", cmd_run, "Studies", "run a study: many runs with several seeds, from one file"},
    {"status", cmd_status, NULL, "show what the runs of a study are at"},
    {"submit", cmd_submit, NULL, "hand a study to Slurm, one job array a run"},
    {"report", cmd_report, NULL, "write a study's report: figures, tables, verdicts"},
    {"inspect", cmd_inspect, "Networks", "show what a .safetensors file holds"},
    {"import", cmd_import, NULL, "make a network of a CleanRL, Stable-Baselines3 or Torch7 file"},
    {"export", cmd_export, NULL, "write a network as a CleanRL or Stable-Baselines3 state dict"},
    {"bench", cmd_bench, "This machine", "measure the speed of games, replay, updates, training"},
    {"rollout", cmd_rollout, "For checks from other programs",
     "play a list of actions and write what was seen"},
    {"update", cmd_update, NULL, "do one learner update on networks and a batch from files"},
};
#define COMMANDS (sizeof commands / sizeof *commands)

static void print_help(FILE *stream)
{
    fputs("Usage: qgraft COMMAND [ARGUMENT...]\n"
          "Does a trained deep Q-network help or hurt on another game? Trains, copies layers,\n"
          "compares.\n",
          stream);
    for (size_t i = 0; i < COMMANDS; i++) {
        if (commands[i].group) fprintf(stream, "\n%s:\n", commands[i].group);
        fprintf(stream, "  %-12s%s\n", commands[i].name, commands[i].summary);
    }
    fputs("\nExamples:\n"
          "  qgraft games minatar\n"
          "  qgraft train minatar/breakout --steps 1M\n"
          "  qgraft rollout minatar/breakout --random 1000 --seed 1 --out play.safetensors\n"
          "\n'qgraft COMMAND --help' explains a command. All take --domain-plugin FILE: a game of\n"
          "your own, see docs/api.md; and --python FILE: the interpreter that Gymnasium's\n"
          "environments (gym:ID) run in, see docs/domains.md.\n",
          stream);
}

static const command *find_command(const char *name)
{
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(name, commands[i].name) == 0) return &commands[i];
    return NULL;
}

/* The command that other programs call `name`, or that was probably meant, or NULL. */
static const char *find_near(const char *name)
{
    static const char *const others[][2] = {
        {"eval", "evaluate"},      {"test", "evaluate"},  {"enjoy", "play"},
        {"watch", "play"},         {"render", "play"},    {"learn", "train"},
        {"transfer", "graft"},     {"finetune", "graft"}, {"list", "games"},
        {"envs", "games"},         {"info", "inspect"},   {"show", "inspect"},
        {"convert", "import"},     {"sbatch", "submit"},  {"slurm", "submit"},
        {"compare", "similarity"},
    };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (strcmp(name, others[i][0]) == 0) return others[i][1];
    return qg_text_nearest(name, commands, COMMANDS, sizeof *commands);
}

/* "--json", "--js", and "-j", which is --jobs in `run`, also behind the one other letter without a
 * value, "-aj". */
static bool is_json(const char *name, const char *word)
{
    if (word[0] == '-' && word[1] && !word[1 + strspn(word + 1, "aj")])
        return strchr(word, 'j') && strcmp(name, "run") != 0;
    return strlen(word) > 2 && strncmp(word, "--json", strlen(word)) == 0;
}

/* What is read is written into JSON, which has no other characters. */
static const char *find_unprintable(int argc, char **argv)
{
    const char *found = NULL;
    bool json = false;
    for (int i = 1; i < argc; i++) {
        json = json || is_json(argv[1], argv[i]);
        for (const char *c = argv[i]; *c && found != argv[i];) {
            const size_t size = (unsigned char)*c < 0x80 ? 1 : qg_text_character(c);
            if (!size) found = argv[i];
            c += size;
        }
    }
    return json ? found : NULL;
}

static int run_command(int argc, char **argv)
{
    const command *found = find_command(argv[1]);
    if (!found) {
        const char *near = find_near(argv[1]);
        return cli_fail_usage("there is no command '%.60s'%s%s%s", argv[1],
                              near ? "; did you mean '" : " ('qgraft --help' lists all)",
                              near ? near : "", near ? "'?" : "");
    }
    qg_error error;
    if (cli_load_plugins(&error) != QG_OK) return cli_fail(&error);
    const char *const unprintable = find_unprintable(argc, argv);
    if (unprintable)
        return cli_fail_usage("%s: has a character that --json cannot write: rename it",
                              unprintable);
    char name[64];
    snprintf(name, sizeof name, "qgraft %s", found->name);
    argv[1] = name; /* what argp calls the program in its messages */
    return found->run(argc - 1, argv + 1);
}

static int run(int argc, char **argv)
{
    if (argc < 2) {
        print_help(stderr);
        return 2;
    }
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
        puts("qgraft " QG_VERSION);
        return 0;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        if (argc < 3 || argv[2][0] == '-' || strcmp(argv[2], "help") == 0) {
            print_help(stdout);
            return 0;
        }
        char help[] = "--help";
        char *arguments[] = {argv[0], argv[2], help, NULL};
        return run_command(3, arguments);
    }
    return run_command(argc, argv);
}

/* Output that could not be written (a full disk) is a failure like any other; argp's --help ends
 * the process by itself, hence at exit. */
static void close_output(void)
{
    if (fflush(stdout) == 0 && !ferror(stdout)) return;
    fprintf(stderr, "qgraft: standard output: %s\n", strerror(errno));
    _Exit(1);
}

/* Where a file that is mapped into memory (the replay memory, a sample set) has lost its place on
 * the disk, no call fails: the kernel sends SIGBUS. */
static void say_lost_file(int number, siginfo_t *info, void *context)
{
    static const char words[] =
        "qgraft: the replay memory or a sample set cannot be read or written: it was cut off, or "
        "its disk is full or fails: see to that, then try --resume\n";
    (void)context;
    if (info->si_code == BUS_ADRERR) {
        (void)!write(STDERR_FILENO, words, sizeof words - 1);
        _exit(1);
    }
    signal(number, SIG_DFL); /* another reason: the access is tried again and ends the process */
}

/* What a careless parent leaves out: a file opened in the place of a closed stderr would get our
 * words, and who ignores the end of children never hears how they ended. */
static void mend_inheritance(void)
{
    int file;
    do
        file = open("/dev/null", O_RDWR);
    while (file >= 0 && file < 2);
    if (file > 2) close(file);
    signal(SIGCHLD, SIG_DFL);
}

int main(int argc, char **argv)
{
    mend_inheritance();
    atexit(close_output);
    const struct sigaction lost = {.sa_sigaction = say_lost_file, .sa_flags = SA_SIGINFO};
    sigaction(SIGBUS, &lost, NULL);
    signal(SIGXFSZ, SIG_IGN); /* a write beyond a size limit is an error with a message */
    qg_error error;
    if (cli_take_plugins(&argc, argv, &error) != QG_OK) return cli_fail(&error);
    return run(argc, argv);
}
