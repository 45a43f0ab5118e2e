#include "agent/run_yaml.h"

#include "base/text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Characters that YAML does not take as they are: line ends and no characters among the long ones.
 */
static const char *escape_long(const char *text)
{
    static const char *const escaped[][2] = {{"\xe2\x80\xa8", "\\u2028"},
                                             {"\xe2\x80\xa9", "\\u2029"},
                                             {"\xef\xbb\xbf", "\\ufeff"},
                                             {"\xef\xbf\xbe", "\\ufffe"},
                                             {"\xef\xbf\xbf", "\\uffff"}};
    for (size_t i = 0; i < sizeof escaped / sizeof *escaped; i++)
        if (strncmp(text, escaped[i][0], 3) == 0) return escaped[i][1];
    return NULL;
}

void qg_yaml_string(FILE *out, const char *text)
{
    fputc('"', out);
    while (*text) {
        const unsigned char first = (unsigned char)text[0], second = (unsigned char)text[1];
        const size_t size = qg_text_character(text);
        const bool c1 = first == 0xc2 && second >= 0x80 && second < 0xa0;
        const char *const escape = size == 3 ? escape_long(text) : NULL;
        if (escape)
            fputs(escape, out);
        else if (size)
            fprintf(out, "%s%.*s", first == '"' || first == '\\' ? "\\" : "", (int)size, text);
        else if (c1 || first < 0x80)
            fprintf(out, "\\x%02x", c1 ? second : first);
        else
            fputc('?', out); /* no UTF-8 */
        text += size ? size : c1 ? 2 : 1;
    }
    fputc('"', out);
}

void qg_run_yaml_snapshots(FILE *out, const int64_t *snapshots, size_t count)
{
    for (size_t i = 0; i < count; i++)
        fprintf(out, "%s%" PRId64 "%s", i ? ", " : "snapshots: [", snapshots[i],
                i + 1 == count ? "]\n" : "");
}

void qg_run_yaml_other_games(FILE *out, const char *const *games, int count)
{
    for (int i = 0; i < count; i++) {
        fputs(i ? ", " : "also_evaluate: [", out);
        qg_yaml_string(out, games[i]);
        if (i + 1 == count) fputs("]\n", out);
    }
}

