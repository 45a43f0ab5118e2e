/* The engine bf16 where the processor has tiles. */
#ifndef QG_TILE_ENGINE_H
#define QG_TILE_ENGINE_H

#include <qgraft/engine.h>

#ifdef QG_TILES
extern const qg_engine_class qg_bf16_tiles;
#endif

#endif
