// A conversation and its file: JSON in $XDG_STATE_HOME/coterie/sessions, readable by its owner only, written
// whole or not at all. The key-value cache is not kept: it is computed again from the messages when the
// conversation goes on.
#pragma once

#include <nlohmann/json.hpp>

#include <optional>
#include <string>
#include <vector>

namespace coterie::cli {

struct Message {
  std::string role, content;  // "system", "user", "assistant"
  std::string reasoning;      // of an assistant; never goes into a prompt again
};

struct Conversation {
  std::string model;  // absolute path
  std::optional<bool> think;
  std::vector<Message> messages;

  nlohmann::ordered_json prompt_messages() const;  // as chat templates want them
};

// The folder for state, made if need be: $XDG_STATE_HOME/coterie, else ~/.local/state/coterie. Throws Error.
std::string state_folder();

// name: letters, digits, '-', '_' and '.', at most 64, not beginning with a dot. Throws UsageError otherwise.
void save_conversation(const Conversation& conversation, const std::string& name);
Conversation load_conversation(const std::string& name);  // throws UsageError (no such one), Error (broken)

}  // namespace coterie::cli
