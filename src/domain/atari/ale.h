/* The emulator: the plain C interface of libale_c.so (multi-agent-ale-py 0.1.12), opened with
 * dlopen on first use, so that nothing links to it and the grid games need no emulator.
 *
 * Its names are generic (`act`, `lives`) and stay out of the program's: RTLD_LOCAL. It ends the
 * process on wrong input, so everything is checked by our side before it gets it. */
#ifndef QG_ATARI_ALE_H
#define QG_ATARI_ALE_H

#include <qgraft/error.h>

#include <stdbool.h>
#include <stddef.h>

/* X(result, name, arguments): what is used of the interface, by the library's own names. `ale` is
 * an instance from ALE_new, `state` one from cloneSystemState or decodeState. */
#define QG_ALE_FUNCTIONS(X)                                                                        \
    X(void, setLoggerMode, (int mode)) /* 2: errors only */                                        \
    X(void *, ALE_new, (void))                                                                     \
    X(void, ALE_del, (void *ale))                                                                  \
    X(void, setInt, (void *ale, const char *key, int value))                                       \
    X(void, setFloat, (void *ale, const char *key, float value))                                   \
    X(void, loadROM, (void *ale, const char *path))                                                \
    X(void, setMode, (void *ale, int mode)) /* this and the next hold from the next reset_game */  \
    X(void, setDifficulty, (void *ale, int difficulty))                                            \
    X(void, reset_game, (void *ale))                                                               \
    X(int, act, (void *ale, int action)) /* one frame; gives the reward */                         \
    X(bool, game_over, (void *ale))                                                                \
    X(int, livesSize, (void *ale)) /* numbers that `lives` writes: one a player */                 \
    X(void, lives, (void *ale, int *lives))                                                        \
    X(int, getScreenWidth, (void *ale))                                                            \
    X(int, getScreenHeight, (void *ale))                                                           \
    X(void, getScreen, (void *ale, unsigned char *indices)) /* palette indices [height][width] */  \
    X(int, getRAMSize, (void *ale))                                                                \
    X(void, getRAM, (void *ale, unsigned char *ram))                                               \
    X(void, setRAM, (void *ale, size_t index, unsigned char value))                                \
    X(void, getMinimalActionSet, (void *ale, int *actions))                                        \
    X(void *, cloneSystemState, (void *ale)) /* with the random generator */                       \
    X(void, restoreSystemState, (void *ale, void *state))                                          \
    X(void, deleteState, (void *state))                                                            \
    X(int, encodeStateLen, (void *state))                                                          \
    X(void, encodeState, (void *state, char *bytes, int size))                                     \
    X(void *, decodeState, (const char *bytes, int size))

typedef struct qg_ale {
#define QG_ALE_MEMBER(result, name, arguments) result(*name) arguments;
    QG_ALE_FUNCTIONS(QG_ALE_MEMBER)
#undef QG_ALE_MEMBER
    void *library; /* dlopen's handle, never closed */
} qg_ale;

/* The folder with the emulator and the ROMs: $QGRAFT_ATARI, else $XDG_DATA_HOME/qgraft/atari, else
 * ~/.local/share/qgraft/atari. Fails with QG_ERROR_IO when no variable names one. The caller frees
 * *folder. */
qg_status qg_ale_folder(char **folder, qg_error *error);

/* Opens FOLDER/libale_c.so; once it is open it serves the whole process, whatever the folder. A
 * missing folder or file is QG_ERROR_IO, a file that is not the emulator QG_ERROR_DATA; both say
 * how to mend it. Safe to call from several threads. */
qg_status qg_ale_open(const char *folder, const qg_ale **ale, qg_error *error);

/* The emulator reads ./ale.cfg, ./stella.pro and ./stella.pal, which could change the game behind
 * the study's back (or hang, as a FIFO): QG_ERROR_USAGE when the current folder has one. */
qg_status qg_ale_check_current_folder(qg_error *error);

#endif
