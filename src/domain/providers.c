/* The table of all kinds of domains. It stands alone, so that a test can bring its own. */
#include "domain/provider.h"

#include <stddef.h>

const qg_domain_provider *const qg_domain_providers[] = {
    &qg_minatar_provider, &qg_atari_provider, &qg_gym_provider, &qg_plugin_provider, NULL};
