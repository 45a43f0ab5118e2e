/* Under the thread sanitizer only the threads matter, and all else is slow. */
#ifndef QUICK_H
#define QUICK_H

#ifdef __SANITIZE_THREAD__
enum { QUICK = 1 };
#else
enum { QUICK = 0 };
#endif

#endif
