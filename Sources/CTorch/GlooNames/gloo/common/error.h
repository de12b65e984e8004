#pragma once

// See context.h.
#include <gloo/context.h>
