/* How settings let a domain be played. */
#include <qgraft/agent.h>

#include "base/text.h"

#include <string.h>

qg_domain_options qg_domain_options_of(const qg_settings *settings)
{
    qg_domain_options options = {.frame_skip = settings->frame_skip, .sticky = settings->sticky};
    int64_t frames = 0; /* the setting is a number or "xitari", checked when it was set */
    qg_action_set_find(settings->actions, &options.actions);
    options.max_episode_frames =
        qg_text_to_count(settings->max_episode_frames, &frames) ? frames : QG_XITARI_LIMIT;
    return options;
}
