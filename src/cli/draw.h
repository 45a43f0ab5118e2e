/* Pictures of a game on the terminal, drawn over each other in place.
 *
 * A grid game takes two columns a cell; what is larger than the terminal, and Atari, is shrunken to
 * fit it, with a half block for every two pixels. */
#ifndef QG_CLI_DRAW_H
#define QG_CLI_DRAW_H

#include <qgraft/domain.h>

typedef struct cli_canvas {
    bool wide; /* pixels are twice as wide as high, as Atari's on a television */
    bool begun;
    bool true_colour;  /* 24 bits, otherwise the cube of 256 colours */
    int rows, columns; /* of the terminal when it was last drawn on */
    int drawn;         /* lines that the last picture took */
    char *text;        /* what is to be written next */
    size_t size, room;
    bool failed; /* no memory for it: nothing more is drawn */
} cli_canvas;

/* Whether stdout is a terminal that can show it. */
bool cli_canvas_possible(void);

/* Draws the picture and `lines` of text (UTF-8, printable) under it. The first time it hides the
 * cursor. */
void cli_canvas_draw(cli_canvas *canvas, const qg_picture *picture, const char *const *lines,
                     int line_count);

/* Shows the cursor again, below the picture; frees the memory. The process's exit does the first,
 * too. */
void cli_canvas_close(cli_canvas *canvas);

#endif
