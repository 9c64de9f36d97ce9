#include "cli/conversation.h"

#include "base/errors.h"
#include "base/output_file.h"
#include "cli/files.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <span>

namespace coterie::cli {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

static void make_private_folder(const fs::path& path) {
  std::error_code failed;
  const bool made = fs::create_directories(path, failed);
  if (!failed && made) fs::permissions(path, fs::perms::owner_all, failed);
  if (failed) throw Error(path.string() + ": cannot be made: " + failed.message());
}

std::string state_folder() {
  const char* state = std::getenv("XDG_STATE_HOME");
  const char* home = std::getenv("HOME");
  const fs::path base = state != nullptr && *state == '/' ? fs::path(state)
                        : home != nullptr && *home == '/' ? fs::path(home) / ".local" / "state"
                                                          : fs::path();
  if (base.empty())
    throw Error(
        "sessions: neither XDG_STATE_HOME nor HOME names a folder for them, expected a path from the root");
  make_private_folder(base / "coterie");
  return (base / "coterie").string();
}

static std::string path_of(const std::string& name) {
  const bool plain = std::ranges::all_of(
      name, [](unsigned char c) { return std::isalnum(c) || c == '-' || c == '_' || c == '.'; });
  if (name.empty() || name.size() > 64 || !plain || name[0] == '.')
    throw UsageError("session '" + name + "': expected at most 64 letters, digits, '-', '_' or '.'");
  const fs::path folder = fs::path(state_folder()) / "sessions";
  make_private_folder(folder);
  return (folder / (name + ".json")).string();
}

Json Conversation::prompt_messages() const {
  Json array = Json::array();
  for (const Message& m : messages) array.push_back({{"role", m.role}, {"content", m.content}});
  return array;
}

void save_conversation(const Conversation& c, const std::string& name) {
  Json messages = Json::array();
  for (const Message& m : c.messages) {
    messages.push_back({{"role", m.role}, {"content", m.content}});
    if (!m.reasoning.empty()) messages.back()["reasoning"] = m.reasoning;
  }
  const Json json{{"version", 1},
                  {"model", c.model},
                  {"think", c.think ? Json(*c.think) : Json()},
                  {"messages", messages}};
  const std::string text = json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
  OutputFile file(path_of(name));
  file.write_at(0, std::as_bytes(std::span(text)));
  file.commit();
}

static bool has_known_role(const Message& m) {
  return m.role == "system" || m.role == "user" || m.role == "assistant";
}

Conversation load_conversation(const std::string& name) {
  const std::string path = path_of(name);
  std::error_code ignored;
  if (!fs::exists(path, ignored)) throw UsageError("session '" + name + "': there is none (" + path + ")");
  try {
    const Json json = read_json(path);
    const bool known = json.at("version") == 1;
    Conversation c;
    c.model = json.at("model").get<std::string>();
    if (!json.at("think").is_null()) c.think = json.at("think").get<bool>();
    for (const Json& m : json.at("messages"))
      c.messages.push_back(
          {m.at("role").get<std::string>(), m.at("content").get<std::string>(), m.value("reasoning", "")});
    if (known && std::ranges::all_of(c.messages, has_known_role)) return c;
  } catch (const Json::exception&) {  // a key is missing or of another type: said below
  }
  throw Error(path + ": no session that this version of the program has saved");
}

}  // namespace coterie::cli
