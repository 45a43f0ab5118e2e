/* HTML: what comes from elsewhere goes in as text, never as markup. */
#ifndef QG_REPORT_HTML_H
#define QG_REPORT_HTML_H

#include <stdio.h>

extern const char qg_html_style[];

/* Sorts a table by the column whose header is clicked; nothing depends on it. The hash is the one
 * that the page's content security policy lets it run by. */
extern const char qg_html_script[];
#define QG_HTML_SCRIPT_HASH                                                                        \
    "sha256-bNotita/6A1xFk9FyQrueTgSKVbSjv/oBaDNkXcVAuk=" /* the style sheet, light and dark */

/* Text, escaped for content and for attributes in double quotes. */
void qg_html_text(FILE *out, const char *text);
void qg_html_print(FILE *out, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* <TAG>text</TAG>; `tag` may have attributes ("td class=\"number\""). */
void qg_html_element(FILE *out, const char *tag, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* A picture in the page itself: <img> with an SVG as data, in which no script runs. */
void qg_html_svg(FILE *out, const char *svg, const char *alt);

#endif
