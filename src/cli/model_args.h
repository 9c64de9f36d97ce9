// The options of every command that loads a model, and the model that ships with the program.
#pragma once

#include "cli/args.h"
#include "cli/terminal.h"
#include "engine/engine.h"

#include <string>

namespace coterie::cli {

// Declares --threads, --chunk, --ctx, --kv, --huge-pages and --fast.
EngineOptions engine_options(Args& args, CacheType fallback = CacheType::f16);

// The same options, with a progress bar while loading; on terminals only.
EngineOptions with_progress(EngineOptions options);

// models/demo/coterie-demo.gguf beside the program or installed, or what COTERIE_DEMO names. Empty: none.
std::string find_shipped_model();

// The same, or a UsageError that says where it was looked for.
std::string shipped_model();

}  // namespace coterie::cli
