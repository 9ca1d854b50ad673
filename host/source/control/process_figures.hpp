// What the system says about this process. Any thread.
#pragma once

#include "control/metrics.hpp"

namespace taskhost {

ProcessFigures process_figures();

}  // namespace taskhost
