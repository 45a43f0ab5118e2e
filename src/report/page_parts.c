/* What the sections of the page are made of. */
#include "report/page_parts.h"

#include <math.h>
#include <string.h>

void qg_page_decision(FILE *out, qg_decision decision)
{
    static const char *const looks[] = {[QG_NOT_DECIDED] = "open",
                                        [QG_POSITIVE] = "good",
                                        [QG_NEGATIVE] = "bad",
                                        [QG_WITHIN_MARGIN] = "none"};
    fprintf(out, "<span class=\"badge %s\">%s</span>", looks[decision], qg_decision_name(decision));
}

void qg_page_number(FILE *out, const char *format, double value)
{
    if (isfinite(value))
        qg_html_element(out, "td class=\"number\"", format, value);
    else
        fputs("<td class=\"number\">&ndash;</td>", out);
}

void qg_page_difference(FILE *out, double value)
{
    if (isfinite(value))
        fprintf(out, "<td class=\"number\">%+.3f</td>", value);
    else
        fputs("<td class=\"number\">&ndash;</td>", out);
}

void qg_page_interval(FILE *out, const qg_estimate *estimate)
{
    if (isfinite(estimate->low) && isfinite(estimate->high))
        fprintf(out, "<td class=\"number\">%+.3f to %+.3f</td>", estimate->low, estimate->high);
    else
        fputs("<td class=\"number\">&ndash;</td>", out);
}

void qg_page_table(FILE *out, const char *caption, const char *headers)
{
    if (caption) qg_html_element(out, "p class=\"quiet\"", "%s", caption);
    fputs("<div class=\"scroll\" tabindex=\"0\"><table><thead><tr>", out);
    for (const char *header = headers; *header;) {
        const bool number = *header == '#';
        const size_t length = strcspn(header += number, "|");
        qg_html_element(out, number ? "th scope=\"col\" class=\"number\"" : "th scope=\"col\"",
                        "%.*s", (int)length, header);
        header += length + (header[length] == '|');
    }
    fputs("</tr></thead><tbody>\n", out);
}

void qg_page_end_table(FILE *out)
{
    fputs("</tbody></table></div>\n", out);
}

void qg_page_figure(FILE *out, const qg_figure *figure)
{
    fputs("<figure><div class=\"scroll\" tabindex=\"0\">", out);
    qg_html_svg(out, figure->svg, figure->alt);
    fputs("</div><figcaption>", out);
    qg_html_print(out, "%s ", figure->caption);
    fprintf(out,
            "Files: <a href=\"figures/%s.svg\">SVG</a>, <a href=\"figures/%s.png\">PNG</a>, its "
            "data as <a href=\"figures/%s.csv\">CSV</a>.",
            figure->name, figure->name, figure->name);
    fputs("</figcaption></figure>\n", out);
}
