/* The engine `float32`: single precision on the processor, the same bits on all of them. */
#ifndef QG_FLOAT32_H
#define QG_FLOAT32_H

#include <qgraft/engine.h>

extern const qg_engine_class qg_float32;

#endif
