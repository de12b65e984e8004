// zlib (https://zlib.net) as the system has it; its macros as functions.
#pragma once

#include <zlib.h>

// Begins to read gzip's format.
static inline int cz_begin_gzip(z_stream *stream) { return inflateInit2(stream, 15 + 16); }
