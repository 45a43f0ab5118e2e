#include "agent/tape.h"

#include <stdlib.h>
#include <string.h>

qg_tape qg_tape_to_write(void)
{
    return (qg_tape){.good = true};
}

qg_tape qg_tape_to_read(uint8_t *bytes, size_t size)
{
    return (qg_tape){.bytes = bytes, .size = size, .room = size, .reading = true, .good = true};
}

void qg_tape_free(qg_tape *tape)
{
    free(tape->bytes);
    *tape = (qg_tape){0};
}

static void append(qg_tape *tape, const void *data, size_t size)
{
    if (!tape->good || size == 0) return;
    if (tape->room - tape->size < size) {
        const size_t room = 2 * (tape->size + size);
        uint8_t *bytes = realloc(tape->bytes, room);
        if (!bytes) {
            tape->good = false;
            return;
        }
        tape->bytes = bytes;
        tape->room = room;
    }
    memcpy(tape->bytes + tape->size, data, size);
    tape->size += size;
}

const uint8_t *qg_tape_pass_blob(qg_tape *tape, const uint8_t *data, size_t *size)
{
    uint64_t length = *size;
    if (!tape->reading) {
        append(tape, &length, sizeof length);
        append(tape, data, *size);
        return data;
    }
    const size_t rest = tape->size - tape->at;
    tape->good = tape->good && rest >= sizeof length;
    if (!tape->good) return NULL;
    memcpy(&length, tape->bytes + tape->at, sizeof length);
    tape->good = length <= rest - sizeof length;
    if (!tape->good) return NULL;
    const uint8_t *item = tape->bytes + tape->at + sizeof length;
    tape->at += sizeof length + (size_t)length;
    *size = (size_t)length;
    return item;
}

void qg_tape_pass(qg_tape *tape, void *data, size_t size)
{
    size_t length = size;
    const uint8_t *item = qg_tape_pass_blob(tape, data, &length);
    if (!tape->reading) return;
    qg_tape_require(tape, item && length == size);
    if (tape->good && size > 0) memcpy(data, item, size);
}

void qg_tape_pass_bool(qg_tape *tape, bool *value)
{
    uint8_t byte = *value;
    QG_TAPE_PASS(tape, byte);
    qg_tape_require(tape, byte <= 1);
    *value = byte == 1;
}

void qg_tape_pass_text(qg_tape *tape, char *text, size_t size)
{
    size_t length = strnlen(text, size);
    const uint8_t *item = qg_tape_pass_blob(tape, (const uint8_t *)text, &length);
    if (!tape->reading) return;
    qg_tape_require(tape, item && length < size && !memchr(item, 0, length));
    if (!tape->good) return;
    memcpy(text, item, length);
    text[length] = 0;
}

void qg_tape_require(qg_tape *tape, bool condition)
{
    tape->good = tape->good && condition;
}

bool qg_tape_complete(const qg_tape *tape)
{
    return tape->good && (!tape->reading || tape->at == tape->size);
}
