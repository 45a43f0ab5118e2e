/* Where a network comes from: the chain of networks whose layers were copied, or that taught it. */
#ifndef QG_PEDIGREE_H
#define QG_PEDIGREE_H

#include <stdbool.h>

/* Prints the pedigree of the network file `path`, generation by generation. A parent is the file
 * with the recorded SHA-256, or one that holds the same network: looked for under its recorded
 * name, as it is and beside its child, then among all .safetensors files of the folder `search` (6
 * folders deep, 10,000 files, no symbolic links). The exit code. */
int pedigree_print(const char *path, const char *search, bool json);

#endif
