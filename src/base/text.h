/* Text from people: numbers and booleans as they are typed in options and files, and the nearest
 * name for a misspelt one. Numbers follow the C locale, which a program that never calls setlocale
 * keeps. */
#ifndef QG_TEXT_H
#define QG_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* A whole number: "250000", "250_000", "250k", "0.25M", "25M", "2G", "1e6". False when the text is
 * anything else, is not whole or does not fit. */
bool qg_text_to_count(const char *text, int64_t *value);

/* A finite decimal number, the whole text, "1_000.5" too; no hexadecimal, "inf" or "nan". */
bool qg_text_to_real(const char *text, double *value);

/* true, false, yes, no, on, off, also as True and TRUE: YAML 1.1. */
bool qg_text_to_boolean(const char *text, bool *value);

/* The shortest decimal text that reads back to exactly `value`; at most 24 bytes and the NUL.
 * Returns `text`. */
const char *qg_text_from_real(double value, char text[32]);

/* "512 bytes", "41.5 kB", "7.95 GB": three digits. Returns `text`. */
const char *qg_text_from_bytes(double bytes, char text[32]);

/* The name that `word` was probably meant to be, or NULL when none is near. `table` has `count`
 * elements of `stride` bytes, each of which begins with a `const char *` name. */
const char *qg_text_nearest(const char *word, const void *table, size_t count, size_t stride);

/* "noop,left,right": names separated by commas; what does not fit is cut off. */
void qg_text_join(const char *const *names, int count, char *text, size_t size);

/* Position of the name[0 ... length-1] in such a list; -1: not in it. */
int qg_text_find_name(const char *list, const char *name, size_t length);

/* Adds to a text of `size` bytes; what does not fit is cut off. */
void qg_text_add(char *text, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Writes a cell of CSV: in quotes, its own ones doubled, where it needs them (RFC 4180). */
void qg_text_cell(FILE *out, const char *text);

/* Bytes of the character that `text` begins with; 0: it is no UTF-8, or a control character (C0,
 * DEL and C1, of which terminals make commands). Not for the end of a text. */
size_t qg_text_character(const char *text);

/* Writes '?' over every byte that is not of such a character, also of one that was cut. */
void qg_text_make_safe(char *text);

/* A stream that makes a text: when it is closed, *text is malloc'ed and has a NUL behind its *size
 * bytes. Unlike open_memstream's, its fclose fails, and *text is NULL, when there was no memory for
 * any of what was written. NULL: no memory. */
FILE *qg_text_stream(char **text, size_t *size);

#endif
