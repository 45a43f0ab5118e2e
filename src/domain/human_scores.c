/* Scores of random play and of people on Atari games, as they were published; episodes begin with
 * up to 30 no-ops. */
#include <qgraft/domain.h>

#include <math.h>
#include <string.h>

/* Random play and people (2015): Mnih et al., Human-level control through deep reinforcement
 * learning, extended data table 2, to the digit that van Hasselt et al. 2016 (Deep reinforcement
 * learning with double Q-learning) print; people (2016): Wang et al., Dueling network architectures
 * for deep reinforcement learning, whose table also has random play of the eight games that the
 * first lacks. docs/statistics.md says with what they were compared. */
static const qg_human_scores table[] = {
    /* game, random, human 2015, human 2016 */
    {"alien", 227.8, 6875.4, 7127.7},
    {"amidar", 5.8, 1675.8, 1719.5},
    {"assault", 222.4, 1496.4, 742},
    {"asterix", 210, 8503.3, 8503.3},
    {"asteroids", 719.1, 13156.7, 47388.7},
    {"atlantis", 12850, 29028.1, 29028.1},
    {"bank_heist", 14.2, 734.4, 753.1},
    {"battle_zone", 2360, 37800, 37187.5},
    {"beam_rider", 363.9, 5774.7, 16926.5},
    {"berzerk", 123.7, NAN, 2630.4},
    {"bowling", 23.1, 154.8, 160.7},
    {"boxing", 0.1, 4.3, 12.1},
    {"breakout", 1.7, 31.8, 30.5},
    {"centipede", 2090.9, 11963.2, 12017},
    {"chopper_command", 811, 9881.8, 7387.8},
    {"crazy_climber", 10780.5, 35410.5, 35829.4},
    {"defender", 2874.5, NAN, 18688.9},
    {"demon_attack", 152.1, 3401.3, 1971},
    {"double_dunk", -18.6, -15.5, -16.4},
    {"enduro", 0, 309.6, 860.5},
    {"fishing_derby", -91.7, 5.5, -38.7},
    {"freeway", 0, 29.6, 29.6},
    {"frostbite", 65.2, 4334.7, 4334.7},
    {"gopher", 257.6, 2321, 2412.5},
    {"gravitar", 173, 2672, 3351.4},
    {"hero", 1027, 25762.5, 30826.4},
    {"ice_hockey", -11.2, 0.9, 0.9},
    {"jamesbond", 29, 406.7, 302.8},
    {"kangaroo", 52, 3035, 3035},
    {"krull", 1598, 2394.6, 2665.5},
    {"kung_fu_master", 258.5, 22736.2, 22736.3},
    {"montezuma_revenge", 0, 4366.7, 4753.3},
    {"ms_pacman", 307.3, 15693.4, 6951.6},
    {"name_this_game", 2292.3, 4076.2, 8049},
    {"phoenix", 761.4, NAN, 7242.6},
    {"pitfall", -229.4, NAN, 6463.7},
    {"pong", -20.7, 9.3, 14.6},
    {"private_eye", 24.9, 69571.3, 69571.3},
    {"qbert", 163.9, 13455, 13455},
    {"riverraid", 1338.5, 13513.3, 17118},
    {"road_runner", 11.5, 7845, 7845},
    {"robotank", 2.2, 11.9, 11.9},
    {"seaquest", 68.4, 20181.8, 42054.7},
    {"skiing", -17098.1, NAN, -4336.9},
    {"solaris", 1236.3, NAN, 12326.7},
    {"space_invaders", 148, 1652.3, 1668.7},
    {"star_gunner", 664, 10250, 10250},
    {"surround", -10, NAN, 6.5},
    {"tennis", -23.8, -8.9, -8.3},
    {"time_pilot", 3568, 5925, 5229.2},
    {"tutankham", 11.4, 167.6, 167.6},
    {"up_n_down", 533.4, 9082, 11693.2},
    {"venture", 0, 1187.5, 1187.5},
    {"video_pinball", 16256.9, 17297.6, 17667.9},
    {"wizard_of_wor", 563.5, 4756.5, 4756.5},
    {"yars_revenge", 3092.9, NAN, 54576.9},
    {"zaxxon", 32.5, 9173.3, 9173.3},
};

const qg_human_scores *qg_human_scores_of(const char *domain)
{
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (strcmp(table[i].game, domain) == 0) return &table[i];
    return NULL;
}

const char *qg_random_score_source(const qg_human_scores *scores)
{
    return isnan(scores->human_2015) ? QG_WANG_2016 : QG_MNIH_2015;
}

double qg_human_normalised(double score, double random, double human)
{
    return (score - random) / (human - random);
}
