/* How often verdicts are wrong, and how often they see what is there, by simulation. */
#ifndef HONESTY_H
#define HONESTY_H

/* Simulates so many studies of each kind and prints the tables of docs/statistics.md. */
int honesty(int studies);

#endif
