#include "CWorker.h"