qg_status qg_run_yaml_settings(FILE *out, const qg_settings *settings, qg_error *error)
{
    char *lines, *rest; /* strtok's place would be that of all threads */
    const qg_status status = qg_settings_format_yaml(settings, &lines, error);
    if (status) return status;
    fprintf(out, "settings:\n");
    for (char *line = strtok_r(lines, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
        fprintf(out, "  %s\n", line);
    free(lines);
    return QG_OK;
}

void qg_run_yaml_text(FILE *out, const char *key, const char *value)
{
    fprintf(out, "%s: ", key);
    qg_yaml_string(out, value);
    fputc('\n', out);
}

void qg_run_yaml_begin(FILE *out, const char *kind, const char *domain, uint64_t seed,
                       int64_t steps)
{
    fprintf(out, "kind: %s\n", kind);
    if (domain) qg_run_yaml_text(out, "domain", domain);
    fprintf(out, "seed: %" PRIu64 "\nsteps: %" PRId64 "\n", seed, steps);
}

qg_status qg_run_yaml_open(qg_run_yaml *yaml, const char *what, qg_error *error)
{
    *yaml = (qg_run_yaml){0};
    yaml->out = qg_text_stream(&yaml->text, &yaml->size);
    if (!yaml->out) return qg_fail_memory(error, "run.yaml", 4096);
    fprintf(yaml->out, "# One %s; the same values give the same files.\n", what);
    fprintf(yaml->out, "qgraft: %s\n", QG_VERSION);
    return QG_OK;
}

qg_status qg_run_yaml_close(qg_run_yaml *yaml, const qg_note *notes, size_t note_count,
                            const qg_settings *settings, char **text, qg_error *error)
{
    for (size_t i = 0; i < note_count; i++)
        qg_run_yaml_text(yaml->out, notes[i].key, notes[i].value);
    qg_status status = qg_run_yaml_settings(yaml->out, settings, error);
    if (fclose(yaml->out) != 0 && !status) status = qg_fail_memory(error, "run.yaml", 4096);
    if (status) {
        free(yaml->text);
        yaml->text = NULL;
    }
    *text = yaml->text;
    return status;
}

/* -------------------------------------------------------------------------------- comparing */

static const char *next_line(const char *line)
{
    line += strcspn(line, "\n");
    return line + (*line == '\n');
}

/* The line of `text` whose first `length` bytes are those of `line`, and which ends there if
 * `whole`; NULL: there is none. */
static const char *find_line(const char *text, const char *line, size_t length, bool whole)
{
    for (; *text; text = next_line(text))
        if (strncmp(text, line, length) == 0 && (!whole || strcspn(text, "\n") == length))
            return text;
    return NULL;
}

/* "parent_2_sha256: ...", "    sha256: ...": of a file; not "parent_network_sha256: ...". */
static bool is_file_sum(const char *line)
{
    static const char sum[] = "sha256", network[] = "network_sha256";
    const size_t length = strcspn(line, ":\n"), end = sizeof sum - 1;
    if (length < end || strncmp(line + length - end, sum, end) != 0) return false;
    const size_t more = sizeof network - 1;
    return length < more || strncmp(line + length - more, network, more) != 0;
}

/* "parent_file: ...", "parent_2_file: ...", "  - file: ...": where a parent lies. */
static bool is_file_name(const char *line)
{
    static const char name[] = "file";
    const size_t length = strcspn(line, ":\n"), end = sizeof name - 1;
    return length > end && strncmp(line + length - end, name, end) == 0 &&
           (line[length - end - 1] == '_' || line[length - end - 1] == ' ');
}

/* `by_network`: both tell of each parent which network it is, in whatever file. */
static bool is_compared(const char *line, bool by_network)
{
    static const char *const others[] = {"#", "kind:", "snapshots:", "frozen_unchanged:"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (strncmp(line, others[i], strlen(others[i])) == 0) return false;
    return *line != '\n' && !(by_network && (is_file_sum(line) || is_file_name(line)));
}

/* "  double_q: false" of a setting that the other text is too old to name. */
static bool is_old(const char *line)
{
    size_t count;
    const qg_setting *const table = qg_settings_table(&count);
    char value[1100];
    for (size_t i = 0; i < count; i++) {
        const size_t length = strlen(table[i].name);
        if (strncmp(line, "  ", 2) != 0 || strncmp(line + 2, table[i].name, length) != 0 ||
            strncmp(line + 2 + length, ": ", 2) != 0)
            continue;
        const char *text = line + 2 + length + 2;
        snprintf(value, sizeof value, "%.*s", (int)strcspn(text, "\n"), text);
        return qg_setting_is_old(&table[i], value);
    }
    return false;
}

/* The first line of `a` that `b` lacks; *other: the one with the same key there, or NULL. */
static const char *find_difference(const char *a, const char *b, const char **other)
{
    static const char sum[] = "parent_network_sha256:";
    const bool by_network =
        find_line(a, sum, sizeof sum - 1, false) && find_line(b, sum, sizeof sum - 1, false);
    for (const char *line = a; *line; line = next_line(line)) {
        if (!is_compared(line, by_network) || find_line(b, line, strcspn(line, "\n"), true))
            continue;
        *other = find_line(b, line, strcspn(line, ":\n") + 1, false);
        if (*other || !is_old(line)) return line;
    }
    return NULL;
}

qg_status qg_run_yaml_compare(const char *folder, const char *there, const char *ours,
                              qg_error *error)
{
    const char *theirs, *own = find_difference(ours, there, &theirs);
    if (!own) {
        theirs = find_difference(there, ours, &own);
        if (!theirs) return QG_OK;
    }
    const char *key = own ? own : theirs;
    key += strspn(key, " -");
    const char *const values[] = {theirs, own};
    char texts[2][100];
    for (int i = 0; i < 2; i++) {
        const char *value = values[i] ? values[i] + strcspn(values[i], ":\n") : "";
        value += strspn(value, ": ");
        if (values[i])
            snprintf(texts[i], sizeof texts[i], "%.*s", (int)strcspn(value, "\n"), value);
        else
            snprintf(texts[i], sizeof texts[i], "not given");
    }
    return qg_fail(
        error, QG_ERROR_USAGE,
        "%s: holds another run: %.*s is %s there, %s here; give the same, another `folder` "
        "or `overwrite`",
        folder, (int)strcspn(key, ":\n"), key, texts[0], texts[1]);
}
