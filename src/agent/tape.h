/* A tape: the state of a run as bytes, written and read back by the same function.
 *
 * A function that passes every variable of a state over a tape saves it when the tape is written
 * and restores it when the tape is read, so that both cannot differ. Every item stands behind its
 * size, which is checked. A failure (no memory, an item of another size) is remembered and found
 * at the end, so that the passing function needs no checks. */
#ifndef QG_TAPE_H
#define QG_TAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct qg_tape {
    uint8_t *bytes; /* owned */
    size_t size, room;
    size_t at; /* reading: the next item */
    bool reading;
    bool good; /* nothing has failed so far */
} qg_tape;

qg_tape qg_tape_to_write(void);
qg_tape qg_tape_to_read(uint8_t *bytes, size_t size); /* takes `bytes`, which were malloc'ed */
void qg_tape_free(qg_tape *tape);

/* One item of exactly `size` bytes; when it is not there, `data` is left as it was. */
void qg_tape_pass(qg_tape *tape, void *data, size_t size);
#define QG_TAPE_PASS(tape, variable) qg_tape_pass(tape, &(variable), sizeof(variable))

void qg_tape_pass_bool(qg_tape *tape, bool *value);

/* An item of any size. Writing: `data`, `*size` bytes. Reading: where it lies on the tape, and
 * *size; NULL when it is not there. */
const uint8_t *qg_tape_pass_blob(qg_tape *tape, const uint8_t *data, size_t *size);

/* Text of less than `size` bytes. */
void qg_tape_pass_text(qg_tape *tape, char *text, size_t size);

/* Notes that what was read cannot be: values are checked where they are passed. */
void qg_tape_require(qg_tape *tape, bool condition);

/* Nothing has failed, and all that was written has been read. */
bool qg_tape_complete(const qg_tape *tape);

#endif
