/* One line of error text, safe to print. */
#define QG_ERROR_IMPLEMENTATION
#include <qgraft/error.h>

#include "base/text.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void format_message(qg_error *error, const char *format, va_list arguments)
{
    vsnprintf(error->message, sizeof error->message, format, arguments);
    qg_text_make_safe(error->message);
}

qg_status qg_fail(qg_error *error, qg_status code, const char *format, ...)
{
    assert(error && code != QG_OK);
    va_list arguments;
    va_start(arguments, format);
    format_message(error, format, arguments);
    va_end(arguments);
    return error->code = code;
}

qg_status qg_fail_errno(qg_error *error, const char *format, ...)
{
    const int saved = errno;
    va_list arguments;
    va_start(arguments, format);
    format_message(error, format, arguments);
    va_end(arguments);
    char reason[96];
    const size_t room = sizeof error->message,
                 length = (size_t)snprintf(reason, sizeof reason, ": %s", strerror(saved)),
                 most = room - 1 - (length < sizeof reason ? length : sizeof reason - 1);
    size_t used = strlen(error->message);
    if (used > most) { /* a long path: what is wrong matters more than its end */
        used = most - 3;
        strcpy(error->message + used, "...");
        used = most;
    }
    snprintf(error->message + used, room - used, "%s", reason);
    qg_text_make_safe(error->message);
    return error->code = QG_ERROR_IO;
}

qg_status qg_fail_memory(qg_error *error, const char *what, unsigned long long bytes)
{
    return qg_fail(error, QG_ERROR_MEMORY, "not enough memory for %s (%llu bytes)", what, bytes);
}
