/* How often verdicts are wrong, and how often they see what is there, by simulation: the tables of
 * docs/statistics.md. */
#ifndef HONESTY_H
#define HONESTY_H

enum { HONESTY_TABLES = 8 };

/* Prints one of the tables, 1 ... HONESTY_TABLES; 0: all. `studies` of each kind are simulated, in
 * some tables fewer. */
int honesty(int studies, int table);

/* 7. Looking several times, and giving more seeds to what is open (honesty_looks.c). */
void honesty_looks(int studies);

/* 8. What is recorded of the best of many networks, and what it plays (honesty_best.c). */
void honesty_best(int studies);

#endif
