/* JSON from and for files and settings.
 *
 * Where an allocation fails, Jansson (2.14) drops a byte of what it reads, or the key of what it
 * writes, without a word; here that is noticed. */
#ifndef QG_JSON_TEXT_H
#define QG_JSON_TEXT_H

#include <qgraft/error.h>

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* Parses; the caller's to json_decref. NULL: QG_ERROR_MEMORY, or QG_ERROR_DATA with what the parser
 * says behind `name`. Keys that stand twice are refused. */
json_t *qg_json_parse(const char *name, const void *data, size_t size, qg_error *error);

/* JSON as text, the caller's to free; NULL: no memory. `flags` are Jansson's. */
char *qg_json_text(const json_t *json, size_t flags);

/* For what is made with Jansson's own functions: begins to watch its allocations in this thread;
 * and whether one has failed since. */
void qg_json_watch(void);
bool qg_json_lacked_memory(void);

/* The object in the file `path` of at most `limit` bytes, in *object; NULL and QG_OK where there is
 * no such file. QG_ERROR_DATA: it holds something else. QG_ERROR_IO, QG_ERROR_MEMORY. */
qg_status qg_json_read_object(const char *path, size_t limit, json_t **object, qg_error *error);

#endif
