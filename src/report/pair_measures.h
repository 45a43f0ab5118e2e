/* FOLDER/measures.csv: measures of two games that somebody has made, to be held against transfer.
 */
#ifndef QG_PAIR_MEASURES_H
#define QG_PAIR_MEASURES_H

#include "report/game_map.h"

/* Adds the file's columns behind the first two, "game,other,NAME,...", to the predictors, and their
 * values to the pairs, whichever game stands first; names with commas stand in quotes, an empty
 * cell is not known, games that the map does not have are passed over. No file: nothing.
 * QG_ERROR_DATA with the line. */
qg_status qg_pair_measures_read(const char *folder, qg_game_map *map, qg_error *error);

#endif
