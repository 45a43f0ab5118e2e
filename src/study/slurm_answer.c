/* What sbatch answers, among what a site's wrappers say around it. */
#include "study/slurm_parts.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The number at the begin of `text`, what stands behind it in *end; 0: none. */
static int64_t read_number(const char *text, const char **end)
{
    if (!isdigit((unsigned char)*text)) return 0;
    char *behind;
    errno = 0;
    const long long number = strtoll(text, &behind, 10);
    *end = behind;
    return errno ? 0 : number;
}

static bool is_blank(const char *text, const char *end)
{
    while (text < end && isspace((unsigned char)*text))
        text++;
    return text == end;
}

/* "1234", or "1234;CLUSTER" where there are several: what --parsable asks for. */
static int64_t read_parsable(const char *line, const char *end)
{
    const char *behind;
    const int64_t number = read_number(line, &behind);
    if (!number) return 0;
    if (*behind == ';')
        while (behind < end && (isalnum((unsigned char)*behind) || strchr(";_.-", *behind)))
            behind++;
    return is_blank(behind, end) ? number : 0;
}

/* "Submitted batch job 1234", and " on cluster CLUSTER" behind it: of a wrapper that drops the
 * option. */
static int64_t read_sentence(const char *line, const char *end)
{
    static const char words[] = "Submitted batch job ", more[] = " on cluster ";
    const char *behind;
    if (strncmp(line, words, sizeof words - 1) != 0) return 0;
    const int64_t number = read_number(line + sizeof words - 1, &behind);
    if (!number) return 0;
    return is_blank(behind, end) || strncmp(behind, more, sizeof more - 1) == 0 ? number : 0;
}

/* The number in the last line that `read` takes; *several: there are others. */
static int64_t find_last(const char *answer, int64_t (*read)(const char *line, const char *end),
                         bool *several)
{
    int64_t last = 0;
    *several = false;
    for (const char *line = answer; *line;) {
        const char *const end = line + strcspn(line, "\n");
        while (line < end && isspace((unsigned char)*line))
            line++;
        const int64_t number = read(line, end);
        *several |= number && last && number != last;
        if (number) last = number;
        line = end + (*end == '\n');
    }
    return last;
}

int64_t qg_slurm_read_answer(const char *answer, bool *several)
{
    const int64_t number = find_last(answer, read_parsable, several);
    return number ? number : find_last(answer, read_sentence, several);
}
