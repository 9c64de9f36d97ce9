#include "gguf/journal.h"

#include "base/errors.h"
#include "base/json.h"

#define XXH_INLINE_ALL  // how the library is used header-only
#include <xxhash.h>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <tuple>

namespace coterie::gguf {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

namespace {

constexpr std::uint64_t most_header_bytes = 16ULL << 20;
constexpr std::uint64_t most_record_bytes = 1ULL << 30;
constexpr std::size_t piece_bytes = 4 << 20;  // that is read and hashed at a time
constexpr auto longest_batch = std::chrono::seconds(5);
constexpr std::uint32_t all_files = 0xffffffff;  // in the record that says that all data are on disk
constexpr const char* begins_anew = "; --restart begins anew";

[[noreturn]] void fail(const std::string& path, const char* what) {
  const std::string message = path + ": " + what + ": " + std::strerror(errno);
  if (errno == ENOSPC || errno == EDQUOT) throw DiskFullError(message);
  throw Error(message);
}

std::string hexadecimal(XXH128_hash_t hash) {
  char text[33];
  std::snprintf(text, sizeof text, "%016llx%016llx", static_cast<unsigned long long>(hash.high64),
                static_cast<unsigned long long>(hash.low64));
  return text;
}

// Reads until the span is full or the file ends; returns how many bytes there were.
std::size_t read_all(int fd, std::uint64_t offset, std::span<std::byte> bytes) {
  std::size_t got = 0;
  while (got < bytes.size()) {
    const ssize_t n = pread(fd, bytes.data() + got, bytes.size() - got, static_cast<off_t>(offset + got));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    got += static_cast<std::size_t>(n);
  }
  return got;
}

Json as_json(const Facts& facts) {
  Json json = Json::object();
  for (const auto& [what, value] : facts) json[what] = value;
  return json;
}

// The first fact in which two objects differ: what, then, now. Empty: none.
std::tuple<std::string, std::string, std::string> first_difference(const Json& then, const Json& now) {
  const auto value = [](const Json& facts, const std::string& what) -> std::string {
    const auto found = facts.is_object() ? facts.find(what) : facts.end();
    if (!facts.is_object() || found == facts.end()) return "nothing";
    return found->is_string() ? found->get<std::string>() : found->dump();
  };
  for (const Json* facts : {&now, &then})
    for (const auto& [what, ignored] : facts->items())
      if (value(then, what) != value(now, what)) return {what, value(then, what), value(now, what)};
  return {};
}

void check_same_work(const std::string& path, const Json& then, const Json& now) {
  const auto part = [](const Json& header, const char* name) {
    const auto found = header.is_object() ? header.find(name) : header.end();
    return header.is_object() && found != header.end() ? *found : Json::object();
  };
  const auto difference = [&](const char* name) {
    return first_difference(part(then, name), part(now, name));
  };
  if (const auto& [what, was, is] = difference("options"); !what.empty())
    throw UsageError(path + ": begun with " + what + " " + was + ", found " + is +
                     ": the same options go on where it stopped" + begins_anew);
  if (const auto& [what, was, is] = difference("source"); !what.empty())
    throw FileError(path + ": " + what + " has changed: begun with " + was + ", found " + is + begins_anew);
  if (then != now) throw FileError(path + ": begun with other keys or tensors" + begins_anew);
}

}  // namespace

Facts::value_type describe_source(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat st = {};
  if (fd < 0 || fstat(fd, &st) != 0) {
    const std::string reason = std::strerror(errno);
    if (fd >= 0) close(fd);
    throw FileError(path + ": cannot be opened: " + reason);
  }
  std::vector<std::byte> head(1 << 20);
  head.resize(read_all(fd, 0, head));
  close(fd);
  char changed[48];
  std::snprintf(changed, sizeof changed, "%lld.%09ld", static_cast<long long>(st.st_mtim.tv_sec),
                st.st_mtim.tv_nsec);
  return {fs::path(path).filename().string(), std::to_string(st.st_size) + " bytes of " + changed +
                                                  " beginning " +
                                                  hexadecimal(XXH3_128bits(head.data(), head.size()))};
}

Journal::Descriptor::~Descriptor() {
  if (fd >= 0) close(fd);
}

Journal::Journal(const std::string& path, const Work& work, const std::vector<Writer*>& files,
                 const JournalOptions& options)
    : path_(path),
      files_(files),
      batch_bytes_(options.batch_bytes),
      last_flush_(std::chrono::steady_clock::now()) {
  Json header{{"format", 1}, {"options", as_json(work.options)}, {"source", as_json(work.source)}};
  for (Writer* file : files_) {
    file->lay_out();
    for (const Writer::Part& part : file->parts_)
      header["files"][fs::path(part.path).filename().string()] =
          hexadecimal(XXH3_128bits(part.metadata.data(), part.metadata.size()));
  }
  const std::string text = header.dump(-1, ' ', true, Json::error_handler_t::replace) + "\n";
  open_locked();
  try {
    if (options.restart || !go_on(text)) begin(text);
    verify(read_records(), options);
    open_parts();
  } catch (...) {
    leave();
    throw;
  }
  for (Writer* file : files_) file->journal_ = this;
}

Journal::~Journal() {
  for (Writer* file : files_) file->journal_ = nullptr;
  if (committed_) return;
  flush_or_lose();
  leave();
}

void Journal::flush_or_lose() {
  try {
    flush();
  } catch (const Error&) {
    // What could not be recorded is done again next time; whoever ended the work has said why.
  }
}

// Where nothing is done, nothing stays.
void Journal::leave() {
  if (!began_ || !nothing_done_) return;
  for (Writer* file : files_)
    for (Writer::Part& part : file->parts_) {
      part.file.reset();
      unlink(partial_path(part.path).c_str());
    }
  unlink(path_.c_str());
}

void Journal::open_locked() {
  journal_.fd = open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (journal_.fd < 0) fail(path_, "cannot be created");
  struct stat st = {};
  const bool busy = flock(journal_.fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  // A name that is gone: its owner has just finished.
  if (busy || (fstat(journal_.fd, &st) == 0 && st.st_nlink == 0))
    throw Error(path_ + ": another process is writing these files");
}

// The first line, its end included; empty: cut off before anything was recorded.
std::string Journal::read_line() {
  std::vector<std::byte> head(most_header_bytes);
  head.resize(read_all(journal_.fd, 0, head));
  const std::string_view text(reinterpret_cast<const char*>(head.data()), head.size());
  const std::size_t line = text.find('\n') + 1;
  if (line == 0 && head.size() == most_header_bytes) throw FileError(path_ + ": is no journal" + begins_anew);
  if (line == 0 || line + sizeof header_hash_ > text.size()) return "";
  std::memcpy(&header_hash_, head.data() + line, sizeof header_hash_);
  if (XXH3_64bits(text.data(), line) != header_hash_)
    throw FileError(path_ + ": its first line is damaged" + begins_anew);
  end_ = line + sizeof header_hash_;
  return std::string(text.substr(0, line));
}

bool Journal::go_on(const std::string& header) {
  const std::string line = read_line();
  if (line.empty()) return false;
  const JsonLimits limits{most_header_bytes, 4};
  check_same_work(path_, parse_json(line, limits, path_), parse_json(header, limits, path_));
  began_ = true;
  return true;
}

// Removes the partial files of the work that began here, and those of this one's names.
void Journal::remove_partials() {
  std::set<std::string> names;
  for (const Writer* file : files_)
    for (const Writer::Part& part : file->parts_) names.insert(part.path);
  try {
    const Json then = parse_json(read_line(), {most_header_bytes, 4}, path_);
    for (const auto& [name, hash] : then.at("files").items())
      if (fs::path(name).filename() == name) names.insert(fs::path(path_).parent_path() / name);
  } catch (const std::exception&) {
    // No line that can be read: then no work of hours hangs on it.
  }
  for (const std::string& name : names) unlink(partial_path(name).c_str());
}

void Journal::begin(const std::string& header) {
  remove_partials();
  if (ftruncate(journal_.fd, 0) != 0) fail(path_, "cannot be cut off");
  began_ = nothing_done_ = true;
  end_ = 0;
  header_hash_ = XXH3_64bits(header.data(), header.size());
  append(std::as_bytes(std::span(header)));
  append(std::as_bytes(std::span(&header_hash_, 1)));
  if (fdatasync(journal_.fd) != 0) fail(path_, "cannot be synced");
  sync_folder_of(path_);
}

std::uint64_t Journal::check_of(const Record& r) const {
  return XXH3_64bits_withSeed(&r, offsetof(Record, check), header_hash_);
}

bool Journal::names_a_range(const Record& r) const {
  if (r.file >= files_.size() || r.tensor >= files_[r.file]->tensors_.size()) return false;
  const std::uint64_t size = files_[r.file]->tensors_[r.tensor].bytes;
  return r.offset <= size && r.bytes <= size - r.offset;
}

// Those up to the first that is cut off or damaged; whatever follows is no part of the journal any more.
std::vector<Journal::Record> Journal::read_records() {
  struct stat st = {};
  if (fstat(journal_.fd, &st) != 0) fail(path_, "cannot be read");
  const std::uint64_t bytes = static_cast<std::uint64_t>(st.st_size) - end_;
  if (bytes > most_record_bytes) throw FileError(path_ + ": is too long for a journal" + begins_anew);
  std::vector<Record> records(bytes / sizeof(Record));
  records.resize(read_all(journal_.fd, end_, std::as_writable_bytes(std::span(records))) / sizeof(Record));
  const auto damaged = std::find_if(records.begin(), records.end(), [&](const Record& r) {
    return r.check != check_of(r) || !(r.file == all_files || names_a_range(r));
  });
  records.erase(damaged, records.end());
  end_ += records.size() * sizeof(Record);
  if (ftruncate(journal_.fd, static_cast<off_t>(end_)) != 0) fail(path_, "cannot be cut off");
  committing_ = std::erase_if(records, [](const Record& r) { return r.file == all_files; }) > 0;
  return records;
}

// Where a part's bytes lie: a process that was killed while it put the files in place may have renamed some of them.
std::string Journal::place_of(const Writer::Part& part) const {
  const std::string partial = partial_path(part.path);
  return committing_ && !fs::exists(partial) ? part.path : partial;
}

// Moves done() of each tensor over the ranges that are as recorded.
void Journal::verify(std::vector<Record> records, const JournalOptions& options) {
  std::sort(records.begin(), records.end(), [](const Record& a, const Record& b) {
    return std::tie(a.file, a.tensor, a.offset) < std::tie(b.file, b.tensor, b.offset);
  });
  std::uint64_t total = 0, looked_at = 0;
  for (const Record& r : records) total += r.bytes;
  std::vector<std::byte> piece(piece_bytes);
  const auto as_recorded = [&](int fd, std::uint64_t offset, const Record& r) {
    XXH3_state_t state;
    XXH3_128bits_reset(&state);
    for (std::uint64_t left = r.bytes; left > 0;) {
      const auto part = std::span(piece).first(std::min<std::uint64_t>(left, piece.size()));
      if (read_all(fd, offset, part) < part.size()) return false;
      XXH3_128bits_update(&state, part.data(), part.size());
      left -= part.size();
      offset += part.size();
      looked_at += part.size();
      if (options.verifying) options.verifying(std::min(looked_at, total), total);
    }
    const XXH128_hash_t hash = XXH3_128bits_digest(&state);
    return hash.high64 == r.hash[0] && hash.low64 == r.hash[1];
  };
  Descriptor opened;
  std::string place;
  for (const Record& r : records) {
    Writer::Slot& t = files_[r.file]->tensors_[r.tensor];
    const Writer::Part& part = files_[r.file]->parts_[t.part];
    if (place_of(part) != place) {
      place = place_of(part);
      if (opened.fd >= 0) close(opened.fd);
      opened.fd = open(place.c_str(), O_RDONLY | O_CLOEXEC);
    }
    if (r.offset > t.done || r.offset + r.bytes <= t.done) continue;
    if (as_recorded(opened.fd, part.data_start + t.offset + r.offset, r)) t.done = r.offset + r.bytes;
  }
  nothing_done_ = resumed_bytes() == 0;
}

void Journal::open_parts() {
  std::uint64_t room = 0;
  std::vector<std::pair<Writer*, Writer::Part*>> to_open;
  for (Writer* file : files_)
    for (Writer::Part& part : file->parts_) {
      const bool in_place = place_of(part) == part.path;
      bool whole = true;
      for (const Writer::Slot& t : file->tensors_)
        if (&file->parts_[t.part] == &part) whole = whole && t.done == t.bytes;
      if (in_place && whole) continue;
      if (in_place)  // not what was recorded, so it is not this work's
        for (Writer::Slot& t : file->tensors_)
          if (&file->parts_[t.part] == &part) t.done = 0;
      const std::uint64_t size = part.data_start + part.data_bytes;
      room += size - std::min(size, allocated_bytes(partial_path(part.path)));
      to_open.emplace_back(file, &part);
    }
  if (!to_open.empty()) check_room(to_open.front().second->path, room);
  for (const auto& [file, part] : to_open) file->open_part(*part, Unfinished::kept);
}

std::uint64_t Journal::resumed_bytes() const {
  std::uint64_t sum = 0;
  for (const Writer* file : files_)
    for (const Writer::Slot& t : file->tensors_) sum += t.done;
  return sum;
}

void Journal::record(const Writer& file, int tensor, std::uint64_t offset, std::span<const std::byte> bytes) {
  const XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
  const std::lock_guard lock(mutex_);
  Record r{static_cast<std::uint32_t>(std::find(files_.begin(), files_.end(), &file) - files_.begin()),
           static_cast<std::uint32_t>(tensor),
           offset,
           bytes.size(),
           {hash.high64, hash.low64},
           0};
  r.check = check_of(r);
  pending_.push_back(r);
  unsynced_.insert(file.parts_[file.slot(tensor).part].file.get());
  pending_bytes_ += bytes.size();
  const bool late = std::chrono::steady_clock::now() - last_flush_ > longest_batch;
  if (pending_bytes_ >= batch_bytes_ || late) flush();
}

// The data first, then the records that speak of them. A batch whose sync fails is not recorded, ever.
void Journal::flush() {
  const std::vector<Record> batch = std::exchange(pending_, {});
  const std::set<OutputFile*> files = std::exchange(unsynced_, {});
  pending_bytes_ = 0;
  if (!batch.empty()) {
    for (OutputFile* file : files) file->sync();
    append(std::as_bytes(std::span(batch)));
    if (fdatasync(journal_.fd) != 0) fail(path_, "cannot be synced");
    nothing_done_ = false;
  }
  last_flush_ = std::chrono::steady_clock::now();
}

void Journal::append(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t n = pwrite(journal_.fd, bytes.data(), bytes.size(), static_cast<off_t>(end_));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) fail(path_, "cannot be written");
    bytes = bytes.subspan(static_cast<std::size_t>(n));
    end_ += static_cast<std::uint64_t>(n);
  }
}

void Journal::commit() {
  for (const Writer* file : files_) file->check_whole();
  flush();
  Record r{all_files, all_files, 0, 0, {0, 0}, 0};
  r.check = check_of(r);
  append(std::as_bytes(std::span(&r, 1)));
  if (fdatasync(journal_.fd) != 0) fail(path_, "cannot be synced");
  for (Writer* file : files_) file->commit();
  committed_ = true;
  if (unlink(path_.c_str()) != 0) fail(path_, "cannot be removed");
}

void Journal::run(const std::function<void()>& work) {
  try {
    work();
    commit();
  } catch (const Error& e) {
    flush_or_lose();
    if (nothing_done_ || committed_) throw;
    throw Error(std::string(e.what()) + "; what is done is kept, the same command goes on from there",
                e.exit_code());
  }
}

}  // namespace coterie::gguf
