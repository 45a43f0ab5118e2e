/* For the compiler to see before ALE's sources: what calls exit there throws. (Calls of the
 * library's own exit are compiled as if nothing could be thrown, which would end the process all
 * the same.) */
#ifndef QG_ATARI_ALE_EXIT_H
#define QG_ATARI_ALE_EXIT_H

#include <cstdlib>

[[noreturn]] void qg_ale_exit(int code);

namespace std
{
using ::qg_ale_exit;
}

#define exit qg_ale_exit

#endif
