#include "report/html.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

const char qg_html_style[] =
    ":root{color-scheme:light dark;--back:#fff;--text:#1b1f24;--quiet:#59636e;--line:#d0d7de;"
    "--card:#f6f8fa;--link:#0a58a8;--good:#006e50;--bad:#a63c00;--open:#59636e}\n"
    "@media(prefers-color-scheme:dark){:root{--back:#14181d;--text:#e6e9ec;--quiet:#9aa4ae;"
    "--line:#363d45;--card:#1e242b;--link:#79b8ff;--good:#4cc9a0;--bad:#ff9a5c;--open:#9aa4ae}}\n"
    "*{box-sizing:border-box}\n"
    "body{margin:0 auto;padding:1rem;max-width:62rem;background:var(--back);color:var(--text);"
    "font:1rem/1.5 system-ui,sans-serif;overflow-wrap:anywhere}\n"
    "h1{font-size:1.6rem;line-height:1.25;margin:.5rem 0}\n"
    "h2{font-size:1.3rem;margin:2.5rem 0 .75rem;padding-top:.75rem;"
    "border-top:1px solid var(--line)}\n"
    "h3{font-size:1.1rem;margin:2rem 0 .5rem}h4{font-size:1rem;margin:1.5rem 0 .25rem}\n"
    "a{color:var(--link)}p{margin:.5rem 0}\n"
    ".quiet,figcaption{color:var(--quiet);font-size:.875rem}\n"
    ".summary{font-size:1.15rem;background:var(--card);border-left:4px solid var(--link);"
    "padding:.75rem 1rem;border-radius:4px}\n"
    ".summary ul{margin:0;padding-left:1.1rem}\n"
    ".warnings{border-left:4px solid var(--bad);background:var(--card);padding:.5rem 1rem;"
    "border-radius:4px}\n"
    "nav ul{padding-left:1.25rem;columns:18rem;margin:.5rem 0}\n"
    ".scroll{overflow-x:auto;max-width:100%;margin:.5rem 0}\n"
    "table{border-collapse:collapse;font-size:.85rem;overflow-wrap:normal}\n"
    "th,td{text-align:left;vertical-align:top;padding:.3rem .6rem .3rem 0;"
    "border-bottom:1px solid var(--line)}\n"
    "th{font-weight:600}th[tabindex]{cursor:pointer}th[aria-sort]{text-decoration:underline}"
    ".number{text-align:right;white-space:nowrap;"
    "font-variant-numeric:tabular-nums}\n"
    ".nowrap{white-space:nowrap}.words{min-width:14rem}.some{min-width:9rem}\n"
    "figure{margin:1rem 0}figure "
    "img{display:block;width:100%;max-width:46rem;height:auto;"
    "background:#fff;border:1px solid var(--line);border-radius:6px;padding:.25rem}\n"
    ".badge{font-weight:600;white-space:nowrap}.good{color:var(--good)}.bad{color:var(--bad)}"
    ".open,.none{color:var(--open)}\n"
    "@media(max-width:40rem){.folds,.folds tbody,.folds tr,.folds td{display:block}"
    ".folds thead{display:none}.folds tr{border-bottom:1px solid var(--line);padding:.4rem 0}"
    ".folds td{border:0;padding:.1rem 0;overflow:hidden;overflow-wrap:anywhere;min-width:0;"
    "white-space:normal}.folds td:empty{display:none}"
    ".folds td::before{content:attr(data-label);float:left;width:40%;padding-right:.6rem;"
    "text-align:left;color:var(--quiet)}}\n"
    "pre{overflow-x:auto;background:var(--card);padding:.75rem;border-radius:4px;"
    "font-size:.8rem;line-height:1.4;overflow-wrap:normal}\n"
    "details{margin:.5rem 0}summary{cursor:pointer}\n"
    "@media(prefers-color-scheme:dark){figure img{filter:invert(.9) hue-rotate(180deg)}}\n"
    "@media print{body{max-width:none}details{display:block}}\n";

const char qg_html_script[] =
    "\"use strict\";document.querySelectorAll(\"table\").forEach(t=>{const h=[...t.tH"
    "ead.rows[0].cells].map(c=>c.textContent);for(const r of t.tBodies[0].rows)[."
    "..r.cells].forEach((c,i)=>{c.dataset.label=h[i]});t.classList.add(\"folds\")})"
    ";document.querySelectorAll(\"thead th\").forEach(h=>{const t=h.closest(\"table\""
    "),b=t.tBodies[0];if(b.rows.length<3)return;h.tabIndex=0;const sort=()=>{cons"
    "t up=h.getAttribute(\"aria-sort\")!==\"ascending\",v=r=>{const c=r.cells[h.cellI"
    "ndex];if(!h.classList.contains(\"number\"))return c?c.innerText:\"\";const n=c?p"
    "arseFloat(c.dataset.value||c.innerText):NaN;return isNaN(n)?-Infinity:n};t.q"
    "uerySelectorAll(\"th\").forEach(o=>o.removeAttribute(\"aria-sort\"));h.setAttrib"
    "ute(\"aria-sort\",up?\"ascending\":\"descending\");[...b.rows].map(r=>[v(r),r]).so"
    "rt(([p],[q])=>(p<q?-1:p>q?1:0)*(up?1:-1)).forEach(([,r])=>b.append(r))};h.on"
    "click=sort;h.onkeydown=e=>{if(e.key===\"Enter\"||e.key===\" \"){e.preventDefault"
    "();sort()}}});";

void qg_html_text(FILE *out, const char *text)
{
    for (; *text; text++) {
        switch (*text) {
        case '&':
            fputs("&amp;", out);
            break;
        case '<':
            fputs("&lt;", out);
            break;
        case '>':
            fputs("&gt;", out);
            break;
        case '"':
            fputs("&quot;", out);
            break;
        case '\'':
            fputs("&#39;", out);
            break;
        default: /* control characters are not allowed in HTML */
            fputc((unsigned char)*text < 0x20 && *text != '\n' && *text != '\t' ? '?' : *text, out);
        }
    }
}

static void print_arguments(FILE *out, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0)));
static void print_arguments(FILE *out, const char *format, va_list arguments)
{
    char *text = NULL;
    if (vasprintf(&text, format, arguments) < 0) return;
    qg_html_text(out, text);
    free(text);
}

void qg_html_print(FILE *out, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    print_arguments(out, format, arguments);
    va_end(arguments);
}

void qg_html_element(FILE *out, const char *tag, const char *format, ...)
{
    va_list arguments;
    fprintf(out, "<%s>", tag);
    va_start(arguments, format);
    print_arguments(out, format, arguments);
    va_end(arguments);
    fprintf(out, "</%.*s>", (int)strcspn(tag, " "), tag);
}

void qg_html_svg(FILE *out, const char *svg, const char *alt)
{
    fputs("<img src=\"data:image/svg+xml,", out);
    for (; *svg; svg++) { /* percent encoding, RFC 3986 */
        if (isalnum((unsigned char)*svg) || strchr("-._~!$()*+,;=:@/? ", *svg))
            fputc(*svg, out);
        else
            fprintf(out, "%%%02X", (unsigned char)*svg);
    }
    fputs("\" alt=\"", out);
    qg_html_text(out, alt);
    fputs("\">", out);
}
