#include "cli/eval_problems.h"

#include "base/errors.h"
#include "base/json.h"
#include "cli/files.h"
#include "engine/generate.h"
#include "engine/prompt.h"

#include <atomic>
#include <exception>
#include <map>
#include <mutex>
#include <string_view>
#include <thread>

namespace coterie::cli {

namespace {

using Json = nlohmann::ordered_json;

Json parse_line(std::string_view line, const std::string& subject) {
  try {
    return parse_json(line, {1 << 20, 8}, subject);
  } catch (const FileError& e) {
    throw Error(e.what());  // no model file
  }
}

std::string text_of(const Json& object, const char* key, const std::string& subject) {
  const auto found = object.find(key);
  if (found == object.end()) throw Error(subject + ": key " + key + ": missing");
  if (found->is_number()) return found->dump();
  if (!found->is_string())
    throw Error(subject + ": key " + key + ": found a JSON " + found->type_name() +
                ", expected a text or a number");
  return found->get<std::string>();
}

std::string_view stripped(std::string_view text) {
  constexpr std::string_view blank = " \t\r\n";
  const std::size_t first = text.find_first_not_of(blank);
  if (first == std::string_view::npos) return "";
  return text.substr(first, text.find_last_not_of(blank) - first + 1);
}

// The reply's own part after </think> is what generate() calls the answer.
std::string last_line(std::string_view answer) {
  const std::string_view text = stripped(answer);
  return std::string(stripped(text.substr(text.rfind('\n') + 1)));
}

void solve_one(const Engine& engine, const Prompter& prompter, Session& session,
               const ProblemOptions& options, Problem* problem) try {
  const Prompt prompt = prompter.chat({{{"role", "user"}, {"content", problem->prompt}}}, std::nullopt);
  GenerateOptions greedy;
  greedy.sampling.temperature = 0;
  greedy.max_tokens = options.max_tokens;
  greedy.opened = prompt.opened;
  session.truncate(0);  // a fresh timeline: nothing may depend on the problem before
  const Reply reply =
      generate(engine, session, prompt.tokens, greedy, {.on_text = {}, .cancelled = options.cancelled});
  problem->given = last_line(reply.answer);
  problem->correct = problem->given == stripped(problem->answer);
  problem->tokens = reply.n_tokens;
} catch (const UsageError& e) {
  throw UsageError("problem " + problem->id + ": " + e.what());
}

}  // namespace

std::vector<Problem> read_problems(const std::string& path) {
  const std::string text = read_text(path);
  std::vector<Problem> problems;
  int number = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = stripped(std::string_view(text).substr(at, end - at));
    at = end + 1;
    ++number;
    if (line.empty()) continue;
    const std::string subject = path + ": line " + std::to_string(number);
    const Json json = parse_line(line, subject);
    if (!json.is_object())
      throw Error(subject + ": found a JSON " + json.type_name() + ", expected an object");
    problems.push_back({text_of(json, "id", subject), text_of(json, "family", subject),
                        text_of(json, "language", subject), text_of(json, "prompt", subject),
                        text_of(json, "answer", subject), "", false, 0});
  }
  if (problems.empty()) throw Error(path + ": found no problems");
  return problems;
}

void solve(const Engine& engine, const ProblemOptions& options, std::vector<Problem>* problems) {
  const Prompter prompter(engine);
  std::atomic<std::size_t> next{0};
  std::size_t done = 0;
  std::mutex lock;
  std::exception_ptr failure;
  const auto work = [&] {
    try {
      Session session(engine);
      for (std::size_t i = next++; i < problems->size() && !options.cancelled(); i = next++) {
        solve_one(engine, prompter, session, options, &(*problems)[i]);
        const std::lock_guard guard(lock);
        options.progress(++done);
      }
    } catch (...) {
      next = problems->size();
      const std::lock_guard guard(lock);
      if (!failure) failure = std::current_exception();
    }
  };
  std::vector<std::thread> team;
  for (int t = 1; t < options.at_once; ++t) team.emplace_back(work);
  work();
  for (std::thread& t : team) t.join();
  if (failure) std::rethrow_exception(failure);
}

Json scores_of(const std::vector<Problem>& problems) {
  struct Count {
    int correct = 0, all = 0;
    double rate() const { return static_cast<double>(correct) / all; }
  };
  Count overall;
  std::map<std::string, Count> families, languages;
  Json wrong = Json::array();
  std::int64_t tokens = 0;
  for (const Problem& p : problems) {
    for (Count* count : {&overall, &families[p.family], &languages[p.language]}) {
      ++count->all;
      count->correct += p.correct ? 1 : 0;
    }
    tokens += p.tokens;
    if (!p.correct)
      wrong.push_back({{"id", p.id}, {"prompt", p.prompt}, {"answer", p.answer}, {"given", p.given}});
  }
  Json scores{{"overall", overall.rate()}, {"by_family", Json::object()}, {"by_language", Json::object()}};
  for (const auto& [name, count] : families) scores["by_family"][name] = count.rate();
  for (const auto& [name, count] : languages) scores["by_language"][name] = count.rate();
  scores["problems"] = overall.all;
  scores["correct"] = overall.correct;
  scores["tokens"] = tokens;
  scores["wrong"] = wrong;
  return scores;
}

}  // namespace coterie::cli
